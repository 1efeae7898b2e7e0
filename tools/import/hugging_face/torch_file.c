/* torch_file.c: the zip archives that torch.save writes: NAME/data.pkl describes tensors over NAME/data/KEY, which stay
 * in the mapping. (torch/serialization.py and torch/_utils.py of PyTorch.) */
#include <string.h>

#include "base/checked.h"
#include "checkpoint.h"
#include "pickle.h"
#include "torch_zip.h"

typedef hone__pickle_value value;

enum { NAME_MAX_BYTES = 1024, WRAPPERS = 4, PICKLE_MAX = 64 << 20 };

/* Classes of storages, and types that version 3 of a tensor names. */
static const struct {
    const char *name;
    hone_dtype dtype;
} types[] = {{"torch.FloatStorage", HONE_F32},
             {"torch.HalfStorage", HONE_F16},
             {"torch.BFloat16Storage", HONE_BF16},
             {"torch.DoubleStorage", HONE_F64},
             {"torch.LongStorage", HONE_I64},
             {"torch.IntStorage", HONE_I32},
             {"torch.ShortStorage", HONE_I16},
             {"torch.CharStorage", HONE_I8},
             {"torch.ByteStorage", HONE_U8},
             {"torch.BoolStorage", HONE_BOOL},
             {"torch.ComplexFloatStorage", HONE_C64},
             {"torch.ComplexDoubleStorage", HONE_C128},
             {"torch.storage.UntypedStorage", HONE_U8},
             {"torch.uint16", HONE_U16},
             {"torch.uint32", HONE_U32},
             {"torch.uint64", HONE_U64},
             {"torch.float8_e4m3fn", HONE_F8E4M3FN},
             {"torch.float8_e4m3fnuz", HONE_F8E4M3FNUZ},
             {"torch.float8_e5m2", HONE_F8E5M2},
             {"torch.float8_e5m2fnuz", HONE_F8E5M2FNUZ},
             {"torch.float8_e8m0fnu", HONE_F8E8M0}};

/* What makes tensors. */
enum { PLAIN, WRAPPED, OF_TYPE, TYPED };
static const struct {
    const char *name;
    int form;
} makers[] = {{"torch._utils._rebuild_tensor", PLAIN},
              {"torch._utils._rebuild_tensor_v2", PLAIN},
              {"torch._utils._rebuild_tensor_v3", TYPED},
              {"torch._utils._rebuild_parameter", WRAPPED},
              {"torch._utils._rebuild_parameter_with_state", WRAPPED},
              {"torch._tensor._rebuild_from_type_v2", OF_TYPE}};

static hone_dtype type_of(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].name, name)) return types[i].dtype;
    return HONE_UNDEFINED;
}

static int form_of(const char *name)
{
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
        if (!strcmp(makers[i].name, name)) return makers[i].form;
    return -1;
}

static bool is_known(const char *name)
{
    static const char *const others[] = {"collections.OrderedDict", "torch.Tensor", "torch.nn.parameter.Parameter"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!strcmp(others[i], name)) return true;
    return type_of(name) || form_of(name) >= 0;
}

typedef struct archive {
    const char *file, *root; /* root: NAME */
    hone__torch_zip zip;
    hone__blob *blob;  /* the whole mapping */
    hone__arena arena; /* what the pickle says, and names of members */
    bool big;          /* the storages' bytes have the highest first */
    hone__checkpoint *out;
} archive;

static hone_status damaged(const archive *a, const char *name, const char *what)
{
    return hone__fail(HONE_E_FORMAT, "%s: tensor '%s': %s", a->file, name, what);
}

/* Where a storage lies, and of how many elements. */
typedef struct storage {
    hone_dtype dtype;
    size_t offset;
    int64_t count;
} storage;

static bool is_text(const value *v, const char *text)
{
    return hone__pickle_is(v, HONE__PICKLE_TEXT) && v->count == strlen(text) && !memcmp(v->text, text, v->count);
}

/* ('storage', class, key, device, elements) */
static hone_status find_storage(archive *a, const char *name, const value *v, hone_dtype typed, storage *out)
{
    const value *id = hone__pickle_is(v, HONE__PICKLE_PERSISTENT) ? v->id : NULL, *class = hone__pickle_at(id, 1);
    const value *key = hone__pickle_at(id, 2), *elements = hone__pickle_at(id, 4);
    size_t size;
    if (!is_text(hone__pickle_at(id, 0), "storage") || !hone__pickle_is(class, HONE__PICKLE_CLASS) ||
        !hone__pickle_is(key, HONE__PICKLE_TEXT) || !hone__pickle_is(elements, HONE__PICKLE_INT) || elements->i < 0)
        return damaged(a, name, "it has no storage");
    out->dtype = type_of(class->text);
    if (!out->dtype) return damaged(a, name, "its storage is of no known class");
    if (key->count > NAME_MAX_BYTES) return damaged(a, name, "the name of its storage is too long");
    const char *member = hone__arena_printf(&a->arena, "%s/data/%.*s", a->root, (int)key->count, key->text);
    if (!member) return hone__out_of_memory(key->count);
    hone_status s = hone__torch_zip_find(&a->zip, member, &out->offset, &size);
    if (s != HONE_OK) return hone__at(s, "%s: tensor '%s'", a->file, name);
    size_t bytes;
    if (!hone__mul_size((size_t)elements->i, hone__dtype_size(out->dtype), &bytes) || bytes != size)
        return hone__fail(HONE_E_FORMAT, "%s: tensor '%s': '%s' has %zu bytes, %lld elements of %s are wanted", a->file,
                          name, member, size, (long long)elements->i, hone_dtype_name(out->dtype));
    if (typed) out->dtype = typed;
    out->count = (int64_t)(size / hone__dtype_size(out->dtype));
    return HONE_OK;
}

