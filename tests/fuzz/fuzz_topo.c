/*
 * Any bytes as a key of the topology, and as a line of etcd's watch. Holds: what is told has a kind
 * and a keyspace that ends with a NUL; the revision never goes back but to 0; a root makes a
 * request that is JSON.
 */
#include <jansson.h>

#include "proxy/topo_watch.h"
#include "tests/fuzz/fuzz.h"

static void on_key(void *arg, const struct topo_event *event)
{
    struct change t;
    struct topo_lock lock;

    (void)arg;
    CHECK(event->len > 0);
    if (topo_key_read(event->key, event->len, &t))
        CHECK(t.kind < CHANGE_KIND_COUNT && memchr(t.keyspace, '\0', sizeof(t.keyspace)));
    if (topo_lock_read(event, &lock))
        CHECK(*lock.keyspace && memchr(lock.keyspace, '\0', sizeof(lock.keyspace)) &&
              memchr(lock.shard, '\0', sizeof(lock.shard)) &&
              memchr(lock.workflow, '\0', sizeof(lock.workflow)) &&
              memchr(lock.action, '\0', sizeof(lock.action)));
    struct topo_denied *denied = topo_denied_read(event);

    for (size_t i = 0; denied && i < denied->n; i++)
        CHECK(memchr(denied->tables[i], '\0', sizeof(denied->tables[i])));
    topo_denied_free(denied);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = (char *)fuzz_copy((const char *)data, size);
    int64_t revision = 7;

    if (size > 0)
        on_key(NULL,
               &(struct topo_event){.key = text, .len = size, .value = text, .value_len = size});
    bool ok = topo_line_read(text, size, &revision, on_key, NULL);

    CHECK(ok ? revision >= 7 : revision == 0);
    if (size > 0 && size < 256 && !memchr(text, '\0', size)) {
        char *root = fuzz_string((const char *)data, size);
        char *request = topo_request(root, 5);
        json_t *json = json_loads(request, 0, NULL);

        CHECK(json);
        json_decref(json);
        free(request);
        free(root);
    }
    free(text);
    return 0;
}
