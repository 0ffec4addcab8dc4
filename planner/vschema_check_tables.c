/*
 * The tables of a VSchema: their types, vindexes, columns, sequences and sources.
 */
#include <string.h>

#include "planner/ascii.h"
#include "planner/vindex_type.h"
#include "planner/vschema_check_internal.h"

/* One table and where it stands. */
struct table_check {
    struct vschema_check *c;
    const struct vschema_table *t, *old;   /* old: NULL, a new one */
    const struct vschema_fact_table *real; /* NULL: not known, or none */
    const char *path;
};

static const char *member(struct table_check *tc, const char *name)
{
    return vschema_path(&tc->c->out->arena, tc->path, name);
}

static const char *vindex_at(struct table_check *tc, size_t i)
{
    return arena_format(&tc->c->out->arena, "%s.column_vindexes[%zu]", tc->path, i);
}

/* --- what the VSchema alone shows ------------------------------------------------------------ */

static void check_type(struct table_check *tc)
{
    const struct vschema_table *t = tc->t;
    struct vschema_findings *out = tc->c->out;

    if (strcmp(t->type, "sequence") == 0 && tc->c->after->sharded && !*t->pinned)
        vschema_find(out, VSCHEMA_RULE_table_type, member(tc, "type"),
                     "sequence '%s' has to be in a keyspace that is not sharded, or pinned",
                     t->name);
    else if (*t->type && strcmp(t->type, "sequence") != 0 && strcmp(t->type, "reference") != 0)
        vschema_find(out, VSCHEMA_RULE_table_type, member(tc, "type"),
                     "'%s' is no table type of Vitess (sequence, reference, or none)", t->type);
}

static void check_pinned(struct table_check *tc)
{
    const char *pinned = tc->t->pinned;
    size_t hex = strspn(pinned, "0123456789abcdefABCDEF");

    if (*pinned && (pinned[hex] || hex % 2))
        vschema_find(tc->c->out, VSCHEMA_RULE_pinned, member(tc, "pinned"),
                     "'%s' is no keyspace id in hexadecimal", pinned);
}

static bool same_name(const char *a, const char *b)
{
    for (; *a && ascii_upper(*a) == ascii_upper(*b); a++, b++)
        ;
    return *a == *b;
}

static void check_columns(struct table_check *tc)
{
    const struct vschema_table *t = tc->t;
    struct vschema_findings *out = tc->c->out;

    for (size_t i = 0; i < t->column_count; i++) {
        const char *at = arena_format(&out->arena, "%s.columns[%zu]", tc->path, i);

        if (!*t->columns[i].name)
            vschema_find(out, VSCHEMA_RULE_column_list, at, "a column without a name");
        if (!vschema_type_name(t->columns[i].type))
            vschema_find(out, VSCHEMA_RULE_column_list, vschema_path(&out->arena, at, "type"),
                         "%d is no type of Vitess", t->columns[i].type);
        for (size_t k = 0; k < i; k++) {
            if (same_name(t->columns[k].name, t->columns[i].name))
                vschema_find(out, VSCHEMA_RULE_column_list, at, "column '%s' is listed twice",
                             t->columns[i].name);
        }
    }
}

static void check_primary(struct table_check *tc)
{
    const struct vschema_table *t = tc->t;
    const struct vschema *v = tc->c->after;

    if (v->sharded && t->vindex_count == 0 && !*t->pinned && strcmp(t->type, "reference") != 0) {
        vschema_find(tc->c->out, VSCHEMA_RULE_primary_vindex, tc->path,
                     "table '%s' of a sharded keyspace has no primary vindex", t->name);
        return;
    }
    if (t->vindex_count == 0)
        return;
    const struct vschema_vindex *first = vschema_find_vindex(v, t->vindexes[0].name);
    const struct vindex_type *type = first ? vindex_type_find(first->type) : NULL;

    if (!type)
        return;
    if (!(type->flags & VINDEX_UNIQUE))
        vschema_find(tc->c->out, VSCHEMA_RULE_primary_vindex, vindex_at(tc, 0),
                     "the primary vindex '%s' (%s) of table '%s' is not unique", first->name,
                     first->type, t->name);
    else if ((type->flags & VINDEX_LOOKUP) && strcmp(first->owner, t->name) == 0)
        vschema_find(tc->c->out, VSCHEMA_RULE_primary_vindex, vindex_at(tc, 0),
                     "the primary vindex '%s' of table '%s' cannot be owned by it", first->name,
                     t->name);
}

