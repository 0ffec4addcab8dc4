/*
 * A plan's JSON:
 *
 *   {"keyspace": "commerce", "allow": "rule, ..", "steps": [
 *      {"ddl": "ALTER TABLE t ADD COLUMN c int"},
 *      {"vschema": {..}}, {"alter_vschema": ["ALTER VSCHEMA ..", ..]},
 *      {"routing_rules": {"rules": [..]}}],
 *    "probes": [{"sql": "..", "shards": "-80"}], "watch": {"seconds": 60, "breach": "rollback"}}
 *
 * A step may name another "keyspace". What is not known is a mistake.
 */
#include <stdio.h>
#include <string.h>

#include "proxy/deploy_plan_internal.h"
#include "proxy/vschema_json.h"

static bool fail(char error[PLAN_TEXT_MAX], const char *path, const char *what)
{
    snprintf(error, PLAN_TEXT_MAX, "%s: %s", path, what);
    return false;
}

/* Only these keys. */
static bool check_keys(const json_t *object, const char *path, const char *const *keys, char *error)
{
    const char *key;
    json_t *value;

    if (!json_is_object(object))
        return fail(error, path, "must be an object");
    json_object_foreach((json_t *)object, key, value)
    {
        size_t i = 0;

        while (keys[i] && strcmp(keys[i], key) != 0)
            i++;
        if (!keys[i]) {
            snprintf(error, PLAN_TEXT_MAX, "%.200s.%.100s: unknown key", path, key);
            return false;
        }
    }
    return true;
}

/* An optional string; *to stays as it is without it. */
static bool get_string(struct deploy_plan *p, const json_t *object, const char *path,
                       const char *key, const char **to, char *error)
{
    const json_t *value = json_object_get(object, key);
    char at[256];

    if (!value)
        return true;
    snprintf(at, sizeof(at), "%s.%s", path, key);
    if (!json_is_string(value))
        return fail(error, at, "must be a string");
    *to = arena_string(&p->arena, json_string_value(value));
    return true;
}

static bool read_alters(struct deploy_plan *p, struct one_step *step, const json_t *list,
                        const char *path, char *error)
{
    size_t i;
    json_t *one;

    if (!json_is_array(list) || json_array_size(list) == 0 ||
        json_array_size(list) > TRANSITION_STATEMENTS_MAX)
        return fail(error, path, "alter_vschema must be a list of statements");
    step->alters = arena_alloc(&p->arena, json_array_size(list) * sizeof(*step->alters));
    json_array_foreach((json_t *)list, i, one)
    {
        if (!json_is_string(one))
            return fail(error, path, "alter_vschema must be a list of statements");
        step->alters[step->alter_count++] = arena_string(&p->arena, json_string_value(one));
    }
    step->kind = DEPLOY_VSCHEMA;
    step->what = step->alters[0];
    return true;
}

static bool keep_source(struct deploy_plan *p, struct one_step *step, const json_t *value,
                        enum deploy_step_kind kind, const char *path, char *error)
{
    char why[VSCHEMA_JSON_ERROR_SIZE] = "";
    struct vschema *v = kind == DEPLOY_VSCHEMA ? vschema_read_value(value, "vschema", why) : NULL;
    struct routing_rules *rules =
        kind == DEPLOY_ROUTING ? routing_read_value(value, "routing_rules", why) : NULL;
    char *text = json_dumps(value, JSON_COMPACT);

    step->kind = kind;
    step->what = kind == DEPLOY_VSCHEMA ? "VSchema" : "routing rules";
    step->source = arena_string(&p->arena, text ? text : "");
    free(text);
    bool ok = v || rules;

    vschema_free(v);
    routing_free(rules);
    return ok || fail(error, path, why);
}

