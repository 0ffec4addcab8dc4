/*
 * Both sides of a restart: the old process, which starts the new one and lets go of the listening
 * sockets, and the new one, which begins with them.
 */
#include "proxy/restart.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/holds.h"
#include "proxy/listener.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/systemd.h"

#define VARIABLE      "VTSHIM_HANDOVER" /* "CONTROL:FD,FDk,...": k keeps the file of a unix socket */
#define SOCKETS_MAX   512
#define READY_LIMIT_S 60
#define READY         'R'
#define GO            'G'
#define HOLDS_STAND   "holds are in force, which the new process would not know"

struct restart {
    struct server *server;
    int predecessor, successor; /* our ends of the pairs; -1: none */
    pid_t pid;                  /* the successor's */
    struct event *from_predecessor, *from_successor, *limit;
    bool over;
};

static char **arguments;
static char program[4096];
static int taken_control = -1; /* our end of the predecessor's pair, until restart_create */

/* Whether the variable's text, "9:10,11k", has that number. */
static bool is_named(const char *text, long fd)
{
    while (*text) {
        char *end;
        long named = strtol(text, &end, 10);

        if (end != text && named == fd)
            return true;
        text = *end ? end + 1 : end;
    }
    return false;
}

/* Libraries open sockets that a program started by this one inherits, and would hold open. Nothing
   else has been opened yet. */
static void close_strangers(const char *named)
{
    DIR *folder = opendir("/proc/self/fd");
    long strangers[SOCKETS_MAX];
    size_t n = 0;

    if (!folder)
        return;
    for (const struct dirent *e = readdir(folder); e; e = readdir(folder)) {
        long fd = strtol(e->d_name, NULL, 10);

        if (fd > STDERR_FILENO && fd != dirfd(folder) && !is_named(named, fd) && n < SOCKETS_MAX)
            strangers[n++] = fd;
    }
    closedir(folder);
    while (n > 0)
        close((int)strangers[--n]);
}

void restart_remember(char **argv)
{
    const char *named = getenv(VARIABLE);

    if (named)
        close_strangers(named);
    /* By its path, not as /proc/self/exe: a new version of the program stands in its place. */
    ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);

    program[n > 0 ? n : 0] = '\0';
    arguments = argv;
}

/* --- the new process ------------------------------------------------------------------------- */

static void forget_predecessor(struct restart *r)
{
    event_free(r->from_predecessor);
    r->from_predecessor = NULL;
    close(r->predecessor);
    r->predecessor = -1;
}

/* The other process has written a letter, or ended ('\0'). False: neither, come again. */
static bool read_letter(int fd, char *letter)
{
    ssize_t n = read(fd, letter, 1);

    if (n != 1)
        *letter = '\0';
    return n >= 0 || (errno != EAGAIN && errno != EINTR);
}

static void on_predecessor(evutil_socket_t fd, short what, void *arg)
{
    struct restart *r = arg;
    char letter;

    (void)what;
    if (!read_letter(fd, &letter))
        return;
    if (letter == GO) {
        systemd_notify("READY=1");
        return;
    }
    log_info("predecessor_ended", "");
    forget_predecessor(r);
}

/* No child of this process gets it, unless it is passed on again. */
static bool adopt_descriptor(int fd)
{
    int flags = fcntl(fd, F_GETFD);

    return flags >= 0 && fcntl(fd, F_SETFD, flags | FD_CLOEXEC) == 0;
}

/* "9:10,11k": false when it is none of ours. */
static bool read_variable(const char *text, int *control)
{
    char *end;
    long fd = strtol(text, &end, 10);

    if (end == text || *end != ':' || fd < 0 || !adopt_descriptor((int)fd))
        return false;
    *control = (int)fd;
    while (*end && end[1]) {
        text = end + 1;
        fd = strtol(text, &end, 10);
        bool keep_file = *end == 'k';

        end += keep_file;
        if (end == text || (*end && *end != ',') || !adopt_descriptor((int)fd))
            return false;
        listener_inherit((int)fd, keep_file);
    }
    return true;
}

static void take_from_predecessor(void)
{
    const char *text = getenv(VARIABLE);

    if (!text)
        return;
    if (!read_variable(text, &taken_control))
        log_warn("handover_ignored", "variable:s", VARIABLE);
    unsetenv(VARIABLE);
}

static void watch_predecessor(struct restart *r)
{
    r->predecessor = taken_control;
    taken_control = -1;
    if (r->predecessor < 0)
        return;
    evutil_make_socket_nonblocking(r->predecessor);
    r->from_predecessor =
        event_new(r->server->base, r->predecessor, EV_READ | EV_PERSIST, on_predecessor, r);
    event_add(r->from_predecessor, NULL);
}

static void take_from_systemd(void)
{
    size_t n = systemd_listen_fds();

    for (size_t i = 0; i < n; i++) {
        int fd = SYSTEMD_FIRST_FD + (int)i;

        if (adopt_descriptor(fd))
            listener_inherit(fd, true); /* systemd made the file, and removes it */
    }
}

void restart_take_sockets(void)
{
    take_from_systemd();
    take_from_predecessor();
}

struct restart *restart_create(struct server *server)
{
    struct restart *r = memory_zalloc(sizeof(*r));

    r->server = server;
    r->successor = -1;
    watch_predecessor(r);
    return r;
}

void restart_ready(struct restart *r)
{
    static const char LETTER = READY;

    listener_drop_inherited();
    if (r->predecessor < 0)
        systemd_notify("READY=1");
    else if (write(r->predecessor, &LETTER, 1) != 1)
        log_warn("handover_failed", "error:s", strerror(errno));
}

