/*
 * Prints what is made from the program's tables: the manual pages, docs/METRICS.md,
 * docs/CONSOLE.md, docs/ERRORS.md, and the completion for bash. A program of the build, not
 * installed.
 *
 * Usage: vtshim-documents man8|man5|man7|metrics|console|errors|completion
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/options.h"
#include "protocol/reply.h"
#include "proxy/admin_parse.h"
#include "proxy/api_command.h"
#include "proxy/metrics.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *words, *syntax, *help;
    enum config_role right;
} COMMANDS[] = {
#define ADMIN_COMMAND(first, form, text, role, handler)                                            \
    {.words = first, .syntax = form, .help = text, .right = CONFIG_ROLE_##role},
#include "proxy/admin_commands.def"
#undef ADMIN_COMMAND
};

enum completion { FILE_NAME, ADDRESS, NUMBER, NOTHING };

static const struct {
    const char *name, *argument, *help;
    enum completion completion;
} OPTIONS[] = {
#define COMPLETION_FILE    FILE_NAME
#define COMPLETION_ADDRESS ADDRESS
#define COMPLETION_NUMBER  NUMBER
#define COMPLETION_NOTHING NOTHING
#define COMMAND_LINE(word, value, letter, kind, text)                                              \
    {.name = word, .argument = value, .help = text, .completion = COMPLETION_##kind},
#include "proxy/command_line.def"
#undef COMMAND_LINE
};

static const char *const CLOSES[] = {
#define CLOSE(NAME, text) text,
#include "proxy/closes.def"
#undef CLOSE
};

/* --- Markdown -------------------------------------------------------------------------------- */

/* A bar would end the cell. */
static void print_cell(const char *text)
{
    for (; *text; text++)
        printf(*text == '|' ? "\\|" : "%c", *text);
}

/* ... and the first two lines of a table. */
static void print_head(const char *title, const char *source, const char *text, const char *columns)
{
    printf("# %s\n\n<!-- Written by vtshim-documents from %s; do not edit: "
           "cmake --build build/dev --target docs-tables -->\n\n%s\n\n| %s |\n",
           title, source, text, columns);
    for (; columns; columns = strchr(columns + 1, '|'))
        fputs("|---", stdout);
    fputs("|\n", stdout);
}

static void print_metric(const char *name, const char *kind, const char *labels, const char *help)
{
    printf("| `%s` | %s | ", name, kind);
    for (const char *l = labels; *l;) {
        size_t n = strcspn(l, " ");

        printf("%s`%.*s`", l == labels ? "" : ", ", (int)n, l);
        l += n + strspn(l + n, " ");
    }
    fputs(" | ", stdout);
    print_cell(help);
    fputs(" |\n", stdout);
}

static void print_metrics(void)
{
    size_t n;
    const struct metric_row *rows = metrics_table(&n);

    print_head(
        "Metrics", "proxy/metrics.def and proxy/metric_families.def",
        "What `/metrics` has, in Prometheus' text format. `SHOW STATS` on the admin port shows "
        "those without\nlabels. Counters begin at 0 with the process.",
        "Metric | Type | Labels | What it tells");
    for (size_t i = 0; i < n; i++)
        print_metric(rows[i].name, metric_kind_name(rows[i].kind), "", rows[i].help);
    for (enum metric_family f = 0; f < METRIC_FAMILIES; f++) {
        const struct metric_family_row *row = metric_family_row(f);

        print_metric(row->name, row->kind, row->labels, row->help);
    }
    fputs("\nThe values of `reason`:", stdout);
    for (size_t i = 0; i < COUNT(CLOSES); i++)
        printf("%s `%s`", i ? "," : "", CLOSES[i]);
    fputs(".\n", stdout);
}

