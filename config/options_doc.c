/*
 * Prints docs/CONFIG.md from the table of settings: an introduction, the table, and a complete
 * example, which is loaded and checked before it is printed, so that it cannot be wrong.
 *
 * Usage: vtshim-options-doc > docs/CONFIG.md (the target docs-config; a test compares them).
 */
#include "config/load.h"
#include "config/support.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char intro[] =
    "# Configuration\n"
    "\n"
    "<!-- Written by vtshim-options-doc from config/options.def; do not edit: "
    "cmake --build build/dev --target docs-config -->\n"
    "\n"
    "vtshim reads one JSON file (`vtshim --config FILE`; `vtshim --check --config FILE` only says\n"
    "what is wrong with it). A setting whose name has a dot stands in a nested object\n"
    "(`{\"ddl\": {\"poll_interval_ms\": 500}}`) or under its full name\n"
    "(`{\"ddl.poll_interval_ms\": 500}`). Every setting but `vtgate` has a default, so this is a\n"
    "whole configuration:\n"
    "\n"
    "```json\n"
    "{\"vtgate\": \"vtgate.example.com:15306\"}\n"
    "```\n"
    "\n"
    "- **Mistakes are refused, not guessed at.** An unknown setting, one set twice, a value of\n"
    "  another type or out of its bounds, and settings that do not fit together are errors, with\n"
    "  file, line and what would be right: `vtshim.json:7: ddl.poll_interval_ms: 5 is below the\n"
    "  minimum 50 (milliseconds)`. At start vtshim then ends; at a reload it goes on with what it\n"
    "  had.\n"
    "- **Reload**: settings marked *yes* take effect with a reload (SIGHUP, or `RELOAD` on the\n"
    "  console, which also shows what changed), for new sessions or commands; the others with the\n"
    "  next start. `SET option = value` on the console changes one of the former until the file is\n"
    "  read again.\n"
    "- **Units** are part of the names: `_ms` milliseconds, `_s` seconds, `_bytes` bytes. Numbers\n"
    "  are JSON integers, without quotes; a file is at most 1 MiB of UTF-8.\n"
    "- **Endpoints** are `HOST:PORT`, `[IPV6]:PORT` or `unix:/PATH`. A list of them is a JSON "
    "list\n"
    "  of strings, or one string with commas.\n"
    "- **Passwords** are never shown or logged; still, keep the file from others (`chmod 600`) "
    "and\n"
    "  prefer hashes in `admin_users`. A password there that begins with `*` or `$sha2$` must be "
    "a\n"
    "  hash; `http_tokens` takes hashes only. `vtshim --hash-password` makes them.\n"
    "\n"
    "## Settings\n"
    "\n"
    "| Setting | Type | Default | Allowed | Reload | What it does |\n"
    "|---|---|---|---|---|---|\n";

static const char outro_rules[] =
    "\n"
    "Besides, these belong together: `tls.cert` and `tls.key`, `vtgate_tls.cert` and\n"
    "`vtgate_tls.key`, `vtctld_tls.cert` and `vtctld_tls.key`, `etcd_tls.cert` and\n"
    "`etcd_tls.key`; `tls.ca` and `tls.required` need `tls.cert`; `verify-ca` and\n"
    "`verify-identity` need `vtgate_tls.ca`, `vtctld_tls.ca` or `etcd_tls.ca`, and the latter, for\n"
    "a `unix:` endpoint, a `server_name`; `http_tls` needs `tls.cert`, and an admin user's\n"
    "`certificate` needs `tls.ca`; `run.group` needs `run.user`;\n"
    "`control.password` needs `control.user`, `etcd.password` needs `etcd.user`,\n"
    "`vtctld.password` needs `vtctld.user`, and both of the latter are printable ASCII;\n"
    "`ddl.cutover` `managed` needs `control.user`, and `ddl.cutover_window` needs it and a\n"
    "`ddl.cutover` of `managed` or `auto`; `ddl.executor` `vtctld` needs `vtctld.addresses` and "
    "an\n"
    "online `ddl.strategy`;\n"
    "`vtgate_web.addresses` has as many entries as `vtgate` and goes without `vtgate_web.port`,\n"
    "which in its turn goes without a `unix:` endpoint in `vtgate`; it and `topo.addresses` are\n"
    "`HOST:PORT`; `topo.roots` begin with `/`; `fleet.name` is letters, digits, `_`, `.` and `-`;\n"
    "`hold.default_ttl_s` is at most `hold.max_ttl_s`; and no endpoint is there twice in `listen`,\n"
    "`admin`, `http`, `vtgate`, `vtctld.addresses` and `topo.addresses` together.\n"
    "\n"
    "## A complete example\n"
    "\n"
    "All settings, most with their defaults:\n"
    "\n"
    "```json\n";

static const char outro_end[] = "\n```\n";

