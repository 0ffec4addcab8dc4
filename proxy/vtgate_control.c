/*
 * Health checks of the vtgates, KILL QUERY, and what else control.user says to vtgate.
 */
#include "proxy/vtgate_control.h"

#include <errmsg.h>
#include <mysql.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/control_query.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/vtgate_probe.h"
#include "proxy/vtgates.h"

#define SERVER_ERROR_MIN 1000

/* MariaDB's library has client errors of its own from 5000 on, Oracle's has none. */
#ifndef CER_MIN_ERROR
#define CER_MIN_ERROR 1
#define CER_MAX_ERROR 0
#endif

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

/* The certificate that a vtgate was seen to have; empty: not seen yet. Control thread only. */
struct pin {
    char fingerprint[FINGERPRINT_SIZE];
};

struct vtgate_control {
    struct server *server;
    pthread_t thread;
    pthread_mutex_t lock; /* stopping and jobs */
    pthread_cond_t wake;
    bool stopping;
    STAILQ_HEAD(jobs, job) jobs;
    struct pin pins[VTGATES_MAX];
    STAILQ_HEAD(callers, caller) callers; /* control thread only */
};

/* --- logging in ------------------------------------------------------------------------------ */

/* The files; the authority only where sessions use it, too. */
static void set_tls_files(MYSQL *m, const struct config *c)
{
    if (*c->vtgate_tls_cert)
        mysql_options(m, MYSQL_OPT_SSL_CERT, c->vtgate_tls_cert);
    if (*c->vtgate_tls_key)
        mysql_options(m, MYSQL_OPT_SSL_KEY, c->vtgate_tls_key);
    if (*c->vtgate_tls_ca && c->vtgate_tls_mode >= CONFIG_TLS_VERIFY_CA)
        mysql_options(m, MYSQL_OPT_SSL_CA, c->vtgate_tls_ca);
}

#ifdef MARIADB_PACKAGE_VERSION_ID

/*
 * This library compares the certificate's name with the host that it connects to, and insists on
 * TLS only if it may do that (or is given a fingerprint). It knows no other name.
 */
static bool library_verifies(const struct config *c)
{
    return c->vtgate_tls_mode == CONFIG_TLS_VERIFY_IDENTITY && !*c->vtgate_tls_server_name;
}

/* Whether the password may be sent only to one who has a certificate that the shim has looked at
   itself. (Who logs in without a password has nothing to lose.) */
static bool needs_pin(const struct config *c)
{
    return *c->control_user && c->vtgate_tls_mode >= CONFIG_TLS_REQUIRED && !library_verifies(c);
}

