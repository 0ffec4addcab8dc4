/*
 * JSON objects as tables of members: a key's name and what reads its value.
 */
#include "proxy/vschema_json.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

struct reader {
    struct vschema *v;
    struct routing_rules *rules;
    struct arena *arena;
    char *error;
};

/* Reads one value into `to`, the object that the member is of. */
typedef bool read_member(struct reader *r, const char *path, const json_t *value, void *to);

struct member {
    const char *key, *camel;
    read_member *read;
};

static bool fail(struct reader *r, const char *path, const char *what)
{
    snprintf(r->error, VSCHEMA_JSON_ERROR_SIZE, "%s%s%s", path, *path ? ": " : "", what);
    return false;
}

/* --- values ---------------------------------------------------------------------------------- */

static bool get_string(struct reader *r, const char *path, const json_t *value, const char **to)
{
    if (!json_is_string(value))
        return fail(r, path, "must be a string");
    if (strlen(json_string_value(value)) != json_string_length(value))
        return fail(r, path, "must not have a NUL in it");
    *to = arena_string(r->arena, json_string_value(value));
    return true;
}

static bool get_flag(struct reader *r, const char *path, const json_t *value, bool *to)
{
    if (!json_is_boolean(value))
        return fail(r, path, "must be true or false");
    *to = json_is_true(value);
    return true;
}

static bool get_number(struct reader *r, const char *path, const json_t *value, int32_t *to)
{
    json_int_t n = json_integer_value(value);

    if (!json_is_integer(value) || n < INT32_MIN || n > INT32_MAX)
        return fail(r, path, "must be an integer of 32 bits");
    *to = (int32_t)n;
    return true;
}

/* By name, or by number. */
static bool get_enum(struct reader *r, const char *path, const json_t *value,
                     int (*find)(const char *name), const char *what, int *to)
{
    int32_t number = 0;

    if (json_is_string(value)) {
        *to = find(json_string_value(value));
        return *to >= 0 || fail(r, path, what);
    }
    if (!get_number(r, path, value, &number))
        return false;
    *to = number;
    return true;
}

static bool read_object(struct reader *r, const char *path, const json_t *value,
                        const struct member *members, void *to)
{
    const char *key;
    json_t *item;

    if (!json_is_object(value))
        return fail(r, path, "must be an object");
    json_object_foreach((json_t *)value, key, item)
    {
        const struct member *m = members;
        const char *at = vschema_path(r->arena, path, key);

        while (m->key && strcmp(m->key, key) != 0 && strcmp(m->camel, key) != 0)
            m++;
        if (!m->key)
            return fail(r, at, "unknown key");
        if (!json_is_null(item) && !m->read(r, at, item, to))
            return false;
    }
    return true;
}

static bool read_list(struct reader *r, const char *path, const json_t *value, read_member *read,
                      void *to)
{
    if (!json_is_array(value))
        return fail(r, path, "must be a list");
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (!read(r, arena_format(r->arena, "%s[%zu]", path, i), json_array_get(value, i), to))
            return false;
    }
    return true;
}

/* An object whose members have names of the user's own: `add` makes the place for each. */
static bool read_named(struct reader *r, const char *path, const json_t *value,
                       const struct member *members, void *(*add)(void *to, const char *name),
                       void *to)
{
    const char *name;
    json_t *item;

    if (!json_is_object(value))
        return fail(r, path, "must be an object");
    json_object_foreach((json_t *)value, name, item)
    {
        if (!read_object(r, vschema_path(r->arena, path, name), item, members, add(to, name)))
            return false;
    }
    return true;
}

/* --- columns --------------------------------------------------------------------------------- */

#define STRING_MEMBER(name, type, field)                                                           \
    static bool name(struct reader *r, const char *path, const json_t *value, void *to)            \
    {                                                                                              \
        return get_string(r, path, value, &((type *)to)->field);                                   \
    }
