/* The API's routes, and the commands they write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/admin_parse.h"
#include "proxy/api_command.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void finds_routes(void **state)
{
    static const struct {
        enum api_method method;
        const char *path, *form; /* NULL: none */
        unsigned allowed;
    } CASES[] = {
        {API_GET, "/sessions", "SHOW SESSIONS[ LIKE {like:text}][ WHERE {where:conditions}]",
         1u << API_GET},
        {API_POST, "/sessions", NULL, 1u << API_GET},
        {API_GET, "/sessions/", NULL, 0},
        {API_GET, "sessions", NULL, 0},
        {API_GET, "", NULL, 0},
        {API_GET, "/nosuch", NULL, 0},
        {API_DELETE, "/holds", "RELEASE ALL", 0x7},
        {API_DELETE, "/holds/7", "RELEASE {id:number}", 0x5},
        {API_GET, "/migrations/", NULL, 0},
        {API_GET, "/migrations/%ff", NULL, 0}, /* no UTF-8 */
        {API_GET, "/migrations/%00", NULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        json_t *parameters = json_object();
        unsigned allowed;
        const struct api_route *route =
            api_route_find(CASES[i].method, CASES[i].path, parameters, &allowed);

        if (CASES[i].form && CASES[i].method != API_DELETE)
            assert_int_equal(allowed, CASES[i].allowed);
        assert_true(!route == !CASES[i].form);
        if (route)
            assert_string_equal(route->form, CASES[i].form);
        json_decref(parameters);
    }
}

static void decodes_the_path(void **state)
{
    json_t *parameters = json_object();
    unsigned allowed;

    (void)state;
    assert_non_null(
        api_route_find(API_POST, "/vtgates/host%3a15306%27/drain", parameters, &allowed));
    assert_string_equal(json_string_value(json_object_get(parameters, "vtgate")), "host:15306'");
    json_decref(parameters);
}

