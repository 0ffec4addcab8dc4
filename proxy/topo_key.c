/*
 * What etcd's watch says about Vitess's keys. Its JSON has keys in base64 and numbers as strings.
 */
#include <inttypes.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/bytes.h"
#include "proxy/memory.h"
#include "proxy/topo_watch.h"
#include "topodata.pb-c.h"

#define KEY_MAX_BYTES  1024
#define LOCK_MAX_BYTES 4096 /* what stands in a lock: some hundred bytes of JSON */

/* --- keys ------------------------------------------------------------------------------------ */

static bool ends_with(const char *key, size_t len, const char *end)
{
    size_t n = strlen(end);

    return len >= n && memcmp(key + len - n, end, n) == 0;
}

/* What follows the word, up to the next '/'; *rest begins there. */
static bool find_name(const char *key, size_t len, const char *word, char name[HOLD_NAME_MAX],
                      struct bytes *rest)
{
    const char *at = memmem(key, len, word, strlen(word));

    if (!at)
        return false;
    at += strlen(word);
    const char *end = memchr(at, '/', (size_t)(key + len - at));

    if (!end || end == at || (size_t)(end - at) >= HOLD_NAME_MAX ||
        memchr(at, '\0', (size_t)(end - at)))
        return false;
    memcpy(name, at, (size_t)(end - at));
    name[end - at] = '\0';
    *rest = (struct bytes){(const uint8_t *)end, (size_t)(key + len - end)};
    return true;
}

static bool begins_with(struct bytes b, const char *word)
{
    return b.len >= strlen(word) && memcmp(b.p, word, strlen(word)) == 0;
}

bool topo_key_read(const char *key, size_t len, struct change *t)
{
    struct bytes rest;

    memset(t, 0, sizeof(*t));
    t->source = CHANGE_ETCD;
    t->kind = CHANGE_VSCHEMA;
    if (ends_with(key, len, "/SrvVSchema"))
        return true;
    t->kind = CHANGE_SERVING;
    return (ends_with(key, len, "/SrvKeyspace") || ends_with(key, len, "/Shard")) &&
           find_name(key, len, "/keyspaces/", t->keyspace, &rest);
}

/* How many bytes; 0: it is not base64, or too much. */
static size_t decode(unsigned char *dst, size_t size, const char *text, size_t len)
{
    if (len < 4 || len % 4 != 0 || len / 4 * 3 > size)
        return 0;
    int n = EVP_DecodeBlock(dst, (const unsigned char *)text, (int)len);

    n -= (text[len - 1] == '=') + (text[len - 2] == '='); /* it counts the padding */
    return n > 0 ? (size_t)n : 0;
}

/* --- locks ----------------------------------------------------------------------------------- */

static void read_action(const struct topo_event *e, struct topo_lock *lock)
{
    unsigned char value[LOCK_MAX_BYTES];
    size_t n = decode(value, sizeof(value), e->value, e->value_len);
    json_t *all = n ? json_loadb((const char *)value, n, 0, NULL) : NULL;
    const char *action = json_string_value(json_object_get(all, "Action"));

    snprintf(lock->action, sizeof(lock->action), "%s", action ? action : "");
    json_decref(all);
}

/* Vitess's go/vt/topo: Lock.ToJSON is what stands in it, etcd2topo/lock.go and named_lock.go name
   the key. */
bool topo_lock_read(const struct topo_event *e, struct topo_lock *lock)
{
    struct bytes rest;

    memset(lock, 0, sizeof(*lock));
    if (find_name(e->key, e->len, "/internal/named_locks/", lock->keyspace, &rest)) {
        if (!find_name((const char *)rest.p, rest.len, "/", lock->workflow, &rest))
            return false;
    } else if (!find_name(e->key, e->len, "/keyspaces/", lock->keyspace, &rest)) {
        return false;
    }
    if (!*lock->workflow && begins_with(rest, "/shards/") &&
        !find_name((const char *)rest.p, rest.len, "/shards/", lock->shard, &rest))
        return false;
    if (!begins_with(rest, "/locks/"))
        return false;
    if (!e->deleted)
        read_action(e, lock);
    return true;
}

