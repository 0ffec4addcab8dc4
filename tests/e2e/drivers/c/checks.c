/* The driver checks (see ../README.md) for the C client libraries: MariaDB's Connector/C and
 * MySQL's libmysqlclient, whichever it is built with. Results are compared as text: values with |
 * between, rows with newlines. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errmsg.h>
#include <mysql.h>

#ifdef MARIADB_BASE_VERSION
typedef my_bool c_bool;
#else
typedef bool c_bool;
#endif

#define COLUMNS                                                                                    \
    "id bigint NOT NULL PRIMARY KEY, i int, d decimal(20,4), f double, t datetime(6), "            \
    "s varchar(255) CHARACTER SET utf8mb4, b longblob, x longtext CHARACTER SET utf8mb4"
#define UNICODE  "zażółć 日本語 🐬"
#define BIG_UNIT "0123456789 é日🐬"
enum { BIG_UNITS = 50000, BIG_BLOB = 256 * 4096, ROWS = 10000, VALUE_SIZE = 512 };

static const char *database, *table, *row_table, *shards;

/* --- a text that grows --------------------------------------------------------------------------
 */

typedef struct {
    char *bytes;
    size_t length, room;
} text;

static void add_bytes(text *t, const char *bytes, size_t length)
{
    if (t->length + length + 1 > t->room) {
        t->room = (t->length + length + 1) * 2;
        t->bytes = realloc(t->bytes, t->room);
        if (!t->bytes)
            abort();
    }
    memcpy(t->bytes + t->length, bytes, length);
    t->length += length;
    t->bytes[t->length] = '\0';
}

static void add(text *t, const char *bytes)
{
    add_bytes(t, bytes, strlen(bytes));
}

static const char *text_of(const text *t)
{
    return t->bytes ? t->bytes : "";
}

static void drop_text(text *t)
{
    free(t->bytes);
    *t = (text){0};
}

/* --- how a check ends ---------------------------------------------------------------------------
 */

typedef enum { WORKS, FAILED } outcome;

/* What the running check has to say. */
static char detail[300];

__attribute__((format(printf, 1, 2))) static outcome fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    return FAILED;
}

static outcome failed_call(MYSQL *c)
{
    return fail("%u (%s): %s", mysql_errno(c), mysql_sqlstate(c), mysql_error(c));
}

static outcome failed_statement(MYSQL_STMT *s)
{
    return fail("%u (%s): %s", mysql_stmt_errno(s), mysql_stmt_sqlstate(s), mysql_stmt_error(s));
}

static void report(const char *check, const char *ok, const char *what)
{
    printf("{\"check\": \"%s\", \"ok\": %s, \"detail\": \"", check, ok);
    for (const char *p = what; *p; p++) {
        if (*p == '"' || *p == '\\')
            printf("\\%c", *p);
        else if ((unsigned char)*p < ' ')
            printf("\\u%04x", *p);
        else
            putchar(*p);
    }
    printf("\"}\n");
    fflush(stdout);
}

/* --- connecting, asking -------------------------------------------------------------------------
 */