bool restart_has_predecessor(const struct restart *r)
{
    return r->predecessor >= 0;
}

bool restart_is_over(const struct restart *r)
{
    return r->over;
}

/* --- the old one ----------------------------------------------------------------------------- */

static void forget_successor(struct restart *r)
{
    event_free(r->from_successor);
    event_free(r->limit);
    r->from_successor = r->limit = NULL;
    close(r->successor);
    r->successor = -1;
}

/* It ended, or would not begin: it is not to begin later, either. */
static void successor_failed(struct restart *r, const char *error)
{
    int status = 0;

    kill(r->pid, SIGKILL);
    while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
        ;
    log_error("restart_failed", "pid:d status:d error:s", (int64_t)r->pid,
              (int64_t)(WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status)), error);
    forget_successor(r);
}

static void on_ready_limit(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    successor_failed(arg, "the new process was not ready in time");
}

/* The order matters: systemd hears of the new main process before the new one says READY. */
static void hand_over(struct restart *r)
{
    static const char LETTER = GO;

    systemd_notify("MAINPID=%jd", (intmax_t)r->pid);
    r->over = true;
    server_hand_over(r->server);
    ssize_t ignored = write(r->successor, &LETTER, 1);

    (void)ignored;
    log_info("restarted", "pid:d sessions:u limit_s:d", (int64_t)r->pid,
             (uint64_t)atomic_load(&r->server->sessions), r->server->config->timeouts_shutdown_s);
    /* Our end stays open until this process ends: that is how the new one learns of it. */
    event_del(r->from_successor);
    event_del(r->limit);
}

static void on_successor(evutil_socket_t fd, short what, void *arg)
{
    struct restart *r = arg;
    char letter;

    (void)what;
    if (!read_letter(fd, &letter))
        return;
    if (letter != READY)
        successor_failed(r, "the new process ended before it was ready");
    else if (holds_count(r->server->holds) > 0) /* since the restart began */
        successor_failed(r, HOLDS_STAND);
    else
        hand_over(r);
}

/* Ours, but for what speaks of this very process. Allocated; the strings are borrowed. */
static char **make_environment(char *handover)
{
    static const char *const LEFT_OUT[] = {VARIABLE "=", "WATCHDOG_PID=", "LISTEN_"};
    size_t n = 0, kept = 0;

    while (environ[n])
        n++;
    char **copy = memory_zalloc((n + 2) * sizeof(*copy));

    for (size_t i = 0; i < n; i++) {
        bool out = false;

        for (size_t j = 0; j < sizeof(LEFT_OUT) / sizeof(LEFT_OUT[0]); j++)
            out = out || strncmp(environ[i], LEFT_OUT[j], strlen(LEFT_OUT[j])) == 0;
        if (!out)
            copy[kept++] = environ[i];
    }
    copy[kept] = handover;
    return copy;
}

/* Of the same number there as here. dup2(2) to itself would leave FD_CLOEXEC; posix_spawn(3) says
   that this action clears it. */
static void pass_descriptor(posix_spawn_file_actions_t *actions, int fd)
{
    posix_spawn_file_actions_adddup2(actions, fd, fd);
}

static int spawn(struct restart *r, int control)
{
    struct listener_socket sockets[SOCKETS_MAX];
    size_t n = listener_sockets(sockets, SOCKETS_MAX), size = 64 + 16 * n;
    char *text = memory_zalloc(size);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    int used = snprintf(text, size, VARIABLE "=%d:", control);

    posix_spawn_file_actions_init(&actions);
    pass_descriptor(&actions, control);
    for (size_t i = 0; i < n; i++) {
        used += snprintf(text + used, size - (size_t)used, "%s%d%s", i ? "," : "", sockets[i].fd,
                         sockets[i].keep_file ? "k" : "");
        pass_descriptor(&actions, sockets[i].fd);
    }
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    char **environment = make_environment(text);
    int error = posix_spawn(&r->pid, program, &actions, &attributes, arguments, environment);

    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    free(environment);
    free(text);
    return error;
}

static const char *why_not(const struct restart *r)
{
    if (r->successor >= 0)
        return "a restart is under way";
    if (r->server->draining)
        return "the process is ending";
    if (r->predecessor >= 0)
        return "the process before this one has not ended yet";
    if (holds_count(r->server->holds) > 0)
        return HOLDS_STAND;
    return *program ? NULL : "the program's path is not known";
}

void restart_begin(struct restart *r)
{
    static const struct timeval LIMIT = {READY_LIMIT_S, 0};
    const char *error = why_not(r);
    int pair[2];

    if (!error && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        error = strerror(errno);
    if (error) {
        log_warn("restart_refused", "error:s", error);
        return;
    }
    int failed = spawn(r, pair[1]);

    close(pair[1]);
    if (failed) {
        close(pair[0]);
        log_error("restart_failed", "program:s error:s", program, strerror(failed));
        return;
    }
    log_info("restarting", "pid:d program:s", (int64_t)r->pid, program);
    r->successor = pair[0];
    r->from_successor =
        event_new(r->server->base, r->successor, EV_READ | EV_PERSIST, on_successor, r);
    r->limit = evtimer_new(r->server->base, on_ready_limit, r);
    event_add(r->from_successor, NULL);
    event_add(r->limit, &LIMIT);
}

void restart_destroy(struct restart *r)
{
    if (!r)
        return;
    if (r->successor >= 0 && !r->over)
        successor_failed(r, "this process is ending");
    else if (r->successor >= 0)
        forget_successor(r);
    if (r->predecessor >= 0)
        forget_predecessor(r);
    free(r);
}
