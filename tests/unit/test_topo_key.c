/*
 * What etcd says about Vitess's keys: which of them tell of a change, lines of its watch (those
 * of a real etcd 3.4 and broken ones), and the request.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/topo_watch.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
    const char *key;
    bool tells;
    enum change_kind kind;
    const char *keyspace;
} KEYS[] = {
    {"/vitess/zone1/SrvVSchema", true, CHANGE_VSCHEMA, ""},
    {"/vitess/zone1/keyspaces/commerce/SrvKeyspace", true, CHANGE_SERVING, "commerce"},
    {"/vitess/global/keyspaces/commerce/shards/-80/Shard", true, CHANGE_SERVING, "commerce"},
    {"/vitess/global/keyspaces/commerce/VSchema", false, 0, ""},
    {"/vitess/global/keyspaces/commerce/Keyspace", false, 0, ""},
    {"/vitess/zone1/keyspaces/commerce/shards/-80/ShardReplication", false, 0, ""},
    {"/vitess/zone1/tablets/zone1-0000000100/Tablet", false, 0, ""},
    {"/Shard", false, 0, ""},
    {"/keyspaces//Shard", false, 0, ""},
    {"/keyspaces/x", false, 0, ""},
    {"", false, 0, ""},
};

static void keys_are_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(KEYS); i++) {
        struct change t;
        bool tells = topo_key_read(KEYS[i].key, strlen(KEYS[i].key), &t);

        if (tells != KEYS[i].tells ||
            (tells && (t.kind != KEYS[i].kind || strcmp(t.keyspace, KEYS[i].keyspace) != 0 ||
                       t.source != CHANGE_ETCD)))
            fail_msg("%s", KEYS[i].key);
    }
}

struct seen {
    size_t n;
    int64_t revision;
    char last[128];
};

static void note(void *arg, const struct topo_event *event)
{
    struct seen *seen = arg;

    seen->n++;
    seen->revision = event->revision;
    snprintf(seen->last, sizeof(seen->last), "%s%.*s", event->deleted ? "gone: " : "",
             (int)event->len, event->key);
}

static const struct {
    const char *line;
    bool ok;
    int64_t revision; /* 7 before */
    size_t keys;
    const char *last;
} LINES[] = {
    {"{\"result\":{\"header\":{\"cluster_id\":\"1\",\"revision\":\"48\",\"raft_term\":\"2\"},"
     "\"created\":true}}",
     true, 7, 0, ""}, /* those after 7 come in the next lines */
    {"{\"result\":{\"header\":{\"revision\":\"48\"}}}", true, 48, 0, ""},
    {"{\"result\":{\"header\":{\"revision\":\"50\"},\"events\":[{\"kv\":{\"key\":"
     "\"L3ZpdGVzcy96b25lMS9TcnZWU2NoZW1h\",\"mod_revision\":\"50\",\"value\":\"CgA=\"}}]}}",
     true, 50, 1, "/vitess/zone1/SrvVSchema"},
    {"{\"result\":{\"header\":{\"revision\":\"900\"},\"events\":[{\"kv\":{\"key\":\"L2Fi\",\"mod_"
     "revision\":"
     "\"51\"}},{\"type\":\"DELETE\",\"kv\":{\"key\":\"L2E=\",\"mod_revision\":\"52\"}}]}}",
     true, 52, 2, "gone: /a"}, /* it catches up: those from 53 to 900 come in the next lines */
    {"{\"result\":{\"header\":{\"revision\":\"5\"},\"events\":[{\"type\":\"DELETE\",\"kv\":{"
     "\"key\":\"L2E=\"}},{\"kv\":{\"key\":\"L2Fi\"}}]}}",
     true, 7, 2, "/ab"},
    {"{\"result\":{\"header\":{\"revision\":\"9\"},\"events\":[{\"kv\":{\"key\":\"L2Fi\"}},{"
     "\"type\":\"DELETE\",\"kv\":{\"key\":\"L2E=\"}}]}}",
     true, 7, 2, "gone: /a"},
    {"{\"result\":{\"header\":{\"revision\":\"60\"},\"canceled\":true,\"compact_revision\":\"55\"}"
     "}",
     false, 0, 0, ""},
    {"{\"result\":{\"header\":{\"revision\":\"8\"},\"events\":[5,{},{\"kv\":5},{\"kv\":{\"key\":\"!"
     "\"}},"
     "{\"kv\":{\"key\":\"!!!!\"}},{\"kv\":{\"key\":\"====\"}}]}}",
     true, 7, 1, NULL},
    {"{\"error\":{\"grpc_code\":14}}", false, 0, 0, ""},
    {"", false, 0, 0, ""},
    {"[]", false, 0, 0, ""},
    {"{\"result\":", false, 0, 0, ""},
};

