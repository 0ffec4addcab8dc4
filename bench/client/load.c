/*
 * usage: load --port N --user NAME --database NAME --threads N --statements N --seconds N
 *
 * A mixture as applications make it, through libmysqlclient, for soaks: short sessions and long ones,
 * statements as texts and prepared, small results and larger ones, transactions, mistakes, clients that
 * vanish. The password is in MYSQL_PWD. Prints a line each second, and ends after that many statements
 * or seconds, whichever comes first:
 *
 *   statements N connects N expected-errors N lost N other N
 *
 * `expected-errors` are the mistakes that it makes on purpose; `lost` sessions that ended under it (it is
 * for who runs it to say whether somebody has ended them); `other` everything else, told on standard error.
 */
#include <getopt.h>
#include <mysql.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS      64
#define SESSION_MAX  3000 /* statements */
#define TOLD_MAX     20
#define LOST_SERVER  2013
#define GONE_AWAY    2006
#define UNKNOWN_NAME 1054
#define NO_TABLE     1146
#define SYNTAX       1064
#define VITESS_ERROR 1105
#define SHUTDOWN     1053
#define INTERRUPTED  1317

static struct {
    unsigned port;
    const char *user, *database, *password;
    long threads, statements, seconds;
} options = {.user = "", .database = "", .threads = 4, .statements = 1000, .seconds = 60};

static _Atomic long statements, connects, expected, lost, other;
static _Atomic bool ended;

struct client {
    pthread_t thread;
    unsigned seed;
    MYSQL *mysql;
    MYSQL_STMT *prepared;
};

static unsigned any(struct client *c, unsigned n)
{
    return (unsigned)rand_r(&c->seed) % n;
}

/* Whether the session goes on. */
static bool note(unsigned code, const char *text, bool wanted)
{
    if (code == 0)
        return true;
    if (code == LOST_SERVER || code == GONE_AWAY || code == SHUTDOWN || code == INTERRUPTED) {
        lost++;
        return false;
    }
    if (wanted && (code == UNKNOWN_NAME || code == NO_TABLE || code == SYNTAX || code == VITESS_ERROR)) {
        expected++;
        return true;
    }
    if (other++ < TOLD_MAX)
        fprintf(stderr, "load: %u %s\n", code, text);
    return code < 2000;
}

static bool run(struct client *c, const char *sql, bool wrong)
{
    unsigned code = 0;

    if (mysql_real_query(c->mysql, sql, strlen(sql)) == 0) {
        MYSQL_RES *result = mysql_store_result(c->mysql);

        if (result)
            mysql_free_result(result);
    }
    code = mysql_errno(c->mysql);
    statements++;
    return note(code, mysql_error(c->mysql), wrong);
}

static bool execute(struct client *c)
{
    static const char SQL[] = "SELECT ?, ?";
    long long number = any(c, 1000000);
    char text[] = "parameter";
    unsigned long length = sizeof(text) - 1;
    MYSQL_BIND bind[2];

    if (c->prepared && any(c, 200) == 0) {
        mysql_stmt_close(c->prepared);
        c->prepared = NULL;
    }
    if (!c->prepared) {
        c->prepared = mysql_stmt_init(c->mysql);
        statements++;
        if (mysql_stmt_prepare(c->prepared, SQL, sizeof(SQL) - 1) != 0)
            return note(mysql_stmt_errno(c->prepared), mysql_stmt_error(c->prepared), false);
    }
    memset(bind, 0, sizeof(bind));
    bind[0].buffer_type = MYSQL_TYPE_LONGLONG;
    bind[0].buffer = &number;
    bind[1].buffer_type = MYSQL_TYPE_STRING;
    bind[1].buffer = text;
    bind[1].buffer_length = length;
    bind[1].length = &length;
    statements++;
    if (mysql_stmt_bind_param(c->prepared, bind) == 0 && mysql_stmt_execute(c->prepared) == 0)
        mysql_stmt_store_result(c->prepared);
    unsigned code = mysql_stmt_errno(c->prepared);

    mysql_stmt_free_result(c->prepared);
    return note(code, mysql_stmt_error(c->prepared), false);
}

static bool transaction(struct client *c)
{
    char update[128];

    snprintf(update, sizeof(update), "UPDATE demo SET status = 's%u' WHERE id = %u", any(c, 100), any(c, 1000));
    return run(c, "BEGIN", false) && run(c, update, false) && run(c, any(c, 4) ? "COMMIT" : "ROLLBACK", false);
}

