/*
 * The checks in their order, findings, and looking things up in the facts.
 */
#include "planner/vschema_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "planner/ascii.h"
#include "planner/routing.h"
#include "planner/vschema_check_internal.h"

enum level { WARN, REFUSE };

static const struct {
    const char *name;
    enum level level;
} RULES[] = {
#define VSCHEMA_RULE(id, how, help) {.name = #id, .level = how},
#include "planner/vschema_rules.def"
#undef VSCHEMA_RULE
};

const char *vschema_rule_name(enum vschema_rule rule)
{
    return RULES[rule].name;
}

void vschema_find(struct vschema_findings *f, enum vschema_rule rule, const char *path,
                  const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    f->items = arena_grow(&f->arena, f->items, f->n, sizeof(*f->items));
    struct vschema_finding *one = &f->items[f->n++];

    one->rule = rule;
    one->refuse = RULES[rule].level == REFUSE && !f->allowed[rule];
    one->path = arena_string(&f->arena, path);
    one->text = arena_string(&f->arena, text);
    f->refused += one->refuse;
}

void vschema_findings_free(struct vschema_findings *f)
{
    arena_free(&f->arena);
    f->items = NULL;
    f->n = f->refused = 0;
}

bool vschema_allow(struct vschema_findings *f, const char *rules, const char **unknown, size_t *len)
{
    for (const char *at = rules; *at; at += strspn(at, ", ")) {
        bool found = false;

        *len = strcspn(at, ", ");
        for (size_t i = 0; i < VSCHEMA_RULES; i++) {
            if ((*len == 3 && memcmp(at, "all", 3) == 0) ||
                (strlen(RULES[i].name) == *len && memcmp(at, RULES[i].name, *len) == 0))
                found = f->allowed[i] = true;
        }
        if (*len && !found) {
            *unknown = at;
            return false;
        }
        at += *len;
    }
    return true;
}

/* --- the facts ------------------------------------------------------------------------------- */

const struct vschema_fact_keyspace *vschema_fact_keyspace(const struct vschema_facts *f,
                                                          const char *name)
{
    for (size_t i = 0; i < f->keyspace_count; i++) {
        if (strcmp(f->keyspaces[i].name, name) == 0)
            return &f->keyspaces[i];
    }
    return NULL;
}

const struct vschema_fact_table *vschema_fact_table(const struct vschema_fact_keyspace *k,
                                                    const char *name)
{
    for (size_t i = 0; k && i < k->table_count; i++) {
        if (strcmp(k->tables[i].name, name) == 0)
            return &k->tables[i];
    }
    return NULL;
}

/* MySQL's column names have no case. */
static bool same_column(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        if (ascii_upper(*a) != ascii_upper(*b))
            return false;
    }
    return *a == *b;
}

const struct vschema_fact_column *vschema_fact_column(const struct vschema_fact_table *t,
                                                      const char *name)
{
    for (size_t i = 0; t && i < t->column_count; i++) {
        if (same_column(t->columns[i].name, name))
            return &t->columns[i];
    }
    return NULL;
}

bool vschema_same_vindex(const struct vschema *a, const struct vschema *b, const char *name)
{
    const struct vschema_vindex *x = vschema_find_vindex(a, name);
    const struct vschema_vindex *y = vschema_find_vindex(b, name);

    if (!x || !y || strcmp(x->type, y->type) != 0 || x->param_count != y->param_count)
        return false;
    for (size_t i = 0; i < x->param_count; i++) {
        if (strcmp(x->params[i].key, y->params[i].key) != 0 ||
            strcmp(x->params[i].value, y->params[i].value) != 0)
            return false;
    }
    return true;
}

/* A keyspace's VSchema as it will be. */
static const struct vschema *vschema_of(const struct vschema_check *c,
                                        const struct vschema_fact_keyspace *k)
{
    return strcmp(k->name, c->facts->keyspace) == 0 ? c->after : k->vschema;
}

static bool resolve_in(struct vschema_check *c, const struct vschema_fact_keyspace *k,
                       const char *name, const struct vschema_table **table,
                       const struct vschema_fact_table **real)
{
    const struct vschema *v = vschema_of(c, k);

    *table = v ? vschema_find_table(v, name) : NULL;
    *real = vschema_fact_table(k, name);
    /* In a keyspace that is not sharded vtgate knows MySQL's tables, too. */
    return *table || (v && !v->sharded && *real);
}

