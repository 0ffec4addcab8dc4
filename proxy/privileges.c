/*
 * Root's rights for those of run.user, for good: each step is checked, and at the end whether there
 * is a way back.
 */
#include "proxy/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/listener.h"
#include "proxy/log.h"
#include "proxy/sanitized.h"

struct identity {
    uid_t uid;
    gid_t gid;
    const char *name; /* of the user; NULL: only a number, without an entry in the system's list */
};

static bool fail(char *error, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool fail(char *error, size_t size, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error, size, format, args);
    va_end(args);
    return false;
}

/* --- who ------------------------------------------------------------------------------------- */

/* A decimal number below the one that means "leave it as it is" to the system. */
static bool read_number(const char *text, unsigned *number)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    *number = (unsigned)value;
    return *text >= '0' && *text <= '9' && !*end && value < UINT32_MAX;
}

static bool find_group(const char *text, gid_t *gid, char *error, size_t size)
{
    const struct group *group = getgrnam(text);

    if (group)
        *gid = group->gr_gid;
    else if (!read_number(text, gid))
        return fail(error, size, "run.group: there is no group '%.200s'", text);
    return true;
}

static bool find_identity(const struct config *c, struct identity *who, char *error, size_t size)
{
    const struct passwd *user = getpwnam(c->run_user);

    if (!user && read_number(c->run_user, &who->uid))
        user = getpwuid(who->uid);
    else if (!user)
        return fail(error, size, "run.user: there is no user '%.200s'", c->run_user);
    who->name = NULL;
    if (user) {
        static char name[256];

        snprintf(name, sizeof(name), "%s", user->pw_name);
        who->name = name;
        who->uid = user->pw_uid;
        who->gid = user->pw_gid;
    } else if (!*c->run_group) {
        return fail(error, size,
                    "run.user: %.200s has no entry in the system's list of users, so "
                    "that run.group is needed",
                    c->run_user);
    }
    if (*c->run_group && !find_group(c->run_group, &who->gid, error, size))
        return false;
    if (who->uid == 0 || who->gid == 0)
        return fail(error, size, "run.user, run.group: root's are no less than there are already");
    return true;
}

bool privileges_check(const struct config *config, char *error, size_t size)
{
    struct identity who;

    return !*config->run_user || find_identity(config, &who, error, size);
}

/* --- what needs root ------------------------------------------------------------------------- */

static bool open_endpoint(const struct endpoint *e, const struct identity *who, char *error,
                          size_t size)
{
    if (!e->text)
        return true;
    if (!listener_open_early(e))
        return fail(error, size, "%.200s: cannot be listened on", e->text);
    /* Not through a link that somebody has put there. */
    if (e->is_unix && lchown(e->host, who->uid, who->gid) != 0)
        return fail(error, size, "%.200s: cannot be given to run.user: %s", e->text,
                    strerror(errno));
    return true;
}

static bool open_endpoints(const struct config *c, const struct identity *who, char *error,
                           size_t size)
{
    for (size_t i = 0; i < c->listen.n; i++) {
        if (!open_endpoint(&c->listen.items[i], who, error, size))
            return false;
    }
    return open_endpoint(&c->admin, who, error, size) && open_endpoint(&c->http, who, error, size);
}

/* A file that is there already stays whose it is: it may be anything by now. */
static void create_file(const char *path, const struct identity *who)
{
    int fd = *path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640) : -1;

    if (fd < 0)
        return;
    if (fchown(fd, who->uid, who->gid) != 0)
        log_warn("file_not_given_away", "file:s error:s", path, strerror(errno));
    close(fd);
}

static const char *audit_path(const struct config *c)
{
    return strcmp(c->audit_file, "-") == 0 ? "" : c->audit_file;
}

/* --- the change ------------------------------------------------------------------------------ */

/* A program that this one starts would else have them back, if its file says so. */
static void empty_bounding_set(void)
{
    for (int i = 0; i <= CAP_LAST_CAP; i++)
        prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

static bool has_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0, 0, 0}};

    return syscall(SYS_capget, &header, data) != 0 || data[0].effective || data[1].effective ||
           data[0].permitted || data[1].permitted;
}

static bool is_only(const struct identity *who)
{
    uid_t uid, uid_effective, uid_saved;
    gid_t gid, gid_effective, gid_saved;

    return getresuid(&uid, &uid_effective, &uid_saved) == 0 &&
           getresgid(&gid, &gid_effective, &gid_saved) == 0 && uid == who->uid &&
           uid_effective == who->uid && uid_saved == who->uid && gid == who->gid &&
           gid_effective == who->gid && gid_saved == who->gid;
}

static bool become(const struct identity *who, char *error, size_t size)
{
    empty_bounding_set();
    if ((who->name ? initgroups(who->name, who->gid) : setgroups(0, NULL)) != 0)
        return fail(error, size, "run.user: its groups cannot be taken: %s", strerror(errno));
    if (setresgid(who->gid, who->gid, who->gid) != 0 ||
        setresuid(who->uid, who->uid, who->uid) != 0)
        return fail(error, size,
                    "run.user: the rights of who started the program cannot be given "
                    "up: %s",
                    strerror(errno));
    if (!is_only(who) || has_capabilities() || setresuid((uid_t)-1, 0, (uid_t)-1) == 0)
        return fail(error, size, "run.user: root's rights are still there");
    return true;
}

/* What a reload will want again. */
static bool check_files(const struct config *c, const char *config_path, char *error, size_t size)
{
    const char *const files[] = {config_path ? config_path : "", c->log_file, audit_path(c)};

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        int mode = i == 0 ? O_RDONLY : O_WRONLY | O_APPEND | O_NONBLOCK;
        int fd = *files[i] ? open(files[i], mode | O_CLOEXEC) : -1;

        if (fd < 0 && *files[i] && errno != ENXIO) /* a FIFO that nobody reads yet */
            return fail(error, size, "%.300s: cannot be opened as run.user: %s", files[i],
                        strerror(errno));
        if (fd >= 0)
            close(fd);
    }
    return true;
}

static bool change_user(const struct config *c, const char *config_path, char *error, size_t size)
{
    struct identity who = {0, 0, NULL};

    if (!find_identity(c, &who, error, size))
        return false;
    if (is_only(&who))
        return check_files(c, config_path, error, size); /* a successor, or a service manager's */
    if (geteuid() != 0)
        return fail(error, size, "run.user: only root can become another user");
    if (!open_endpoints(c, &who, error, size))
        return false;
    create_file(c->log_file, &who);
    create_file(audit_path(c), &who);
    if (!become(&who, error, size) || !check_files(c, config_path, error, size))
        return false;
    log_info("privileges_dropped", "user:s uid:u gid:u", c->run_user, (uint64_t)who.uid,
             (uint64_t)who.gid);
    return true;
}

/* --- cores ----------------------------------------------------------------------------------- */

/* A limit of 0 stops files, and not what a pipe of the system collects: a process that is not
   dumpable leaves nothing at all. Leak checking looks into the process as a debugger does. */
static void limit_cores(const struct config *c)
{
    const struct rlimit none = {0, 0};

    if (!c->run_core_dumps)
        setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, c->run_core_dumps || SANITIZED, 0, 0, 0);
}

bool privileges_apply(const struct config *config, const char *config_path, char *error,
                      size_t size)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail(error, size, "no_new_privs: %s", strerror(errno));
    if (*config->run_user && !change_user(config, config_path, error, size))
        return false;
    limit_cores(config); /* a change of the user sets it anew */
    return true;
}
