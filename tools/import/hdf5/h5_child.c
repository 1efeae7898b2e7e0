/* h5_child.c: what runs inside the confined process: the HDF5 library over a file image, and the catalogue it writes.
 * Only hard links are followed, only numbers and strings are read, no plug-ins, no external or virtual storage, no
 * filters but deflate, shuffle and fletcher32. The process allocates nothing through hone and ends with _exit. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"
#include "h5.h"
#include "h5_records.h"
#include "tools/libraries/lib_hdf5.h"

enum { MAX_PATH = 4096, MAX_DEPTH = 32, MAX_ITEMS = 400000 };

typedef struct child {
    const uint8_t *image;
    size_t image_size;
    int catalogue, spill;
    uint64_t spill_size, output;
    size_t items;
    uint8_t buffer[1 << 16];
    size_t used;
    char path[MAX_PATH];
    size_t path_length;
    int depth;
} child;

static child self; /* one per process; the image callbacks below have no other way to it */

static void flush(child *c)
{
    size_t done = 0;
    while (done < c->used) {
        ssize_t n = write(c->catalogue, c->buffer + done, c->used - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) _exit(3);
        done += (size_t)n;
    }
    c->used = 0;
}

static void put(child *c, const void *data, size_t n)
{
    const uint8_t *p = data;
    c->output += n;
    if (c->output > hone__h5_output_limit(c->image_size)) _exit(4);
    while (n) {
        size_t room = sizeof c->buffer - c->used, part = n < room ? n : room;
        memcpy(c->buffer + c->used, p, part);
        c->used += part, p += part, n -= part;
        if (c->used == sizeof c->buffer) flush(c);
    }
}

static void put_u64(child *c, uint64_t v) { put(c, &v, sizeof v); }

static void put_text(child *c, const char *text, size_t n)
{
    put_u64(c, n);
    put(c, text, n);
}

static void finish(child *c, uint64_t kind, const char *text)
{
    put_u64(c, kind);
    if (text) put_text(c, text, strlen(text));
    flush(c);
    _exit(0);
}

static void count_item(child *c)
{
    if (++c->items > MAX_ITEMS) finish(c, H5_RECORD_ERROR, "more than 400000 objects");
}

static hone_dtype int_dtype(hid_t type)
{
    bool is_signed = H5Tget_sign(type) == H5T_SGN_2;
    switch (H5Tget_size(type)) {
    case 1: return is_signed ? HONE_I8 : HONE_U8;
    case 2: return is_signed ? HONE_I16 : HONE_U16;
    case 4: return is_signed ? HONE_I32 : HONE_U32;
    case 8: return is_signed ? HONE_I64 : HONE_U64;
    default: return HONE_UNDEFINED;
    }
}

static hone_dtype float_dtype(hid_t type)
{
    size_t sign, exponent, exponent_bits, mantissa, mantissa_bits;
    if (H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits) < 0) return HONE_UNDEFINED;
    switch (H5Tget_size(type)) {
    case 2:
        if (sign == 15 && exponent == 10 && exponent_bits == 5 && mantissa_bits == 10) return HONE_F16;
        if (sign == 15 && exponent == 7 && exponent_bits == 8 && mantissa_bits == 7) return HONE_BF16;
        return HONE_UNDEFINED;
    case 4: return exponent_bits == 8 && mantissa_bits == 23 ? HONE_F32 : HONE_UNDEFINED;
    case 8: return exponent_bits == 11 && mantissa_bits == 52 ? HONE_F64 : HONE_UNDEFINED;
    default: return HONE_UNDEFINED;
    }
}

