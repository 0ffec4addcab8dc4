/*
 * The types of settings that hold one value: booleans, integers, strings, secrets and words. Types
 * made of endpoints, strings and users are in list.c; the table here has them all.
 *
 * Invariant: a string field is never NULL, and no error text contains the value of a secret.
 */
#include "config/value.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- booleans ---- */

static bool set_bool_text(const struct option_row *row, void *field, const char *text,
                          struct config_error *err)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true},   {"on", true},   {"yes", true}, {"1", true},
                 {"false", false}, {"off", false}, {"no", false}, {"0", false}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(text, words[i].word) == 0) {
            *(bool *)field = words[i].value;
            return true;
        }
    }
    return config_error_set(err, "%s: \"%.100s\" is not true or false", row->key, text);
}

void value_set_bool(void *field, bool value)
{
    *(bool *)field = value;
}

static void format_bool(const struct option_row *row, const void *field, struct text_out *out)
{
    (void)row;
    text_out_add(out, *(const bool *)field ? "true" : "false");
}

static void copy_bool(const void *from, void *to)
{
    *(bool *)to = *(const bool *)from;
}

static bool equal_bool(const void *a, const void *b)
{
    return *(const bool *)a == *(const bool *)b;
}

static void fini_bool(void *field)
{
    *(bool *)field = false;
}

/* ---- integers ---- */

/* " (milliseconds)" or "": what an integer counts. */
#define UNIT_FORMAT    "%s%s%s"
#define UNIT_ARGS(row) (row)->unit[0] != '\0' ? " (" : "", (row)->unit, (row)->unit[0] ? ")" : ""

bool value_set_int(const struct option_row *row, void *field, int64_t value,
                   struct config_error *err)
{
    if (value < row->min) {
        return config_error_set(err, "%s: %" PRId64 " is below the minimum %" PRId64 UNIT_FORMAT,
                                row->key, value, row->min, UNIT_ARGS(row));
    }
    if (value > row->max) {
        return config_error_set(err, "%s: %" PRId64 " is above the maximum %" PRId64 UNIT_FORMAT,
                                row->key, value, row->max, UNIT_ARGS(row));
    }
    *(int64_t *)field = value;
    return true;
}

static bool set_int_text(const struct option_row *row, void *field, const char *text,
                         struct config_error *err)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    if (digits[0] == '\0' || digits[strspn(digits, "0123456789")] != '\0') {
        return config_error_set(err, "%s: \"%.100s\" is not an integer%s%s", row->key, text,
                                row->unit[0] != '\0' ? "; write the number of " : "", row->unit);
    }
    /* What does not fit becomes the nearest that does, which is out of every setting's bounds. */
    return value_set_int(row, field, strtoll(text, NULL, 10), err);
}

static void format_int(const struct option_row *row, const void *field, struct text_out *out)
{
    (void)row;
    text_out_int(out, *(const int64_t *)field);
}

static void copy_int(const void *from, void *to)
{
    *(int64_t *)to = *(const int64_t *)from;
}

static bool equal_int(const void *a, const void *b)
{
    return *(const int64_t *)a == *(const int64_t *)b;
}

static void fini_int(void *field)
{
    *(int64_t *)field = 0;
}

/* ---- strings and secrets ---- */

static bool set_string_text(const struct option_row *row, void *field, const char *text,
                            struct config_error *err)
{
    size_t len = strlen(text);
    if ((int64_t)len < row->min) {
        return config_error_set(err, "%s: must not be empty", row->key);
    }
    if ((int64_t)len > row->max) {
        return config_error_set(err, "%s: is %zu bytes long, the maximum is %" PRId64, row->key,
                                len, row->max);
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F) {
            return config_error_set(err, "%s: must not contain control characters", row->key);
        }
    }
    config_wipe_free(*(char **)field);
    *(char **)field = config_strndup(text, len);
    return true;
}

static void format_string(const struct option_row *row, const void *field, struct text_out *out)
{
    (void)row;
    text_out_add(out, *(char *const *)field);
}

static void format_secret(const struct option_row *row, const void *field, struct text_out *out)
{
    (void)row;
    text_out_add(out, **(char *const *)field != '\0' ? "******" : "");
}

static void copy_string(const void *from, void *to)
{
    const char *text = *(char *const *)from;
    *(char **)to = config_strndup(text, strlen(text));
}

static bool equal_string(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b) == 0;
}

static void fini_string(void *field)
{
    config_wipe_free(*(char **)field);
    *(char **)field = NULL;
}

/* ---- words ---- */

size_t value_enum_word(const struct option_row *row, size_t index, const char **word)
{
    const char *p = row->unit;
    for (; index > 0 && *p != '\0'; index--) {
        p += strcspn(p, " ");
        p += strspn(p, " ");
    }
    *word = p;
    return strcspn(p, " ");
}

static bool set_enum_text(const struct option_row *row, void *field, const char *text,
                          struct config_error *err)
{
    const char *word;
    size_t len;
    for (size_t i = 0; (len = value_enum_word(row, i, &word)) > 0; i++) {
        if (strlen(text) == len && strncasecmp(text, word, len) == 0) {
            *(int *)field = (int)i;
            return true;
        }
    }
    char words[200];
    option_format_bounds(row, words, sizeof(words));
    return config_error_set(err, "%s: \"%.100s\" is not one of %s", row->key, text, words);
}

static void format_enum(const struct option_row *row, const void *field, struct text_out *out)
{
    const char *start;
    size_t len = value_enum_word(row, (size_t)(*(const int *)field), &start);
    char *word = config_strndup(start, len);
    text_out_add(out, word);
    free(word);
}

static void copy_enum(const void *from, void *to)
{
    *(int *)to = *(const int *)from;
}

static bool equal_enum(const void *a, const void *b)
{
    return *(const int *)a == *(const int *)b;
}

static void fini_enum(void *field)
{
    *(int *)field = 0;
}

/* ---- all types ---- */

static const struct value_type value_type_bool = {"boolean", set_bool_text, format_bool,
                                                  copy_bool, equal_bool,    fini_bool};
static const struct value_type value_type_int = {"integer", set_int_text, format_int,
                                                 copy_int,  equal_int,    fini_int};
static const struct value_type value_type_string = {"string",    set_string_text, format_string,
                                                    copy_string, equal_string,    fini_string};
static const struct value_type value_type_secret = {"secret",    set_string_text, format_secret,
                                                    copy_string, equal_string,    fini_string};
static const struct value_type value_type_enum = {"word",    set_enum_text, format_enum,
                                                  copy_enum, equal_enum,    fini_enum};

const struct value_type *value_type_of(const struct option_row *row)
{
    static const struct value_type *const types[] = {
        [OPTION_BOOL] = &value_type_bool,           [OPTION_INT] = &value_type_int,
        [OPTION_STRING] = &value_type_string,       [OPTION_SECRET] = &value_type_secret,
        [OPTION_ENUM] = &value_type_enum,           [OPTION_ENDPOINT] = &value_type_endpoint,
        [OPTION_ENDPOINTS] = &value_type_endpoints, [OPTION_STRINGS] = &value_type_strings,
        [OPTION_USERS] = &value_type_users,
    };
    return types[row->type];
}

bool value_set_text(const struct option_row *row, void *field, const char *text,
                    struct config_error *err)
{
    return value_type_of(row)->set_text(row, field, text, err);
}
