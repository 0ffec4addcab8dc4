/*
 * Reading an order, copying it, freeing it.
 */
#include "proxy/transition_order.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_string(struct lexer *lx, struct arena *a, const char *what, const char **to,
                        struct admin_error *error)
{
    struct token t = lexer_next(lx);

    if (t.kind != TOKEN_STRING || t.unterminated)
        return admin_parse_refuse(error, &t, what);
    char *text = arena_alloc(a, t.len + 1);

    text[lexer_unescape(text, t.text, t.len, t.text[-1])] = '\0';
    *to = text;
    return true;
}

static bool read_word(struct lexer *lx, const char *word, struct admin_error *error)
{
    struct token t = lexer_next(lx);

    return token_is(&t, word) || admin_parse_refuse(error, &t, word);
}

static bool read_probe(struct lexer *lx, struct transition_order *o, struct admin_error *error)
{
    struct transition_probe *p = &o->probes[o->probe_count];
    struct lexer ahead;

    if (o->probe_count == TRANSITION_PROBES_MAX) {
        struct token t = lexer_next(lx);

        return admin_parse_refuse(error, &t, "no more than 16 probes");
    }
    if (!read_string(lx, &o->arena, "a statement in quotes", &p->sql, error))
        return false;
    o->probe_count++;
    ahead = *lx;
    struct token t = lexer_next(&ahead);

    if (!token_is(&t, "SHARDS"))
        return true;
    *lx = ahead;
    return read_string(lx, &o->arena, "shards in quotes", &p->shards, error);
}

static bool read_watch(struct lexer *lx, struct transition_order *o, struct admin_error *error)
{
    struct token t = lexer_next(lx);
    char digits[16];
    char *end = digits;

    snprintf(digits, sizeof(digits), "%.*s", (int)(t.len < 15 ? t.len : 15), t.text);
    o->watch_s = t.kind == TOKEN_NUMBER ? strtoll(digits, &end, 10) : 0;
    if (t.kind != TOKEN_NUMBER || *end || o->watch_s < 1 || o->watch_s > TRANSITION_WATCH_MAX_S)
        return admin_parse_refuse(error, &t, "a number of seconds from 1 to 86400");
    struct lexer ahead = *lx;

    t = lexer_next(&ahead);
    if (token_is(&t, "ALERT") || token_is(&t, "ROLLBACK")) {
        o->breach_alerts = token_is(&t, "ALERT");
        *lx = ahead;
    }
    return true;
}

/* One option, whose first word has been read. */
typedef bool read_option(struct lexer *lx, struct transition_order *o, const struct token *word,
                         struct admin_error *error);

/* Options up to the end of the command. */
static bool read_options(struct lexer *lx, struct transition_order *o, read_option *option,
                         struct admin_error *error)
{
    for (;;) {
        struct token t = lexer_next(lx);

        if (t.kind == TOKEN_END)
            return true;
        if (t.kind == TOKEN_SEMICOLON)
            return admin_parse_end(lx, error);
        if (!option(lx, o, &t, error))
            return false;
    }
}

static bool read_deploy_option(struct lexer *lx, struct transition_order *o,
                               const struct token *word, struct admin_error *error)
{
    if (token_is(word, "DRY"))
        return o->dry_run = read_word(lx, "RUN", error);
    if (token_is(word, "ALLOW"))
        return read_string(lx, &o->arena, "rules in quotes", &o->allow, error);
    if (token_is(word, "PROBE"))
        return read_probe(lx, o, error);
    if (token_is(word, "WATCH"))
        return read_watch(lx, o, error);
    return admin_parse_refuse(error, word, "DRY RUN, ALLOW, PROBE or WATCH");
}

bool transition_order_parse(struct lexer *lx, enum transition_what what, struct transition_order *o,
                            struct admin_error *error)
{
    o->what = what;
    o->verb = what == TRANSITION_VSCHEMA ? "DEPLOY VSCHEMA" : "DEPLOY ROUTING RULES";
    o->keyspace = o->allow = o->user = o->peer = "";
    if (what == TRANSITION_VSCHEMA) {
        struct token t = lexer_next(lx);

        if ((t.kind != TOKEN_WORD && t.kind != TOKEN_QUOTED) || t.len == 0 ||
            t.len >= HOLD_NAME_MAX || memchr(t.text, '`', t.len))
            return admin_parse_refuse(error, &t, "a keyspace");
        o->keyspace = arena_copy(&o->arena, t.text, t.len);
    }
    return read_word(lx, "FROM", error) &&
           read_string(lx, &o->arena, "JSON, or the name of a file, in quotes", &o->source,
                       error) &&
           read_options(lx, o, read_deploy_option, error);
}

/* --- SWITCH TRAFFIC, REPARENT ---------------------------------------------------------------- */

/* "ks.workflow", "ks/shard". */
static bool split(struct transition_order *o, const char *text, char by, const struct token *t,
                  struct admin_error *error)
{
    const char *at = strchr(text, by);

    if (!at || at == text || !at[1] || (size_t)(at - text) >= HOLD_NAME_MAX || strlen(at) > 128)
        return admin_parse_refuse(error, t, by == '.' ? "'keyspace.workflow'" : "'keyspace/shard'");
    o->keyspace = arena_copy(&o->arena, text, (size_t)(at - text));
    o->name = arena_string(&o->arena, at + 1);
    return true;
}

