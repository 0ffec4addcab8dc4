/*
 * The API's routes, and the commands that they write.
 */
#include "proxy/api_command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/lexer.h"
#include "protocol/bytes.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct api_route ROUTES[] = {
#define API_WITHOUT(first, reason)
#define API_ROUTE(how, where, command) {.method = API_##how, .path = where, .form = command},
#include "proxy/api_routes.def"
#undef API_ROUTE
#undef API_WITHOUT
};

static const struct api_without WITHOUT[] = {
#define API_ROUTE(how, where, command)
#define API_WITHOUT(first, reason) {.words = first, .why = reason},
#include "proxy/api_routes.def"
#undef API_ROUTE
#undef API_WITHOUT
};

const struct api_without *api_withouts(size_t *n)
{
    *n = COUNT(WITHOUT);
    return WITHOUT;
}

const struct api_route *api_routes(size_t *n)
{
    *n = COUNT(ROUTES);
    return ROUTES;
}

const char *api_method_name(enum api_method method)
{
    static const char *const NAMES[] = {"GET", "POST", "DELETE"};

    return NAMES[method];
}

/* --- finding the route ----------------------------------------------------------------------- */

/* One segment as a JSON string; NULL if it is empty, no UTF-8, or has a NUL. */
static json_t *decode(const char *segment, size_t len)
{
    char *text = malloc(len + 1);
    size_t n = 0;

    for (size_t i = 0; text && i < len; i++) {
        int escaped = segment[i] == '%' && len - i > 2 ? bytes_hex_byte(segment + i + 1) : -1;

        if (escaped >= 0) {
            text[n++] = (char)escaped;
            i += 2;
        } else {
            text[n++] = segment[i];
        }
    }
    json_t *value = text && n && !memchr(text, 0, n) ? json_stringn(text, n) : NULL;

    free(text);
    return value;
}

/* Whether path is made like the route's; the parameters, if wanted, are put into *parameters. */
static bool path_matches(const char *form, const char *path, json_t *parameters)
{
    while (*form == '/' && *path == '/') {
        size_t a = strcspn(++form, "/"), b = strcspn(++path, "/");

        if (*form == '{') {
            json_t *value = decode(path, b);

            if (!value)
                return false;
            if (parameters)
                json_object_setn_new(parameters, form + 1, a - 2, value);
            else
                json_decref(value);
        } else if (a != b || memcmp(form, path, a) != 0) {
            return false;
        }
        form += a;
        path += b;
    }
    return *form == '\0' && *path == '\0';
}

const struct api_route *api_route_find(enum api_method method, const char *path, json_t *parameters,
                                       unsigned *allowed)
{
    *allowed = 0;
    for (size_t i = 0; i < COUNT(ROUTES); i++) {
        if (!path_matches(ROUTES[i].path, path, NULL))
            continue;
        *allowed |= 1u << ROUTES[i].method;
        if (ROUTES[i].method == method) {
            path_matches(ROUTES[i].path, path, parameters);
            return &ROUTES[i];
        }
    }
    return NULL;
}

/* --- forms ----------------------------------------------------------------------------------- */

/* Reads "{name:type}" at *form. */
static void read_parameter(const char **form, struct api_parameter *p)
{
    const char *name = *form + 1, *colon = strchr(name, ':'), *end = strchr(name, '}');

    snprintf(p->name, sizeof(p->name), "%.*s", (int)(colon - name), name);
    snprintf(p->type, sizeof(p->type), "%.*s", (int)(end - colon - 1), colon + 1);
    *form = end + 1;
}

bool api_parameter_next(const char **form, struct api_parameter *p)
{
    const char *at = *form + strcspn(*form, "[{");

    p->optional = *at == '[';
    at += strcspn(at, "{");
    if (!*at)
        return false;
    read_parameter(&at, p);
    *form = at;
    return true;
}

static bool complain(char error[API_ERROR_MAX], const char *what, const char *name,
                     const char *expected)
{
    snprintf(error, API_ERROR_MAX, "%s '%.60s'%s%s", what, name, *expected ? " must be " : "",
             expected);
    return false;
}