#define FLAG_MEMBER(name, type, field)                                                             \
    static bool name(struct reader *r, const char *path, const json_t *value, void *to)            \
    {                                                                                              \
        return get_flag(r, path, value, &((type *)to)->field);                                     \
    }
#define NUMBER_MEMBER(name, type, field)                                                           \
    static bool name(struct reader *r, const char *path, const json_t *value, void *to)            \
    {                                                                                              \
        return get_number(r, path, value, &((type *)to)->field);                                   \
    }

STRING_MEMBER(column_name, struct vschema_column, name)
STRING_MEMBER(column_fallback, struct vschema_column, fallback)
STRING_MEMBER(column_collation, struct vschema_column, collation)
FLAG_MEMBER(column_invisible, struct vschema_column, invisible)
NUMBER_MEMBER(column_size, struct vschema_column, size)
NUMBER_MEMBER(column_scale, struct vschema_column, scale)

static bool column_type(struct reader *r, const char *path, const json_t *value, void *to)
{
    return get_enum(r, path, value, vschema_type_find, "is no type of Vitess",
                    &((struct vschema_column *)to)->type);
}

static bool column_nullable(struct reader *r, const char *path, const json_t *value, void *to)
{
    bool nullable;

    if (!get_flag(r, path, value, &nullable))
        return false;
    ((struct vschema_column *)to)->nullable = nullable;
    return true;
}

static bool column_value(struct reader *r, const char *path, const json_t *value, void *to)
{
    const char *text;

    if (!get_string(r, path, value, &text))
        return false;
    vschema_add_value(r->v, to, text);
    return true;
}

static bool column_values(struct reader *r, const char *path, const json_t *value, void *to)
{
    return read_list(r, path, value, column_value, to);
}

static bool table_column(struct reader *r, const char *path, const json_t *value, void *to)
{
    static const struct member MEMBERS[] = {
        {"name", "name", column_name},
        {"type", "type", column_type},
        {"invisible", "invisible", column_invisible},
        {"default", "default", column_fallback},
        {"collation_name", "collationName", column_collation},
        {"size", "size", column_size},
        {"scale", "scale", column_scale},
        {"nullable", "nullable", column_nullable},
        {"values", "values", column_values},
        {NULL, NULL, NULL},
    };

    return read_object(r, path, value, MEMBERS, vschema_add_column(r->v, to, ""));
}

/* --- tables ---------------------------------------------------------------------------------- */

STRING_MEMBER(cv_name, struct vschema_column_vindex, name)

static bool cv_column(struct reader *r, const char *path, const json_t *value, void *to)
{
    struct vschema_column_vindex *cv = to;
    const char *name;

    if (!get_string(r, path, value, &name))
        return false;
    if (!*name)
        return true; /* as vtctldclient writes what is absent */
    if (cv->column_count)
        return fail(r, path, "\"column\" and \"columns\" cannot both be given");
    cv->single = true;
    vschema_add_vindex_column(r->v, cv, name);
    return true;
}

static bool cv_columns_item(struct reader *r, const char *path, const json_t *value, void *to)
{
    const char *name;

    if (!get_string(r, path, value, &name))
        return false;
    vschema_add_vindex_column(r->v, to, name);
    return true;
}

static bool cv_columns(struct reader *r, const char *path, const json_t *value, void *to)
{
    if (((struct vschema_column_vindex *)to)->single && json_array_size(value) > 0)
        return fail(r, path, "\"column\" and \"columns\" cannot both be given");
    return read_list(r, path, value, cv_columns_item, to);
}

static bool table_vindex(struct reader *r, const char *path, const json_t *value, void *to)
{
    static const struct member MEMBERS[] = {
        {"column", "column", cv_column},
        {"name", "name", cv_name},
        {"columns", "columns", cv_columns},
        {NULL, NULL, NULL},
    };

    return read_object(r, path, value, MEMBERS, vschema_add_column_vindex(r->v, to, ""));
}

