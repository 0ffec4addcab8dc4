/*
 * Reads a configuration file: text, jansson, then each key into its setting. Says in which line a
 * mistake is. What a value may be is value.c's and list.c's; what fits together is check.c's.
 *
 * The text may hold passwords. Ours is wiped after use, jansson's copies are only freed. jansson's
 * own error texts quote what stands near the mistake, so that part is cut off.
 */
#include "config/load.h"

#include "config/lines.h"
#include "config/suggest.h"
#include "config/value.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct loader {
    const char *name; /* of the file, for errors */
    const char *text;
    size_t len;
    struct config *into;
    bool *seen;          /* for each row: it has been set */
    const char *path[2]; /* the key being read: "listen", or "ddl" and "strategy" */
    size_t depth;        /* of path */
    struct config_error *err;
};

/* Puts "FILE:LINE: ", or "FILE: " for line 0, before the error text. Returns false. */
static bool fail_at(const struct loader *l, size_t line)
{
    char prefix[256];
    struct text_out out = {prefix, sizeof(prefix) - 32, 0}; /* room is left for the line */
    text_out_add(&out, l->name);
    out = (struct text_out){prefix, sizeof(prefix), strlen(prefix)};
    if (line > 0) {
        text_out_add(&out, ":");
        text_out_int(&out, (int64_t)line);
    }
    text_out_add(&out, ": ");
    return config_error_prefix(l->err, prefix);
}

static bool fail_at_key(const struct loader *l)
{
    return fail_at(l, lines_of_key(l->text, l->len, l->path, l->depth));
}

/* ---- values: JSON types to types of settings ---- */

static const char *type_name(const json_t *value)
{
    static const char *const names[] = {[JSON_OBJECT] = "an object",
                                        [JSON_ARRAY] = "a list",
                                        [JSON_STRING] = "a string",
                                        [JSON_INTEGER] = "an integer",
                                        [JSON_REAL] = "a floating-point number",
                                        [JSON_TRUE] = "true",
                                        [JSON_FALSE] = "false",
                                        [JSON_NULL] = "null"};
    return names[json_typeof(value)];
}

static bool must_be(const char *key, const char *expected, const json_t *value,
                    struct config_error *err)
{
    return config_error_set(err, "%s: must be %s, not %s", key, expected, type_name(value));
}

static bool set_bool(const struct option_row *row, void *field, const json_t *value,
                     struct config_error *err)
{
    if (!json_is_boolean(value)) {
        return must_be(row->key, "true or false", value, err);
    }
    value_set_bool(field, json_is_true(value));
    return true;
}

static bool set_int(const struct option_row *row, void *field, const json_t *value,
                    struct config_error *err)
{
    if (!json_is_integer(value)) {
        return must_be(row->key, "an integer", value, err);
    }
    return value_set_int(row, field, json_integer_value(value), err);
}

static bool set_text(const struct option_row *row, void *field, const json_t *value,
                     struct config_error *err)
{
    if (!json_is_string(value)) {
        return must_be(row->key, "a string", value, err);
    }
    return value_set_text(row, field, json_string_value(value), err);
}

static bool set_list(const struct option_row *row, void *field, const json_t *value,
                     struct config_error *err)
{
    if (json_is_string(value)) {
        return value_set_text(row, field, json_string_value(value), err);
    }
    if (!json_is_array(value)) {
        return must_be(row->key, "a list of strings or a string", value, err);
    }
    size_t n = json_array_size(value);
    const char **items = config_alloc(n, sizeof(*items));
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        const json_t *item = json_array_get(value, i);
        items[i] = json_string_value(item);
        if (items[i] == NULL) {
            ok = config_error_set(err, "%s: entry %zu must be a string, not %s", row->key, i + 1,
                                  type_name(item));
        }
    }
    ok = ok && value_set_list(row, field, items, n, err);
    free(items);
    return ok;
}

