/*
 * What the files of a transition share. For them only.
 *
 * transition.c: the way through the steps. transitions.c: the registry. transition_lock.c: one at a
 * time in a fleet. transition_subject.c: what there is to say to vtctld about VSchemas and routing
 * rules. transition_facts.c: what MySQL has. transition_judge.c: target, difference, checks.
 * transition_hold.c: hold, drain, release. transition_apply.c: compare, apply, see, undo.
 * transition_probe.c: probes. transition_switch.c, transition_mark.c, transition_early.c: a change
 * of who serves.
 */
#ifndef VTSHIM_PROXY_TRANSITION_INTERNAL_H
#define VTSHIM_PROXY_TRANSITION_INTERNAL_H

#include <event2/event.h>
#include <jansson.h>
#include <sys/queue.h>

#include "planner/routing.h"
#include "planner/vschema_check.h"
#include "proxy/control_query.h"
#include "proxy/transition.h"
#include "proxy/vtctld.h"
#include "proxy/vtgate_watch.h"

enum transition_step {
#define TRANSITION_STEP(NAME, name, function, text) STEP_##NAME,
#include "proxy/transition_steps.def"
#undef TRANSITION_STEP
    TRANSITION_STEPS
};

typedef void transition_run(struct transition *t);
#define TRANSITION_STEP(NAME, name, function, text) transition_run function;
#include "proxy/transition_steps.def"
#undef TRANSITION_STEP

#define TRANSITION_HOLDS_MAX   16   /* tables that are held one by one; above, the keyspace is */
#define TRANSITION_FLIGHTS_MAX 1024 /* tables whose DDL waits for the transition */

/* A VSchema or routing rules: one of the two pointers is set. */
struct subject {
    struct vschema *vschema;
    struct routing_rules *rules;
    /* vtctld's message as it came, packed: sent back byte for byte when it is restored. NULL: the
       value did not come from vtctld. Owned */
    uint8_t *packed;
    size_t packed_len;
};

struct transition_facts;   /* transition_facts.c */
struct transition_measure; /* transition_watch.c */
struct transition_switch;  /* transition_switch.c */
struct transition_early;   /* transition_early.c */
struct fleet_lock;
struct hold_drain;

/* The answer of vtctld, or of the control thread, to what a step has asked. */
typedef void transition_answered(struct transition *t, const struct vtctld_answer *answer);
typedef void transition_queried(struct transition *t, const struct control_query *q);

struct transitions {
    struct server *server;
    uint64_t last_id;
    bool stopped;
    TAILQ_HEAD(transition_list, transition) list; /* by their ids */
    size_t ended;
    struct transition_tally tally;
};

struct transition {
    TAILQ_ENTRY(transition) link;
    struct transitions *all;
    struct server *server;
    uint64_t id;
    struct transition_order order;
    enum transition_step step;
    bool queued; /* it has not begun */
    bool ended;
    bool busy;     /* a call or query is under way */
    bool may_hold; /* what was applied may be in force (APPLY has begun) */
    bool undoing;
    bool resumes; /* of another life of the process */
    bool unknown; /* it failed, and may have been done all the same */
    const char *outcome;
    uint16_t code;
    char state[6], text[TRANSITION_TEXT_MAX], failed_text[TRANSITION_TEXT_MAX];
    char started[40];
    int64_t started_ms, ended_ms, step_ms;
    int64_t held_from_ms, held_ms;

    struct subject before, after;
    struct subject now;               /* as read again */
    char *before_json, *after_json;   /* kept after the end; owned */
    struct transition_switch *change; /* of who serves; of the arena; NULL: none */
    struct transition_early *early;   /* NULL: nobody waits for the rules */
    bool switched; /* every vtgate has shown the new rules, whatever vtctld says in the end */
    struct vschema_diff *diff;
    size_t changes;
    struct vschema_findings findings;
    struct transition_facts *facts;

    uint64_t holds[TRANSITION_HOLDS_MAX];
    enum transition_step hold_step; /* that set them */
    size_t hold_count, holds_pending;
    const char *hold_error; /* of one of those pending; a constant */
    struct hold_drain *drain;
    size_t drained;          /* of the holds */
    unsigned drains;         /* that were put off */
    struct fleet_lock *lock; /* NULL: no fleet, or not had */
    bool flying;             /* flights_begin was called for its tables */

    struct transition_measure *measure; /* of a watch; NULL: none */
    unsigned looks;                     /* of the watch */
    void (*probed)(struct transition *t);
    struct event *timer;
    void (*on_timer)(struct transition *t);
    unsigned attempt; /* of the step */
    int64_t until_ms; /* of the step */
    struct vtgate_look look;
    uint64_t *reloads; /* of each vtgate before it was applied; owned */

    /* transition_mark.c: the shards whose logs are marked while traffic is switched; of the arena
     */
    const char *mark_keyspace, **marks;
    size_t mark_count, next_mark;

    transition_answered *answered;
    transition_queried *queried;
    struct control_query *query;

    struct arena arena; /* of the lines */
    struct transition_line *lines;
    size_t line_count;

    transition_done *done;
    void *done_arg;
};