/* What the example shows instead of a default. */
static const struct {
    const char *key, *text;
} examples[] = {
    {"listen", "0.0.0.0:3306,unix:/run/vtshim/mysql.sock"},
    {"vtgate", "vtgate-1.example.com:15306,vtgate-2.example.com:15306"},
    {"tls.cert", "/etc/vtshim/server-cert.pem"},
    {"tls.key", "/etc/vtshim/server-key.pem"},
    {"tls.ca", "/etc/vtshim/clients-ca.pem"},
    {"vtgate_tls.mode", "verify-identity"},
    {"vtgate_tls.ca", "/etc/vtshim/vtgate-ca.pem"},
    {"vtgate_tls.cert", "/etc/vtshim/client-cert.pem"},
    {"vtgate_tls.key", "/etc/vtshim/client-key.pem"},
    {"vtgate_tls.server_name", "vtgate.example.com"},
    {"vtgate_web.port", "15001"},
    {"ddl.strategy", "vitess --allow-concurrent"},
    {"control.user", "vtshim_health"},
    {"control.password", "change-me"},
    {"topo.addresses", "etcd.example.com:2379"},
    {"topo.roots", "/vitess/global,/vitess/zone1"},
    {"etcd.user", "vtshim"},
    {"etcd.password", "change-me"},
    {"etcd_tls.mode", "verify-identity"},
    {"etcd_tls.ca", "/etc/vtshim/etcd-ca.pem"},
    {"etcd_tls.cert", "/etc/vtshim/client-cert.pem"},
    {"etcd_tls.key", "/etc/vtshim/client-key.pem"},
    {"etcd_tls.server_name", "etcd.example.com"},
    {"vtctld.addresses", "vtctld.example.com:15999"},
    {"vtctld.user", "vtshim"},
    {"vtctld.password", "change-me"},
    {"vtctld_tls.mode", "verify-identity"},
    {"vtctld_tls.ca", "/etc/vtshim/vtctld-ca.pem"},
    {"vtctld_tls.cert", "/etc/vtshim/client-cert.pem"},
    {"vtctld_tls.key", "/etc/vtshim/client-key.pem"},
    {"vtctld_tls.server_name", "vtctld.example.com"},
};

static const char *value_text(const struct config *c, const struct option_row *row)
{
    static char buf[4096];
    option_format(c, row, buf, sizeof(buf));
    return buf;
}

/* A bar would end the cell of a Markdown table. */
static void print_cell(const char *text)
{
    for (; *text != '\0'; text++) {
        printf(*text == '|' ? "\\|" : "%c", *text);
    }
}

static void print_row(const struct option_row *row)
{
    char bounds[200];
    option_format_bounds(row, bounds, sizeof(bounds));
    printf("| `%s` | %s | ", row->key, option_type_name(row));
    if (row->fallback == NULL) {
        printf("*required*");
    } else if (row->fallback[0] == '\0') {
        printf("*empty*");
    } else {
        printf("`%s`", row->fallback);
    }
    printf(" | %s | %s | ", bounds, row->reloadable ? "yes" : "no");
    print_cell(row->doc);
    printf(" |\n");
}

static json_t *list_value(const char *text)
{
    json_t *list = json_array();
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        json_array_append_new(list, json_stringn(text, len));
        text += text[len] == ',' ? len + 1 : len;
    }
    return list;
}

static json_t *example_users(const struct option_row *row)
{
    /* Digits that are nobody's hash: whoever copies the example opens no door. */
    if (strcmp(row->key, "http_tokens") == 0) {
        return json_pack("{s:{s:s, s:s}}", "deploy", "password",
                         "$sha2$0123456789abcdef0123456789abcdef"
                         "0123456789abcdef0123456789abcdef",
                         "role", "operator");
    }
    return json_pack("{s:s, s:s}", "dba", "*0123456789ABCDEF0123456789ABCDEF01234567", "deploy",
                     "$sha2$0123456789abcdef0123456789abcdef"
                     "0123456789abcdef0123456789abcdef");
}

static json_t *example_value(const struct config *c, const struct option_row *row)
{
    const char *text = value_text(c, row);
    switch (row->type) {
    case OPTION_BOOL:
        return json_boolean(strcmp(text, "true") == 0);
    case OPTION_INT:
        return json_integer(strtoll(text, NULL, 10));
    case OPTION_ENDPOINTS:
    case OPTION_STRINGS:
        return list_value(text);
    case OPTION_USERS:
        return example_users(row);
    case OPTION_SECRET:
        return json_string(c->control_password);
    default:
        return json_string(text);
    }
}

/* Puts a value where its key says: "ddl.strategy" into the object "ddl". */
static void put(json_t *root, const char *key, json_t *value)
{
    const char *dot = strchr(key, '.');
    if (dot == NULL) {
        json_object_set_new(root, key, value);
        return;
    }
    char *group = config_strndup(key, (size_t)(dot - key));
    if (json_object_get(root, group) == NULL) {
        json_object_set_new(root, group, json_object());
    }
    json_object_set_new(json_object_get(root, group), dot + 1, value);
    free(group);
}

static char *example_text(const struct config *c)
{
    size_t n;
    const struct option_row *rows = options_table(&n);
    json_t *root = json_object();
    for (size_t i = 0; i < n; i++) {
        put(root, rows[i].key, example_value(c, &rows[i]));
    }
    char *text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    return text;
}

/* Prints the example; false: it is not a valid configuration. */
static bool print_example(void)
{
    struct config_error err;
    struct config *wanted = config_create_default(), *loaded = config_create_default();
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof(examples) / sizeof(examples[0]); i++) {
        ok = option_set_text(wanted, examples[i].key, examples[i].text, &err);
    }
    char *text = example_text(wanted);
    ok = ok && config_load_text("example", text, strlen(text), loaded, &err) &&
         config_check(loaded, &err);
    if (ok) {
        printf("%s", text);
    } else {
        fprintf(stderr, "vtshim-options-doc: %s\n", err.text);
    }
    free(text);
    config_destroy(wanted);
    config_destroy(loaded);
    return ok;
}

int main(void)
{
    size_t n;
    const struct option_row *rows = options_table(&n);
    fputs(intro, stdout);
    for (size_t i = 0; i < n; i++) {
        print_row(&rows[i]);
    }
    fputs(outro_rules, stdout);
    if (!print_example()) {
        return EXIT_FAILURE;
    }
    fputs(outro_end, stdout);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