static bool read_role(const struct option_row *row, const json_t *value, struct user_entry *user,
                      struct config_error *err)
{
    const char *text = json_string_value(value);
    for (int role = 0; text != NULL && role < CONFIG_ROLES; role++) {
        if (strcmp(text, config_role_name((enum config_role)role)) == 0) {
            user->role = (enum config_role)role;
            return true;
        }
    }
    return config_error_set(err, "%s: the role of %.100s must be viewer, operator or admin",
                            row->key, user->name);
}

/* A password, or an object with one, and perhaps a role and a certificate's name. */
static bool read_user(const struct option_row *row, const json_t *value, struct user_entry *user,
                      struct config_error *err)
{
    json_t *object = (json_t *)value, *item;
    const char *key;
    user->role = CONFIG_ROLE_ADMIN;
    user->password = (char *)json_string_value(value);
    json_object_foreach(object, key, item)
    {
        if (strcmp(key, "role") == 0) {
            if (!read_role(row, item, user, err)) {
                return false;
            }
        } else if (strcmp(key, "certificate") == 0 && json_is_string(item)) {
            user->certificate = (char *)json_string_value(item);
        } else if (strcmp(key, "password") == 0) {
            user->password = (char *)json_string_value(item);
            value = item;
        } else {
            return config_error_set(
                err, "%s: %.100s may have password, role and certificate (a string), not %.100s",
                row->key, user->name, key);
        }
    }
    if (user->password != NULL) {
        return true;
    }
    return config_error_set(err, "%s: the password of %.100s must be a string, not %s", row->key,
                            user->name, json_is_object(value) ? "left out" : type_name(value));
}

static bool set_users(const struct option_row *row, void *field, const json_t *value,
                      struct config_error *err)
{
    if (!json_is_object(value)) {
        return must_be(row->key, "an object of user names and passwords", value, err);
    }
    json_t *object = (json_t *)value; /* jansson's iteration wants it so, but changes nothing */
    const char *name;
    json_t *user;
    struct user_entry *users = config_alloc(json_object_size(value), sizeof(*users));
    size_t n = 0;
    bool ok = true;
    json_object_foreach(object, name, user)
    {
        users[n].name = (char *)name;
        ok = read_user(row, user, &users[n++], err);
        if (!ok) {
            break;
        }
    }
    ok = ok && value_set_users(row, field, users, n, err);
    free(users);
    return ok;
}

static bool set_value(struct loader *l, const struct option_row *row, const json_t *value)
{
    static bool (*const setters[])(const struct option_row *, void *, const json_t *,
                                   struct config_error *) = {
        [OPTION_BOOL] = set_bool,    [OPTION_INT] = set_int,        [OPTION_STRING] = set_text,
        [OPTION_SECRET] = set_text,  [OPTION_ENUM] = set_text,      [OPTION_ENDPOINT] = set_text,
        [OPTION_STRINGS] = set_list, [OPTION_ENDPOINTS] = set_list, [OPTION_USERS] = set_users,
    };
    size_t n;
    bool *seen = &l->seen[row - options_table(&n)];
    if (*seen) {
        config_error_set(l->err, "%s: is set twice, with a dot and as nested objects", row->key);
        return fail_at_key(l);
    }
    *seen = true;
    if (!setters[row->type](row, value_field(l->into, row), value, l->err)) {
        return fail_at_key(l);
    }
    return true;
}

/* ---- keys ---- */

static bool read_object(struct loader *l, json_t *object);

/* A key that is no setting: a group of settings, or a mistake. */
static bool read_group(struct loader *l, const char *key, json_t *value)
{
    if (l->depth > 1 || !suggest_is_group(key)) {
        suggest_unknown(key, l->err);
        return fail_at_key(l);
    }
    if (!json_is_object(value)) {
        must_be(key, "an object of settings", value, l->err);
        return fail_at_key(l);
    }
    return read_object(l, value);
}

static bool read_object(struct loader *l, json_t *object)
{
    const char *key;
    json_t *value;
    size_t depth = l->depth;
    json_object_foreach(object, key, value)
    {
        char dotted[128]; /* a longer one is cut: it is unknown anyway */
        struct text_out out = {dotted, sizeof(dotted), 0};
        text_out_add(&out, depth > 0 ? l->path[0] : "");
        text_out_add(&out, depth > 0 ? "." : "");
        text_out_add(&out, key);
        l->path[depth] = key;
        l->depth = depth + 1;
        const struct option_row *row = option_find(dotted);
        if (!(row != NULL ? set_value(l, row, value) : read_group(l, dotted, value))) {
            return false;
        }
        l->depth = depth;
    }
    return true;
}