/* --- a shard's record ------------------------------------------------------------------------ */

static void add_denied(struct topo_denied *d, const char *table)
{
    if (strlen(table) >= HOLD_NAME_MAX)
        return;
    d->tables = memory_resize(d->tables, (d->n + 1) * sizeof(*d->tables));
    snprintf(d->tables[d->n++], HOLD_NAME_MAX, "%s", table);
}

static void add_tables(struct topo_denied *d, const Topodata__Shard *shard)
{
    for (size_t i = 0; i < shard->n_tablet_controls; i++) {
        const Topodata__Shard__TabletControl *control = shard->tablet_controls[i];

        for (size_t k = 0; k < control->n_denied_tables; k++)
            add_denied(d, control->denied_tables[k]);
    }
}

struct topo_denied *topo_denied_read(const struct topo_event *e)
{
    char keyspace[HOLD_NAME_MAX];
    struct bytes rest;

    if (!ends_with(e->key, e->len, "/Shard") ||
        !find_name(e->key, e->len, "/keyspaces/", keyspace, &rest))
        return NULL;
    unsigned char *value = memory_zalloc(e->value_len + 1);
    size_t n = decode(value, e->value_len, e->value, e->value_len);
    Topodata__Shard *shard = n > 0 ? topodata__shard__unpack(NULL, n, value) : NULL;
    struct topo_denied *d = NULL;

    if (shard) {
        d = memory_zalloc(sizeof(*d));
        memcpy(d->keyspace, keyspace, sizeof(d->keyspace));
        add_tables(d, shard);
        topodata__shard__free_unpacked(shard, NULL);
    }
    free(value);
    return d;
}

void topo_denied_free(struct topo_denied *d)
{
    if (d)
        free(d->tables);
    free(d);
}

/* --- lines ----------------------------------------------------------------------------------- */

static int64_t number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    if (json_is_integer(value))
        return json_integer_value(value);
    return json_is_string(value) ? strtoll(json_string_value(value), NULL, 10) : 0;
}

static void tell_key(const json_t *event, topo_changed_fn *changed, void *arg)
{
    const json_t *kv = json_object_get(event, "kv");
    const char *text = json_string_value(json_object_get(kv, "key"));
    const char *type = json_string_value(json_object_get(event, "type")); /* PUT is not written */
    const json_t *value = json_object_get(kv, "value");
    unsigned char key[KEY_MAX_BYTES];
    struct topo_event e = {.key = (const char *)key,
                           .deleted = type && strcmp(type, "DELETE") == 0,
                           .value = json_is_string(value) ? json_string_value(value) : "",
                           .value_len = json_string_length(value),
                           .revision = number(kv, "mod_revision")};

    e.len = text ? decode(key, sizeof(key), text, strlen(text)) : 0;
    if (e.len > 0)
        changed(arg, &e);
}

/*
 * Up to which revision all has been told, behind that line; 0: it does not say. A header has the
 * store's own revision, which is ahead of what is told while a watch catches up ("created", and
 * every batch of events then: Revision in etcd's server/storage/mvcc/watcher.go). Without events it
 * is a progress notification, which only a watch gets that has caught up.
 */
static int64_t told_to(const json_t *result, int64_t before)
{
    json_t *events = json_object_get(result, "events");
    int64_t last = 0;
    json_t *event;
    size_t i;

    if (json_array_size(events) == 0)
        return before && json_is_true(json_object_get(result, "created"))
                   ? 0
                   : number(json_object_get(result, "header"), "revision");
    json_array_foreach(events, i, event)
    {
        int64_t one = number(json_object_get(event, "kv"), "mod_revision");

        if (one > last)
            last = one;
    }
    return last;
}