static bool is_parameter(const char *form, const char *name)
{
    struct api_parameter p;

    while (api_parameter_next(&form, &p)) {
        if (strcmp(p.name, name) == 0)
            return true;
    }
    return false;
}

static bool check_names(const struct api_route *route, const json_t *parameters,
                        char error[API_ERROR_MAX])
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)parameters, key, value)
    {
        if (!is_parameter(route->form, key))
            return complain(error, "unknown parameter", key, "");
    }
    return true;
}

/* --- values ---------------------------------------------------------------------------------- */

static void add(struct buffer *out, const char *text, size_t len)
{
    buffer_bytes(out, text, len);
}

static bool add_word(struct buffer *out, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);

    if (!text || len == 0 ||
        strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz") != len)
        return false;
    add(out, text, len);
    return true;
}

static bool add_words(struct buffer *out, const json_t *value)
{
    if (!json_is_array(value))
        return add_word(out, value);
    for (size_t i = 0; i < json_array_size(value); i++) {
        add(out, ", ", i > 0 ? 2 : 0);
        if (!add_word(out, json_array_get(value, i)))
            return false;
    }
    return json_array_size(value) > 0;
}

/* The console's parser takes a name as it stands: one with a backquote has no way there. */
static bool add_name(struct buffer *out, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);

    if (!text || len == 0 || memchr(text, '`', len))
        return false;
    add(out, "`", 1);
    add(out, text, len);
    add(out, "`", 1);
    return true;
}

static bool add_text(struct buffer *out, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);

    add(out, "'", 1);
    for (size_t i = 0; text && i < len; i++) {
        if (text[i] == '\'' || text[i] == '\\')
            add(out, "\\", 1);
        add(out, text + i, 1);
    }
    add(out, "'", 1);
    return text;
}

static bool add_number(struct buffer *out, const json_t *value)
{
    const char *text = json_string_value(value);
    char digits[32] = "";

    if (json_is_integer(value))
        snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value) && json_real_value(value) < 1e15)
        snprintf(digits, sizeof(digits), "%.6f", json_real_value(value));
    else if (text && json_string_length(value) < sizeof(digits))
        memcpy(digits, text, json_string_length(value) + 1);
    size_t whole = strspn(digits, "0123456789"),
           rest = digits[whole] == '.' ? 1 + strspn(digits + whole + 1, "0123456789") : 0;

    if (whole == 0 || digits[whole + rest] != '\0' || rest == 1)
        return false;
    add(out, digits, whole + rest);
    return true;
}

/* A query string has only strings. */
static bool is_false(const json_t *value)
{
    const char *text = json_string_value(value);

    return json_is_false(value) || (text && strcmp(text, "false") == 0);
}

static bool add_flag(struct buffer *out, const json_t *value)
{
    const char *text = json_string_value(value);

    (void)out;
    return json_is_true(value) || (text && strcmp(text, "true") == 0);
}

static bool add_setting(struct buffer *out, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);

    if (!text || len == 0 || strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_.") != len)
        return false;
    add(out, text, len);
    return true;
}

/* As JSON writes it, between quotes. */
static bool add_json(struct buffer *out, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    json_t *whole = text ? json_string(text) : NULL;
    bool ok = whole && add_text(out, whole);

    json_decref(whole);
    free(text);
    return ok;
}

static bool add_setting_value(struct buffer *out, const json_t *value)
{
    if (json_is_string(value))
        return add_text(out, value);
    return (json_is_number(value) || json_is_boolean(value)) && add_json(out, value);
}

static bool add_document(struct buffer *out, const json_t *value)
{
    return json_is_string(value) ? add_text(out, value)
                                 : json_is_object(value) && add_json(out, value);
}

/* As they stand, for they come last and behind WHERE, where the console's parser takes nothing
 * else. */
static bool add_conditions(struct buffer *out, const json_t *value)
{
    const char *text = json_string_value(value);
    struct lexer lx;
    struct token t;

    if (!text || json_string_length(value) == 0)
        return false;
    lexer_init(&lx, text, json_string_length(value));
    do {
        t = lexer_next(&lx);
        if (t.unterminated || t.kind == TOKEN_SEMICOLON)
            return false;
    } while (t.kind != TOKEN_END);
    add(out, text, json_string_length(value));
    return true;
}

