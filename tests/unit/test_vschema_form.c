/*
 * VSchemas as vtctld and as vtgate write them: the same one is equal in both, each kind of change
 * makes a difference that is named, and what vtgate adds by itself makes none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "proxy/vschema_form.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char TOPO[] =
    "{'sharded':true,'vindexes':{'hash':{'type':'hash'},"
    "'name_idx':{'type':'consistent_lookup_unique','params':{'table':'lookup.name_idx','from':"
    "'name, region','to':'keyspace_id','ignore_nulls':'true'},'owner':'customer'}},"
    "'tables':{'customer':{'column_vindexes':[{'column':'id','name':'hash'},{'columns':['name',"
    "'region'],'name':'name_idx'}],'auto_increment':{'column':'id','sequence':'lookup.customer_seq'"
    "}"
    "},'country':{'type':'reference','source':'lookup.country'},'plain':{}}}";

/* What vtgate v24 shows of it; 'plain' and 'stray' are its schema tracker's. */
static const char VTGATE[] =
    "{'sharded':true,'foreignKeyMode':'unmanaged','tables':{'stray':{'name':'stray','columns':[{"
    "'name':'id','type':'INT64'}],'column_list_authoritative':true},'plain':{'name':'plain'},"
    "'country':{'type':'reference','name':'country','source':{'Name':'country','Qualifier':"
    "'lookup'}},'customer':{'name':'customer','column_vindexes':[{'columns':['id'],'type':'hash',"
    "'name':'hash','vindex':{}},{'columns':['name','region'],'type':'consistent_lookup_unique',"
    "'name':'name_idx','owned':true,'vindex':{'table':'lookup.name_idx'}}],'ordered':[{}],'owned':"
    "[{}],'auto_increment':{'column':'id','sequence':{'type':'sequence','name':'customer_seq'}},"
    "'columns':[{'name':'id','type':'INT64'},{'name':'name','type':'VARCHAR'}],'primary_key':['id']"
    "}},'vindexes':{'hash':{},'name_idx':{'table':'lookup.name_idx','from_columns':['name','region'"
    "],'to':'keyspace_id','ignore_nulls':true}}}";

/* JSON with ' for ". */
static json_t *parse(const char *text)
{
    char copy[4096];
    json_error_t error;

    assert_true(strlen(text) < sizeof(copy));
    strcpy(copy, text);
    for (char *p = copy; *p; p++) {
        if (*p == '\'')
            *p = '"';
    }
    json_t *json = json_loads(copy, 0, &error);

    if (!json)
        fail_msg("%s at %d of %s", error.text, error.position, copy);
    return json;
}

