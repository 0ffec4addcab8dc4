/*
 * The types of settings that are made of parts: one endpoint, lists of endpoints and of strings,
 * and users with their passwords.
 *
 * A list is read completely before it takes the place of the old one, so that a mistake in its
 * last entry leaves the setting as it was.
 */
#include "config/value.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- one endpoint, or none ---- */

static bool set_endpoint_text(const struct option_row *row, void *field, const char *text,
                              struct config_error *err)
{
    struct endpoint parsed = {0};
    if (text[0] == '\0' && row->min > 0) {
        return config_error_set(err, "%s: must not be empty", row->key);
    }
    if (text[0] != '\0' && !endpoint_parse(text, &parsed, err)) {
        config_error_prefix(err, ": ");
        return config_error_prefix(err, row->key);
    }
    endpoint_fini(field);
    *(struct endpoint *)field = parsed;
    return true;
}

static void format_endpoint(const struct option_row *row, const void *field, struct text_out *out)
{
    const struct endpoint *e = field;
    (void)row;
    text_out_add(out, e->text != NULL ? e->text : "");
}

static void copy_endpoint(const void *from, void *to)
{
    const struct endpoint *e = from;
    *(struct endpoint *)to = *e;
    if (e->text != NULL) {
        ((struct endpoint *)to)->host = config_strndup(e->host, strlen(e->host));
        ((struct endpoint *)to)->text = config_strndup(e->text, strlen(e->text));
    }
}

static bool equal_endpoint(const void *a, const void *b)
{
    return endpoint_equal(a, b);
}

static void fini_endpoint(void *field)
{
    endpoint_fini(field);
}

/* ---- lists of strings and of endpoints ---- */

static bool check_count(const struct option_row *row, size_t n, struct config_error *err)
{
    if ((int64_t)n < row->min) {
        return config_error_set(err, "%s: has %zu entries, the minimum is %" PRId64, row->key, n,
                                row->min);
    }
    if ((int64_t)n > row->max) {
        return config_error_set(err, "%s: has %zu entries, the maximum is %" PRId64, row->key, n,
                                row->max);
    }
    return true;
}

static void format_strings(const struct option_row *row, const void *field, struct text_out *out)
{
    const struct string_list *list = field;
    (void)row;
    for (size_t i = 0; i < list->n; i++) {
        text_out_add(out, i > 0 ? "," : "");
        text_out_add(out, list->items[i]);
    }
}

static void copy_strings(const void *from, void *to)
{
    const struct string_list *list = from;
    char **items = config_alloc(list->n, sizeof(*items));
    for (size_t i = 0; i < list->n; i++) {
        items[i] = config_strndup(list->items[i], strlen(list->items[i]));
    }
    *(struct string_list *)to = (struct string_list){items, list->n};
}

static bool equal_strings(const void *a, const void *b)
{
    const struct string_list *left = a, *right = b;
    bool equal = left->n == right->n;
    for (size_t i = 0; equal && i < left->n; i++) {
        equal = strcmp(left->items[i], right->items[i]) == 0;
    }
    return equal;
}

static void fini_strings(void *field)
{
    struct string_list *list = field;
    for (size_t i = 0; i < list->n; i++) {
        config_wipe_free(list->items[i]);
    }
    free(list->items);
    *list = (struct string_list){0};
}

static bool set_strings(const struct option_row *row, void *field, const char *const *items,
                        size_t n, struct config_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (items[i][0] == '\0') {
            return config_error_set(err, "%s: entry %zu is empty", row->key, i + 1);
        }
    }
    char **copies = config_alloc(n, sizeof(*copies));
    for (size_t i = 0; i < n; i++) {
        copies[i] = config_strndup(items[i], strlen(items[i]));
    }
    fini_strings(field);
    *(struct string_list *)field = (struct string_list){copies, n};
    return true;
}

static void format_endpoints(const struct option_row *row, const void *field, struct text_out *out)
{
    const struct endpoints *list = field;
    for (size_t i = 0; i < list->n; i++) {
        text_out_add(out, i > 0 ? "," : "");
        format_endpoint(row, &list->items[i], out);
    }
}

