/*
 * What people and clients ask of any MySQL server by habit: SHOW PROCESSLIST, VARIABLES, STATUS,
 * DATABASES, TABLES. The shim's own answers in MySQL's columns; nothing here is known nowhere else.
 * (MySQL 8.4 Reference Manual, 15.7.7.31 "SHOW PROCESSLIST Statement".)
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "planner/ascii.h"
#include "planner/digest.h"
#include "protocol/command.h"
#include "protocol/packet.h"
#include "proxy/admin_commands.h"
#include "proxy/admin_gather.h"
#include "proxy/admin_select.h"
#include "proxy/admin_values.h"
#include "proxy/gate.h"
#include "proxy/migration.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/worker.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define INFO_MAX     (100 + 1)   /* as MySQL cuts it, and a NUL */
#define FULL_MAX     (4096 + 1)  /* with FULL */
#define READ_MAX     (16u << 10) /* of a statement: many may be parked, and be large */

/* --- SHOW PROCESSLIST ------------------------------------------------------------------------ */

/* MySQL's names of commands (sql/sql_parse.cc, Command_names). */
static const char *command_text(const struct session *s)
{
    static const struct {
        uint8_t command;
        const char *name;
    } NAMES[] = {
        {COM_QUERY, "Query"},
        {COM_STMT_PREPARE, "Prepare"},
        {COM_STMT_EXECUTE, "Execute"},
        {COM_STMT_FETCH, "Fetch"},
        {COM_STMT_RESET, "Reset stmt"},
        {COM_INIT_DB, "Init DB"},
        {COM_FIELD_LIST, "Field List"},
        {COM_STATISTICS, "Statistics"},
        {COM_PING, "Ping"},
        {COM_SET_OPTION, "Set option"},
        {COM_CHANGE_USER, "Change user"},
        {COM_RESET_CONNECTION, "Reset Connection"},
        {COM_BINLOG_DUMP, "Binlog Dump"},
        {COM_BINLOG_DUMP_GTID, "Binlog Dump GTID"},
    };
    uint8_t command = s->state == SESSION_PARKED && s->input.len > PACKET_HEADER
                          ? s->input.data[PACKET_HEADER]
                          : s->command;

    if (s->state == SESSION_LOGIN)
        return "Connect";
    if (s->state == SESSION_IDLE || s->state == SESSION_CLOSING)
        return "Sleep";
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        if (NAMES[i].command == command)
            return NAMES[i].name;
    }
    return command_name(command);
}

/* The text in a packet, if it is of a command that has one. NULL: it has none. */
static const char *packet_text(const uint8_t *packet, size_t have, size_t *len)
{
    if (have <= PACKET_HEADER + 1 ||
        (packet[PACKET_HEADER] != COM_QUERY && packet[PACKET_HEADER] != COM_STMT_PREPARE))
        return NULL;
    size_t payload = load_u24(packet);

    have -= PACKET_HEADER;
    *len = (payload < have ? payload : have) - 1;
    return (const char *)packet + PACKET_HEADER + 1;
}

/* The statement under way, as far as a copy of it is kept for another reason; else NULL. */
static const char *statement_text(const struct session *s, size_t *len)
{
    const char *text = migration_text(s, len);

    if (!text)
        text = gate_text(s, len);
    if (!text && s->state == SESSION_PARKED)
        text = packet_text(s->input.data, s->input.len, len);
    if (!text && s->kept)
        text = packet_text(s->kept->bytes, s->kept->len, len);
    return text;
}

static const char *state_text(struct admin_values *vs, const struct session *s)
{
    char *text = admin_value(vs);

    if (s->state == SESSION_PARKED)
        snprintf(text, ADMIN_VALUE_MAX, "parked behind hold %" PRIu64, s->parked_by);
    else if (s->state == SESSION_IDLE && s->status & STATUS_IN_TRANSACTION)
        snprintf(text, ADMIN_VALUE_MAX, "in transaction");
    else
        snprintf(text, ADMIN_VALUE_MAX, "%s", session_state_name(s->state));
    return text;
}

/* Since when it is in its state; of a command, or of idleness, as the sweep has seen it
   (WORKER_SWEEP_MS). */
static int64_t state_since_ms(const struct session *s, int64_t now)
{
    if (s->state == SESSION_LOGIN)
        return s->connected_ms;
    if (s->state == SESSION_PARKED)
        return s->parked_us / 1000;
    if (s->state == SESSION_CLOSING)
        return s->since_ms;
    if (s->commands != s->swept_commands)
        return now;
    return s->state == SESSION_IDLE ? s->since_ms : (int64_t)s->busy_s * 1000;
}

static void add_process(struct admin_table *t, const struct session *s, int64_t now, size_t info)
{
    struct admin_values vs = {.n = 0};
    char digest[FULL_MAX];
    size_t len = 0;
    const char *text = statement_text(s, &len);

    if (text)
        statement_digest(digest, info, text, len < READ_MAX ? len : READ_MAX);
    admin_table_row(t, (const char *const[]){
                           admin_number(&vs, (int64_t)s->id),
                           s->user,
                           s->peer,
                           s->database,
                           command_text(s),
                           admin_number(&vs, (now - state_since_ms(s, now)) / 1000),
                           state_text(&vs, s),
                           text ? digest : NULL,
                       });
}