/* The text with one part of it exchanged. */
static json_t *parse_with(const char *text, const char *from, const char *to)
{
    char copy[4096];
    const char *at = strstr(text, from);

    assert_non_null(at);
    snprintf(copy, sizeof(copy), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return parse(copy);
}

/* Where the two forms differ, "" if nowhere; both are freed. */
static const char *difference(json_t *topo, json_t *vtgate)
{
    static char where[400];
    json_t *expected = vschema_form_of_topo(topo), *actual = vschema_form_of_vtgate(vtgate);
    char one[VSCHEMA_DIGEST_SIZE], other[VSCHEMA_DIGEST_SIZE];
    bool differs = vschema_form_differs(expected, actual, where, sizeof(where));

    vschema_form_digest(expected, one);
    vschema_form_digest(actual, other);
    assert_int_equal(strlen(one), VSCHEMA_DIGEST_SIZE - 1);
    assert_int_equal(strcmp(one, other) != 0, differs);
    assert_int_equal(*where != '\0', differs);
    json_decref(expected);
    json_decref(actual);
    json_decref(topo);
    json_decref(vtgate);
    return where;
}

static void the_same_is_equal(void **state)
{
    (void)state;
    assert_string_equal(difference(parse(TOPO), parse(VTGATE)), "");
    assert_string_equal(difference(parse("{}"), parse("{}")), "");
    assert_string_equal(difference(parse("{'sharded':false,'tables':{'t':{}}}"),
                                   parse("{'foreignKeyMode':'unmanaged'}")),
                        "");
}

static const struct {
    const char *from, *to, *where;
} CHANGES[] = {
    {"'sharded':true", "'sharded':false", "sharded: true, expected none"},
    {"'sharded':true", "'sharded':true,'foreignKeyMode':'managed'",
     "foreign_key_mode: \"unmanaged\", expected \"managed\""},
    {"'column':'id','name':'hash'", "'column':'no','name':'hash'",
     "tables.customer.column_vindexes[0].columns[0]: \"id\", expected \"no\""},
    {"'hash':{'type':'hash'}", "'hash':{'type':'xxhash'}",
     "tables.customer.column_vindexes[0].type: \"hash\", expected \"xxhash\""},
    {"'owner':'customer'", "'owner':'other'",
     "tables.customer.column_vindexes[1].owned: true, expected none"},
    {"name, region", "name", "vindexes.name_idx.from[1]: \"region\", expected none"},
    {"'ignore_nulls':'true'", "'ignore_nulls':'false'",
     "vindexes.name_idx.ignore_nulls: true, expected none"},
    {"lookup.customer_seq", "lookup.other_seq",
     "tables.customer.auto_increment.sequence: \"customer_seq\", expected \"other_seq\""},
    {"'plain':{}", "'plain':{'column_vindexes':[{'column':'id','name':'hash'}]}",
     "tables.plain: missing, expected "
     "{\"column_vindexes\":[{\"columns\":[\"id\"],\"name\":\"hash\","
     "\"type\":\"hash\"}]}"},
    {"'country':{'type':'reference','source':'lookup.country'},", "",
     "tables.country: {\"source\":\"lookup.country\",\"type\":\"reference\"}, expected none"},
    {"'plain':{}", "'plain':{'pinned':'80'}",
     "tables.plain: missing, expected {\"pinned\":\"80\"}"},
};

static void each_change_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(CHANGES); i++)
        assert_string_equal(
            difference(parse_with(TOPO, CHANGES[i].from, CHANGES[i].to), parse(VTGATE)),
            CHANGES[i].where);
}

static void camel_case_is_read_too(void **state)
{
    (void)state;
    json_t *topo = parse("{'sharded':true,'vindexes':{'h':{'type':'hash'}},'tables':{'t':{"
                         "'columnVindexes':[{'column':'id','name':'h'}],'autoIncrement':{'column':"
                         "'id','sequence':'`seq`'}}}}");
    json_t *vtgate = parse("{'sharded':true,'tables':{'t':{'column_vindexes':[{'columns':['id'],"
                           "'type':'hash','name':'h'}],'auto_increment':{'column':'id','sequence':{"
                           "'name':'seq'}}}},'vindexes':{'h':{}}}");

    assert_string_equal(difference(topo, vtgate), "");
}

static void a_keyspace_id_is_the_same_in_both(void **state)
{
    (void)state;
    assert_string_equal(difference(parse("{'tables':{'t':{'pinned':'80'}}}"),
                                   parse("{'tables':{'t':{'pinned':'gA=='}}}")),
                        "");
    assert_string_equal(difference(parse("{'tables':{'t':{'pinned':'8001'}}}"),
                                   parse("{'tables':{'t':{'pinned':'gAE='}}}")),
                        "");
    /* not base64: nothing is read, nothing breaks */
    assert_string_not_equal(difference(parse("{'tables':{'t':{'pinned':'80'}}}"),
                                       parse("{'tables':{'t':{'pinned':'!!!!'}}}")),
                            "");
}

