/*
 * The command line. Settings come from the defaults, then the file, then the options.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "config/check.h"
#include "config/load.h"
#include "config/options.h"
#include "proxy/auth.h"
#include "proxy/gate.h"
#include "proxy/library_memory.h"
#include "proxy/log.h"
#include "proxy/privileges.h"
#include "proxy/reload.h"
#include "proxy/restart.h"
#include "proxy/server.h"

/* The options that set a setting, and those that do something. */
static const struct option OPTIONS[] = {
#define COMMAND_LINE(word, argument, letter, completion, text)                                     \
    {word, (argument) ? required_argument : no_argument, NULL, letter},
#include "proxy/command_line.def"
#undef COMMAND_LINE
    {NULL, 0, NULL, 0},
};

static const struct {
    const char *name, *argument, *help;
} HELP_LINES[] = {
#define COMMAND_LINE(word, value, letter, completion, text)                                        \
    {.name = word, .argument = value, .help = text},
#include "proxy/command_line.def"
#undef COMMAND_LINE
};

static const char USAGE[] =
    "Usage: vtshim [--config FILE] [--listen HOST:PORT[,...]] [--vtgate HOST:PORT[,...]]\n"
    "              [--admin HOST:PORT] [--http HOST:PORT] [--workers N]\n"
    "       vtshim --check ... | --hash-password | --version | --help\n"
    "\n"
    "A MySQL-protocol proxy in front of Vitess's vtgate: ordinary queries pass, DDL runs as "
    "online\n"
    "schema change on every shard, and operators can hold traffic while things change.\n"
    "\n";

static int print_help(void)
{
    fputs(USAGE, stdout);
    for (size_t i = 0; i < sizeof(HELP_LINES) / sizeof(HELP_LINES[0]); i++) {
        char left[32];
        const char *argument = HELP_LINES[i].argument;

        snprintf(left, sizeof(left), "--%s%s%s", HELP_LINES[i].name, argument ? " " : "",
                 argument ? argument : "");
        printf("  %-15s %s\n", left, HELP_LINES[i].help);
    }
    return 0;
}

/* From a terminal without echo, else the first line of standard input. */
static bool read_password(char *password, size_t size)
{
    struct termios before, silent;
    bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;

    if (terminal) {
        fputs("Password: ", stderr);
        silent = before;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    setvbuf(stdin, NULL, _IONBF, 0); /* no copy of it in a buffer */
    bool ok = fgets(password, (int)size, stdin);

    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputs("\n", stderr);
    }
    if (ok)
        password[strcspn(password, "\r\n")] = '\0';
    return ok && *password;
}

static int hash_password(void)
{
    char password[256] = "", text[AUTH_HASH_SIZE];
    int status = 0;

    if (read_password(password, sizeof(password))) {
        admin_secret_hash(text, password);
        puts(text);
    } else {
        fputs("vtshim: no password came on standard input\n", stderr);
        status = 2;
    }
    explicit_bzero(password, sizeof(password));
    return status;
}

static int usage_error(const char *text)
{
    fprintf(stderr, "vtshim: %s\nTry 'vtshim --help'.\n", text);
    return 2;
}

