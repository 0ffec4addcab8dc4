/*
 * Numbered files with JSON. What they say is for their owners: transition_store.c,
 * deploy_plan_store.c.
 */
#include "proxy/json_files.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/log.h"
#include "proxy/memory.h"

#define PATH_SIZE 4300
#define FILES_MAX 10000

static void path_of(const char *folder, const char *kind, uint64_t id, const char *suffix,
                    char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/%s-%" PRIu64 ".json%s", folder, kind, id, suffix);
}

bool json_files_save(const char *folder, const char *kind, uint64_t id, const json_t *json)
{
    char path[PATH_SIZE], fresh[PATH_SIZE];

    if (!*folder)
        return true;
    path_of(folder, kind, id, "", path);
    path_of(folder, kind, id, ".new", fresh);
    return json_dump_file(json, fresh, JSON_INDENT(1)) == 0 && rename(fresh, path) == 0;
}

void json_files_remove(const char *folder, const char *kind, uint64_t id)
{
    char path[PATH_SIZE];

    path_of(folder, kind, id, "", path);
    if (*folder)
        unlink(path);
}

json_t *json_files_load(const char *folder, const char *kind, uint64_t id)
{
    char path[PATH_SIZE];

    path_of(folder, kind, id, "", path);
    return *folder ? json_load_file(path, 0, NULL) : NULL;
}

/* The id in a file's name; 0 if it is not one of the kind. */
static uint64_t id_of(const char *name, const char *kind)
{
    size_t len = strlen(kind);
    uint64_t id;
    int used = 0;

    if (strncmp(name, kind, len) != 0 ||
        sscanf(name + len, "-%" SCNu64 ".json%n", &id, &used) != 1 || used == 0 ||
        name[len + (size_t)used] != '\0')
        return 0;
    return id;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

uint64_t *json_files_list(const char *folder, const char *kind, size_t *n)
{
    uint64_t *ids = memory_zalloc(FILES_MAX * sizeof(*ids));
    DIR *dir = *folder ? opendir(folder) : NULL;
    const struct dirent *entry;

    *n = 0;
    while (dir && *n < FILES_MAX && (entry = readdir(dir)) != NULL) {
        uint64_t id = id_of(entry->d_name, kind);

        if (id > 0)
            ids[(*n)++] = id;
    }
    if (dir)
        closedir(dir);
    else if (*folder)
        log_warn("transition_dir_failed", "error:s", strerror(errno));
    qsort(ids, *n, sizeof(*ids), by_number);
    return ids;
}
