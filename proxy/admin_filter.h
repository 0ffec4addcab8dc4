/*
 * What may follow a SHOW command: LIKE 'pattern' (of the first column), and WHERE column op value
 * [AND ...], where op is = != <> < <= > >= or LIKE. Pure.
 */
#ifndef VTSHIM_PROXY_ADMIN_FILTER_H
#define VTSHIM_PROXY_ADMIN_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "proxy/admin_parse.h"

#define ADMIN_CONDITIONS_MAX 8
#define ADMIN_CONDITION_MAX  256

enum admin_comparison { IS, IS_NOT, LESS, LESS_OR_IS, MORE, MORE_OR_IS, IS_LIKE };

struct admin_condition {
    char column[64]; /* empty: the first one */
    char value[ADMIN_CONDITION_MAX];
    enum admin_comparison comparison;
};

/* All of them have to be true. */
struct admin_filter {
    struct admin_condition items[ADMIN_CONDITIONS_MAX];
    size_t n;
};

/* Reads up to the end of the command. */
bool admin_filter_parse(struct lexer *lx, struct admin_filter *filter, struct admin_error *error);

/* The first condition whose column is not there, or NULL. Case is ignored. */
const char *admin_filter_unknown(const struct admin_filter *filter, const char *const *names,
                                 size_t columns);

/*
 * Whether a row passes. Numbers are compared as numbers when both sides are some, all else as text
 * without regard to ASCII case; NULL is true for nothing. LIKE knows % _ and the backslash.
 */
bool admin_filter_passes(const struct admin_filter *filter, const char *const *names,
                         const char *const *values, size_t columns);

#endif