/* Where the HTTP API has a command: its paths, or why there is none. */
static void print_http(const char *words)
{
    size_t n, m;
    const struct api_route *routes = api_routes(&n);
    const struct api_without *withouts = api_withouts(&m);
    const char *between = "";

    for (size_t i = 0; i < n; i++) {
        struct admin_error unused;
        struct lexer lx;

        lexer_init(&lx, routes[i].form, strlen(routes[i].form));
        int row = *routes[i].form == '{' ? -1 : admin_parse_command(&lx, &unused);

        if (row < 0 || strcmp(COMMANDS[row].words, words) != 0)
            continue;
        printf("%s`%s %s`", between, api_method_name(routes[i].method), routes[i].path);
        between = ", ";
    }
    for (size_t i = 0; i < m; i++) {
        if (strcmp(withouts[i].words, words) == 0)
            printf("none: %s", withouts[i].why);
    }
}

static void print_console(void)
{
    print_head(
        "Console", "proxy/admin_commands.def and proxy/api_routes.def",
        "The commands of the admin port (any MySQL client, any driver, prepared or not), and "
        "the role that each\nneeds: `viewer` looks, `operator` also changes traffic and "
        "migrations, `admin` also settings and the process.\n`SHOW HELP` is this list. The last "
        "column is the same over HTTP, below `/api/v1` ([openapi.json](openapi.json));\n"
        "`POST /commands` takes any command as text.",
        "Command | Right | What it does | HTTP");
    for (size_t i = 0; i < COUNT(COMMANDS); i++) {
        fputs("| `", stdout);
        print_cell(COMMANDS[i].syntax);
        printf("` | %s | ", config_role_name(COMMANDS[i].right));
        print_cell(COMMANDS[i].help);
        fputs(" | ", stdout);
        print_http(COMMANDS[i].words);
        fputs(" |\n", stdout);
    }
}

static void print_errors(void)
{
    print_head(
        "Errors", "protocol/errors.def",
        "The errors that the shim itself sends to applications. Codes and states are MySQL's, so "
        "that clients treat\nthem as they treat the like of a server; `SHOW ERRORS` on the admin "
        "port "
        "counts them. Not in the list, for\ntheir codes depend on what was found: refusals of the "
        "preflight of a DDL (MySQL's own code and text where it has\none), of `ALTER VSCHEMA`, and "
        "of "
        "vtctld. What to do about an error is in the [guide](GUIDE.md#errors-of-the-shim).",
        "Code | SQLSTATE | Text | When");
    for (enum shim_error e = 0; e < SHIM_ERROR_COUNT; e++) {
        const struct shim_error_row *row = shim_error_row(e);

        printf("| %u | %s | ", (unsigned)row->code, row->state);
        print_cell(row->text);
        fputs(" | ", stdout);
        print_cell(row->doc);
        fputs(" |\n", stdout);
    }
}

/* --- manual pages ---------------------------------------------------------------------------- */

/* As text of a manual page: a backslash, a dash, and what begins a line as a command would. */
static void print_roff(const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", stdout);
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-')
            fputs("\\-", stdout);
        else if (*text == ',' && text[1] != ' ')
            fputs(",\\:", stdout); /* a long list may be broken here */
        else
            putchar(*text);
    }
}

static void print_title(const char *name, const char *section, const char *what)
{
    char upper[32];
    size_t n = strlen(name);

    for (size_t i = 0; i <= n && i < sizeof(upper); i++)
        upper[i] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 32) : name[i];
    printf(".TH %s %s \"\" \"vtshim " VTSHIM_VERSION "\" \"vtshim\"\n.ad l\n.SH NAME\n%s \\- %s\n",
           upper, section, name, what);
}

static void print_item(const char *bold, const char *italic)
{
    fputs(".TP\n\\fB", stdout);
    print_roff(bold);
    fputs("\\fR", stdout);
    if (italic) {
        fputs(" \\fI", stdout);
        print_roff(italic);
        fputs("\\fR", stdout);
    }
    putchar('\n');
}

static void print_see_also(const char *text)
{
    printf(".SH SEE ALSO\n%s\n", text);
}