/* The file named by --config has to be read before the other options are applied. */
static const char *config_path(int argc, char **argv)
{
    const char *path = NULL;
    int c;

    optind = 0; /* a GNU getopt starts over */
    opterr = 0;
    while ((c = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        if (c == 'c')
            path = optarg;
    }
    optind = 0;
    opterr = 1;
    return path;
}

/* What the command line asks for besides settings. */
enum action { RUN, CHECK, HASH, HELP, VERSION, MISUSE };

struct command_line {
    int argc;
    char **argv;
};

/* Defaults, file and command line. On false, *error says why. *action: MISUSE was told about. */
static bool read_settings(const struct command_line *cl, struct config *config, enum action *action,
                          struct config_error *error)
{
    const char *path = config_path(cl->argc, cl->argv);
    int c, index = 0;

    if (path && !config_load_file(path, config, error))
        return false;
    while ((c = getopt_long(cl->argc, cl->argv, "", OPTIONS, &index)) != -1) {
        if (c == 'c') {
            continue;
        } else if (c == 'k') {
            *action = CHECK;
        } else if (c == 'h' || c == 'H' || c == 'V' || c == '?') {
            *action = c == 'h' ? HELP : c == 'H' ? HASH : c == 'V' ? VERSION : MISUSE;
            return true;
        } else if (!option_set_text(config, OPTIONS[index].name, optarg, error)) {
            char text[sizeof(error->text)];

            memcpy(text, error->text, sizeof(text));
            snprintf(error->text, sizeof(error->text), "--%.500s", text);
            return false;
        }
    }
    return true;
}

/* What all settings have to be, whatever they are for. */
static bool check_settings(const struct config *config, struct config_error *error)
{
    const char *rule;

    if (!config_check(config, error))
        return false;
    rule = gate_check_config(config);
    if (rule)
        snprintf(error->text, sizeof(error->text),
                 "ddl.preflight_allow: %.400s is no rule of the preflight", rule);
    return !rule;
}

/* For reload.c: the same once more. */
static struct config *load_again(void *arg, char *text, size_t size)
{
    struct config *config = config_create_default();
    struct config_error error = {""};
    enum action action = RUN;

    if (read_settings(arg, config, &action, &error) && check_settings(config, &error))
        return config;
    snprintf(text, size, "%s", error.text);
    config_destroy(config);
    return NULL;
}

static bool check_again(const struct config *config, char *text, size_t size)
{
    struct config_error error;

    if (check_settings(config, &error))
        return true;
    snprintf(text, size, "%s", error.text);
    return false;
}

static int check(const struct config *config)
{
    char text[512];

    if (!privileges_check(config, text, sizeof(text)) ||
        !server_check(config, text, sizeof(text))) {
        fprintf(stderr, "vtshim: %s\n", text);
        return 2;
    }
    puts("configuration is fine");
    return 0;
}

static int run(const struct command_line *cl, const struct config *config,
               const struct reload_source *source)
{
    char error[512];

    log_set_level((enum log_level)config->log_level);
    log_set_json(config->log_format == CONFIG_LOG_JSON);
    log_look_for_journal();
    restart_take_sockets();
    if (!privileges_apply(config, config_path(cl->argc, cl->argv), error, sizeof(error))) {
        log_error("start_failed", "error:s", error);
        return 1;
    }
    log_set_file(config->log_file);
    if (geteuid() == 0)
        log_warn("running_as_root", "hint:s", "run.user names who to become");
    return server_run(config, source);
}

static int start(struct config *config, int argc, char **argv)
{
    struct command_line cl = {argc, argv};
    struct reload_source source = {load_again, &cl, check_again};
    struct config_error error;
    enum action action = RUN;

    if (!read_settings(&cl, config, &action, &error)) {
        fprintf(stderr, "vtshim: %s\n", error.text);
        return 2;
    }
    switch (action) {
    case HELP:
        return print_help();
    case HASH:
        return hash_password();
    case VERSION:
        puts("vtshim " VTSHIM_VERSION);
        return 0;
    case MISUSE:
        fputs("Try 'vtshim --help'.\n", stderr);
        return 2;
    default:
        break;
    }
    if (optind < argc)
        return usage_error("arguments are not expected; settings are given as options");
    if (!check_settings(config, &error)) {
        fprintf(stderr, "vtshim: %s\n", error.text);
        return 2;
    }
    if (action == CHECK)
        return check(config);
    return run(&cl, config, &source);
}

/* A descriptor of 0 to 2 that is closed would be given to a socket, and get log lines. */
static void open_standard_streams(void)
{
    int fd;

    while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO)
        ;
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    library_memory_take_over();
    open_standard_streams();
    restart_remember(argv);
    struct config *config = config_create_default();
    int status = start(config, argc, argv);

    config_destroy(config);
    return status;
}
