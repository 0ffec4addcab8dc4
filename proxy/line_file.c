/*
 * A bounded queue of lines, and the thread that writes it to the file.
 */
#include "proxy/line_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "proxy/memory.h"

#define QUEUE_MAX 4096 /* lines of a few hundred bytes each */
#define REOPEN_S  1    /* how often a file that cannot be opened is tried again */

struct line {
    STAILQ_ENTRY(line) next;
    char *text; /* with its newline */
    size_t len;
};

struct line_file {
    struct line_file_events events;
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
    bool torn, failing;
    time_t tried; /* CLOCK_MONOTONIC */
};

/* --- any thread ------------------------------------------------------------------------------ */

static bool enqueue(struct line_file *f, struct line *line)
{
    pthread_mutex_lock(&f->lock);
    bool fits = f->n < QUEUE_MAX;

    if (fits) {
        STAILQ_INSERT_TAIL(&f->lines, line, next);
        f->n++;
        pthread_cond_signal(&f->wake);
    }
    pthread_mutex_unlock(&f->lock);
    return fits;
}

void line_file_write(struct line_file *f, char *text, size_t len)
{
    struct line *line = memory_zalloc(sizeof(*line));

    line->text = text;
    line->len = len;
    if (f->running && enqueue(f, line))
        return;
    line_file_drop(f);
    free(text);
    free(line);
}

void line_file_drop(struct line_file *f)
{
    atomic_fetch_add(&f->dropped, 1);
}

bool line_file_is_on(const struct line_file *f)
{
    return atomic_load_explicit((_Atomic bool *)(uintptr_t)&f->on, memory_order_relaxed);
}

void line_file_reopen(struct line_file *f, const char *path)
{
    pthread_mutex_lock(&f->lock);
    free(f->path);
    f->path = memory_copy(path, strlen(path));
    f->reopen = true;
    atomic_store(&f->on, *path != '\0');
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
}

uint64_t line_file_lines(const struct line_file *f)
{
    return atomic_load((_Atomic uint64_t *)(uintptr_t)&f->written);
}

uint64_t line_file_dropped(const struct line_file *f)
{
    return atomic_load((_Atomic uint64_t *)(uintptr_t)&f->dropped);
}

/* --- the file -------------------------------------------------------------------------------- */

static void failed(struct line_file *f, const char *path, int error)
{
    if (!f->failing)
        f->events.failed(f->events.arg, path, strerror(error));
    f->failing = true;
}

/* Not of the clock on the wall, which may be set back. */
static time_t now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* O_NONBLOCK: of a FIFO whose reader is gone. */
static void open_file(struct line_file *f, const char *path)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
    f->torn = false;
    f->tried = now_s();
    if (!*path)
        return;
    f->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
    if (f->fd < 0)
        failed(f, path, errno);
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

static bool write_line(struct line_file *f, const char *path, const struct line *line)
{
    size_t done = 0;
    int error = 0;

    if (f->fd < 0 && now_s() - f->tried >= REOPEN_S)
        open_file(f, path);
    if (f->fd < 0)
        return false;
    if (f->torn) /* the last one broke off in its middle */
        error = write_all(f->fd, "\n", 1, &done);
    if (!error) {
        f->torn = false;
        error = write_all(f->fd, line->text, line->len, &done);
        f->torn = error && done > 0;
    }
    if (error)
        failed(f, path, error);
    return !error;
}

static void write_one(struct line_file *f, const char *path, struct line *line)
{
    if (write_line(f, path, line)) {
        atomic_fetch_add(&f->written, 1);
        if (f->failing)
            f->events.resumed(f->events.arg, path, line_file_dropped(f));
        f->failing = false;
    } else {
        atomic_fetch_add(&f->dropped, 1);
    }
    free(line->text);
    free(line);
}

/* --- the thread ------------------------------------------------------------------------------ */

static void *thread_main(void *arg)
{
    struct line_file *f = arg;
    char *path = memory_copy("", 0);

    pthread_mutex_lock(&f->lock);
    for (;;) {
        while (!f->reopen && !f->stopping && STAILQ_EMPTY(&f->lines))
            pthread_cond_wait(&f->wake, &f->lock);
        struct line *line = STAILQ_FIRST(&f->lines);

        if (f->reopen) {
            f->reopen = false;
            free(path);
            path = memory_copy(f->path, strlen(f->path));
            pthread_mutex_unlock(&f->lock);
            open_file(f, path);
        } else if (line) {
            STAILQ_REMOVE_HEAD(&f->lines, next);
            f->n--;
            pthread_mutex_unlock(&f->lock);
            write_one(f, path, line);
        } else {
            break;
        }
        pthread_mutex_lock(&f->lock);
    }
    pthread_mutex_unlock(&f->lock);
    free(path);
    return NULL;
}

struct line_file *line_file_create(const char *path, const struct line_file_events *events)
{
    struct line_file *f = memory_zalloc(sizeof(*f));

    f->events = *events;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->wake, NULL);
    STAILQ_INIT(&f->lines);
    f->fd = -1;
    line_file_reopen(f, path);
    f->running = pthread_create(&f->thread, NULL, thread_main, f) == 0;
    if (!f->running)
        events->failed(events->arg, path, "no thread for it");
    return f;
}

void line_file_destroy(struct line_file *f)
{
    pthread_mutex_lock(&f->lock);
    f->stopping = true;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
    if (f->running)
        pthread_join(f->thread, NULL);
    if (f->fd >= 0)
        close(f->fd);
    pthread_cond_destroy(&f->wake);
    pthread_mutex_destroy(&f->lock);
    free(f->path);
    free(f);
}
