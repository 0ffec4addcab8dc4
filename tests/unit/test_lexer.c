/* The tokenizer: each text against a one-line rendering of its tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "planner/ascii.h"
#include "planner/lexer.h"

/* Tokens as "w:word q:quoted s:string n:number v:variable p:punct ;", "!" behind unterminated ones.
 */
static void render(char *dst, size_t size, const char *sql, size_t len)
{
    static const char letters[] = {
        [TOKEN_WORD] = 'w',   [TOKEN_QUOTED] = 'q',   [TOKEN_STRING] = 's',
        [TOKEN_NUMBER] = 'n', [TOKEN_VARIABLE] = 'v', [TOKEN_PUNCT] = 'p'};
    struct lexer lx;
    size_t n = 0;
    lexer_init(&lx, sql, len);
    dst[0] = '\0';
    for (;;) {
        struct token t = lexer_next(&lx);
        if (t.kind == TOKEN_END) {
            if (t.unterminated)
                snprintf(dst + n, size - n, " !");
            return;
        }
        const char *gap = n == 0 ? "" : " ";
        int w = t.kind == TOKEN_SEMICOLON
                    ? snprintf(dst + n, size - n, "%s;", gap)
                    : snprintf(dst + n, size - n, "%s%c:%.*s%s", gap, letters[t.kind], (int)t.len,
                               t.text, t.unterminated ? "!" : "");
        n += (size_t)w;
        assert_true(n < size);
    }
}

static const struct {
    const char *sql, *tokens;
} cases[] = {
    {"", ""},
    {" \t\r\n\v\f", ""},
    {"select 1", "w:select n:1"},
    {"a_b$c d1", "w:a_b$c w:d1"},
    {"caf\xc3\xa9 x", "w:caf\xc3\xa9 w:x"},
    {"ALTER/**/TABLE`t`ADD", "w:ALTER w:TABLE q:t w:ADD"},
    {"a=b,c", "w:a p:= w:b p:, w:c"},
    {";;", "; ;"},
    /* comments */
    {"# x ; y\nz", "w:z"},
    {"#x", ""},
    {"-- x ; y\nz", "w:z"},
    {"--\nz", "w:z"},
    {"--\tx\nz", "w:z"},
    {"a --", "w:a"},
    {"1--2", "n:1 p:- p:- n:2"},
    {"--x", "p:- p:- w:x"},
    {"// x\ny", "w:y"},
    {"a / b", "w:a p:/ w:b"},
    {"/* x ; */ y", "w:y"},
    {"/**/y", "w:y"},
    {"/***/y", "w:y"},
    {"/*/ x */y", "w:y"},
    {"/* a /* b */ c", "w:c"},
    {"/*+ MAX_EXECUTION_TIME(1) */ x", "w:x"},
    {"/*vt+ A=1 */ x", "w:x"},
    {"/* x", " !"},
    {"/*", " !"},
    {"/", "p:/"},
    {"a */ b", "w:a p:* p:/ w:b"},
    /* version comments */
    {"/*!40101 SET a */ b", "w:SET w:a w:b"},
    {"/*! SET*/", "w:SET"},
    {"/*!401 x */", "n:401 w:x"},
    {"/*!50700ALTER*/ t", "w:ALTER w:t"},
    {"/*!999999\\- enable the sandbox mode */ x", "w:x"},
    {"/*!99999 a /* b */ c */ x", "w:x"},
    {"/*!99999 a", " !"},
    {"/*!40101 a /* b */ c */ d", "w:a w:c w:d"},
    {"/*!40101 a /*!40102 b */ c */ d", "w:a w:c w:d"},
    {"/*!40101 a # */\n b */ c", "w:a w:b w:c"},
    {"/*!40101 a", "w:a !"},
    {"/*!40101 a // b */", "w:a p:/ p:/ w:b"},
    {"/*M!100100 a */ b", "w:b"},
    {"/*m!100100 a */ b", "w:b"},
    {"/*!*/a", "w:a"},
    /* strings and quoted names */
    {"'a' \"b\" `c`", "s:a s:b q:c"},
    {"'a''b'", "s:a''b"},
    {"\"a\"\"b\"", "s:a\"\"b"},
    {"`a``b`", "q:a``b"},
    {"'a\\'b'", "s:a\\'b"},
    {"'a\\\\' b", "s:a\\\\ w:b"},
    {"`a\\` b", "q:a\\ w:b"},
    {"'a;b' ;", "s:a;b ;"},
    {"'/* ' x", "s:/*  w:x"},
    {"''", "s:"},
    {"``x", "q: w:x"},
    {"'a", "s:a! !"},
    {"'a\\", "s:a\\! !"},
    {"`a", "q:a! !"},
    {"'", "s:! !"},
    {"'a''", "s:a''! !"},
    {"N'a' x'1f' _utf8'b'", "w:N s:a w:x s:1f w:_utf8 s:b"},
    /* numbers, and words that begin with digits */
    {"12 1.5 0x1F 1e9 1E-9 1.e3 .5", "n:12 n:1.5 n:0x1F n:1e9 n:1E-9 n:1.e3 n:.5"},
    {"2nd 1e 0x 0xZ 0b01", "w:2nd w:1e w:0x w:0xZ w:0b01"},
    {"1e+x", "w:1e p:+ w:x"},
    {"ks.1t", "w:ks p:. w:1t"},
    {"ks.t", "w:ks p:. w:t"},
    {".5x", "p:. w:5x"},
    {"1.5x", "n:1.5 w:x"},
    {"1.", "n:1."},
    {".", "p:."},
    /* variables */
    {"@a @@b @@session.c @a.b", "v:@a v:@@b v:@@session.c v:@a.b"},
    {"@'x' @\"x\" @`x;y`", "v:@'x' v:@\"x\" v:@`x;y`"},
    /* as vtgate: the quote behind the mark is a letter of the name, and does not quote */
    {"@'x;y", "v:@'x ; w:y"},
    {"@# ; x", "v:@# ; w:x"},
    {"@x' ; y", "v:@x' ; w:y"},
    {"@@s.`x`.'y z", "v:@@s.`x`.'y w:z"},
    {"@@session.`c`=1", "v:@@session.`c` p:= n:1"},
    {"@@`c`", "v:@@`c`"},
    {"root@localhost", "w:root v:@localhost"},
    {"'u'@'h'", "s:u v:@'h'"},
    {"@ @; @@ x @", "v:@  v:@; v:@@ x p:@"}, /* any byte behind the marks, as vtgate */
    {"@'x", "v:@'x"},
    {"@", "p:@"},
    {"@@", "p:@ p:@"},
};

