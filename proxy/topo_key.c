/*
 * What etcd's watch says about Vitess's keys. Its JSON has keys in base64 and numbers as strings.
 */
#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/memory.h"
#include "proxy/topo_watch.h"

#define KEY_MAX_BYTES 1024

/* --- keys ------------------------------------------------------------------------------------ */

static bool ends_with(const char *key, size_t len, const char *end)
{
    size_t n = strlen(end);

    return len >= n && memcmp(key + len - n, end, n) == 0;
}

/* What follows "/keyspaces/", up to the next '/'. */
static bool find_keyspace(const char *key, size_t len, char keyspace[HOLD_NAME_MAX])
{
    static const char WORD[] = "/keyspaces/";
    const char *at = memmem(key, len, WORD, strlen(WORD));

    if (!at)
        return false;
    at += strlen(WORD);
    const char *end = memchr(at, '/', (size_t)(key + len - at));

    if (!end || end == at || (size_t)(end - at) >= HOLD_NAME_MAX)
        return false;
    memcpy(keyspace, at, (size_t)(end - at));
    keyspace[end - at] = '\0';
    return true;
}

bool topo_key_read(const char *key, size_t len, struct change *t)
{
    memset(t, 0, sizeof(*t));
    t->source = CHANGE_ETCD;
    t->kind = CHANGE_VSCHEMA;
    if (ends_with(key, len, "/SrvVSchema"))
        return true;
    t->kind = CHANGE_SERVING;
    return (ends_with(key, len, "/SrvKeyspace") || ends_with(key, len, "/Shard")) &&
           find_keyspace(key, len, t->keyspace);
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
    const char *text = json_string_value(json_object_get(json_object_get(event, "kv"), "key"));
    unsigned char key[KEY_MAX_BYTES];
    size_t len = text ? strlen(text) : 0;

    if (len < 4 || len % 4 != 0 || len / 4 * 3 > sizeof(key))
        return;
    int n = EVP_DecodeBlock(key, (const unsigned char *)text, (int)len);

    n -= (text[len - 1] == '=') + (text[len - 2] == '='); /* it counts the padding */
    if (n > 0)
        changed(arg, (const char *)key, (size_t)n);
}

bool topo_line_read(const char *line, size_t len, int64_t *revision, topo_changed_fn *changed,
                    void *arg)
{
    json_t *all = json_loadb(line, len, 0, NULL);
    const json_t *result = json_object_get(all, "result");
    json_t *event;
    size_t i;
    bool ok = json_is_object(result) && !json_is_true(json_object_get(result, "canceled"));
    int64_t latest = number(json_object_get(result, "header"), "revision");

    if (!ok)
        *revision = 0; /* compacted, perhaps: what was missed is not known */
    else if (latest > *revision)
        *revision = latest;
    json_array_foreach(ok ? json_object_get(result, "events") : NULL, i, event)
    {
        tell_key(event, changed, arg);
    }
    json_decref(all);
    return ok;
}

/* --- the request ----------------------------------------------------------------------------- */

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
    json_t *request = json_pack("{s:o}", "create_request", create);
    char *text = json_dumps(request, JSON_COMPACT);

    json_decref(request);
    free(begin);
    free(key);
    free(end);
    return text;
}

char *topo_login_request(const char *user, const char *password)
{
    json_t *request = json_pack("{s:s,s:s}", "name", user, "password", password);
    char *text = json_dumps(request, JSON_COMPACT); /* NULL: it is not UTF-8 */

    json_decref(request);
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
