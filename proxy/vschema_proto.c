/*
 * Member by member, both ways. What a newer Vitess says beyond these members is not in a value:
 * whoever sends a message back keeps the message.
 */
#include "proxy/vschema_proto.h"

/* --- from messages --------------------------------------------------------------------------- */

static void read_column(struct vschema *v, struct vschema_table *t, const Vschema__Column *from)
{
    struct vschema_column *c = vschema_add_column(v, t, from->name);

    c->type = from->type;
    c->invisible = from->invisible;
    c->fallback = arena_string(&v->arena, from->default_);
    c->collation = arena_string(&v->arena, from->collation_name);
    c->size = from->size;
    c->scale = from->scale;
    c->nullable =
        from->has_nullable_case == VSCHEMA__COLUMN__HAS_NULLABLE_NULLABLE ? from->nullable : -1;
    for (size_t i = 0; i < from->n_values; i++)
        vschema_add_value(v, c, from->values[i]);
}

static void read_table(struct vschema *v, const char *name, const Vschema__Table *from)
{
    struct vschema_table *t = vschema_add_table(v, name);

    if (!from)
        return;
    t->type = arena_string(&v->arena, from->type);
    t->pinned = arena_string(&v->arena, from->pinned);
    t->source = arena_string(&v->arena, from->source);
    t->authoritative = from->column_list_authoritative;
    for (size_t i = 0; i < from->n_column_vindexes; i++) {
        const Vschema__ColumnVindex *old = from->column_vindexes[i];
        struct vschema_column_vindex *cv = vschema_add_column_vindex(v, t, old->name);

        cv->single = *old->column != '\0';
        if (cv->single)
            vschema_add_vindex_column(v, cv, old->column);
        for (size_t k = 0; k < old->n_columns; k++)
            vschema_add_vindex_column(v, cv, old->columns[k]);
    }
    if (from->auto_increment) {
        t->has_auto_increment = true;
        t->auto_column = arena_string(&v->arena, from->auto_increment->column);
        t->auto_sequence = arena_string(&v->arena, from->auto_increment->sequence);
    }
    for (size_t i = 0; i < from->n_columns; i++)
        read_column(v, t, from->columns[i]);
}

struct vschema *vschema_of_proto(const Vschema__Keyspace *message)
{
    struct vschema *v = vschema_create();

    if (!message)
        return v;
    v->sharded = message->sharded;
    v->explicit_routing = message->require_explicit_routing;
    v->foreign_keys = message->foreign_key_mode;
    if (message->multi_tenant_spec) {
        v->has_tenant = true;
        v->tenant_column =
            arena_string(&v->arena, message->multi_tenant_spec->tenant_id_column_name);
        v->tenant_type = message->multi_tenant_spec->tenant_id_column_type;
    }
    for (size_t i = 0; i < message->n_vindexes; i++) {
        const Vschema__Vindex *from = message->vindexes[i]->value;
        struct vschema_vindex *vindex = vschema_add_vindex(v, message->vindexes[i]->key);

        if (!from)
            continue;
        vindex->type = arena_string(&v->arena, from->type);
        vindex->owner = arena_string(&v->arena, from->owner);
        for (size_t k = 0; k < from->n_params; k++)
            vschema_add_param(v, vindex, from->params[k]->key, from->params[k]->value);
    }
    for (size_t i = 0; i < message->n_tables; i++)
        read_table(v, message->tables[i]->key, message->tables[i]->value);
    vschema_sort(v);
    return v;
}

struct routing_rules *routing_of_proto(const Vschema__RoutingRules *message)
{
    struct routing_rules *rules = routing_create();

    for (size_t i = 0; message && i < message->n_rules; i++) {
        struct routing_rule *rule = routing_add(rules, message->rules[i]->from_table);

        for (size_t k = 0; k < message->rules[i]->n_to_tables; k++)
            routing_add_target(rules, rule, message->rules[i]->to_tables[k]);
    }
    return rules;
}

/* --- to messages ----------------------------------------------------------------------------- */

/* protobuf-c's strings are not const; nothing writes to them. */
static char *lent(const char *text)
{
    return (char *)(uintptr_t)text;
}

static char **lent_all(const char *const *texts)
{
    return (char **)(uintptr_t)texts;
}

/* A list of n messages of that size, each with its own memory. */
static void *message_list(struct arena *a, size_t n)
{
    return arena_alloc(a, n * sizeof(void *));
}

static Vschema__Column *write_column(struct arena *a, const struct vschema_column *from)
{
    Vschema__Column *c = arena_alloc(a, sizeof(*c));

    vschema__column__init(c);
    c->name = lent(from->name);
    c->type = from->type;
    c->invisible = from->invisible;
    c->default_ = lent(from->fallback);
    c->collation_name = lent(from->collation);
    c->size = from->size;
    c->scale = from->scale;
    if (from->nullable >= 0) {
        c->has_nullable_case = VSCHEMA__COLUMN__HAS_NULLABLE_NULLABLE;
        c->nullable = from->nullable > 0;
    }
    c->n_values = from->value_count;
    c->values = lent_all(from->values);
    return c;
}

