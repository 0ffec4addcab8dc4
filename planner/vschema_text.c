/*
 * Writing JSON. Absent values are left out, as protojson does, but for what makes an empty object
 * readable.
 */
#include "planner/vschema_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- text ------------------------------------------------------------------------------------ */

static void text_room(struct text *t, size_t more)
{
    if (t->room - t->len > more)
        return;
    size_t room = t->room ? t->room : 128;

    while (room - t->len <= more)
        room *= 2;
    char *at = realloc(t->at, room);

    if (!at) {
        fputs("vtshim: out of memory\n", stderr);
        abort();
    }
    t->at = at;
    t->room = room;
}

static void text_bytes_add(struct text *t, const char *bytes, size_t n)
{
    text_room(t, n);
    memcpy(t->at + t->len, bytes, n);
    t->len += n;
    t->at[t->len] = '\0';
}

void text_add(struct text *t, const char *text)
{
    text_bytes_add(t, text, strlen(text));
}

void text_format(struct text *t, const char *format, ...)
{
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);

    if (n > 0) {
        text_room(t, (size_t)n);
        vsnprintf(t->at + t->len, (size_t)n + 1, format, again);
        t->len += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void text_json(struct text *t, const char *value)
{
    text_add(t, "\"");
    for (const char *at = value; *at; at++) {
        unsigned char c = (unsigned char)*at;

        if (c == '"' || c == '\\')
            text_format(t, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            text_format(t, "\\u%04x", c);
        else
            text_bytes_add(t, at, 1);
    }
    text_add(t, "\"");
}

void text_free(struct text *t)
{
    free(t->at);
    *t = (struct text){NULL, 0, 0};
}

char *text_take(struct text *t)
{
    char *at;

    text_room(t, 0);
    t->at[t->len] = '\0';
    at = t->at;
    *t = (struct text){NULL, 0, 0};
    return at;
}

/* --- members --------------------------------------------------------------------------------- */

/* The comma, if it is not the first member of its object. */
static void key(struct text *out, const char *name)
{
    char last = out->len ? out->at[out->len - 1] : '{';

    if (last != '{' && last != '[')
        text_add(out, ",");
    text_json(out, name);
    text_add(out, ":");
}

static void string_member(struct text *out, const char *name, const char *value)
{
    if (!*value)
        return;
    key(out, name);
    text_json(out, value);
}

static void flag_member(struct text *out, const char *name, bool value)
{
    if (!value)
        return;
    key(out, name);
    text_add(out, "true");
}

static void number_member(struct text *out, const char *name, long value)
{
    if (!value)
        return;
    key(out, name);
    text_format(out, "%ld", value);
}

/* By its name, or by its number where it has none. */
static void enum_member(struct text *out, const char *name, const char *value, int number)
{
    if (number && value)
        string_member(out, name, value);
    else
        number_member(out, name, number);
}

void vschema_write_names(struct text *out, const char *const *names, size_t n)
{
    text_add(out, "[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            text_add(out, ",");
        text_json(out, names[i]);
    }
    text_add(out, "]");
}

/* --- the parts ------------------------------------------------------------------------------- */

void vschema_write_vindex(struct text *out, const struct vschema_vindex *vindex)
{
    text_add(out, "{");
    string_member(out, "type", vindex->type);
    if (vindex->param_count) {
        key(out, "params");
        text_add(out, "{");
        for (size_t i = 0; i < vindex->param_count; i++) {
            key(out, vindex->params[i].key);
            text_json(out, vindex->params[i].value);
        }
        text_add(out, "}");
    }
    string_member(out, "owner", vindex->owner);
    text_add(out, "}");
}

void vschema_write_column(struct text *out, const struct vschema_column *c)
{
    text_add(out, "{");
    string_member(out, "name", c->name);
    enum_member(out, "type", vschema_type_name(c->type), c->type);
    flag_member(out, "invisible", c->invisible);
    string_member(out, "default", c->fallback);
    string_member(out, "collation_name", c->collation);
    number_member(out, "size", c->size);
    number_member(out, "scale", c->scale);
    if (c->nullable >= 0) {
        key(out, "nullable");
        text_add(out, c->nullable ? "true" : "false");
    }
    if (c->value_count) {
        key(out, "values");
        vschema_write_names(out, c->values, c->value_count);
    }
    text_add(out, "}");
}

static void write_column_vindexes(struct text *out, const struct vschema_table *t)
{
    key(out, "column_vindexes");
    text_add(out, "[");
    for (size_t i = 0; i < t->vindex_count; i++) {
        const struct vschema_column_vindex *cv = &t->vindexes[i];

        text_add(out, i ? ",{" : "{");
        if (cv->single && cv->column_count == 1) {
            string_member(out, "column", cv->columns[0]);
        } else if (cv->column_count) {
            key(out, "columns");
            vschema_write_names(out, cv->columns, cv->column_count);
        }
        string_member(out, "name", cv->name);
        text_add(out, "}");
    }
    text_add(out, "]");
}

void vschema_write_table(struct text *out, const struct vschema_table *t)
{
    text_add(out, "{");
    string_member(out, "type", t->type);
    if (t->vindex_count)
        write_column_vindexes(out, t);
    if (t->has_auto_increment) {
        key(out, "auto_increment");
        text_add(out, "{");
        string_member(out, "column", t->auto_column);
        string_member(out, "sequence", t->auto_sequence);
        text_add(out, "}");
    }
    if (t->column_count) {
        key(out, "columns");
        text_add(out, "[");
        for (size_t i = 0; i < t->column_count; i++) {
            text_add(out, i ? "," : "");
            vschema_write_column(out, &t->columns[i]);
        }
        text_add(out, "]");
    }
    string_member(out, "pinned", t->pinned);
    flag_member(out, "column_list_authoritative", t->authoritative);
    string_member(out, "source", t->source);
    text_add(out, "}");
}

void vschema_write(struct text *out, const struct vschema *v)
{
    text_add(out, "{");
    flag_member(out, "sharded", v->sharded);
    key(out, "vindexes");
    text_add(out, "{");
    for (size_t i = 0; i < v->vindex_count; i++) {
        key(out, v->vindexes[i].name);
        vschema_write_vindex(out, &v->vindexes[i]);
    }
    text_add(out, "}");
    key(out, "tables");
    text_add(out, "{");
    for (size_t i = 0; i < v->table_count; i++) {
        key(out, v->tables[i].name);
        vschema_write_table(out, &v->tables[i]);
    }
    text_add(out, "}");
    flag_member(out, "require_explicit_routing", v->explicit_routing);
    enum_member(out, "foreign_key_mode", vschema_foreign_keys_name(v->foreign_keys),
                v->foreign_keys);
    if (v->has_tenant) {
        key(out, "multi_tenant_spec");
        text_add(out, "{");
        string_member(out, "tenant_id_column_name", v->tenant_column);
        enum_member(out, "tenant_id_column_type", vschema_type_name(v->tenant_type),
                    v->tenant_type);
        text_add(out, "}");
    }
    text_add(out, "}");
}
