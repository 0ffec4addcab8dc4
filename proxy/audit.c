/*
 * Lines of JSON, a bounded queue of them, and the thread that writes it to the file.
 */
#include "proxy/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "proxy/log.h"
#include "proxy/memory.h"

#define QUEUE_MAX 4096 /* lines of a few hundred bytes each */
#define REOPEN_S  1    /* how often a file that cannot be opened is tried again */

struct line {
    STAILQ_ENTRY(line) next;
    char *text; /* with its newline; malloc()ed by jansson */
    size_t len;
};

struct audit {
    pthread_t thread;
    bool running;
    pthread_mutex_t lock; /* of what follows, up to the counters */
    pthread_cond_t wake;
    STAILQ_HEAD(lines, line) lines;
    size_t n;
    char *path; /* owned */
    bool reopen, stopping;
    _Atomic bool on; /* path is not empty */
    _Atomic uint64_t written, dropped;
    /* The thread's own. */
    int fd; /* -1: none */
    bool to_log, torn, failing;
    time_t tried;
};

/* --- a line ---------------------------------------------------------------------------------- */

/* Names may be in any character set; JSON is UTF-8. */
static json_t *text_value(const char *text)
{
    json_t *value = json_string(text);

    if (value)
        return value;
    char *ascii = memory_copy(text, strlen(text));

    for (char *p = ascii; *p; p++)
        *p = (unsigned char)*p < 0x80 ? *p : '?';
    value = json_string(ascii);
    free(ascii);
    return value;
}

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text && *text)
        json_object_set_new(object, key, text_value(text));
}

static void set_number(json_t *object, const char *key, uint64_t n)
{
    if (n > 0)
        json_object_set_new(object, key, json_integer((json_int_t)n));
}

static void set_time(json_t *object)
{
    char text[LOG_TIME_SIZE];

    log_time(text);
    set_text(object, "time", text);
}

/* NULL when there is no memory for it. */
static char *format_line(const struct audit_entry *e)
{
    json_t *o = json_object();

    set_time(o);
    set_text(o, "event", e->event);
    set_text(o, "user", e->user);
    set_text(o, "peer", e->peer);
    set_number(o, "session", e->session);
    set_text(o, "keyspace", e->keyspace);
    set_text(o, "table", e->table);
    set_text(o, "verb", e->verb);
    set_text(o, "verdict", e->verdict);
    set_text(o, "reason", e->reason);
    set_text(o, "uuid", e->uuid);
    set_text(o, "context", e->context);
    set_number(o, "shards", e->shards);
    set_text(o, "outcome", e->outcome);
    set_number(o, "code", e->code);
    if (e->duration_ms >= 0)
        json_object_set_new(o, "duration_ms", json_integer((json_int_t)e->duration_ms));
    set_text(o, "statement", e->statement);
    char *text = json_dumps(o, JSON_COMPACT);

    json_decref(o);
    return text;
}

static bool enqueue(struct audit *a, struct line *line)
{
    pthread_mutex_lock(&a->lock);
    bool fits = a->n < QUEUE_MAX;

    if (fits) {
        STAILQ_INSERT_TAIL(&a->lines, line, next);
        a->n++;
        pthread_cond_signal(&a->wake);
    }
    pthread_mutex_unlock(&a->lock);
    return fits;
}

void audit_write(struct audit *a, const struct audit_entry *e)
{
    if (!atomic_load_explicit(&a->on, memory_order_relaxed))
        return;
    struct line *line = memory_zalloc(sizeof(*line));

    line->text = format_line(e);
    if (line->text) {
        line->len = strlen(line->text);
        line->text[line->len++] = '\n'; /* in the place of the NUL: it has a length */
        if (enqueue(a, line))
            return;
    }
    atomic_fetch_add(&a->dropped, 1);
    free(line->text);
    free(line);
}

/* --- the file -------------------------------------------------------------------------------- */

static void failed(struct audit *a, const char *path, int error)
{
    if (!a->failing)
        log_error("audit_failed", "file:s error:s", path, strerror(error));
    a->failing = true;
}

/* O_NONBLOCK: of a FIFO whose reader is gone. */
static void open_file(struct audit *a, const char *path)
{
    if (a->fd >= 0)
        close(a->fd);
    a->fd = -1;
    a->torn = false;
    a->tried = time(NULL);
    a->to_log = strcmp(path, "-") == 0;
    if (!*path || a->to_log)
        return;
    a->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
    if (a->fd < 0)
        failed(a, path, errno);
}

