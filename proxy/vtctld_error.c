/*
 * Reading vtctld's refusals: a text that cannot be parsed, the JSON of an ExecuteResult, or plain
 * words.
 */
#include "proxy/vtctld_error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATE_CHARACTERS "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

void vitess_error_code(const char *text, uint16_t *code, char state[6])
{
    const char *errno_at = strstr(text, "(errno ");
    const char *state_at = strstr(text, "(sqlstate ");

    if (!errno_at || !state_at || strspn(state_at + 10, STATE_CHARACTERS) != 5)
        return;
    unsigned long n = strtoul(errno_at + 7, NULL, 10);

    if (n == 0 || n > UINT16_MAX)
        return;
    *code = (uint16_t)n;
    memcpy(state, state_at + 10, 5);
}

static void trim(char *text)
{
    size_t n = strlen(text);

    while (n > 0 && text[n - 1] == ' ')
        text[--n] = '\0';
}

/* "failed to parse sql: ..., got error: Code: INVALID_ARGUMENT\nsyntax error ...": vtgate says only
   the last part. */
static bool read_syntax_error(struct vtctld_error *e, const char *text)
{
    static const char MARK[] = "got error: Code: INVALID_ARGUMENT ";
    const char *at = NULL;

    if (strncmp(text, "failed to parse sql: ", 21) != 0)
        return false;
    for (const char *p = strstr(text, MARK); p; p = strstr(p + 1, MARK))
        at = p + sizeof(MARK) - 1;
    if (!at)
        return false;
    snprintf(e->text, sizeof(e->text), "%s", at);
    trim(e->text);
    return true;
}

/* "schema change failed, ExecuteResult: {...}": the first shard's error, or the executor's. */
static bool read_execute_result(struct vtctld_error *e, const char *text)
{
    static const char MARK[] = "schema change failed, ExecuteResult: ";
    const char *at = strstr(text, MARK);
    json_t *result = at ? json_loads(at + sizeof(MARK) - 1, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    const json_t *shard = json_array_get(json_object_get(result, "FailedShards"), 0);
    const char *name = json_string_value(json_object_get(shard, "Shard"));
    const char *shard_error = json_string_value(json_object_get(shard, "Err"));
    const char *error = json_string_value(json_object_get(result, "ExecutorErr"));
    bool found = shard_error || (error && *error);

    if (shard_error)
        snprintf(e->text, sizeof(e->text), "vtshim: vtctld: shard %s: %s", name ? name : "?",
                 shard_error);
    else if (found)
        snprintf(e->text, sizeof(e->text), "vtshim: vtctld: %s", error);
    json_decref(result);
    return found;
}

void vtctld_error_read(struct vtctld_error *e, enum grpc_status status, const char *text)
{
    e->code = 1105;
    snprintf(e->state, sizeof(e->state), "HY000");
    if (!read_syntax_error(e, text) && !read_execute_result(e, text))
        snprintf(e->text, sizeof(e->text), "vtshim: vtctld: %s (%s)", text,
                 grpc_status_name(status));
    vitess_error_code(e->text, &e->code, e->state);
}
