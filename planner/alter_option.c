/*
 * Table options, which stand behind a CREATE TABLE and among the clauses of an ALTER TABLE, and
 * PARTITION BY.
 */
#include "planner/alter_scan.h"

/* OPTION [=] value. Those that matter have an action of their own. */
static const struct {
    const char *word;
    enum ddl_action_kind kind;
} OPTIONS[] = {
    {"ENGINE", DDL_ENGINE},
    {"CHARSET", DDL_CHARSET},
    {"COLLATE", DDL_COLLATE},
    {"AUTO_INCREMENT", DDL_AUTO_INCREMENT},
    {"AUTOEXTEND_SIZE", DDL_OPTION},
    {"AVG_ROW_LENGTH", DDL_OPTION},
    {"CHECKSUM", DDL_OPTION},
    {"COMMENT", DDL_OPTION},
    {"COMPRESSION", DDL_OPTION},
    {"CONNECTION", DDL_OPTION},
    {"DELAY_KEY_WRITE", DDL_OPTION},
    {"ENCRYPTION", DDL_OPTION},
    {"ENGINE_ATTRIBUTE", DDL_OPTION},
    {"INSERT_METHOD", DDL_OPTION},
    {"KEY_BLOCK_SIZE", DDL_OPTION},
    {"MAX_ROWS", DDL_OPTION},
    {"MIN_ROWS", DDL_OPTION},
    {"PACK_KEYS", DDL_OPTION},
    {"PASSWORD", DDL_OPTION},
    {"ROW_FORMAT", DDL_OPTION},
    {"SECONDARY_ENGINE", DDL_OPTION},
    {"SECONDARY_ENGINE_ATTRIBUTE", DDL_OPTION},
    {"STATS_AUTO_RECALC", DDL_OPTION},
    {"STATS_PERSISTENT", DDL_OPTION},
    {"STATS_SAMPLE_PAGES", DDL_OPTION},
    {"TABLESPACE", DDL_OPTION},
};

static bool scan_valued(struct ddl_scan *s, enum ddl_action_kind kind)
{
    struct ddl_action *a = scan_action(s, kind);

    a->name = (struct sql_name){s->t.text, s->t.len};
    scan_advance(s);
    scan_accept_char(s, '=');
    a->value = scan_value(s);
    return true;
}

/* Options of two words. */
static bool scan_long_option(struct ddl_scan *s)
{
    if (token_is(&s->t, "CHARACTER") && scan_next_is(s, "SET")) {
        scan_advance(s);
        return scan_valued(s, DDL_CHARSET);
    }
    if ((token_is(&s->t, "DATA") || token_is(&s->t, "INDEX")) && scan_next_is(s, "DIRECTORY")) {
        scan_advance(s);
        return scan_valued(s, DDL_OPTION);
    }
    return false;
}

bool scan_option(struct ddl_scan *s)
{
    if (token_is(&s->t, "DEFAULT")) {
        if (!scan_next_is(s, "CHARACTER") && !scan_next_is(s, "CHARSET") &&
            !scan_next_is(s, "COLLATE") && !scan_next_is(s, "ENCRYPTION"))
            return false;
        scan_advance(s);
    }
    for (size_t i = 0; i < sizeof(OPTIONS) / sizeof(*OPTIONS); i++) {
        if (token_is(&s->t, OPTIONS[i].word))
            return scan_valued(s, OPTIONS[i].kind);
    }
    return scan_long_option(s);
}

/* What a partition is made of does not matter here, only where the parentheses end. */
void scan_partition_by(struct ddl_scan *s)
{
    size_t depth = 0;

    scan_action(s, DDL_PARTITION_BY);
    for (; !scan_at_end(s); scan_advance(s)) {
        if (token_is_char(&s->t, '('))
            depth++;
        else if (token_is_char(&s->t, ')') && depth == 0)
            break;
        else if (token_is_char(&s->t, ')'))
            depth--;
        else if (token_is(&s->t, "SUBPARTITION") || token_is(&s->t, "SUBPARTITIONS"))
            s->ddl->subpartitions = true;
    }
    if (depth > 0)
        s->failed = true;
}
