/*
 * The types of settings: for each, how a value is read, shown, copied, compared and freed. A value
 * is a `void *field` of the type that OPTION_CTYPE_x names; the row has its bounds.
 *
 * Setters check the bounds and either succeed or leave the field as it was and set *err to
 * "KEY: ..."; secrets are not in it.
 */
#ifndef VTSHIM_CONFIG_VALUE_H
#define VTSHIM_CONFIG_VALUE_H

#include "config/options.h"
#include "config/support.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef bool value_set_text_fn(const struct option_row *row, void *field, const char *text,
                               struct config_error *err);

/* One row for each enum option_type. */
struct value_type {
    const char *name; /* for people: "integer" */
    value_set_text_fn *set_text;
    void (*format)(const struct option_row *row, const void *field, struct text_out *out);
    void (*copy)(const void *from, void *to); /* *to is overwritten, not freed */
    bool (*equal)(const void *a, const void *b);
    void (*fini)(void *field); /* frees, wipes and zeroes */
};

const struct value_type *value_type_of(const struct option_row *row);

/* Sets from text as on the command line, by the type of the row. */
bool value_set_text(const struct option_row *row, void *field, const char *text,
                    struct config_error *err);

/* What JSON has beside text. */
void value_set_bool(void *field, bool value);
bool value_set_int(const struct option_row *row, void *field, int64_t value,
                   struct config_error *err);

/* For ENDPOINTS and STRINGS: the n items become the list. */
bool value_set_list(const struct option_row *row, void *field, const char *const *items, size_t n,
                    struct config_error *err);

/* For USERS: the n users become the list; the pairs are copied. */
bool value_set_users(const struct option_row *row, void *field, const struct user_entry *users,
                     size_t n, struct config_error *err);

/* Where the row's value is in *c. */
void *value_field(struct config *c, const struct option_row *row);

/* The word of an ENUM with that index, as a length and a start; length 0: there is none. */
size_t value_enum_word(const struct option_row *row, size_t index, const char **word);

/* list.c: lists of endpoints, strings and users, for the table of types. */
extern const struct value_type value_type_endpoint, value_type_endpoints, value_type_strings,
    value_type_users;

#endif
