/* h5_open.c: starts the confined child, waits for it with a time limit, and checks every word of its catalogue. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "h5.h"
#include "h5_records.h"
#include "tools/libraries/lib_hdf5.h"

/* The child is limited by processor time; a busy machine may give it that little by little. */
enum { PATIENCE = 30 };

struct hone__h5 {
    hone__map *catalogue, *spill;
    hone__arena arena;
    hone__h5_item *items;
    size_t item_count, item_capacity;
    hone__h5_attr *attrs;
    size_t attr_count, attr_capacity;
};

typedef struct cursor {
    const uint8_t *p, *end;
    bool ok;
} cursor;

static uint64_t take_u64(cursor *c)
{
    uint64_t v = 0;
    if ((size_t)(c->end - c->p) < sizeof v) {
        c->ok = false;
        return 0;
    }
    memcpy(&v, c->p, sizeof v);
    c->p += sizeof v;
    return v;
}

static hone__string take_text(cursor *c)
{
    uint64_t n = take_u64(c);
    hone__string s = {(const char *)c->p, (size_t)n};
    if (!c->ok || n > (uint64_t)(c->end - c->p)) {
        c->ok = false;
        return (hone__string){"", 0};
    }
    c->p += n;
    return s;
}

static const char *take_name(hone__h5 *h, cursor *c)
{
    hone__string s = take_text(c);
    const char *copy = hone__arena_strndup(&h->arena, s.data, s.size);
    if (!copy) c->ok = false;
    return copy ? copy : "";
}

static hone_status take_dataset(hone__h5 *h, cursor *c, size_t image_size)
{
    HONE__TRY(hone__grow(&h->items, &h->item_capacity, h->item_count, sizeof *h->items));
    hone__h5_item it = {.path = take_name(h, c)};
    it.dtype = (hone_dtype)take_u64(c);
    it.rank = (int)take_u64(c);
    if (!c->ok || it.rank < 0 || it.rank > HONE_MAX_RANK || it.dtype >= HONE_DTYPE_COUNT) return HONE_E_FORMAT;
    for (int i = 0; i < it.rank; i++) it.dims[i] = (int64_t)take_u64(c);
    it.in_file = take_u64(c) != 0;
    it.offset = take_u64(c);
    it.bytes = take_u64(c);
    it.stored = take_u64(c);
    if (!c->ok) return HONE_E_FORMAT;
    if (it.bytes) {
        size_t count, bytes;
        if (hone__shape_bytes(it.dtype, it.rank, it.dims, &count, &bytes) != HONE_OK || bytes != it.bytes) it.bytes = 0;
        size_t room = it.in_file ? image_size : h->spill ? h->spill->size : 0;
        if (!hone__range_ok(it.offset, it.bytes, room)) it.bytes = 0;
    }
    h->items[h->item_count++] = it;
    return HONE_OK;
}

static hone_status take_attribute(hone__h5 *h, cursor *c)
{
    HONE__TRY(hone__grow(&h->attrs, &h->attr_capacity, h->attr_count, sizeof *h->attrs));
    hone__h5_attr a = {.owner = take_name(h, c), .name = take_name(h, c)};
    a.dtype = (hone_dtype)take_u64(c);
    a.count = (size_t)take_u64(c);
    if (!c->ok || a.count > (size_t)(c->end - c->p)) return HONE_E_FORMAT;
    if (a.dtype == HONE_STRING) {
        hone__string *list = hone__arena_alloc(&h->arena, a.count * sizeof *list + 1);
        if (!list) return hone__out_of_memory(a.count * sizeof *list);
        for (size_t i = 0; i < a.count && c->ok; i++) list[i] = take_text(c);
        a.strings = list;
    } else {
        uint64_t bits = take_u64(c);
        memcpy(&a.number, &bits, sizeof bits);
    }
    if (!c->ok) return HONE_E_FORMAT;
    h->attrs[h->attr_count++] = a;
    return HONE_OK;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const hone__h5_item *)a)->path, ((const hone__h5_item *)b)->path);
}

static int by_owner(const void *a, const void *b)
{
    const hone__h5_attr *x = a, *y = b;
    int order = strcmp(x->owner, y->owner);
    return order ? order : strcmp(x->name, y->name);
}