static void lines_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(LINES); i++) {
        struct seen seen = {0};
        int64_t revision = 7;
        bool ok = topo_line_read(LINES[i].line, strlen(LINES[i].line), &revision, note, &seen);

        if (ok != LINES[i].ok || revision != LINES[i].revision)
            fail_msg("%s: %d %lld", LINES[i].line, ok, (long long)revision);
        if (LINES[i].last) {
            assert_int_equal(seen.n, LINES[i].keys);
            assert_string_equal(seen.last, LINES[i].last);
        }
    }
}

static void a_watch_from_now_on_begins_where_the_store_is(void **state)
{
    struct seen seen = {0};
    int64_t revision = 0;

    (void)state;
    assert_true(topo_line_read(LINES[0].line, strlen(LINES[0].line), &revision, note, &seen));
    assert_int_equal(revision, 48);
    assert_true(topo_line_read(LINES[3].line, strlen(LINES[3].line), &revision, note, &seen));
    assert_int_equal(seen.revision, 52); /* the key's own, not the store's */
}

#define LOCK_OF(action) "{\"Action\": \"" action "\", \"HostName\": \"h\", \"Status\": \"Running\"}"

static const struct {
    const char *key, *value; /* NULL: deleted */
    bool is_lock;
    const char *keyspace, *shard, *action, *workflow; /* NULL: "" */
} LOCKS[] = {
    {"/vitess/global/internal/named_locks/aside/wf/locks/7587", LOCK_OF("WorkflowSwitchTraffic"),
     true, "aside", "", "WorkflowSwitchTraffic", "wf"},
    {"/vitess/global/internal/named_locks/aside/shards/locks/1", NULL, true, "aside", "", "",
     "shards"},
    {"/vitess/global/internal/named_locks/aside/shards/x/locks/1", "x", false, "", "", "", ""},
    {"/vitess/global/internal/named_locks/aside/locks/1", "x", false, "", "", "", ""},
    {"/vitess/global/internal/named_locks/aside/wf/Lock", "x", false, "", "", "", ""},
    {"/vitess/global/keyspaces/commerce/locks/7587", LOCK_OF("SwitchWrites"), true, "commerce", "",
     "SwitchWrites", NULL},
    {"/vitess/global/keyspaces/commerce/shards/-80/locks/7587",
     LOCK_OF("PlannedReparentShard(<nil>, AvoidPrimary = <nil>)"), true, "commerce", "-80",
     "PlannedReparentShard(<nil>, AvoidPrimary = <nil>)", NULL},
    {"/vitess/global/keyspaces/commerce/shards/-80/locks/7587", NULL, true, "commerce", "-80", "",
     NULL},
    {"/vitess/global/keyspaces/commerce/locks/1", "", true, "commerce", "", "", NULL},
    {"/vitess/global/keyspaces/commerce/locks/1", "{\"Action\": 5}", true, "commerce", "", "",
     NULL},
    {"/vitess/global/keyspaces/commerce/locks/1", "{\"Action", true, "commerce", "", "", NULL},
    {"/vitess/global/keyspaces/locks/locks/1", LOCK_OF("a"), true, "locks", "", "a", NULL},
    {"/vitess/global/keyspaces/commerce/shards/-80/Shard", "x", false, "", "", "", NULL},
    {"/vitess/global/keyspaces/commerce/shards/locks/1", "x", false, "", "", "", NULL},
    {"/vitess/global/keyspaces/commerce/shards//locks/1", "x", false, "", "", "", NULL},
    {"/vitess/global/keyspaces/commerce/Keyspace", "x", false, "", "", "", NULL},
    {"/vitess/global/locks/1", "x", false, "", "", "", NULL},
    {"", "x", false, "", "", "", NULL},
};

