/*
 * Health checks of the vtgates, and KILL QUERY.
 */
#include "proxy/vtgate_control.h"

#include <mysql.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/vtgates.h"

#define SERVER_ERROR_MIN 1000 /* codes below CR_MIN_ERROR (2000) come from a server that answered  \
                               */
#define SERVER_ERROR_MAX 1999

/* A KILL QUERY to run. */
struct job {
    STAILQ_ENTRY(job) next;
    struct vtgate *vtgate;
    uint32_t connection_id;
    const char **error;
    struct mailbox *mailbox;
    mailbox_fn *done;
    void *context, *arg;
};

struct vtgate_control {
    struct server *server;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
    STAILQ_HEAD(jobs, job) jobs;
};

static void apply_tls(MYSQL *m, const struct config *c)
{
    if (c->vtgate_tls_mode == CONFIG_TLS_OFF)
        return;
    const char *ca = *c->vtgate_tls_ca ? c->vtgate_tls_ca : NULL;
    const char *cert = *c->vtgate_tls_cert ? c->vtgate_tls_cert : NULL;
    const char *key = *c->vtgate_tls_key ? c->vtgate_tls_key : NULL;

    mysql_ssl_set(m, key, cert, ca, NULL, NULL);
}

/* Logs in with control.user. NULL with *code when it failed. */
static MYSQL *log_in(const struct config *c, const struct vtgate *v, unsigned *code)
{
    const struct endpoint *e = vtgate_endpoint(v);
    unsigned timeout = (unsigned)((c->timeouts_connect_ms + 999) / 1000);
    MYSQL *m = mysql_init(NULL);

    *code = 0;
    if (!m)
        return NULL;
    mysql_options(m, MYSQL_OPT_CONNECT_TIMEOUT, &timeout);
    mysql_options(m, MYSQL_OPT_READ_TIMEOUT, &timeout);
    mysql_options(m, MYSQL_OPT_WRITE_TIMEOUT, &timeout);
    apply_tls(m, c);
    if (mysql_real_connect(m, e->is_unix ? NULL : e->host,
                           *c->control_user ? c->control_user : NULL, c->control_password, NULL,
                           e->port, e->is_unix ? e->host : NULL, 0))
        return m;
    *code = mysql_errno(m);
    mysql_close(m);
    return NULL;
}

/*
 * Whether that vtgate answers. An error that a server sent (wrong password, unknown user) is an
 * answer, too: only the way in is refused.
 */
static bool check(const struct config *c, const struct vtgate *v)
{
    unsigned code;
    MYSQL *m = log_in(c, v, &code);
    bool alive = code >= SERVER_ERROR_MIN && code <= SERVER_ERROR_MAX;

    if (m) {
        alive = mysql_query(m, "SELECT 1") == 0;
        code = mysql_errno(m);
        mysql_close(m);
    }
    if (!alive)
        log_debug("vtgate_check_failed", "vtgate:s code:u", vtgate_name(v), (uint64_t)code);
    return alive;
}

static const char *kill_query(const struct config *c, const struct job *job)
{
    char sql[64];
    unsigned code;

    if (!*c->control_user)
        return "control.user is not set";
    MYSQL *m = log_in(c, job->vtgate, &code);

    if (!m)
        return "control.user cannot log in to vtgate";
    snprintf(sql, sizeof(sql), "KILL QUERY %u", (unsigned)job->connection_id);
    const char *error =
        mysql_query(m, sql) == 0 ? NULL : "vtgate refused it (--allow-kill-statement)";

    mysql_close(m);
    return error;
}

/* Runs what is queued; the lock is held on entry and on return. */
static void run_jobs(struct vtgate_control *control)
{
    while (!STAILQ_EMPTY(&control->jobs)) {
        struct job *job = STAILQ_FIRST(&control->jobs);

        STAILQ_REMOVE_HEAD(&control->jobs, next);
        pthread_mutex_unlock(&control->lock);
        *job->error = kill_query(control->server->config, job);
        mailbox_post(job->mailbox, job->done, job->context, job->arg);
        free(job);
        pthread_mutex_lock(&control->lock);
    }
}

void vtgate_control_kill(struct vtgate_control *control, struct vtgate *v, uint32_t connection_id,
                         const char **error, struct mailbox *mailbox, mailbox_fn *done,
                         void *context, void *arg)
{
    struct job *job = memory_zalloc(sizeof(*job));

    *job = (struct job){.vtgate = v,
                        .connection_id = connection_id,
                        .error = error,
                        .mailbox = mailbox,
                        .done = done,
                        .context = context,
                        .arg = arg};
    pthread_mutex_lock(&control->lock);
    STAILQ_INSERT_TAIL(&control->jobs, job, next);
    pthread_cond_signal(&control->wake);
    pthread_mutex_unlock(&control->lock);
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

static void *control_main(void *arg)
{
    struct vtgate_control *control = arg;
    struct server *server = control->server;

    mysql_thread_init();
    do {
        for (size_t i = 0; i < vtgates_count(server->vtgates); i++) {
            struct vtgate *v = vtgates_at(server->vtgates, i);

            vtgate_resolve(v);
            vtgate_set_healthy(v, check(server->config, v));
        }
    } while (wait_round(control, server->config->control_check_interval_ms));
    mysql_thread_end();
    return NULL;
}

struct vtgate_control *vtgate_control_start(struct server *server)
{
    struct vtgate_control *control = memory_zalloc(sizeof(*control));
    pthread_condattr_t attr;

    mysql_library_init(0, NULL, NULL); /* not thread safe: before the thread */
    control->server = server;
    STAILQ_INIT(&control->jobs);
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
        free(job);
    }
    pthread_cond_destroy(&control->wake);
    pthread_mutex_destroy(&control->lock);
    free(control);
}

const char *vtgate_control_library(void)
{
    return mysql_get_client_info();
}
