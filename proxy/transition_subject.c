/*
 * VSchemas and routing rules towards vtctld and the watch of the vtgates.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/transition_internal.h"
#include "proxy/vschema_form.h"
#include "proxy/vschema_proto.h"
#include "vtctldata.pb-c.h"

static bool is_routing(const struct transition *t)
{
    return t->order.what != TRANSITION_VSCHEMA;
}

void subject_free(struct subject *s)
{
    vschema_free(s->vschema);
    routing_free(s->rules);
    free(s->packed);
    *s = (struct subject){NULL, NULL, NULL, 0};
}

void subject_ask(struct transition *t, transition_answered *answered)
{
    Vtctldata__GetVSchemaRequest vschema = VTCTLDATA__GET_VSCHEMA_REQUEST__INIT;
    Vtctldata__GetRoutingRulesRequest rules = VTCTLDATA__GET_ROUTING_RULES_REQUEST__INIT;

    vschema.keyspace = (char *)(uintptr_t)t->order.keyspace;
    if (is_routing(t))
        transition_call(t, "GetRoutingRules", &rules.base, answered);
    else
        transition_call(t, "GetVSchema", &vschema.base, answered);
}

static void keep_packed(struct subject *to, const ProtobufCMessage *message)
{
    if (!message)
        return;
    to->packed_len = protobuf_c_message_get_packed_size(message);
    to->packed = memory_zalloc(to->packed_len + 1);
    protobuf_c_message_pack(message, to->packed);
}

bool subject_take(struct transition *t, const struct vtctld_answer *answer, struct subject *to)
{
    subject_free(to);
    if (is_routing(t)) {
        const Vschema__RoutingRules *rules =
            ((const Vtctldata__GetRoutingRulesResponse *)answer->message)->routing_rules;

        to->rules = routing_of_proto(rules);
        keep_packed(to, rules ? &rules->base : NULL);
    } else {
        const Vschema__Keyspace *vschema =
            ((const Vtctldata__GetVSchemaResponse *)answer->message)->v_schema;

        to->vschema = vschema_of_proto(vschema);
        keep_packed(to, vschema ? &vschema->base : NULL);
    }
    return true;
}

bool subject_equal(const struct subject *a, const struct subject *b)
{
    if (a->vschema)
        return vschema_equal(a->vschema, b->vschema);
    struct vschema_diff *d = routing_diff(a->rules, b->rules);
    bool equal = d->n == 0;

    vschema_diff_free(d);
    return equal;
}

static void save_vschema(struct transition *t, const struct subject *s, struct arena *a,
                         transition_answered *answered)
{
    Vtctldata__ApplyVSchemaRequest request = VTCTLDATA__APPLY_VSCHEMA_REQUEST__INIT;
    Vschema__Keyspace *unpacked =
        s->packed ? vschema__keyspace__unpack(NULL, s->packed_len, s->packed) : NULL;

    request.keyspace = (char *)(uintptr_t)t->order.keyspace;
    request.v_schema = unpacked ? unpacked : vschema_to_proto(a, s->vschema);
    transition_call(t, "ApplyVSchema", &request.base, answered);
    if (unpacked)
        vschema__keyspace__free_unpacked(unpacked, NULL);
}

static void save_rules(struct transition *t, const struct subject *s, struct arena *a,
                       transition_answered *answered)
{
    Vtctldata__ApplyRoutingRulesRequest request = VTCTLDATA__APPLY_ROUTING_RULES_REQUEST__INIT;
    Vschema__RoutingRules *unpacked =
        s->packed ? vschema__routing_rules__unpack(NULL, s->packed_len, s->packed) : NULL;

    request.routing_rules = unpacked ? unpacked : routing_to_proto(a, s->rules);
    transition_call(t, "ApplyRoutingRules", &request.base, answered);
    if (unpacked)
        vschema__routing_rules__free_unpacked(unpacked, NULL);
}

void subject_save(struct transition *t, const struct subject *s, transition_answered *answered)
{
    struct arena a = {NULL};

    if (is_routing(t))
        save_rules(t, s, &a, answered);
    else
        save_vschema(t, s, &a, answered);
    arena_free(&a); /* the call has packed it */
}

char *subject_json(const struct subject *s)
{
    struct text out = {NULL, 0, 0};

    if (s->vschema)
        vschema_write(&out, s->vschema);
    else
        routing_write(&out, s->rules);
    return text_take(&out);
}

/* The form in which a vtgate's page is compared. */
static json_t *subject_form(const struct transition *t, const struct subject *s)
{
    char *text = subject_json(s);
    json_t *json = json_loads(text, 0, NULL), *form;

    if (is_routing(t)) {
        const struct other_rules *others = transition_facts_others(t);

        form = vschema_form_rules_of_topo(json, others->shard, others->keyspace, others->mirror);
    } else {
        form = vschema_form_of_topo(json);
    }
    json_decref(json);
    free(text);
    return form;
}

enum vtgate_shows subject_shows(struct transition *t, const struct subject *s, char *why,
                                size_t size)
{
    json_t *form = subject_form(t, s);
    enum vtgate_shows shows =
        is_routing(t) ? vtgate_watch_shows_rules(t->server->watch, form, why, size)
                      : vtgate_watch_shows(t->server->watch, t->order.keyspace, form, why, size);

    json_decref(form);
    return shows;
}

bool subject_visibly_differs(struct transition *t, const struct subject *a, const struct subject *b)
{
    json_t *x = subject_form(t, a), *y = subject_form(t, b);
    char where[128];
    bool differs = vschema_form_differs(x, y, where, sizeof(where));

    json_decref(x);
    json_decref(y);
    return differs;
}
