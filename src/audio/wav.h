/* wav.h: RIFF/RF64 WAVE files: PCM of 8 to 32 bits, float of 32 or 64 bits, A-law, mu-law; from memory or block by
 * block. */
#ifndef HONE_AUDIO_WAV_H
#define HONE_AUDIO_WAV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { HONE__WAV_CHANNELS_MAX = 256, HONE__WAV_HEADER_MAX = 1 << 26 };

typedef enum hone__wav_kind {
    HONE__WAV_U8,
    HONE__WAV_I16,
    HONE__WAV_I24,
    HONE__WAV_I32,
    HONE__WAV_F32,
    HONE__WAV_F64,
    HONE__WAV_ALAW,
    HONE__WAV_MULAW
} hone__wav_kind;

typedef struct hone__wav {
    hone__wav_kind kind;
    int channels, rate;   /* 1 .. 256; 1 .. 768000 Hz */
    size_t frame_bytes;   /* of one sample of every channel */
    uint64_t data_offset; /* of the first frame in the file */
    uint64_t frames;      /* meaningless where `streaming` */
    bool streaming;       /* the writer did not know the length: frames run to the end of the file */
} hone__wav;

/* True where the bytes begin as a WAV file does; 12 are enough to tell. */
bool hone__wav_sniff(const uint8_t *data, size_t n);

/* Reads the header from the first n bytes of a file of `size` bytes (UINT64_MAX: not known). *need is 0 on return, or,
 * where the header goes on beyond n < size bytes, how many bytes to call again with; nothing else is set then.
 * Broken: HONE_E_FORMAT; a coding other than those above: HONE_E_UNSUPPORTED; a data chunk that ends after the file:
 * HONE_E_FORMAT. A data size of 0xFFFFFFFF, or of 0 where RIFF's own size is unset too, means streaming; so does, where
 * the file's size is not known, any near 2^31 or above. */
hone_status hone__wav_header(const uint8_t *data, size_t n, uint64_t size, hone__wav *out, size_t *need);

/* bytes: [frames][frame_bytes].  mono: [frames], the mean over the channels, full scale 1. `first`: the number of the
 * first frame, for the error: a sample that is not finite is HONE_E_FORMAT naming it. */
hone_status hone__wav_convert(const hone__wav *wav, const uint8_t *bytes, size_t frames, uint64_t first, float *mono);

/* Header of a whole file in memory; streaming is resolved into `frames`. An incomplete last frame is an error. */
hone_status hone__wav_open(const uint8_t *data, size_t size, hone__wav *out);

#endif
