/*
 * Feeds any bytes to config_load_text. Whatever comes out must be shown, cloned, compared, checked
 * and freed; a refusal must say why, in one printable line.
 */
#include "config/load.h"

#include "tests/fuzz/fuzz.h"

static void check_error(const struct config_error *err)
{
    size_t len = strnlen(err->text, sizeof(err->text));
    CHECK(len > 0 && len < sizeof(err->text));
    for (size_t i = 0; i < len; i++) {
        CHECK((unsigned char)err->text[i] >= 0x20 && err->text[i] != 0x7F);
    }
}

/* Shown in full and cut. What is shown of a setting without secrets sets the same value again. */
static void check_value(const struct config *c, const struct option_row *row, struct config *again)
{
    char cut[5];
    struct config_error err;
    size_t len = option_format(c, row, cut, sizeof(cut));
    CHECK(strlen(cut) == (len < sizeof(cut) ? len : sizeof(cut) - 1));
    char *text = malloc(len + 1);
    CHECK(text != NULL);
    CHECK(option_format(c, row, text, len + 1) == len && strlen(text) == len);
    if (row->type != OPTION_SECRET && row->type != OPTION_USERS && len > 0) {
        CHECK(option_set_text(again, row->key, text, &err));
        CHECK(option_equal(c, again, row));
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *c = config_create_default();
    struct config_error err = {""};
    size_t n;
    const struct option_row *rows = options_table(&n);
    if (!config_load_text("fuzz.json", (const char *)data, size, c, &err)) {
        check_error(&err);
    }
    struct config *clone = config_clone(c), *again = config_create_default();
    for (size_t i = 0; i < n; i++) {
        check_value(clone, &rows[i], again);
        CHECK(option_equal(c, clone, &rows[i]));
    }
    if (!config_check(c, &err)) {
        check_error(&err);
    }
    config_destroy(clone);
    config_destroy(again);
    config_destroy(c);
    return 0;
}
