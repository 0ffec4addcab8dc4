/*
 * SHOW CHANGES: the changes that are under way or were seen in the last minute.
 */
#include <stdio.h>
#include <string.h>

#include "proxy/admin_commands.h"
#include "proxy/admin_values.h"
#include "proxy/changes.h"
#include "proxy/server.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void list_tables(const struct change *t, char *dst, size_t size)
{
    size_t n = 0;

    *dst = '\0';
    for (size_t i = 0; i < t->table_count && n < size; i++)
        n += (size_t)snprintf(dst + n, size - n, "%s%s", i ? "," : "", t->tables[i]);
}

void admin_show_changes(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Id",    "Kind",  "Source",  "Keyspace", "Tables",
                                        "State", "Times", "Since_s", "Ended_s"};
    static const char *const KINDS[] = CHANGE_KINDS;
    static const char *const SOURCES[] = CHANGE_SOURCES;

    if (!admin_expect_end(rq, lx))
        return;
    struct admin_table *table = admin_table_create(NAMES, COUNT(NAMES));
    const struct change_set *set = changes_now(rq->server->changes);
    int64_t now = clock_ms();

    for (size_t i = 0; i < set->n; i++) {
        const struct change *t = &set->items[i];
        struct admin_values ns = {.n = 0};
        char tables[CHANGE_TABLES * (HOLD_NAME_MAX + 1)];

        list_tables(t, tables, sizeof(tables));
        admin_table_row(table, (const char *const[]){
                                   admin_number(&ns, (int64_t)t->id),
                                   KINDS[t->kind],
                                   SOURCES[t->source],
                                   admin_words(t->keyspace),
                                   admin_words(tables),
                                   t->ended_ms ? "ended" : "under way",
                                   admin_number(&ns, (int64_t)t->times),
                                   admin_seconds(&ns, now - t->since_ms),
                                   t->ended_ms ? admin_seconds(&ns, now - t->ended_ms) : NULL,
                               });
    }
    admin_reply_table(rq, table);
}