static bool add_command(struct buffer *out, const json_t *value)
{
    add(out, json_string_value(value), json_string_length(value));
    return json_string_length(value) > 0;
}

static bool add_value(struct buffer *out, const struct api_parameter *p, const json_t *value,
                      char error[API_ERROR_MAX])
{
    static const struct {
        const char *type, *expected;
        bool (*add)(struct buffer *out, const json_t *value);
    } TYPES[] = {
        {"word", "a word", add_word},
        {"words", "a word, or a list of words", add_words},
        {"name", "a name without backquotes", add_name},
        {"text", "a string", add_text},
        {"number", "a number that is not negative", add_number},
        {"flag", "true or false", add_flag},
        {"setting", "the name of a setting", add_setting},
        {"value", "a string, a number, true or false", add_setting_value},
        {"document", "a JSON object, or the name of a file as a string", add_document},
        {"conditions", "conditions as behind WHERE, without a semicolon", add_conditions},
        {"command", "a command, as a string", add_command},
    };

    for (size_t i = 0; i < COUNT(TYPES); i++) {
        if (strcmp(TYPES[i].type, p->type) == 0)
            return TYPES[i].add(out, value) ||
                   complain(error, "parameter", p->name, TYPES[i].expected);
    }
    abort(); /* a mistake in api_routes.def, which its unit test finds */
}

/* --- the command ----------------------------------------------------------------------------- */

/* Writes the form up to its end or to ']'; *form is moved behind that. */
static bool add_form(struct buffer *out, const char **form, const json_t *parameters,
                     char error[API_ERROR_MAX]);

static bool add_piece(struct buffer *out, const char **form, const json_t *parameters,
                      char error[API_ERROR_MAX])
{
    struct api_parameter p;

    read_parameter(form, &p);
    const json_t *value = json_object_get(parameters, p.name);

    if (!value)
        return complain(error, "missing parameter", p.name, "");
    return add_value(out, &p, value, error);
}

/* What is between brackets: once, not at all, or for each of a list. */
static bool add_optional(struct buffer *out, const char **form, const json_t *parameters,
                         char error[API_ERROR_MAX])
{
    const char *inner = *form, *at = *form, *end = strchr(*form, ']') + 1;
    struct api_parameter p = {.name = ""};
    bool ok = true;

    api_parameter_next(&at, &p);
    const json_t *value = json_object_get(parameters, p.name);
    size_t n = !value || (is_false(value) && strcmp(p.type, "flag") == 0) ? 0 : 1;
    bool list = *end == '*' && json_is_array(value);

    *form = end + (*end == '*');
    for (size_t i = 0; ok && i < (list ? json_array_size(value) : n); i++) {
        json_t *one = json_object();

        json_object_set(one, p.name, list ? json_array_get(value, i) : (json_t *)value);
        at = inner;
        ok = add_form(out, &at, one, error);
        json_decref(one);
    }
    return ok;
}

static bool add_form(struct buffer *out, const char **form, const json_t *parameters,
                     char error[API_ERROR_MAX])
{
    bool ok = true;

    while (ok && **form && **form != ']') {
        const char *at = *form;

        if (*at == '[') {
            *form = at + 1;
            ok = add_optional(out, form, parameters, error);
        } else if (*at == '{') {
            ok = add_piece(out, form, parameters, error);
        } else {
            add(out, (*form)++, 1);
        }
    }
    return ok;
}

bool api_command_build(const struct api_route *route, const json_t *parameters, struct buffer *out,
                       char error[API_ERROR_MAX])
{
    const char *form = route->form;

    if (!check_names(route, parameters, error) || !add_form(out, &form, parameters, error))
        return false;
    return !out->failed || complain(error, "too long:", route->path, "");
}

const char *api_route_document(const struct api_route *route, struct api_parameter *p)
{
    const char *form = route->form;

    while (api_parameter_next(&form, p)) {
        if (strcmp(p->type, "document") == 0)
            return p->name;
    }
    return NULL;
}
