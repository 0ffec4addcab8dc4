/*
 * After the last shard: vtgate learns of a table's new columns from the tablets, a second or so
 * later (its schema tracker), and until then answers 1054 to who names them. So the client of a
 * migration, or of direct DDL, gets its OK when the session's own vtgate plans "SELECT *" with the
 * columns that the table has, and the others know them, too (everywhere.h); or after
 * ddl.visible_ms.
 */
#ifndef VTSHIM_PROXY_VISIBLE_H
#define VTSHIM_PROXY_VISIBLE_H

#include <stdbool.h>

struct answer;
struct session;
struct visible; /* s->visible: the session waits; or NULL */

struct visible_table {
    const char *keyspace, *name;
    const char *reference; /* in SQL, as the session can ask for it */
    const char *uuid;      /* of the migration, for the log; or "" */
    bool created;          /* its vtgate need not have heard of it yet */
};

/* Between two questions of the session: asks and waits, and then calls done(s), from a callback or
   at once. Copies the names. */
void visible_wait(struct session *s, const struct visible_table *t,
                  void (*done)(struct session *s));

/* Nobody waits any more; done is not called. Idempotent. */
void visible_forget(struct session *s);

/* An error that says that vtgate does not know the table: "table x not found", 1146. */
bool visible_says_not_found(const struct answer *a);

#endif
