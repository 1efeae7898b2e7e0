/* tensorfile.c: which kind of file, and the archives. */
#include "tensorfile.h"

#include <stdio.h>
#include <string.h>

#include "onnx/onnx.h"
#include "tools/libraries/lib_zip.h"

enum { RATIO = 100, BOMB = 256 << 20 };

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

static hone_status read_member(zip_t *z, zip_int64_t i, const char *path, hone__named_tensor *out)
{
    zip_stat_t st;
    char where[512];
    if (zip_stat_index(z, (zip_uint64_t)i, 0, &st) || !(st.valid & ZIP_STAT_SIZE) || !(st.valid & ZIP_STAT_COMP_SIZE))
        return hone__fail(HONE_E_FORMAT, "%s: member %lld cannot be read", path, (long long)i);
    snprintf(where, sizeof where, "%s: %.200s", path, st.name);
    if (st.size > BOMB && st.size / RATIO > st.comp_size)
        return hone__fail(HONE_E_LIMIT, "%s: unpacks to more than %d times its size", where, RATIO);
    zip_file_t *f = zip_fopen_index(z, (zip_uint64_t)i, 0);
    if (!f) return hone__fail(HONE_E_FORMAT, "%s: %s", where, zip_strerror(z));
    uint8_t *data = hone__malloc(st.size + 1);
    hone_status s = data ? HONE_OK : hone__out_of_memory(st.size);
    if (s == HONE_OK && zip_fread(f, data, st.size) != (zip_int64_t)st.size)
        s = hone__fail(HONE_E_FORMAT, "%s: is cut off or damaged", where);
    zip_fclose(f);
    if (s == HONE_OK) s = hone__npy_parse(data, st.size, where, &out->tensor);
    hone__free(data);
    if (s != HONE_OK) return s;
    size_t n = strlen(st.name);
    if (n > 4 && !strcmp(st.name + n - 4, ".npy")) n -= 4;
    out->name = hone__strndup(st.name, n);
    return out->name ? HONE_OK : hone__out_of_memory(n);
}

static hone_status read_npz(const char *path, hone__named_tensor **out, size_t *count)
{
    int code;
    HONE__TRY(hone__zip_load());
    zip_t *z = zip_open(path, ZIP_RDONLY, &code);
    if (!z) return hone__fail(HONE_E_FORMAT, "%s: is not a readable .npz archive", path);
    zip_int64_t n = zip_get_num_entries(z, 0);
    hone_status s = n > 100000 ? hone__fail(HONE_E_LIMIT, "%s: has %lld members", path, (long long)n) : HONE_OK;
    *out = hone__calloc((size_t)n + 1, sizeof **out);
    if (!*out) s = hone__out_of_memory((size_t)n);
    for (zip_int64_t i = 0; s == HONE_OK && i < n; i++) {
        s = read_member(z, i, path, &(*out)[i]);
        *count = (size_t)i + 1;
    }
    zip_close(z);
    if (s != HONE_OK) {
        hone__tensor_list_free(*out, *count);
        *out = NULL;
        *count = 0;
    }
    return s;
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
        hone__map_unref(map);
        return read_npz(path, out, count);
    } else if (map->data[0] == 0x93)
        s = hone__npy_parse(map->data, map->size, path, &t);
    else
        s = hone__onnx_read_value(map, path, wrap, &t, &name, &holder);
    hone__map_unref(map);
    if (s == HONE_OK) s = one(&t, name, out, count);
    hone__model_destroy(holder);
    return s;
}