static void check_vindex(struct table_check *tc, size_t i)
{
    const struct vschema_column_vindex *cv = &tc->t->vindexes[i];
    const struct vschema_vindex *vindex = vschema_find_vindex(tc->c->after, cv->name);
    const struct vindex_type *type = vindex ? vindex_type_find(vindex->type) : NULL;
    struct vschema_findings *out = tc->c->out;
    const char *at = vindex_at(tc, i);

    if (!vindex)
        vschema_find(out, VSCHEMA_RULE_column_vindex, vschema_path(&out->arena, at, "name"),
                     "table '%s' names vindex '%s', which is not defined", tc->t->name, cv->name);
    if (cv->column_count == 0)
        vschema_find(out, VSCHEMA_RULE_column_vindex, vschema_path(&out->arena, at, "columns"),
                     "vindex '%s' of table '%s' has no column", cv->name, tc->t->name);
    for (size_t k = 0; k < i; k++) {
        if (strcmp(tc->t->vindexes[k].name, cv->name) == 0)
            vschema_find(out, VSCHEMA_RULE_column_vindex, at, "table '%s' has vindex '%s' twice",
                         tc->t->name, cv->name);
    }
    if (!type)
        return;
    size_t columns = vindex_type_columns(type, vindex);

    if ((type->flags & VINDEX_MULTI) && i > 0)
        vschema_find(out, VSCHEMA_RULE_column_vindex, at,
                     "vindex '%s' (%s) of several columns can only be a primary vindex", cv->name,
                     vindex->type);
    if (columns && cv->column_count && columns != cv->column_count)
        vschema_find(out, VSCHEMA_RULE_column_vindex, vschema_path(&out->arena, at, "columns"),
                     "vindex '%s' (%s) takes %zu column%s, table '%s' gives %zu", cv->name,
                     vindex->type, columns, columns == 1 ? "" : "s", tc->t->name, cv->column_count);
}

static void check_source(struct table_check *tc)
{
    const struct vschema_table *t = tc->t, *table;
    const struct vschema_fact_table *real;
    const char *why;

    if (!*t->source)
        return;
    if (strcmp(t->type, "reference") != 0)
        vschema_find(tc->c->out, VSCHEMA_RULE_reference, member(tc, "source"),
                     "table '%s' has a source but is no reference table", t->name);
    else if (!strchr(t->source, '.'))
        vschema_find(tc->c->out, VSCHEMA_RULE_reference, member(tc, "source"),
                     "source '%s' needs its keyspace before it", t->source);
    else if (!vschema_resolve(tc->c, t->source, &table, &real, &why))
        vschema_find(tc->c->out, VSCHEMA_RULE_reference, member(tc, "source"),
                     "source '%s' of reference table '%s' %s", t->source, t->name, why);
}

static void check_sequence(struct table_check *tc)
{
    const struct vschema_table *t = tc->t, *table;
    const struct vschema_fact_table *real;
    struct arena *a = &tc->c->out->arena;
    const char *why, *at;

    if (!t->has_auto_increment)
        return;
    at = vschema_path(a, member(tc, "auto_increment"), "sequence");
    if (!vschema_resolve(tc->c, t->auto_sequence, &table, &real, &why))
        vschema_find(tc->c->out, VSCHEMA_RULE_sequence, at, "sequence '%s' of table '%s' %s",
                     t->auto_sequence, t->name, why);
    else if (!table || strcmp(table->type, "sequence") != 0)
        vschema_find(tc->c->out, VSCHEMA_RULE_sequence, at,
                     "table '%s' is no sequence: its type is '%s'", t->auto_sequence,
                     table ? table->type : "");
    else if (real && real->rows == ROWS_NONE)
        vschema_find(tc->c->out, VSCHEMA_RULE_sequence, at,
                     "sequence '%s' has no row: insert one (id 0, next_id, cache) first",
                     t->auto_sequence);
    if (tc->real && !vschema_fact_column(tc->real, t->auto_column))
        vschema_find(tc->c->out, VSCHEMA_RULE_column_missing,
                     vschema_path(a, member(tc, "auto_increment"), "column"),
                     "table '%s' has no column '%s'", t->name, t->auto_column);
}

/* --- against what MySQL has ------------------------------------------------------------------ */

static void check_vindex_columns(struct table_check *tc, size_t i)
{
    const struct vschema_column_vindex *cv = &tc->t->vindexes[i];
    const struct vschema_vindex *vindex = vschema_find_vindex(tc->c->after, cv->name);
    const struct vindex_type *type = vindex ? vindex_type_find(vindex->type) : NULL;
    struct arena *a = &tc->c->out->arena;
    bool typed = type && !(type->flags & VINDEX_MULTI);

    for (size_t k = 0; k < cv->column_count; k++) {
        const struct vschema_fact_column *column = vschema_fact_column(tc->real, cv->columns[k]);
        const char *at = arena_format(a, "%s.columns[%zu]", vindex_at(tc, i), k);

        if (!column)
            vschema_find(tc->c->out, VSCHEMA_RULE_column_missing, at,
                         "table '%s' has no column '%s'", tc->t->name, cv->columns[k]);
        else if (typed && !vindex_type_fits(type, column->data_type))
            vschema_find(tc->c->out, VSCHEMA_RULE_column_type, at,
                         "column '%s' of table '%s' is %s, which vindex '%s' (%s) cannot take",
                         cv->columns[k], tc->t->name, column->data_type, cv->name, vindex->type);
    }
}