/* All of it, or an error. */
static int write_all(int fd, const char *text, size_t len, size_t *done)
{
    for (*done = 0; *done < len;) {
        ssize_t n = write(fd, text + *done, len - *done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        *done += (size_t)n;
    }
    return 0;
}

static bool write_line(struct audit *a, const char *path, const struct line *line)
{
    size_t done = 0;
    int error = 0;

    if (a->to_log) {
        line->text[line->len - 1] = '\0';
        log_info("audit", "line:s", line->text);
        return true;
    }
    if (a->fd < 0 && time(NULL) - a->tried >= REOPEN_S)
        open_file(a, path);
    if (a->fd < 0)
        return false;
    if (a->torn) /* the last one broke off in its middle */
        error = write_all(a->fd, "\n", 1, &done);
    if (!error) {
        a->torn = false;
        error = write_all(a->fd, line->text, line->len, &done);
        a->torn = error && done > 0;
    }
    if (error)
        failed(a, path, error);
    return !error;
}

static void write_one(struct audit *a, const char *path, struct line *line)
{
    if (write_line(a, path, line)) {
        atomic_fetch_add(&a->written, 1);
        if (a->failing)
            log_info("audit_resumed", "file:s dropped:u", path, audit_dropped(a));
        a->failing = false;
    } else {
        atomic_fetch_add(&a->dropped, 1);
    }
    free(line->text);
    free(line);
}

/* --- the thread ------------------------------------------------------------------------------ */

static void *audit_main(void *arg)
{
    struct audit *a = arg;
    char *path = memory_copy("", 0);

    pthread_mutex_lock(&a->lock);
    for (;;) {
        while (!a->reopen && !a->stopping && STAILQ_EMPTY(&a->lines))
            pthread_cond_wait(&a->wake, &a->lock);
        struct line *line = STAILQ_FIRST(&a->lines);

        if (a->reopen) {
            a->reopen = false;
            free(path);
            path = memory_copy(a->path, strlen(a->path));
            pthread_mutex_unlock(&a->lock);
            open_file(a, path);
        } else if (line) {
            STAILQ_REMOVE_HEAD(&a->lines, next);
            a->n--;
            pthread_mutex_unlock(&a->lock);
            write_one(a, path, line);
        } else {
            break;
        }
        pthread_mutex_lock(&a->lock);
    }
    pthread_mutex_unlock(&a->lock);
    free(path);
    return NULL;
}

struct audit *audit_create(const char *path)
{
    struct audit *a = memory_zalloc(sizeof(*a));

    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->wake, NULL);
    STAILQ_INIT(&a->lines);
    a->fd = -1;
    audit_reopen(a, path);
    a->running = pthread_create(&a->thread, NULL, audit_main, a) == 0;
    if (!a->running) {
        log_error("audit_failed", "file:s error:s", path, "no thread for it");
        atomic_store(&a->on, false);
    }
    return a;
}

void audit_reopen(struct audit *a, const char *path)
{
    pthread_mutex_lock(&a->lock);
    free(a->path);
    a->path = memory_copy(path, strlen(path));
    a->reopen = true;
    atomic_store(&a->on, *path != '\0');
    pthread_cond_signal(&a->wake);
    pthread_mutex_unlock(&a->lock);
}

void audit_destroy(struct audit *a)
{
    struct line *line;

    pthread_mutex_lock(&a->lock);
    a->stopping = true;
    pthread_cond_signal(&a->wake);
    pthread_mutex_unlock(&a->lock);
    if (a->running)
        pthread_join(a->thread, NULL);
    while ((line = STAILQ_FIRST(&a->lines)) != NULL) { /* without a thread */
        STAILQ_REMOVE_HEAD(&a->lines, next);
        free(line->text);
        free(line);
    }
    if (a->fd >= 0)
        close(a->fd);
    pthread_cond_destroy(&a->wake);
    pthread_mutex_destroy(&a->lock);
    free(a->path);
    free(a);
}

uint64_t audit_lines(const struct audit *a)
{
    return atomic_load((_Atomic uint64_t *)(uintptr_t)&a->written);
}

uint64_t audit_dropped(const struct audit *a)
{
    return atomic_load((_Atomic uint64_t *)(uintptr_t)&a->dropped);
}