bool vschema_resolve(struct vschema_check *c, const char *name, const struct vschema_table **table,
                     const struct vschema_fact_table **real, const char **why)
{
    struct arena *a = &c->out->arena;
    const char *keyspace, *t;
    size_t found = 0;

    *table = NULL;
    *real = NULL;
    if (!vschema_split_name(a, name, &keyspace, &t)) {
        *why = "is no table's name";
        return false;
    }
    for (size_t i = 0; i < c->facts->keyspace_count; i++) {
        const struct vschema_fact_keyspace *k = &c->facts->keyspaces[i];
        const struct vschema_table *one;
        const struct vschema_fact_table *one_real;

        if (*keyspace && strcmp(keyspace, k->name) != 0)
            continue;
        if (!resolve_in(c, k, t, &one, &one_real))
            continue;
        *table = one;
        *real = one_real;
        found++;
    }
    if (*keyspace && !vschema_fact_keyspace(c->facts, keyspace)) {
        *why = "is in a keyspace that does not exist";
        return false;
    }
    *why = found > 1 ? "is in several keyspaces: write its keyspace before it" : "does not exist";
    return found == 1;
}

/* --- the way --------------------------------------------------------------------------------- */

/* Whether that keyspace takes part in names without a keyspace. */
static bool is_global(const struct vschema *v, const struct vschema_table *t)
{
    return !v->explicit_routing && !*t->source;
}

/* New names only: what is ambiguous already is not this change's doing. */
static void check_ambiguous(struct vschema_check *c)
{
    for (size_t i = 0; i < c->after->table_count; i++) {
        const struct vschema_table *t = &c->after->tables[i];
        const struct vschema_table *old = vschema_find_table(c->before, t->name);

        if (!is_global(c->after, t) || (old && is_global(c->before, old)) ||
            (c->facts->rules && routing_find(c->facts->rules, t->name)))
            continue;
        for (size_t k = 0; k < c->facts->keyspace_count; k++) {
            const struct vschema_fact_keyspace *other = &c->facts->keyspaces[k];
            const struct vschema_table *same =
                other->vschema ? vschema_find_table(other->vschema, t->name) : NULL;

            if (strcmp(other->name, c->facts->keyspace) == 0 || !same ||
                !is_global(other->vschema, same))
                continue;
            vschema_find(c->out, VSCHEMA_RULE_ambiguous,
                         vschema_path(&c->out->arena, "tables", t->name),
                         "table '%s' is in keyspace '%s' too: statements that name it without a "
                         "keyspace would fail",
                         t->name, other->name);
        }
    }
}

static void check_keyspace(struct vschema_check *c)
{
    if (c->before->sharded && !c->after->sharded && c->own && c->own->shards > 1)
        vschema_find(c->out, VSCHEMA_RULE_unsharding, "sharded",
                     "keyspace '%s' has %zu shards and cannot stop being sharded",
                     c->facts->keyspace, c->own->shards);
}

/* Rules that lead to a table which goes. */
static void check_routed(struct vschema_check *c)
{
    const struct routing_rules *rules = c->facts->rules;

    for (size_t i = 0; rules && i < rules->n; i++) {
        for (size_t k = 0; k < rules->rules[i].to_count; k++) {
            const char *keyspace, *table;

            if (!vschema_split_name(&c->out->arena, rules->rules[i].to[k], &keyspace, &table) ||
                strcmp(keyspace, c->facts->keyspace) != 0 ||
                !vschema_find_table(c->before, table) || vschema_find_table(c->after, table))
                continue;
            vschema_find(c->out, VSCHEMA_RULE_routed, vschema_path(&c->out->arena, "tables", table),
                         "the routing rule of '%s' leads to table '%s'", rules->rules[i].from,
                         table);
        }
    }
}

void vschema_check(const struct vschema_facts *facts, const struct vschema *before,
                   const struct vschema *after, const struct vschema_diff *diff,
                   struct vschema_findings *out)
{
    struct vschema_check c = {.facts = facts,
                              .own = vschema_fact_keyspace(facts, facts->keyspace),
                              .before = before,
                              .after = after,
                              .diff = diff,
                              .out = out};

    check_keyspace(&c);
    vschema_check_vindexes(&c);
    vschema_check_tables(&c);
    check_ambiguous(&c);
    check_routed(&c);
    if (!c.own || !c.own->tables_known)
        vschema_find(out, VSCHEMA_RULE_unchecked, "",
                     "MySQL's tables and columns could not be looked at");
}
