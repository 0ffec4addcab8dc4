/*
 * The command line. Settings come from the defaults, then the file, then the options.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/check.h"
#include "config/load.h"
#include "config/options.h"
#include "proxy/gate.h"
#include "proxy/log.h"
#include "proxy/reload.h"
#include "proxy/server.h"

/* The options that set a setting, and those that do something. */
static const struct option OPTIONS[] = {
    {"config", required_argument, NULL, 'c'}, {"listen", required_argument, NULL, 'l'},
    {"vtgate", required_argument, NULL, 'v'}, {"admin", required_argument, NULL, 'a'},
    {"http", required_argument, NULL, 'p'},   {"workers", required_argument, NULL, 'w'},
    {"check", no_argument, NULL, 'k'},        {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
};

static const char USAGE[] =
    "Usage: vtshim [--config FILE] [--listen HOST:PORT[,...]] [--vtgate HOST:PORT[,...]]\n"
    "              [--admin HOST:PORT] [--http HOST:PORT] [--workers N]\n"
    "       vtshim --check ... | --version | --help\n"
    "\n"
    "A MySQL-protocol proxy in front of Vitess's vtgate: ordinary queries pass, DDL runs as "
    "online\n"
    "schema change on every shard, and operators can hold traffic while things change.\n"
    "\n"
    "  --config FILE   settings, as JSON (docs/CONFIG.md); the options below come after it\n"
    "  --listen H:P    where applications connect          (default 127.0.0.1:13306)\n"
    "  --vtgate H:P    the vtgates' MySQL ports            (must be given here or in the file)\n"
    "  --admin H:P     the admin port, MySQL protocol      (default 127.0.0.1:13307; '' for none)\n"
    "  --http H:P      /metrics, /healthz, /readyz         (default 127.0.0.1:13308; '' for none)\n"
    "  --workers N     threads; 0: one for each core       (default 0)\n"
    "  --check         reads the settings, says what is wrong, and ends\n"
    "  --version       prints the version\n"
    "  --help          prints this\n";

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
enum action { RUN, CHECK, HELP, VERSION, MISUSE };

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
        } else if (c == 'h' || c == 'V' || c == '?') {
            *action = c == 'h' ? HELP : c == 'V' ? VERSION : MISUSE;
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

static int check(const struct config *config)
{
    char text[512];

    if (!server_check(config, text, sizeof(text))) {
        fprintf(stderr, "vtshim: %s\n", text);
        return 2;
    }
    puts("configuration is fine");
    return 0;
}

static int start(struct config *config, int argc, char **argv)
{
    struct command_line cl = {argc, argv};
    struct reload_source source = {load_again, &cl};
    struct config_error error;
    enum action action = RUN;

    if (!read_settings(&cl, config, &action, &error)) {
        fprintf(stderr, "vtshim: %s\n", error.text);
        return 2;
    }
    switch (action) {
    case HELP:
        fputs(USAGE, stdout);
        return 0;
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
    log_set_level((enum log_level)config->log_level);
    return server_run(config, &source);
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
    open_standard_streams();
    struct config *config = config_create_default();
    int status = start(config, argc, argv);

    config_destroy(config);
    return status;
}