STRING_MEMBER(auto_column, struct vschema_table, auto_column)
STRING_MEMBER(auto_sequence, struct vschema_table, auto_sequence)

static bool table_auto(struct reader *r, const char *path, const json_t *value, void *to)
{
    static const struct member MEMBERS[] = {
        {"column", "column", auto_column},
        {"sequence", "sequence", auto_sequence},
        {NULL, NULL, NULL},
    };

    ((struct vschema_table *)to)->has_auto_increment = true;
    return read_object(r, path, value, MEMBERS, to);
}

STRING_MEMBER(table_type, struct vschema_table, type)
STRING_MEMBER(table_pinned, struct vschema_table, pinned)
STRING_MEMBER(table_source, struct vschema_table, source)
FLAG_MEMBER(table_authoritative, struct vschema_table, authoritative)

static bool table_vindexes(struct reader *r, const char *path, const json_t *value, void *to)
{
    return read_list(r, path, value, table_vindex, to);
}

static bool table_columns(struct reader *r, const char *path, const json_t *value, void *to)
{
    return read_list(r, path, value, table_column, to);
}

static void *add_table(void *to, const char *name)
{
    return vschema_add_table(to, name);
}

static bool read_tables(struct reader *r, const char *path, const json_t *value, void *to)
{
    static const struct member MEMBERS[] = {
        {"type", "type", table_type},
        {"column_vindexes", "columnVindexes", table_vindexes},
        {"auto_increment", "autoIncrement", table_auto},
        {"columns", "columns", table_columns},
        {"pinned", "pinned", table_pinned},
        {"column_list_authoritative", "columnListAuthoritative", table_authoritative},
        {"source", "source", table_source},
        {NULL, NULL, NULL},
    };

    return read_named(r, path, value, MEMBERS, add_table, to);
}

/* --- vindexes -------------------------------------------------------------------------------- */

STRING_MEMBER(vindex_type, struct vschema_vindex, type)
STRING_MEMBER(vindex_owner, struct vschema_vindex, owner)

static bool vindex_params(struct reader *r, const char *path, const json_t *value, void *to)
{
    const char *key, *text;
    json_t *item;

    if (!json_is_object(value))
        return fail(r, path, "must be an object");
    json_object_foreach((json_t *)value, key, item)
    {
        if (!get_string(r, vschema_path(r->arena, path, key), item, &text))
            return false;
        vschema_add_param(r->v, to, key, text);
    }
    return true;
}

static void *add_vindex(void *to, const char *name)
{
    return vschema_add_vindex(to, name);
}

static bool read_vindexes(struct reader *r, const char *path, const json_t *value, void *to)
{
    static const struct member MEMBERS[] = {
        {"type", "type", vindex_type},
        {"params", "params", vindex_params},
        {"owner", "owner", vindex_owner},
        {NULL, NULL, NULL},
    };

    return read_named(r, path, value, MEMBERS, add_vindex, to);
}

/* --- the keyspace ---------------------------------------------------------------------------- */

FLAG_MEMBER(keyspace_sharded, struct vschema, sharded)
FLAG_MEMBER(keyspace_explicit, struct vschema, explicit_routing)
STRING_MEMBER(tenant_column, struct vschema, tenant_column)

static bool keyspace_foreign_keys(struct reader *r, const char *path, const json_t *value, void *to)
{
    return get_enum(r, path, value, vschema_foreign_keys_find,
                    "must be \"unspecified\", \"disallow\", \"unmanaged\" or \"managed\"",
                    &((struct vschema *)to)->foreign_keys);
}

static bool tenant_type(struct reader *r, const char *path, const json_t *value, void *to)
{
    return get_enum(r, path, value, vschema_type_find, "is no type of Vitess",
                    &((struct vschema *)to)->tenant_type);
}

