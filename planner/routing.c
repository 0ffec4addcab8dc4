/*
 * Routing rules: Vitess follows one rule and no second (go/vt/vtgate/vindexes/vschema.go,
 * FindRoutedTable), but MoveTables and people read them as chains.
 */
#include "planner/routing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct routing_rules *routing_create(void)
{
    struct routing_rules *r = calloc(1, sizeof(*r));

    if (!r) {
        fputs("vtshim: out of memory\n", stderr);
        abort();
    }
    return r;
}

void routing_free(struct routing_rules *r)
{
    if (!r)
        return;
    arena_free(&r->arena);
    free(r);
}

struct routing_rule *routing_add(struct routing_rules *r, const char *from)
{
    r->rules = arena_grow(&r->arena, r->rules, r->n, sizeof(*r->rules));
    struct routing_rule *rule = &r->rules[r->n++];

    *rule = (struct routing_rule){.from = arena_string(&r->arena, from)};
    return rule;
}

void routing_add_target(struct routing_rules *r, struct routing_rule *rule, const char *to)
{
    rule->to = arena_grow(&r->arena, (void *)rule->to, rule->to_count, sizeof(*rule->to));
    rule->to[rule->to_count++] = arena_string(&r->arena, to);
}

const struct routing_rule *routing_find(const struct routing_rules *r, const char *from)
{
    for (size_t i = 0; i < r->n; i++) {
        if (strcmp(r->rules[i].from, from) == 0)
            return &r->rules[i];
    }
    return NULL;
}

void routing_write(struct text *out, const struct routing_rules *r)
{
    text_add(out, "{\"rules\":[");
    for (size_t i = 0; i < r->n; i++) {
        text_add(out, i ? ",{\"from_table\":" : "{\"from_table\":");
        text_json(out, r->rules[i].from);
        text_add(out, ",\"to_tables\":");
        vschema_write_names(out, r->rules[i].to, r->rules[i].to_count);
        text_add(out, "}");
    }
    text_add(out, "]}");
}

/* --- what differs ---------------------------------------------------------------------------- */

