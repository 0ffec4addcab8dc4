/*
 * A list of system calls, given to the kernel as a program of its own making: an instruction to
 * compare and one to allow for each. libseccomp knows the numbers; its own filters are not used,
 * for they take memory, and one that was made while there was none refused every call, with which a
 * process can do nothing but spin.
 */
#include "proxy/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/log.h"
#include "proxy/sanitized.h"

#define VARIABLE "VTSHIM_SECCOMP" /* tells a successor which of MODES is in force */

static const struct {
    const char *name;
    uint32_t answer; /* to a call that is not in the list */
} MODES[] = {
    [CONFIG_SECCOMP_LOG] = {"log", SECCOMP_RET_LOG},
    [CONFIG_SECCOMP_ENFORCE] = {"enforce", SECCOMP_RET_ERRNO | EPERM},
    [CONFIG_SECCOMP_KILL] = {"kill", SECCOMP_RET_KILL_PROCESS},
};

static const char *const NAMES[] = {
#define SYSCALL(name) #name,
#include "proxy/seccomp.def"
#undef SYSCALL
#if SANITIZED
    "ptrace", /* its run time looks for leaks as a debugger would */
#endif
};

static const int FAMILIES[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

/* The predecessor's, if it was one. (The variable alone proves nothing.) */
static bool is_in_force(enum config_seccomp mode)
{
    const char *said = getenv(VARIABLE);

    return said && strcmp(said, MODES[mode].name) == 0 && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2;
}

#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))
#define X32_CALLS  0x40000000u /* numbers of x86-64's other interface begin here */
#define FIELD(f)   ((uint32_t)offsetof(struct seccomp_data, f))
#define LOW_WORD   (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4u : 0u)
#define FILTER_MAX (2 * (COUNT(NAMES) + COUNT(FAMILIES)) + 16)

struct filter {
    struct sock_filter code[FILTER_MAX];
    unsigned short n;
};

static void add(struct filter *f, uint16_t code, uint32_t k, uint8_t when_not)
{
    f->code[f->n++] = (struct sock_filter){.code = code, .k = k, .jf = when_not};
}

/* If what was loaded last is `value` then that is the answer. */
static void answer_if(struct filter *f, uint32_t value, uint32_t answer)
{
    add(f, BPF_JMP | BPF_JEQ | BPF_K, value, 1);
    add(f, BPF_RET | BPF_K, answer, 0);
}

/* A name that this libseccomp or this processor does not know cannot be called by us either. */
static bool find_call(const char *name, uint32_t *number)
{
    int found = seccomp_syscall_resolve_name(name);

    *number = (uint32_t)found;
    return found >= 0;
}

/* Any other processor's calls end the process; those that are not in the list get `otherwise`. */
static void fill(struct filter *f, uint32_t otherwise)
{
    uint32_t number;

    add(f, BPF_LD | BPF_W | BPF_ABS, FIELD(arch), 0);
    add(f, BPF_JMP | BPF_JEQ | BPF_K, seccomp_arch_native(), 0);
    f->code[f->n - 1].jt = 1;
    add(f, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0);
    add(f, BPF_LD | BPF_W | BPF_ABS, FIELD(nr), 0);
    if (seccomp_arch_native() == AUDIT_ARCH_X86_64) {
        add(f, BPF_JMP | BPF_JGE | BPF_K, X32_CALLS, 1);
        add(f, BPF_RET | BPF_K, otherwise, 0);
    }
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        if (strcmp(NAMES[i], "socket") != 0 && find_call(NAMES[i], &number))
            answer_if(f, number, SECCOMP_RET_ALLOW);
    }
    if (find_call("socket", &number)) {
        add(f, BPF_JMP | BPF_JEQ | BPF_K, number, 1 + 2 * COUNT(FAMILIES));
        add(f, BPF_LD | BPF_W | BPF_ABS, FIELD(args) + LOW_WORD, 0);
        for (size_t i = 0; i < COUNT(FAMILIES); i++)
            answer_if(f, (uint32_t)FAMILIES[i], SECCOMP_RET_ALLOW);
    }
    add(f, BPF_RET | BPF_K, otherwise, 0);
}

/* For all threads. Negative errno, or 0. */
static int load(enum config_seccomp mode)
{
    static struct filter filter; /* too large for a stack */
    struct sock_fprog program = {.filter = filter.code};

    filter.n = 0;
    fill(&filter, MODES[mode].answer);
    program.len = filter.n;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    /* What is refused is in the kernel's audit log, too; a kernel that cannot (before 4.14) does
     * without. */
    for (unsigned flags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG;;
         flags = SECCOMP_FILTER_FLAG_TSYNC) {
        long done = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);

        if (done == 0)
            return 0;
        if (done > 0)
            return -ESRCH; /* a thread that could not be brought along */
        if (errno != EINVAL || !(flags & SECCOMP_FILTER_FLAG_LOG))
            return -errno;
    }
}

bool seccomp_apply(enum config_seccomp mode)
{
    if (mode == CONFIG_SECCOMP_OFF || is_in_force(mode))
        return true;
    int error = load(mode);

    if (error) {
        log_error("seccomp_failed", "error:s", strerror(-error));
        return false;
    }
    setenv(VARIABLE, MODES[mode].name, 1);
    log_info("seccomp", "mode:s calls:u", MODES[mode].name, (uint64_t)COUNT(NAMES));
    return true;
}
