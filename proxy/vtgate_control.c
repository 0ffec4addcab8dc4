/*
 * Health checks of the vtgates, KILL QUERY, and what else control.user says to vtgate.
 */
#include "proxy/vtgate_control.h"

#include <mysql.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proxy/control_login.h"
#include "proxy/control_query.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/vtgates.h"

#define DESCRIPTORS_FREE 4 /* so many are free: no call fails for want of one */

/* A KILL QUERY to run on that vtgate, statements to run on any, or neither. */
struct job {
    STAILQ_ENTRY(job) next;
    struct control_query *query;
    control_call_fn *call;
    void *call_arg;
    struct vtgate *vtgate;
    uint32_t connection_id;
    const char **error;
    struct mailbox *mailbox;
    mailbox_fn *done;
    void *context, *arg;
};

/* A call on its own thread. */
struct caller {
    STAILQ_ENTRY(caller) next;
    pthread_t thread;
    struct job *job;
    MYSQL *connection;
    _Atomic bool ended;
};

struct vtgate_control {
    struct server *server;
    pthread_t thread;
    pthread_mutex_t lock; /* stopping and jobs */
    pthread_cond_t wake;
    bool stopping;
    STAILQ_HEAD(jobs, job) jobs;
    struct control_login login;           /* control thread only */
    STAILQ_HEAD(callers, caller) callers; /* control thread only */
};

/* --- checks ---------------------------------------------------------------------------------- */

/* Whether that vtgate answers. */
static bool check(struct vtgate_control *control, struct vtgate *v)
{
    unsigned code;
    MYSQL *m = control_login(&control->login, v, &code);
    bool alive = control_login_tells_alive(control->server->config, code);

    if (m) {
        alive = mysql_query(m, "SELECT 1") == 0;
        code = mysql_errno(m);
        mysql_close(m);
    }
    if (!alive)
        log_debug("vtgate_check_failed", "vtgate:s code:u", vtgate_name(v), (uint64_t)code);
    return alive;
}

/* --- KILL QUERY ------------------------------------------------------------------------------ */

static const char *kill_query(struct vtgate_control *control, const struct job *job)
{
    char sql[64];
    unsigned code;

    if (!*control->server->config->control_user)
        return "control.user is not set";
    MYSQL *m = control_login(&control->login, job->vtgate, &code);

    if (!m)
        return "control.user cannot log in to vtgate";
    snprintf(sql, sizeof(sql), "KILL QUERY %u", (unsigned)job->connection_id);
    const char *error =
        mysql_query(m, sql) == 0 ? NULL : "vtgate refused it (--allow-kill-statement)";

    mysql_close(m);
    return error;
}

/* --- statements ------------------------------------------------------------------------------ */

/* Healthy ones first; a vtgate that was healthy a moment ago may be gone. */
static MYSQL *log_in_anywhere(struct vtgate_control *control)
{
    struct vtgates *vs = control->server->vtgates;

    for (int healthy = 1; healthy >= 0; healthy--) {
        for (size_t i = 0; i < vtgates_count(vs); i++) {
            struct vtgate *v = vtgates_at(vs, i);
            unsigned code;
            MYSQL *m = vtgate_is_healthy(v) == (healthy == 1)
                           ? control_login(&control->login, v, &code)
                           : NULL;

            if (m)
                return m;
        }
    }
    return NULL;
}

static void run_query(struct vtgate_control *control, struct control_query *q)
{
    if (!*control->server->config->control_user) {
        control_query_fail(q, "vtshim: this needs control.user (and control.password), a user of "
                              "vtgate for the shim itself, which is not set");
        return;
    }
    unsigned code;
    MYSQL *m =
        q->vtgate ? control_login(&control->login, q->vtgate, &code) : log_in_anywhere(control);

    if (!m) {
        control_query_fail(q, q->vtgate ? "vtshim: control.user cannot log in to the vtgate"
                                        : "vtshim: control.user cannot log in to any vtgate");
        return;
    }
    control_query_run(q, m);
    mysql_close(m);
}

/* --- jobs ------------------------------------------------------------------------------------ */

static void job_end(struct job *job, const char *error)
{
    if (job->error)
        *job->error = error;
    mailbox_post(job->mailbox, job->done, job->context, job->arg);
    free(job);
}

/* --- calls ----------------------------------------------------------------------------------- */

static void *caller_main(void *arg)
{
    struct caller *c = arg;

    mysql_thread_init();
    c->job->call(c->connection, c->job->call_arg);
    if (c->connection)
        mysql_close(c->connection);
    job_end(c->job, NULL);
    mysql_thread_end();
    atomic_store(&c->ended, true);
    return NULL;
}

static void join_callers(struct vtgate_control *control, bool all)
{
    struct caller *c, *next;

    for (c = STAILQ_FIRST(&control->callers); c; c = next) {
        next = STAILQ_NEXT(c, next);
        if (!all && !atomic_load(&c->ended))
            continue;
        pthread_join(c->thread, NULL);
        STAILQ_REMOVE(&control->callers, c, caller, next);
        free(c);
    }
}

static void run_call(struct vtgate_control *control, struct job *job)
{
    struct caller *c = memory_zalloc(sizeof(*c));
    unsigned code;

    join_callers(control, false);
    c->job = job;
    c->connection = *control->server->config->control_user
                        ? control_login(&control->login, job->vtgate, &code)
                        : NULL;
    if (pthread_create(&c->thread, NULL, caller_main, c) == 0) {
        STAILQ_INSERT_TAIL(&control->callers, c, next);
        return;
    }
    if (c->connection)
        mysql_close(c->connection);
    job->call(NULL, job->call_arg);
    job_end(job, NULL);
    free(c);
}