static void locks_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(LOCKS); i++) {
        char value[512] = "";
        const char *text = LOCKS[i].value ? LOCKS[i].value : "";
        struct topo_event e = {.key = LOCKS[i].key,
                               .len = strlen(LOCKS[i].key),
                               .deleted = !LOCKS[i].value,
                               .value = value};
        struct topo_lock lock;

        e.value_len = (size_t)EVP_EncodeBlock((unsigned char *)value, (const unsigned char *)text,
                                              (int)strlen(text));
        if (topo_lock_read(&e, &lock) != LOCKS[i].is_lock)
            fail_msg("%s", LOCKS[i].key);
        if (!LOCKS[i].is_lock)
            continue;
        assert_string_equal(lock.keyspace, LOCKS[i].keyspace);
        assert_string_equal(lock.shard, LOCKS[i].shard);
        assert_string_equal(lock.action, LOCKS[i].action);
        assert_string_equal(lock.workflow, LOCKS[i].workflow ? LOCKS[i].workflow : "");
    }
}

/* Of "commerce/-80" as a MoveTables of two tables leaves it: an alias (field 1), a control (6) with
   its type (1) and tables (4), and primary_serving (7). */
static const uint8_t SHARD[] = "\x0a\x09\x0a\x05zone1\x10\x64\x32\x10\x08\x01\x22\x04"
                               "demo\x22\x06"
                               "second\x38\x01";

static struct topo_denied *denied_of(const char *key, const uint8_t *value, size_t len)
{
    char text[512] = "";
    struct topo_event e = {.key = key, .len = strlen(key), .value = text};

    e.value_len = (size_t)EVP_EncodeBlock((unsigned char *)text, value, (int)len);
    return topo_denied_read(&e);
}

static void denied_tables_are_read(void **state)
{
    static const char KEY[] = "/vitess/global/keyspaces/commerce/shards/-80/Shard";
    struct topo_denied *d = denied_of(KEY, SHARD, sizeof(SHARD) - 1);

    (void)state;
    assert_non_null(d);
    assert_string_equal(d->keyspace, "commerce");
    assert_int_equal(d->n, 2);
    assert_string_equal(d->tables[0], "demo");
    assert_string_equal(d->tables[1], "second");
    topo_denied_free(d);
    d = denied_of(KEY, (const uint8_t *)"\x38\x01", 2); /* nothing is denied */
    assert_non_null(d);
    assert_int_equal(d->n, 0);
    topo_denied_free(d);
    for (size_t len = 0; len < sizeof(SHARD) - 1; len++) /* cut off anywhere */
        topo_denied_free(denied_of(KEY, SHARD, len));
    assert_null(denied_of(KEY, SHARD, 0));
    assert_null(denied_of(KEY, SHARD, sizeof(SHARD) - 2));
    assert_null(denied_of("/vitess/global/keyspaces/commerce/Keyspace", SHARD, sizeof(SHARD) - 1));
    assert_null(denied_of("/Shard", SHARD, sizeof(SHARD) - 1));
}

static void the_request_has_a_range(void **state)
{
    char *text = topo_request("/vitess/zone1/", 0);

    (void)state;
    /* "/vitess/zone1/" to "/vitess/zone10" */
    assert_string_equal(text, "{\"create_request\":{\"key\":\"L3ZpdGVzcy96b25lMS8=\",\"range_end\":"
                              "\"L3ZpdGVzcy96b25lMTA=\",\"progress_notify\":true}}");
    free(text);
    text = topo_request("/vitess/zone1", 41);
    assert_non_null(strstr(text, "\"key\":\"L3ZpdGVzcy96b25lMS8=\""));
    assert_non_null(strstr(text, "\"start_revision\":42"));
    free(text);
}

