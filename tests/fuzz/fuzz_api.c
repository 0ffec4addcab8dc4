/*
 * Any text as a request of the API: "METHOD path" in the first line, then the body as JSON, whose keys are parameters.
 * Holds: what a route makes of it is a command that the console's lexer reads to its end, with no
 * string, name or comment left open, and that begins as its route does.
 */
#include "planner/lexer.h"
#include "proxy/api_command.h"
#include "tests/fuzz/fuzz.h"

#define COMMAND_MAX (1u << 20)

static void check_command(const struct api_route *route, const struct buffer *out)
{
    size_t n = strcspn(route->form, "{[");
    struct lexer lx;

    CHECK(out->len >= (n > 0 ? n - 1 : 0) && memcmp(out->data, route->form, n > 0 ? n - 1 : 0) == 0);
    if (n == 0)
        return; /* the whole command is the caller's */
    lexer_init(&lx, (const char *)out->data, out->len);
    for (struct token t = lexer_next(&lx); t.kind != TOKEN_END; t = lexer_next(&lx))
        CHECK(!t.unterminated && t.kind != TOKEN_SEMICOLON);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_string((const char *)data, size), *end = strchr(text, '\n');
    char error[API_ERROR_MAX] = "";
    enum api_method method = size % 3 == 0 ? API_GET : size % 3 == 1 ? API_POST : API_DELETE;
    unsigned allowed = 0;

    if (end)
        *end = '\0';
    json_t *body = end ? json_loads(end + 1, 0, NULL) : NULL;
    json_t *parameters = json_is_object(body) ? json_incref(body) : json_object();
    const struct api_route *route = api_route_find(method, text, parameters, &allowed);

    if (route) {
        struct buffer out;

        buffer_init(&out, COMMAND_MAX);
        if (api_command_build(route, parameters, &out, error))
            check_command(route, &out);
        else
            CHECK(*error && strlen(error) < sizeof(error));
        buffer_release(&out);
    }
    json_decref(parameters);
    json_decref(body);
    free(text);
    return 0;
}