static const char *targets(struct arena *a, const struct routing_rule *rule)
{
    struct text t = {NULL, 0, 0};

    vschema_write_names(&t, rule->to, rule->to_count);
    const char *json = arena_string(a, t.at);

    text_free(&t);
    return json;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A table's name without "@replica". */
static void touch(struct vschema_diff *d, const char *table)
{
    const char *name = arena_copy(&d->arena, table, strcspn(table, "@"));

    for (size_t i = 0; i < d->table_count; i++) {
        if (strcmp(d->tables[i], name) == 0)
            return;
    }
    d->tables = arena_grow(&d->arena, (void *)d->tables, d->table_count, sizeof(*d->tables));
    d->tables[d->table_count++] = name;
}

static void add_change(struct vschema_diff *d, const struct routing_rule *before,
                       const struct routing_rule *after)
{
    const struct routing_rule *any = before ? before : after;

    d->changes = arena_grow(&d->arena, d->changes, d->n, sizeof(*d->changes));
    d->changes[d->n++] =
        (struct vschema_change){.kind = !before  ? VSCHEMA_ADDED
                                        : !after ? VSCHEMA_REMOVED
                                                 : VSCHEMA_CHANGED,
                                .path = arena_format(&d->arena, "rules[\"%s\"]", any->from),
                                .before = before ? targets(&d->arena, before) : "",
                                .after = after ? targets(&d->arena, after) : ""};
    touch(d, any->from);
    for (size_t i = 0; before && i < before->to_count; i++)
        touch(d, before->to[i]);
    for (size_t i = 0; after && i < after->to_count; i++)
        touch(d, after->to[i]);
}

struct vschema_diff *routing_diff(const struct routing_rules *before,
                                  const struct routing_rules *after)
{
    struct vschema_diff *d = calloc(1, sizeof(*d));

    if (!d) {
        fputs("vtshim: out of memory\n", stderr);
        abort();
    }
    for (size_t i = 0; i < before->n; i++) {
        const struct routing_rule *old = &before->rules[i];
        const struct routing_rule *now = routing_find(after, old->from);

        if (!now || strcmp(targets(&d->arena, old), targets(&d->arena, now)) != 0)
            add_change(d, old, now);
    }
    for (size_t i = 0; i < after->n; i++) {
        if (!routing_find(before, after->rules[i].from))
            add_change(d, NULL, &after->rules[i]);
    }
    if (d->table_count)
        qsort((void *)d->tables, d->table_count, sizeof(*d->tables), by_name);
    return d;
}

/* --- what is wrong --------------------------------------------------------------------------- */

static const char *path_of(struct vschema_findings *out, size_t i, const char *member)
{
    return arena_format(&out->arena, "rules[%zu]%s%s", i, *member ? "." : "", member);
}

static void check_from(const struct routing_rules *r, size_t i, struct vschema_findings *out)
{
    static const char *const TYPES[] = {"@primary", "@replica", "@rdonly"};
    const char *from = r->rules[i].from, *at = strchr(from, '@'), *keyspace, *table;
    bool known = !at;

    for (size_t k = 0; at && k < 3; k++)
        known = known || strcmp(at, TYPES[k]) == 0;
    if (!known ||
        !vschema_split_name(&out->arena, arena_copy(&out->arena, from, strcspn(from, "@")),
                            &keyspace, &table))
        vschema_find(out, VSCHEMA_RULE_rule_form, path_of(out, i, "from_table"),
                     "'%s' is no table's name (t, ks.t, with @replica or @rdonly behind it)", from);
    for (size_t k = 0; k < i; k++) {
        if (strcmp(r->rules[k].from, from) == 0)
            vschema_find(out, VSCHEMA_RULE_rule_form, path_of(out, i, "from_table"),
                         "'%s' has a rule already, rules[%zu]", from, k);
    }
}

static void check_target(const struct vschema_facts *facts, const struct routing_rules *r, size_t i,
                         struct vschema_findings *out)
{
    const struct routing_rule *rule = &r->rules[i];
    const char *keyspace, *table, *at = path_of(out, i, "to_tables");

    if (rule->to_count > 1) {
        vschema_find(out, VSCHEMA_RULE_rule_form, at, "'%s' has %zu targets, Vitess takes one",
                     rule->from, rule->to_count);
        return;
    }
    if (rule->to_count == 0)
        return; /* Vitess: the table is disabled */
    at = path_of(out, i, "to_tables[0]");
    if (!vschema_split_name(&out->arena, rule->to[0], &keyspace, &table) || !*keyspace) {
        vschema_find(out, VSCHEMA_RULE_rule_form, at, "target '%s' needs its keyspace before it",
                     rule->to[0]);
        return;
    }
    const struct vschema_fact_keyspace *k = vschema_fact_keyspace(facts, keyspace);

    if (!k)
        vschema_find(out, VSCHEMA_RULE_rule_target, at, "keyspace '%s' does not exist", keyspace);
    else if (k->vschema && k->vschema->sharded && !vschema_find_table(k->vschema, table))
        vschema_find(out, VSCHEMA_RULE_rule_target, at,
                     "table '%s' is not in the VSchema of keyspace '%s'", table, keyspace);
    else if (k->tables_known && !vschema_fact_table(k, table))
        vschema_find(out, VSCHEMA_RULE_rule_target, at,
                     "table '%s' does not exist in keyspace '%s'", table, keyspace);
}

/* From one rule's target to the next one's; a rule to itself is how MoveTables writes "stays". */
static void check_circle(const struct routing_rules *r, size_t i, struct vschema_findings *out)
{
    const struct routing_rule *at = &r->rules[i];

    for (size_t steps = 0; at && at->to_count == 1 && steps <= r->n; steps++) {
        const struct routing_rule *next = routing_find(r, at->to[0]);

        if (next == at)
            return;
        if (next == &r->rules[i]) {
            vschema_find(out, VSCHEMA_RULE_rule_circle, path_of(out, i, ""),
                         "the rule of '%s' leads back to it over '%s'", r->rules[i].from, at->from);
            return;
        }
        at = next;
    }
}

void routing_check(const struct vschema_facts *facts, const struct routing_rules *rules,
                   struct vschema_findings *out)
{
    for (size_t i = 0; i < rules->n; i++) {
        check_from(rules, i, out);
        check_target(facts, rules, i, out);
        check_circle(rules, i, out);
    }
}
