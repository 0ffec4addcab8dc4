/*
 * The filter of system calls (run.seccomp): the table seccomp.def is what this program and its
 * libraries make; packaging puts the same table into the systemd unit.
 *
 * A filter stays in force across exec, and so for the successor of a restart (SIGUSR2), which does
 * not add the same one again. One that is to be lifted, or a new version that makes other calls,
 * needs a stop and a start.
 */
#ifndef VTSHIM_PROXY_SECCOMP_H
#define VTSHIM_PROXY_SECCOMP_H

#include <stdbool.h>

#include "config/options.h"

/* For all threads that there are, and those to come. False, after a line in the log: the kernel
   does not take it. When everything has been opened; mode off: nothing is done. */
bool seccomp_apply(enum config_seccomp mode);

#endif
