/*
 * The two waits of a cut-over (cut_shards.h), for its stream to be where the shard's binary log is.
 *
 * A stream keeps its place with each change of its own table, which the drain has just made rare,
 * and with any event that it has no name for; for other tables' changes only after 1.1 s
 * (idleTimeout in go/vt/vttablet/tabletmanager/vreplication/vplayer.go), and who waits looks once a
 * second. So without such an event it is two seconds, by chance on one shard and not on the other:
 * each wait is given one, a mark.
 *
 * During the first one nothing is locked. When all shards are at it, and the table's transactions
 * have been short, the hold ends, and is back before that wait can be over: instead of all of the
 * cut-over a transaction waits for one half of it. One that begins in between and does not end in
 * time would have vttablet stand still before the locks, and with it whoever wants the table.
 */
#include <string.h>

#include "proxy/cut_shards.h"
#include "proxy/log.h"
#include "proxy/migration_internal.h"
#include "proxy/server.h"

/* --- marks in the shards' logs --------------------------------------------------------------- */

/* ANALYZE would commit an open transaction. */
static bool may_mark(const struct session *s)
{
    const struct migration *m = s->migration;
    bool apart = (s->status & (STATUS_IN_TRANSACTION | STATUS_AUTOCOMMIT)) == STATUS_AUTOCOMMIT;

    return m->executor->mark && !m->unmarked && apart &&
           !(s->database && strpbrk(s->database, "@:/"));
}

static void on_marked(struct session *s, uint16_t code)
{
    if (code) {
        s->migration->unmarked = true;
        log_info("ddl_mark_refused", "session:u uuid:s code:u", s->id, s->migration->uuids[0],
                 (uint64_t)code);
    }
    migration_told(s, code);
}

/* One shard's; the others' turn comes with the next look, at once. */
static bool mark_log(struct session *s, const struct executor_row *rows, size_t n)
{
    struct migration *m = s->migration;
    const char *shard = may_mark(s) ? cut_shards_new_wait(m->cut_shards, rows, n) : NULL;

    if (shard)
        m->executor->mark(s, shard, on_marked);
    return shard;
}

/* --- the gap --------------------------------------------------------------------------------- */

static void open_gap(struct session *s, const struct executor_row *rows, size_t n)
{
    struct migration *m = s->migration;

    if (m->gapped || !m->cutover || !cutover_is_liftable(m->cutover))
        return;
    int64_t ms = cut_shards_gap(m->cut_shards, rows, n, m->looked_ms, clock_ms());

    if (ms == 0)
        return;
    m->gapped = true;
    log_info("ddl_gap", "session:u uuid:s ms:d", s->id, m->uuids[0], ms);
    cutover_lift(m->cutover, ms);
}

bool migration_attend_waits(struct session *s, const struct executor_row *rows, size_t n)
{
    open_gap(s, rows, n);
    return mark_log(s, rows, n);
}