/* A tuple of at most HONE_MAX_RANK numbers from 0 up; -1: something else. */
static int numbers(const value *tuple, int64_t *out)
{
    if (!hone__pickle_is(tuple, HONE__PICKLE_TUPLE) || tuple->count > HONE_MAX_RANK) return -1;
    const hone__pickle_item *item = tuple->items;
    for (uint32_t i = 0; i < tuple->count; i++, item = item->next) {
        if (!hone__pickle_is(item->value, HONE__PICKLE_INT) || item->value->i < 0) return -1;
        out[i] = item->value->i;
    }
    return (int)tuple->count;
}

/* Whether every element lies inside the storage. */
static bool is_inside(const storage *s, int rank, const int64_t *dims, const int64_t *strides, int64_t offset,
                      size_t count)
{
    int64_t last = offset, step;
    for (int i = 0; count && i < rank; i++)
        if (!hone__mul_i64(dims[i] - 1, strides[i], &step) || !hone__add_i64(last, step, &last)) return false;
    return count ? last < s->count : offset <= s->count;
}

static bool is_dense(int rank, const int64_t *dims, const int64_t *strides, size_t count)
{
    int64_t step = 1;
    for (int i = rank; count && i-- > 0; step *= dims[i])
        if (dims[i] != 1 && strides[i] != step) return false;
    return true;
}

/* args: (storage, offset, dims, strides, ...) */
static hone_status add_tensor(archive *a, const char *name, const value *args, hone_dtype typed)
{
    storage from;
    hone__tensor t = {0};
    int64_t strides[HONE_MAX_RANK];
    const value *offset = hone__pickle_at(args, 1);
    HONE__TRY(find_storage(a, name, hone__pickle_at(args, 0), typed, &from));
    t.dtype = from.dtype;
    t.rank = numbers(hone__pickle_at(args, 2), t.dims);
    if (!hone__pickle_is(offset, HONE__PICKLE_INT) || offset->i < 0 || t.rank < 0 ||
        numbers(hone__pickle_at(args, 3), strides) != t.rank)
        return damaged(a, name, "it has no offset, shape and strides");
    hone_status s = hone__shape_bytes(t.dtype, t.rank, t.dims, &t.count, &t.bytes);
    if (s != HONE_OK) return hone__at(s, "%s: tensor '%s'", a->file, name);
    if (!is_inside(&from, t.rank, t.dims, strides, offset->i, t.count))
        return damaged(a, name, "it reaches beyond its storage");
    t.blob = hone__blob_ref(a->blob);
    t.data = a->blob->data + from.offset + (size_t)offset->i * hone__dtype_size(t.dtype);
    HONE__TRY(hone__checkpoint_add(a->out, name, a->file, &t));
    hone__stored *stored = &a->out->list[a->out->count - 1];
    stored->swapped = a->big && hone__dtype_size(t.dtype) > 1;
    if (is_dense(t.rank, t.dims, strides, t.count)) return HONE_OK;
    stored->strides = hone__arena_alloc(&a->out->arena, (size_t)t.rank * sizeof *strides);
    if (!stored->strides) return hone__out_of_memory(sizeof strides);
    memcpy(stored->strides, strides, (size_t)t.rank * sizeof *strides);
    return HONE_OK;
}

/* Through what is wrapped around it. */
static hone_status add_call(archive *a, const char *name, const value *v)
{
    for (int i = 0; i < WRAPPERS && hone__pickle_is(v, HONE__PICKLE_CALL); i++) {
        const value *callee = v->callee, *args = v->args;
        int form = form_of(callee->text);
        if (form == OF_TYPE) {
            callee = hone__pickle_at(args, 0);
            args = hone__pickle_at(args, 2);
            form = hone__pickle_is(callee, HONE__PICKLE_CLASS) ? form_of(callee->text) : -1;
        }
        const value *type = hone__pickle_at(args, 6);
        if (form == PLAIN) return add_tensor(a, name, args, HONE_UNDEFINED);
        if (form == TYPED && hone__pickle_is(type, HONE__PICKLE_CLASS) && type_of(type->text))
            return add_tensor(a, name, args, type_of(type->text));
        if (form != WRAPPED) break;
        v = hone__pickle_at(args, 0);
    }
    return damaged(a, name, "a call that makes no tensor");
}