/* transitions.c: it has ended; another of the same thing begins. May free t. */
void transitions_ended(struct transition *t);
/* Of t->timer: calls t->on_timer. */
void transition_on_timer(evutil_socket_t fd, short what, void *arg);

/* The step is done: the next one begins. */
void transition_next(struct transition *t);
/* On to that one. */
void transition_go(struct transition *t, enum transition_step step);
/* It failed: what was done is taken back. The first failure is the one that is told. */
void transition_fail(struct transition *t, uint16_t code, const char *state, const char *format,
                     ...) __attribute__((format(printf, 4, 5)));
void transition_fail_vtctld(struct transition *t, const struct vtctld_answer *answer);

/* The process is ending: nothing more is begun. */
bool transition_is_stopped(const struct transition *t);

/* A line of the report. */
void transition_say(struct transition *t, const char *section, const char *item, const char *format,
                    ...) __attribute__((format(printf, 4, 5)));

/* One question at a time. */
void transition_call(struct transition *t, const char *method, const ProtobufCMessage *request,
                     transition_answered *answered);
/* The same with a limit of its own. */
void transition_call_for(struct transition *t, const char *method, const ProtobufCMessage *request,
                         int64_t timeout_ms, transition_answered *answered);
void transition_query(struct transition *t, struct control_query *q, transition_queried *queried);
void transition_wait(struct transition *t, int64_t ms, void (*then)(struct transition *t));
/* 20 ms, 40, 80 .. up to half a second, by t->attempt. */
int64_t transition_pause_ms(const struct transition *t);

const char *transition_step_name(enum transition_step step);
const char *transition_step_text(enum transition_step step); /* what it does, in words */
enum transition_step transition_step_find(const char *name); /* STEP_READ for an unknown one */

/* transition_judge.c: JSON of the order's kind. False: it failed over it; `what` stands before the
   error. */
bool transition_read_json(struct transition *t, const char *json, struct subject *to,
                          const char *what);
/* One that was cut off when the process ended: what is in force now says where it goes on. */
void transition_resume(struct transition *t);
/* vtctld could not say what is in force, as when it comes up later than the shim: nothing is judged
   and nothing taken back until it can. */
void transition_resume_later(struct transition *t, const struct vtctld_answer *answer);

/* transition_subject.c */
void subject_ask(struct transition *t, transition_answered *answered);
/* False: the answer says that there is none such (an unknown keyspace). */
bool subject_take(struct transition *t, const struct vtctld_answer *answer, struct subject *to);
bool subject_equal(const struct subject *a, const struct subject *b);
void subject_save(struct transition *t, const struct subject *s, transition_answered *answered);
char *subject_json(const struct subject *s); /* to be freed */
enum vtgate_shows subject_shows(struct transition *t, const struct subject *s, char *why,
                                size_t size);
/* Whether vtgate's web page can tell them apart. */
bool subject_visibly_differs(struct transition *t, const struct subject *a,
                             const struct subject *b);
void subject_free(struct subject *s);

/* Rules besides the tables' routing rules, as vtctld's messages in JSON; NULL: none. */
struct other_rules {
    json_t *shard, *keyspace, *mirror;
};
const struct other_rules *transition_facts_others(const struct transition *t);

/* transition_facts.c: an overview for the checks; freed with the transition. */
const struct vschema_facts *transition_facts_get(const struct transition *t);
void transition_facts_free(struct transition_facts *f);
/* Of transition_read: the others' VSchemas and the rules. */
void transition_facts_read(struct transition *t, void (*then)(struct transition *t));

/* transition_probe.c: runs them on every vtgate, from t->attempt 0 on. */
void transition_probe_then(struct transition *t, void (*then)(struct transition *t));

void transition_measure_free(struct transition_measure *m);

/* transition_lock.c. transition_resume once the lock is had again. False: it failed over it. */
void transition_lock_resume(struct transition *t);
bool transition_lock_stands(struct transition *t);
void transition_lock_release(struct transition *t);

/* transition_mark.c: the shards of `keyspace` (which lives as long as t) whose logs the streams
   read; from _begin on, as long as the step SWITCH lasts. Uses the timer. */
void transition_mark_add(struct transition *t, const char *keyspace, const char *shard, size_t len);
void transition_mark_begin(struct transition *t);

/* transition_early.c: from now on, until _end, lets the holds go as soon as every vtgate shows that
   the n tables of `from` are served by `to` (all of which live as long as t). Any t may be ended.
 */
void transition_early_begin(struct transition *t, const char *from, const char *to,
                            const char *const *tables, size_t n);
void transition_early_end(struct transition *t);

/* transition_hold.c. The same for holds that are none of a difference: each add, then end. */
void transition_hold_begin(struct transition *t);
void transition_hold_add(struct transition *t, const char *keyspace, const char *table);
void transition_hold_forget(struct transition *t);
/* Ends them before their step; nobody waits until every worker knows. */
void transition_hold_let_go(struct transition *t);
/* The keyspace and table of a touched name: "t" of the order's keyspace, or "ks.t". */
void transition_touched(const struct transition *t, size_t i, char keyspace[65], char table[65]);

#endif