/* Sets *as_is when the bytes in the file are already what `dtype` means here. */
static hone_dtype dataset_dtype(hid_t type, bool *as_is)
{
    hone_dtype dtype = HONE_UNDEFINED;
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
        dtype = int_dtype(type);
        if (H5Tget_precision(type) != H5Tget_size(type) * 8) return HONE_UNDEFINED;
        break;
    case H5T_FLOAT: dtype = float_dtype(type); break;
    case H5T_ENUM: /* h5py's bool: an enumeration over int8 */
        *as_is = true;
        return H5Tget_size(type) == 1 ? HONE_BOOL : HONE_UNDEFINED;
    case H5T_OPAQUE: /* two opaque bytes: how Keras 3 stores bfloat16 */
        *as_is = true;
        return H5Tget_size(type) == 2 ? HONE_BF16 : HONE_UNDEFINED;
    default: return HONE_UNDEFINED;
    }
    *as_is = H5Tget_size(type) == 1 || H5Tget_order(type) == H5T_ORDER_LE;
    return dtype;
}

static hid_t memory_type(hone_dtype dtype)
{
    switch (dtype) {
    case HONE_F32: return hone__hdf5.native_FLOAT;
    case HONE_F64: return hone__hdf5.native_DOUBLE;
    case HONE_I8: return hone__hdf5.native_INT8;
    case HONE_U8: return hone__hdf5.native_UINT8;
    case HONE_I16: return hone__hdf5.native_INT16;
    case HONE_U16: return hone__hdf5.native_UINT16;
    case HONE_I32: return hone__hdf5.native_INT32;
    case HONE_U32: return hone__hdf5.native_UINT32;
    case HONE_I64: return hone__hdf5.native_INT64;
    case HONE_U64: return hone__hdf5.native_UINT64;
    default: return -1;
    }
}

static bool filters_allowed(hid_t plist)
{
    int n = H5Pget_nfilters(plist);
    for (int i = 0; i < n; i++) {
        unsigned flags, values[1];
        size_t count = 0;
        H5Z_filter_t id = H5Pget_filter2(plist, (unsigned)i, &flags, &count, values, 0, NULL, NULL);
        if (id != H5Z_FILTER_DEFLATE && id != H5Z_FILTER_SHUFFLE && id != H5Z_FILTER_FLETCHER32) return false;
    }
    return n >= 0;
}

/* Reads the whole dataset to the end of the spill. */
static bool spill_data(child *c, hid_t dataset, hid_t type, hone_dtype dtype, hone__h5_item *item)
{
    hid_t memory = memory_type(dtype);
    if (dtype == HONE_F16 || dtype == HONE_BF16 || dtype == HONE_BOOL) memory = H5Tcopy(type);
    if (memory < 0) return false;
    if ((dtype == HONE_F16 || dtype == HONE_BF16) && H5Tget_class(type) == H5T_FLOAT)
        H5Tset_order(memory, H5T_ORDER_LE);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), start = (c->spill_size + page - 1) / page * page, end;
    if (__builtin_add_overflow(start, item->bytes, &end) || end > hone__h5_output_limit(c->image_size)) return false;
    if (ftruncate(c->spill, (off_t)end) != 0) return false;
    void *at = mmap(NULL, item->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, c->spill, (off_t)start);
    if (at == MAP_FAILED) return false;
    herr_t status = H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, at);
    munmap(at, item->bytes);
    c->spill_size = end;
    item->offset = start;
    return status >= 0;
}

/* Optimiser state is dropped at import: never worth decompressing. */
static bool is_wanted(const char *path)
{
    return strncmp(path, "optimizer_weights/", 18) != 0 && strncmp(path, "optimizer/", 10) != 0 &&
           strncmp(path, "_optimizer/", 11) != 0;
}

static void locate(child *c, hid_t dataset, hid_t type, bool as_is, hone__h5_item *item)
{
    hid_t plist = H5Dget_create_plist(dataset);
    H5D_layout_t layout = H5Pget_layout(plist);
    item->stored = (uint64_t)H5Dget_storage_size(dataset);
    bool ok = layout != H5D_VIRTUAL && H5Pget_external_count(plist) == 0 && filters_allowed(plist) && item->bytes;
    if (ok && layout == H5D_CONTIGUOUS && as_is) {
        haddr_t at = H5Dget_offset(dataset);
        ok = at != HADDR_UNDEF && item->stored == item->bytes;
        item->in_file = true, item->offset = (uint64_t)at;
    } else if (ok) { /* deflate makes at most 1032 bytes of one */
        ok = is_wanted(c->path) && item->stored && item->stored <= c->image_size &&
             item->bytes / 1100 <= item->stored && spill_data(c, dataset, type, item->dtype, item);
    }
    if (!ok) item->bytes = 0;
    H5Pclose(plist);
}

