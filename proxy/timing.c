/*
 * The measured ones.
 */
#include "proxy/timing.h"

#include "protocol/command.h"

void timing_sent_now(struct session *s)
{
    s->sent_us = clock_us();
    s->added_us = (uint32_t)(s->sent_us - s->began_us);
}

void timing_relayed_now(struct session *s, int64_t since_us)
{
    s->added_us += (uint32_t)(clock_us() - since_us);
}

static enum timed_command kind(uint8_t command)
{
    switch (command) {
    case COM_QUERY:
        return TIMED_QUERY;
    case COM_STMT_PREPARE:
        return TIMED_PREPARE;
    case COM_STMT_EXECUTE:
        return TIMED_EXECUTE;
    default:
        return TIMED_OTHER;
    }
}

void timing_done_now(struct session *s)
{
    struct metrics *m = &s->worker->metrics;
    int64_t now = clock_us();

    histogram_note(&m->durations[kind(s->command)], now - s->began_us);
    histogram_note(&m->added, s->added_us);
    if (s->of_vtgate)
        histogram_note(&s->of_vtgate->durations, now - s->sent_us);
    s->began_us = 0;
}
