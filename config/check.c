/*
 * The rules across settings, as a list of small checks in the order of options.def. Each looks at
 * values that are valid by themselves: single bounds are value.c's.
 */
#include "config/check.h"

#include "config/policy.h"
#include "config/support.h"
#include "config/window.h"

#include <inttypes.h>
#include <string.h>

#define MEMORY_MIN (8 << 20)

typedef bool check_fn(const struct config *c, struct config_error *err);

static bool is_set(const char *text)
{
    return text[0] != '\0';
}

/* Every setting that has no default. */
static bool check_required(const struct config *c, struct config_error *err)
{
    size_t n;
    const struct option_row *rows = options_table(&n);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].fallback == NULL && option_format(c, &rows[i], NULL, 0) == 0) {
            return config_error_set(err, "%s: is required and has no default", rows[i].key);
        }
    }
    return true;
}

static bool check_pair(const char *group, const char *cert, const char *key,
                       struct config_error *err)
{
    if (is_set(cert) != is_set(key)) {
        const char *given = is_set(cert) ? "cert" : "key", *other = is_set(cert) ? "key" : "cert";
        return config_error_set(err, "%s.%s: needs %s.%s, too", group, given, group, other);
    }
    return true;
}

static bool check_tls(const struct config *c, struct config_error *err)
{
    if (!check_pair("tls", c->tls_cert, c->tls_key, err)) {
        return false;
    }
    if (c->tls_required && !is_set(c->tls_cert)) {
        return config_error_set(err, "tls.required: needs tls.cert and tls.key");
    }
    if (is_set(c->tls_ca) && !is_set(c->tls_cert)) {
        return config_error_set(err, "tls.ca: needs tls.cert and tls.key");
    }
    return true;
}

static bool any_unix(const struct endpoints *list)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->items[i].is_unix) {
            return true;
        }
    }
    return false;
}

static bool check_vtgate_tls(const struct config *c, struct config_error *err)
{
    if (!check_pair("vtgate_tls", c->vtgate_tls_cert, c->vtgate_tls_key, err)) {
        return false;
    }
    if (c->vtgate_tls_mode >= CONFIG_TLS_VERIFY_CA && !is_set(c->vtgate_tls_ca)) {
        return config_error_set(err, "vtgate_tls.mode: verify-ca and verify-identity need "
                                     "vtgate_tls.ca");
    }
    if (c->vtgate_tls_mode == CONFIG_TLS_VERIFY_IDENTITY && any_unix(&c->vtgate) &&
        !is_set(c->vtgate_tls_server_name)) {
        return config_error_set(err, "vtgate_tls.mode: verify-identity needs "
                                     "vtgate_tls.server_name for a unix: endpoint, which has no "
                                     "host name");
    }
    return true;
}

static bool check_topo(const struct config *c, struct config_error *err)
{
    if (any_unix(&c->topo_addresses)) {
        return config_error_set(err, "topo.addresses: must be HOST:PORT, not unix:");
    }
    for (size_t i = 0; i < c->topo_roots.n; i++) {
        if (c->topo_roots.items[i][0] != '/') {
            return config_error_set(err, "topo.roots: '%.200s' does not begin with /",
                                    c->topo_roots.items[i]);
        }
    }
    return true;
}

/* Each vtgate has a web address, or none has. */
static bool check_vtgate_web(const struct config *c, struct config_error *err)
{
    size_t n = c->vtgate_web_addresses.n;
    if (n > 0 && c->vtgate_web_port > 0) {
        return config_error_set(err, "vtgate_web.port: goes without vtgate_web.addresses");
    }
    if (n > 0 && n != c->vtgate.n) {
        return config_error_set(err,
                                "vtgate_web.addresses: has %zu addresses, vtgate has %zu: they "
                                "must be the same number, in the same order",
                                n, c->vtgate.n);
    }
    if (any_unix(&c->vtgate_web_addresses)) {
        return config_error_set(err, "vtgate_web.addresses: must be HOST:PORT, not unix:");
    }
    if (c->vtgate_web_port > 0 && any_unix(&c->vtgate)) {
        return config_error_set(err, "vtgate_web.port: a unix: endpoint of vtgate has no host; use "
                                     "vtgate_web.addresses");
    }
    return true;
}

