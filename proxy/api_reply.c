/*
 * Answers of commands as JSON: a result set is an array of objects, OK is an object with the number
 * of affected things, an error has the status that its MySQL error stands for.
 */
#include <event2/buffer.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ascii.h"
#include "proxy/admin_sink.h"
#include "proxy/api_internal.h"
#include "proxy/json_text.h"
#include "proxy/memory.h"

#define API_REPLY_MAX (64u << 20)
#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))

/* --- JSON ------------------------------------------------------------------------------------ */

void api_add_string(struct evbuffer *out, const char *text)
{
    json_t *value = json_text(text);
    char *quoted = json_dumps(value, JSON_ENCODE_ANY);

    evbuffer_add_printf(out, "%s", quoted ? quoted : "null");
    free(quoted);
    json_decref(value);
}

/* As RFC 8259 writes a number, but for exponents. */
static bool is_number(const char *text)
{
    text += *text == '-';
    size_t whole = strspn(text, "0123456789");

    if (whole == 0 || whole > 15 || (whole > 1 && *text == '0'))
        return false;
    text += whole;
    return !*text ||
           (*text == '.' && text[1] && strspn(text + 1, "0123456789") == strlen(text + 1));
}

static bool is_number_column(const char *name)
{
    static const char *const NUMBERS[] = {
#define API_NUMBER(column) column,
#include "proxy/api_columns.def"
#undef API_NUMBER
    };

    for (size_t i = 0; i < COUNT(NUMBERS); i++) {
        if (strcmp(name, NUMBERS[i]) == 0)
            return true;
    }
    return false;
}

static void add_value(struct evbuffer *out, const char *value, bool number)
{
    if (!value)
        evbuffer_add_printf(out, "null");
    else if (number && is_number(value))
        evbuffer_add_printf(out, "%s", value);
    else
        api_add_string(out, value);
}

/* --- sending --------------------------------------------------------------------------------- */

void api_send(struct evhttp_request *rq, int status, const char *reason, struct evbuffer *body)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(rq);

    evhttp_add_header(headers, "Content-Type", "application/json");
    evhttp_add_header(headers, "Cache-Control", "no-store");
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    evhttp_add_header(headers, "Cross-Origin-Resource-Policy", "same-origin");
    evhttp_send_reply(rq, status, reason, body);
    evbuffer_free(body);
}

void api_send_error(struct evhttp_request *rq, int status, const char *reason, unsigned code,
                    const char *state, const char *text)
{
    struct evbuffer *out = evbuffer_new();

    evbuffer_add_printf(out, "{\"error\": {");
    if (code)
        evbuffer_add_printf(out, "\"code\": %u, \"state\": \"%s\", ", code, state);
    evbuffer_add_printf(out, "\"message\": ");
    api_add_string(out, text);
    evbuffer_add_printf(out, "}}\n");
    api_send(rq, status, reason, out);
}

static struct api_call *call_of(struct admin_request *rq)
{
    return rq->sink_arg;
}

/* --- the sink -------------------------------------------------------------------------------- */

static void sink_ok(struct admin_request *rq, uint64_t affected, const char *info)
{
    struct api_call *call = call_of(rq);
    struct evbuffer *out = evbuffer_new();

    if (call->http) {
        evbuffer_add_printf(out, "{\"affected\": %" PRIu64 ", \"info\": ", affected);
        add_value(out, info, false);
        evbuffer_add_printf(out, "}\n");
        api_send(call->http, 200, "OK", out);
    } else {
        evbuffer_free(out);
    }
}

static void sink_error(struct admin_request *rq, uint16_t code, const char *state, const char *text)
{
    static const struct {
        uint16_t code;
        int status;
        const char *reason;
    } STATUSES[] = {{1064, 400, "Bad Request"},         {1227, 403, "Forbidden"},
                    {1044, 403, "Forbidden"},           {1094, 404, "Not Found"},
                    {1205, 503, "Service Unavailable"}, {1053, 503, "Service Unavailable"}};
    struct api_call *call = call_of(rq);
    int status = 422;
    const char *reason = "Unprocessable Content";

    for (size_t i = 0; i < COUNT(STATUSES); i++) {
        if (STATUSES[i].code == code) {
            status = STATUSES[i].status;
            reason = STATUSES[i].reason;
        }
    }
    if (call->http)
        api_send_error(call->http, status, reason, code, state, text);
}

/* The columns' names in lower case, quoted; and which of them are numbers. */
static char *lower_names(const struct admin_table *t, bool *numbers)
{
    char *names = memory_zalloc(t->columns * 64);

    for (size_t i = 0; names && i < t->columns; i++) {
        snprintf(names + 64 * i, 64, "%s", t->names[i]);
        for (char *p = names + 64 * i; *p; p++)
            *p = ascii_lower(*p);
        numbers[i] = is_number_column(names + 64 * i);
    }
    return names;
}

static bool sink_table(struct admin_request *rq, const struct admin_table *t)
{
    struct api_call *call = call_of(rq);
    size_t rows = t->rows < call->limit ? t->rows : call->limit;
    struct evbuffer *out = evbuffer_new();
    bool *numbers = memory_zalloc((t->columns + 1) * sizeof(*numbers));
    char *names = lower_names(t, numbers), total[24];

    evbuffer_add_printf(out, "[");
    for (size_t r = 0; names && r < rows && evbuffer_get_length(out) <= API_REPLY_MAX; r++) {
        for (size_t i = 0; i < t->columns; i++) {
            evbuffer_add_printf(out, "%s\"%s\": ", i ? ", " : r ? ",\n{" : "\n{", names + 64 * i);
            add_value(out, t->values[r * t->columns + i], numbers[i]);
        }
        evbuffer_add_printf(out, "}");
    }
    evbuffer_add_printf(out, "]\n");
    free(names);
    free(numbers);
    bool fits = evbuffer_get_length(out) <= API_REPLY_MAX;

    if (fits && call->http) {
        snprintf(total, sizeof(total), "%zu", t->rows);
        evhttp_add_header(evhttp_request_get_output_headers(call->http), "X-Total-Count", total);
        api_send(call->http, 200, "OK", out);
    } else {
        evbuffer_free(out);
    }
    return fits;
}

static void sink_end(struct admin_request *rq)
{
    api_call_end(call_of(rq));
}

static void sink_wait(struct admin_request *rq, admin_interrupt *interrupt, void *arg)
{
    struct api_call *call = call_of(rq);

    call->interrupt = interrupt;
    call->interrupt_arg = arg;
}

const struct admin_sink API_SINK = {
    .ok = sink_ok, .error = sink_error, .table = sink_table, .wait = sink_wait, .end = sink_end};