static void print_man8(void)
{
    print_title("vtshim", "8", "MySQL-protocol proxy in front of Vitess's vtgate");
    fputs(".SH SYNOPSIS\n.B vtshim\n[\\fB\\-\\-config\\fR \\fIFILE\\fR] [\\fB\\-\\-vtgate\\fR "
          "\\fIHOST:PORT\\fR[,...]] [\\fIoption\\fR...]\n.br\n.B vtshim \\-\\-check\n\\&...\n.br\n"
          ".B vtshim \\-\\-hash\\-password\n"
          ".SH DESCRIPTION\nApplications connect to vtshim instead of vtgate and notice nothing. "
          "DDL runs as a managed online schema change on every shard, and operators can hold the "
          "traffic of a table, a keyspace or everything while something changes.\n"
          ".SH OPTIONS\nSettings come from the defaults, then the file, then these options.\n",
          stdout);
    for (size_t i = 0; i < COUNT(OPTIONS); i++) {
        char name[40];

        snprintf(name, sizeof(name), "--%s", OPTIONS[i].name);
        print_item(name, OPTIONS[i].argument);
        print_roff(OPTIONS[i].help);
        putchar('\n');
    }
    fputs(
        ".SH SIGNALS\n"
        ".TP\n\\fBSIGTERM\\fR, \\fBSIGINT\\fR\nNo connection is accepted any more; commands and "
        "transactions may end, for at most timeouts.shutdown_s. A second one ends at once.\n"
        ".TP\n\\fBSIGHUP\\fR\nThe settings and certificates are read anew, all or nothing; the log "
        "says what changed and what needs a restart.\n"
        ".TP\n\\fBSIGUSR1\\fR\nlog.file and audit.file are opened anew: for logrotate(8).\n"
        ".TP\n\\fBSIGUSR2\\fR\nThe program is started anew and takes over the listening sockets: "
        "no "
        "connection attempt is lost. The old process lets its sessions end as after SIGTERM. "
        "Refused while holds are in force. Not in a container, where the first process must "
        "stay.\n"
        ".SH EXIT STATUS\n0 after an orderly end, 1 when something could not be opened, 2 for a "
        "mistake in options or settings.\n"
        ".SH ENVIRONMENT\n\\fBNOTIFY_SOCKET\\fR, \\fBWATCHDOG_USEC\\fR, \\fBLISTEN_FDS\\fR and "
        "\\fBJOURNAL_STREAM\\fR are understood as systemd(1) sets them.\n"
        ".SH FILES\n.TP\n.I /etc/vtshim/vtshim.json\nThe settings of the service.\n"
        ".TP\n.I /var/log/vtshim\nFor log.file and audit.file; logrotate(8) turns over *.log "
        "there. "
        "Without them the log is in the journal.\n",
        stdout);
    print_see_also("\\fBvtshim.conf\\fR(5), \\fBvtshim\\-admin\\fR(7)");
}

static void print_setting(const struct option_row *row)
{
    char bounds[256];

    option_format_bounds(row, bounds, sizeof(bounds));
    print_item(row->key, option_type_name(row));
    print_roff(row->doc);
    fputs("\n.br\n", stdout);
    if (!row->fallback)
        fputs("Must be given", stdout);
    else if (!*row->fallback)
        fputs("Default: empty", stdout);
    else {
        fputs("Default: ", stdout);
        print_roff(row->fallback);
    }
    if (*bounds) {
        fputs("; allowed: ", stdout);
        print_roff(bounds);
    }
    printf("; %s.\n", row->reloadable ? "taken over by a reload" : "needs a restart");
}

