/*
 * Formatting and writing of log lines. A line that does not fit LINE_MAX_BYTES is cut, in JSON at
 * the end of a value, so that it stays JSON.
 *
 * No thread ever waits for stderr. It may be shared with other processes, for whom O_NONBLOCK would
 * be a surprise, so that poll(2) has to tell whether a write would block. A pipe that has room has
 * it for PIPE_BUF bytes, as long as nobody else writes in between: hence the lock. A file has a
 * thread of its own (line_file.h); what that cannot write is dropped, and stderr says so.
 */
#include "proxy/log.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proxy/line_file.h"
#include "proxy/memory.h"

#define LINE_MAX_BYTES 2048
#define LINE_RESERVE   8 /* for what ends a line of JSON, or the longest escape */

struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
    bool json;
};

static_assert(LINE_MAX_BYTES <= PIPE_BUF, "a line must fit where poll(2) sees room");

static _Atomic int threshold = LOG_LEVEL_INFO;
static _Atomic bool as_json, to_journal;
static _Atomic uint64_t dropped;
static _Atomic(struct line_file *) file;                    /* NULL: stderr */
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER; /* stderr and dropped_told */
static uint64_t dropped_told;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

void log_set_json(bool json)
{
    atomic_store_explicit(&as_json, json, memory_order_relaxed);
}

/* --- a line ---------------------------------------------------------------------------------- */

static bool has_room(const struct line *l, size_t n)
{
    return l->len + n <= sizeof(l->text) - LINE_RESERVE;
}

