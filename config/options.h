/*
 * All settings of vtshim as one value: struct config, generated from options.def, with a field for
 * each row (the key's dots are underscores: ddl.poll_interval_ms is ddl_poll_interval_ms).
 *
 * A config is built by one thread (config_create_default, config/load.h, option_set_text,
 * config_check) and must not be changed once it is shared: a changed setting is a changed clone.
 * It owns all it points to and refers to nothing else. Out of memory aborts the process.
 *
 * No function here or in load.h logs, and no error text contains the value of a secret.
 */
#ifndef VTSHIM_CONFIG_OPTIONS_H
#define VTSHIM_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is wrong and what would be right, for people: "FILE:LINE: KEY: ..." from a file, else
   "KEY: ...". One line, UTF-8, no control characters. */
struct config_error {
    char text[512];
};

/* Where to listen or connect. None: all zero, text is NULL. */
struct endpoint {
    char *host;    /* name or address without brackets; the path if is_unix */
    uint16_t port; /* 1..65535; 0 if is_unix */
    bool is_unix;
    char *text; /* as in the configuration: "HOST:PORT", "[::1]:3306", "unix:/path" */
};

struct endpoints {
    struct endpoint *items;
    size_t n;
};

struct string_list {
    char **items;
    size_t n;
};

/* What a user of the admin console may do; each has what those before it have. */
enum config_role { CONFIG_ROLE_VIEWER, CONFIG_ROLE_OPERATOR, CONFIG_ROLE_ADMIN, CONFIG_ROLES };

/* In the configuration's words: "viewer", "operator", "admin". */
const char *config_role_name(enum config_role role);

/* password: in clear, or '*' and 40 hex digits, or "$sha2$" and 64 hex digits; never empty.
   certificate: the common name in the certificate that the user has to show, or NULL. */
struct user_entry {
    char *name;
    char *password;
    char *certificate;
    enum config_role role;
};

struct user_list {
    struct user_entry *items;
    size_t n;
};

/* The values of the ENUM settings; a test compares them with the words in options.def. */
enum config_log_level { CONFIG_LOG_DEBUG, CONFIG_LOG_INFO, CONFIG_LOG_WARN, CONFIG_LOG_ERROR };
enum config_log_format { CONFIG_LOG_TEXT, CONFIG_LOG_JSON };
enum config_seccomp {
    CONFIG_SECCOMP_OFF,
    CONFIG_SECCOMP_LOG,
    CONFIG_SECCOMP_ENFORCE,
    CONFIG_SECCOMP_KILL
};
enum config_tls_mode {
    CONFIG_TLS_OFF,
    CONFIG_TLS_PREFERRED,
    CONFIG_TLS_REQUIRED,
    CONFIG_TLS_VERIFY_CA,
    CONFIG_TLS_VERIFY_IDENTITY
};
enum config_vtctld_tls_mode {
    CONFIG_VTCTLD_TLS_OFF,
    CONFIG_VTCTLD_TLS_REQUIRED,
    CONFIG_VTCTLD_TLS_VERIFY_CA,
    CONFIG_VTCTLD_TLS_VERIFY_IDENTITY
};
enum config_etcd_tls_mode {
    CONFIG_ETCD_TLS_OFF,
    CONFIG_ETCD_TLS_REQUIRED,
    CONFIG_ETCD_TLS_VERIFY_CA,
    CONFIG_ETCD_TLS_VERIFY_IDENTITY
};
enum config_executor { CONFIG_EXECUTOR_VTGATE, CONFIG_EXECUTOR_VTCTLD };
enum config_unsure_writes { CONFIG_UNSURE_NEVER, CONFIG_UNSURE_AWAY, CONFIG_UNSURE_ALWAYS };
enum config_cutover { CONFIG_CUTOVER_AUTO, CONFIG_CUTOVER_VITESS, CONFIG_CUTOVER_MANAGED };
enum config_proxy_protocol { CONFIG_PROXY_OFF, CONFIG_PROXY_V1, CONFIG_PROXY_V2 };
enum config_preflight { CONFIG_PREFLIGHT_ENFORCE, CONFIG_PREFLIGHT_WARN, CONFIG_PREFLIGHT_OFF };
enum config_on_conflict { CONFIG_CONFLICT_QUEUE, CONFIG_CONFLICT_REFUSE };
enum config_progress { CONFIG_PROGRESS_OFF, CONFIG_PROGRESS_MARIADB };
enum config_queue { CONFIG_QUEUE_WAIT, CONFIG_QUEUE_REFUSE, CONFIG_QUEUE_OFF };
enum config_on_disconnect { CONFIG_DISCONNECT_DETACH, CONFIG_DISCONNECT_CANCEL };

