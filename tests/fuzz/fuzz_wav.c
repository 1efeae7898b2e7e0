/* fuzz_wav.c: any bytes as a WAV file: as a whole, with a header that arrives in pieces, resampled, cut into windows.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "audio/resample.h"
#include "audio/wav.h"
#include "fuzz_parts.h"
#include "audio/windows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const float *mono, size_t n, int rate)
{
    hone__resampler *r;
    hone__windows *w;
    float out[512];
    size_t used, made, length;
    uint64_t start;
    const float *samples;
    if (hone__resampler_create(rate, 16000, &r) != HONE_OK) return;
    demand(hone__windows_create(300, 200, &w) == HONE_OK);
    for (size_t at = 0; at < n; at += used) {
        hone__resampler_push(r, mono + at, n - at, &used, out, 512, &made);
        demand(used + made > 0);
        for (size_t i = 0; i < made;) {
            i += hone__windows_push(w, out + i, made - i);
            while (hone__windows_next(w, false, &samples, &length, &start)) demand(length == 300);
        }
    }
    hone__windows_destroy(w);
    hone__resampler_destroy(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hone__wav whole, pieces;
    size_t need = 12;
    hone_status s = HONE_OK, status = hone__wav_open(data, size, &whole);
    while (need && s == HONE_OK) {
        size_t have = need < size ? need : size;
        s = hone__wav_header(data, have, size, &pieces, &need);
        demand(s != HONE_OK || need == 0 || (need > have && need <= size));
    }
    if (status != HONE_OK) return 0;
    demand(s == HONE_OK && pieces.data_offset == whole.data_offset);
    demand(whole.data_offset + whole.frames * whole.frame_bytes <= size);
    size_t n = whole.frames < 4096 ? (size_t)whole.frames : 4096;
    float *mono = malloc((n + 1) * sizeof *mono);
    if (mono && hone__wav_convert(&whole, data + whole.data_offset, n, 0, mono) == HONE_OK) {
        for (size_t i = 0; i < n; i++) demand(isfinite(mono[i]));
        use(mono, n, whole.rate);
    }
    free(mono);
    return 0;
}
