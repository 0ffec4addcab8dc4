/*
 * SHOW SHAPES and WARM.
 */
#include <string.h>

#include "planner/digest.h"
#include "proxy/admin_commands.h"
#include "proxy/admin_values.h"
#include "proxy/server.h"
#include "proxy/shapes.h"
#include "proxy/vtgates.h"
#include "proxy/warm.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SHOWN_MAX    1000

static void shapes_collected(void *arg, struct shape_list *list)
{
    static const char *const NAMES[] = {"Count", "Kind", "Target", "Statement"};
    struct admin_request *rq = arg;
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));

    for (size_t i = 0; i < list->n; i++) {
        const struct shape *s = &list->items[i];
        struct admin_values ns = {.n = 0};
        char digest[1024];

        statement_digest(digest, sizeof(digest), s->text, s->len);
        admin_table_row(t, (const char *const[]){admin_number(&ns, (int64_t)s->count),
                                                 s->prepared ? "prepared" : "text",
                                                 admin_words(s->target), digest});
    }
    shape_list_free(list);
    admin_reply_table(rq, t);
}

void admin_show_shapes(struct admin_request *rq, struct lexer *lx)
{
    if (admin_expect_end(rq, lx))
        shapes_collect(rq->server, SHOWN_MAX, shapes_collected, rq);
}

static void warmed(void *arg, const struct warm_result *results, size_t n, const char *why)
{
    static const char *const NAMES[] = {"Vtgate",   "Planned", "Refused",
                                        "Left_out", "Took_ms", "Note"};
    struct admin_request *rq = arg;

    if (why) {
        admin_reply_error(rq, 1105, "HY000", "vtshim: nothing to plan: %s", why);
        return;
    }
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));

    for (size_t i = 0; i < n; i++) {
        const struct warm_result *r = &results[i];
        struct admin_values ns = {.n = 0};

        admin_table_row(t, (const char *const[]){vtgate_name(r->vtgate),
                                                 admin_number(&ns, (int64_t)r->planned),
                                                 admin_number(&ns, (int64_t)r->refused),
                                                 admin_number(&ns, (int64_t)r->left_out),
                                                 admin_number(&ns, r->took_ms),
                                                 !r->reached ? "control.user cannot log in"
                                                 : r->cut    ? "cut off by plans.warm_ms"
                                                             : NULL});
    }
    admin_reply_table(rq, t);
}

void admin_warm(struct admin_request *rq, struct lexer *lx)
{
    if (admin_expect_end(rq, lx))
        warm_start(rq->server, NULL, warmed, rq);
}
