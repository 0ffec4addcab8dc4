/*
 * Requests of the HTTP API: who asks, which route, which parameters; then the command runs as if it
 * had been typed at the console.
 */
#include "proxy/api.h"

#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin_commands.h"
#include "proxy/admin_sink.h"
#include "proxy/api_command.h"
#include "proxy/api_internal.h"
#include "proxy/assets.h"
#include "proxy/memory.h"
#include "proxy/server.h"

#define PREFIX      "/api/v1"
#define CALLS_MAX   64         /* commands under way */
#define COMMAND_MAX (3u << 20) /* a document of HTTP_BODY_MAX, with what is quoted in it */
#define LIMIT_MAX   1000000

struct api {
    struct server *server;
    struct http_guard *guard;
    LIST_HEAD(, api_call) calls;
    size_t calls_n;
};

struct api *api_create(struct server *server)
{
    struct api *api = memory_zalloc(sizeof(*api));

    api->server = server;
    api->guard = http_guard_create();
    LIST_INIT(&api->calls);
    api_take_tokens(api, server->config);
    return api;
}

void api_take_tokens(struct api *api, const struct config *config)
{
    http_guard_take(api->guard, config);
}

uint64_t api_refused(const struct api *api)
{
    return http_guard_refused(api->guard);
}

/* --- one command ----------------------------------------------------------------------------- */

void api_call_end(struct api_call *call)
{
    if (call->api) {
        LIST_REMOVE(call, link);
        call->api->calls_n--;
    }
    free(call);
}

void api_destroy(struct api *api)
{
    struct api_call *call;

    while ((call = LIST_FIRST(&api->calls)) != NULL) {
        LIST_REMOVE(call, link);
        call->api = NULL;
        call->http = NULL;
        if (call->interrupt) /* which frees it */
            call->interrupt(call->interrupt_arg, 1053, "08S01", "Server shutdown in progress");
    }
    http_guard_destroy(api->guard);
    free(api);
}

static void run(struct api *api, struct evhttp_request *http, const struct http_caller *caller,
                size_t limit, const struct buffer *command)
{
    struct admin_request *rq = memory_zalloc(sizeof(*rq));
    struct api_call *call = memory_zalloc(sizeof(*call));

    call->api = api;
    call->http = http;
    call->caller = *caller;
    call->limit = limit;
    LIST_INSERT_HEAD(&api->calls, call, link);
    api->calls_n++;
    rq->server = api->server;
    rq->sink = &API_SINK;
    rq->sink_arg = call;
    rq->user = call->caller.name;
    rq->peer = call->caller.peer;
    rq->role = call->caller.role;
    admin_command(rq, (const char *)command->data, command->len);
}

/* --- parameters ------------------------------------------------------------------------------ */

/* One of the query string's; given more than once, it is a list. */
static bool add_pair(json_t *parameters, const char *key, const char *text)
{
    json_t *old = json_object_get(parameters, key), *value = json_string(text);

    if (!old)
        return json_object_set_new(parameters, key, value) == 0;
    if (json_is_array(old))
        return json_array_append_new(old, value) == 0;
    return json_object_set_new(parameters, key, json_pack("[o, o]", json_incref(old), value)) == 0;
}

/* Those of the query string; `limit` is for the answer of a GET, not for the command. */
static bool read_query(struct evhttp_request *http, enum api_method method, json_t *parameters,
                       size_t *limit, char error[API_ERROR_MAX])
{
    const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(http));
    struct evkeyvalq pairs;
    const struct evkeyval *pair;
    bool ok = true;

    if (!query || !*query)
        return true;
    if (evhttp_parse_query_str(query, &pairs) != 0) {
        snprintf(error, API_ERROR_MAX, "the query string cannot be read");
        return false;
    }
    TAILQ_FOREACH(pair, &pairs, next)
    {
        bool limits = method == API_GET && strcmp(pair->key, "limit") == 0;
        long long n = limits ? atoll(pair->value) : 0;

        if (n > 0 && n <= LIMIT_MAX)
            *limit = (size_t)n;
        else if (limits || !add_pair(parameters, pair->key, pair->value))
            ok = false;
        if (!ok)
            snprintf(error, API_ERROR_MAX, "parameter '%.60s' of the query string cannot be used",
                     pair->key);
    }
    evhttp_clear_headers(&pairs);
    return ok;
}

/* The body, as JSON; *body is NULL if there is none. */
static bool read_body(struct evhttp_request *http, json_t **body, char error[API_ERROR_MAX])
{
    struct evbuffer *in = evhttp_request_get_input_buffer(http);
    size_t len = evbuffer_get_length(in);
    json_error_t why;

    *body = NULL;
    if (len == 0)
        return true;
    *body = json_loadb((const char *)evbuffer_pullup(in, -1), len,
                       JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (!*body)
        snprintf(error, API_ERROR_MAX, "the body is no JSON object: %s", why.text);
    return *body;
}

/* What the path does not have already goes to the parameters. */
static bool merge(json_t *parameters, json_t *more, char error[API_ERROR_MAX])
{
    json_t *value;
    const char *key;

    json_object_foreach(more, key, value)
    {
        if (json_object_get(parameters, key)) {
            snprintf(error, API_ERROR_MAX, "parameter '%.60s' is given twice", key);
            return false;
        }
        json_object_set(parameters, key, value);
    }
    return true;
}

static void refuse(struct evhttp_request *http, int status, const char *reason, const char *text)
{
    api_send_error(http, status, reason, 0, NULL, text);
}

/* --- the list of what there is --------------------------------------------------------------- */

static json_t *describe_parameters(const struct api_route *route)
{
    const char *form = route->form;
    struct api_parameter p;
    json_t *list = json_array();

    while (api_parameter_next(&form, &p))
        json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "name", p.name, "type", p.type,
                                              "optional", p.optional));
    return list;
}