static Vschema__ColumnVindex *write_column_vindex(struct arena *a,
                                                  const struct vschema_column_vindex *from)
{
    Vschema__ColumnVindex *cv = arena_alloc(a, sizeof(*cv));

    vschema__column_vindex__init(cv);
    cv->name = lent(from->name);
    if (from->single && from->column_count == 1) {
        cv->column = lent(from->columns[0]);
    } else {
        cv->n_columns = from->column_count;
        cv->columns = lent_all(from->columns);
    }
    return cv;
}

static Vschema__Table *write_table(struct arena *a, const struct vschema_table *from)
{
    Vschema__Table *t = arena_alloc(a, sizeof(*t));

    vschema__table__init(t);
    t->type = lent(from->type);
    t->pinned = lent(from->pinned);
    t->source = lent(from->source);
    t->column_list_authoritative = from->authoritative;
    t->n_column_vindexes = from->vindex_count;
    t->column_vindexes = message_list(a, from->vindex_count);
    for (size_t i = 0; i < from->vindex_count; i++)
        t->column_vindexes[i] = write_column_vindex(a, &from->vindexes[i]);
    if (from->has_auto_increment) {
        t->auto_increment = arena_alloc(a, sizeof(*t->auto_increment));
        vschema__auto_increment__init(t->auto_increment);
        t->auto_increment->column = lent(from->auto_column);
        t->auto_increment->sequence = lent(from->auto_sequence);
    }
    t->n_columns = from->column_count;
    t->columns = message_list(a, from->column_count);
    for (size_t i = 0; i < from->column_count; i++)
        t->columns[i] = write_column(a, &from->columns[i]);
    return t;
}

static Vschema__Vindex *write_vindex(struct arena *a, const struct vschema_vindex *from)
{
    Vschema__Vindex *vindex = arena_alloc(a, sizeof(*vindex));

    vschema__vindex__init(vindex);
    vindex->type = lent(from->type);
    vindex->owner = lent(from->owner);
    vindex->n_params = from->param_count;
    vindex->params = message_list(a, from->param_count);
    for (size_t i = 0; i < from->param_count; i++) {
        vindex->params[i] = arena_alloc(a, sizeof(*vindex->params[i]));
        vschema__param_entry__init(vindex->params[i]);
        vindex->params[i]->key = lent(from->params[i].key);
        vindex->params[i]->value = lent(from->params[i].value);
    }
    return vindex;
}

Vschema__Keyspace *vschema_to_proto(struct arena *a, const struct vschema *v)
{
    Vschema__Keyspace *k = arena_alloc(a, sizeof(*k));

    vschema__keyspace__init(k);
    k->sharded = v->sharded;
    k->require_explicit_routing = v->explicit_routing;
    k->foreign_key_mode = v->foreign_keys;
    if (v->has_tenant) {
        k->multi_tenant_spec = arena_alloc(a, sizeof(*k->multi_tenant_spec));
        vschema__multi_tenant_spec__init(k->multi_tenant_spec);
        k->multi_tenant_spec->tenant_id_column_name = lent(v->tenant_column);
        k->multi_tenant_spec->tenant_id_column_type = v->tenant_type;
    }
    k->n_vindexes = v->vindex_count;
    k->vindexes = message_list(a, v->vindex_count);
    for (size_t i = 0; i < v->vindex_count; i++) {
        k->vindexes[i] = arena_alloc(a, sizeof(*k->vindexes[i]));
        vschema__vindex_entry__init(k->vindexes[i]);
        k->vindexes[i]->key = lent(v->vindexes[i].name);
        k->vindexes[i]->value = write_vindex(a, &v->vindexes[i]);
    }
    k->n_tables = v->table_count;
    k->tables = message_list(a, v->table_count);
    for (size_t i = 0; i < v->table_count; i++) {
        k->tables[i] = arena_alloc(a, sizeof(*k->tables[i]));
        vschema__table_entry__init(k->tables[i]);
        k->tables[i]->key = lent(v->tables[i].name);
        k->tables[i]->value = write_table(a, &v->tables[i]);
    }
    return k;
}

Vschema__RoutingRules *routing_to_proto(struct arena *a, const struct routing_rules *rules)
{
    Vschema__RoutingRules *r = arena_alloc(a, sizeof(*r));

    vschema__routing_rules__init(r);
    r->n_rules = rules->n;
    r->rules = message_list(a, rules->n);
    for (size_t i = 0; i < rules->n; i++) {
        r->rules[i] = arena_alloc(a, sizeof(*r->rules[i]));
        vschema__routing_rule__init(r->rules[i]);
        r->rules[i]->from_table = lent(rules->rules[i].from);
        r->rules[i]->n_to_tables = rules->rules[i].to_count;
        r->rules[i]->to_tables = lent_all(rules->rules[i].to);
    }
    return r;
}
