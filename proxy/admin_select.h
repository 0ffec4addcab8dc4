/*
 * SELECT on the admin port: the constants and system variables that clients and drivers read when
 * they connect, and nothing else. Pure, as admin_parse.h.
 */
#ifndef VTSHIM_PROXY_ADMIN_SELECT_H
#define VTSHIM_PROXY_ADMIN_SELECT_H

#include "proxy/admin_parse.h"

#define ADMIN_SELECT_MAX 64  /* columns */
#define ADMIN_TEXT_MAX   256 /* bytes, the NUL included; what is longer is cut */

struct admin_column {
    char name[ADMIN_TEXT_MAX], value[ADMIN_TEXT_MAX];
};

/* The system variables that clients ask for. */
struct admin_variable {
    const char *name, *value;
};
const struct admin_variable *admin_variables(size_t *n);

/* The one row. account: what USER() is. */
bool admin_select_parse(struct lexer *lx, const char *account,
                        struct admin_column columns[ADMIN_SELECT_MAX], size_t *n,
                        struct admin_error *error);

#endif
