/*
 * What the process gives up before it takes the first byte from anybody: root's rights (run.user),
 * new ones through programs it starts, core files.
 *
 * Who is to become run.user does so before there is a thread, a log file or a private key: what it
 * cannot open as that user it could not open at a reload either, and had better say so at once.
 * Only the listening sockets are opened before. The successor of a restart (SIGUSR2) is that user
 * from its start on, and inherits the sockets.
 */
#ifndef VTSHIM_PROXY_PRIVILEGES_H
#define VTSHIM_PROXY_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>

#include "config/options.h"

/* Whether run.user and run.group are names here. *error says what is wrong. */
bool privileges_check(const struct config *config, char *error, size_t size);

/*
 * Gives up. config_path: the file it was read from, which has to stay readable, or NULL. False: it
 * could not, *error says why, and the process must not go on. Once, and on the only thread.
 */
bool privileges_apply(const struct config *config, const char *config_path, char *error,
                      size_t size);

#endif