static void tokens_of_each_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char got[512];
        render(got, sizeof got, cases[i].sql, strlen(cases[i].sql));
        if (strcmp(got, cases[i].tokens) != 0)
            fail_msg("%s: %s, not %s", cases[i].sql, got, cases[i].tokens);
    }
}

static void nul_bytes_are_tokens(void **state)
{
    (void)state;
    static const char sql[] = "a\0b '\0;' \0";
    struct lexer lx;
    lexer_init(&lx, sql, sizeof sql - 1);
    static const struct {
        enum token_kind kind;
        size_t len;
    } expected[] = {{TOKEN_WORD, 1},   {TOKEN_PUNCT, 1}, {TOKEN_WORD, 1},
                    {TOKEN_STRING, 2}, {TOKEN_PUNCT, 1}, {TOKEN_END, 0}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        struct token t = lexer_next(&lx);
        assert_int_equal(t.kind, expected[i].kind);
        assert_int_equal(t.len, expected[i].len);
    }
}

static void the_end_repeats(void **state)
{
    (void)state;
    struct lexer lx;
    lexer_init(&lx, "a", 1);
    assert_int_equal(lexer_next(&lx).kind, TOKEN_WORD);
    for (int i = 0; i < 3; i++)
        assert_int_equal(lexer_next(&lx).kind, TOKEN_END);
    lexer_init(&lx, NULL, 0);
    assert_int_equal(lexer_next(&lx).kind, TOKEN_END);
}

static void keywords_ignore_case(void **state)
{
    (void)state;
    struct lexer lx;
    lexer_init(&lx, "vitess_Migration `TABLE` 'TABLE' (", 34);
    struct token t = lexer_next(&lx);
    assert_true(token_is(&t, "VITESS_MIGRATION"));
    assert_false(token_is(&t, "VITESS_MIGRATIONS"));
    assert_false(token_is(&t, "VITESS"));
    t = lexer_next(&lx);
    assert_false(token_is(&t, "TABLE"));
    t = lexer_next(&lx);
    assert_false(token_is(&t, "TABLE"));
    t = lexer_next(&lx);
    assert_true(token_is_char(&t, '('));
    assert_false(token_is_char(&t, ')'));
}

static void escapes_are_undone(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *expected;
        size_t expected_len;
    } ROWS[] = {
        {"'plain'", 7, "plain", 5},
        {"'it''s'", 7, "it's", 4},
        {"'say \"\"'", 8, "say \"\"", 6},
        {"\"say \"\"it\"\"\"", 12, "say \"it\"", 8},
        {"'a\\'b\\\\'", 8, "a'b\\", 4},
        {"'\\n\\t\\0\\Z\\%'", 12, "\n\t\0\x1a\\%", 6},
        {"''", 2, "", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct lexer lx;
        char out[32];

        lexer_init(&lx, ROWS[i].text, ROWS[i].len);
        struct token t = lexer_next(&lx);

        assert_int_equal(t.kind, TOKEN_STRING);
        assert_int_equal(lexer_unescape(out, t.text, t.len, t.text[-1]), ROWS[i].expected_len);
        assert_memory_equal(out, ROWS[i].expected, ROWS[i].expected_len);
    }
}

/* Of ASCII alone, whatever the locale: bytes from 0x80 up are left as they are. */
static void case_is_folded(void **state)
{
    (void)state;
    for (int i = 0; i < 256; i++) {
        bool upper = i >= 'A' && i <= 'Z', lower = i >= 'a' && i <= 'z';

        assert_int_equal((unsigned char)ascii_lower((char)i), upper ? i + 32 : i);
        assert_int_equal(ascii_upper((char)i), lower ? i - 32 : i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(case_is_folded),       cmocka_unit_test(tokens_of_each_text),
        cmocka_unit_test(nul_bytes_are_tokens), cmocka_unit_test(the_end_repeats),
        cmocka_unit_test(keywords_ignore_case), cmocka_unit_test(escapes_are_undone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
