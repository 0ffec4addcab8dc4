/*
 * Tokens, origins, hosts.
 */
#include "proxy/http_guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proxy/auth.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"

#define TOKEN_LENGTH_MAX 1024
#define LOG_INTERVAL_MS  1000

struct token {
    char name[64];
    enum config_role role;
    struct admin_secret secret;
};

struct http_guard {
    struct token *tokens;
    size_t n;
    bool console_asks; /* admin_users has somebody */
    uint64_t refused, logged;
    int64_t last_log_ms;
};

struct http_guard *http_guard_create(void)
{
    return memory_zalloc(sizeof(struct http_guard));
}

static void forget(struct http_guard *g)
{
    if (g->tokens)
        explicit_bzero(g->tokens, g->n * sizeof(*g->tokens));
    free(g->tokens);
}

void http_guard_destroy(struct http_guard *g)
{
    forget(g);
    free(g);
}

void http_guard_take(struct http_guard *g, const struct config *config)
{
    const struct user_list *list = &config->http_tokens;

    forget(g);
    g->n = list->n;
    g->tokens = memory_zalloc((g->n + 1) * sizeof(*g->tokens));
    for (size_t i = 0; i < g->n; i++) {
        snprintf(g->tokens[i].name, sizeof(g->tokens[i].name), "%s", list->items[i].name);
        g->tokens[i].role = list->items[i].role;
        admin_secret_parse(&g->tokens[i].secret, list->items[i].password);
    }
    g->console_asks = config->admin_users.n > 0;
}

uint64_t http_guard_refused(const struct http_guard *g)
{
    return g->refused;
}

static const char *header(struct evhttp_request *rq, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(rq), name);
}

/* --- where it comes from --------------------------------------------------------------------- */

static bool is_local(const char *address)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (inet_pton(AF_INET, address, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, address, &v6) == 1 &&
           (IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127));
}

/* The host that was asked for is an address, or localhost: nobody can point these elsewhere. */
static bool is_literal_host(const char *host)
{
    char name[64];
    size_t n = !host ? 0 : *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    struct in_addr v4;

    if (n == 0 || n >= sizeof(name))
        return false;
    memcpy(name, host, n);
    name[n] = '\0';
    return *name == '[' || strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, &v4) == 1;
}

/* A page of ours asks, or no page: the host in the origin is the one that was asked for, whatever
   stands for TLS in front of this port. */
static bool is_same_site(struct evhttp_request *rq)
{
    const char *site = header(rq, "Sec-Fetch-Site"), *origin = header(rq, "Origin"),
               *host = header(rq, "Host");

    if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return false;
    if (!origin)
        return true;
    const char *behind = strstr(origin, "://");

    return behind && host && strcasecmp(behind + 3, host) == 0;
}

static bool is_json(const char *type)
{
    static const char JSON[] = "application/json";
    size_t n = sizeof(JSON) - 1;

    return type && strncasecmp(type, JSON, n) == 0 && (type[n] == '\0' || strchr("; \t", type[n]));
}

/* --- tokens ---------------------------------------------------------------------------------- */

/* All are compared, whichever is found: how long it takes tells nothing. */
static const struct token *find_token(const struct http_guard *g, const char *authorization)
{
    static const char SCHEME[] = "Bearer ";
    const struct token *found = NULL;

    if (!authorization || strncasecmp(authorization, SCHEME, sizeof(SCHEME) - 1) != 0)
        return NULL;
    const char *text = authorization + sizeof(SCHEME) - 1;

    if (strlen(text) > TOKEN_LENGTH_MAX)
        return NULL;
    for (size_t i = 0; i < g->n; i++) {
        if (admin_secret_is(&g->tokens[i].secret, text))
            found = &g->tokens[i];
    }
    return found;
}

static bool admit_token(const struct http_guard *g, struct evhttp_request *rq,
                        struct http_caller *caller, struct http_refusal *refusal)
{
    const struct token *token = find_token(g, header(rq, "Authorization"));

    if (!token) {
        *refusal = (struct http_refusal){401, "Unauthorized",
                                         "needs the header Authorization: Bearer TOKEN, with a "
                                         "token of http_tokens"};
        return false;
    }
    snprintf(caller->name, sizeof(caller->name), "%s", token->name);
    caller->role = token->role;
    return true;
}

static bool admit_local(const struct http_guard *g, struct evhttp_request *rq,
                        struct http_caller *caller, struct http_refusal *refusal)
{
    if (g->console_asks || !is_local(caller->peer)) {
        *refusal = (struct http_refusal){403, "Forbidden",
                                         "there are no http_tokens, so that only this host may "
                                         "look, and only as long as there are no admin_users"};
        return false;
    }
    if (!is_literal_host(header(rq, "Host"))) {
        *refusal = (struct http_refusal){403, "Forbidden",
                                         "without http_tokens this host has to be asked for by its "
                                         "address or as localhost"};
        return false;
    }
    snprintf(caller->name, sizeof(caller->name), "local");
    caller->role = CONFIG_ROLE_VIEWER;
    return true;
}

/* --- all of it ------------------------------------------------------------------------------- */

static void note_refusal(struct http_guard *g, const struct http_caller *caller,
                         const struct http_refusal *refusal)
{
    int64_t now = clock_ms();

    g->refused++;
    if (g->last_log_ms && now - g->last_log_ms < LOG_INTERVAL_MS)
        return;
    log_warn("http_denied", "peer:s reason:s times:u", caller->peer, refusal->text,
             g->refused - g->logged);
    g->logged = g->refused;
    g->last_log_ms = now;
}

static bool admit(const struct http_guard *g, struct evhttp_request *rq, struct http_caller *caller,
                  struct http_refusal *refusal)
{
    enum evhttp_cmd_type method = evhttp_request_get_command(rq);

    if (!is_same_site(rq)) {
        *refusal = (struct http_refusal){403, "Forbidden", "asked for by another site's page"};
        return false;
    }
    if (!(g->n > 0 ? admit_token : admit_local)(g, rq, caller, refusal))
        return false;
    if (method == EVHTTP_REQ_POST && !is_json(header(rq, "Content-Type"))) {
        *refusal = (struct http_refusal){415, "Unsupported Media Type",
                                         "needs the header Content-Type: application/json"};
        return false;
    }
    return true;
}

bool http_guard_admit(struct http_guard *g, struct evhttp_request *rq, struct http_caller *caller,
                      struct http_refusal *refusal)
{
    char *peer = NULL;
    ev_uint16_t port;

    evhttp_connection_get_peer(evhttp_request_get_connection(rq), &peer, &port);
    snprintf(caller->peer, sizeof(caller->peer), "%s", peer ? peer : "?");
    if (admit(g, rq, caller, refusal))
        return true;
    note_refusal(g, caller, refusal);
    return false;
}