/* It is found as vtctld's are, and gone with its lease. */
static void a_lock_of_our_own(void **state)
{
    static const char ANSWER[] =
        "{\"header\": {}, \"ID\": \"7587866534134087431\", \"TTL\": \"4\"}";
    int64_t lease = topo_lease_read(ANSWER, strlen(ANSWER));
    char *ask = topo_lease_request(4), *give = topo_revoke_request(lease);
    char *text = topo_lock_request("/vitess/global", "commerce", lease);
    json_t *put = json_loads(text, 0, NULL);
    const char *value = json_string_value(json_object_get(put, "value"));
    char key[128] = "";
    struct topo_lock lock;

    (void)state;
    assert_int_equal(lease, 7587866534134087431);
    assert_string_equal(ask, "{\"TTL\":4}");
    assert_string_equal(give, "{\"ID\":7587866534134087431}");
    assert_int_equal(json_integer_value(json_object_get(put, "lease")), lease);
    const char *key64 = json_string_value(json_object_get(put, "key"));

    EVP_DecodeBlock((unsigned char *)key, (const unsigned char *)key64, (int)strlen(key64));
    assert_string_equal(key, "/vitess/global/keyspaces/commerce/locks/7587866534134087431");
    struct topo_event e = {
        .key = key, .len = strlen(key), .value = value, .value_len = strlen(value)};

    assert_true(topo_lock_read(&e, &lock));
    assert_string_equal(lock.keyspace, "commerce");
    assert_string_equal(lock.action, "WaitForTransactions");
    assert_int_equal(topo_lease_read("{}", 2), 0);
    assert_int_equal(topo_lease_read("no", 2), 0);
    static const char PUT[] = "{\"header\":{\"cluster_id\":\"1\",\"revision\":\"417\"}}";

    assert_int_equal(topo_put_read(PUT, strlen(PUT)), 417);
    assert_int_equal(topo_put_read("{}", 2), 0);
    json_decref(put);
    free(text);
    free(ask);
    free(give);
}

static void a_login_is_asked_for_and_read(void **state)
{
    static const struct {
        const char *body, *token;
    } ANSWERS[] = {{"{\"header\":{\"revision\":\"7\"},\"token\":\"abc.12\"}", "abc.12"},
                   {"{\"token\":\"\"}", NULL},
                   {"{\"token\":5}", NULL},
                   {"{\"error\":\"etcdserver: authentication failed\",\"code\":3}", NULL},
                   {"[]", NULL},
                   {"", NULL}};
    char *text = topo_login_request("vt\"shim", "p\\w");

    (void)state;
    assert_string_equal(text, "{\"name\":\"vt\\\"shim\",\"password\":\"p\\\\w\"}");
    free(text);
    text = topo_login_request("\xff", "p"); /* not UTF-8: etcd refuses what is sent then */
    assert_string_equal(text, "{}");
    free(text);
    for (size_t i = 0; i < COUNT(ANSWERS); i++) {
        char *token = topo_login_read(ANSWERS[i].body, strlen(ANSWERS[i].body));

        if (ANSWERS[i].token)
            assert_string_equal(token, ANSWERS[i].token);
        else
            assert_null(token);
        free(token);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_told_apart),
        cmocka_unit_test(lines_are_read),
        cmocka_unit_test(a_watch_from_now_on_begins_where_the_store_is),
        cmocka_unit_test(locks_are_read),
        cmocka_unit_test(denied_tables_are_read),
        cmocka_unit_test(the_request_has_a_range),
        cmocka_unit_test(a_login_is_asked_for_and_read),
        cmocka_unit_test(a_lock_of_our_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