static bool keyspace_tenant(struct reader *r, const char *path, const json_t *value, void *to)
{
    static const struct member MEMBERS[] = {
        {"tenant_id_column_name", "tenantIdColumnName", tenant_column},
        {"tenant_id_column_type", "tenantIdColumnType", tenant_type},
        {NULL, NULL, NULL},
    };

    ((struct vschema *)to)->has_tenant = true;
    return read_object(r, path, value, MEMBERS, to);
}

struct vschema *vschema_read_value(const json_t *value, const char *path,
                                   char error[VSCHEMA_JSON_ERROR_SIZE])
{
    static const struct member MEMBERS[] = {
        {"sharded", "sharded", keyspace_sharded},
        {"vindexes", "vindexes", read_vindexes},
        {"tables", "tables", read_tables},
        {"require_explicit_routing", "requireExplicitRouting", keyspace_explicit},
        {"foreign_key_mode", "foreignKeyMode", keyspace_foreign_keys},
        {"multi_tenant_spec", "multiTenantSpec", keyspace_tenant},
        {NULL, NULL, NULL},
    };
    struct vschema *v = vschema_create();
    struct reader r = {.v = v, .arena = &v->arena, .error = error};

    if (!read_object(&r, path, value, MEMBERS, v)) {
        vschema_free(v);
        return NULL;
    }
    vschema_sort(v);
    return v;
}

/* --- routing rules --------------------------------------------------------------------------- */

STRING_MEMBER(rule_from, struct routing_rule, from)

static bool rule_target(struct reader *r, const char *path, const json_t *value, void *to)
{
    const char *name;

    if (!get_string(r, path, value, &name))
        return false;
    routing_add_target(r->rules, to, name);
    return true;
}

static bool rule_targets(struct reader *r, const char *path, const json_t *value, void *to)
{
    return read_list(r, path, value, rule_target, to);
}

static bool one_rule(struct reader *r, const char *path, const json_t *value, void *to)
{
    static const struct member MEMBERS[] = {
        {"from_table", "fromTable", rule_from},
        {"to_tables", "toTables", rule_targets},
        {NULL, NULL, NULL},
    };
    struct routing_rule *rule = routing_add(to, "");

    return read_object(r, path, value, MEMBERS, rule) &&
           (*rule->from || fail(r, path, "from_table is missing"));
}

static bool all_rules(struct reader *r, const char *path, const json_t *value, void *to)
{
    return read_list(r, path, value, one_rule, to);
}

struct routing_rules *routing_read_value(const json_t *value, const char *path,
                                         char error[VSCHEMA_JSON_ERROR_SIZE])
{
    static const struct member MEMBERS[] = {{"rules", "rules", all_rules}, {NULL, NULL, NULL}};
    struct routing_rules *rules = routing_create();
    struct reader r = {.rules = rules, .arena = &rules->arena, .error = error};

    if (read_object(&r, path, value, MEMBERS, rules))
        return rules;
    routing_free(rules);
    return NULL;
}

/* --- text ------------------------------------------------------------------------------------ */

static json_t *parse(const char *json, size_t len, char error[VSCHEMA_JSON_ERROR_SIZE])
{
    json_error_t e;
    json_t *value = json_loadb(json, len, JSON_REJECT_DUPLICATES, &e);

    if (!value)
        snprintf(error, VSCHEMA_JSON_ERROR_SIZE, "line %d, column %d: malformed JSON: %s", e.line,
                 e.column, e.text);
    return value;
}

struct vschema *vschema_read(const char *json, size_t len, char error[VSCHEMA_JSON_ERROR_SIZE])
{
    json_t *value = parse(json, len, error);
    struct vschema *v = value ? vschema_read_value(value, "", error) : NULL;

    json_decref(value);
    return v;
}

struct routing_rules *routing_read(const char *json, size_t len,
                                   char error[VSCHEMA_JSON_ERROR_SIZE])
{
    json_t *value = parse(json, len, error);
    struct routing_rules *rules = value ? routing_read_value(value, "", error) : NULL;

    json_decref(value);
    return rules;
}
