/*
 * Two readers that end in the same shape. Everything is looked up by name, so that what Vitess adds
 * in later versions does no harm.
 */
#include "proxy/vschema_form.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/memory.h"

/* --- looking things up ----------------------------------------------------------------------- */

/* A field by its snake_case name, or its lowerCamelCase one. */
static json_t *field(const json_t *object, const char *name)
{
    char camel[64];
    size_t n = 0;
    json_t *value = json_object_get(object, name);

    if (value)
        return value;
    for (const char *p = name; *p && n < sizeof(camel) - 1; p++) {
        if (*p == '_' && p[1])
            camel[n++] = (char)(*++p - 'a' + 'A');
        else
            camel[n++] = *p;
    }
    camel[n] = '\0';
    return json_object_get(object, camel);
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(field(object, name));

    return text ? text : "";
}

static void set_text(json_t *object, const char *name, const char *text)
{
    if (*text)
        json_object_set_new(object, name, json_string(text));
}

static void set_flag(json_t *object, const char *name, bool value)
{
    if (value)
        json_object_set_new(object, name, json_true());
}

/* Kept only if there is anything in it. */
static void set_filled(json_t *object, const char *name, json_t *value)
{
    if (json_object_size(value) + json_array_size(value) > 0)
        json_object_set_new(object, name, value);
    else
        json_decref(value);
}

/* "`ks`.`table`" and "ks.table" name the same. */
static json_t *plain_name(const char *text)
{
    char *copy = memory_zalloc(strlen(text) + 1), *to = copy;

    for (; *text; text++) {
        if (*text != '`')
            *to++ = *text;
    }
    json_t *name = json_string(copy);

    free(copy);
    return name;
}

static const char *behind_dot(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot ? dot + 1 : name;
}

/* --- vindexes -------------------------------------------------------------------------------- */

