/* fuzz_media.c: any bytes as a sound file: finite samples, no more than the limits allow, or an error. Other formats
 * than WAV are FFmpeg's to decode; what is tried is hone's side of it. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "fuzz_parts.h"
#include "tools/media/media.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PIECE = 700, SECONDS = 2, CHANNELS = 4 };

static void read_all(hone__media *m, int rate)
{
    float piece[PIECE];
    size_t total = 0, got = PIECE;
    hone_status status = HONE_OK;
    while (status == HONE_OK && got == PIECE) {
        status = hone__media_read(m, piece, PIECE, &got);
        demand_message(status);
        demand(got <= PIECE);
        for (size_t i = 0; status == HONE_OK && i < got; i++) demand(isfinite(piece[i]));
        total += got;
    }
    demand(total <= (size_t)(rate * SECONDS) + PIECE);
    if (status == HONE_OK) demand(total > 0 && hone__media_read(m, piece, PIECE, &got) == HONE_OK && got == 0);
    if (status != HONE_OK) demand(hone__media_read(m, piece, PIECE, &got) != HONE_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hone__media_limits limits = {.max_channels = CHANNELS, .max_seconds = SECONDS};
    int rate = size & 1 ? 8000 : 16000;
    hone__media *m;
    hone_status status = hone__media_open(fuzz_file(data, size), rate, &limits, &m);
    demand((status == HONE_OK) == (m != NULL));
    demand_message(status);
    if (m) {
        demand(hone__media_channels(m) <= CHANNELS && hone__media_rate(m) > 0 && *hone__media_format(m));
        read_all(m, rate);
    }
    hone__media_close(m);
    return 0;
}