static hone_status take_all(hone__h5 *h, const char *name, size_t image_size)
{
    cursor c = {NULL, NULL, true};
    if (h->catalogue->data) c.p = h->catalogue->data, c.end = c.p + h->catalogue->size;
    for (;;) {
        uint64_t kind = take_u64(&c);
        hone_status status = HONE_OK;
        if (c.ok && kind == H5_RECORD_END) break;
        if (c.ok && kind == H5_RECORD_ERROR) {
            hone__string text = take_text(&c);
            return hone__fail(HONE_E_FORMAT, "%s: HDF5: %.*s", name, (int)text.size, text.data);
        }
        if (c.ok && kind == H5_RECORD_DATASET)
            status = take_dataset(h, &c, image_size);
        else if (c.ok && kind == H5_RECORD_ATTRIBUTE)
            status = take_attribute(h, &c);
        else
            c.ok = false;
        if (status == HONE_E_MEMORY) return status;
        if (!c.ok || status != HONE_OK)
            return hone__fail(HONE_E_FORMAT,
                              "%s: the HDF5 library crashed or gave up on this file: it is damaged or hostile", name);
    }
    if (h->item_count) qsort(h->items, h->item_count, sizeof *h->items, by_path);
    if (h->attr_count) qsort(h->attrs, h->attr_count, sizeof *h->attrs, by_owner);
    return HONE_OK;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits until the child has closed its end of the pipe or the time is over, then reaps it. False: out of time. */
static bool wait_child(pid_t pid, int pipe_fd, uint64_t seconds)
{
    int64_t end = now_ms() + (int64_t)(seconds * PATIENCE * 1000);
    bool in_time = true;
    for (;;) {
        int64_t left = end - now_ms();
        struct pollfd p = {pipe_fd, POLLIN, 0};
        int n = left <= 0 ? 0 : poll(&p, 1, left > INT_MAX ? INT_MAX : (int)left);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) in_time = false;
        break;
    }
    if (!in_time) kill(pid, SIGKILL);
    int code = 0;
    while (waitpid(pid, &code, 0) < 0 && errno == EINTR) code = 0;
    return in_time && !(WIFSIGNALED(code) && (WTERMSIG(code) == SIGXCPU || WTERMSIG(code) == SIGKILL));
}

static hone_status run_child(const uint8_t *data, size_t size, const char *name, int catalogue, int spill)
{
    int ends[2];
    HONE__TRY(hone__hdf5_load()); /* here: the child may open nothing */
    if (pipe(ends) != 0) return hone__fail(HONE_E_IO, "%s: cannot make a pipe: %s", name, strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        hone__h5_confine(catalogue, spill, ends[1], size);
        hone__h5_child(data, size, catalogue, spill);
        _exit(1);
    }
    int reason = errno;
    close(ends[1]);
    bool in_time = pid > 0 && wait_child(pid, ends[0], hone__h5_seconds(size));
    close(ends[0]);
    if (pid < 0) return hone__fail(HONE_E_IO, "%s: cannot start a process for HDF5: %s", name, strerror(reason));
    if (!in_time)
        return hone__fail(HONE_E_LIMIT, "%s: the HDF5 library did not finish within %u s of processor time: damaged or hostile", name,
                          (unsigned)hone__h5_seconds(size));
    return HONE_OK;
}

static hone_status read_with(hone__h5 *h, const uint8_t *data, size_t size, const char *name, int catalogue, int spill)
{
    HONE__TRY(run_child(data, size, name, catalogue, spill));
    HONE__TRY(hone__map_fd(catalogue, name, &h->catalogue));
    HONE__TRY(hone__map_fd(spill, name, &h->spill));
    return take_all(h, name, size);
}

hone_status hone__h5_open(const uint8_t *data, size_t size, const char *name, hone__h5 **out)
{
    *out = NULL;
    hone__h5 *h = hone__calloc(1, sizeof *h);
    if (!h) return hone__out_of_memory(sizeof *h);
    int catalogue = memfd_create("hone-catalogue", MFD_CLOEXEC), spill = memfd_create("hone-spill", MFD_CLOEXEC);
    hone_status status;
    if (catalogue < 0 || spill < 0)
        status = hone__fail(HONE_E_IO, "%s: cannot make a memory file: %s", name, strerror(errno));
    else
        status = read_with(h, data, size, name, catalogue, spill);
    if (catalogue >= 0) close(catalogue);
    if (spill >= 0) close(spill);
    if (status == HONE_OK)
        *out = h;
    else
        hone__h5_close(h);
    return status;
}

void hone__h5_close(hone__h5 *h)
{
    if (!h) return;
    hone__map_unref(h->catalogue);
    hone__map_unref(h->spill);
    hone__free(h->items);
    hone__free(h->attrs);
    hone__arena_free(&h->arena);
    hone__free(h);
}

size_t hone__h5_count(const hone__h5 *h) { return h->item_count; }
const hone__h5_item *hone__h5_at(const hone__h5 *h, size_t index) { return &h->items[index]; }
hone__map *hone__h5_spill(const hone__h5 *h) { return h->spill; }

const hone__h5_item *hone__h5_find(const hone__h5 *h, const char *path)
{
    hone__h5_item key = {.path = path};
    return h->item_count ? bsearch(&key, h->items, h->item_count, sizeof key, by_path) : NULL;
}

const hone__h5_attr *hone__h5_attr_find(const hone__h5 *h, const char *owner, const char *name)
{
    hone__h5_attr key = {.owner = owner, .name = name};
    return h->attr_count ? bsearch(&key, h->attrs, h->attr_count, sizeof key, by_owner) : NULL;
}

static bool below(const char *path, const char *group, size_t n)
{
    return strncmp(path, group, n) == 0 && (path[n] == '/' || path[n] == 0);
}

bool hone__h5_has_group(const hone__h5 *h, const char *path)
{
    size_t n = strlen(path);
    for (size_t i = 0; i < h->item_count; i++)
        if (below(h->items[i].path, path, n)) return true;
    for (size_t i = 0; i < h->attr_count; i++)
        if (below(h->attrs[i].owner, path, n)) return true;
    return false;
}
