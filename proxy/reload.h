/*
 * Taking over changed settings while running: SIGHUP, and RELOAD on the admin port. All or nothing:
 * a file that cannot be read, a value out of bounds, a certificate that does not fit its key, and
 * everything stays as it is. The files of certificates are read anew in any case. Settings of the
 * RESTART kind (config/options.def) are reported and keep their value. Control loop only.
 */
#ifndef VTSHIM_PROXY_RELOAD_H
#define VTSHIM_PROXY_RELOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "config/options.h"

struct server;
struct tls_contexts;
struct networks;

#define RELOAD_ERROR_SIZE 600

/* Where the settings come from. load: defaults, file and command line once more, as at the start;
   the caller owns what it returns. NULL: *error says why, in one line. */
struct reload_source {
    struct config *(*load)(void *arg, char *error, size_t size);
    void *arg;
    /* Whether settings fit together; else *error says why not. */
    bool (*check)(const struct config *config, char *error, size_t size);
};

/* What the settings have to be turned into before they can be used. False: *error says why. */
bool reload_prepare(const struct config *config, struct tls_contexts **tls,
                    struct networks **networks, char *error, size_t size);

/* Called for each setting that differs, with the values as text ("******" for secrets). */
typedef void reload_change_fn(void *arg, const struct option_row *row, const char *old_value,
                              const char *new_value);

/* Called on the control loop when every thread goes by the new settings; never from inside. */
typedef void reload_done_fn(void *arg);

/*
 * Reloads and logs what changed. False: nothing did, *error says why, done is not called. changed
 * and done may be NULL.
 */
bool reload_run(struct server *server, reload_change_fn *changed, reload_done_fn *done, void *arg,
                char *error, size_t size);

/*
 * The same for one setting, which is given as text, as on the command line. Until the next reload
 * or restart: the source knows nothing of it.
 */
bool reload_set(struct server *server, const char *key, const char *value,
                reload_change_fn *changed, reload_done_fn *done, void *arg, char *error,
                size_t size);

/* Says which certificate clients are shown from now on, if any. */
void reload_log_certificate(const struct tls_contexts *tls);

#endif