static void put_dataset(child *c, hid_t dataset)
{
    hone__h5_item item = {0};
    hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset);
    hsize_t dims[H5S_MAX_RANK] = {0};
    bool as_is = false, ok = true;
    int rank = H5Sget_simple_extent_ndims(space);
    item.dtype = type < 0 ? HONE_UNDEFINED : dataset_dtype(type, &as_is);
    if (rank < 0 || rank > HONE_MAX_RANK || H5Sget_simple_extent_type(space) == H5S_NULL)
        ok = false;
    else if (H5Sget_simple_extent_dims(space, dims, NULL) < 0)
        ok = false;
    uint64_t bytes = item.dtype == HONE_UNDEFINED ? 0 : H5Tget_size(type);
    for (int i = 0; ok && i < rank; i++) {
        item.dims[i] = (int64_t)dims[i];
        if (dims[i] > INT64_MAX || __builtin_mul_overflow(bytes, (uint64_t)dims[i], &bytes)) ok = false;
    }
    if (!ok) rank = 0, item.dtype = HONE_UNDEFINED, bytes = 0;
    item.rank = rank, item.bytes = bytes;
    if (item.dtype != HONE_UNDEFINED)
        locate(c, dataset, type, as_is, &item);
    else
        item.bytes = 0;
    put_u64(c, H5_RECORD_DATASET);
    put_text(c, c->path, c->path_length);
    put_u64(c, (uint64_t)item.dtype);
    put_u64(c, (uint64_t)item.rank);
    for (int i = 0; i < item.rank; i++) put_u64(c, (uint64_t)item.dims[i]);
    put_u64(c, item.in_file);
    put_u64(c, item.offset);
    put_u64(c, item.bytes);
    put_u64(c, item.stored);
    H5Sclose(space);
    H5Tclose(type);
}

static void put_attr_head(child *c, const char *name, hone_dtype dtype, uint64_t count)
{
    put_u64(c, H5_RECORD_ATTRIBUTE);
    put_text(c, c->path, c->path_length);
    put_text(c, name, strlen(name));
    put_u64(c, (uint64_t)dtype);
    put_u64(c, count);
}

static void put_string_attr(child *c, hid_t attr, hid_t type, const char *name, size_t count)
{
    hid_t memory = H5Tcopy(type);
    size_t width = H5Tget_size(type), total;
    if (H5Tis_variable_str(type) > 0) {
        char **list = calloc(count ? count : 1, sizeof *list);
        if (!list || H5Aread(attr, memory, list) < 0) return;
        put_attr_head(c, name, HONE_STRING, count);
        for (size_t i = 0; i < count; i++) put_text(c, list[i] ? list[i] : "", list[i] ? strlen(list[i]) : 0);
        return;
    }
    if (!hone__mul_size(width, count, &total) || total > c->image_size) return;
    char *text = calloc(1, total + 1);
    if (!text || H5Aread(attr, memory, text) < 0) return;
    put_attr_head(c, name, HONE_STRING, count);
    for (size_t i = 0; i < count; i++) put_text(c, text + i * width, strnlen(text + i * width, width));
    free(text);
}

static herr_t on_attribute(hid_t owner, const char *name, const H5A_info_t *info, void *ctx)
{
    child *c = ctx;
    (void)info;
    count_item(c);
    hid_t attr = H5Aopen(owner, name, H5P_DEFAULT);
    if (attr < 0) return 0;
    hid_t type = H5Aget_type(attr), space = H5Aget_space(attr);
    hssize_t count = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    H5T_class_t class = type < 0 ? H5T_NO_CLASS : H5Tget_class(type);
    if (count >= 0 && (uint64_t)count <= c->image_size) {
        if (class == H5T_STRING)
            put_string_attr(c, attr, type, name, (size_t)count);
        else if (count == 1 && (class == H5T_FLOAT || class == H5T_INTEGER) && H5Tget_size(type) <= 8) {
            double number = 0;
            if (H5Aread(attr, hone__hdf5.native_DOUBLE, &number) >= 0) {
                put_attr_head(c, name, HONE_F64, 1);
                put(c, &number, sizeof number);
            }
        }
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attr);
    return 0;
}

