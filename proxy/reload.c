/*
 * New settings for running threads, without a lock: the pointers of struct server are exchanged,
 * every thread is asked to come by, and what it may have been looking at until then is destroyed.
 */
#include "proxy/reload.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/check.h"
#include "proxy/admin.h"
#include "proxy/audit.h"
#include "proxy/fleet.h"
#include "proxy/http.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/networks.h"
#include "proxy/server.h"
#include "proxy/tls.h"
#include "proxy/vtctld.h"
#include "proxy/vtgate_control.h"

#define VALUE_MAX 4200

/* What is destroyed when no thread can be using it any more, and who waits for that. */
struct retired {
    struct config *config; /* NULL: the one of the start, which main() owns */
    struct tls_contexts *tls;
    struct networks *networks;
    reload_done_fn *done;
    void *arg;
};

bool reload_prepare(const struct config *config, struct tls_contexts **tls,
                    struct networks **networks, char *error, size_t size)
{
    const char *bad;

    *tls = NULL;
    *networks = networks_create(&config->proxy_protocol_from, &bad);
    if (!*networks) {
        snprintf(error, size,
                 "proxy_protocol.from: '%s' is no network; write 10.0.0.0/8, ::1 or unix", bad);
        return false;
    }
    *tls = tls_contexts_create(config, error, size);
    if (!*tls) {
        networks_destroy(*networks);
        *networks = NULL;
    }
    return *tls;
}

void reload_log_certificate(const struct tls_contexts *tls)
{
    char expires[32], fingerprint[20];

    if (tls_describe(tls, expires, sizeof(expires), fingerprint, sizeof(fingerprint)))
        log_info("certificate", "file:s expires:s sha256:s", tls->config->tls_cert, expires,
                 fingerprint);
}

/* --- what changed ---------------------------------------------------------------------------- */

/* Reports each difference; settings that only a start takes over get their old value. Returns how
   many are in force now; *waiting: how many are not. */
static size_t compare(const struct config *old, struct config *fresh, reload_change_fn *changed,
                      void *arg, size_t *waiting)
{
    size_t n, count = 0;
    const struct option_row *rows = options_table(&n);
    char *from = memory_zalloc(VALUE_MAX), *to = memory_zalloc(VALUE_MAX);

    *waiting = 0;
    for (size_t i = 0; i < n; i++) {
        const struct option_row *row = &rows[i];

        if (option_equal(old, fresh, row))
            continue;
        option_format(old, row, from, VALUE_MAX);
        option_format(fresh, row, to, VALUE_MAX);
        log_event(row->reloadable ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "setting_changed",
                  "setting:s old:s new:s effect:s", row->key, from, to,
                  row->reloadable ? "now" : "restart");
        if (changed)
            changed(arg, row, from, to);
        if (row->reloadable) {
            count++;
        } else {
            ++*waiting;
            option_copy(fresh, old, row);
        }
    }
    free(from);
    free(to);
    return count;
}

/* The settings of the source, with the old values where a restart is needed. They have to fit
   together in that mixture, too. */
static struct config *read_settings(struct server *server, char *error, size_t size)
{
    struct config *fresh = server->source->load(server->source->arg, error, size);
    struct config_error why;
    size_t n;
    const struct option_row *rows = options_table(&n);

    if (!fresh)
        return NULL;
    struct config *mixed = config_clone(fresh);

    for (size_t i = 0; i < n; i++) {
        if (!rows[i].reloadable)
            option_copy(mixed, server->config, &rows[i]);
    }
    if (config_check(mixed, &why)) {
        config_destroy(mixed);
        return fresh;
    }
    snprintf(error, size, "%s (until a restart; it would fit after one)", why.text);
    config_destroy(mixed);
    config_destroy(fresh);
    return NULL;
}

/* --- every thread ---------------------------------------------------------------------------- */

static void come_by(void *context, void *arg)
{
    (void)context;
    (void)arg;
}

