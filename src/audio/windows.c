/* windows.c: one buffer of a window's length that slides over the signal. */
#include "audio/windows.h"

#include <string.h>

#include "base/alloc.h"

struct hone__windows {
    size_t length, hop;
    size_t filled;
    size_t fresh; /* of these, at the end, were in no window yet */
    size_t skip;  /* samples to drop before the next window begins */
    uint64_t start;
    bool given; /* the buffer was handed out; it slides on the next call */
    float *buffer;
};

enum { LENGTH_MAX = 1 << 28 };

hone_status hone__windows_create(size_t length, size_t hop, hone__windows **out)
{
    *out = NULL;
    if (length < 1 || length > LENGTH_MAX || hop < 1 || hop > LENGTH_MAX)
        return hone__fail(HONE_E_ARGUMENT, "windows of %zu samples every %zu: expected 1 to %d", length, hop,
                          LENGTH_MAX);
    hone__windows *w = hone__calloc(1, sizeof *w);
    if (!w) return hone__out_of_memory(sizeof *w);
    w->length = length;
    w->hop = hop;
    w->buffer = hone__malloc(length * sizeof(float));
    if (!w->buffer) {
        hone__windows_destroy(w);
        return hone__out_of_memory(length * sizeof(float));
    }
    *out = w;
    return HONE_OK;
}

void hone__windows_destroy(hone__windows *w)
{
    if (!w) return;
    hone__free(w->buffer);
    hone__free(w);
}

static void slide(hone__windows *w)
{
    if (!w->given) return;
    size_t drop = w->hop < w->filled ? w->hop : w->filled;
    memmove(w->buffer, w->buffer + drop, (w->filled - drop) * sizeof(float));
    w->filled -= drop;
    w->skip = w->hop - drop;
    w->start += w->hop;
    w->fresh = 0;
    w->given = false;
}

size_t hone__windows_push(hone__windows *w, const float *pcm, size_t n)
{
    slide(w);
    size_t skipped = w->skip < n ? w->skip : n, room = w->length - w->filled;
    w->skip -= skipped;
    size_t take = room < n - skipped ? room : n - skipped;
    if (take) memcpy(w->buffer + w->filled, pcm + skipped, take * sizeof(float));
    w->filled += take;
    w->fresh += take;
    return skipped + take;
}

bool hone__windows_next(hone__windows *w, bool end, const float **samples, size_t *length, uint64_t *start)
{
    slide(w);
    if (w->filled < w->length && !(end && w->fresh)) return false;
    *samples = w->buffer;
    *length = w->filled;
    *start = w->start;
    w->given = true;
    return true;
}