static bool check_vtctld_tls(const struct config *c, struct config_error *err)
{
    if (!check_pair("vtctld_tls", c->vtctld_tls_cert, c->vtctld_tls_key, err)) {
        return false;
    }
    if (c->vtctld_tls_mode >= CONFIG_VTCTLD_TLS_VERIFY_CA && !is_set(c->vtctld_tls_ca)) {
        return config_error_set(err, "vtctld_tls.mode: verify-ca and verify-identity need "
                                     "vtctld_tls.ca");
    }
    if (c->vtctld_tls_mode == CONFIG_VTCTLD_TLS_VERIFY_IDENTITY && any_unix(&c->vtctld_addresses) &&
        !is_set(c->vtctld_tls_server_name)) {
        return config_error_set(err, "vtctld_tls.mode: verify-identity needs "
                                     "vtctld_tls.server_name for a unix: endpoint, which has no "
                                     "host name");
    }
    return true;
}

static bool check_etcd(const struct config *c, struct config_error *err)
{
    if (!check_pair("etcd_tls", c->etcd_tls_cert, c->etcd_tls_key, err)) {
        return false;
    }
    if (c->etcd_tls_mode >= CONFIG_ETCD_TLS_VERIFY_CA && !is_set(c->etcd_tls_ca)) {
        return config_error_set(err, "etcd_tls.mode: verify-ca and verify-identity need "
                                     "etcd_tls.ca");
    }
    if (c->etcd_tls_mode == CONFIG_ETCD_TLS_VERIFY_IDENTITY && any_unix(&c->fleet_etcd) &&
        !is_set(c->etcd_tls_server_name)) {
        return config_error_set(err, "etcd_tls.mode: verify-identity needs etcd_tls.server_name "
                                     "for a unix: endpoint, which has no host name");
    }
    if (is_set(c->etcd_password) && !is_set(c->etcd_user)) {
        return config_error_set(err, "etcd.password: needs etcd.user");
    }
    return true;
}

/* gRPC's metadata are headers of HTTP: no other characters arrive. */
static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~') {
            return false;
        }
    }
    return true;
}

static bool check_vtctld(const struct config *c, struct config_error *err)
{
    if (is_set(c->vtctld_password) && !is_set(c->vtctld_user)) {
        return config_error_set(err, "vtctld.password: needs vtctld.user");
    }
    if (!is_printable(c->vtctld_user) || !is_printable(c->vtctld_password)) {
        return config_error_set(err, "%s: gRPC takes printable ASCII characters only",
                                is_printable(c->vtctld_user) ? "vtctld.password" : "vtctld.user");
    }
    return true;
}

static bool check_executor(const struct config *c, struct config_error *err)
{
    if (c->ddl_executor != CONFIG_EXECUTOR_VTCTLD) {
        return true;
    }
    if (c->vtctld_addresses.n == 0) {
        return config_error_set(err, "ddl.executor: vtctld needs vtctld.addresses");
    }
    if (strncmp(c->ddl_strategy, "direct", 6) == 0) {
        return config_error_set(err, "ddl.strategy: direct is not for ddl.executor vtctld, which "
                                     "runs online schema changes");
    }
    return true;
}

/* A number that was meant in other units would end every session, one after the other. */
static bool check_memory(const struct config *c, struct config_error *err)
{
    if (c->limits_memory_bytes && c->limits_memory_bytes < MEMORY_MIN) {
        return config_error_set(err,
                                "limits.memory_bytes: %" PRId64 " is less than the process itself "
                                "takes; write 0, for no limit, or at least %d (bytes)",
                                c->limits_memory_bytes, MEMORY_MIN);
    }
    return true;
}

static bool check_run(const struct config *c, struct config_error *err)
{
    if (is_set(c->run_group) && !is_set(c->run_user)) {
        return config_error_set(err, "run.group: needs run.user");
    }
    return true;
}

