/*
 * SHOW VTGATES and SHOW VSCHEMAS: the vtgates, and what their web pages tell.
 */
#include "proxy/admin_commands.h"
#include "proxy/admin_values.h"
#include "proxy/server.h"
#include "proxy/vtgate_watch.h"
#include "proxy/vtgates.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *health(const struct vtgate *v)
{
    if (!vtgate_is_healthy(v))
        return "down";
    return vtgate_is_draining(v) ? "draining" : "up";
}

static const char *web(const struct vtgate_view *view)
{
    if (!view->configured)
        return "off";
    return view->reachable ? "up" : "down";
}

static void vtgate_row(struct admin_table *t, const struct vtgate *v,
                       const struct vtgate_view *view, int64_t now)
{
    const struct vtgate_plans *p = &view->plans;
    struct admin_values ns = {.n = 0};
    bool seen = view->seen_ms > 0;

    admin_table_row(t, (const char *const[]){
                           vtgate_name(v),
                           health(v),
                           admin_number(&ns, (int64_t)vtgate_sessions(v)),
                           web(view),
                           admin_words(view->digest),
                           *view->digest ? admin_seconds(&ns, now - view->since_ms) : NULL,
                           admin_number_or_null(&ns, view->refresh_ms, seen),
                           admin_number_or_null(&ns, (int64_t)view->reloads, seen),
                           admin_number_or_null(&ns, (int64_t)view->watch_errors, seen),
                           admin_number_or_null(&ns, (int64_t)p->length, seen),
                           admin_number_or_null(&ns, p->hit_percent, seen && p->hit_percent >= 0),
                           admin_number_or_null(&ns, (int64_t)p->misses, seen),
                           seen ? admin_seconds(&ns, now - view->seen_ms) : NULL,
                       });
}

void admin_show_vtgates(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {
        "Vtgate",        "Health",      "Sessions", "Web",          "Vschema",
        "Vschema_age_s", "Refresh_ms",  "Reloads",  "Watch_errors", "Plans",
        "Hit_percent",   "Plan_misses", "Seen_s"};

    if (!admin_expect_end(rq, lx))
        return;
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));
    int64_t now = clock_ms();

    for (size_t i = 0; i < vtgates_count(rq->server->vtgates); i++)
        vtgate_row(t, vtgates_at(rq->server->vtgates, i), vtgate_watch_view(rq->server->watch, i),
                   now);
    admin_reply_table(rq, t);
}

void admin_show_vschemas(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Keyspace", "Vtgate",  "Vschema",
                                        "Age_s",    "Columns", "Error"};

    if (!admin_expect_end(rq, lx))
        return;
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));
    int64_t now = clock_ms();

    for (size_t i = 0; i < vtgates_count(rq->server->vtgates); i++) {
        const struct vtgate_view *view = vtgate_watch_view(rq->server->watch, i);
        const char *name = vtgate_name(vtgates_at(rq->server->vtgates, i));

        for (size_t k = 0; k < view->keyspace_count; k++) {
            const struct vtgate_keyspace *ks = &view->keyspaces[k];
            struct admin_values ns = {.n = 0};

            admin_table_row(t, (const char *const[]){ks->name, name, ks->digest,
                                                     admin_seconds(&ns, now - ks->since_ms),
                                                     ks->columns, ks->broken ? "yes" : NULL});
        }
    }
    admin_reply_table(rq, t);
}
