/* tensorfile.c: which kind of file, and the archives. */
#include "tensorfile.h"

#include <stdio.h>
#include <string.h>

#include "onnx/onnx.h"
#include "tools/libraries/lib_zip.h"

/* deflate makes at most 1,032 times what it reads */
enum { RATIO = 100, BOMB = 256 << 20, MOST_RATIO = 1100, MEMBERS = 100000, WHERE = 512 };

void hone__tensor_list_free(hone__named_tensor *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hone__tensor_release(&list[i].tensor);
        hone__free(list[i].name);
    }
    hone__free(list);
}

static hone_status one(hone__tensor *t, const char *name, hone__named_tensor **out, size_t *count)
{
    *out = hone__calloc(1, sizeof **out);
    char *copy = hone__strndup(name, strlen(name));
    if (!*out || !copy) {
        hone__tensor_release(t);
        hone__free(*out);
        hone__free(copy);
        *out = NULL;
        return hone__out_of_memory(sizeof **out);
    }
    (*out)[0] = (hone__named_tensor){copy, *t};
    *count = 1;
    return HONE_OK;
}

/* What the archive says about a member; where: its name in messages. */
static hone_status stat_member(zip_t *z, size_t i, const char *path, zip_stat_t *st, char *where, size_t size)
{
    const zip_uint64_t need = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE;
    zip_stat_init(st);
    if (zip_stat_index(z, i, 0, st) || (st->valid & need) != need)
        return hone__fail(HONE_E_FORMAT, "%s: member %zu cannot be read", path, i);
    snprintf(where, size, "%s: %.200s", path, st->name);
    bool bomb = st->size > BOMB && st->size / RATIO > st->comp_size;
    if (bomb || st->size / MOST_RATIO > st->comp_size)
        return hone__fail(HONE_E_LIMIT, "%s: unpacks to more than %d times its size", where, bomb ? RATIO : MOST_RATIO);
    return HONE_OK;
}

/* Before anything is unpacked: all members together. */
static hone_status check_sizes(zip_t *z, size_t n, const char *path, uint64_t most)
{
    zip_stat_t st;
    char where[WHERE];
    uint64_t left = most;
    for (size_t i = 0; i < n; i++) {
        HONE__TRY(stat_member(z, i, path, &st, where, sizeof where));
        if (st.size > left)
            return hone__fail(HONE_E_LIMIT, "%s: the members up to this one unpack to more than %llu bytes", where,
                              (unsigned long long)most);
        left -= st.size;
    }
    return HONE_OK;
}

static hone_status read_member(zip_t *z, size_t i, const char *path, uint64_t *left, hone__named_tensor *out)
{
    zip_stat_t st;
    char where[WHERE];
    HONE__TRY(stat_member(z, i, path, &st, where, sizeof where));
    zip_file_t *f = zip_fopen_index(z, i, 0);
    if (!f) return hone__fail(HONE_E_FORMAT, "%s: %s", where, zip_strerror(z));
    uint8_t *data = hone__malloc(st.size + 1);
    hone_status s = data ? HONE_OK : hone__out_of_memory(st.size);
    if (s == HONE_OK && zip_fread(f, data, st.size) != (zip_int64_t)st.size)
        s = hone__fail(HONE_E_FORMAT, "%s: is cut off or damaged", where);
    zip_fclose(f);
    if (s == HONE_OK) s = hone__npy_parse(data, st.size, where, *left, &out->tensor);
    hone__free(data);
    if (s != HONE_OK) return s;
    *left -= out->tensor.blob->size;
    size_t n = strlen(st.name);
    if (n > 4 && !strcmp(st.name + n - 4, ".npy")) n -= 4;
    out->name = hone__strndup(st.name, n);
    return out->name ? HONE_OK : hone__out_of_memory(n);
}

hone_status hone__npz_read(const hone__map *map, const char *path, uint64_t most, hone__named_tensor **out,
                           size_t *count)
{
    zip_t *z;
    *out = NULL;
    *count = 0;
    HONE__TRY(hone__zip_open(map->data, map->size, path, &z));
    zip_int64_t entries = zip_get_num_entries(z, 0);
    size_t n = entries > 0 ? (size_t)entries : 0;
    hone_status s = n > MEMBERS ? hone__fail(HONE_E_LIMIT, "%s: has %zu members", path, n) : HONE_OK;
    if (s == HONE_OK) s = check_sizes(z, n, path, most);
    if (s == HONE_OK && !(*out = hone__calloc(n + 1, sizeof **out))) s = hone__out_of_memory(n);
    for (size_t i = 0; s == HONE_OK && i < n; i++) {
        *count = i + 1;
        s = read_member(z, i, path, &most, &(*out)[i]);
    }
    zip_discard(z);
    if (s != HONE_OK) {
        hone__tensor_list_free(*out, *count);
        *out = NULL;
        *count = 0;
    }
    return s;
}

/* Named as protobuf: then what is wrong in it is worth telling. */
static bool is_proto(const char *path)
{
    size_t n = strlen(path);
    return n > 3 && !strcmp(path + n - 3, ".pb");
}

hone_status hone__tensorfile_read(const char *path, unsigned wrap, hone__named_tensor **out, size_t *count)
{
    hone__map *map;
    *out = NULL;
    *count = 0;
    HONE__TRY(hone__map_open(path, &map));
    hone__tensor t = {0};
    hone_status s;
    const char *name = "";
    hone__model *holder = NULL;
    if (!map->size)
        s = hone__fail(HONE_E_FORMAT, "%s: is empty", path);
    else if (map->size > 4 && !memcmp(map->data, "PK", 2)) {
        s = hone__npz_read(map, path, HONE__NPZ_MOST, out, count);
        hone__map_unref(map);
        return s;
    } else if (map->data[0] == 0x93)
        s = hone__npy_parse(map->data, map->size, path, UINT64_MAX, &t);
    else if ((s = hone__onnx_read_value(map, path, wrap, &t, &name, &holder)) == HONE_E_FORMAT && !is_proto(path))
        s = hone__fail(HONE_E_FORMAT, "%s: is no .npy, .npz or .pb file (a TensorProto), or damaged", path);
    hone__map_unref(map);
    if (s == HONE_OK) s = one(&t, name, out, count);
    hone__model_destroy(holder);
    return s;
}