static void retire(void *context, void *arg)
{
    struct retired *r = arg;

    (void)context;
    tls_contexts_destroy(r->tls); /* sessions keep what they use of it */
    networks_destroy(r->networks);
    config_destroy(r->config);
    if (r->done)
        r->done(r->arg);
    free(r);
}

static void vtctld_came_by(void *context, void *arg)
{
    struct server *server = context;

    if (server->fleet && !server->stopped)
        fleet_come_by(server->fleet, &server->mailbox, retire, server, arg);
    else
        retire(server, arg);
}

static void control_came_by(void *context, void *arg)
{
    struct server *server = context;

    if (server->vtctld && !server->stopped)
        vtctld_come_by(server->vtctld, &server->mailbox, vtctld_came_by, server, arg);
    else
        vtctld_came_by(server, arg);
}

static void workers_came_by(void *context, void *arg)
{
    struct server *server = context;

    if (server->control)
        vtgate_control_come_by(server->control, &server->mailbox, control_came_by, server, arg);
    else
        retire(server, arg);
}

static void exchange(struct server *server, struct config *fresh, struct tls_contexts *tls,
                     struct networks *networks, struct retired *r)
{
    r->config = server->reloaded;
    r->tls = atomic_exchange(&server->tls, tls);
    r->networks = atomic_exchange(&server->proxy_networks, networks);
    server->reloaded = fresh;
    atomic_store(&server->config, fresh);
    log_set_level((enum log_level)fresh->log_level);
    log_set_json(fresh->log_format == CONFIG_LOG_JSON);
    log_set_file(fresh->log_file);
    audit_reopen(server->audit, fresh->audit_file);
    server_raise_descriptor_limit(fresh);
    if (server->admin)
        admin_take_users(server->admin, &fresh->admin_users);
    if (server->http)
        http_take_tokens(server->http, fresh);
    server_broadcast(server, come_by, workers_came_by, r);
}

/* Takes over fresh, which it owns from here on, or says why not. */
static bool take_over(struct server *server, struct config *fresh, reload_change_fn *changed,
                      reload_done_fn *done, void *arg, char *error, size_t size)
{
    struct tls_contexts *tls;
    struct networks *networks;

    if (!reload_prepare(fresh, &tls, &networks, error, size)) {
        config_destroy(fresh);
        return false;
    }
    size_t waiting, now = compare(server->config, fresh, changed, arg, &waiting);
    struct retired *r = memory_zalloc(sizeof(*r));

    r->done = done;
    r->arg = arg;
    exchange(server, fresh, tls, networks, r);
    reload_log_certificate(tls);
    log_info("reloaded", "changed:u need_restart:u", (uint64_t)now, (uint64_t)waiting);
    return true;
}

bool reload_run(struct server *server, reload_change_fn *changed, reload_done_fn *done, void *arg,
                char *error, size_t size)
{
    struct config *fresh = read_settings(server, error, size);

    if (fresh && take_over(server, fresh, changed, done, arg, error, size))
        return true;
    log_error("reload_failed", "error:s", error);
    log_set_file(server->config->log_file); /* it may have been rotated, as may the next */
    audit_reopen(server->audit, server->config->audit_file);
    return false;
}

/* What may not be set is what cannot be changed so, and what must not be seen in an audit log. */
static const char *why_not_set(const struct option_row *row)
{
    if (row && (row->type == OPTION_SECRET || row->type == OPTION_USERS))
        return "can only be changed in the configuration file";
    return row && !row->reloadable ? "needs a restart: change it in the configuration file" : NULL;
}

bool reload_set(struct server *server, const char *key, const char *value,
                reload_change_fn *changed, reload_done_fn *done, void *arg, char *error,
                size_t size)
{
    const char *why = why_not_set(option_find(key));
    struct config_error failure;

    if (why) {
        snprintf(error, size, "%s: %s", key, why);
        return false;
    }
    struct config *fresh = config_clone(server->config);

    if (!option_set_text(fresh, key, value, &failure)) {
        snprintf(error, size, "%s", failure.text);
    } else if (server->source->check(fresh, error, size)) {
        return take_over(server, fresh, changed, done, arg, error, size);
    }
    config_destroy(fresh);
    return false;
}