/* What a client says, and the command it becomes, or the complaint. */
static const struct {
    enum api_method method;
    const char *path, *body, *command, *error;
} COMMANDS[] = {
    {API_POST, "/holds", "{\"scope\": \"all\"}", "HOLD all STICKY", NULL},
    {API_POST, "/holds", "{\"scope\": \"keyspace\", \"keyspace\": \"ks\", \"seconds\": 5}",
     "HOLD keyspace `ks` FOR 5 STICKY", NULL},
    {API_POST, "/holds",
     "{\"scope\": \"table\", \"keyspace\": \"k'\", \"table\": \"t;\", \"reason\": \"it's \\\\ \"}",
     "HOLD table `k'`.`t;` REASON 'it\\'s \\\\ ' STICKY", NULL},
    {API_POST, "/holds", "{\"scope\": \"all\", \"only\": [\"writes\", \"ddl\"]}",
     "HOLD all ONLY writes, ddl STICKY", NULL},
    {API_POST, "/holds", "{}", NULL, "missing parameter 'scope'"},
    {API_POST, "/holds", "{\"scope\": \"all FOR 1\"}", NULL, "parameter 'scope' must be a word"},
    {API_POST, "/holds", "{\"scope\": 7}", NULL, "parameter 'scope' must be a word"},
    {API_POST, "/holds", "{\"scope\": \"all\", \"only\": []}", NULL,
     "parameter 'only' must be a word, or a list of words"},
    {API_POST, "/holds", "{\"scope\": \"keyspace\", \"keyspace\": \"a`b\"}", NULL,
     "parameter 'keyspace' must be a name without backquotes"},
    {API_POST, "/holds", "{\"scope\": \"all\", \"reason\": null}", NULL,
     "parameter 'reason' must be a string"},
    {API_POST, "/holds", "{\"scope\": \"all\", \"seconds\": -1}", NULL,
     "parameter 'seconds' must be a number that is not negative"},
    {API_POST, "/holds", "{\"scope\": \"all\", \"seconds\": \"1 REASON\"}", NULL,
     "parameter 'seconds' must be a number that is not negative"},
    {API_POST, "/holds", "{\"scope\": \"all\", \"secnods\": 1}", NULL,
     "unknown parameter 'secnods'"},
    {API_POST, "/migrations/u-1/throttle", "{\"ratio\": 0.25, \"expire\": \"10m\"}",
     "THROTTLE MIGRATION 'u-1' EXPIRE '10m' RATIO 0.250000", NULL},
    {API_GET, "/sessions", "{}", "SHOW SESSIONS", NULL},
    {API_GET, "/config", "{\"like\": \"hold.%\"}", "SHOW CONFIG LIKE 'hold.%'", NULL},
    {API_GET, "/config", "{\"like\": \"x' WHERE 'y\\\\\"}",
     "SHOW CONFIG LIKE 'x\\' WHERE \\'y\\\\'", NULL},
    {API_GET, "/sessions", "{\"where\": \"user = 'a' AND age_s > 5\"}",
     "SHOW SESSIONS WHERE user = 'a' AND age_s > 5", NULL},
    {API_GET, "/sessions", "{\"where\": \"id = 1\", \"like\": \"1%\"}",
     "SHOW SESSIONS LIKE '1%' WHERE id = 1", NULL},
    {API_GET, "/sessions", "{\"where\": \"id = 1; KILL SESSION 1\"}", NULL,
     "parameter 'where' must be conditions as behind WHERE, without a semicolon"},
    {API_GET, "/sessions", "{\"where\": \"id = 'open\"}", NULL,
     "parameter 'where' must be conditions as behind WHERE, without a semicolon"},
    {API_GET, "/sessions", "{\"where\": \"\"}", NULL,
     "parameter 'where' must be conditions as behind WHERE, without a semicolon"},
    {API_GET, "/sessions", "{\"where\": [\"id = 1\", \"id = 2\"]}", NULL,
     "parameter 'where' must be conditions as behind WHERE, without a semicolon"},
    {API_GET, "/migrations/u-1", "{\"keyspace\": \"ks\"}", "SHOW MIGRATION 'u-1' IN `ks`", NULL},
    {API_DELETE, "/holds/12", "{}", "RELEASE 12", NULL},
    {API_DELETE, "/holds/all", "{}", NULL, "parameter 'id' must be a number that is not negative"},
    {API_POST, "/vschemas/ks", "{\"vschema\": {\"tables\": {\"it's\": {}}}, \"dry_run\": \"true\"}",
     "DEPLOY VSCHEMA `ks` FROM '{\"tables\":{\"it\\'s\":{}}}' DRY RUN", NULL},
    {API_POST, "/vschemas/ks", "{\"vschema\": \"f.json\", \"dry_run\": \"false\"}",
     "DEPLOY VSCHEMA `ks` FROM 'f.json'", NULL},
    {API_POST, "/vschemas/ks",
     "{\"vschema\": {}, \"probe\": [\"SELECT 'a'\", \"SELECT 2\"], \"watch_s\": \"60\", "
     "\"breach\": \"alert\"}",
     "DEPLOY VSCHEMA `ks` FROM '{}' PROBE 'SELECT \\'a\\'' PROBE 'SELECT 2' WATCH 60 alert", NULL},
    {API_POST, "/vschemas/ks", "{\"vschema\": {}, \"probe\": []}", "DEPLOY VSCHEMA `ks` FROM '{}'",
     NULL},
    {API_POST, "/vschemas/ks", "{\"vschema\": {}, \"allow\": [\"a\"]}", NULL,
     "parameter 'allow' must be a string"},
    {API_POST, "/vschemas/ks", "{\"vschema\": [], \"dry_run\": true}", NULL,
     "parameter 'vschema' must be a JSON object, or the name of a file as a string"},
    {API_POST, "/vschemas/ks", "{}", NULL, "missing parameter 'vschema'"},
    {API_POST, "/vschemas/ks", "{\"vschema\": {}, \"dry_run\": 1}", NULL,
     "parameter 'dry_run' must be true or false"},
    {API_POST, "/vschemas/ks", "{\"vschema\": {}, \"dry_run\": \"yes\"}", NULL,
     "parameter 'dry_run' must be true or false"},
    {API_POST, "/routing-rules", "{\"rules\": {\"rules\": []}}",
     "DEPLOY ROUTING RULES FROM '{\"rules\":[]}'", NULL},
    {API_POST, "/plans", "{\"plan\": {\"steps\": [{\"ddl\": \"a\\\\'b\"}]}}",
     "DEPLOY PLAN '{\"steps\":[{\"ddl\":\"a\\\\\\\\\\'b\"}]}'", NULL},
    {API_POST, "/config/hold.max_wait_ms", "{\"value\": 5000}",
     "SET OPTION hold.max_wait_ms = '5000'", NULL},
    {API_POST, "/config/http_tls", "{\"value\": true}", "SET OPTION http_tls = 'true'", NULL},
    {API_POST, "/config/listen", "{\"value\": \"it's\"}", "SET OPTION listen = 'it\\'s'", NULL},
    {API_POST, "/config/listen", "{\"value\": null}", NULL,
     "parameter 'value' must be a string, a number, true or false"},
    {API_POST, "/config/a;b", "{\"value\": 1}", NULL,
     "parameter 'option' must be the name of a setting"},
    {API_DELETE, "/config/hold.max_wait_ms", "{}", "SET OPTION hold.max_wait_ms = DEFAULT", NULL},
    {API_POST, "/log-level", "{\"level\": \"debug\"}", "LOG LEVEL debug", NULL},
    {API_POST, "/migrations/u/complete", "{\"force\": true}", "COMPLETE MIGRATION 'u' FORCE", NULL},
    {API_POST, "/commands", "{\"command\": \"SHOW HOLDS\"}", "SHOW HOLDS", NULL},
    {API_POST, "/commands", "{\"command\": [\"SHOW\"]}", NULL,
     "parameter 'command' must be a command, as a string"},
};