static bool mistake(struct client *c)
{
    static const char *const WRONG[] = {"SELECT FROM WHERE", "SELECT * FROM no_such_table_here",
                                        "SELECT no_such_column FROM demo"};

    return run(c, WRONG[any(c, 3)], true);
}

static bool step(struct client *c)
{
    char sql[160];
    unsigned dice = any(c, 1000);

    if (dice < 600)
        snprintf(sql, sizeof(sql), "SELECT %u, 'text'", any(c, 1000000));
    else if (dice < 850)
        return execute(c);
    else if (dice < 920)
        snprintf(sql, sizeof(sql), "SELECT * FROM demo WHERE id = %u", any(c, 1000));
    else if (dice < 930)
        return transaction(c);
    else if (dice < 945)
        return mistake(c);
    else if (dice < 955)
        snprintf(sql, sizeof(sql), "SELECT REPEAT('x', %u)", 1000 + any(c, 60000));
    else if (dice < 975)
        snprintf(sql, sizeof(sql), "SET @a_variable = %u", any(c, 100));
    else if (dice < 985)
        snprintf(sql, sizeof(sql), "SELECT %u AS c%u /* a shape of its own */", any(c, 100), any(c, 5000));
    else
        snprintf(sql, sizeof(sql), "SHOW VARIABLES LIKE 'version'");
    return run(c, sql, false);
}

static void leave(struct client *c)
{
    if (any(c, 4) == 0)
        shutdown((int)mysql_get_socket(c->mysql), SHUT_RDWR); /* one that vanishes */
    if (c->prepared)
        mysql_stmt_close(c->prepared);
    mysql_close(c->mysql);
    c->prepared = NULL;
}

static void *client_main(void *arg)
{
    struct client *c = arg;

    mysql_thread_init();
    while (!ended) {
        unsigned length = any(c, 4) ? any(c, 60) : any(c, SESSION_MAX);

        c->mysql = mysql_init(NULL);
        if (!c->mysql)
            exit(1);
        if (!mysql_real_connect(c->mysql, "127.0.0.1", options.user, options.password, options.database,
                                options.port, NULL, 0)) {
            note(mysql_errno(c->mysql), mysql_error(c->mysql), false);
            usleep(10000);
        } else {
            connects++;
            while (length-- > 0 && !ended && step(c))
                ;
        }
        leave(c);
    }
    mysql_thread_end();
    return NULL;
}

static void tell(void)
{
    printf("statements %ld connects %ld expected-errors %ld lost %ld other %ld\n", statements, connects,
           expected, lost, other);
    fflush(stdout);
}

static void read_options(int argc, char **argv)
{
    static const struct option NAMES[] = {
        {"port", required_argument, NULL, 'p'},       {"user", required_argument, NULL, 'u'},
        {"database", required_argument, NULL, 'd'},   {"threads", required_argument, NULL, 't'},
        {"statements", required_argument, NULL, 'n'}, {"seconds", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0}};
    int o;

    while ((o = getopt_long(argc, argv, "", NAMES, NULL)) != -1) {
        if (o == 'p')
            options.port = (unsigned)atoi(optarg);
        else if (o == 'u')
            options.user = optarg;
        else if (o == 'd')
            options.database = optarg;
        else if (o == 't')
            options.threads = atol(optarg);
        else if (o == 'n')
            options.statements = atol(optarg);
        else if (o == 's')
            options.seconds = atol(optarg);
        else
            exit(2);
    }
    if (options.threads < 1 || options.threads > THREADS)
        options.threads = 4;
}

int main(int argc, char **argv)
{
    static struct client clients[THREADS];

    read_options(argc, argv);
    options.password = getenv("MYSQL_PWD") ? getenv("MYSQL_PWD") : "";
    mysql_library_init(0, NULL, NULL);
    for (long i = 0; i < options.threads; i++) {
        clients[i].seed = (unsigned)i + 1;
        if (pthread_create(&clients[i].thread, NULL, client_main, &clients[i]) != 0)
            return 1;
    }
    for (long second = 0; second < options.seconds && statements < options.statements; second++) {
        sleep(1);
        tell();
    }
    ended = true;
    for (long i = 0; i < options.threads; i++)
        pthread_join(clients[i].thread, NULL);
    tell();
    return 0;
}
