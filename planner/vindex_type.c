/*
 * The table of types, and the values that their parameters may have.
 */
#include "planner/vindex_type.h"

#include <stdlib.h>
#include <string.h>

static const struct vindex_type TYPES[] = {
#define UNIQUE  VINDEX_UNIQUE
#define LOOKUP  VINDEX_LOOKUP
#define MULTI   VINDEX_MULTI
#define HASHING VINDEX_HASHING
#define VINDEX_TYPE(id, bits, what, words)                                                         \
    {.name = #id, .flags = (bits), .input = VINDEX_##what, .params = (words)},
#include "planner/vindex_types.def"
#undef VINDEX_TYPE
#undef UNIQUE
#undef LOOKUP
#undef MULTI
#undef HASHING
};

#define COLUMNS_MAX 8 /* of multicol */

const struct vindex_type *vindex_type_find(const char *name)
{
    for (size_t i = 0; i < sizeof(TYPES) / sizeof(TYPES[0]); i++) {
        if (strcmp(TYPES[i].name, name) == 0)
            return &TYPES[i];
    }
    return NULL;
}

/* The next word of a row's params at *at; *needed: it has the star. */
static bool next_param(const char **at, const char **word, size_t *len, bool *needed)
{
    *at += strspn(*at, " ");
    *word = *at;
    *len = strcspn(*at, " *");
    *needed = (*at)[*len] == '*';
    *at += *len + *needed;
    return *len > 0;
}

bool vindex_type_takes(const struct vindex_type *type, const char *param)
{
    const char *at = type->params, *word;
    size_t len;
    bool needed;

    if (strcmp(type->name, "multicol") == 0)
        return true;
    while (next_param(&at, &word, &len, &needed)) {
        if (strlen(param) == len && memcmp(word, param, len) == 0)
            return true;
    }
    return false;
}

static bool is_one_of(const char *value, const char *const *values)
{
    for (; *values; values++) {
        if (strcmp(value, *values) == 0)
            return true;
    }
    return false;
}

/* What is wrong with one value, or NULL. (boolFromMap, lookupInternal.Init, newCFC, newMultiCol
 * ...)
 */
static const char *value_mistake(const struct vindex_type *type, const char *key, const char *value)
{
    static const char *const FLAGS[] = {
        "ignore_nulls",           "batch_lookup", "write_only", "autocommit",
        "multi_shard_autocommit", "no_verify",    NULL};
    static const char *const BOOLEANS[] = {"true", "false", NULL};
    static const char *const LOCKS[] = {"exclusive", "shared", "none", NULL};
    static const char *const HASHES[] = {"", "md5", "xxhash64", NULL};
    static const char *const BYTES[] = {"1", "2", NULL};

    if (is_one_of(key, FLAGS) && !is_one_of(value, BOOLEANS))
        return "must be \"true\" or \"false\"";
    if (strcmp(key, "read_lock") == 0 && !is_one_of(value, LOCKS))
        return "must be \"exclusive\", \"shared\" or \"none\"";
    if (strcmp(type->name, "cfc") == 0 && strcmp(key, "hash") == 0 && !is_one_of(value, HASHES))
        return "must be \"md5\" or \"xxhash64\"";
    if (strcmp(key, "region_bytes") == 0 && !is_one_of(value, BYTES))
        return "must be \"1\" or \"2\"";
    if (strcmp(key, "column_count") == 0 &&
        !(strlen(value) == 1 && *value >= '1' && *value <= '0' + COLUMNS_MAX))
        return "must be a number from 1 to 8";
    if (strcmp(key, "fallback_type") == 0) {
        const struct vindex_type *fallback = vindex_type_find(value);

        if (!fallback || !(fallback->flags & VINDEX_HASHING))
            return "must be a vindex type that hashes";
    }
    if ((strcmp(key, "table") == 0 || strcmp(key, "from") == 0 || strcmp(key, "to") == 0) &&
        (type->flags & VINDEX_LOOKUP) && !*value)
        return "must not be empty";
    return NULL;
}

/* A mistake that concerns two parameters, or NULL. */
static const char *joint_mistake(const struct vindex_type *type,
                                 const struct vschema_vindex *vindex, const char **param)
{
    const char *hash = vschema_find_param(vindex, "hash");

    if (strcmp(type->name, "cfc") == 0 && hash && *hash && !vschema_find_param(vindex, "offsets")) {
        *param = "offsets";
        return "is needed where \"hash\" is given";
    }
    if (strcmp(type->name, "numeric_static_map") == 0 &&
        !vschema_find_param(vindex, "json") == !vschema_find_param(vindex, "json_path")) {
        *param = "json";
        return "or \"json_path\" is needed, and not both";
    }
    return NULL;
}

void vindex_type_check(const struct vindex_type *type, const struct vschema_vindex *vindex,
                       void (*found)(void *arg, const char *param, const char *mistake), void *arg)
{
    const char *at = type->params, *word, *mistake, *param = NULL;
    size_t len;
    bool needed;

    for (size_t i = 0; i < vindex->param_count; i++) {
        const struct vschema_param *p = &vindex->params[i];

        mistake = vindex_type_takes(type, p->key) ? value_mistake(type, p->key, p->value)
                                                  : "is no parameter of this type";
        if (mistake)
            found(arg, p->key, mistake);
    }
    while (next_param(&at, &word, &len, &needed)) {
        char name[32] = "";

        memcpy(name, word, len < sizeof(name) ? len : sizeof(name) - 1);
        if (needed && !vschema_find_param(vindex, name))
            found(arg, name, "is missing");
    }
    mistake = joint_mistake(type, vindex, &param);
    if (mistake)
        found(arg, param, mistake);
}

size_t vindex_type_columns(const struct vindex_type *type, const struct vschema_vindex *vindex)
{
    const char *count = vschema_find_param(vindex, "column_count");
    const char *from = vschema_find_param(vindex, "from");
    size_t n = 1;

    if (strcmp(type->name, "multicol") == 0)
        return count ? (size_t)strtoul(count, NULL, 10) : 0;
    if (type->flags & VINDEX_MULTI)
        return 2; /* region and id */
    if (!(type->flags & VINDEX_LOOKUP))
        return 1;
    for (; from && *from; from++)
        n += *from == ',';
    return from ? n : 0;
}

bool vindex_is_write_only(const struct vschema_vindex *vindex)
{
    const char *value = vschema_find_param(vindex, "write_only");

    return value && strcmp(value, "true") == 0;
}

bool vindex_type_fits(const struct vindex_type *type, const char *data_type)
{
    static const char *const INTEGERS[] = {"tinyint", "smallint", "mediumint", "int",
                                           "bigint",  "year",     "bit",       NULL};
    static const char *const TEXTS[] = {"char",       "varchar",   "tinytext", "text",
                                        "mediumtext", "longtext",  "enum",     "set",
                                        "binary",     "varbinary", NULL};

    if (type->input == VINDEX_INTEGER)
        return is_one_of(data_type, INTEGERS);
    if (type->input == VINDEX_TEXT)
        return is_one_of(data_type, TEXTS);
    return strcmp(data_type, "json") != 0 && strcmp(data_type, "geometry") != 0;
}
