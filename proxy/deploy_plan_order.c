/*
 * What each VSchema step leaves, worked out from what is in force now; then the order of the steps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/vschema_alter.h"
#include "proxy/deploy_plan_internal.h"
#include "proxy/memory.h"
#include "proxy/vschema_json.h"
#include "proxy/vschema_proto.h"
#include "vtctldata.pb-c.h"

/* states[i] is what the keyspace of step i has before the plan, where step i is its first;
   states[n + i] what VSchema step i leaves. */

void plan_states_free(struct deploy_plan *p)
{
    for (size_t i = 0; p->states && i < 2 * p->n; i++)
        vschema_free(p->states[i]);
    free(p->states);
    p->states = NULL;
}

static size_t first_of_keyspace(const struct deploy_plan *p, size_t step)
{
    size_t i = 0;

    while (strcmp(p->steps[i].keyspace, p->steps[step].keyspace) != 0)
        i++;
    return i;
}

/* What a VSchema step begins with. */
static const struct vschema *state_before(const struct deploy_plan *p, size_t step)
{
    for (size_t i = step; i > 0; i--) {
        if (p->steps[i - 1].kind == DEPLOY_VSCHEMA &&
            strcmp(p->steps[i - 1].keyspace, p->steps[step].keyspace) == 0)
            return p->states[p->n + i - 1];
    }
    return p->states[first_of_keyspace(p, step)];
}

/* False: the plan is refused. */
static bool work_out(struct deploy_plan *p, size_t i)
{
    const struct one_step *step = &p->steps[i];
    char error[VSCHEMA_ALTER_ERROR_SIZE], read_error[VSCHEMA_JSON_ERROR_SIZE];
    struct vschema *v;

    if (step->source) {
        v = p->states[p->n + i] = vschema_read(step->source, strlen(step->source), read_error);
        if (!v)
            plan_refuse(p, "step %zu: %s", i + 1, read_error);
        return v != NULL;
    }
    v = p->states[p->n + i] = vschema_clone(state_before(p, i));
    for (size_t k = 0; k < step->alter_count; k++) {
        if (!vschema_alter(v, step->keyspace, step->alters[k], strlen(step->alters[k]), error)) {
            plan_refuse(p, "step %zu: %s", i + 1, error);
            return false;
        }
    }
    return true;
}

/* The steps that are left, as the planner has them. */
static bool judge(struct deploy_plan *p)
{
    struct deploy_step steps[PLAN_STEPS_MAX];
    char error[DEPLOY_ORDER_ERROR_SIZE];
    size_t which;

    for (size_t i = 0; i < p->n; i++)
        steps[i] = (struct deploy_step){.kind = p->steps[i].kind,
                                        .keyspace = p->steps[i].keyspace,
                                        .ddl = p->steps[i].ddl,
                                        .after = p->states[p->n + i]};
    for (size_t i = 0; i < p->n; i++) {
        if (p->steps[i].kind == DEPLOY_ROUTING || first_of_keyspace(p, i) != i)
            continue;
        if (!deploy_order_check(p->states[i], p->steps[i].keyspace, steps, p->n, &which, error)) {
            plan_refuse(p, "step %zu: %s", which + 1, error);
            return false;
        }
    }
    return true;
}

static void read_next(struct deploy_plan *p);

static void on_vschema(struct deploy_plan *p, const struct vtctld_answer *answer)
{
    if (answer->status == GRPC_OK) {
        p->states[p->reading] =
            vschema_of_proto(((const Vtctldata__GetVSchemaResponse *)answer->message)->v_schema);
    } else if (answer->status == GRPC_NOT_FOUND || strstr(answer->text, "node doesn't exist")) {
        p->states[p->reading] = vschema_create();
    } else {
        plan_refuse(p, "vtctld: %s (%s)", answer->text, grpc_status_name(answer->status));
        return;
    }
    p->reading++;
    read_next(p);
}

static void read_next(struct deploy_plan *p)
{
    Vtctldata__GetVSchemaRequest request = VTCTLDATA__GET_VSCHEMA_REQUEST__INIT;

    while (p->reading < p->n && (p->steps[p->reading].kind == DEPLOY_ROUTING ||
                                 first_of_keyspace(p, p->reading) != p->reading))
        p->reading++;
    if (p->reading < p->n) {
        request.keyspace = (char *)(uintptr_t)p->steps[p->reading].keyspace;
        plan_call(p, "GetVSchema", &request.base, on_vschema);
        return;
    }
    for (size_t i = 0; i < p->n; i++) {
        if (p->steps[i].kind == DEPLOY_VSCHEMA && !work_out(p, i))
            return;
    }
    if (judge(p))
        p->on_timer(p);
}

void plan_judge(struct deploy_plan *p, void (*then)(struct deploy_plan *p))
{
    plan_states_free(p);
    p->states = memory_zalloc((2 * p->n + 1) * sizeof(struct vschema *));
    p->reading = 0;
    p->on_timer = then;
    read_next(p);
}
