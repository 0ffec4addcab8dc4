/*
 * Where the answer of an admin command goes: packets of MySQL's protocol (admin_packets.c) or JSON
 * over HTTP (api_reply.c). admin_reply.c calls these; commands use the functions of admin.h.
 *
 * Of ok, error and table one is called once, then end; table may say that the answer is too large,
 * and then error follows. The client may be gone by then, which these functions cope with.
 */
#ifndef VTSHIM_PROXY_ADMIN_SINK_H
#define VTSHIM_PROXY_ADMIN_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/admin.h"

struct admin_table {
    size_t columns;
    char **names;
    size_t rows, cap;
    char **values; /* rows * columns; NULL: SQL NULL */
};

struct admin_sink {
    void (*ok)(struct admin_request *rq, uint64_t affected, const char *info);
    void (*error)(struct admin_request *rq, uint16_t code, const char *state, const char *text);
    bool (*table)(struct admin_request *rq, const struct admin_table *t);
    /* The command has been answered: the sink's own part of the request ends. */
    void (*end)(struct admin_request *rq);
    /* As admin_wait_begin. */
    void (*wait)(struct admin_request *rq, admin_interrupt *interrupt, void *arg);
    /* Row by row, as in admin.h. NULL, all five: only whole answers can be given. */
    void (*stream_begin)(struct admin_request *rq, const char *const *names, size_t columns,
                         admin_interrupt *interrupt, void *arg);
    void (*stream_row)(struct admin_request *rq, const char *const *values, size_t columns);
    void (*stream_end)(struct admin_request *rq);
    bool (*stream_is_gone)(const struct admin_request *rq);
    bool (*stream_is_slow)(const struct admin_request *rq);
};

#endif
