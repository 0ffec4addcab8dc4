/*
 * Any bytes as a key of the topology, and as a line of etcd's watch. Holds: what is told has a kind and a keyspace
 * that ends with a NUL; the revision never goes back but to 0; a root makes a request that is JSON.
 */
#include <jansson.h>

#include "proxy/topo_watch.h"
#include "tests/fuzz/fuzz.h"

static void on_key(void *arg, const char *key, size_t len)
{
    struct change t;

    (void)arg;
    CHECK(len > 0);
    if (topo_key_read(key, len, &t))
        CHECK(t.kind < CHANGE_KIND_COUNT && memchr(t.keyspace, '\0', sizeof(t.keyspace)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = (char *)fuzz_copy((const char *)data, size);
    int64_t revision = 7;

    if (size > 0)
        on_key(NULL, text, size);
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