/* The rows of the table were put where the old primary vindex says. */
static void check_primary_changed(struct table_check *tc)
{
    const struct vschema_table *t = tc->t, *old = tc->old;

    if (!old || !old->vindex_count || !t->vindex_count || !tc->c->before->sharded)
        return;
    const struct vschema_column_vindex *was = &old->vindexes[0], *is = &t->vindexes[0];
    const struct vschema_vindex *a = vschema_find_vindex(tc->c->before, was->name);
    const struct vschema_vindex *b = vschema_find_vindex(tc->c->after, is->name);
    bool same = a && b && was->column_count == is->column_count;

    for (size_t i = 0; same && i < was->column_count; i++)
        same = same_name(was->columns[i], is->columns[i]);
    /* Under another name it may be the same function. */
    if (same && strcmp(was->name, is->name) == 0)
        same = vschema_same_vindex(tc->c->before, tc->c->after, was->name);
    else if (same)
        same = strcmp(a->type, b->type) == 0 && a->param_count == 0 && b->param_count == 0;
    if (same || (tc->real && tc->real->rows == ROWS_NONE))
        return;
    vschema_find(tc->c->out, VSCHEMA_RULE_primary_changed, vindex_at(tc, 0),
                 "the primary vindex of table '%s' changes from '%s' (%s) to '%s' (%s), and %s",
                 t->name, was->name, a ? a->type : "?", is->name, b ? b->type : "?",
                 tc->real && tc->real->rows == ROWS_SOME
                     ? "the table has rows, which would not be found any more"
                     : "whether the table has rows could not be looked at");
}

/* A lookup vindex routes to nowhere what its table does not have yet. */
static void check_backfill(struct table_check *tc, size_t i)
{
    const struct vschema_column_vindex *cv = &tc->t->vindexes[i];
    const struct vschema_vindex *vindex = vschema_find_vindex(tc->c->after, cv->name);
    const struct vindex_type *type = vindex ? vindex_type_find(vindex->type) : NULL;
    bool had = false;

    if (!type || !(type->flags & VINDEX_LOOKUP) || vindex_is_write_only(vindex) ||
        strcmp(vindex->owner, tc->t->name) != 0)
        return;
    for (size_t k = 0; tc->old && k < tc->old->vindex_count; k++)
        had = had || strcmp(tc->old->vindexes[k].name, cv->name) == 0;
    /* One that was write-only until now: whoever ends that says that it is filled. */
    if (had || !tc->real || tc->real->rows != ROWS_SOME)
        return;
    vschema_find(tc->c->out, VSCHEMA_RULE_lookup_backfill, vindex_at(tc, i),
                 "table '%s' has rows that lookup vindex '%s' does not know: deploy it with "
                 "\"write_only\": \"true\", fill its table, then deploy it without",
                 tc->t->name, cv->name);
}

static void check_real(struct table_check *tc)
{
    const struct vschema_fact_keyspace *own = tc->c->own;

    if (own && own->tables_known && !tc->real) {
        vschema_find(tc->c->out, VSCHEMA_RULE_table_missing, tc->path,
                     "table '%s' does not exist in keyspace '%s': create it on all shards first",
                     tc->t->name, tc->c->facts->keyspace);
    }
    for (size_t i = 0; tc->real && i < tc->t->vindex_count; i++)
        check_vindex_columns(tc, i);
    for (size_t i = 0; i < tc->t->vindex_count; i++)
        check_backfill(tc, i);
    check_primary_changed(tc);
}

/* --- all of them ----------------------------------------------------------------------------- */

static void check_dropped(struct vschema_check *c)
{
    for (size_t i = 0; c->after->sharded && i < c->before->table_count; i++) {
        const struct vschema_table *t = &c->before->tables[i];

        if (!vschema_find_table(c->after, t->name))
            vschema_find(c->out, VSCHEMA_RULE_table_dropped,
                         vschema_path(&c->out->arena, "tables", t->name),
                         "statements on table '%s' fail as soon as this is in force", t->name);
    }
}

void vschema_check_tables(struct vschema_check *c)
{
    for (size_t i = 0; i < c->after->table_count; i++) {
        const struct vschema_table *t = &c->after->tables[i];
        struct table_check tc = {.c = c,
                                 .t = t,
                                 .old = vschema_find_table(c->before, t->name),
                                 .real = vschema_fact_table(c->own, t->name),
                                 .path = vschema_path(&c->out->arena, "tables", t->name)};

        check_type(&tc);
        check_pinned(&tc);
        check_columns(&tc);
        check_primary(&tc);
        for (size_t k = 0; k < t->vindex_count; k++)
            check_vindex(&tc, k);
        if (!vschema_diff_touches(c->diff, t->name))
            continue;
        check_source(&tc);
        check_sequence(&tc);
        check_real(&tc);
    }
    check_dropped(c);
}
