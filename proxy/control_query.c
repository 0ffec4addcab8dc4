/*
 * Statements of control.user: their texts, running them with libmysqlclient, their results.
 */
#include "proxy/control_query.h"

#include <mysql.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proxy/memory.h"

struct control_query *control_query_create(void)
{
    return memory_zalloc(sizeof(struct control_query));
}

static void result_free(struct control_result *r)
{
    for (size_t i = 0; i < r->columns; i++)
        free(r->names[i]);
    for (size_t i = 0; i < r->rows * r->columns; i++)
        free(r->values[i]);
    free(r->names);
    free(r->values);
}

void control_query_destroy(struct control_query *q)
{
    for (size_t i = 0; i < q->n; i++) {
        free(q->statements[i]);
        result_free(&q->results[i]);
    }
    free(q);
}

void control_query_add(struct control_query *q, const char *format, ...)
{
    va_list args;

    if (q->n == CONTROL_STATEMENTS_MAX)
        abort(); /* nobody needs more */
    va_start(args, format);
    q->statements[q->n] = memory_vformat(format, args);
    va_end(args);
    q->n++;
}

const char *control_result_value(const struct control_result *r, size_t row, const char *column)
{
    for (size_t i = 0; i < r->columns; i++) {
        if (row < r->rows && strcasecmp(r->names[i], column) == 0)
            return r->values[row * r->columns + i];
    }
    return NULL;
}

void control_query_fail(struct control_query *q, const char *why)
{
    q->code = 1105;
    snprintf(q->state, sizeof(q->state), "HY000");
    snprintf(q->error, sizeof(q->error), "%s", why);
}

static void keep_rows(struct control_result *r, MYSQL_RES *res)
{
    const MYSQL_FIELD *fields = mysql_fetch_fields(res);
    size_t cap = 0;
    MYSQL_ROW row;

    r->columns = mysql_num_fields(res);
    r->names = memory_zalloc(r->columns * sizeof(*r->names));
    for (size_t i = 0; i < r->columns; i++)
        r->names[i] = memory_copy(fields[i].name, strlen(fields[i].name));
    while (r->rows < CONTROL_ROWS_MAX && (row = mysql_fetch_row(res)) != NULL) {
        if (r->rows == cap) {
            cap = cap ? 2 * cap : 16;
            r->values = memory_resize(r->values, cap * r->columns * sizeof(*r->values));
        }
        for (size_t i = 0; i < r->columns; i++)
            r->values[r->rows * r->columns + i] =
                row[i] ? memory_copy(row[i], strlen(row[i])) : NULL;
        r->rows++;
    }
}

static bool run_one(struct control_query *q, MYSQL *m)
{
    const char *sql = q->statements[q->done];
    struct control_result *r = &q->results[q->done];
    MYSQL_RES *res;

    if (mysql_real_query(m, sql, (unsigned long)strlen(sql)) != 0)
        return false;
    res = mysql_store_result(m);
    if (!res && mysql_field_count(m) > 0)
        return false;
    if (res) {
        keep_rows(r, res);
        mysql_free_result(res);
    } else {
        r->affected = mysql_affected_rows(m);
    }
    return true;
}

void control_query_run(struct control_query *q, MYSQL *m)
{
    for (q->done = 0; q->done < q->n; q->done++) {
        if (run_one(q, m))
            continue;
        q->code = (uint16_t)mysql_errno(m);
        snprintf(q->state, sizeof(q->state), "%s", mysql_sqlstate(m));
        snprintf(q->error, sizeof(q->error), "%s", mysql_error(m));
        return;
    }
}
