/*
 * A few statements that run one after the other over one connection of control.user, and what came
 * of them. Made and destroyed by whoever asks; in between it belongs to the control thread
 * (vtgate_control_run).
 */
#ifndef VTSHIM_PROXY_CONTROL_QUERY_H
#define VTSHIM_PROXY_CONTROL_QUERY_H

#include <stddef.h>
#include <stdint.h>

#define CONTROL_STATEMENTS_MAX 6
#define CONTROL_ROWS_MAX       4096 /* of one result; what is beyond is not kept */

struct control_result {
    uint64_t affected;
    size_t columns, rows;
    char **names;  /* columns */
    char **values; /* rows * columns; NULL: SQL NULL */
};

struct vtgate;

struct control_query {
    struct vtgate *vtgate; /* the one to ask; NULL: any that lets control.user in */
    size_t n;
    char *statements[CONTROL_STATEMENTS_MAX];
    struct control_result results[CONTROL_STATEMENTS_MAX];
    size_t done; /* that many statements succeeded */
    /* What became of the first one that did not; code 0: all did. MySQL's code, state and text, or
       1105 and the shim's reason for not asking at all. */
    uint16_t code;
    char state[6], error[512];
};

struct control_query *control_query_create(void);
void control_query_destroy(struct control_query *q);

/* Adds a statement. There must be room for it. */
void control_query_add(struct control_query *q, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The value of that row in the column of that name, or NULL (SQL NULL, or no such column). */
const char *control_result_value(const struct control_result *r, size_t row, const char *column);

/* Nothing could be asked. */
void control_query_fail(struct control_query *q, const char *why);

/* For the control thread: runs them on that connection, up to the first that fails. */
struct st_mysql;
void control_query_run(struct control_query *q, struct st_mysql *m);

#endif