/* Runs what is queued; the lock is held on entry and on return. */
static void run_jobs(struct vtgate_control *control)
{
    while (!control->stopping && !STAILQ_EMPTY(&control->jobs)) {
        struct job *job = STAILQ_FIRST(&control->jobs);

        STAILQ_REMOVE_HEAD(&control->jobs, next);
        pthread_mutex_unlock(&control->lock);
        if (job->query)
            run_query(control, job->query);
        if (job->call)
            run_call(control, job);
        else
            job_end(job, job->vtgate ? kill_query(control, job) : NULL);
        pthread_mutex_lock(&control->lock);
    }
}

static void add_job(struct vtgate_control *control, const struct job *job)
{
    struct job *copy = memory_zalloc(sizeof(*copy));

    *copy = *job;
    pthread_mutex_lock(&control->lock);
    STAILQ_INSERT_TAIL(&control->jobs, copy, next);
    pthread_cond_signal(&control->wake);
    pthread_mutex_unlock(&control->lock);
}

void vtgate_control_kill(struct vtgate_control *control, struct vtgate *v, uint32_t connection_id,
                         const char **error, struct mailbox *mailbox, mailbox_fn *done,
                         void *context, void *arg)
{
    struct job job = {.vtgate = v,
                      .connection_id = connection_id,
                      .error = error,
                      .mailbox = mailbox,
                      .done = done,
                      .context = context,
                      .arg = arg};

    add_job(control, &job);
}

void vtgate_control_run(struct vtgate_control *control, struct control_query *q,
                        struct mailbox *mailbox, mailbox_fn *done, void *context, void *arg)
{
    struct job job = {.query = q, .mailbox = mailbox, .done = done, .context = context, .arg = arg};

    add_job(control, &job);
}

void vtgate_control_call(struct vtgate_control *control, struct vtgate *v, control_call_fn *fn,
                         void *fn_arg, struct mailbox *mailbox, mailbox_fn *done, void *context,
                         void *arg)
{
    struct job job = {.call = fn,
                      .call_arg = fn_arg,
                      .vtgate = v,
                      .mailbox = mailbox,
                      .done = done,
                      .context = context,
                      .arg = arg};

    add_job(control, &job);
}

void vtgate_control_come_by(struct vtgate_control *control, struct mailbox *mailbox,
                            mailbox_fn *done, void *context, void *arg)
{
    struct job job = {.mailbox = mailbox, .done = done, .context = context, .arg = arg};

    add_job(control, &job);
}

/* Sleeps until the next round; false when it is time to end. */
static bool wait_round(struct vtgate_control *control, int64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&control->lock);
    do
        run_jobs(control);
    while (!control->stopping &&
           pthread_cond_timedwait(&control->wake, &control->lock, &until) == 0);
    bool go_on = !control->stopping;

    pthread_mutex_unlock(&control->lock);
    return go_on;
}

/* Between two checks, each of which may take long: false when it is time to end. */
static bool go_on(struct vtgate_control *control)
{
    pthread_mutex_lock(&control->lock);
    run_jobs(control);
    bool ends = control->stopping;

    pthread_mutex_unlock(&control->lock);
    return !ends;
}

/* A check that failed for want of a descriptor says nothing about the vtgate. One that is free now
   may not have been then, so a few have to be. */
static bool has_descriptors(void)
{
    int fds[DESCRIPTORS_FREE];
    size_t n = 0;

    while (n < DESCRIPTORS_FREE && (fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0)
        n++;
    bool enough = n == DESCRIPTORS_FREE;

    while (n > 0)
        close(fds[--n]);
    return enough;
}

static void check_one(struct vtgate_control *control, struct vtgate *v)
{
    bool healthy = check(control, v);

    if (healthy || has_descriptors())
        vtgate_set_healthy(v, healthy);
}

static void *control_main(void *arg)
{
    struct vtgate_control *control = arg;
    struct server *server = control->server;

    mysql_thread_init();
    do {
        for (size_t i = 0; i < vtgates_count(server->vtgates) && go_on(control); i++) {
            struct vtgate *v = vtgates_at(server->vtgates, i);

            vtgate_resolve(v);
            if (go_on(control))
                check_one(control, v);
        }
    } while (wait_round(control, server->config->control_check_interval_ms));
    join_callers(control, true);
    mysql_thread_end();
    return NULL;
}

struct vtgate_control *vtgate_control_start(struct server *server)
{
    struct vtgate_control *control = memory_zalloc(sizeof(*control));
    pthread_condattr_t attr;

    mysql_library_init(0, NULL, NULL); /* not thread safe: before the thread */
    control->server = control->login.server = server;
    STAILQ_INIT(&control->jobs);
    STAILQ_INIT(&control->callers);
    pthread_mutex_init(&control->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&control->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&control->thread, NULL, control_main, control) != 0) {
        free(control);
        return NULL;
    }
    return control;
}

void vtgate_control_stop(struct vtgate_control *control)
{
    pthread_mutex_lock(&control->lock);
    control->stopping = true;
    pthread_cond_signal(&control->wake);
    pthread_mutex_unlock(&control->lock);
    pthread_join(control->thread, NULL);
    mysql_library_end();
    while (!STAILQ_EMPTY(&control->jobs)) {
        struct job *job = STAILQ_FIRST(&control->jobs);

        STAILQ_REMOVE_HEAD(&control->jobs, next);
        if (job->query)
            control_query_fail(job->query, "vtshim: the shim is ending");
        if (job->call)
            job->call(NULL, job->call_arg);
        job_end(job, "the shim is ending");
    }
    pthread_cond_destroy(&control->wake);
    pthread_mutex_destroy(&control->lock);
    free(control);
}

const char *vtgate_control_library(void)
{
    return mysql_get_client_info();
}
