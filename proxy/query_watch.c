/*
 * What is noted of commands that are passed on: what each touches, in a transaction or while
 * somebody needs to know, and now and then the columns and the shape of one.
 */
#include <string.h>

#include "planner/ascii.h"
#include "planner/touched.h"
#include "planner/traffic.h"
#include "proxy/digests.h"
#include "proxy/memory.h"
#include "proxy/query_internal.h"
#include "proxy/shapes.h"
#include "proxy/statements.h"

#define WATCH_MAX 4096 /* bytes of a statement that are looked at for columns */
#define LOOK_AGAIN                                                                                 \
    64 /* commands until the settings are looked at again while no sample is wanted */

/* A transaction whose beginning was not seen may have touched anything. */
static struct touched *touched_of(struct session *s)
{
    if (!s->touched)
        s->touched = touched_create(s->status & STATUS_IN_TRANSACTION);
    return s->touched;
}

/* EXECUTE touches what its statement names. Where that is not the whole text: anything. */
static void add_executed_names(struct session *s, struct names *names, const char *text, size_t len)
{
    struct statement st;
    bool alone = classify_next(text, len, &st) == len && st.kind == STATEMENT_EXECUTE;
    const struct prepared *p = alone ? statements_get_named(s->statements, st.name) : NULL;

    if (p)
        names_merge(names, &p->names);
    else
        names->everything = true;
}

/* One statement that begins with a letter which EXECUTE does not begin with. */
static bool is_no_execute(const char *text, size_t len)
{
    unsigned char first = len ? ascii_upper(text[0]) : 'E';

    return first >= 'A' && first <= 'Z' && first != 'E' && !memchr(text, ';', len);
}

void query_track(struct session *s, const char *text, size_t len, bool whole)
{
    struct names names;

    if (!query_is_tracked(s))
        return;
    if (whole && is_no_execute(text, len)) {
        touched_add_text(touched_of(s), text, len, s->database);
        return;
    }
    names_collect(&names, text, len, whole);
    if (names_may_contain(&names, "EXECUTE", 7))
        add_executed_names(s, &names, text, len);
    touched_add_names(touched_of(s), &names, s->database);
}

void query_track_command(struct session *s, const struct head *h)
{
    static const struct names EVERYTHING = {.everything = true};

    if (h->command == COM_QUERY) {
        query_track(s, (const char *)h->packet + PACKET_HEADER + 1, h->available - 1, h->whole);
    } else if (h->command == COM_STMT_EXECUTE && h->available >= 5) {
        const struct prepared *p =
            statements_get(s->statements, load_u32(h->packet + PACKET_HEADER + 1));

        touched_add_names(touched_of(s), p ? &p->names : &EVERYTHING, s->database);
    }
}

static void note_columns(struct session *s, const struct head *h)
{
    const struct server *server = s->worker->server;
    uint32_t pairs[TRAFFIC_PAIRS_MAX];

    if (h->command == COM_QUERY) {
        size_t len = h->available - 1 < WATCH_MAX ? h->available - 1 : WATCH_MAX;
        size_t n = traffic_pairs((const char *)h->packet + PACKET_HEADER + 1, len, pairs);

        traffic_note(server->traffic, pairs, n, clock_ms());
        digests_note(server->digests, (const char *)h->packet + PACKET_HEADER + 1, len, clock_ms());
    } else if (h->command == COM_STMT_EXECUTE && h->available >= 5) {
        const struct prepared *p =
            statements_get(s->statements, load_u32(h->packet + PACKET_HEADER + 1));

        if (p)
            traffic_note(server->traffic, p->pairs, p->pair_count, clock_ms());
    }
}

static void note_shape(struct session *s, const struct head *h)
{
    struct shapes *shapes = s->worker->shapes;

    if (h->command == COM_QUERY && h->whole) {
        shapes_note_text(shapes, s->database, (const char *)h->packet + PACKET_HEADER + 1,
                         h->available - 1);
    } else if (h->command == COM_STMT_EXECUTE && h->available >= 5) {
        const struct prepared *p =
            statements_get(s->statements, load_u32(h->packet + PACKET_HEADER + 1));

        if (p)
            shapes_note_execute(shapes, p->shape);
    }
}

/* How many commands until the next sample: `every` on average, but not always the same number, for
   loads come in patterns. */
static uint32_t next_sample(struct worker *w, int64_t every)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 17;
    w->random ^= w->random << 5;
    return 1 + w->random % (uint32_t)(2 * every - 1);
}

void query_sample(struct session *s, const struct head *h)
{
    struct worker *w = s->worker;
    const struct config *c = w->server->config;
    const struct {
        int64_t every; /* 0: off */
        void (*note)(struct session *s, const struct head *h);
    } samples[WORKER_SAMPLES] = {{c->ddl_watch_columns, note_columns},
                                 {c->plans_sample, note_shape}};
    uint32_t passed = w->sample_step, next = LOOK_AGAIN;

    for (size_t i = 0; i < WORKER_SAMPLES; i++) {
        if (samples[i].every == 0) {
            w->sample_due[i] = 0;
            continue;
        }
        if (w->sample_due[i] <= passed) {
            samples[i].note(s, h);
            w->sample_due[i] = next_sample(w, samples[i].every);
        } else {
            w->sample_due[i] -= passed;
        }
        if (w->sample_due[i] < next)
            next = w->sample_due[i];
    }
    w->sample_in = w->sample_step = next;
}
