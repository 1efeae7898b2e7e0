/* checkpoint.c: which files of a folder hold its weights, and all their tensors in one sorted list. */
#define _GNU_SOURCE /* realpath */
#include "checkpoint.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hf_config.h"

enum { FILES_MAX = 2048 };

hone_status hone__checkpoint_add(hone__checkpoint *c, const char *name, const char *file, hone__tensor *tensor)
{
    hone_status s = hone__grow(&c->list, &c->capacity, c->count, sizeof *c->list);
    char *copy = s == HONE_OK ? hone__arena_strndup(&c->arena, name, strlen(name)) : NULL;
    if (!copy) {
        hone__tensor_release(tensor);
        return s == HONE_OK ? hone__out_of_memory(strlen(name)) : s;
    }
    c->list[c->count++] = (hone__stored){.name = copy, .file = file, .tensor = *tensor};
    return HONE_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const hone__stored *)a)->name, ((const hone__stored *)b)->name);
}

hone_status hone__checkpoint_sort(hone__checkpoint *c)
{
    if (c->count) qsort(c->list, c->count, sizeof *c->list, by_name);
    for (size_t i = 1; i < c->count; i++)
        if (!strcmp(c->list[i - 1].name, c->list[i].name))
            return hone__fail(HONE_E_FORMAT, "%s: tensor '%s' is there twice", c->list[i].file, c->list[i].name);
    return HONE_OK;
}

hone__stored *hone__checkpoint_find(const hone__checkpoint *c, const char *name)
{
    hone__stored key = {.name = name};
    return c->count ? bsearch(&key, c->list, c->count, sizeof *c->list, by_name) : NULL;
}

void hone__checkpoint_close(hone__checkpoint *c)
{
    for (size_t i = 0; i < c->count; i++) hone__tensor_release(&c->list[i].tensor);
    hone__free(c->list);
    hone__arena_free(&c->arena);
    hone__scratch_close(&c->scratch);
    memset(c, 0, sizeof *c);
}

static void put(uint8_t *to, const uint8_t *from, size_t size, bool swapped)
{
    for (size_t i = 0; swapped && i < size; i++) to[i] = from[size - 1 - i];
    if (!swapped) memcpy(to, from, size);
}

/* Rows of the last dimension, one after the other. */
static void gather(const hone__stored *s, uint8_t *to)
{
    const hone__tensor *t = &s->tensor;
    size_t size = hone__dtype_size(t->dtype), inner = t->rank ? (size_t)t->dims[t->rank - 1] : 1;
    int64_t at[HONE_MAX_RANK] = {0}, step = s->strides && t->rank ? s->strides[t->rank - 1] : 1;
    const uint8_t *row = t->data;
    for (size_t done = 0; done < t->count; done += inner) {
        for (size_t i = 0; i < inner; i++, to += size) put(to, row + i * (size_t)step * size, size, s->swapped);
        if (!s->strides) row += inner * size;
        for (int d = t->rank - 2; s->strides && d >= 0; d--) {
            row += (size_t)s->strides[d] * size;
            if (++at[d] < t->dims[d]) break;
            row -= (size_t)s->strides[d] * (size_t)t->dims[d] * size;
            at[d] = 0;
        }
    }
}

hone_status hone__checkpoint_dense(hone__checkpoint *c, const hone__stored *s, hone__tensor *out)
{
    *out = s->tensor;
    if (!s->strides && !s->swapped) {
        hone__blob_ref(out->blob);
        return HONE_OK;
    }
    if (s->tensor.bytes > c->file_bytes - c->copied)
        return hone__fail(HONE_E_LIMIT, "%s: tensor '%s': copies of more than the %llu bytes of the files", s->file,
                          s->name, (unsigned long long)c->file_bytes);
    HONE__TRY(hone__tensor_scratch(&c->scratch, s->tensor.dtype, s->tensor.rank, s->tensor.dims, out));
    c->copied += s->tensor.bytes;
    gather(s, hone__tensor_write(out));
    hone__tensor_idle(&s->tensor);
    hone__tensor_idle(out);
    return HONE_OK;
}

