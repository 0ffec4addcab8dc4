/*
 * Formatting and writing of log lines. A line that does not fit LINE_MAX_BYTES is cut.
 *
 * No thread ever waits for stderr. It may be shared with other processes, for whom O_NONBLOCK would
 * be a surprise, so that poll(2) has to tell whether a write would block. A pipe that has room has
 * it for PIPE_BUF bytes, as long as nobody else writes in between: hence the lock.
 */
#include "proxy/log.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
};

static_assert(LINE_MAX_BYTES <= PIPE_BUF, "a line must fit where poll(2) sees room");

static _Atomic int threshold = LOG_LEVEL_INFO;
static _Atomic uint64_t dropped;
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER; /* stderr and dropped_told */
static uint64_t dropped_told;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

static void line_char(struct line *l, char c)
{
    if (l->len < sizeof(l->text) - 1)
        l->text[l->len++] = c;
}

static void line_text(struct line *l, const char *text)
{
    while (*text)
        line_char(l, *text++);
}

static bool needs_quotes(const char *v)
{
    if (!*v)
        return true;
    for (; *v; v++) {
        if ((unsigned char)*v <= ' ' || *v == '"' || *v == '=' || *v == '\\' || *v == 0x7f)
            return true;
    }
    return false;
}

static void line_value(struct line *l, const char *v)
{
    if (!needs_quotes(v)) {
        line_text(l, v);
        return;
    }
    line_char(l, '"');
    for (; *v; v++) {
        unsigned char c = (unsigned char)*v;

        if (c == '"' || c == '\\') {
            line_char(l, '\\');
            line_char(l, (char)c);
        } else if (c < ' ' || c == 0x7f) {
            char hex[8];

            snprintf(hex, sizeof(hex), "\\x%02x", c);
            line_text(l, hex);
        } else {
            line_char(l, (char)c);
        }
    }
    line_char(l, '"');
}

void log_time(char dst[LOG_TIME_SIZE])
{
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t n = strftime(dst, LOG_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);

    snprintf(dst + n, LOG_TIME_SIZE - n, ".%03ldZ", now.tv_nsec / 1000000);
}

static void line_prefix(struct line *l, enum log_level level, const char *event)
{
    static const char *const NAMES[] = {"debug", "info", "warn", "error"};
    char stamp[LOG_TIME_SIZE];

    log_time(stamp);
    line_text(l, "time=");
    line_text(l, stamp);
    line_text(l, " level=");
    line_text(l, NAMES[level]);
    line_text(l, " event=");
    line_text(l, event);
}

static bool write_now(const struct line *l)
{
    struct pollfd stderr_fd = {.fd = STDERR_FILENO, .events = POLLOUT};

    return poll(&stderr_fd, 1, 0) == 1 && stderr_fd.revents & POLLOUT &&
           write(STDERR_FILENO, l->text, l->len) == (ssize_t)l->len;
}

/* The line about lines that were dropped comes before the first one that is not. */
static bool tell_dropped(void)
{
    uint64_t now = log_dropped();
    struct line l = {.len = 0};
    char number[32];

    if (now == dropped_told)
        return true;
    line_prefix(&l, LOG_LEVEL_WARN, "log_lines_dropped");
    snprintf(number, sizeof(number), " lines=%" PRIu64 "\n", now - dropped_told);
    line_text(&l, number);
    if (!write_now(&l))
        return false;
    dropped_told = now;
    return true;
}

static void line_write(const struct line *l)
{
    pthread_mutex_lock(&writing);
    if (!tell_dropped() || !write_now(l))
        atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
    pthread_mutex_unlock(&writing);
}

uint64_t log_dropped(void)
{
    return atomic_load_explicit(&dropped, memory_order_relaxed);
}

void log_event(enum log_level level, const char *event, const char *fields, ...)
{
    if ((int)level < atomic_load_explicit(&threshold, memory_order_relaxed))
        return;
    struct line l = {.len = 0};
    va_list args;

    line_prefix(&l, level, event);
    va_start(args, fields);
    for (const char *f = fields; *f;) {
        char number[32];

        line_char(&l, ' ');
        while (*f && *f != ':')
            line_char(&l, *f++);
        line_char(&l, '=');
        char type = *f ? f[1] : 's';

        if (type == 'd') {
            snprintf(number, sizeof(number), "%" PRId64, va_arg(args, int64_t));
            line_text(&l, number);
        } else if (type == 'u') {
            snprintf(number, sizeof(number), "%" PRIu64, va_arg(args, uint64_t));
            line_text(&l, number);
        } else {
            const char *v = va_arg(args, const char *);

            line_value(&l, v ? v : "-");
        }
        f += *f ? 2 : 0;
        while (*f == ' ')
            f++;
    }
    va_end(args);
    l.text[l.len++] = '\n';
    line_write(&l);
}
