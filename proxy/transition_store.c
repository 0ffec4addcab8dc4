/*
 * Files of transitions.
 */
#include "proxy/transition_store.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/json_files.h"
#include "proxy/json_text.h"
#include "proxy/log.h"
#include "proxy/restart.h"
#include "proxy/server.h"

#define KIND "transition"

/* --- writing --------------------------------------------------------------------------------- */

static void set_string(json_t *o, const char *key, const char *value)
{
    if (value && *value)
        json_object_set_new(o, key, json_text(value));
}

static void set_number(json_t *o, const char *key, int64_t value)
{
    json_object_set_new(o, key, json_integer(value));
}

static void set_json(json_t *o, const char *key, const char *text)
{
    json_t *value = text ? json_loads(text, 0, NULL) : NULL;

    if (value)
        json_object_set_new(o, key, value);
}

static json_t *probes_of(const struct transition_order *order)
{
    json_t *list = json_array();

    for (size_t i = 0; i < order->probe_count; i++) {
        json_t *one = json_object();

        set_string(one, "sql", order->probes[i].sql);
        set_string(one, "shards", order->probes[i].shards);
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *lines_of(const struct transition *t)
{
    json_t *list = json_array();

    for (size_t i = 0; i < t->line_count; i++)
        json_array_append_new(list,
                              json_pack("[s, o, o]", t->lines[i].section,
                                        json_text(t->lines[i].item), json_text(t->lines[i].value)));
    return list;
}

static json_t *json_of(const struct transition *t)
{
    json_t *o = json_object();

    set_number(o, "id", (int64_t)t->id);
    set_number(o, "pid", getpid());
    set_string(o, "verb", t->order.verb);
    set_string(o, "what", t->order.what == TRANSITION_ROUTING ? "routing" : "vschema");
    set_string(o, "keyspace", t->order.keyspace);
    set_string(o, "user", t->order.user);
    set_string(o, "peer", t->order.peer);
    set_string(o, "started", t->started);
    set_string(o, "step", transition_step_name(t->step));
    set_string(o, "outcome", t->ended ? t->outcome : "running");
    set_string(o, "text", t->text);
    set_string(o, "state", t->state);
    set_number(o, "code", t->code);
    set_number(o, "took_ms", (t->ended ? t->ended_ms : clock_ms()) - t->started_ms);
    set_number(o, "held_ms", t->held_ms);
    set_number(o, "changes", (int64_t)t->changes);
    json_object_set_new(o, "applied", json_boolean(t->may_hold));
    json_object_set_new(o, "undoing", json_boolean(t->undoing));
    json_object_set_new(o, "probes", probes_of(&t->order));
    set_json(o, "before", t->before_json);
    set_json(o, "after", t->after_json);
    json_object_set_new(o, "lines", lines_of(t));
    return o;
}

char *transition_json(const struct transition *t)
{
    json_t *json = json_of(t);
    char *text = json_dumps(json, JSON_INDENT(1));

    json_decref(json);
    return text;
}

uint64_t transition_store_next_id(struct server *server, uint64_t least)
{
    return json_files_next_id(server->config->transition_dir, KIND, least);
}

void transition_store_save(const struct transition *t)
{
    if (!*t->server->config->transition_dir)
        return;
    json_t *json = json_of(t);

    if (!json_files_save(t->server->config->transition_dir, KIND, t->id, json))
        log_warn("transition_not_kept", "transition:u error:s", t->id, strerror(errno));
    json_decref(json);
}

void transition_store_remove(const struct transition *t)
{
    json_files_remove(t->server->config->transition_dir, KIND, t->id);
}

/* --- reading --------------------------------------------------------------------------------- */

void transition_store_load(struct server *server,
                           void (*found)(void *arg, uint64_t id, const json_t *json), void *arg)
{
    size_t n;
    uint64_t *ids = json_files_list(server->config->transition_dir, KIND, &n);

    for (size_t i = 0; i < n; i++) {
        json_t *json = transition_store_again(server, ids[i]);

        if (json)
            found(arg, ids[i], json);
        else
            log_warn("transition_file_malformed", "transition:u", ids[i]);
        json_decref(json);
    }
    free(ids);
}

json_t *transition_store_again(struct server *server, uint64_t id)
{
    return json_files_load(server->config->transition_dir, KIND, id);
}

bool transition_store_is_elsewhere(const struct server *server, const json_t *json)
{
    json_int_t pid = json_integer_value(json_object_get(json, "pid"));

    return restart_has_predecessor(server->restart) && pid > 0 && pid != getpid() &&
           (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

static const char *get_string(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

static int64_t get_number(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static void read_probes(struct transition_order *order, const json_t *list)
{
    size_t i;
    json_t *one;

    json_array_foreach(list, i, one)
    {
        const char *shards = json_string_value(json_object_get(one, "shards"));

        if (order->probe_count == TRANSITION_PROBES_MAX)
            break;
        order->probes[order->probe_count++] = (struct transition_probe){
            .sql = arena_string(&order->arena, get_string(one, "sql")),
            .shards = shards ? arena_string(&order->arena, shards) : NULL};
    }
}

bool transition_store_read(struct transition *t, const json_t *json)
{
    struct transition_order *o = &t->order;
    json_t *before = json_object_get(json, "before"), *after = json_object_get(json, "after"),
           *line;
    size_t i;

    if (!*get_string(json, "verb") || !*get_string(json, "step"))
        return false;
    o->what =
        strcmp(get_string(json, "what"), "routing") == 0 ? TRANSITION_ROUTING : TRANSITION_VSCHEMA;
    o->verb = arena_string(&o->arena, get_string(json, "verb"));
    o->keyspace = arena_string(&o->arena, get_string(json, "keyspace"));
    o->user = arena_string(&o->arena, get_string(json, "user"));
    o->peer = arena_string(&o->arena, get_string(json, "peer"));
    o->allow = "";
    read_probes(o, json_object_get(json, "probes"));
    snprintf(t->started, sizeof(t->started), "%s", get_string(json, "started"));
    snprintf(t->text, sizeof(t->text), "%s", get_string(json, "text"));
    snprintf(t->state, sizeof(t->state), "%s", get_string(json, "state"));
    t->code = (uint16_t)get_number(json, "code");
    t->held_ms = get_number(json, "held_ms");
    t->changes = (size_t)get_number(json, "changes");
    t->may_hold = json_is_true(json_object_get(json, "applied"));
    t->undoing = json_is_true(json_object_get(json, "undoing"));
    t->started_ms = clock_ms() - get_number(json, "took_ms");
    t->before_json = before ? json_dumps(before, JSON_COMPACT) : NULL;
    t->after_json = after ? json_dumps(after, JSON_COMPACT) : NULL;
    t->outcome = arena_string(&t->arena, get_string(json, "outcome"));
    t->step = transition_step_find(get_string(json, "step"));
    json_array_foreach(json_object_get(json, "lines"), i, line)
    {
        const char *section, *item, *value;

        if (json_unpack(line, "[s, s, s]", &section, &item, &value) == 0)
            transition_say(t, section, item, "%s", value);
    }
    return true;
}
