/*
 * A Bloom filter of the names in a statement. See names.h for what it promises.
 *
 * One 64-bit hash of the folded bytes (FNV-1a, finished as in MurmurHash3) gives four probes of
 * nine bits each. The hash lives in memory only: it may change at any time.
 */
#include "planner/names.h"

#include "planner/ascii.h"
#include "planner/lexer.h"

#define PROBES       4
#define BITS_A_PROBE 9 /* log2(NAMES_WORDS * 64) */
_Static_assert(NAMES_WORDS * 64 == 1 << BITS_A_PROBE, "probes must address the whole filter");

/* `quote`: a doubled one counts once, 0 for none. */
static uint64_t hash_name(const char *name, size_t len, char quote)
{
    uint64_t h = 0xcbf29ce484222325U;
    for (size_t i = 0; i < len; i++) {
        h = (h ^ ascii_upper(name[i])) * 0x100000001b3U;
        if (quote != 0 && name[i] == quote && i + 1 < len && name[i + 1] == quote)
            i++;
    }
    h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdU;
    h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53U;
    return h ^ (h >> 33);
}

static void add_hash(struct names *n, uint64_t h)
{
    for (unsigned i = 0; i < PROBES; i++, h >>= BITS_A_PROBE)
        n->bits[h / 64 % NAMES_WORDS] |= UINT64_C(1) << (h % 64);
}

void names_add(struct names *n, const char *name, size_t len)
{
    add_hash(n, hash_name(name, len, 0));
}

bool names_may_contain(const struct names *n, const char *name, size_t len)
{
    if (n->everything)
        return true;
    uint64_t h = hash_name(name, len, 0);
    for (unsigned i = 0; i < PROBES; i++, h >>= BITS_A_PROBE) {
        if ((n->bits[h / 64 % NAMES_WORDS] >> (h % 64) & 1) == 0)
            return false;
    }
    return true;
}

void names_collect(struct names *n, const char *sql, size_t len, bool whole)
{
    *n = (struct names){.everything = !whole};
    if (!whole)
        return;
    struct lexer lx;
    lexer_init(&lx, sql, len);
    for (struct token t = lexer_next(&lx); t.kind != TOKEN_END; t = lexer_next(&lx)) {
        if (t.kind == TOKEN_WORD)
            add_hash(n, hash_name(t.text, t.len, 0));
        else if (t.kind == TOKEN_QUOTED)
            add_hash(n, hash_name(t.text, t.len, '`'));
        else if (t.kind == TOKEN_STRING && t.text[-1] == '"')
            add_hash(n, hash_name(t.text, t.len, '"'));
    }
    /* vtgate refuses an unterminated text; should it not, names may hide behind our misreading. */
    if (lx.truncated)
        n->everything = true;
}

void names_merge(struct names *n, const struct names *other)
{
    for (size_t i = 0; i < NAMES_WORDS; i++)
        n->bits[i] |= other->bits[i];
    n->everything = n->everything || other->everything;
}
