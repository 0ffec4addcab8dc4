/*
 * Files of plans in transition.dir (json_files.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/deploy_plan_internal.h"
#include "proxy/json_files.h"
#include "proxy/json_text.h"
#include "proxy/log.h"
#include "proxy/server.h"

#define KIND "plan"

static const char *const STATES[] = {"waiting", "running", "done", "failed"};

uint64_t plan_next_id(struct server *server, uint64_t least)
{
    return json_files_next_id(server->config->transition_dir, KIND, least);
}

void plan_save(const struct deploy_plan *p)
{
    if (!*p->server->config->transition_dir || p->dry_run)
        return;
    json_t *steps = json_array();

    for (size_t i = 0; i < p->n; i++)
        json_array_append_new(steps, json_pack("{s: s, s: s, s: I}", "state",
                                               STATES[p->steps[i].state], "uuid", p->steps[i].uuid,
                                               "transition", (json_int_t)p->steps[i].transition));
    json_t *json =
        json_pack("{s: I, s: I, s: o, s: o, s: s, s: s, s: o, s: I, s: o, s: O}", "pid",
                  (json_int_t)getpid(), "id", (json_int_t)p->id, "user", json_text(p->user), "peer",
                  json_text(p->peer), "started", p->started, "state", p->state, "text",
                  json_text(p->text), "at", (json_int_t)p->at, "steps", steps, "plan", p->json);

    if (!json_files_save(p->server->config->transition_dir, KIND, p->id, json))
        log_warn("plan_not_kept", "plan:u error:s", p->id, strerror(errno));
    json_decref(json);
}

void plan_remove(const struct deploy_plan *p)
{
    json_files_remove(p->server->config->transition_dir, KIND, p->id);
}

void plan_load_all(struct server *server, void (*found)(void *arg, uint64_t id, const json_t *json),
                   void *arg)
{
    size_t n;
    uint64_t *ids = json_files_list(server->config->transition_dir, KIND, &n);

    for (size_t i = 0; i < n; i++) {
        json_t *json = plan_load_again(server, ids[i]);

        if (json)
            found(arg, ids[i], json);
        else
            log_warn("plan_file_malformed", "plan:u", ids[i]);
        json_decref(json);
    }
    free(ids);
}

json_t *plan_load_again(struct server *server, uint64_t id)
{
    return json_files_load(server->config->transition_dir, KIND, id);
}

static const char *get_string(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

void plan_load_state(struct deploy_plan *p, const json_t *json)
{
    const json_t *steps = json_object_get(json, "steps");

    p->user = arena_string(&p->arena, get_string(json, "user"));
    p->peer = arena_string(&p->arena, get_string(json, "peer"));
    p->state = arena_string(&p->arena, get_string(json, "state"));
    snprintf(p->started, sizeof(p->started), "%s", get_string(json, "started"));
    snprintf(p->text, sizeof(p->text), "%s", get_string(json, "text"));
    for (size_t i = 0; i < p->n; i++) {
        const json_t *one = json_array_get(steps, i);

        snprintf(p->steps[i].uuid, sizeof(p->steps[i].uuid), "%s", get_string(one, "uuid"));
        p->steps[i].transition = (uint64_t)json_integer_value(json_object_get(one, "transition"));
        for (size_t k = 0; k < 4; k++) {
            if (strcmp(get_string(one, "state"), STATES[k]) == 0)
                p->steps[i].state = (enum plan_state)k;
        }
    }
    p->at = 0;
    while (p->at < p->n && p->steps[p->at].state == PLAN_DONE)
        p->at++;
}
