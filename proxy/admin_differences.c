/*
 * SHOW DIFFERENCES: tables whose columns are others on MySQL than a vtgate takes them to have.
 */
#include "proxy/admin_commands.h"
#include "proxy/admin_values.h"
#include "proxy/columns_watch.h"
#include "proxy/server.h"
#include "proxy/vtgates.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void add_row(void *arg, const struct column_difference *d)
{
    struct admin_values ns = {.n = 0};

    admin_table_row(arg,
                    (const char *const[]){d->keyspace, d->table, d->shard, vtgate_name(d->vtgate),
                                          admin_number(&ns, d->mysql_columns),
                                          admin_number(&ns, d->vtgate_columns),
                                          admin_seconds(&ns, clock_ms() - d->since_ms)});
}

void admin_show_differences(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Keyspace",      "Table",          "Shard",  "Vtgate",
                                        "Mysql_columns", "Vtgate_columns", "Since_s"};

    if (!admin_expect_end(rq, lx))
        return;
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));

    columns_watch_each(rq->server->columns, add_row, t);
    admin_reply_table(rq, t);
}