static void copy_endpoints(const void *from, void *to)
{
    const struct endpoints *list = from;
    struct endpoint *items = config_alloc(list->n, sizeof(*items));
    for (size_t i = 0; i < list->n; i++) {
        copy_endpoint(&list->items[i], &items[i]);
    }
    *(struct endpoints *)to = (struct endpoints){items, list->n};
}

static bool equal_endpoints(const void *a, const void *b)
{
    const struct endpoints *left = a, *right = b;
    bool equal = left->n == right->n;
    for (size_t i = 0; equal && i < left->n; i++) {
        equal = endpoint_equal(&left->items[i], &right->items[i]);
    }
    return equal;
}

static void fini_endpoints(void *field)
{
    struct endpoints *list = field;
    for (size_t i = 0; i < list->n; i++) {
        endpoint_fini(&list->items[i]);
    }
    free(list->items);
    *list = (struct endpoints){0};
}

static bool set_endpoints(const struct option_row *row, void *field, const char *const *items,
                          size_t n, struct config_error *err)
{
    struct endpoints list = {config_alloc(n, sizeof(struct endpoint)), n};
    for (size_t i = 0; i < n; i++) {
        if (!endpoint_parse(items[i], &list.items[i], err)) {
            fini_endpoints(&list);
            config_error_prefix(err, ": ");
            return config_error_prefix(err, row->key);
        }
    }
    fini_endpoints(field);
    *(struct endpoints *)field = list;
    return true;
}

bool value_set_list(const struct option_row *row, void *field, const char *const *items, size_t n,
                    struct config_error *err)
{
    if (!check_count(row, n, err)) {
        return false;
    }
    return row->type == OPTION_ENDPOINTS ? set_endpoints(row, field, items, n, err)
                                         : set_strings(row, field, items, n, err);
}

/* The part of text up to `end`, without blanks around it. */
static char *trimmed(const char *text, const char *end)
{
    while (text < end && isspace((unsigned char)*text)) {
        text++;
    }
    while (end > text && isspace((unsigned char)end[-1])) {
        end--;
    }
    return config_strndup(text, (size_t)(end - text));
}

/* "A,B": blanks around an entry do not count; nothing at all is an empty list. */
static bool set_list_text(const struct option_row *row, void *field, const char *text,
                          struct config_error *err)
{
    size_t n = text[strspn(text, " \t")] == '\0' ? 0 : 1;
    for (const char *p = text; *p != '\0'; p++) {
        n += *p == ',';
    }
    char **items = config_alloc(n, sizeof(*items));
    for (size_t i = 0; i < n; i++) {
        const char *end = text + strcspn(text, ",");
        items[i] = trimmed(text, end);
        text = end + 1;
    }
    bool ok = value_set_list(row, field, (const char *const *)items, n, err);
    fini_strings(&(struct string_list){items, n});
    return ok;
}

/* ---- users ---- */

static bool is_hex(const char *text, size_t len)
{
    return strlen(text) == len && strspn(text, "0123456789abcdefABCDEF") == len;
}

/* What looks like a hash must be one: a hash that lost a digit must not become a password in
   clear. */
static bool check_user(const struct option_row *row, const struct user_entry *user,
                       struct config_error *err)
{
    static const char sha2[] = "$sha2$";
    const char *password = user->password;
    if (user->name[0] == '\0' || strlen(user->name) > 32) {
        return config_error_set(err, "%s: a user name must have 1 to 32 bytes", row->key);
    }
    if (password[0] == '\0' || strlen(password) > 255) {
        return config_error_set(err, "%s: the password of %s must have 1 to 255 bytes", row->key,
                                user->name);
    }
    if (password[0] == '*' && !is_hex(password + 1, 40)) {
        return config_error_set(err,
                                "%s: the password of %s begins with '*', so it must be a "
                                "hash: '*' and 40 hexadecimal digits",
                                row->key, user->name);
    }
    if (strncmp(password, sha2, strlen(sha2)) == 0 && !is_hex(password + strlen(sha2), 64)) {
        return config_error_set(err,
                                "%s: the password of %s begins with $sha2$, so it must be a "
                                "hash: $sha2$ and 64 hexadecimal digits",
                                row->key, user->name);
    }
    if (user->certificate && (!*user->certificate || strlen(user->certificate) > 255)) {
        return config_error_set(err, "%s: the certificate of %s must have 1 to 255 bytes", row->key,
                                user->name);
    }
    return true;
}