static bool read_step(struct deploy_plan *p, const json_t *value, const char *path, char *error)
{
    static const char *const KEYS[] = {"ddl",           "vschema",  "alter_vschema",
                                       "routing_rules", "keyspace", NULL};
    struct one_step *step = &p->steps[p->n];
    const json_t *vschema = json_object_get(value, "vschema");
    const json_t *alters = json_object_get(value, "alter_vschema");
    const json_t *rules = json_object_get(value, "routing_rules");

    step->keyspace = p->common.keyspace;
    if (!check_keys(value, path, KEYS, error) ||
        !get_string(p, value, path, "keyspace", &step->keyspace, error) ||
        !get_string(p, value, path, "ddl", &step->ddl, error))
        return false;
    if (!!step->ddl + !!vschema + !!alters + !!rules != 1)
        return fail(error, path, "must have one of ddl, vschema, alter_vschema, routing_rules");
    if (rules)
        step->keyspace = "";
    else if (!*step->keyspace)
        return fail(error, path, "has no keyspace");
    p->n++;
    if (step->ddl) {
        step->kind = DEPLOY_DDL;
        step->what = step->ddl;
        return true;
    }
    if (alters)
        return read_alters(p, step, alters, path, error);
    return keep_source(p, step, vschema ? vschema : rules,
                       vschema ? DEPLOY_VSCHEMA : DEPLOY_ROUTING, path, error);
}

static bool read_probes(struct deploy_plan *p, const json_t *list, char *error)
{
    static const char *const KEYS[] = {"sql", "shards", NULL};
    char path[64];
    size_t i;
    json_t *one;

    if (list && (!json_is_array(list) || json_array_size(list) > TRANSITION_PROBES_MAX))
        return fail(error, "probes", "must be a list of at most 16");
    json_array_foreach((json_t *)list, i, one)
    {
        struct transition_probe *probe = &p->common.probes[p->common.probe_count];

        snprintf(path, sizeof(path), "probes[%zu]", i);
        if (!check_keys(one, path, KEYS, error) ||
            !get_string(p, one, path, "sql", &probe->sql, error) ||
            !get_string(p, one, path, "shards", &probe->shards, error))
            return false;
        if (!probe->sql)
            return fail(error, path, "has no sql");
        p->common.probe_count++;
    }
    return true;
}

static bool read_watch(struct deploy_plan *p, const json_t *watch, char *error)
{
    static const char *const KEYS[] = {"seconds", "breach", NULL};
    const char *breach = "rollback";

    if (!watch)
        return true;
    if (!check_keys(watch, "watch", KEYS, error) ||
        !get_string(p, watch, "watch", "breach", &breach, error))
        return false;
    p->common.watch_s = json_integer_value(json_object_get(watch, "seconds"));
    if (p->common.watch_s < 1 || p->common.watch_s > TRANSITION_WATCH_MAX_S)
        return fail(error, "watch.seconds", "must be a number from 1 to 86400");
    p->common.breach_alerts = strcmp(breach, "alert") == 0;
    return p->common.breach_alerts || strcmp(breach, "rollback") == 0 ||
           fail(error, "watch.breach", "must be \"rollback\" or \"alert\"");
}

bool plan_read(struct deploy_plan *p, char error[PLAN_TEXT_MAX])
{
    static const char *const KEYS[] = {"keyspace", "allow", "steps", "probes", "watch", NULL};
    const json_t *steps = json_object_get(p->json, "steps");
    char path[64];
    size_t i;
    json_t *one;

    p->common.keyspace = p->common.allow = "";
    if (!check_keys(p->json, "plan", KEYS, error) ||
        !get_string(p, p->json, "plan", "keyspace", &p->common.keyspace, error) ||
        !get_string(p, p->json, "plan", "allow", &p->common.allow, error) ||
        !read_probes(p, json_object_get(p->json, "probes"), error) ||
        !read_watch(p, json_object_get(p->json, "watch"), error))
        return false;
    if (!json_is_array(steps) || json_array_size(steps) == 0 ||
        json_array_size(steps) > PLAN_STEPS_MAX)
        return fail(error, "steps", "must be a list of 1 to 64 steps");
    json_array_foreach((json_t *)steps, i, one)
    {
        snprintf(path, sizeof(path), "steps[%zu]", i);
        if (!read_step(p, one, path, error))
            return false;
    }
    return true;
}