static void anything_may_come(void **state)
{
    static const char *const TEXTS[] = {
        "[]",
        "5",
        "null",
        "{'tables':[]}",
        "{'tables':{'t':5}}",
        "{'tables':{'t':{'column_vindexes':5,'auto_increment':[],'source':5,'pinned':{}}}}",
        "{'tables':{'t':{'column_vindexes':[5,{'columns':{}}],'columns':[5,{}]}}}",
        "{'vindexes':{'v':5,'w':{'params':[],'from_columns':5,'table':5}}}",
        "{'sharded':5,'foreignKeyMode':99}",
        "{'routing_rules':{'a':5,'b':[5]},'mirror_rules':{'a':5},'shard_routing_rules':5}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        char copy[300];
        json_t *json;

        snprintf(copy, sizeof(copy), "%s", TEXTS[i]);
        for (char *p = copy; *p; p++)
            *p = *p == '\'' ? '"' : *p;
        json = json_loads(copy, JSON_DECODE_ANY, NULL);
        assert_non_null(json);
        json_decref(vschema_form_of_topo(json));
        json_decref(vschema_form_of_vtgate(json));
        json_decref(vschema_form_columns(json));
        json_decref(vschema_form_rules_of_vtgate(json));
        json_decref(vschema_form_rules_of_topo(json, json, json, json));
        assert_non_null(vschema_form_error(json));
        json_decref(json);
    }
}

static void columns_are_in_order(void **state)
{
    (void)state;
    json_t *vtgate = parse(VTGATE), *columns = vschema_form_columns(vtgate);
    json_t *expected = parse("{'stray':[['id','INT64']],'customer':[['id','INT64'],['name',"
                             "'VARCHAR']]}");

    assert_true(json_equal(columns, expected));
    json_decref(vtgate);
    json_decref(columns);
    json_decref(expected);
}

static void rules_are_the_same_in_both(void **state)
{
    (void)state;
    json_t *routing = parse("{'rules':[{'from_table':'t','to_tables':['b.t']},{'from_table':'v',"
                            "'toTables':['b.`v`']},{'from_table':'off','to_tables':[]}]}");
    json_t *shard = parse("{'rules':[{'from_keyspace':'a','to_keyspace':'b','shard':'-80'}]}");
    json_t *keyspace = parse("{'rules':[{'from_keyspace':'a','to_keyspace':'b'}]}");
    json_t *mirror = parse("{'rules':[{'from_table':'a.t','to_table':'b.t','percent':12.5}]}");
    json_t *page = parse("{'routing_rules':{'t':['b.t'],'off':[]},'view_routing_rules':{'v':'b.v'},"
                         "'shard_routing_rules':{'a.-80':'b'},'keyspace_routing_rules':{'a':'b'},"
                         "'mirror_rules':{'a.t':{'Percent':12.5,'Table':{'name':'t'}}}}");
    json_t *none = parse("{'routing_rules':{},'keyspace_routing_rules':null,'keyspaces':{}}");
    json_t *expected = vschema_form_rules_of_topo(routing, shard, keyspace, mirror);
    json_t *actual = vschema_form_rules_of_vtgate(page);
    json_t *empty = vschema_form_rules_of_vtgate(none);
    json_t *nothing = vschema_form_rules_of_topo(NULL, NULL, NULL, NULL);
    char where[200];

    assert_false(vschema_form_differs(expected, actual, where, sizeof(where)));
    assert_false(vschema_form_differs(nothing, empty, where, sizeof(where)));
    assert_true(vschema_form_differs(expected, empty, where, sizeof(where)));
    json_object_set_new(json_object_get(page, "routing_rules"), "t",
                        json_string("table t not found"));
    json_decref(actual);
    actual = vschema_form_rules_of_vtgate(page);
    assert_true(vschema_form_differs(expected, actual, where, sizeof(where)));
    assert_string_equal(where, "routing.t: \"table t not found\", expected [\"b.t\"]");
    json_t *all[] = {routing, shard,    keyspace, mirror, page,
                     none,    expected, actual,   empty,  nothing};

    for (size_t i = 0; i < COUNT(all); i++)
        json_decref(all[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_is_equal),
        cmocka_unit_test(each_change_is_named),
        cmocka_unit_test(camel_case_is_read_too),
        cmocka_unit_test(a_keyspace_id_is_the_same_in_both),
        cmocka_unit_test(anything_may_come),
        cmocka_unit_test(columns_are_in_order),
        cmocka_unit_test(rules_are_the_same_in_both),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