/* "zone1-101" */
static bool read_alias(struct lexer *lx, struct transition_order *o, struct admin_error *error)
{
    struct lexer ahead = *lx;
    struct token t = lexer_next(&ahead);
    const char *text;
    char *end;

    if (!read_string(lx, &o->arena, "a tablet's alias in quotes", &text, error))
        return false;
    const char *dash = strrchr(text, '-');
    unsigned long uid = dash ? strtoul(dash + 1, &end, 10) : 0;

    if (!dash || dash == text || uid == 0 || uid > UINT32_MAX || *end)
        return admin_parse_refuse(error, &t, "a tablet's alias, such as 'zone1-101'");
    o->to = arena_copy(&o->arena, text, (size_t)(dash - text));
    o->to_uid = (uint32_t)uid;
    return true;
}

/* topodata.TabletType */
static const char *const TYPES[TRANSITION_TYPES_MAX] = {"primary", "replica", "rdonly"};

static bool read_types(struct lexer *lx, struct transition_order *o, struct admin_error *error)
{
    struct lexer ahead = *lx;
    struct token t = lexer_next(&ahead);
    const char *text;

    if (!read_string(lx, &o->arena, "tablet types in quotes", &text, error))
        return false;
    o->type_count = 0;
    for (; *text; text += strspn(text, ", ")) {
        size_t len = strcspn(text, ", ");
        int type = 0;

        for (int i = 0; i < TRANSITION_TYPES_MAX; i++) {
            if (strlen(TYPES[i]) == len && memcmp(TYPES[i], text, len) == 0)
                type = i + 1;
        }
        if (type == 0 || o->type_count == TRANSITION_TYPES_MAX)
            return admin_parse_refuse(error, &t, "some of 'primary,replica,rdonly'");
        o->types[o->type_count++] = type;
        text += len;
    }
    return o->type_count > 0 || admin_parse_refuse(error, &t, "some of 'primary,replica,rdonly'");
}

static bool read_seconds(struct lexer *lx, int64_t *seconds, struct admin_error *error)
{
    struct token t = lexer_next(lx);
    char digits[8] = "";
    char *end = digits;

    if (t.kind == TOKEN_NUMBER && t.len < sizeof(digits))
        snprintf(digits, sizeof(digits), "%.*s", (int)t.len, t.text);
    *seconds = strtoll(digits, &end, 10);
    return (*digits && !*end && *seconds >= 1 && *seconds <= 600) ||
           admin_parse_refuse(error, &t, "a number of seconds from 1 to 600");
}

static bool read_traffic_option(struct lexer *lx, struct transition_order *o,
                                const struct token *word, struct admin_error *error)
{
    if (token_is(word, "REVERSE"))
        return o->reverse = true;
    if (token_is(word, "ONLY"))
        return read_types(lx, o, error);
    if (token_is(word, "TIMEOUT"))
        return read_seconds(lx, &o->timeout_s, error);
    return admin_parse_refuse(error, word, "REVERSE, ONLY or TIMEOUT");
}

static bool read_reparent_option(struct lexer *lx, struct transition_order *o,
                                 const struct token *word, struct admin_error *error)
{
    if (token_is(word, "TO"))
        return read_alias(lx, o, error);
    if (token_is(word, "TIMEOUT"))
        return read_seconds(lx, &o->timeout_s, error);
    return admin_parse_refuse(error, word, "TO or TIMEOUT");
}

bool transition_order_parse_switch(struct lexer *lx, enum transition_what what,
                                   struct transition_order *o, struct admin_error *error)
{
    bool traffic = what == TRANSITION_TRAFFIC;
    struct lexer ahead = *lx;
    struct token t = lexer_next(&ahead);
    const char *text;

    o->what = what;
    o->verb = traffic ? "SWITCH TRAFFIC" : "REPARENT";
    o->keyspace = o->allow = o->user = o->peer = "";
    o->timeout_s = 20;
    o->type_count = TRANSITION_TYPES_MAX;
    for (int i = 0; i < TRANSITION_TYPES_MAX; i++)
        o->types[i] = i + 1;
    return read_string(lx, &o->arena, traffic ? "'keyspace.workflow'" : "'keyspace/shard'", &text,
                       error) &&
           split(o, text, traffic ? '.' : '/', &t, error) &&
           read_options(lx, o, traffic ? read_traffic_option : read_reparent_option, error);
}

bool transition_source_is_json(const char *source)
{
    return source[strspn(source, " \t\r\n")] == '{';
}

static const char *copied(struct arena *a, const char *text)
{
    return text ? arena_string(a, text) : NULL;
}

void transition_order_copy(struct transition_order *to, const struct transition_order *from)
{
    struct arena *a = &to->arena;

    *to = *from;
    *a = (struct arena){NULL};
    to->verb = copied(a, from->verb);
    to->keyspace = copied(a, from->keyspace);
    to->source = copied(a, from->source);
    to->base = copied(a, from->base);
    to->allow = copied(a, from->allow);
    to->name = copied(a, from->name);
    to->to = copied(a, from->to);
    to->user = copied(a, from->user);
    to->peer = copied(a, from->peer);
    to->statements = arena_alloc(a, (from->statement_count + 1) * sizeof(*to->statements));
    for (size_t i = 0; i < from->statement_count; i++)
        to->statements[i] = copied(a, from->statements[i]);
    for (size_t i = 0; i < from->probe_count; i++) {
        to->probes[i].sql = copied(a, from->probes[i].sql);
        to->probes[i].shards = copied(a, from->probes[i].shards);
    }
}

void transition_order_free(struct transition_order *order)
{
    arena_free(&order->arena);
}
