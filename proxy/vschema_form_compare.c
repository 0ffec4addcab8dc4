/*
 * Forms compared: by a digest, and place by place. Any JSON will do; nothing here knows what a form
 * has in it.
 */
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/vschema_form.h"

#define PATH_MAX_BYTES 512

void vschema_form_digest(const json_t *form, char digest[VSCHEMA_DIGEST_SIZE])
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    char *text = json_dumps(form, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);

    *digest = '\0';
    if (text && EVP_Digest(text, strlen(text), hash, NULL, EVP_sha256(), NULL) == 1) {
        for (size_t i = 0; i < (VSCHEMA_DIGEST_SIZE - 1) / 2; i++)
            snprintf(digest + 2 * i, 3, "%02x", hash[i]);
    }
    free(text);
}

/* A place in a form; each level refers to the one that it is in. */
struct place {
    const struct place *in;
    const char *key; /* NULL: an index */
    size_t index;
};

static size_t format_place(const struct place *at, char *dst, size_t size)
{
    size_t n = at->in ? format_place(at->in, dst, size) : 0;
    int more = 0;

    if (n >= size)
        return n;
    if (at->key)
        more = snprintf(dst + n, size - n, "%s%s", n ? "." : "", at->key);
    else if (at->in)
        more = snprintf(dst + n, size - n, "[%zu]", at->index);
    return n + (size_t)more < size ? n + (size_t)more : size;
}

static bool report(const struct place *at, const json_t *expected, const json_t *actual,
                   char *where, size_t size)
{
    char path[PATH_MAX_BYTES] = "";
    const size_t flags = JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY;
    char *is = actual ? json_dumps(actual, flags) : NULL;
    char *should = expected ? json_dumps(expected, flags) : NULL;

    format_place(at, path, sizeof(path));
    snprintf(where, size, "%s: %.120s, expected %.120s", *path ? path : "(all)",
             is ? is : "missing", should ? should : "none");
    free(is);
    free(should);
    return true;
}

static bool differs(const struct place *at, const json_t *expected, const json_t *actual,
                    char *where, size_t size);

static bool object_differs(const struct place *at, const json_t *expected, const json_t *actual,
                           char *where, size_t size)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)expected, key, value)
    {
        struct place in = {at, key, 0};

        if (differs(&in, value, json_object_get(actual, key), where, size))
            return true;
    }
    json_object_foreach((json_t *)(uintptr_t)actual, key, value)
    {
        struct place in = {at, key, 0};

        if (!json_object_get(expected, key))
            return report(&in, NULL, value, where, size);
    }
    return false;
}

static bool array_differs(const struct place *at, const json_t *expected, const json_t *actual,
                          char *where, size_t size)
{
    size_t n = json_array_size(expected), m = json_array_size(actual);

    for (size_t i = 0; i < n || i < m; i++) {
        struct place in = {at, NULL, i};

        if (differs(&in, json_array_get(expected, i), json_array_get(actual, i), where, size))
            return true;
    }
    return false;
}

static bool differs(const struct place *at, const json_t *expected, const json_t *actual,
                    char *where, size_t size)
{
    if (json_equal(expected, actual))
        return false;
    if (json_is_object(expected) && json_is_object(actual))
        return object_differs(at, expected, actual, where, size);
    if (json_is_array(expected) && json_is_array(actual))
        return array_differs(at, expected, actual, where, size);
    return report(at, expected, actual, where, size);
}

bool vschema_form_differs(const json_t *expected, const json_t *actual, char *where, size_t size)
{
    struct place root = {NULL, NULL, 0};

    *where = '\0';
    return differs(&root, expected, actual, where, size);
}
