/*
 * The rules that no single setting can break: what needs what, and what excludes what.
 */
#ifndef VTSHIM_CONFIG_CHECK_H
#define VTSHIM_CONFIG_CHECK_H

#include "config/options.h"

#include <stdbool.h>

/* Whether the settings fit together, after the file and the command line have been read. On
   false, *err is "KEY: ..." for the first rule that is broken. Opens no file and no socket. */
bool config_check(const struct config *c, struct config_error *err);

#endif