const char *config_role_name(enum config_role role)
{
    static const char *const names[CONFIG_ROLES] = {"viewer", "operator", "admin"};
    return names[role];
}

static void fini_users(void *field)
{
    struct user_list *list = field;
    for (size_t i = 0; i < list->n; i++) {
        free(list->items[i].name);
        free(list->items[i].certificate);
        config_wipe_free(list->items[i].password);
    }
    free(list->items);
    *list = (struct user_list){0};
}

static void copy_users(const void *from, void *to)
{
    const struct user_list *list = from;
    struct user_entry *items = config_alloc(list->n, sizeof(*items));
    for (size_t i = 0; i < list->n; i++) {
        const struct user_entry *u = &list->items[i];
        items[i].name = config_strndup(u->name, strlen(u->name));
        items[i].password = config_strndup(u->password, strlen(u->password));
        items[i].certificate =
            u->certificate ? config_strndup(u->certificate, strlen(u->certificate)) : NULL;
        items[i].role = u->role;
    }
    *(struct user_list *)to = (struct user_list){items, list->n};
}

bool value_set_users(const struct option_row *row, void *field, const struct user_entry *users,
                     size_t n, struct config_error *err)
{
    if (!check_count(row, n, err)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!check_user(row, &users[i], err)) {
            return false;
        }
    }
    struct user_list list;
    /* Cast: copying does not write through the list, which has no const variant. */
    copy_users(&(struct user_list){(struct user_entry *)users, n}, &list);
    fini_users(field);
    *(struct user_list *)field = list;
    return true;
}

static bool set_users_text(const struct option_row *row, void *field, const char *text,
                           struct config_error *err)
{
    if (text[0] == '\0') {
        return value_set_users(row, field, NULL, 0, err);
    }
    return config_error_set(err,
                            "%s: can only be set in the configuration file, for command lines "
                            "can be read by others",
                            row->key);
}

static void format_users(const struct option_row *row, const void *field, struct text_out *out)
{
    const struct user_list *list = field;
    (void)row;
    for (size_t i = 0; i < list->n; i++) {
        text_out_add(out, i > 0 ? "," : "");
        text_out_add(out, list->items[i].name);
        text_out_add(out, ":******");
        if (list->items[i].role != CONFIG_ROLE_ADMIN) {
            text_out_add(out, ":");
            text_out_add(out, config_role_name(list->items[i].role));
        }
    }
}

static bool equal_users(const void *a, const void *b)
{
    const struct user_list *left = a, *right = b;
    bool equal = left->n == right->n;
    for (size_t i = 0; equal && i < left->n; i++) {
        const struct user_entry *l = &left->items[i], *r = &right->items[i];
        equal = strcmp(l->name, r->name) == 0 && strcmp(l->password, r->password) == 0 &&
                l->role == r->role && !l->certificate == !r->certificate &&
                (!l->certificate || strcmp(l->certificate, r->certificate) == 0);
    }
    return equal;
}

const struct value_type value_type_endpoint = {"endpoint",    set_endpoint_text, format_endpoint,
                                               copy_endpoint, equal_endpoint,    fini_endpoint};
const struct value_type value_type_endpoints = {"list of endpoints", set_list_text,
                                                format_endpoints,    copy_endpoints,
                                                equal_endpoints,     fini_endpoints};
const struct value_type value_type_strings = {"list of strings", set_list_text, format_strings,
                                              copy_strings,      equal_strings, fini_strings};
const struct value_type value_type_users = {"users",    set_users_text, format_users,
                                            copy_users, equal_users,    fini_users};