static void writes_commands(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(COMMANDS); i++) {
        json_t *parameters = json_loads(COMMANDS[i].body, 0, NULL);
        char error[API_ERROR_MAX];
        struct buffer out;
        unsigned allowed;
        const struct api_route *route =
            api_route_find(COMMANDS[i].method, COMMANDS[i].path, parameters, &allowed);

        buffer_init(&out, 4096);
        assert_non_null(route);
        assert_int_equal(api_command_build(route, parameters, &out, error),
                         COMMANDS[i].command != NULL);
        buffer_u8(&out, 0);
        if (COMMANDS[i].command)
            assert_string_equal((const char *)out.data, COMMANDS[i].command);
        else
            assert_string_equal(error, COMMANDS[i].error);
        buffer_release(&out);
        json_decref(parameters);
    }
}

static void bounds_the_command(void **state)
{
    size_t n;
    json_t *parameters = json_object();
    char error[API_ERROR_MAX], text[256];
    struct buffer out;
    unsigned allowed;
    const struct api_route *route = api_route_find(API_POST, "/commands", parameters, &allowed);

    (void)state;
    (void)api_routes(&n);
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    json_object_set_new(parameters, "command", json_string(text));
    buffer_init(&out, 100);
    assert_false(api_command_build(route, parameters, &out, error));
    buffer_release(&out);
    json_decref(parameters);
}

/* Every row of the table is well made: its words are a command's, its path's parameters are used,
   and no two rows mean the same request. */
static void rows_are_sound(void **state)
{
    size_t n;
    const struct api_route *routes = api_routes(&n);

    (void)state;
    assert_true(n > 20);
    for (size_t i = 0; i < n; i++) {
        const char *form = routes[i].form, *p = routes[i].path;
        struct admin_error unused;
        struct api_parameter parameter;
        struct lexer lx;

        if (*form != '{') {
            lexer_init(&lx, form, strlen(form));
            assert_true(admin_parse_command(&lx, &unused) >= 0);
        }
        while (api_parameter_next(&form, &parameter))
            assert_true(
                *parameter.name &&
                strstr("word words name text number flag command setting value document conditions",
                       parameter.type));
        for (p = strchr(p, '{'); p; p = strchr(p + 1, '{')) {
            char name[40];

            snprintf(name, sizeof(name), "{%.*s:", (int)strcspn(p + 1, "}"), p + 1);
            assert_non_null(strstr(routes[i].form, name));
        }
        for (size_t k = 0; k < i; k++)
            assert_true(routes[k].method != routes[i].method ||
                        strcmp(routes[k].path, routes[i].path) != 0);
    }
}

/* Whoever adds a command says how it is reached over HTTP, or why it is not. */
static void every_command_has_a_route(void **state)
{
    static const char *const WORDS[] = {
#define ADMIN_COMMAND(words, syntax, help, right, handler) words,
#include "proxy/admin_commands.def"
#undef ADMIN_COMMAND
    };
    unsigned found[COUNT(WORDS)] = {0};
    struct admin_error unused;
    struct lexer lx;
    size_t n, m;
    const struct api_route *routes = api_routes(&n);
    const struct api_without *withouts = api_withouts(&m);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        lexer_init(&lx, routes[i].form, strlen(routes[i].form));
        int row = *routes[i].form == '{' ? -1 : admin_parse_command(&lx, &unused);

        if (row >= 0)
            found[row] |= 1;
    }
    for (size_t i = 0; i < m; i++) {
        lexer_init(&lx, withouts[i].words, strlen(withouts[i].words));
        int row = admin_parse_command(&lx, &unused);

        assert_true(row >= 0 && *withouts[i].why);
        assert_string_equal(WORDS[row], withouts[i].words);
        found[row] |= 2;
    }
    for (size_t i = 0; i < COUNT(WORDS); i++) {
        if (found[i] != 1 && found[i] != 2)
            fail_msg("%s: %s", WORDS[i],
                     found[i] ? "a route, and a reason for none" : "neither a route nor a reason");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_routes),    cmocka_unit_test(decodes_the_path),
        cmocka_unit_test(writes_commands), cmocka_unit_test(bounds_the_command),
        cmocka_unit_test(rows_are_sound),  cmocka_unit_test(every_command_has_a_route),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
