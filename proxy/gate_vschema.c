/*
 * What vtgate's VSchema has about the table: whether its keyspace is sharded, its vindexes, its
 * sequence.
 */
#include <string.h>

#include "proxy/gate_internal.h"

#define COLUMNS_MAX 128

/* Of an existing column: not adding one. */
static bool touches_columns(const struct gate *g)
{
    bool found = false;

    for (size_t i = 0; i < g->ddl->n; i++) {
        enum ddl_action_kind kind = g->ddl->actions[i].kind;

        found = found || kind == DDL_DROP_COLUMN || kind == DDL_CHANGE_COLUMN ||
                kind == DDL_MODIFY_COLUMN || kind == DDL_RENAME_COLUMN;
    }
    return found;
}

bool gate_ask_keyspaces(struct session *s)
{
    const struct gate *g = s->gate;
    bool wanted = g->explain;

    for (size_t i = 0; i < g->ddl->n; i++)
        wanted = wanted || g->ddl->actions[i].column.auto_increment;
    if (!wanted || !*g->keyspace)
        return false;
    ask_format(s, gate_on_answer, "SHOW VSCHEMA KEYSPACES");
    return true;
}

void gate_take_keyspaces(struct session *s, const struct answer *a)
{
    int name = answer_column(a, "Keyspace"), sharded = answer_column(a, "Sharded");
    struct bytes row[COLUMNS_MAX];

    if (name < 0 || sharded < 0 || name >= COLUMNS_MAX || sharded >= COLUMNS_MAX)
        return;
    for (const uint8_t *at = a->rows_at; answer_row(a, &at, row, COLUMNS_MAX);) {
        char text[65];

        bytes_to_name(text, sizeof(text), row[name]);
        if (strcmp(text, s->gate->keyspace) == 0)
            s->gate->facts.sharded = row[sharded].len == 4; /* "true" */
    }
}

bool gate_ask_vindexes(struct session *s)
{
    if (!gate_is_alter(s->gate) || !touches_columns(s->gate) || !*s->gate->reference)
        return false;
    ask_format(s, gate_on_answer, "SHOW VSCHEMA VINDEXES ON %s", s->gate->reference);
    return true;
}

/* One vindex on several columns: "a, b". */
static void add_vindex(struct gate *g, struct bytes columns, struct bytes name)
{
    const uint8_t *p = columns.p, *end = columns.p ? columns.p + columns.len : NULL;

    while (p < end && g->facts.vindex_count < GATE_VINDEXES_MAX) {
        const uint8_t *comma = memchr(p, ',', (size_t)(end - p));
        const uint8_t *stop = comma ? comma : end;
        struct vindex_use *use = &g->vindexes[g->facts.vindex_count++];

        bytes_to_name(use->column, sizeof(use->column), (struct bytes){p, (size_t)(stop - p)});
        bytes_to_name(use->vindex, sizeof(use->vindex), name);
        for (p = comma ? comma + 1 : end; p < end && *p == ' ';)
            p++;
    }
}

void gate_take_vindexes(struct session *s, const struct answer *a)
{
    int columns = answer_column(a, "Columns"), name = answer_column(a, "Name");
    struct bytes row[COLUMNS_MAX];

    if (columns < 0 || name < 0 || columns >= COLUMNS_MAX || name >= COLUMNS_MAX)
        return;
    for (const uint8_t *at = a->rows_at; answer_row(a, &at, row, COLUMNS_MAX);)
        add_vindex(s->gate, row[columns], row[name]);
}

/* No statement shows which column has a sequence, but the plan of an INSERT does. */
bool gate_ask_sequence(struct session *s)
{
    if (!gate_is_alter(s->gate) || !touches_columns(s->gate) || !*s->gate->reference)
        return false;
    ask_format(s, gate_on_answer, "VEXPLAIN PLAN INSERT INTO %s() VALUES ()", s->gate->reference);
    return true;
}

void gate_take_sequence(struct session *s, const struct answer *a)
{
    struct preflight_facts *f = &s->gate->facts;
    const uint8_t *at = a->rows_at;
    struct bytes row[1];

    if (answer_row(a, &at, row, 1) && row[0].p)
        preflight_sequence((const char *)row[0].p, row[0].len, f->vindexes, f->vindex_count,
                           &f->sequence);
}
