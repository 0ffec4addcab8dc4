/*
 * The first keyword of a statement, and what it alone decides: the hot path. The words are in
 * statements.def; what comes behind them is classify.c's.
 *
 * Invariant: whatever classify_quick calls PLAIN is none of the kinds the shim acts upon.
 */
#include "planner/classify_word.h"

#include <string.h>

#include "planner/ascii.h"
#include "planner/classify.h"

struct first_word {
    enum quick_kind quick;
    size_t len; /* 0: any other word */
};

static const struct first_word first_words[] = {
    [ROW_UNKNOWN] = {QUICK_INTERESTING, 0},
#define KEYWORD(word, kind, quick, parse) [ROW_##word] = {QUICK_##quick, sizeof #word - 1},
#include "planner/statements.def"
};

#define WORD_MAX 16
#define KEYWORD(word, kind, quick, parse)                                                          \
    _Static_assert(sizeof #word - 1 <= WORD_MAX, "starts_with compares WORD_MAX bytes at most");
#include "planner/statements.def"

#define FOLD 0xdfdfdfdfdfdfdfdfU /* clears bit 5: letters become upper case, no other byte does */

/* The first n of at most eight bytes as one number. Written out so that it folds to a constant for
 * a literal, and to one load otherwise. */
static inline uint64_t pack(const char *s, size_t n)
{
#define BYTE(i) ((i) < n ? (uint64_t)(unsigned char)s[i] << 8 * (i) : 0)
    return BYTE(0) | BYTE(1) | BYTE(2) | BYTE(3) | BYTE(4) | BYTE(5) | BYTE(6) | BYTE(7);
#undef BYTE
}

/* The first WORD_MAX bytes of a text, padded with zeros, folded to upper case. */
struct head {
    uint64_t low, high;
};

static inline struct head read_head(const char *text, size_t len)
{
    char padded[WORD_MAX];
    if (len < WORD_MAX) {
        memset(padded, 0, sizeof padded);
        text = memcpy(padded, text, len);
    }
    return (struct head){.low = pack(text, 8) & FOLD, .high = pack(text + 8, 8) & FOLD};
}

/* Whether text[0..len) begins with the whole word `upper` of n letters. */
static inline bool starts_with(struct head head, const char *text, size_t len, const char *upper,
                               size_t n)
{
    uint64_t mask = UINT64_MAX >> (n % 8 == 0 ? 0 : 64 - 8 * (n % 8)); /* of the last part */
    bool same = n <= 8 ? (head.low & mask) == pack(upper, n)
                       : head.low == pack(upper, 8) && (head.high & mask) == pack(upper + 8, n - 8);
    return same && (n == len || !ascii_is(text[n], ASCII_WORD));
}

/* The row for the word that text[0..len) begins with. */
static inline enum first_word_row find_first_word(const char *text, size_t len)
{
    enum first_word_row row = ROW_UNKNOWN;
    struct head head = read_head(text, len);
    switch (head.low & 0xff) {
#define LETTER(c)                                                                                  \
    break;                                                                                         \
    case c:
#define KEYWORD(word, kind, quick, parse)                                                          \
    if (starts_with(head, text, len, #word, sizeof #word - 1)) {                                   \
        row = ROW_##word;                                                                          \
        break;                                                                                     \
    }
#include "planner/statements.def"
        break;
    default:
        break;
    }
    return row;
}

enum first_word_row classify_first_word(const char *text, size_t len)
{
    return find_first_word(text, len);
}

/* Whether a column that begins so may be GET_LOCK, RELEASE_LOCK or RELEASE_ALL_LOCKS. */
static enum quick_kind quick_lock(const char *text, size_t len, bool whole)
{
    if (len < 8)
        return whole ? QUICK_PLAIN : QUICK_UNDECIDED;
    return ascii_equals(text, 8, "GET_LOCK", 8) || ascii_equals(text, 8, "RELEASE_", 8)
               ? QUICK_INTERESTING
               : QUICK_PLAIN;
}

/* What follows SELECT, when a comment or '(' does. */
__attribute__((noinline)) static enum quick_kind quick_select_slow(const char *text, size_t len,
                                                                   bool whole)
{
    struct lexer lx;
    lexer_init(&lx, text, len);
    for (;;) {
        if (lexer_skip_blanks(&lx))
            return QUICK_INTERESTING;
        size_t left = (size_t)(lx.end - lx.pos);
        if (left == 0)
            return whole ? QUICK_PLAIN : QUICK_UNDECIDED;
        if (*lx.pos != '(')
            return quick_lock(lx.pos, left, whole);
        lx.pos++;
    }
}

/* What follows SELECT: a lock function is tracked, all else is plain. The first letter tells most
   of it. */
static inline enum quick_kind quick_select(const char *text, size_t len, bool whole)
{
    size_t at = 0;
    while (at < len && ascii_is(text[at], ASCII_BLANK))
        at++;
    if (at == len)
        return whole ? QUICK_PLAIN : QUICK_UNDECIDED;
    switch (text[at]) {
    case 'g':
    case 'G':
    case 'r':
    case 'R':
        return quick_lock(text + at, len - at, whole);
    case '(':
    case '/':
    case '#':
    case '-':
        return quick_select_slow(text + at, len - at, whole);
    default:
        return QUICK_PLAIN;
    }
}

/* classify_quick for a text that starts with a word. */
static inline enum quick_kind quick_word(const char *text, size_t len, bool whole)
{
    enum first_word_row row = find_first_word(text, len);
    const struct first_word *word = &first_words[row];
    size_t used = word->len;
    if (used != 0 && used < len && row == ROW_SELECT)
        return quick_select(text + used, len - used, whole);
    if (whole || (used != 0 && used < len))
        return word->quick;
    while (used < len && ascii_is(text[used], ASCII_WORD))
        used++;
    return used == len ? QUICK_UNDECIDED : word->quick;
}

/* classify_quick for a text that starts with a comment or '('. */
__attribute__((noinline)) static enum quick_kind quick_slow(const char *sql, size_t len, bool whole)
{
    struct lexer lx;
    lexer_init(&lx, sql, len);
    for (;;) {
        if (lexer_skip_blanks(&lx))
            return QUICK_INTERESTING;
        size_t left = (size_t)(lx.end - lx.pos);
        if (left == 0)
            return whole ? QUICK_PLAIN : QUICK_UNDECIDED;
        if (ascii_is(*lx.pos, ASCII_WORD))
            return quick_word(lx.pos, left, whole);
        if (left == 1 && !whole && (*lx.pos == '/' || *lx.pos == '-'))
            return QUICK_UNDECIDED; /* perhaps half of a comment's opening */
        if (*lx.pos != '(')
            return QUICK_INTERESTING;
        lx.pos++;
    }
}

enum quick_kind classify_quick(const char *sql, size_t len, bool whole)
{
    size_t at = 0;

    /* As most begin. */
    if (len > 7 && sql[6] == ' ' && (pack(sql, 8) & FOLD & (UINT64_MAX >> 16)) == pack("SELECT", 6))
        return quick_select(sql + 7, len - 7, whole);
    while (at < len && ascii_is(sql[at], ASCII_BLANK))
        at++;
    if (at < len && ascii_is(sql[at], ASCII_WORD))
        return quick_word(sql + at, len - at, whole);
    return quick_slow(sql, len, whole);
}