static json_t *describe_withouts(void)
{
    size_t n;
    const struct api_without *rows = api_withouts(&n);
    json_t *o = json_object();

    for (size_t i = 0; i < n; i++)
        json_object_set_new(o, rows[i].words, json_string(rows[i].why));
    return o;
}

static json_t *describe_routes(void)
{
    size_t n;
    const struct api_route *routes = api_routes(&n);
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        enum config_role right = CONFIG_ROLE_VIEWER;
        bool fixed = admin_command_right(routes[i].form, strlen(routes[i].form), &right);

        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s?, s:o}", "method",
                                              api_method_name(routes[i].method), "path",
                                              routes[i].path, "command", routes[i].form, "right",
                                              fixed ? config_role_name(right) : NULL, "parameters",
                                              describe_parameters(&routes[i])));
    }
    return list;
}

static void send_index(struct api *api, struct evhttp_request *http,
                       const struct http_caller *caller)
{
    json_t *o = json_pack("{s:s, s:s, s:{s:s, s:s}, s:o, s:o}", "version", VTSHIM_VERSION,
                          "instance", api->server->instance, "caller", "name", caller->name, "role",
                          config_role_name(caller->role), "routes", describe_routes(), "without",
                          describe_withouts());
    char *text = o ? json_dumps(o, JSON_INDENT(1)) : NULL;
    struct evbuffer *out = evbuffer_new();

    evbuffer_add_printf(out, "%s\n", text ? text : "{}");
    free(text);
    json_decref(o);
    api_send(http, 200, "OK", out);
}

/* --- a request ------------------------------------------------------------------------------- */

static void send_not_allowed(struct evhttp_request *http, unsigned allowed)
{
    char text[64] = "";

    for (unsigned m = API_GET; m <= API_DELETE; m++) {
        if (allowed & 1u << m)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", *text ? ", " : "",
                     api_method_name((enum api_method)m));
    }
    evhttp_add_header(evhttp_request_get_output_headers(http), "Allow", text);
    refuse(http, 405, "Method Not Allowed", "this path has other methods: see the header Allow");
}

/* Of the query string: those of a GET, and those beside a document. Of the body: all others. */
static bool read_parameters(struct evhttp_request *http, const struct api_route *route,
                            json_t *parameters, size_t *limit, char error[API_ERROR_MAX])
{
    struct api_parameter p;
    const char *document = api_route_document(route, &p);
    json_t *query = json_object(), *body = NULL;
    bool ok = (!document && route->method != API_GET) ||
              read_query(http, route->method, query, limit, error);

    if (ok && route->method != API_GET)
        ok = read_body(http, &body, error);
    if (ok && body && !document && !json_is_object(body)) {
        snprintf(error, API_ERROR_MAX, "the body is no JSON object");
        ok = false;
    }
    if (body && document) {
        json_t *whole = json_object();

        json_object_set_new(whole, document, body);
        body = whole;
    }
    ok = ok && merge(parameters, query, error) && (!body || merge(parameters, body, error));
    json_decref(query);
    json_decref(body);
    return ok;
}

static void handle_route(struct api *api, struct evhttp_request *http, enum api_method method,
                         const char *path, const struct http_caller *caller)
{
    json_t *parameters = json_object();
    char error[API_ERROR_MAX];
    struct buffer command;
    unsigned allowed;
    size_t limit = LIMIT_MAX;
    const struct api_route *route = api_route_find(method, path, parameters, &allowed);

    buffer_init(&command, COMMAND_MAX);
    if (!route && allowed)
        send_not_allowed(http, allowed);
    else if (!route)
        refuse(http, 404, "Not Found", "no such path: GET " PREFIX " lists them");
    else if (api->calls_n >= CALLS_MAX)
        refuse(http, 503, "Service Unavailable", "too many commands are under way");
    else if (!read_parameters(http, route, parameters, &limit, error) ||
             !api_command_build(route, parameters, &command, error))
        refuse(http, 400, "Bad Request", error);
    else
        run(api, http, caller, limit, &command);
    buffer_release(&command);
    json_decref(parameters);
}

static enum api_method method_of(struct evhttp_request *http)
{
    enum evhttp_cmd_type command = evhttp_request_get_command(http);

    return command == EVHTTP_REQ_POST     ? API_POST
           : command == EVHTTP_REQ_DELETE ? API_DELETE
                                          : API_GET;
}

void api_handle(struct api *api, struct evhttp_request *http)
{
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(http));
    enum api_method method = method_of(http);
    struct http_caller caller = {.role = CONFIG_ROLE_VIEWER};
    struct http_refusal refusal;

    if (method == API_GET && strcmp(path, PREFIX "/openapi.json") == 0) {
        assets_send(http, "/api/v1/openapi.json");
        return;
    }
    if (!http_guard_admit(api->guard, http, &caller, &refusal)) {
        if (refusal.status == 401)
            evhttp_add_header(evhttp_request_get_output_headers(http), "WWW-Authenticate",
                              "Bearer realm=\"vtshim\"");
        refuse(http, refusal.status, refusal.reason, refusal.text);
        return;
    }
    bool ours = strncmp(path, PREFIX, strlen(PREFIX)) == 0;

    path += ours ? strlen(PREFIX) : 0;
    if (ours && method == API_GET && (!*path || strcmp(path, "/") == 0))
        send_index(api, http, &caller);
    else
        handle_route(api, http, method, ours ? path : "", &caller);
}
