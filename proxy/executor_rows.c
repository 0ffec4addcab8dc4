/*
 * The columns of SHOW VITESS_MIGRATIONS, found by their names: a newer Vitess may have others, in
 * another order.
 */
#include "proxy/executor_rows.h"

#include <stdlib.h>

#include "proxy/memory.h"
#include "proxy/migration_internal.h"

enum {
    UUID,
    STATUS,
    SHARD,
    MESSAGE,
    PROGRESS,
    TABLET_FAILURE,
    RETRIES,
    READY,
    NEEDED_COLUMNS, /* those that follow are only shown */
    STAGE = NEEDED_COLUMNS,
    COMPONENT_THROTTLED,
    REASON_THROTTLED,
    LAST_THROTTLED,
    USER_THROTTLE,
    ROWS_COPIED,
    TABLE_ROWS,
    ETA,
    ATTEMPTS,
    LIVENESS,
    THRESHOLD,
    USED_COLUMNS
};

static bool find_columns(const struct answer *a, int column[USED_COLUMNS])
{
    static const char *const NAMES[USED_COLUMNS] = {"migration_uuid",
                                                    "migration_status",
                                                    "shard",
                                                    "message",
                                                    "progress",
                                                    "tablet_failure",
                                                    "retries",
                                                    "ready_to_complete",
                                                    "stage",
                                                    "component_throttled",
                                                    "reason_throttled",
                                                    "last_throttled_timestamp",
                                                    "user_throttle_ratio",
                                                    "rows_copied",
                                                    "table_rows",
                                                    "eta_seconds",
                                                    "cutover_attempts",
                                                    "vitess_liveness_indicator",
                                                    "cutover_threshold_seconds"};

    for (int i = 0; i < USED_COLUMNS; i++) {
        column[i] = answer_column(a, NAMES[i]);
        if (column[i] >= EXECUTOR_COLUMNS_MAX)
            column[i] = -1;
        if (column[i] < 0 && i < NEEDED_COLUMNS)
            return false;
    }
    return true;
}

static struct bytes value_at(const struct bytes *value, const int *column, int i)
{
    return column[i] < 0 ? (struct bytes){NULL, 0} : value[column[i]];
}

static int64_t number_at(const struct bytes *value, const int *column, int i, int64_t fallback)
{
    struct bytes v = value_at(value, column, i);
    char text[24], *end;

    bytes_to_text(text, sizeof(text), v);
    int64_t n = strtoll(text, &end, 10);

    return v.len > 0 && end != text ? n : fallback;
}

static uint64_t count_at(const struct bytes *value, const int *column, int i)
{
    int64_t n = number_at(value, column, i, 0);

    return n > 0 ? (uint64_t)n : 0;
}

static struct executor_row read_row(const struct bytes *value, const int column[USED_COLUMNS])
{
    struct bytes status = value[column[STATUS]];

    return (struct executor_row){
        .uuid = value[column[UUID]],
        .shard = value[column[SHARD]],
        .message = value[column[MESSAGE]],
        .status = migration_status_parse((const char *)status.p, status.len),
        .progress = (uint32_t)count_at(value, column, PROGRESS),
        .ready = bytes_are(value[column[READY]], "1"),
        .tablet_failure = bytes_are(value[column[TABLET_FAILURE]], "1"),
        .retried = !bytes_are(value[column[RETRIES]], "0"),
        .stage = value_at(value, column, STAGE),
        .throttled_component = value_at(value, column, COMPONENT_THROTTLED),
        .throttled_reason = value_at(value, column, REASON_THROTTLED),
        .throttled_at = value_at(value, column, LAST_THROTTLED),
        .user_throttle = value_at(value, column, USER_THROTTLE),
        .rows_copied = count_at(value, column, ROWS_COPIED),
        .table_rows = count_at(value, column, TABLE_ROWS),
        .eta_s = number_at(value, column, ETA, -1),
        .attempts = (uint32_t)count_at(value, column, ATTEMPTS),
        .looked = number_at(value, column, LIVENESS, 0),
        .threshold_s = (uint32_t)count_at(value, column, THRESHOLD),
    };
}

struct executor_row *executor_rows_read(const struct answer *a, size_t *n)
{
    struct executor_row *rows;
    struct bytes value[EXECUTOR_COLUMNS_MAX];
    int column[USED_COLUMNS];
    size_t cap = 16;

    *n = 0;
    if (!a || a->failed || !a->columns || !find_columns(a, column))
        return NULL;
    rows = memory_zalloc(cap * sizeof(*rows));
    for (const uint8_t *at = a->rows_at;
         *n < ROWS_MAX && answer_row(a, &at, value, EXECUTOR_COLUMNS_MAX);) {
        if (*n == cap) {
            cap *= 2;
            rows = memory_resize(rows, cap * sizeof(*rows));
        }
        rows[(*n)++] = read_row(value, column);
    }
    return rows;
}