/* The types of options.def and the C type of their fields. Strings are never NULL. */
enum option_type {
    OPTION_BOOL,
    OPTION_INT,
    OPTION_STRING,
    OPTION_SECRET, /* a STRING that is never shown */
    OPTION_ENUM,   /* index into the list of words: one of the enums above */
    OPTION_ENDPOINT,
    OPTION_ENDPOINTS,
    OPTION_STRINGS,
    OPTION_USERS /* the passwords are never shown */
};
#define OPTION_CTYPE_BOOL      bool
#define OPTION_CTYPE_INT       int64_t
#define OPTION_CTYPE_STRING    char *
#define OPTION_CTYPE_SECRET    char *
#define OPTION_CTYPE_ENUM      int
#define OPTION_CTYPE_ENDPOINT  struct endpoint
#define OPTION_CTYPE_ENDPOINTS struct endpoints
#define OPTION_CTYPE_STRINGS   struct string_list
#define OPTION_CTYPE_USERS     struct user_list

struct config {
#define OPTION(key, field, type, fallback, min, max, unit, reload, doc) OPTION_CTYPE_##type field;
#include "config/options.def"
#undef OPTION
};

/* A row of options.def. */
struct option_row {
    const char *key;
    enum option_type type;
    bool reloadable;
    size_t offset;        /* of the field in struct config */
    const char *fallback; /* the default as text; NULL: must be given */
    int64_t min, max;
    const char *unit; /* of an INT, or "" ; the words of an ENUM, separated by blanks */
    const char *doc;
};

/* All defaults. Settings without one are empty until set: see config_check. */
struct config *config_create_default(void);

/* An equal config that shares nothing with this one. */
struct config *config_clone(const struct config *c);

/* Frees all; strings are wiped first, for some are passwords. NULL is allowed. */
void config_destroy(struct config *c);

/* All rows, in the order to show them; *n becomes their number. */
const struct option_row *options_table(size_t *n);

/* The row of that key, or NULL. */
const struct option_row *option_find(const char *key);

/* Sets one setting from text: a command-line option or SET. Lists are separated by commas,
   booleans are true, on, yes, 1 / false, off, no, 0. admin_users is refused: passwords belong into
   the file. On false, *err says why and *c is unchanged. */
bool option_set_text(struct config *c, const char *key, const char *text, struct config_error *err);

/* The value as text that option_set_text accepts, except that secrets are "******". Returns the
   length of the whole text; what does not fit into buf[size], with its NUL, is cut. */
size_t option_format(const struct config *c, const struct option_row *row, char *buf, size_t size);

/* Whether a and b have the same value of the setting, secrets included: a reload reports what
   changed and which of it waits for a restart. */
bool option_equal(const struct config *a, const struct config *b, const struct option_row *row);

/* Makes *to's value of the setting that of *from. */
void option_copy(struct config *to, const struct config *from, const struct option_row *row);

/* The type for people ("integer", "list of endpoints") and what is allowed ("50 to 60000
   milliseconds", "debug, info, warn, error"; "" if there is nothing to say). The latter returns
   and cuts like option_format. */
const char *option_type_name(const struct option_row *row);
size_t option_format_bounds(const struct option_row *row, char *buf, size_t size);

/* Parses "HOST:PORT", "[IPV6]:PORT" or "unix:/PATH" into *out, which endpoint_fini frees. No name
   is resolved. On false, *err says why, without a key, and *out is empty. */
bool endpoint_parse(const char *text, struct endpoint *out, struct config_error *err);
void endpoint_fini(struct endpoint *e);

/* Whether both are the same place as far as their texts tell; host names ignore case. */
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);

#endif
