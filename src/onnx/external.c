/* external.c: side files with weights. Only inside the model's folder, or, where the model is a link into a cache (as
 * Hugging Face's: snapshots/<rev>/ holds links to blobs/), inside the folder above the model's real place. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "read.h"

static bool clean_relative(const char *p)
{
    if (!*p || *p == '/' || strchr(p, '\\')) return false;
    while (*p) {
        size_t n = strcspn(p, "/");
        if ((n == 2 && p[0] == '.' && p[1] == '.') || n == 0) return false;
        p += n;
        if (*p == '/') p++;
    }
    return true;
}

/* `path` without its last part, in place; "." when there is none. */
static void parent(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == path)
        path[1] = 0;
    else if (slash)
        *slash = 0;
    else
        strcpy(path, ".");
}

static bool below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return !strncmp(path, folder, n) && (path[n] == '/' || (n && folder[n - 1] == '/'));
}

/* The real place of the side file must lie below the real folder of the name that was given, or below the folder of
 * the model's own real file (both are then links into one cache). */
static bool allowed(const char *model, const char *real_side)
{
    char folder[PATH_MAX + 1], real[PATH_MAX + 1];
    if (strlen(model) >= PATH_MAX) return false;
    strcpy(folder, model);
    parent(folder);
    if (realpath(folder, real) && below(real_side, real)) return true;
    if (!realpath(model, real)) return false;
    parent(real);
    return below(real_side, real);
}

static hone_status open_side(hone__reader *r, const char *location, hone__blob **out)
{
    char path[PATH_MAX + 1], real[PATH_MAX + 1];
    *out = NULL;
    if (!r->path) return hone__fail(HONE_E_UNSUPPORTED, "external data '%.200s' of a model in memory", location);
    if (!clean_relative(location))
        return hone__fail(HONE_E_FORMAT, "external data '%.200s' is not a plain path inside the model's folder",
                          location);
    if (strlen(r->path) + strlen(location) + 2 > PATH_MAX) return hone__fail(HONE_E_LIMIT, "a path is too long");
    strcpy(path, r->path);
    parent(path);
    strcat(path, "/");
    strcat(path, location);
    if (!realpath(path, real))
        return hone__fail(HONE_E_IO, "external data '%.200s' beside the model: %s", location, strerror(errno));
    if (!allowed(r->path, real))
        return hone__fail(HONE_E_FORMAT, "external data '%.200s' lies outside the model's folder", location);
    hone__map *map;
    HONE__TRY(hone__map_open(real, &map));
    hone_status s =
        hone__is_lfs_pointer(map->data, map->size)
            ? hone__fail(HONE_E_FORMAT, "external data '%.200s' is a pointer of Git LFS (git lfs pull)", location)
            : hone__blob_map(map, 0, map->size, out);
    hone__map_unref(map);
    return s;
}

enum { SIDES_MAX = 4096 }; /* each is a mapping; they are searched one by one */

hone_status hone__read_external(hone__reader *r, const char *location, uint64_t offset, uint64_t length,
                                hone__blob **blob)
{
    for (size_t i = 0; i < r->side_count; i++)
        if (!strcmp(r->sides[i].location, location)) {
            *blob = r->sides[i].blob;
            goto found;
        }
    if (r->side_count == SIDES_MAX) return hone__fail(HONE_E_LIMIT, "more than %d files of external data", SIDES_MAX);
    HONE__TRY(hone__grow(&r->sides, &r->side_capacity, r->side_count, sizeof *r->sides));
    HONE__TRY(open_side(r, location, blob));
    r->sides[r->side_count].location = location;
    r->sides[r->side_count++].blob = *blob;
found:
    if (offset > (*blob)->size || length > (*blob)->size - offset)
        return hone__fail(HONE_E_FORMAT, "external data '%.200s' has %zu bytes, %llu at %llu are wanted", location,
                          (*blob)->size, (unsigned long long)length, (unsigned long long)offset);
    return HONE_OK;
}