static void apply_tls(MYSQL *m, const struct config *c, const struct pin *pin)
{
    my_bool use = c->vtgate_tls_mode != CONFIG_TLS_OFF ? 1 : 0;
    my_bool verify = library_verifies(c) ? 1 : 0;

    if (use)
        set_tls_files(m, c);
    mysql_options(m, MYSQL_OPT_SSL_ENFORCE, &use); /* means: if the server has it */
    mysql_options(m, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
    if (pin)
        mysql_options(m, MARIADB_OPT_TLS_PEER_FP, pin->fingerprint);
}

/* Before 3.4 it knew but one kind of fingerprint. */
static const EVP_MD *pin_digest(void)
{
    return mysql_get_client_version() < 30400 ? EVP_sha1() : EVP_sha256();
}

#else

/*
 * Oracle's has the same modes as vtgate_tls.mode and keeps to them. It does not know of
 * vtgate_tls.server_name: with that and verify-identity, the login fails where the names differ.
 */
static void apply_tls(MYSQL *m, const struct config *c, const struct pin *pin)
{
    static const unsigned MODES[] = {
        [CONFIG_TLS_OFF] = SSL_MODE_DISABLED,
        [CONFIG_TLS_PREFERRED] = SSL_MODE_PREFERRED,
        [CONFIG_TLS_REQUIRED] = SSL_MODE_REQUIRED,
        [CONFIG_TLS_VERIFY_CA] = SSL_MODE_VERIFY_CA,
        [CONFIG_TLS_VERIFY_IDENTITY] = SSL_MODE_VERIFY_IDENTITY,
    };

    (void)pin;
    set_tls_files(m, c);
    mysql_options(m, MYSQL_OPT_SSL_MODE, &MODES[c->vtgate_tls_mode]);
}

static bool needs_pin(const struct config *c)
{
    (void)c;
    return false;
}

static const EVP_MD *pin_digest(void)
{
    return EVP_sha256();
}

#endif

/* NULL with *code when it failed. */
static MYSQL *try_login(const struct config *c, const struct vtgate *v, const struct pin *pin,
                        unsigned *code)
{
    const struct endpoint *e = vtgate_endpoint(v);
    unsigned timeout = (unsigned)((c->timeouts_connect_ms + 999) / 1000);
    unsigned protocol = e->is_unix ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    MYSQL *m = mysql_init(NULL);

    *code = CR_OUT_OF_MEMORY;
    if (!m)
        return NULL;
    mysql_options(m, MYSQL_OPT_CONNECT_TIMEOUT, &timeout);
    mysql_options(m, MYSQL_OPT_READ_TIMEOUT, &timeout);
    mysql_options(m, MYSQL_OPT_WRITE_TIMEOUT, &timeout);
    mysql_options(m, MYSQL_OPT_PROTOCOL, &protocol); /* "localhost" would be a unix socket */
    apply_tls(m, c, pin);
    if (mysql_real_connect(m, e->is_unix ? NULL : e->host,
                           *c->control_user ? c->control_user : NULL, c->control_password, NULL,
                           e->port, e->is_unix ? e->host : NULL, 0)) {
        *code = 0;
        return m;
    }
    *code = mysql_errno(m);
    mysql_close(m);
    return NULL;
}

static struct pin *find_pin(struct vtgate_control *control, const struct vtgate *v)
{
    size_t i = 0;

    while (vtgates_at(control->server->vtgates, i) != v)
        i++;
    return &control->pins[i];
}

/*
 * Logs in with control.user. NULL with *code when it failed. A certificate that was looked at is
 * not looked at again before another turns up: vtgate logs every login that ends half-way.
 */
static MYSQL *log_in(struct vtgate_control *control, struct vtgate *v, unsigned *code)
{
    const struct config *c = control->server->config;

    if (!needs_pin(c))
        return try_login(c, v, NULL, code);
    struct pin *pin = find_pin(control, v);
    bool fresh;

    do {
        fresh = !*pin->fingerprint;
        if (fresh && !vtgate_probe(control->server, v, pin_digest(), pin->fingerprint)) {
            *pin->fingerprint = '\0';
            *code = CR_CONNECTION_ERROR;
            return NULL;
        }
        MYSQL *m = try_login(c, v, pin, code);

        if (m || *code != CR_SSL_CONNECTION_ERROR)
            return m;
        *pin->fingerprint = '\0';
    } while (!fresh);
    return NULL;
}

/* --- checks ---------------------------------------------------------------------------------- */

/*
 * Whether an error tells that the vtgate is there. What a server sent does (wrong password, unknown
 * user, TLS required: only the way in is refused), and so does what the library says about the
 * plugin that a greeting asked for. One that was seen to be fine a moment ago and now shows another
 * certificate is several behind one address.
 */
static bool tells_alive(const struct config *c, unsigned code)
{
    switch (code) {
    case CR_ALREADY_CONNECTED:
    case CR_AUTH_PLUGIN_CANNOT_LOAD:
    case CR_AUTH_PLUGIN_ERR:
        return true;
    case CR_SSL_CONNECTION_ERROR:
        return needs_pin(c);
    default:
        return code >= SERVER_ERROR_MIN && !(code >= CR_MIN_ERROR && code <= CR_MAX_ERROR) &&
               !(code >= CER_MIN_ERROR && code <= CER_MAX_ERROR);
    }
}

/* Whether that vtgate answers. */
static bool check(struct vtgate_control *control, struct vtgate *v)
{
    unsigned code;
    MYSQL *m = log_in(control, v, &code);
    bool alive = tells_alive(control->server->config, code);

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
    MYSQL *m = log_in(control, job->vtgate, &code);

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
            MYSQL *m = vtgate_is_healthy(v) == (healthy == 1) ? log_in(control, v, &code) : NULL;

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
    MYSQL *m = q->vtgate ? log_in(control, q->vtgate, &code) : log_in_anywhere(control);

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
    c->connection =
        *control->server->config->control_user ? log_in(control, job->vtgate, &code) : NULL;
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
                vtgate_set_healthy(v, check(control, v));
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
    control->server = server;
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
