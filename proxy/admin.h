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
struct admin_filter;
struct admin_sink;

/* NULL when the port cannot be opened (after a line in the log). */
struct admin *admin_create(struct server *server);

/* Who may log in from now on, as what; copied. Those who are logged in stay, in the role that their
   name has now. */
void admin_take_users(struct admin *admin, const struct user_list *users);

/* Takes no more connections and no more commands; those under way still get their answer. */
void admin_stop(struct admin *admin);

/* The same, when another process goes on with the port: its clients had better ask that one. */
void admin_hand_over(struct admin *admin);

/* No command may be under way any more. */
void admin_destroy(struct admin *admin);

/* --- for the commands: admin_commands.c, admin_show.c ------------------------- */

/* One command under way. Lives until one of the admin_reply functions is called with it; the
   client may be gone by then, which these functions cope with. */
struct admin_request {
    struct server *server;
    const struct admin_sink *sink; /* where the answer goes: admin_sink.h */
    void *sink_arg;
    uint32_t connection; /* the id of the MySQL connection; 0: there is none, it came by HTTP */
    const char *user;    /* the admin's name and address, for logs and SHOW HOLDS */
    const char *peer;
    enum config_role role;       /* what that user may do */
    bool binary;                 /* of a prepared statement: rows in the binary protocol */
    struct admin_filter *filter; /* owned; of a SHOW command, else NULL */
    /* For the audit log: the text of a command that may change something, else NULL; and which
       migration it was about, if any. */
    char *audited; /* owned */
    char uuid[64], keyspace[65];
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

/*
 * A result set whose rows go out one by one, as they come to be. The request stays under way until
 * admin_stream_end or admin_reply_error. `interrupt` is called with `arg`, on the control loop,
 * when somebody kills the query or the shim ends; the request must be ended from inside of it.
 */
typedef void admin_interrupt(void *arg, uint16_t code, const char *state, const char *text);
/* The same for a command that takes its time before it answers. It is interrupted also when the
   client leaves. */
void admin_wait_begin(struct admin_request *rq, admin_interrupt *interrupt, void *arg);
/* Whether the client takes rows one by one: asked before admin_stream_begin. */
bool admin_can_stream(const struct admin_request *rq);
void admin_stream_begin(struct admin_request *rq, const char *const *names, size_t columns,
                        admin_interrupt *interrupt, void *arg);
void admin_stream_row(struct admin_request *rq, const char *const *values, size_t columns);
void admin_stream_end(struct admin_request *rq);
/* Whether the client is still there, and whether it takes what it is sent: else a row is better
   left out, for the next one tells more. */
bool admin_stream_is_gone(const struct admin_request *rq);
bool admin_stream_is_slow(const struct admin_request *rq);

/* Interrupts the query of the admin connection with that id, or closes the connection. user: only
   of that name's, NULL: of anybody's. False: there is none. */
bool admin_kill(struct admin *admin, uint32_t id, bool query_only, const char *user);

/* Runs the text of a COM_QUERY (admin_commands.c). Takes over rq. */
void admin_command(struct admin_request *rq, const char *sql, size_t len);

/* What it takes to run a command that begins like this; false: there is none. */
bool admin_command_right(const char *text, size_t len, enum config_role *right);

#endif