static void add_processes(struct admin_table *t, struct worker *w, size_t info)
{
    const struct session *s;
    int64_t now = clock_ms();

    TAILQ_FOREACH(s, &w->sessions, link)
    add_process(t, s, now, info);
}

static void add_short(struct admin_table *t, struct worker *w)
{
    add_processes(t, w, INFO_MAX);
}

static void add_full(struct admin_table *t, struct worker *w)
{
    add_processes(t, w, FULL_MAX);
}

static void show_processes(struct admin_request *rq, struct lexer *lx, admin_gather_fn *fn)
{
    static const char *const NAMES[] = {"Id",      "User", "Host",  "db",
                                        "Command", "Time", "State", "Info"};

    if (admin_expect_end(rq, lx))
        admin_gather(rq, NAMES, COUNT(NAMES), fn);
}

void admin_show_processlist(struct admin_request *rq, struct lexer *lx)
{
    show_processes(rq, lx, add_short);
}

void admin_show_full_processlist(struct admin_request *rq, struct lexer *lx)
{
    show_processes(rq, lx, add_full);
}

/* --- SHOW VARIABLES, SHOW STATUS ------------------------------------------------------------- */

static const char *const VARIABLE_NAMES[] = {"Variable_name", "Value"};

void admin_show_variables(struct admin_request *rq, struct lexer *lx)
{
    size_t n, m;

    if (!admin_expect_end(rq, lx))
        return;
    const struct option_row *rows = options_table(&n);
    const struct admin_variable *variables = admin_variables(&m);
    struct admin_table *t = admin_table_create(VARIABLE_NAMES, COUNT(VARIABLE_NAMES));

    for (size_t i = 0; i < n; i++) {
        char value[ADMIN_SETTING_MAX];

        option_format(rq->server->config, &rows[i], value, sizeof(value)); /* no secret's value */
        admin_table_row(t, (const char *const[]){rows[i].key, value});
    }
    for (size_t i = 0; i < m; i++)
        admin_table_row(t, (const char *const[]){variables[i].name, variables[i].value});
    admin_reply_table(rq, t);
}

void admin_show_status(struct admin_request *rq, struct lexer *lx)
{
    struct admin_values vs = {.n = 0};
    size_t n;

    if (!admin_expect_end(rq, lx))
        return;
    const struct metric_row *rows = metrics_table(&n);
    struct admin_table *t = admin_table_create(VARIABLE_NAMES, COUNT(VARIABLE_NAMES));
    const char *uptime = admin_number(&vs, (clock_ms() - rq->server->started_ms) / 1000);
    const char *sessions = admin_number(&vs, (int64_t)atomic_load(&rq->server->sessions));

    admin_table_row(t, (const char *const[]){"Uptime", uptime});
    admin_table_row(t, (const char *const[]){"Threads_connected", sessions});
    for (size_t i = 0; i < n; i++) {
        char value[40];

        metric_format(value, sizeof(value), rows[i].kind, server_metric(rq->server, &rows[i]));
        admin_table_row(t, (const char *const[]){rows[i].name, value});
    }
    admin_reply_table(rq, t);
}

/* --- SHOW DATABASES, SHOW TABLES ------------------------------------------------------------- */

#define DATABASE "vtshim"

void admin_show_databases(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Database"};

    if (!admin_expect_end(rq, lx))
        return;
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));

    admin_table_row(t, (const char *const[]){DATABASE});
    admin_reply_table(rq, t);
}

/* FROM, or IN, the only database. */
static bool read_database(struct lexer *lx, struct admin_error *error)
{
    struct lexer ahead = *lx;
    struct token t = lexer_next(&ahead);

    if (!token_is(&t, "FROM") && !token_is(&t, "IN"))
        return true;
    t = lexer_next(&ahead);
    *lx = ahead;
    if ((t.kind == TOKEN_WORD || t.kind == TOKEN_QUOTED) && t.len == strlen(DATABASE) &&
        strncasecmp(t.text, DATABASE, t.len) == 0)
        return true;
    return admin_parse_refuse(error, &t,
                              "vtshim: the console has no other (SHOW HELP lists its commands)");
}

static void add_name(void *arg, const char *name)
{
    char text[64];
    size_t n = 0;

    for (; name[n] && n < sizeof(text) - 1; n++)
        text[n] = ascii_lower(name[n]);
    text[n] = '\0';
    admin_table_row(arg, (const char *const[]){text});
}

void admin_show_tables(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Tables_in_" DATABASE};
    struct admin_error error;

    if (!read_database(lx, &error)) {
        admin_refuse(rq, &error);
        return;
    }
    if (!admin_expect_end(rq, lx))
        return;
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));

    admin_each_show(rq->role, add_name, t);
    admin_reply_table(rq, t);
}
