/*
 * The tokenizer on arbitrary bytes. Holds: every token but the last consumes something, lies inside
 * the input and behind the one before; the end repeats; what is collected as a name is found.
 */

#include "planner/lexer.h"
#include "planner/names.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *sql = (const char *)data, *end = sql + size, *behind = sql;
    struct lexer lx;
    struct names names;
    names_collect(&names, sql, size, true);
    lexer_init(&lx, sql, size);
    for (;;) {
        const char *before = lx.pos;
        struct token t = lexer_next(&lx);
        CHECK(lx.pos >= before && lx.pos <= end && lx.end == end);
        CHECK(t.text >= behind && t.text <= lx.pos && t.len <= (size_t)(lx.pos - t.text));
        CHECK(!t.unterminated || lx.truncated);
        if (t.kind == TOKEN_END) {
            CHECK(lx.pos == end && t.len == 0 && t.unterminated == lx.truncated);
            break;
        }
        CHECK(lx.pos > before);
        if (t.kind == TOKEN_WORD) {
            CHECK(t.len > 0 && names_may_contain(&names, t.text, t.len));
            CHECK(t.text + t.len == lx.pos);
        }
        if (t.kind == TOKEN_PUNCT || t.kind == TOKEN_SEMICOLON)
            CHECK(t.len == 1);
        if (t.kind == TOKEN_VARIABLE)
            CHECK(t.len >= 2 && t.text[0] == '@');
        if (t.kind == TOKEN_QUOTED)
            CHECK(t.text[-1] == '`' && (t.unterminated || lx.pos == t.text + t.len + 1));
        behind = lx.pos;
    }
    CHECK(lexer_next(&lx).kind == TOKEN_END);
    CHECK(lx.truncated == names.everything);
    return 0;
}
