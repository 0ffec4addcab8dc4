/*
 * Pairs, and the filter. Names are folded to upper case (ASCII), as columns compare.
 */
#include "planner/traffic.h"

#include "planner/ascii.h"
#include "planner/lexer.h"

#define TABLES_MAX 8
#define PROBES     4

static uint32_t hash_name(uint32_t h, struct sql_name name)
{
    for (size_t i = 0; i < name.len; i++)
        h = (h ^ ascii_upper(name.text[i])) * 16777619u; /* FNV-1a */
    return h;
}

static uint32_t hash_pair(struct sql_name table, struct sql_name column)
{
    uint32_t h = hash_name(2166136261u, table);

    return hash_name((h ^ '.') * 16777619u, column);
}

static bool is_name(const struct token *t)
{
    return (t->kind == TOKEN_WORD || t->kind == TOKEN_QUOTED) && t->len > 0;
}

static bool opens_list(const struct token *t)
{
    return token_is(t, "FROM") || token_is(t, "JOIN") || token_is(t, "INTO") ||
           token_is(t, "UPDATE");
}

/* [keyspace.]table, and after a comma the next one; aliases lie between. */
static size_t find_tables(const char *sql, size_t len, struct sql_name tables[TABLES_MAX])
{
    struct lexer lx;
    size_t n = 0;
    bool expected = false, listed = false;

    lexer_init(&lx, sql, len);
    for (struct token t = lexer_next(&lx); t.kind != TOKEN_END && n < TABLES_MAX;
         t = lexer_next(&lx)) {
        if (opens_list(&t)) {
            expected = listed = true;
        } else if (expected && is_name(&t)) {
            tables[n++] = (struct sql_name){t.text, t.len};
            expected = false;
        } else if (n > 0 && token_is_char(&t, '.') && listed &&
                   t.text == tables[n - 1].text + tables[n - 1].len) {
            n--; /* that was the keyspace */
            expected = true;
        } else if (listed && token_is_char(&t, ',')) {
            expected = true;
        } else if (token_is(&t, "WHERE") || token_is(&t, "SET") || token_is(&t, "ON") ||
                   token_is_char(&t, '(') || token_is(&t, "VALUES")) {
            expected = listed = false;
        }
    }
    return n;
}

size_t traffic_pairs(const char *sql, size_t len, uint32_t out[TRAFFIC_PAIRS_MAX])
{
    struct sql_name tables[TABLES_MAX];
    size_t count = find_tables(sql, len, tables), n = 0;
    struct lexer lx;

    lexer_init(&lx, sql, len);
    for (struct token t = lexer_next(&lx); t.kind != TOKEN_END && count > 0; t = lexer_next(&lx)) {
        if (!is_name(&t))
            continue;
        for (size_t i = 0; i < count && n < TRAFFIC_PAIRS_MAX; i++)
            out[n++] = hash_pair(tables[i], (struct sql_name){t.text, t.len});
        if (n == TRAFFIC_PAIRS_MAX)
            break;
    }
    return n;
}

/* The i-th bit of a pair. */
static uint32_t probe(uint32_t hash, unsigned i)
{
    return (hash + i * ((hash >> 15) * 2654435761u | 1u)) % (TRAFFIC_WORDS * 64);
}

/* The older generation is forgotten; both, after a long silence. */
static void turn(struct traffic *t, int64_t now_ms)
{
    int64_t since = atomic_load_explicit(&t->turned_ms, memory_order_relaxed);

    if (now_ms - since < TRAFFIC_TURN_MS ||
        !atomic_compare_exchange_strong(&t->turned_ms, &since, now_ms))
        return;
    unsigned old = atomic_load(&t->current), next = !old;

    for (size_t i = 0; i < TRAFFIC_WORDS; i++) {
        atomic_store_explicit(&t->bits[next][i], 0, memory_order_relaxed);
        if (now_ms - since >= 2 * TRAFFIC_TURN_MS)
            atomic_store_explicit(&t->bits[old][i], 0, memory_order_relaxed);
    }
    atomic_store(&t->current, next);
}

void traffic_note(struct traffic *t, const uint32_t *pairs, size_t n, int64_t now_ms)
{
    turn(t, now_ms);
    unsigned g = atomic_load_explicit(&t->current, memory_order_relaxed);

    for (size_t i = 0; i < n; i++) {
        for (unsigned j = 0; j < PROBES; j++) {
            uint32_t at = probe(pairs[i], j);
            uint64_t bit = (uint64_t)1 << (at % 64);
            _Atomic uint64_t *word = &t->bits[g][at / 64];

            /* Mostly it is there: no cache line is written. */
            if (!(atomic_load_explicit(word, memory_order_relaxed) & bit))
                atomic_fetch_or_explicit(word, bit, memory_order_relaxed);
        }
    }
}

bool traffic_knows(struct traffic *t, struct sql_name table, struct sql_name column, int64_t now_ms)
{
    uint32_t hash = hash_pair(table, column);

    turn(t, now_ms);
    for (unsigned g = 0; g < 2; g++) {
        bool all = true;

        for (unsigned j = 0; j < PROBES && all; j++) {
            uint32_t at = probe(hash, j);

            all = atomic_load_explicit(&t->bits[g][at / 64], memory_order_relaxed) >> (at % 64) & 1;
        }
        if (all)
            return true;
    }
    return false;
}
