/*
 * Any text as a statement to be warmed. Holds: what is written
 * ends with its only NUL and fits, with nothing in it left open.
 */
#include "planner/sample.h"
#include "planner/lexer.h"
#include "tests/fuzz/fuzz.h"

static void check_tokens(const char *text, size_t len)
{
    struct lexer lx;

    lexer_init(&lx, text, len);
    for (struct token t = lexer_next(&lx); t.kind != TOKEN_END; t = lexer_next(&lx))
        CHECK(!t.unterminated);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char once[SAMPLE_MAX], twice[SAMPLE_MAX], small[64];
    char *text = (char *)fuzz_copy((const char *)data, size);
    size_t trimmed = size;
    const char *at = sample_trim(text, &trimmed);

    CHECK(at >= text && trimmed <= size && at + trimmed <= text + size);
    size_t n = sample_text(once, sizeof(once), text, size);

    CHECK(n < sizeof(once));
    CHECK(sample_text(small, sizeof(small), text, size) < sizeof(small));
    if (n > 0) {
        CHECK(once[n] == '\0' && strlen(once) == n);
        (void)sample_writes(once, n);
        check_tokens(once, n);
        CHECK(sample_text(twice, sizeof(twice), once, n) < sizeof(twice));
    }
    free(text);
    return 0;
}
