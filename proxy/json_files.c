/*
 * Numbered files with JSON. What they say is for their owners: transition_store.c,
 * deploy_plan_store.c.
 */
#include "proxy/json_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/log.h"
#include "proxy/memory.h"

#define PATH_SIZE 4300
#define FILES_MAX 10000
#define LAST_MAX  UINT64_C(1000000000000) /* no count of ours comes near */

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

/* Under a lock of the file, which ends with the descriptor. What says no number says 0. */
static uint64_t count_on(int fd, uint64_t least)
{
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char text[24] = "";

    if (fcntl(fd, F_SETLKW, &all) != 0 || pread(fd, text, sizeof(text) - 1, 0) < 0)
        return least;
    uint64_t last = strtoull(text, NULL, 10);
    uint64_t id = last >= least && last < LAST_MAX ? last + 1 : least;
    int len = snprintf(text, sizeof(text), "%" PRIu64 "\n", id);

    if (pwrite(fd, text, (size_t)len, 0) != len)
        log_warn("transition_dir_failed", "error:s", strerror(errno));
    return id;
}

uint64_t json_files_next_id(const char *folder, const char *kind, uint64_t least)
{
    char path[PATH_SIZE];

    if (!*folder)
        return least;
    snprintf(path, sizeof(path), "%s/%s.last", folder, kind);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

    if (fd < 0) {
        log_warn("transition_dir_failed", "error:s", strerror(errno));
        return least;
    }
    uint64_t id = count_on(fd, least);

    close(fd);
    return id;
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
