/*
 * Files of plans in transition.dir, written as those of transitions are (transition_store.h).
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy/deploy_plan_internal.h"
#include "proxy/log.h"
#include "proxy/server.h"

#define PATH_SIZE 4300

static const char *const STATES[] = {"waiting", "running", "done", "failed"};

static void path_of(const struct server *server, uint64_t id, const char *suffix, char *path)
{
    snprintf(path, PATH_SIZE, "%s/plan-%" PRIu64 ".json%s", server->config->transition_dir, id,
             suffix);
}

void plan_save(const struct deploy_plan *p)
{
    char path[PATH_SIZE], fresh[PATH_SIZE];
    json_t *steps = json_array();

    if (!*p->server->config->transition_dir || p->dry_run) {
        json_decref(steps);
        return;
    }
    for (size_t i = 0; i < p->n; i++)
        json_array_append_new(steps, json_pack("{s: s, s: s, s: I}", "state",
                                               STATES[p->steps[i].state], "uuid", p->steps[i].uuid,
                                               "transition", (json_int_t)p->steps[i].transition));
    json_t *json = json_pack("{s: I, s: I, s: s, s: s, s: s, s: s, s: s, s: I, s: o, s: O}", "pid",
                             (json_int_t)getpid(), "id", (json_int_t)p->id, "user", p->user, "peer",
                             p->peer, "started", p->started, "state", p->state, "text", p->text,
                             "at", (json_int_t)p->at, "steps", steps, "plan", p->json);

    path_of(p->server, p->id, "", path);
    path_of(p->server, p->id, ".new", fresh);
    if (json_dump_file(json, fresh, JSON_INDENT(1)) != 0 || rename(fresh, path) != 0)
        log_warn("plan_not_kept", "plan:u error:s", p->id, strerror(errno));
    json_decref(json);
}

void plan_remove(const struct deploy_plan *p)
{
    char path[PATH_SIZE];

    path_of(p->server, p->id, "", path);
    if (*p->server->config->transition_dir)
        unlink(path);
}

void plan_load_all(struct server *server, void (*found)(void *arg, uint64_t id, const json_t *json),
                   void *arg)
{
    const char *folder = server->config->transition_dir;
    DIR *dir = *folder ? opendir(folder) : NULL;
    const struct dirent *entry;
    char path[PATH_SIZE];

    while (dir && (entry = readdir(dir)) != NULL) {
        uint64_t id;
        int used = 0;

        if (sscanf(entry->d_name, "plan-%" SCNu64 ".json%n", &id, &used) != 1 || used == 0 ||
            entry->d_name[used] != '\0')
            continue;
        path_of(server, id, "", path);
        json_t *json = json_load_file(path, 0, NULL);

        if (json)
            found(arg, id, json);
        else
            log_warn("plan_file_malformed", "plan:u", id);
        json_decref(json);
    }
    if (dir)
        closedir(dir);
}

json_t *plan_load_again(struct server *server, uint64_t id)
{
    char path[PATH_SIZE];

    path_of(server, id, "", path);
    return json_load_file(path, 0, NULL);
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