/* ---- text and files ---- */

static void cut_before(char *text, const char *mark)
{
    char *found = strstr(text, mark);
    if (found != NULL) {
        *found = '\0';
    }
}

/* jansson's complaint as one sentence that quotes nothing of the text but a duplicate key. */
static bool fail_syntax(const struct loader *l, json_error_t *error)
{
    static const struct {
        enum json_error_code code;
        const char *text;
    } texts[] = {
        {json_error_stack_overflow, "objects and lists are nested too deeply"},
        {json_error_invalid_utf8, "the text is not valid UTF-8"},
        {json_error_null_character, "\\u0000 is not allowed in a string"},
        {json_error_null_byte_in_key, "\\u0000 is not allowed in a key"},
        {json_error_premature_end_of_input, "the text ends before its last object does"},
        {json_error_end_of_input_expected, "only blanks may follow the end of the object"},
        {json_error_numeric_overflow, "a number is too large"},
    };
    if (json_error_code(error) != json_error_duplicate_key) {
        cut_before(error->text, " near ");
        cut_before(error->text, " '\\u");
    }
    const char *text = error->text;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        text = json_error_code(error) == texts[i].code ? texts[i].text : text;
    }
    config_error_set(l->err, "not valid JSON: %s", text);
    return fail_at(l, error->line > 0 ? (size_t)error->line : 1);
}

static bool check_nul(const struct loader *l)
{
    const char *nul = memchr(l->text, '\0', l->len);
    size_t line = 1;
    if (nul == NULL) {
        return true;
    }
    for (const char *p = l->text; p < nul; p++) {
        line += *p == '\n';
    }
    config_error_set(l->err, "not valid JSON: a NUL byte");
    return fail_at(l, line);
}

bool config_load_text(const char *name, const char *text, size_t len, struct config *into,
                      struct config_error *err)
{
    struct loader l = {.name = name, .text = text, .len = len, .into = into, .err = err};
    json_error_t error;
    size_t rows;
    if (len > CONFIG_FILE_MAX) {
        config_error_set(err, "is larger than %d bytes", CONFIG_FILE_MAX);
        return fail_at(&l, 0);
    }
    if (!check_nul(&l)) {
        return false;
    }
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (root == NULL) {
        return fail_syntax(&l, &error);
    }
    options_table(&rows);
    l.seen = config_alloc(rows, sizeof(*l.seen));
    bool ok;
    if (json_is_object(root)) {
        ok = read_object(&l, root);
    } else {
        config_error_set(err, "must be an object of settings, not %s", type_name(root));
        ok = fail_at(&l, 1);
    }
    free(l.seen);
    json_decref(root);
    return ok;
}

/* Up to size bytes of the file; -1: errno says why. */
static ssize_t read_all(const char *path, char *buf, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = -1;
    size_t len = 0;
    if (fd < 0) {
        return -1;
    }
    while (len < size && (got = read(fd, buf + len, size - len)) != 0) {
        if (got > 0) {
            len += (size_t)got;
        } else if (errno != EINTR) {
            break;
        }
    }
    int saved = errno;
    close(fd);
    errno = saved;
    return got < 0 ? -1 : (ssize_t)len;
}

bool config_load_file(const char *path, struct config *into, struct config_error *err)
{
    const size_t size = CONFIG_FILE_MAX + 1; /* one more shows that it is too large */
    const struct loader l = {.name = path, .err = err};
    char *text = config_alloc(size, 1);
    ssize_t len = read_all(path, text, size);
    bool ok = false;
    if (len < 0) {
        config_error_set(err, "cannot be read: %s", strerror(errno));
        fail_at(&l, 0);
    } else {
        ok = config_load_text(path, text, (size_t)len, into, err);
    }
    explicit_bzero(text, size);
    free(text);
    return ok;
}
