/*
 * Matching an error against the table, and deciding. Nothing here looks at the SQL inside of an
 * error's text: patterns begin where the error begins, so that a literal cannot pose as one.
 */
#include "planner/retry.h"

#include <string.h>

#include "planner/ascii.h"
#include "planner/classify.h"
#include "planner/hint.h"

enum where { WHERE_PLAN, WHERE_TABLET };
enum class { CLASS_A, CLASS_B };
enum sort { SORT_SURE, SORT_AWAY, SORT_UNSURE, SORT_DOUBTFUL };

struct row {
    const char *name;
    uint16_t number;
    const char *state;
    enum where where;
    enum class class;
    enum sort sort;
    const char *text;
};

static const struct row ROWS[] = {
#define RETRY_ERROR(NAME, metric, number, state, where, class, sort, text)                         \
    [RETRY_ERROR_##NAME] = {metric, number, state, WHERE_##where, CLASS_##class, SORT_##sort, text},
#include "planner/retry.def"
};

const char *retry_error_name(enum retry_error error)
{
    return ROWS[error].name;
}

bool retry_error_is_away(enum retry_error error)
{
    return ROWS[error].sort == SORT_AWAY || ROWS[error].sort == SORT_UNSURE;
}

const char *retry_outcome_name(enum retry_outcome outcome)
{
    static const char *const NAMES[] = {
#define X(NAME, text) [RETRY_OUTCOME_##NAME] = text,
        RETRY_OUTCOMES(X)
#undef X
    };
    return NAMES[outcome];
}

/* --- the statement --------------------------------------------------------------------------- */

/* Somewhere in the text, without regard to case. */
static bool mentions(const char *sql, size_t len, const char *upper)
{
    size_t n = strlen(upper);

    for (size_t i = 0; i + n <= len; i++) {
        if (ascii_equals(sql + i, n, upper, n))
            return true;
    }
    return false;
}

static bool is_call(const struct statement *st)
{
    struct lexer lx;

    lexer_init(&lx, st->text, st->len);
    struct token t = lexer_next(&lx);

    return token_is(&t, "CALL") || token_is(&t, "DO") || token_is(&t, "LOAD");
}

enum retry_statement retry_statement(const char *sql, size_t len, bool whole)
{
    struct hints hints = {.present = false};
    struct statement st;

    if (!whole)
        return RETRY_NEVER;
    classify_next(sql, len, &st);
    if (st.kind != STATEMENT_READ && st.kind != STATEMENT_SHOW && st.kind != STATEMENT_WRITE)
        return RETRY_NEVER;
    hints_parse(sql, len, &hints);
    if (hints.no_retry || st.lock != LOCK_NONE)
        return RETRY_NEVER;
    if (st.kind != STATEMENT_WRITE)
        return RETRY_READ;
    return is_call(&st) || mentions(sql, len, "MULTI_SHARD_AUTOCOMMIT") ? RETRY_NEVER : RETRY_WRITE;
}

/* --- the error ------------------------------------------------------------------------------- */

/* '*' stands for any run of characters. Linear but for the last '*' that was met. */
static bool matches(const char *pattern, const char *text, size_t len)
{
    const char *star = NULL;
    size_t at = 0, back = 0;

    while (at < len) {
        if (*pattern == '*') {
            star = ++pattern;
            back = at;
        } else if (*pattern && *pattern == text[at]) {
            pattern++;
            at++;
        } else if (star) {
            pattern = star;
            at = ++back;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

struct run {
    const char *at;
    size_t len;
};

static bool skip(struct run *r, const char *prefix)
{
    size_t n = strlen(prefix);

    if (r->len < n || memcmp(r->at, prefix, n) != 0)
        return false;
    r->at += n;
    r->len -= n;
    return true;
}

static bool skip_past(struct run *r, const char *mark)
{
    const char *at = memmem(r->at, r->len, mark, strlen(mark));

    if (!at)
        return false;
    r->len -= (size_t)(at - r->at) + strlen(mark);
    r->at = at + strlen(mark);
    return true;
}

/* "VT05004: " */
static void skip_code(struct run *r)
{
    if (r->len < 9 || r->at[0] != 'V' || r->at[1] != 'T' || r->at[7] != ':' || r->at[8] != ' ')
        return;
    r->at += 9;
    r->len -= 9;
}

struct retry_match retry_match(uint16_t number, const char *state, const char *text, size_t len)
{
    struct retry_match m = {.error = RETRY_ERROR_COUNT};
    struct run r = {text, len};
    enum where where = WHERE_PLAN;

    m.wrapped = skip(&r, "VT15001: transaction error, issue ROLLBACK and retry the transaction: ");
    if (skip(&r, "target: ")) {
        where = WHERE_TABLET;
        m.target = r.at;
        if (!skip_past(&r, ": "))
            return m;
        m.target_len = (size_t)(r.at - m.target) - 2;
        skip(&r, "vttablet: ");
        if (skip(&r, "rpc error: code = "))
            skip_past(&r, "desc = ");
        m.primary = m.target_len > 8 && memcmp(m.target + m.target_len - 8, ".primary", 8) == 0;
        m.several = memmem(r.at, r.len, "\ntarget: ", 9) != NULL;
    }
    skip_code(&r);
    for (size_t i = 0; i < RETRY_ERROR_COUNT; i++) {
        if (ROWS[i].where == where && ROWS[i].number == number &&
            memcmp(ROWS[i].state, state, 5) == 0 && (!m.wrapped || ROWS[i].sort == SORT_AWAY) &&
            matches(ROWS[i].text, r.at, r.len)) {
            m.error = (enum retry_error)i;
            break;
        }
    }
    return m;
}

/* Usually the application's own mistake, as is to ask for a replica where there is none. */
static bool is_doubtful(const struct retry_match *m)
{
    const struct row *row = &ROWS[m->error];

    return row->sort == SORT_DOUBTFUL || (row->sort == SORT_UNSURE && !m->primary);
}

bool retry_match_is_sure(const struct retry_match *m)
{
    return m->error < RETRY_ERROR_COUNT && !is_doubtful(m);
}

/* --- the decision ---------------------------------------------------------------------------- */

/* Whether it can be ruled out that it was executed, wholly or on some shard. A write to several
   shards is in a transaction of vtgate's own, which is rolled back when one of them refuses
   (Executor.insideTransaction). */
static bool is_safe(const struct retry_facts *f, const struct row *row, enum retry_unsure unsure)
{
    if (f->match.wrapped && !(f->in_transaction && f->first && f->restartable))
        return false;
    if (f->in_transaction && (row->class == CLASS_B || (row->where == WHERE_TABLET && !f->first)))
        return false;
    if (f->in_transaction && row->where == WHERE_TABLET)
        return !f->match.several; /* what a tablet that died had begun is rolled back */
    if (f->statement != RETRY_WRITE)
        return true;
    if (f->match.several)
        return false;
    if (row->class == CLASS_B)
        return f->one_shard;
    return row->sort != SORT_UNSURE || unsure == RETRY_UNSURE_ALWAYS ||
           (unsure == RETRY_UNSURE_AWAY && f->away_before);
}

/* Such a mistake comes back at once, unless something else may explain it. */
static bool is_own(const struct retry_facts *f)
{
    return is_doubtful(&f->match) && !f->proven && !f->suspected && !f->transition;
}

static struct retry_decision pass(enum retry_outcome reason)
{
    return (struct retry_decision){.action = RETRY_PASS, .reason = reason};
}

/* Doubled with each try up to the longest; the latter half of it is by chance, so that those who
   failed together do not come back together. */
static int64_t delay(const struct retry_facts *f, const struct retry_limits *l)
{
    int64_t ms = l->first_delay_ms;

    for (unsigned i = 0; i < f->attempts && ms < l->max_delay_ms; i++)
        ms *= 2;
    if (ms > l->max_delay_ms)
        ms = l->max_delay_ms;
    return ms / 2 + (int64_t)(f->random % (uint32_t)(ms - ms / 2 + 1));
}

struct retry_decision retry_decide(const struct retry_facts *f, const struct retry_limits *l)
{
    const struct row *row = &ROWS[f->match.error];
    int64_t budget = is_doubtful(&f->match) ? l->doubtful_ms : l->budget_ms;
    int64_t spent = f->now_ms - f->started_ms;

    if (f->disabled || f->statement == RETRY_NEVER || (f->in_transaction && !f->transactions))
        return pass(RETRY_OUTCOME_DISABLED);
    if (!is_safe(f, row, l->unsure_writes))
        return pass(RETRY_OUTCOME_UNSAFE);
    if (is_own(f))
        return pass(RETRY_OUTCOME_OWN);
    if (f->attempts >= l->attempts)
        return pass(RETRY_OUTCOME_BUDGET);
    if (f->transition && spent < l->wait_ms)
        return (struct retry_decision){.action = RETRY_WAIT};
    if (f->lasting || (f->attempts == 0 && f->trouble_ms && f->now_ms - f->trouble_ms >= budget))
        return pass(RETRY_OUTCOME_LASTING);
    int64_t ms = delay(f, l);

    if (spent + ms > budget)
        return pass(RETRY_OUTCOME_BUDGET);
    return (struct retry_decision){.action = RETRY_AFTER, .delay_ms = ms};
}
