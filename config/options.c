/*
 * The table of settings, and struct config as a value: defaults, clone, compare, set, show. What a
 * value of each type is, value.c and list.c know; here only its place in struct config.
 *
 * Invariant: a config always holds valid values; only settings without a default may be empty.
 */
#include "config/options.h"

#include "config/suggest.h"
#include "config/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESTART, RELOADABLE };

static const struct option_row table[] = {
#define OPTION(key, field, type, fallback, min, max, unit, reload, doc)                            \
    {key, OPTION_##type, reload, offsetof(struct config, field), fallback, min, max, unit, doc},
#include "config/options.def"
#undef OPTION
};
#define ROWS (sizeof(table) / sizeof(table[0]))

const struct option_row *options_table(size_t *n)
{
    *n = ROWS;
    return table;
}

const struct option_row *option_find(const char *key)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (strcmp(table[i].key, key) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

void *value_field(struct config *c, const struct option_row *row)
{
    return (char *)c + row->offset;
}

static const void *const_field_of(const struct config *c, const struct option_row *row)
{
    return (const char *)c + row->offset;
}

/* A default that its own row refuses is a mistake in options.def. */
static void set_default(struct config *c, const struct option_row *row)
{
    struct config_error err;
    if (row->type == OPTION_STRING || row->type == OPTION_SECRET) {
        *(char **)value_field(c, row) = config_strndup("", 0);
    }
    if (row->fallback != NULL && !value_set_text(row, value_field(c, row), row->fallback, &err)) {
        fprintf(stderr, "options.def: %s\n", err.text);
        abort();
    }
}

struct config *config_create_default(void)
{
    struct config *c = config_alloc(1, sizeof(*c));
    for (size_t i = 0; i < ROWS; i++) {
        set_default(c, &table[i]);
    }
    return c;
}

struct config *config_clone(const struct config *c)
{
    struct config *clone = config_alloc(1, sizeof(*clone));
    for (size_t i = 0; i < ROWS; i++) {
        value_type_of(&table[i])->copy(const_field_of(c, &table[i]), value_field(clone, &table[i]));
    }
    return clone;
}

void config_destroy(struct config *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < ROWS; i++) {
        value_type_of(&table[i])->fini(value_field(c, &table[i]));
    }
    free(c);
}

bool option_set_text(struct config *c, const char *key, const char *text, struct config_error *err)
{
    const struct option_row *row = option_find(key);
    if (row == NULL) {
        return suggest_unknown(key, err);
    }
    return value_set_text(row, value_field(c, row), text, err);
}

size_t option_format(const struct config *c, const struct option_row *row, char *buf, size_t size)
{
    struct text_out out = {buf, size, 0};
    text_out_add(&out, "");
    value_type_of(row)->format(row, const_field_of(c, row), &out);
    return out.len;
}

bool option_equal(const struct config *a, const struct config *b, const struct option_row *row)
{
    return value_type_of(row)->equal(const_field_of(a, row), const_field_of(b, row));
}

void option_copy(struct config *to, const struct config *from, const struct option_row *row)
{
    value_type_of(row)->fini(value_field(to, row));
    value_type_of(row)->copy(const_field_of(from, row), value_field(to, row));
}

const char *option_type_name(const struct option_row *row)
{
    return value_type_of(row)->name;
}

/* ---- what is allowed, in words ---- */

static void bounds_range(const struct option_row *row, struct text_out *out)
{
    text_out_int(out, row->min);
    text_out_add(out, " to ");
    text_out_int(out, row->max);
    text_out_add(out, " ");
    text_out_add(out, row->unit);
}

static void bounds_maximum(const struct option_row *row, struct text_out *out, const char *what)
{
    text_out_add(out, row->min > 0 ? "1 to " : "up to ");
    text_out_int(out, row->max);
    text_out_add(out, what);
}

static void bounds_words(const struct option_row *row, struct text_out *out)
{
    for (const char *p = row->unit; *p != '\0'; p++) {
        text_out_add(out, *p == ' ' ? ", " : (char[2]){*p, '\0'});
    }
}

size_t option_format_bounds(const struct option_row *row, char *buf, size_t size)
{
    static const char *const counted[] = {
        [OPTION_STRING] = " bytes",    [OPTION_SECRET] = " bytes",  [OPTION_ENDPOINTS] = " entries",
        [OPTION_STRINGS] = " entries", [OPTION_USERS] = " entries",
    };
    struct text_out out = {buf, size, 0};
    text_out_add(&out, "");
    if (row->type == OPTION_INT) {
        bounds_range(row, &out);
    } else if (row->type == OPTION_ENUM) {
        bounds_words(row, &out);
    } else if ((size_t)row->type < sizeof(counted) / sizeof(counted[0]) &&
               counted[row->type] != NULL) {
        bounds_maximum(row, &out, counted[row->type]);
    }
    return out.len;
}