static MYSQL *open_with(const char *password, char *complaint, size_t size)
{
    MYSQL *c = mysql_init(NULL);
    const char *ca = getenv("DRIVER_CA");
    bool tls = ca && *ca;
    mysql_options(c, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    if (getenv("DRIVER_PLUGINS") && *getenv("DRIVER_PLUGINS"))
        mysql_options(c, MYSQL_PLUGIN_DIR, getenv("DRIVER_PLUGINS"));
#ifdef MARIADB_BASE_VERSION
    c_bool verify = tls;
    mysql_options(c, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
#else
    unsigned mode = tls ? SSL_MODE_VERIFY_IDENTITY : SSL_MODE_DISABLED;
    mysql_options(c, MYSQL_OPT_SSL_MODE, &mode);
#endif
    if (tls)
        mysql_options(c, MYSQL_OPT_SSL_CA, ca);
    if (mysql_real_connect(c, getenv("DRIVER_HOST"), getenv("DRIVER_USER"), password, database,
                           (unsigned)atoi(getenv("DRIVER_PORT")), NULL, CLIENT_MULTI_STATEMENTS))
        return c;
    snprintf(complaint, size, "%u/%s: %s", mysql_errno(c), mysql_sqlstate(c), mysql_error(c));
    mysql_close(c);
    return NULL;
}

/* Appends the current result's rows. */
static outcome read_rows(MYSQL *c, text *rows)
{
    MYSQL_RES *result = mysql_store_result(c);
    if (!result)
        return mysql_field_count(c) ? failed_call(c) : WORKS;
    for (MYSQL_ROW row; (row = mysql_fetch_row(result));) {
        unsigned long *lengths = mysql_fetch_lengths(result);
        for (unsigned i = 0; i < mysql_num_fields(result); i++) {
            if (i)
                add(rows, "|");
            if (row[i])
                add_bytes(rows, row[i], lengths[i]);
            else
                add(rows, "NULL");
        }
        add(rows, "\n");
    }
    mysql_free_result(result);
    return WORKS;
}

static outcome run_bytes(MYSQL *c, const char *sql, size_t length, text *rows)
{
    text none = {0};
    if (mysql_real_query(c, sql, length))
        return failed_call(c);
    outcome end = read_rows(c, rows ? rows : &none);
    drop_text(&none);
    return end;
}

__attribute__((format(printf, 3, 4))) static outcome run(MYSQL *c, text *rows, const char *format,
                                                         ...)
{
    char sql[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sql, sizeof(sql), format, arguments);
    va_end(arguments);
    return run_bytes(c, sql, strlen(sql), rows);
}

/* Forgets the text, too. */
static outcome same(text *found, const char *expected)
{
    outcome end = WORKS;
    if (strcmp(text_of(found), expected) != 0)
        end = fail("%.120s instead of %.120s", text_of(found), expected);
    drop_text(found);
    return end;
}

static outcome asks(MYSQL *c, const char *sql, const char *expected)
{
    text rows = {0};
    outcome end = run_bytes(c, sql, strlen(sql), &rows);
    if (end == WORKS)
        return same(&rows, expected);
    drop_text(&rows);
    return end;
}

#define TRY(call)                                                                                  \
    do {                                                                                           \
        if ((call) != WORKS)                                                                       \
            return FAILED;                                                                         \
    } while (0)

/* Whether a column is on every shard, or on none. */
static outcome column_is_there(MYSQL *c, const char *column, bool expected)
{
    char copy[256], line[80];
    snprintf(copy, sizeof(copy), "%s", shards);
    snprintf(line, sizeof(line), "\n%s|", column);
    char *rest = copy;
    for (char *shard; (shard = strsep(&rest, ","));) {
        text rows = {0};
        add(&rows, "\n");
        TRY(run(c, NULL, "USE `%s`", shard));
        TRY(run(c, &rows, "SHOW COLUMNS FROM `%s`", table));
        bool there = strstr(text_of(&rows), line) != NULL;
        drop_text(&rows);
        if (there != expected)
            return fail("%s: on %s it is %sthere", column, shard, there ? "" : "not ");
    }
    return run(c, NULL, "USE `%s`", database);
}

/* --- prepared statements ------------------------------------------------------------------------
 */

static MYSQL_STMT *prepare(MYSQL *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static MYSQL_STMT *prepare(MYSQL *c, const char *format, ...)
{
    char sql[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sql, sizeof(sql), format, arguments);
    va_end(arguments);
    MYSQL_STMT *s = mysql_stmt_init(c);
    if (!mysql_stmt_prepare(s, sql, strlen(sql)))
        return s;
    failed_statement(s);
    mysql_stmt_close(s);
    return NULL;
}

static MYSQL_BIND bind_number(long long *number)
{
    return (MYSQL_BIND){.buffer_type = MYSQL_TYPE_LONGLONG, .buffer = number};
}

static MYSQL_BIND bind_text(const char *bytes, unsigned long length, enum enum_field_types type)
{
    return (MYSQL_BIND){
        .buffer_type = type, .buffer = (void *)(uintptr_t)bytes, .buffer_length = length};
}

/* Appends all rows of a statement that was executed; the library turns each value into text. */
static outcome read_statement(MYSQL_STMT *s, text *rows)
{
    enum { MOST = 8 };
    static char values[MOST][VALUE_SIZE];
    unsigned long lengths[MOST] = {0};
    c_bool nulls[MOST] = {0};
    MYSQL_BIND binds[MOST] = {0};
    unsigned columns = mysql_stmt_field_count(s);
    if (columns > MOST)
        return fail("%u columns", columns);
    for (unsigned i = 0; i < columns; i++)
        binds[i] = (MYSQL_BIND){.buffer_type = MYSQL_TYPE_STRING,
                                .buffer = values[i],
                                .buffer_length = VALUE_SIZE,
                                .length = &lengths[i],
                                .is_null = &nulls[i]};
    if (mysql_stmt_bind_result(s, binds))
        return failed_statement(s);
    int got;
    while (!(got = mysql_stmt_fetch(s))) {
        for (unsigned i = 0; i < columns; i++) {
            if (i)
                add(rows, "|");
            if (nulls[i])
                add(rows, "NULL");
            else
                add_bytes(rows, values[i], lengths[i]);
        }
        add(rows, "\n");
    }
    return got == MYSQL_NO_DATA ? WORKS : failed_statement(s);
}

static outcome execute_with(MYSQL_STMT *s, MYSQL_BIND *binds)
{
    if (binds && mysql_stmt_bind_param(s, binds))
        return failed_statement(s);
    return mysql_stmt_execute(s) ? failed_statement(s) : WORKS;
}

/* Closes the statement, too. */
static outcome query_prepared(MYSQL_STMT *s, long long key, text *rows)
{
    if (!s)
        return FAILED;
    MYSQL_BIND bind = bind_number(&key);
    outcome end = execute_with(s, &bind);
    if (end == WORKS)
        end = read_statement(s, rows);
    mysql_stmt_close(s);
    return end;
}

/* --- the checks ---------------------------------------------------------------------------------
 */

static outcome login(MYSQL *c)
{
    char expected[80];
    snprintf(expected, sizeof(expected), "%s\n", database);
    return asks(c, "SELECT DATABASE()", expected);
}

static outcome wrong_password(MYSQL *unused)
{
    (void)unused;
    char password[128], complaint[300];
    snprintf(password, sizeof(password), "%sx", getenv("DRIVER_PASSWORD"));
    MYSQL *c = open_with(password, complaint, sizeof(complaint));
    if (c) {
        mysql_close(c);
        return fail("it was not refused");
    }
    if (strncmp(complaint, "1045/", 5) != 0)
        return fail("%.250s", complaint);
    snprintf(detail, sizeof(detail), "%.10s", complaint);
    return WORKS;
}

static outcome ping(MYSQL *c)
{
    return mysql_ping(c) ? failed_call(c) : WORKS;
}

static outcome create(MYSQL *c)
{
    TRY(run(c, NULL, "CREATE TABLE `%s` (" COLUMNS ")", table));
    return column_is_there(c, "x", true);
}

static outcome text_query(MYSQL *c)
{
    return asks(c, "SELECT NULL, '', '" UNICODE "', -9223372036854775808, NULL, 1.50",
                "NULL||" UNICODE "|-9223372036854775808|NULL|1.50\n");
}

static outcome big(MYSQL *c)
{
    text sql = {0}, rows = {0}, expected = {0};
    char head[200];
    snprintf(head, sizeof(head), "INSERT INTO `%s` (id, x) VALUES (1, '", table);
    add(&sql, head);
    for (int i = 0; i < BIG_UNITS; i++) {
        add(&sql, BIG_UNIT);
        add(&expected, BIG_UNIT);
    }
    add(&sql, "')");
    add(&expected, "\n");
    outcome end = run_bytes(c, sql.bytes, sql.length, NULL);
    if (end == WORKS)
        end = run(c, &rows, "SELECT x FROM `%s` WHERE id = 1", table);
    if (end == WORKS && strcmp(text_of(&rows), expected.bytes) != 0)
        end = fail("%zu bytes came, or others", rows.length);
    drop_text(&sql);
    drop_text(&rows);
    drop_text(&expected);
    return end;
}

static outcome insert_values(MYSQL_STMT *insert)
{
    static const char decimal[] = "1234567890.1234";
    long long key = 2;
    int i = -7;
    double f = 2.5;
    MYSQL_TIME t = {.year = 2024,
                    .month = 2,
                    .day = 29,
                    .hour = 23,
                    .minute = 59,
                    .second = 58,
                    .second_part = 123456};
    MYSQL_BIND binds[8] = {
        bind_number(&key),
        {.buffer_type = MYSQL_TYPE_LONG, .buffer = &i},
        bind_text(decimal, strlen(decimal), MYSQL_TYPE_NEWDECIMAL),
        {.buffer_type = MYSQL_TYPE_DOUBLE, .buffer = &f},
        {.buffer_type = MYSQL_TYPE_DATETIME, .buffer = &t},
        bind_text(UNICODE, strlen(UNICODE), MYSQL_TYPE_STRING),
        bind_text("\x01\xff'\\", 4, MYSQL_TYPE_BLOB),
        bind_text("", 0, MYSQL_TYPE_STRING),
    };
    TRY(execute_with(insert, binds));
    key = 3;
    for (int n = 1; n < 8; n++)
        binds[n] = (MYSQL_BIND){.buffer_type = MYSQL_TYPE_NULL};
    return execute_with(insert, binds);
}

static outcome prepared(MYSQL *c)
{
    MYSQL_STMT *insert = prepare(
        c, "INSERT INTO `%s` (id, i, d, f, t, s, b, x) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", table);
    if (!insert)
        return FAILED;
    outcome end = insert_values(insert);
    mysql_stmt_close(insert);
    if (end != WORKS)
        return end;
    text rows = {0};
    TRY(query_prepared(prepare(c, "SELECT id, i, d, f, t, s, b, x FROM `%s` WHERE id = ?", table),
                       2, &rows));
    TRY(same(&rows,
             "2|-7|1234567890.1234|2.5|2024-02-29 23:59:58.123456|" UNICODE "|\x01\xff'\\|\n"));
    TRY(query_prepared(prepare(c, "SELECT id, i, d, f, t, s, b, x FROM `%s` WHERE id = ?", table),
                       3, &rows));
    return same(&rows, "3|NULL|NULL|NULL|NULL|NULL|NULL|NULL\n");
}

/* The blob goes in COM_STMT_SEND_LONG_DATA, in pieces. */
static outcome insert_big(MYSQL_STMT *insert, const char *blob)
{
    long long key = 4;
    MYSQL_BIND binds[2] = {bind_number(&key), {.buffer_type = MYSQL_TYPE_LONG_BLOB}};
    if (mysql_stmt_bind_param(insert, binds))
        return failed_statement(insert);
    for (size_t at = 0; at < BIG_BLOB; at += BIG_BLOB / 4)
        if (mysql_stmt_send_long_data(insert, 1, blob + at, BIG_BLOB / 4))
            return failed_statement(insert);
    return mysql_stmt_execute(insert) ? failed_statement(insert) : WORKS;
}

static outcome read_big(MYSQL_STMT *query, const char *blob)
{
    static char found[BIG_BLOB + 1];
    long long key = 4;
    unsigned long length = 0;
    MYSQL_BIND bind = bind_number(&key);
    MYSQL_BIND value = {.buffer_type = MYSQL_TYPE_LONG_BLOB,
                        .buffer = found,
                        .buffer_length = sizeof(found),
                        .length = &length};
    TRY(execute_with(query, &bind));
    if (mysql_stmt_bind_result(query, &value) || mysql_stmt_fetch(query))
        return failed_statement(query);
    if (length != BIG_BLOB || memcmp(found, blob, BIG_BLOB) != 0)
        return fail("%lu bytes came, or others", length);
    return mysql_stmt_fetch(query) == MYSQL_NO_DATA ? WORKS : fail("more than one row");
}

static outcome prepared_big(MYSQL *c)
{
    static char blob[BIG_BLOB];
    for (size_t i = 0; i < BIG_BLOB; i++)
        blob[i] = (char)i;
    MYSQL_STMT *insert = prepare(c, "INSERT INTO `%s` (id, b) VALUES (?, ?)", table);
    outcome end = insert ? insert_big(insert, blob) : FAILED;
    if (insert)
        mysql_stmt_close(insert);
    if (end != WORKS)
        return end;
    MYSQL_STMT *query = prepare(c, "SELECT b FROM `%s` WHERE id = ?", table);
    end = query ? read_big(query, blob) : FAILED;
    if (query)
        mysql_stmt_close(query);
    return end;
}

static outcome all_rows(text *rows)
{
    text expected = {0};
    for (int i = 1; i <= ROWS; i++) {
        char line[80];
        snprintf(line, sizeof(line), i % 2 ? "%d|row %d|%d\n" : "%d|row %d|NULL\n", i, i, i);
        add(&expected, line);
    }
    outcome end = same(rows, expected.bytes);
    drop_text(&expected);
    return end;
}

static outcome rows_text(MYSQL *c)
{
    text rows = {0};
    TRY(run(c, &rows, "SELECT id, s, n FROM `%s` ORDER BY id", row_table));
    return all_rows(&rows);
}

static outcome rows_prepared(MYSQL *c)
{
    text rows = {0};
    TRY(query_prepared(prepare(c, "SELECT id, s, n FROM `%s` WHERE id > ? ORDER BY id", row_table),
                       0, &rows));
    return all_rows(&rows);
}

static outcome multi(MYSQL *c)
{
    text rows = {0};
    TRY(run(c, &rows, "SELECT 1; SELECT 'two', NULL; DELETE FROM `%s` WHERE id = -1; SELECT 4",
            table));
    int more;
    while (!(more = mysql_next_result(c))) {
        add(&rows, "--\n");
        TRY(read_rows(c, &rows));
    }
    if (more > 0)
        return failed_call(c);
    return same(&rows, "1\n--\ntwo|NULL\n--\n--\n4\n");
}

static outcome multi_error(MYSQL *c)
{
    TRY(asks(c, "SELECT 1; SELECT 2 FROM no_such_table_at_all; SELECT 3", "1\n"));
    if (mysql_next_result(c) <= 0)
        return fail("the second statement was not refused");
    snprintf(detail, sizeof(detail), "%u/%s", mysql_errno(c), mysql_sqlstate(c));
    return asks(c, "SELECT 5", "5\n");
}

static outcome transaction_ends(MYSQL *c, MYSQL *other)
{
    for (int key = 10; key <= 11; key++) {
        text rows = {0};
        char count[200];
        snprintf(count, sizeof(count), "SELECT count(*) FROM `%s` WHERE id = %d", table, key);
        if (mysql_autocommit(c, 0))
            return failed_call(c);
        TRY(run(c, &rows, "INSERT INTO `%s` (id, i) VALUES (%d, 1)", table, key));
        TRY(asks(other, count, "0\n"));
        if (key == 10 ? mysql_rollback(c) : mysql_commit(c))
            return failed_call(c);
        TRY(asks(other, count, key == 10 ? "0\n" : "1\n"));
        drop_text(&rows);
    }
    return WORKS;
}

static outcome transaction(MYSQL *c)
{
    MYSQL *other = open_with(getenv("DRIVER_PASSWORD"), detail, sizeof(detail));
    if (!other)
        return FAILED;
    outcome end = transaction_ends(c, other);
    mysql_close(other);
    return end;
}

static outcome error_goes_on(MYSQL *c)
{
    char insert[200], codes[200] = "";
    snprintf(insert, sizeof(insert), "INSERT INTO `%s` (id) VALUES (20)", table);
    TRY(run(c, NULL, "%s", insert));
    const char *bad[] = {"SELEKT 1", insert, "SELECT 1 FROM no_such_table_at_all"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        if (!mysql_query(c, bad[i]))
            return fail("%s was not refused", bad[i]);
        size_t at = strlen(codes);
        snprintf(codes + at, sizeof(codes) - at, "%s%u/%s", i ? " " : "", mysql_errno(c),
                 mysql_sqlstate(c));
        TRY(asks(c, "SELECT 1", "1\n"));
    }
    snprintf(detail, sizeof(detail), "%s", codes);
    return WORKS;
}

static outcome reset(MYSQL *c)
{
    char count[200];
    snprintf(count, sizeof(count), "SELECT count(*) FROM `%s` WHERE id = 30", table);
    TRY(run(c, NULL, "SET @mine = 5"));
    TRY(run(c, NULL, "BEGIN"));
    TRY(run(c, NULL, "INSERT INTO `%s` (id) VALUES (30)", table));
    if (mysql_reset_connection(c))
        return failed_call(c);
    TRY(asks(c, count, "0\n"));
    text rows = {0};
    TRY(run(c, &rows, "SELECT @mine"));
    snprintf(detail, sizeof(detail), "user variables %s",
             strcmp(text_of(&rows), "NULL\n") == 0 ? "end" : "stay");
    drop_text(&rows);
    return WORKS;
}

static outcome change_user(MYSQL *c)
{
    char expected[80];
    snprintf(expected, sizeof(expected), "NULL|%s\n", database);
    TRY(run(c, NULL, "SET @mine = 5"));
    if (mysql_change_user(c, getenv("DRIVER_USER"), getenv("DRIVER_PASSWORD"), database))
        return failed_call(c);
    return asks(c, "SELECT @mine, DATABASE()", expected);
}

static outcome ddl_text(MYSQL *c)
{
    TRY(run(c, NULL, "ALTER TABLE `%s` ADD COLUMN by_text int", table));
    TRY(column_is_there(c, "by_text", true));
    TRY(run(c, NULL, "ALTER TABLE `%s` DROP COLUMN by_text", table));
    return column_is_there(c, "by_text", false);
}

static outcome ddl_prepared(MYSQL *c)
{
    for (int add_it = 1; add_it >= 0; add_it--) {
        MYSQL_STMT *s = prepare(c, "ALTER TABLE `%s` %s", table,
                                add_it ? "ADD COLUMN by_prepared int" : "DROP COLUMN by_prepared");
        if (!s)
            return FAILED;
        outcome end = execute_with(s, NULL);
        mysql_stmt_close(s);
        if (end != WORKS)
            return end;
        TRY(column_is_there(c, "by_prepared", add_it));
    }
    return WORKS;
}

static outcome drop(MYSQL *c)
{
    TRY(run(c, NULL, "DROP TABLE `%s`", table));
    char copy[256];
    snprintf(copy, sizeof(copy), "%s", shards);
    char *rest = copy;
    for (char *shard; (shard = strsep(&rest, ","));) {
        text rows = {0};
        TRY(run(c, NULL, "USE `%s`", shard));
        TRY(run(c, &rows, "SHOW TABLES LIKE '%s'", table));
        TRY(same(&rows, ""));
    }
    return WORKS;
}

static const struct {
    const char *name;
    outcome (*run)(MYSQL *);
} checks[] = {
    {"login", login},
    {"wrong_password", wrong_password},
    {"ping", ping},
    {"create", create},
    {"text", text_query},
    {"big", big},
    {"prepared", prepared},
    {"prepared_big", prepared_big},
    {"rows", rows_text},
    {"prepared_rows", rows_prepared},
    {"multi", multi},
    {"multi_error", multi_error},
    {"transaction", transaction},
    {"error", error_goes_on},
    {"reset", reset},
    {"change_user", change_user},
    {"ddl_text", ddl_text},
    {"ddl_prepared", ddl_prepared},
    {"drop", drop},
};

int main(void)
{
    database = getenv("DRIVER_DATABASE");
    table = getenv("DRIVER_TABLE");
    row_table = getenv("DRIVER_ROWS");
    shards = getenv("DRIVER_SHARDS");
    report("version", "true", mysql_get_client_info());
    for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
        detail[0] = '\0';
        MYSQL *c = open_with(getenv("DRIVER_PASSWORD"), detail, sizeof(detail));
        outcome end = c ? checks[i].run(c) : FAILED;
        if (c)
            mysql_close(c);
        report(checks[i].name, end == WORKS ? "true" : "false", detail);
        if (end != WORKS && i == 0)
            break;
    }
    mysql_library_end();
    return 0;
}
