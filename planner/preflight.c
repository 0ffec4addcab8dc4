/*
 * The table of rules and its evaluation, and the way a change will take.
 */
#include "planner/preflight.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "planner/ascii.h"
#include "planner/column_type.h"
#include "planner/preflight_internal.h"

enum rule_level { LEVEL_WARN, LEVEL_REFUSE };
enum rule_scope { SCOPE_ANY, SCOPE_ONLINE, SCOPE_DIRECT };

static const struct {
    const char *name;
    enum rule_level level;
    enum rule_scope scope;
    void (*check)(struct preflight *p);
} RULES[RULE_COUNT] = {
#define RULE(name, level, scope, doc)                                                              \
    [RULE_##name] = {#name, LEVEL_##level, SCOPE_##scope, rule_##name},
#include "planner/preflight.def"
#undef RULE
};

_Static_assert(RULE_COUNT <= 64, "preflight_rules has a bit for each");

enum preflight_rule preflight_rule_find(const char *name, size_t len)
{
    for (size_t i = 0; i < RULE_COUNT; i++) {
        size_t at = 0;

        if (strlen(RULES[i].name) != len)
            continue;
        while (at < len &&
               ascii_upper(name[at] == '-' ? '_' : name[at]) == ascii_upper(RULES[i].name[at]))
            at++;
        if (at == len)
            return (enum preflight_rule)i;
    }
    return RULE_COUNT;
}

const char *preflight_rule_name(enum preflight_rule rule)
{
    return RULES[rule].name;
}

void preflight_find(struct preflight *p, uint16_t code, const char *state, const char *format, ...)
{
    va_list args;

    if (p->out->n == FINDINGS_MAX)
        return;
    struct finding *f = &p->out->items[p->out->n++];

    f->rule = p->rule;
    f->refuse = p->refuse;
    f->code = code;
    f->state = state;
    va_start(args, format);
    vsnprintf(f->text, sizeof(f->text), format, args);
    va_end(args);
}

static void shape_both(struct preflight *p)
{
    const struct ddl *table = p->facts->table;

    if (p->d->verb == DDL_CREATE && p->d->object == DDL_OBJECT_TABLE) {
        shape_init(&p->before, NULL);
        shape_init(&p->after, p->d);
        p->shaped = true;
    } else if (table && table->understood && table->verb == DDL_CREATE &&
               (p->d->verb == DDL_ALTER || p->d->object == DDL_OBJECT_INDEX)) {
        shape_init(&p->before, table);
        shape_init(&p->after, table);
        shape_apply(&p->after, p->d);
        p->shaped = true;
    }
}

static bool in_scope(enum rule_scope scope, bool online)
{
    return scope == SCOPE_ANY || (scope == SCOPE_ONLINE) == online;
}

/* What would refuse goes first: it is what a client is told. */
static void sort_findings(struct findings *f)
{
    for (size_t i = 1; i < f->n; i++) {
        struct finding moved = f->items[i];
        size_t at = i;

        for (; at > 0 && moved.refuse && !f->items[at - 1].refuse; at--)
            f->items[at] = f->items[at - 1];
        f->items[at] = moved;
    }
}

void preflight_check(const struct ddl *d, const struct preflight_facts *facts, struct findings *out)
{
    struct preflight p = {.d = d, .facts = facts, .out = out};

    out->n = 0;
    if (d->object == DDL_OBJECT_OTHER || d->temporary || facts->is_view)
        return;
    shape_both(&p);
    for (size_t i = 0; i < RULE_COUNT; i++) {
        p.rule = (enum preflight_rule)i;
        p.refuse = RULES[i].level == LEVEL_REFUSE;
        if ((p.refuse && !d->understood) || !in_scope(RULES[i].scope, facts->online))
            continue;
        RULES[i].check(&p);
    }
    shape_fini(&p.before);
    shape_fini(&p.after);
    sort_findings(out);
}

/* --- several shards -------------------------------------------------------------------------- */

/* Adds what was found of one version; what was found before is the same finding. */
static void merge(struct findings *out, const struct findings *found, uint32_t version)
{
    for (size_t i = 0; i < found->n; i++) {
        const struct finding *f = &found->items[i];
        size_t at = 0;

        while (at < out->n &&
               (out->items[at].rule != f->rule || strcmp(out->items[at].text, f->text) != 0))
            at++;
        if (at == FINDINGS_MAX)
            return;
        if (at == out->n) {
            out->items[out->n] = *f;
            out->items[out->n++].versions = 0;
        }
        out->items[at].versions |= version;
    }
}

/* Appends where it is true, if not everywhere. */
static void name_shards(struct finding *f, const struct preflight_facts *facts)
{
    size_t n = strlen(f->text);
    bool first = true;

    if (f->versions == (1u << facts->version_count) - 1)
        return;
    for (size_t i = 0; i < facts->version_count && n < sizeof(f->text); i++) {
        if (!(f->versions & 1u << i))
            continue;
        n += (size_t)snprintf(f->text + n, sizeof(f->text) - n, "%s%s", first ? " (on " : ", ",
                              facts->versions[i].shards);
        first = false;
    }
    if (n < sizeof(f->text))
        snprintf(f->text + n, sizeof(f->text) - n, ")");
}

void preflight_check_shards(const struct ddl *d, const struct preflight_facts *facts,
                            struct findings *out)
{
    struct preflight_facts one = *facts;
    struct findings found;

    if (facts->version_count == 0) {
        preflight_check(d, facts, out);
        return;
    }
    out->n = 0;
    for (size_t i = 0; i < facts->version_count; i++) {
        one.table = facts->versions[i].table;
        one.table_missing = !one.table;
        preflight_check(d, &one, &found);
        merge(out, &found, 1u << i);
    }
    for (size_t i = 0; i < out->n; i++)
        name_shards(&out->items[i], facts);
    sort_findings(out);
}

void preflight_allow(struct findings *f, preflight_rules allowed)
{
    for (size_t i = 0; i < f->n; i++) {
        if (allowed & RULE_BIT(f->items[i].rule))
            f->items[i].refuse = false;
    }
    sort_findings(f);
}

const struct finding *preflight_refusal(const struct findings *f)
{
    return f->n > 0 && f->items[0].refuse ? &f->items[0] : NULL;
}

/* --- the way --------------------------------------------------------------------------------- */

static bool has_key_with(const struct shape *s, struct sql_name column)
{
    for (size_t i = 0; i < s->key_count; i++) {
        for (size_t j = 0; j < s->keys[i].n; j++) {
            if (s->keys[i].parts[j].text && ddl_same_name(s->keys[i].parts[j], column))
                return true;
        }
    }
    return false;
}

/* MODIFY and CHANGE: at once only for the same definition, a new name, or members at the end. */
static bool modify_is_instant(const struct ddl_action *a, const struct shape_column *old)
{
    const struct ddl_column *from = old->column, *to = &a->column;
    struct column_type x = column_type_of(from), y = column_type_of(to);

    if (a->first || a->after.text || from->generated || to->generated || to->primary ||
        to->unique || from->not_null != to->not_null ||
        from->auto_increment != to->auto_increment || x.family != y.family ||
        x.is_unsigned != y.is_unsigned || to->charset.text || to->collation.text)
        return false;
    if (x.family == TYPE_ENUM || x.family == TYPE_SET)
        return column_type_appends(from, to);
    return x.family != TYPE_UNKNOWN && x.size == y.size && x.scale == y.scale && x.lob == y.lob &&
           ddl_same_name(from->type, to->type);
}

/* (MySQL manual, "Online DDL Operations": the ones that permit ALGORITHM=INSTANT.) */
static bool action_is_instant(const struct preflight *p, const struct ddl_action *a)
{
    const struct shape_column *old = shape_column(&p->before, a->name);
    const struct ddl_column *c = &a->column;

    switch (a->kind) {
    case DDL_ADD_COLUMN:
        return !c->auto_increment && !c->primary && !c->unique && !c->generated && !c->references;
    case DDL_DROP_COLUMN:
        return old && !old->column->generated && !has_key_with(&p->before, a->name);
    case DDL_CHANGE_COLUMN:
    case DDL_MODIFY_COLUMN:
        return old && modify_is_instant(a, old);
    case DDL_RENAME_COLUMN:
    case DDL_ALTER_COLUMN:
    case DDL_ALTER_INDEX:
    case DDL_RENAME_INDEX:
    case DDL_RENAME_TABLE:
        return true;
    default:
        return false;
    }
}

static bool table_allows_instant(const struct ddl *table)
{
    for (size_t i = 0; i < table->n; i++) {
        const struct ddl_action *a = &table->actions[i];

        if ((a->kind == DDL_OPTION && ddl_name_is(a->name, "ROW_FORMAT") &&
             ddl_name_is(a->value, "COMPRESSED")) ||
            (a->kind == DDL_ADD_INDEX && a->index.type == DDL_INDEX_FULLTEXT))
            return false;
    }
    return true;
}

enum preflight_way preflight_way(const struct ddl *d, const struct preflight_facts *facts,
                                 bool *instant_possible)
{
    struct preflight p = {.d = d, .facts = facts};

    *instant_possible = false;
    if (d->object == DDL_OBJECT_OTHER || !d->understood)
        return WAY_UNKNOWN;
    if (d->object == DDL_OBJECT_TABLE && d->verb == DDL_CREATE)
        return WAY_CREATE;
    if (d->object == DDL_OBJECT_TABLE && d->verb == DDL_DROP)
        return WAY_DROP;
    if (d->verb == DDL_RENAME)
        return WAY_INSTANT;
    shape_both(&p);
    bool instant = p.shaped && d->n > 0 && table_allows_instant(facts->table);

    for (size_t i = 0; instant && i < d->n; i++)
        instant = action_is_instant(&p, &d->actions[i]);
    shape_fini(&p.before);
    shape_fini(&p.after);
    *instant_possible = instant;
    if (instant && (facts->instant_preferred || !facts->online))
        return WAY_INSTANT;
    return p.shaped ? WAY_COPY : WAY_UNKNOWN;
}

const char *preflight_way_name(enum preflight_way way)
{
    static const char *const NAMES[] = {
        [WAY_UNKNOWN] = "not known", [WAY_CREATE] = "create", [WAY_DROP] = "drop",
        [WAY_INSTANT] = "instant",   [WAY_COPY] = "copy",
    };
    return NAMES[way];
}
