/*
 * VSchemas in one form, so that they can be compared: what vtctld says of a keyspace (the
 * vschema.Keyspace message as JSON, "topo form") and what a vtgate serves with (a keyspace of its
 * page /debug/vschema, "vtgate form") differ in shape. The vtgate form is Vitess's
 * go/vt/vtgate/vindexes/vschema.go as Go's encoding/json writes it.
 *
 * The common form has only what both show, with the order of keys left out: sharded, the foreign
 * key mode, vindexes (by name; of lookups table, from, to and flags), tables (type,
 * column_vindexes with name, type, columns and owned, auto_increment, pinned, source). Left out:
 *   - tables that have nothing but columns: vtgate's schema tracker adds those by itself, so "in
 *     the VSchema with no attribute" and "not in the VSchema" look the same there;
 *   - columns: see vschema_form_columns;
 *   - parameters of vindexes that are not lookups, and types and owners of vindexes that no table
 *     uses, and require_explicit_routing: vtgate does not show them.
 *
 * Pure: no I/O, no log. All results are new references; arguments are borrowed. Malformed input
 * gives a form of what could be read, never an error: it then compares as different.
 */
#ifndef VTSHIM_PROXY_VSCHEMA_FORM_H
#define VTSHIM_PROXY_VSCHEMA_FORM_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* The common form of one keyspace. Names of fields may be in snake_case or lowerCamelCase, as
   Vitess's tools write either. */
json_t *vschema_form_of_topo(const json_t *keyspace);
json_t *vschema_form_of_vtgate(const json_t *keyspace);

/*
 * The common form of rules: {"routing": {from: [to ...]}, "shard": {"ks.shard": to}, "keyspace":
 * {from: to}, "mirror": {from: {"to": table, "percent": n}}}, in which kinds without a rule are
 * left out. A rule that vtgate refuses is there as {from: "its error"}.
 */
json_t *vschema_form_rules_of_vtgate(const json_t *vschema); /* the whole page */

/* The same of what vtctld keeps: each the message as JSON ({"rules": [...]}), or NULL for none. */
json_t *vschema_form_rules_of_topo(const json_t *routing, const json_t *shard,
                                   const json_t *keyspace, const json_t *mirror);

/* The columns that a vtgate knows of the tables of a keyspace: {table: [[name, type] ...]}, in the
   tables' order. They come from the VSchema where that is authoritative, else from the tablets. */
json_t *vschema_form_columns(const json_t *keyspace);

/* vtgate's own error about the keyspace ("" if it has none). Borrowed from it. */
const char *vschema_form_error(const json_t *keyspace);

/* vschema_form_compare.c: 16 hexadecimal digits that are equal for equal forms. */
#define VSCHEMA_DIGEST_SIZE 17
void vschema_form_digest(const json_t *form, char digest[VSCHEMA_DIGEST_SIZE]);

/* Where two forms differ first: "tables.demo.column_vindexes[0].name: \"hash\", expected \"md5\"".
   False, and *where empty, when they are equal. */
bool vschema_form_differs(const json_t *expected, const json_t *actual, char *where, size_t size);

#endif