/* A file that an index names: of this folder, or, where the folder's files are links into a cache, of that cache. */
static hone_status check_shard(const char *folder, const char *index, const char *name)
{
    char path[PATH_MAX], real[PATH_MAX], home[PATH_MAX];
    if (!*name || strchr(name, '/') || strchr(name, '\\') || name[0] == '.')
        return hone__fail(HONE_E_FORMAT, "%s: '%.200s' is not the name of a file in this folder", index, name);
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path || !realpath(path, real))
        return hone__fail(HONE_E_IO, "%s: '%.200s' is not there", index, name);
    const char *bases[] = {folder, index};
    for (int i = 0; i < 2; i++) {
        if (!realpath(bases[i], home)) continue;
        char *slash = strrchr(home, '/');
        if (i && slash) *slash = 0; /* where the index itself lies */
        size_t n = strlen(home);
        if (!strncmp(real, home, n) && real[n] == '/') return HONE_OK;
    }
    return hone__fail(HONE_E_FORMAT, "%s: '%.200s' is a link that leads out of the folder", index, name);
}

typedef hone_status (*reader_fn)(hone__map *map, const char *file, hone__checkpoint *out);

static hone_status read_file(hone__checkpoint *c, const char *folder, const char *name, reader_fn read)
{
    hone__map *map;
    const char *file = hone__arena_printf(&c->arena, "%s/%s", folder, name);
    if (!file) return hone__out_of_memory(strlen(folder));
    HONE__TRY(hone__map_open(file, &map));
    c->file_bytes += map->size;
    hone_status s = hone__is_lfs_pointer(map->data, map->size)
                        ? hone__fail(HONE_E_FORMAT, "%s: a pointer of Git LFS, not the weights (git lfs pull)", file)
                        : read(map, file, c);
    hone__map_unref(map);
    return s;
}

/* Every name of the map must be a tensor of the file that the map gives. */
static hone_status check_map(const hone__checkpoint *c, const char *index, json_t *map)
{
    const char *name;
    json_t *v;
    json_object_foreach(map, name, v)
    {
        const hone__stored *t = hone__checkpoint_find(c, name);
        const char *file = json_string_value(v);
        const char *slash = t ? strrchr(t->file, '/') : NULL;
        if (!t || !slash || strcmp(slash + 1, file))
            return hone__fail(HONE_E_FORMAT, "%s: tensor '%s' is not in '%s'", index, name, file);
    }
    return HONE_OK;
}

static hone_status read_shards(hone__checkpoint *c, const char *folder, const char *index, json_t *map, reader_fn read)
{
    const char *name, *files[FILES_MAX];
    json_t *v;
    size_t count = 0;
    if (!json_object_size(map)) return hone__fail(HONE_E_FORMAT, "%s: no weight_map", index);
    json_object_foreach(map, name, v)
    {
        const char *file = json_string_value(v);
        size_t i = 0;
        if (!file) return hone__fail(HONE_E_FORMAT, "%s: tensor '%s' has no file", index, name);
        while (i < count && strcmp(files[i], file)) i++;
        if (i < count) continue;
        if (count == FILES_MAX) return hone__fail(HONE_E_LIMIT, "%s: more than %d files", index, FILES_MAX);
        HONE__TRY(check_shard(folder, index, file));
        files[count++] = file;
    }
    for (size_t i = 0; i < count; i++) HONE__TRY(read_file(c, folder, files[i], read));
    HONE__TRY(hone__checkpoint_sort(c));
    return check_map(c, index, map);
}

static bool is_there(const char *folder, const char *name)
{
    char path[PATH_MAX];
    return (size_t)snprintf(path, sizeof path, "%s/%s", folder, name) < sizeof path && !access(path, F_OK);
}

static const struct {
    const char *name, *index;
    reader_fn read;
} kinds[] = {{"model.safetensors", "model.safetensors.index.json", hone__safetensors_read},
             {"pytorch_model.bin", "pytorch_model.bin.index.json", hone__torch_read}};

hone_status hone__checkpoint_open(const char *folder, hone__checkpoint *c)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (is_there(folder, kinds[i].name)) {
            HONE__TRY(read_file(c, folder, kinds[i].name, kinds[i].read));
            return hone__checkpoint_sort(c);
        }
        if (!is_there(folder, kinds[i].index)) continue;
        json_t *root;
        const char *path = hone__arena_printf(&c->arena, "%s/%s", folder, kinds[i].index);
        if (!path) return hone__out_of_memory(strlen(folder));
        HONE__TRY(hone__hf_json(path, &root));
        hone_status s = read_shards(c, folder, path, json_object_get(root, "weight_map"), kinds[i].read);
        json_decref(root);
        return s;
    }
    return hone__fail(HONE_E_ARGUMENT, "%s: no weights: model.safetensors, pytorch_model.bin, or an index of shards",
                      folder);
}