static void line_text(struct line *l, const char *text)
{
    size_t n = strlen(text);

    if (!has_room(l, n))
        n = has_room(l, 0) ? sizeof(l->text) - LINE_RESERVE - l->len : 0;
    memcpy(l->text + l->len, text, n);
    l->len += n;
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

/* The length of the character in UTF-8 at v, or 0 (overlong forms and surrogates included). */
static size_t utf8_length(const unsigned char *v)
{
    size_t n = v[0] >= 0xf0 && v[0] < 0xf5 ? 4 : v[0] >= 0xe0 ? 3 : v[0] >= 0xc2 ? 2 : 0;

    if (v[0] < 0x80)
        return 1;
    if (n == 0 || v[0] >= 0xf5)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((v[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((v[0] == 0xe0 && v[1] < 0xa0) || (v[0] == 0xed && v[1] > 0x9f) ||
        (v[0] == 0xf0 && v[1] < 0x90) || (v[0] == 0xf4 && v[1] > 0x8f))
        return 0;
    return n;
}

/* What stands between quotes, escaped; JSON has its own escapes, and is UTF-8. */
static void line_quoted(struct line *l, const char *value)
{
    const unsigned char *v = (const unsigned char *)value;
    char piece[8];

    line_text(l, "\"");
    while (*v && has_room(l, LINE_RESERVE)) {
        size_t n = l->json ? utf8_length(v) : 1;

        if (*v == '"' || *v == '\\')
            snprintf(piece, sizeof(piece), "\\%c", *v);
        else if (*v < ' ' || *v == 0x7f)
            snprintf(piece, sizeof(piece), l->json ? "\\u%04x" : "\\x%02x", *v);
        else if (n == 0)
            snprintf(piece, sizeof(piece), "\\ufffd");
        else
            snprintf(piece, sizeof(piece), "%.*s", (int)n, (const char *)v);
        line_text(l, piece);
        v += n ? n : 1;
    }
    line_text(l, "\"");
}

static void line_value(struct line *l, const char *v)
{
    if (l->json && !v)
        line_text(l, "null");
    else if (l->json || (v && needs_quotes(v)))
        line_quoted(l, v);
    else
        line_text(l, v ? v : "-");
}

/* "key=" with a blank before it, or "\"key\":" with a comma. False: there is no room for more. */
static bool line_key(struct line *l, const char *key, size_t len)
{
    char text[64];

    snprintf(text, sizeof(text), l->json ? ",\"%.*s\":" : " %.*s=", (int)(len < 48 ? len : 48),
             key);
    if (!has_room(l, strlen(text) + 32)) /* and a number's digits */
        return false;
    line_text(l, text);
    return true;
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

static void line_begin(struct line *l, enum log_level level, const char *event)
{
    static const char *const NAMES[] = {"debug", "info", "warn", "error"};
    char stamp[LOG_TIME_SIZE], text[160];

    l->len = 0;
    l->json = atomic_load_explicit(&as_json, memory_order_relaxed);
    log_time(stamp);
    snprintf(text, sizeof(text),
             l->json ? "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%.64s\""
                     : "time=%s level=%s event=%.64s",
             stamp, NAMES[level], event);
    line_text(l, text);
}

static void line_end(struct line *l)
{
    memcpy(l->text + l->len, l->json ? "}\n" : "\n", l->json ? 2 : 1);
    l->len += l->json ? 2 : 1;
}

/* --- standard error -------------------------------------------------------------------------- */

void log_look_for_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM"); /* sd-journal(3): "device:inode" of stderr */
    char ours[64];
    struct stat st;

    if (!stream || fstat(STDERR_FILENO, &st) != 0)
        return;
    snprintf(ours, sizeof(ours), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    atomic_store(&to_journal, strcmp(ours, stream) == 0);
}

/* In front of each line to the journal, sd-daemon(3): the priority as syslog has it. */
static size_t journal_prefix(char *dst, size_t size, enum log_level level)
{
    static const int PRIORITY[] = {7, 6, 4, 3};

    if (!atomic_load_explicit(&to_journal, memory_order_relaxed))
        return 0;
    return (size_t)snprintf(dst, size, "<%d>", PRIORITY[level]);
}

static bool write_now(const struct line *l, enum log_level level)
{
    struct pollfd stderr_fd = {.fd = STDERR_FILENO, .events = POLLOUT};
    char text[LINE_MAX_BYTES];
    size_t n = journal_prefix(text, sizeof(text), level);

    memcpy(text + n, l->text, l->len); /* LINE_RESERVE leaves room for the prefix */
    n += l->len;
    return poll(&stderr_fd, 1, 0) == 1 && stderr_fd.revents & POLLOUT &&
           write(STDERR_FILENO, text, n) == (ssize_t)n;
}

/* The line about lines that were dropped comes before the first one that is not. */
static bool tell_dropped(void)
{
    uint64_t now = atomic_load_explicit(&dropped, memory_order_relaxed);
    struct line l;
    char number[32];

    if (now == dropped_told)
        return true;
    line_begin(&l, LOG_LEVEL_WARN, "log_lines_dropped");
    line_key(&l, "lines", 5);
    snprintf(number, sizeof(number), "%" PRIu64, now - dropped_told);
    line_text(&l, number);
    line_end(&l);
    if (!write_now(&l, LOG_LEVEL_WARN))
        return false;
    dropped_told = now;
    return true;
}

static void write_stderr(const struct line *l, enum log_level level)
{
    pthread_mutex_lock(&writing);
    if (!tell_dropped() || !write_now(l, level))
        atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
    pthread_mutex_unlock(&writing);
}

/* --- a file ---------------------------------------------------------------------------------- */

/* On the thread of the file, whose lines about itself cannot go into it. */
static void file_failed(void *arg, const char *path, const char *error)
{
    struct line l;

    (void)arg;
    line_begin(&l, LOG_LEVEL_ERROR, "log_file_failed");
    line_key(&l, "file", 4);
    line_value(&l, path);
    line_key(&l, "error", 5);
    line_value(&l, error);
    line_end(&l);
    write_stderr(&l, LOG_LEVEL_ERROR);
}

static void file_resumed(void *arg, const char *path, uint64_t lines)
{
    (void)arg;
    log_info("log_file_resumed", "file:s dropped:u", path, lines);
}

void log_set_file(const char *path)
{
    static const struct line_file_events EVENTS = {file_failed, file_resumed, NULL};
    struct line_file *f = atomic_load(&file);

    if (f)
        line_file_reopen(f, path);
    else if (*path)
        atomic_store(&file, line_file_create(path, &EVENTS));
}

void log_close_file(void)
{
    struct line_file *f = atomic_exchange(&file, NULL);

    if (f)
        line_file_destroy(f);
}

static bool write_file(const struct line *l)
{
    struct line_file *f = atomic_load_explicit(&file, memory_order_acquire);

    if (!f || !line_file_is_on(f))
        return false;
    line_file_write(f, memory_copy(l->text, l->len), l->len);
    return true;
}

uint64_t log_dropped(void)
{
    struct line_file *f = atomic_load(&file);

    return atomic_load_explicit(&dropped, memory_order_relaxed) + (f ? line_file_dropped(f) : 0);
}

/* --- the way in ------------------------------------------------------------------------------ */

static void line_fields(struct line *l, const char *fields, va_list args)
{
    for (const char *f = fields; *f;) {
        size_t key = strcspn(f, ":");
        char type = f[key] ? f[key + 1] : 's', number[32];
        const char *text = number;

        if (type == 'd')
            snprintf(number, sizeof(number), "%" PRId64, va_arg(args, int64_t));
        else if (type == 'u')
            snprintf(number, sizeof(number), "%" PRIu64, va_arg(args, uint64_t));
        else
            text = va_arg(args, const char *);
        if (!line_key(l, f, key))
            return;
        if (text == number)
            line_text(l, text);
        else
            line_value(l, text);
        f += key + (f[key] ? 2 : 0);
        while (*f == ' ')
            f++;
    }
}

void log_event(enum log_level level, const char *event, const char *fields, ...)
{
    if ((int)level < atomic_load_explicit(&threshold, memory_order_relaxed))
        return;
    struct line l;
    va_list args;

    line_begin(&l, level, event);
    va_start(args, fields);
    line_fields(&l, fields, args);
    va_end(args);
    line_end(&l);
    if (!write_file(&l))
        write_stderr(&l, level);
}
