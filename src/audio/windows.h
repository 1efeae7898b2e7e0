/* windows.h: a signal of any length as clips of one length, one every `hop` samples, in constant memory.
 * Window k begins at k * hop. The last one may be short; it is there only if it holds samples that no earlier one held.
 */
#ifndef HONE_AUDIO_WINDOWS_H
#define HONE_AUDIO_WINDOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct hone__windows hone__windows;

/* length, hop: samples, 1 .. 2^28. A hop beyond the length skips samples. */
hone_status hone__windows_create(size_t length, size_t hop, hone__windows **out);
void hone__windows_destroy(hone__windows *w); /* NULL is fine */

/* Takes up to n samples, fewer when a window is full: then fetch it with _next and push the rest. Returns how many. */
size_t hone__windows_push(hone__windows *w, const float *pcm, size_t n);

/* The next window: *samples of *length samples, the first of which is sample *start of the signal; valid until the next
 * call. With `end` (no more will be pushed) also the last, short one. False: none is ready. */
bool hone__windows_next(hone__windows *w, bool end, const float **samples, size_t *length, uint64_t *start);

#endif
