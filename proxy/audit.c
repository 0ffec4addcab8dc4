/*
 * Lines of JSON, and where they go.
 */
#include "proxy/audit.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/json_text.h"
#include "proxy/line_file.h"
#include "proxy/log.h"
#include "proxy/memory.h"

struct audit {
    struct line_file *file;
    _Atomic bool to_log;
    _Atomic uint64_t logged;        /* lines that went into the log */
    pthread_mutex_t lock;           /* of what follows */
    char *recent[AUDIT_RECENT_MAX]; /* owned; a ring, of which `next` is the oldest */
    size_t next;
};

/* --- a line ---------------------------------------------------------------------------------- */

/* Names may be in any character set. */
static void set_text(json_t *object, const char *key, const char *text)
{
    if (text && *text)
        json_object_set_new(object, key, json_text(text));
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

static void remember(struct audit *a, const char *text)
{
    char *copy = memory_copy(text, strlen(text));

    pthread_mutex_lock(&a->lock);
    char *oldest = a->recent[a->next];

    a->recent[a->next] = copy;
    a->next = (a->next + 1) % AUDIT_RECENT_MAX;
    pthread_mutex_unlock(&a->lock);
    free(oldest);
}

size_t audit_recent(struct audit *a, char *lines[AUDIT_RECENT_MAX])
{
    size_t n = 0;

    pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < AUDIT_RECENT_MAX; i++) {
        const char *text = a->recent[(a->next + i) % AUDIT_RECENT_MAX];

        if (text)
            lines[n++] = memory_copy(text, strlen(text));
    }
    pthread_mutex_unlock(&a->lock);
    return n;
}

void audit_write(struct audit *a, const struct audit_entry *e)
{
    bool to_log = atomic_load_explicit(&a->to_log, memory_order_relaxed);
    char *text = format_line(e);

    if (text)
        remember(a, text);
    if (!to_log && !line_file_is_on(a->file)) {
        free(text);
    } else if (!text) {
        line_file_drop(a->file);
    } else if (to_log) {
        log_info("audit", "line:s", text);
        atomic_fetch_add(&a->logged, 1);
        free(text);
    } else {
        size_t len = strlen(text);

        text[len] = '\n'; /* in the place of the NUL: it has a length */
        line_file_write(a->file, text, len + 1);
    }
}

/* --- the file -------------------------------------------------------------------------------- */

static void file_failed(void *arg, const char *path, const char *error)
{
    (void)arg;
    log_error("audit_failed", "file:s error:s", path, error);
}

static void file_resumed(void *arg, const char *path, uint64_t dropped)
{
    (void)arg;
    log_info("audit_resumed", "file:s dropped:u", path, dropped);
}

struct audit *audit_create(const char *path)
{
    static const struct line_file_events EVENTS = {file_failed, file_resumed, NULL};
    struct audit *a = memory_zalloc(sizeof(*a));
    bool to_log = strcmp(path, "-") == 0;

    pthread_mutex_init(&a->lock, NULL);
    atomic_init(&a->to_log, to_log);
    a->file = line_file_create(to_log ? "" : path, &EVENTS);
    return a;
}

void audit_reopen(struct audit *a, const char *path)
{
    bool to_log = strcmp(path, "-") == 0;

    atomic_store(&a->to_log, to_log);
    line_file_reopen(a->file, to_log ? "" : path);
}

void audit_destroy(struct audit *a)
{
    line_file_destroy(a->file);
    for (size_t i = 0; i < AUDIT_RECENT_MAX; i++)
        free(a->recent[i]);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

uint64_t audit_lines(const struct audit *a)
{
    return line_file_lines(a->file) + atomic_load((_Atomic uint64_t *)(uintptr_t)&a->logged);
}

uint64_t audit_dropped(const struct audit *a)
{
    return line_file_dropped(a->file);
}
