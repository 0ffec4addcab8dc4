/*
 * The admin port: the MySQL protocol for SREs. Runs on the control loop. Without admin_users in the
 * configuration everybody may log in, from a loopback address or unix socket only.
 */
#ifndef VTSHIM_PROXY_ADMIN_H
#define VTSHIM_PROXY_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/options.h"
#include "protocol/bytes.h"

struct server;
struct admin;
struct admin_client;

/* NULL when the port cannot be opened (after a line in the log). */
struct admin *admin_create(struct server *server);

/* Who may log in from now on; copied. Those who are logged in stay. */
void admin_take_users(struct admin *admin, const struct user_list *users);

/* Takes no more connections and no more commands; those under way still get their answer. */
void admin_stop(struct admin *admin);

/* No command may be under way any more. */
void admin_destroy(struct admin *admin);

/* --- for the commands: admin_commands.c, admin_show.c ------------------------- */

/* One command under way. Lives until one of the admin_reply functions is called with it; the
   client may be gone by then, which these functions cope with. */
struct admin_request {
    struct server *server;
    struct admin_client *client;
    const char *user; /* the admin's name and address, for logs and SHOW HOLDS */
    const char *peer;
};

void admin_reply_ok(struct admin_request *rq, uint64_t affected, const char *info);
void admin_reply_error(struct admin_request *rq, uint16_t code, const char *state,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A result set, row by row. The values are copied. */
struct admin_table;
struct admin_table *admin_table_create(const char *const *names, size_t columns);
/* One value for each column; NULL is SQL NULL. */
void admin_table_row(struct admin_table *t, const char *const *values);
/* Frees it unsent. */
void admin_table_destroy(struct admin_table *t);
/* Sends it and frees it. */
void admin_reply_table(struct admin_request *rq, struct admin_table *t);

/* Runs the text of a COM_QUERY (admin_commands.c). Takes over rq. */
void admin_command(struct admin_request *rq, const char *sql, size_t len);

#endif
