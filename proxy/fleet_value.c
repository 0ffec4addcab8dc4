/*
 * JSON of the fleet's keys. See fleet_value.h.
 */
#include "proxy/fleet_value.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/json_text.h"
#include "proxy/memory.h"

#define TEXT_MAX   65536 /* of what is read */
#define TTL_MAX_MS INT64_C(86400000)

static const char *const SCOPES[] = {[HOLD_ALL] = "all",
                                     [HOLD_KEYSPACE] = "keyspace",
                                     [HOLD_TABLE] = "table",
                                     [HOLD_VTGATE] = "vtgate"};

static char *dump(const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);

    return text ? text : memory_copy("{}", 2);
}

char *fleet_hold_write(const struct hold *h, int64_t ttl_ms)
{
    json_t *o = json_object();

    json_object_set_new(o, "scope", json_string(SCOPES[h->scope]));
    json_object_set_new(o, "kinds", json_integer((json_int_t)h->kinds));
    json_object_set_new(o, "keyspace", json_text(h->keyspace));
    json_object_set_new(o, "table", json_text(h->table));
    json_object_set_new(o, "vtgate", json_text(h->vtgate));
    json_object_set_new(o, "owner", json_text(h->owner));
    json_object_set_new(o, "reason", json_text(h->reason));
    json_object_set_new(o, "max_wait_ms", json_integer(h->max_wait_ms));
    json_object_set_new(o, "max_parked", json_integer((json_int_t)h->max_parked));
    json_object_set_new(o, "rate", json_integer(h->rate));
    json_object_set_new(o, "ramp_ms", json_integer(h->ramp_ms));
    json_object_set_new(o, "retries_pass", json_boolean(h->retries_pass));
    json_object_set_new(o, "ttl_ms", json_integer(ttl_ms));
    char *text = dump(o);

    json_decref(o);
    return text;
}

/* False: it is there and too long, or no text. What is missing is empty. */
static bool read_text(const json_t *o, const char *name, char *dst, size_t size)
{
    const json_t *value = json_object_get(o, name);

    *dst = '\0';
    if (!value)
        return true;
    if (!json_is_string(value) || json_string_length(value) >= size)
        return false;
    memcpy(dst, json_string_value(value), json_string_length(value) + 1);
    return true;
}

/* False: it is there and no number from 0 to max. What is missing is 0. */
static bool read_number(const json_t *o, const char *name, int64_t max, int64_t *n)
{
    const json_t *value = json_object_get(o, name);

    *n = value ? json_integer_value(value) : 0;
    return (!value || json_is_integer(value)) && *n >= 0 && *n <= max;
}

static bool read_scope(const json_t *o, struct hold *h)
{
    const char *scope = json_string_value(json_object_get(o, "scope"));

    for (size_t i = 0; scope && i < sizeof(SCOPES) / sizeof(SCOPES[0]); i++) {
        if (strcmp(scope, SCOPES[i]) != 0)
            continue;
        h->scope = (enum hold_scope)i;
        return (*h->keyspace || (h->scope != HOLD_KEYSPACE && h->scope != HOLD_TABLE)) &&
               (*h->table || h->scope != HOLD_TABLE) && (*h->vtgate || h->scope != HOLD_VTGATE);
    }
    return false;
}

static bool read_hold(const json_t *o, struct hold *h, int64_t *ttl_ms)
{
    int64_t kinds, max_parked;

    if (!read_text(o, "keyspace", h->keyspace, sizeof(h->keyspace)) ||
        !read_text(o, "table", h->table, sizeof(h->table)) ||
        !read_text(o, "vtgate", h->vtgate, sizeof(h->vtgate)) ||
        !read_text(o, "owner", h->owner, sizeof(h->owner)) ||
        !read_text(o, "reason", h->reason, sizeof(h->reason)) ||
        !read_number(o, "kinds", HOLD_EVERYTHING, &kinds) ||
        !read_number(o, "max_wait_ms", TTL_MAX_MS, &h->max_wait_ms) ||
        !read_number(o, "max_parked", 1000000, &max_parked) ||
        !read_number(o, "rate", 1000000, &h->rate) ||
        !read_number(o, "ramp_ms", TTL_MAX_MS, &h->ramp_ms) ||
        !read_number(o, "ttl_ms", TTL_MAX_MS, ttl_ms) || *ttl_ms == 0)
        return false;
    h->retries_pass = json_is_true(json_object_get(o, "retries_pass"));
    h->kinds = (unsigned)kinds;
    h->max_parked = (uint64_t)max_parked;
    return read_scope(o, h);
}

static json_t *load(const char *text)
{
    size_t len = strlen(text);
    json_t *o = len <= TEXT_MAX ? json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL) : NULL;

    if (json_is_object(o))
        return o;
    json_decref(o);
    return NULL;
}

bool fleet_hold_read(const char *text, struct hold *h, int64_t *ttl_ms)
{
    json_t *o = load(text);

    memset(h, 0, sizeof(*h));
    bool ok = o && read_hold(o, h, ttl_ms);

    json_decref(o);
    return ok;
}

void fleet_member_note(json_t *member, const char *key, int64_t revision,
                       const struct fleet_drain *drain)
{
    json_object_set_new(member, key,
                        json_pack("[III]", (json_int_t)revision, (json_int_t)drain->in_the_way,
                                  (json_int_t)drain->excess_ms));
}

char *fleet_member_write(const json_t *member)
{
    return dump(member);
}

json_t *fleet_member_read(const char *text)
{
    return load(text);
}

/* Sums of it are made, and decided by: what is beyond is as much as there may be. */
static int64_t bounded(const json_t *number, int64_t min, int64_t max)
{
    int64_t n = json_integer_value(number);

    return n < min ? min : n > max ? max : n;
}

bool fleet_member_has(const json_t *member, const char *key, int64_t revision,
                      struct fleet_drain *drain)
{
    const json_t *noted = json_object_get(member, key);
    const json_t *at = json_array_get(noted, 0), *count = json_array_get(noted, 1);

    if (!json_is_integer(at) || !json_is_integer(count) || json_integer_value(at) < revision)
        return false;
    drain->in_the_way = bounded(count, -1, FLEET_IN_THE_WAY_MAX);
    const json_t *excess = json_array_get(noted, 2);

    drain->excess_ms = json_is_integer(excess) ? bounded(excess, 0, INT32_MAX) : INT32_MAX;
    return true;
}