/* It is a part of etcd's keys. */
static bool check_fleet(const struct config *c, struct config_error *err)
{
    if (strspn(c->fleet_name,
               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") !=
        strlen(c->fleet_name)) {
        return config_error_set(err, "fleet.name: letters, digits, '_', '.' and '-' only");
    }
    return true;
}

static bool check_hold(const struct config *c, struct config_error *err)
{
    if (c->hold_default_ttl_s > c->hold_max_ttl_s) {
        return config_error_set(
            err, "hold.default_ttl_s: %" PRId64 " is above hold.max_ttl_s, which is %" PRId64,
            c->hold_default_ttl_s, c->hold_max_ttl_s);
    }
    return true;
}

static bool check_http(const struct config *c, struct config_error *err)
{
    for (size_t i = 0; i < c->http_tokens.n; i++) {
        const struct user_entry *token = &c->http_tokens.items[i];
        if (strncmp(token->password, "$sha2$", 6) != 0) {
            return config_error_set(err,
                                    "http_tokens: %s: only the hash of a token is stored here, as "
                                    "vtshim --hash-password prints it",
                                    token->name);
        }
        if (token->certificate != NULL) {
            return config_error_set(err, "http_tokens: %s: a token has no certificate",
                                    token->name);
        }
    }
    if (c->http_tls && !is_set(c->tls_cert)) {
        return config_error_set(err, "http_tls: needs tls.cert");
    }
    return true;
}

static bool check_control(const struct config *c, struct config_error *err)
{
    if (c->ddl_cutover == CONFIG_CUTOVER_MANAGED && !is_set(c->control_user)) {
        return config_error_set(err, "ddl.cutover: managed needs control.user");
    }
    if (c->ddl_cutover_window.n > 0 &&
        (c->ddl_cutover == CONFIG_CUTOVER_VITESS || !is_set(c->control_user))) {
        return config_error_set(err, "ddl.cutover_window: the shim has to cut over itself to keep "
                                     "it, which needs control.user, and ddl.cutover auto or "
                                     "managed");
    }
    if (is_set(c->control_password) && !is_set(c->control_user)) {
        return config_error_set(err, "control.password: needs control.user");
    }
    for (size_t i = 0; i < c->admin_users.n; i++) {
        if (c->admin_users.items[i].certificate != NULL && !is_set(c->tls_ca)) {
            return config_error_set(err, "admin_users: the certificate of %s needs tls.ca",
                                    c->admin_users.items[i].name);
        }
    }
    return check_http(c, err);
}

/* The settings that name endpoints, as lists. */
struct named_endpoints {
    const char *key;
    const struct endpoint *items;
    size_t n;
};

/* Whether an endpoint of `right` is one of `left`. The same list: whether one is there twice. */
static bool check_distinct(const struct named_endpoints *left, const struct named_endpoints *right,
                           struct config_error *err)
{
    for (size_t i = 0; i < left->n; i++) {
        for (size_t j = left == right ? i + 1 : 0; j < right->n; j++) {
            const struct endpoint *e = &right->items[j];
            if (e->text == NULL || !endpoint_equal(&left->items[i], e)) {
                continue;
            }
            if (left == right) {
                return config_error_set(err, "%s: %.200s is there twice", right->key, e->text);
            }
            return config_error_set(err, "%s: %.200s is also in %s", right->key, e->text,
                                    left->key);
        }
    }
    return true;
}

/* Nothing listens twice in the same place, and the shim does not connect to itself. */
static bool check_endpoints(const struct config *c, struct config_error *err)
{
    const struct named_endpoints all[] = {
        {"listen", c->listen.items, c->listen.n},
        {"vtgate", c->vtgate.items, c->vtgate.n},
        {"vtctld.addresses", c->vtctld_addresses.items, c->vtctld_addresses.n},
        {"topo.addresses", c->topo_addresses.items, c->topo_addresses.n},
        {"admin", &c->admin, 1},
        {"http", &c->http, 1}};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        for (size_t j = 0; j <= i; j++) {
            if (!check_distinct(&all[j], &all[i], err)) {
                return false;
            }
        }
    }
    return true;
}

static bool check_policy(const struct config *c, struct config_error *err)
{
    struct policy_rule ignored;
    for (size_t i = 0; i < c->ddl_policy.n; i++) {
        if (!policy_parse(c->ddl_policy.items[i], &ignored, err)) {
            return false;
        }
    }
    return true;
}

static bool check_windows(const struct config *c, struct config_error *err)
{
    for (size_t i = 0; i < c->ddl_cutover_window.n; i++) {
        struct window w;

        if (!window_parse(&w, c->ddl_cutover_window.items[i])) {
            return config_error_set(
                err,
                "ddl.cutover_window: '%s' is no window; write HH:MM-HH:MM in UTC, such as "
                "02:00-04:00 or 22:30-01:00",
                c->ddl_cutover_window.items[i]);
        }
    }
    return true;
}

bool config_check(const struct config *c, struct config_error *err)
{
    static check_fn *const checks[] = {
        check_required, check_endpoints,  check_tls,    check_vtgate_tls, check_vtgate_web,
        check_topo,     check_vtctld_tls, check_vtctld, check_executor,   check_hold,
        check_control,  check_windows,    check_policy, check_etcd,       check_fleet,
        check_run,      check_memory};
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        if (!checks[i](c, err)) {
            return false;
        }
    }
    return true;
}