static herr_t on_link(hid_t group, const char *name, const H5L_info_t *info, void *ctx)
{
    child *c = ctx;
    size_t old = c->path_length, n = strlen(name);
    count_item(c);
    if (info->type != H5L_TYPE_HARD) return 0;
    if (old + n + 2 > MAX_PATH) finish(c, H5_RECORD_ERROR, "a path longer than 4096 bytes");
    if (c->depth >= MAX_DEPTH) finish(c, H5_RECORD_ERROR, "groups nested deeper than 32");
    hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    if (object < 0) return 0;
    if (old) c->path[c->path_length++] = '/';
    memcpy(c->path + c->path_length, name, n + 1);
    c->path_length += n;
    c->depth++;
    H5I_type_t kind = H5Iget_type(object);
    if (kind == H5I_DATASET) put_dataset(c, object);
    if (kind == H5I_GROUP) {
        hsize_t at = 0;
        H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, &at, on_attribute, c);
        H5Literate(object, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, on_link, c);
    }
    c->depth--;
    c->path_length = old;
    c->path[old] = 0;
    H5Oclose(object);
    return 0;
}

/* The library believes it owns a copy of the image; it gets the mapping itself. */
static void *image_malloc(size_t size, H5FD_file_image_op_t op, void *udata)
{
    (void)op, (void)udata;
    return size <= self.image_size ? (void *)(uintptr_t)self.image : NULL;
}
static void *image_memcpy(void *to, const void *from, size_t size, H5FD_file_image_op_t op, void *udata)
{
    (void)from, (void)size, (void)op, (void)udata;
    return to;
}
static void *image_realloc(void *p, size_t size, H5FD_file_image_op_t op, void *udata)
{
    (void)p, (void)size, (void)op, (void)udata;
    return NULL;
}
static herr_t image_free(void *p, H5FD_file_image_op_t op, void *udata)
{
    (void)p, (void)op, (void)udata;
    return 0;
}

void hone__h5_child(const uint8_t *data, size_t size, int catalogue, int spill)
{
    child *c = &self;
    c->image = data, c->image_size = size, c->catalogue = catalogue, c->spill = spill;
    if (!hone__hdf5_start()) finish(c, H5_RECORD_ERROR, "the HDF5 library does not start");
    H5PLset_loading_state(0);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t plist = H5Pcreate(H5P_FILE_ACCESS);
    H5FD_file_image_callbacks_t calls = {image_malloc, image_memcpy, image_realloc, image_free, NULL, NULL, NULL};
    if (H5Pset_fapl_core(plist, 1 << 16, 0) < 0 || H5Pset_file_image_callbacks(plist, &calls) < 0 ||
        H5Pset_file_image(plist, (void *)(uintptr_t)data, size) < 0)
        finish(c, H5_RECORD_ERROR, "the HDF5 library refuses the image");
    hid_t file = H5Fopen("image", H5F_ACC_RDONLY, plist);
    if (file < 0) finish(c, H5_RECORD_ERROR, "not a readable HDF5 file (damaged or truncated)");
    hid_t root = H5Gopen2(file, "/", H5P_DEFAULT);
    if (root < 0) finish(c, H5_RECORD_ERROR, "the root group cannot be read");
    hsize_t at = 0;
    if (H5Aiterate2(root, H5_INDEX_NAME, H5_ITER_NATIVE, &at, on_attribute, c) < 0)
        finish(c, H5_RECORD_ERROR, "the root group's attributes cannot be read");
    if (H5Literate(root, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, on_link, c) < 0)
        finish(c, H5_RECORD_ERROR, "a group cannot be read");
    finish(c, H5_RECORD_END, NULL);
}