/* Parameters of lookups that both forms have; the vtgate form as flags. */
static const char *const LOOKUP_FLAGS[] = {"autocommit", "multi_shard_autocommit", "ignore_nulls",
                                           "batch_lookup"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static json_t *split_names(const char *text)
{
    json_t *names = json_array();

    while (*text) {
        text += strspn(text, " ");
        size_t len = strcspn(text, ",");
        size_t end = len;

        while (end > 0 && text[end - 1] == ' ')
            end--;
        json_array_append_new(names, json_stringn(text, end));
        text += len + (text[len] == ',');
    }
    return names;
}

static bool is_true(const char *text)
{
    return strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
}

static json_t *vindex_of_topo(const json_t *vindex)
{
    const json_t *params = field(vindex, "params");
    json_t *form = json_object();

    if (!*text_of(params, "table") || !*text_of(params, "from"))
        return form;
    json_object_set_new(form, "table", plain_name(text_of(params, "table")));
    json_object_set_new(form, "from", split_names(text_of(params, "from")));
    set_text(form, "to", text_of(params, "to"));
    for (size_t i = 0; i < COUNT(LOOKUP_FLAGS); i++)
        set_flag(form, LOOKUP_FLAGS[i], is_true(text_of(params, LOOKUP_FLAGS[i])));
    return form;
}

static json_t *vindex_of_vtgate(const json_t *vindex)
{
    json_t *form = json_object();
    json_t *from = field(vindex, "from_columns");

    if (!json_is_array(from) || !*text_of(vindex, "table"))
        return form;
    json_object_set_new(form, "table", plain_name(text_of(vindex, "table")));
    json_object_set(form, "from", from);
    set_text(form, "to", text_of(vindex, "to"));
    for (size_t i = 0; i < COUNT(LOOKUP_FLAGS); i++)
        set_flag(form, LOOKUP_FLAGS[i], json_is_true(field(vindex, LOOKUP_FLAGS[i])));
    return form;
}

static json_t *vindexes(const json_t *keyspace, json_t *read_one(const json_t *))
{
    json_t *form = json_object(), *one;
    const char *name;

    json_object_foreach(field(keyspace, "vindexes"), name, one)
    {
        json_object_set_new(form, name, read_one(one));
    }
    return form;
}

/* --- tables of the topo form ----------------------------------------------------------------- */

static json_t *column_vindex_of_topo(const json_t *use, const json_t *all, const char *table)
{
    const char *name = text_of(use, "name");
    const json_t *vindex = json_object_get(all, name);
    json_t *form = json_object(), *columns = field(use, "columns");
    bool is_lookup = strstr(text_of(vindex, "type"), "lookup") != NULL;

    set_text(form, "name", name);
    set_text(form, "type", text_of(vindex, "type"));
    if (json_array_size(columns) > 0) {
        json_object_set(form, "columns", columns);
    } else {
        json_t *only = json_array();

        json_array_append_new(only, json_string(text_of(use, "column")));
        json_object_set_new(form, "columns", only);
    }
    set_flag(form, "owned", is_lookup && strcmp(text_of(vindex, "owner"), table) == 0);
    return form;
}

static json_t *sequence_form(const char *column, const char *sequence)
{
    json_t *form = json_object(), *name = plain_name(behind_dot(sequence));

    set_text(form, "column", column);
    set_text(form, "sequence", json_string_value(name));
    json_decref(name);
    return form;
}

static json_t *table_of_topo(const json_t *table, const char *name, const json_t *all)
{
    json_t *form = json_object(), *uses = json_array(), *use;
    const json_t *auto_increment = field(table, "auto_increment");
    size_t i;

    json_array_foreach(field(table, "column_vindexes"), i, use)
    {
        json_array_append_new(uses, column_vindex_of_topo(use, all, name));
    }
    set_filled(form, "column_vindexes", uses);
    set_text(form, "type", text_of(table, "type"));
    set_text(form, "pinned", text_of(table, "pinned"));
    if (json_is_object(auto_increment))
        json_object_set_new(
            form, "auto_increment",
            sequence_form(text_of(auto_increment, "column"), text_of(auto_increment, "sequence")));
    if (*text_of(table, "source"))
        json_object_set_new(form, "source", plain_name(text_of(table, "source")));
    return form;
}

/* --- tables of the vtgate form --------------------------------------------------------------- */

static json_t *column_vindex_of_vtgate(const json_t *use)
{
    json_t *form = json_object(), *columns = field(use, "columns");

    set_text(form, "name", text_of(use, "name"));
    set_text(form, "type", text_of(use, "type"));
    if (columns)
        json_object_set(form, "columns", columns);
    set_flag(form, "owned", json_is_true(field(use, "owned")));
    return form;
}

/* A keyspace id, which Go writes as base64, in hexadecimal digits, as vtctld has it. */
static void set_pinned(json_t *form, const char *base64)
{
    unsigned char bytes[96];
    char hex[2 * sizeof(bytes) + 1] = "";
    size_t len = strlen(base64);

    if (len == 0 || len % 4 != 0 || len / 4 * 3 > sizeof(bytes))
        return;
    int n = EVP_DecodeBlock(bytes, (const unsigned char *)base64, (int)len);

    n -= (base64[len - 1] == '=') + (base64[len - 2] == '='); /* it counts the padding */
    for (int i = 0; i < n; i++)
        snprintf(hex + (size_t)2 * (size_t)i, 3, "%02x", bytes[i]);
    set_text(form, "pinned", hex);
}

static void set_source(json_t *form, const json_t *source)
{
    char name[256];

    if (!json_is_object(source))
        return;
    const char *keyspace = text_of(source, "Qualifier");

    snprintf(name, sizeof(name), "%s%s%s", keyspace, *keyspace ? "." : "", text_of(source, "Name"));
    set_text(form, "source", name);
}

static json_t *table_of_vtgate(const json_t *table)
{
    json_t *form = json_object(), *uses = json_array(), *use;
    const json_t *auto_increment = field(table, "auto_increment");
    size_t i;

    json_array_foreach(field(table, "column_vindexes"), i, use)
    {
        json_array_append_new(uses, column_vindex_of_vtgate(use));
    }
    set_filled(form, "column_vindexes", uses);
    set_text(form, "type", text_of(table, "type"));
    set_pinned(form, text_of(table, "pinned"));
    if (json_is_object(auto_increment))
        json_object_set_new(form, "auto_increment",
                            sequence_form(text_of(auto_increment, "column"),
                                          text_of(field(auto_increment, "sequence"), "name")));
    set_source(form, field(table, "source"));
    return form;
}

/* --- keyspaces ------------------------------------------------------------------------------- */

/* vtgate takes "unspecified" for "unmanaged". JSON of messages may have the number. */
static const char *foreign_keys(const json_t *mode)
{
    static const char *const MODES[] = {"unmanaged", "disallow", "unmanaged", "managed"};
    const char *text = json_string_value(mode);

    if (json_is_integer(mode) && json_integer_value(mode) >= 0 && json_integer_value(mode) < 4)
        return MODES[json_integer_value(mode)];
    return !text || strcmp(text, "unspecified") == 0 ? "unmanaged" : text;
}

static json_t *keyspace_form(const json_t *keyspace, json_t *found_vindexes, json_t *tables)
{
    json_t *form = json_object();

    set_flag(form, "sharded", json_is_true(field(keyspace, "sharded")));
    json_object_set_new(form, "foreign_key_mode",
                        json_string(foreign_keys(field(keyspace, "foreign_key_mode"))));
    set_filled(form, "vindexes", found_vindexes);
    set_filled(form, "tables", tables);
    return form;
}

json_t *vschema_form_of_topo(const json_t *keyspace)
{
    json_t *tables = json_object(), *table;
    const char *name;

    json_object_foreach(field(keyspace, "tables"), name, table)
    {
        set_filled(tables, name, table_of_topo(table, name, field(keyspace, "vindexes")));
    }
    return keyspace_form(keyspace, vindexes(keyspace, vindex_of_topo), tables);
}

json_t *vschema_form_of_vtgate(const json_t *keyspace)
{
    json_t *tables = json_object(), *table;
    const char *name;

    json_object_foreach(field(keyspace, "tables"), name, table)
    {
        set_filled(tables, name, table_of_vtgate(table));
    }
    return keyspace_form(keyspace, vindexes(keyspace, vindex_of_vtgate), tables);
}

json_t *vschema_form_columns(const json_t *keyspace)
{
    json_t *form = json_object(), *table, *column;
    const char *name;
    size_t i;

    json_object_foreach(field(keyspace, "tables"), name, table)
    {
        json_t *columns = json_array();

        json_array_foreach(field(table, "columns"), i, column)
        {
            json_array_append_new(
                columns, json_pack("[s,s]", text_of(column, "name"), text_of(column, "type")));
        }
        set_filled(form, name, columns);
    }
    return form;
}

const char *vschema_form_error(const json_t *keyspace)
{
    return text_of(keyspace, "error");
}

/* --- rules ----------------------------------------------------------------------------------- */

/* A list of "ks.table" of which the texts are made plain; a text (an error) as it is. */
static json_t *targets(const json_t *list)
{
    json_t *form = json_array(), *one;
    size_t i;

    json_array_foreach(list, i, one)
    {
        if (json_is_string(one))
            json_array_append_new(form, plain_name(json_string_value(one)));
    }
    return form;
}

static json_t *routing_of_vtgate(const json_t *vschema)
{
    json_t *form = json_object(), *rule;
    const char *from;

    json_object_foreach(field(vschema, "routing_rules"), from, rule)
    {
        if (json_is_string(rule))
            json_object_set(form, from, rule);
        else
            json_object_set_new(form, from, targets(rule));
    }
    json_object_foreach(field(vschema, "view_routing_rules"), from, rule)
    {
        json_t *list = json_array();

        if (json_is_string(rule))
            json_array_append_new(list, plain_name(json_string_value(rule)));
        json_object_set_new(form, from, list);
    }
    return form;
}

/* vtgate's page has the table without its keyspace. */
static json_t *mirror_form(const char *to, const json_t *percent)
{
    json_t *form = json_object();

    json_object_set_new(form, "to", plain_name(behind_dot(to)));
    json_object_set_new(form, "percent", json_real(json_number_value(percent)));
    return form;
}

static json_t *mirrors_of_vtgate(const json_t *vschema)
{
    json_t *form = json_object(), *rule;
    const char *from;

    json_object_foreach(field(vschema, "mirror_rules"), from, rule)
    {
        if (json_is_string(rule))
            json_object_set(form, from, rule);
        else
            json_object_set_new(
                form, from,
                mirror_form(text_of(field(rule, "Table"), "name"), field(rule, "Percent")));
    }
    return form;
}

json_t *vschema_form_rules_of_vtgate(const json_t *vschema)
{
    json_t *form = json_object();
    json_t *shard = field(vschema, "shard_routing_rules");
    json_t *keyspace = field(vschema, "keyspace_routing_rules");

    set_filled(form, "routing", routing_of_vtgate(vschema));
    set_filled(form, "shard", json_is_object(shard) ? json_deep_copy(shard) : json_object());
    set_filled(form, "keyspace",
               json_is_object(keyspace) ? json_deep_copy(keyspace) : json_object());
    set_filled(form, "mirror", mirrors_of_vtgate(vschema));
    return form;
}

json_t *vschema_form_rules_of_topo(const json_t *routing, const json_t *shard,
                                   const json_t *keyspace, const json_t *mirror)
{
    json_t *form = json_object(), *rule;
    json_t *tables = json_object(), *shards = json_object(), *keyspaces = json_object(),
           *mirrors = json_object();
    char name[256];
    size_t i;

    json_array_foreach(field(routing, "rules"), i, rule)
    {
        json_object_set_new(tables, text_of(rule, "from_table"), targets(field(rule, "to_tables")));
    }
    json_array_foreach(field(shard, "rules"), i, rule)
    {
        snprintf(name, sizeof(name), "%s.%s", text_of(rule, "from_keyspace"),
                 text_of(rule, "shard"));
        json_object_set_new(shards, name, json_string(text_of(rule, "to_keyspace")));
    }
    json_array_foreach(field(keyspace, "rules"), i, rule)
    {
        json_object_set_new(keyspaces, text_of(rule, "from_keyspace"),
                            json_string(text_of(rule, "to_keyspace")));
    }
    json_array_foreach(field(mirror, "rules"), i, rule)
    {
        json_object_set_new(mirrors, text_of(rule, "from_table"),
                            mirror_form(text_of(rule, "to_table"), field(rule, "percent")));
    }
    set_filled(form, "routing", tables);
    set_filled(form, "shard", shards);
    set_filled(form, "keyspace", keyspaces);
    set_filled(form, "mirror", mirrors);
    return form;
}