bool topo_line_read(const char *line, size_t len, int64_t *revision, topo_changed_fn *changed,
                    void *arg)
{
    json_t *all = json_loadb(line, len, 0, NULL);
    const json_t *result = json_object_get(all, "result");
    json_t *event;
    size_t i;
    bool ok = json_is_object(result) && !json_is_true(json_object_get(result, "canceled"));
    int64_t told = ok ? told_to(result, *revision) : 0;

    if (!ok)
        *revision = 0; /* compacted, perhaps: what was missed is not known */
    else if (told > *revision)
        *revision = told;
    json_array_foreach(ok ? json_object_get(result, "events") : NULL, i, event)
    {
        tell_key(event, changed, arg);
    }
    json_decref(all);
    return ok;
}

/* --- the request ----------------------------------------------------------------------------- */

/* NULL: something in it is not UTF-8. */
static char *dump_and_free(json_t *request)
{
    char *text = json_dumps(request, JSON_COMPACT);

    json_decref(request);
    return text;
}

static char *base64(const char *text, size_t len)
{
    char *out = memory_zalloc((len + 2) / 3 * 4 + 1);

    EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)text, (int)len);
    return out;
}

char *topo_request(const char *root, int64_t revision)
{
    size_t len = strlen(root);
    char *begin = memory_zalloc(len + 2);
    json_t *create;

    while (len > 0 && root[len - 1] == '/')
        len--;
    memcpy(begin, root, len);
    begin[len] = '/';
    char *key = base64(begin, len + 1);

    begin[len] = '/' + 1; /* the end of the range: the first key that does not begin so */
    char *end = base64(begin, len + 1);

    create = json_pack("{s:s,s:s,s:b}", "key", key, "range_end", end, "progress_notify", 1);
    if (revision > 0)
        json_object_set_new(create, "start_revision", json_integer(revision + 1));
    char *text = dump_and_free(json_pack("{s:o}", "create_request", create));

    free(begin);
    free(key);
    free(end);
    return text;
}

/* --- a lock of our own ----------------------------------------------------------------------- */

char *topo_lease_request(int64_t ttl_s)
{
    return dump_and_free(json_pack("{s:I}", "TTL", (json_int_t)ttl_s));
}

int64_t topo_lease_read(const char *body, size_t len)
{
    json_t *answer = json_loadb(body, len, 0, NULL);
    int64_t lease = number(answer, "ID");

    json_decref(answer);
    return lease;
}

int64_t topo_put_read(const char *body, size_t len)
{
    json_t *answer = json_loadb(body, len, 0, NULL);
    int64_t revision = number(json_object_get(answer, "header"), "revision");

    json_decref(answer);
    return revision;
}

/* What stands in it is for people who look for who has the lock. */
char *topo_lock_request(const char *root, const char *keyspace, int64_t lease)
{
    char host[256] = "unknown", key[KEY_MAX_BYTES];
    int n = snprintf(key, sizeof(key), "%s/keyspaces/%s/locks/%" PRId64, root, keyspace, lease);

    gethostname(host, sizeof(host) - 1);
    char *value =
        dump_and_free(json_pack("{s:s,s:s,s:s,s:s}", "Action", "WaitForTransactions", "HostName",
                                host, "UserName", "vtshim", "Status", "Running"));
    char *key64 = base64(key, n < (int)sizeof(key) ? (size_t)n : sizeof(key) - 1);
    char *value64 = base64(value, strlen(value));
    char *text = dump_and_free(
        json_pack("{s:s,s:s,s:I}", "key", key64, "value", value64, "lease", (json_int_t)lease));

    free(value);
    free(key64);
    free(value64);
    return text;
}

char *topo_revoke_request(int64_t lease)
{
    return dump_and_free(json_pack("{s:I}", "ID", (json_int_t)lease));
}

/* --- the login ------------------------------------------------------------------------------- */

char *topo_login_request(const char *user, const char *password)
{
    char *text = dump_and_free(json_pack("{s:s,s:s}", "name", user, "password", password));

    return text ? text : memory_copy("{}", 2);
}

char *topo_login_read(const char *body, size_t len)
{
    json_t *answer = json_loadb(body, len, 0, NULL);
    const char *token = json_string_value(json_object_get(answer, "token"));
    char *copy = token && *token ? memory_copy(token, strlen(token)) : NULL;

    json_decref(answer);
    return copy;
}