static void print_man5(void)
{
    size_t n;
    const struct option_row *rows = options_table(&n);

    print_title("vtshim.conf", "5", "settings of vtshim");
    fputs(".SH DESCRIPTION\nOne object of JSON. A setting whose name has a dot stands in a nested "
          "object, {\"ddl\": {\"poll_interval_ms\": 500}}, or under its full name. Only vtgate has "
          "no "
          "default. What is unknown, out of bounds or does not fit together is refused with file "
          "and line: \\fBvtshim \\-\\-check \\-\\-config\\fR \\fIFILE\\fR.\n.SH SETTINGS\n",
          stdout);
    for (size_t i = 0; i < n; i++)
        print_setting(&rows[i]);
    fputs(".SH EXAMPLE\n.EX\n{\"listen\": [\"0.0.0.0:3306\"], \"vtgate\": "
          "[\"vtgate\\-1:15306\"]}\n.EE\n",
          stdout);
    print_see_also("\\fBvtshim\\fR(8), \\fBvtshim\\-admin\\fR(7)");
}

static void print_man7(void)
{
    print_title("vtshim-admin", "7", "commands of vtshim's admin port");
    fputs(
        ".SH DESCRIPTION\nThe admin port (admin in vtshim.conf(5)) speaks the MySQL protocol: "
        "\\fBmariadb \\-h 127.0.0.1 \\-P 13307\\fR, or any driver. A user of admin_users has a "
        "role: "
        "viewer, operator or admin; each has the rights of those before it. What changes "
        "something is in the audit log.\n.PP\nBehind a SHOW there may be LIKE 'pattern', of the "
        "first column, and WHERE \\fIcolumn op value\\fR [AND ...], where \\fIop\\fR is =, !=, "
        "<>, <, <=, >, >= or LIKE. Case is ignored, numbers compare as numbers: "
        "\\fBSHOW TRANSACTIONS WHERE open_s > 60\\fR. Statements may be prepared, with a parameter "
        "for a number or a quoted text.\n.SH COMMANDS\n",
        stdout);
    for (size_t i = 0; i < COUNT(COMMANDS); i++) {
        print_item(COMMANDS[i].syntax, NULL);
        print_roff(COMMANDS[i].help);
        printf(" Needs the role %s.\n", config_role_name(COMMANDS[i].right));
    }
    print_see_also("\\fBvtshim\\fR(8), \\fBvtshim.conf\\fR(5)");
}

/* --- completion ------------------------------------------------------------------------------ */

static void print_options(enum completion kind, const char *between)
{
    bool first = true;

    for (size_t i = 0; i < COUNT(OPTIONS); i++) {
        if (OPTIONS[i].completion != kind)
            continue;
        printf("%s--%s", first ? "" : between, OPTIONS[i].name);
        first = false;
    }
}

static void print_completion(void)
{
    fputs("# bash completion for vtshim\n_vtshim() {\n    local word=${COMP_WORDS[COMP_CWORD]}\n"
          "    COMPREPLY=()\n    case ${COMP_WORDS[COMP_CWORD - 1]} in\n    ",
          stdout);
    print_options(FILE_NAME, " | ");
    fputs(")\n        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n        compopt -o "
          "filenames "
          "2>/dev/null\n        return\n        ;;\n    ",
          stdout);
    print_options(ADDRESS, " | ");
    fputs(" | ", stdout);
    print_options(NUMBER, " | ");
    fputs(")\n        return\n        ;;\n    esac\n    mapfile -t COMPREPLY < <(compgen -W '",
          stdout);
    for (size_t i = 0; i < COUNT(OPTIONS); i++)
        printf("%s--%s", i ? " " : "", OPTIONS[i].name);
    fputs("' -- \"$word\")\n}\ncomplete -F _vtshim vtshim\n", stdout);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } DOCUMENTS[] = {
        {"man8", print_man8},
        {"man5", print_man5},
        {"man7", print_man7},
        {"metrics", print_metrics},
        {"console", print_console},
        {"errors", print_errors},
        {"completion", print_completion},
    };

    for (size_t i = 0; argc == 2 && i < COUNT(DOCUMENTS); i++) {
        if (strcmp(argv[1], DOCUMENTS[i].name) == 0) {
            DOCUMENTS[i].print();
            return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
        }
    }
    fputs("Usage: vtshim-documents man8|man5|man7|metrics|console|errors|completion\n", stderr);
    return EXIT_FAILURE;
}
