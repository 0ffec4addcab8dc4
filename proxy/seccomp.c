/*
 * A list of system calls, given to the kernel through libseccomp.
 */
#include "proxy/seccomp.h"

#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "proxy/log.h"
#include "proxy/sanitized.h"

#define VARIABLE "VTSHIM_SECCOMP" /* tells a successor what is in force: log or enforce */

static const char *const NAMES[] = {
#define SYSCALL(name) #name,
#include "proxy/seccomp.def"
#undef SYSCALL
};

static const int FAMILIES[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

static const char *mode_name(enum config_seccomp mode)
{
    return mode == CONFIG_SECCOMP_LOG ? "log" : "enforce";
}

/* The predecessor's, if it was one. (The variable alone proves nothing.) */
static bool is_in_force(enum config_seccomp mode)
{
    const char *said = getenv(VARIABLE);

    return said && strcmp(said, mode_name(mode)) == 0 && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2;
}

/* A name that this libseccomp or this processor does not know cannot be called by us either. */
static int allow(scmp_filter_ctx filter, const char *name)
{
    int number = seccomp_syscall_resolve_name(name);

    if (number == __NR_SCMP_ERROR || number < 0)
        return 0;
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
}

static int fill(scmp_filter_ctx filter)
{
    int error = 0;

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]) && !error; i++) {
        if (strcmp(NAMES[i], "socket") != 0)
            error = allow(filter, NAMES[i]);
    }
    for (size_t i = 0; i < sizeof(FAMILIES) / sizeof(FAMILIES[0]) && !error; i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                                 SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)FAMILIES[i]));
    return error;
}

/* Negative errno, or 0. */
static int load(enum config_seccomp mode)
{
    scmp_filter_ctx filter =
        seccomp_init(mode == CONFIG_SECCOMP_LOG ? SCMP_ACT_LOG : SCMP_ACT_ERRNO(EPERM));

    if (!filter)
        return -ENOMEM;
    int error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);

    /* What is refused is in the kernel's audit log, too; a kernel that cannot (before 4.14) does
     * without. */
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
    if (!error)
        error = fill(filter);
    if (!error)
        error = seccomp_load(filter);
    seccomp_release(filter);
    return error;
}

bool seccomp_apply(enum config_seccomp mode)
{
    if (mode == CONFIG_SECCOMP_OFF || is_in_force(mode))
        return true;
    if (SANITIZED) {
        log_warn("seccomp_left_out", "reason:s", "built with a sanitizer");
        return true;
    }
    int error = load(mode);

    if (error) {
        log_error("seccomp_failed", "error:s", strerror(-error));
        return false;
    }
    setenv(VARIABLE, mode_name(mode), 1);
    log_info("seccomp", "mode:s calls:u", mode_name(mode),
             (uint64_t)(sizeof(NAMES) / sizeof(NAMES[0])));
    return true;
}