/* The tensors among a dictionary's values; how many there are is added to *count. */
static hone_status add_all(archive *a, const value *dict, size_t *count)
{
    char name[NAME_MAX_BYTES];
    for (const hone__pickle_item *item = dict->items; item; item = item->next) {
        if (!hone__pickle_is(item->value, HONE__PICKLE_CALL) || !hone__pickle_is(item->key, HONE__PICKLE_TEXT))
            continue;
        if (item->key->count >= sizeof name || memchr(item->key->text, 0, item->key->count))
            return hone__fail(HONE_E_FORMAT, "%s: the name of a tensor is too long or holds a 0 byte", a->file);
        memcpy(name, item->key->text, item->key->count);
        name[item->key->count] = 0;
        HONE__TRY(add_call(a, name, item->value));
        ++*count;
    }
    return HONE_OK;
}

/* A dictionary of tensors, or one whose members are such (what training scripts save). */
static hone_status add_root(archive *a, const value *root)
{
    size_t count = 0;
    if (!hone__pickle_is(root, HONE__PICKLE_DICT))
        return hone__fail(HONE_E_FORMAT, "%s: it holds no dictionary of tensors", a->file);
    HONE__TRY(add_all(a, root, &count));
    for (const hone__pickle_item *item = count ? NULL : root->items; item; item = item->next)
        if (hone__pickle_is(item->value, HONE__PICKLE_DICT)) HONE__TRY(add_all(a, item->value, &count));
    return HONE_OK;
}

/* NAME of the member NAME/data.pkl. */
static hone_status find_root(archive *a)
{
    static const char end[] = "/data.pkl";
    for (size_t i = 0; i < a->zip.count; i++) {
        const hone__torch_member *m = &a->zip.list[i];
        size_t n = m->name_size - (sizeof end - 1);
        if (m->name_size < sizeof end || memcmp(m->name + n, end, sizeof end - 1) || memchr(m->name, '/', n)) continue;
        a->root = hone__arena_strndup(&a->arena, m->name, n);
        return a->root ? HONE_OK : hone__out_of_memory(n);
    }
    return hone__fail(HONE_E_FORMAT, "%s: a zip archive without data.pkl: not written by torch.save", a->file);
}

static hone_status read_order(archive *a)
{
    size_t offset, size;
    const char *name = hone__arena_printf(&a->arena, "%s/byteorder", a->root);
    if (!name) return hone__out_of_memory(strlen(a->root));
    if (!hone__torch_zip_has(&a->zip, name)) return HONE_OK; /* older files: little */
    HONE__TRY(hone__torch_zip_find(&a->zip, name, &offset, &size));
    const char *order = (const char *)a->blob->data + offset;
    a->big = size == 3 && !memcmp(order, "big", 3);
    if (a->big || (size == 6 && !memcmp(order, "little", 6))) return HONE_OK;
    return hone__fail(HONE_E_FORMAT, "%s: byteorder '%.*s' is neither little nor big", a->file,
                      (int)(size < 16 ? size : 16), order);
}

static hone_status read_archive(archive *a, const hone__map *map)
{
    const value *root;
    size_t offset, size;
    HONE__TRY(hone__torch_zip_open(map, a->file, &a->zip));
    HONE__TRY(find_root(a));
    HONE__TRY(read_order(a));
    const char *name = hone__arena_printf(&a->arena, "%s/data.pkl", a->root);
    if (!name) return hone__out_of_memory(strlen(a->root));
    HONE__TRY(hone__torch_zip_find(&a->zip, name, &offset, &size));
    if (size > PICKLE_MAX)
        return hone__fail(HONE_E_LIMIT, "%s: data.pkl has %zu bytes (at most %d)", a->file, size, PICKLE_MAX);
    HONE__TRY(hone__pickle_read(map->data + offset, size, a->file, is_known, &a->arena, &root));
    return add_root(a, root);
}

hone_status hone__torch_read(hone__map *map, const char *file, hone__checkpoint *out)
{
    static const uint8_t zip[] = {'P', 'K', 3, 4}, old[] = {0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20};
    archive a = {.file = file, .out = out};
    if (map->size >= 10 && map->data[0] == 0x80 && !memcmp(map->data + 2, old, sizeof old))
        return hone__fail(
            HONE_E_UNSUPPORTED,
            "%s: written by PyTorch before 1.6, or without its zip format: load it there and save it again "
            "(torch.save(torch.load(FILE), FILE)), or as safetensors",
            file);
    if (map->size < sizeof zip || memcmp(map->data, zip, sizeof zip))
        return hone__fail(HONE_E_FORMAT, "%s: not a file of torch.save", file);
    HONE__TRY(hone__blob_map(map, 0, map->size, &a.blob));
    hone_status s = read_archive(&a, map);
    hone__torch_zip_close(&a.zip);
    hone__arena_free(&a.arena);
    hone__blob_unref(a.blob);
    return s;
}
