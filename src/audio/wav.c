/* wav.c: walks the chunks of a WAVE file within its bounds and turns its samples into mono floats. */
#include "audio/wav.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"

enum { CODE_PCM = 1, CODE_FLOAT = 3, CODE_ALAW = 6, CODE_MULAW = 7, CODE_EXTENSIBLE = 0xfffe };
enum { FMT_USEFUL = 40 }; /* bytes of a fmt or ds64 chunk that matter */
static const uint32_t UNKNOWN_SIZE = 0xffffffff;
static const uint32_t PIPE_SIZE = 0x7ffff000; /* what writers to pipes claim at least */

static uint32_t u16(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static uint32_t u32(const uint8_t *p) { return u16(p) | u16(p + 2) << 16; }
static uint64_t u64(const uint8_t *p) { return u32(p) | (uint64_t)u32(p + 4) << 32; }

bool hone__wav_sniff(const uint8_t *d, size_t n)
{
    return n >= 12 && (!memcmp(d, "RIFF", 4) || !memcmp(d, "RF64", 4) || !memcmp(d, "BW64", 4)) &&
           !memcmp(d + 8, "WAVE", 4);
}

static hone_status kind_of(uint32_t code, uint32_t bits, hone__wav *w)
{
    static const struct {
        uint32_t code, bits;
        hone__wav_kind kind;
    } known[] = {
        {CODE_PCM, 8, HONE__WAV_U8},    {CODE_PCM, 16, HONE__WAV_I16},    {CODE_PCM, 24, HONE__WAV_I24},
        {CODE_PCM, 32, HONE__WAV_I32},  {CODE_FLOAT, 32, HONE__WAV_F32},  {CODE_FLOAT, 64, HONE__WAV_F64},
        {CODE_ALAW, 8, HONE__WAV_ALAW}, {CODE_MULAW, 8, HONE__WAV_MULAW},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].code == code && known[i].bits == bits) {
            w->kind = known[i].kind;
            return HONE_OK;
        }
    return hone__fail(
        HONE_E_UNSUPPORTED,
        "WAV coding %u with %u bits: PCM of 8, 16, 24 or 32 bits, float of 32 or 64, A-law and mu-law are read", code,
        bits);
}

/* f: the fmt chunk's n bytes */
static hone_status read_format(const uint8_t *f, size_t n, hone__wav *w)
{
    static const uint8_t guid_end[14] = {0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80,
                                         0x00, 0x00, 0xaa, 0x00, 0x38, 0x9b, 0x71};
    if (n < 16) return hone__fail(HONE_E_FORMAT, "the fmt chunk has %zu bytes: expected at least 16", n);
    uint32_t code = u16(f), channels = u16(f + 2), rate = u32(f + 4), align = u16(f + 12), bits = u16(f + 14);
    if (code == CODE_EXTENSIBLE) {
        if (n < 40) return hone__fail(HONE_E_FORMAT, "the extensible fmt chunk has %zu bytes: expected 40", n);
        if (memcmp(f + 26, guid_end, sizeof guid_end) != 0)
            return hone__fail(HONE_E_UNSUPPORTED, "a WAV coding that is named by a foreign GUID");
        code = u16(f + 24);
    }
    if (channels < 1 || channels > HONE__WAV_CHANNELS_MAX)
        return hone__fail(channels ? HONE_E_LIMIT : HONE_E_FORMAT, "%u channels: expected 1 to %d", channels,
                          HONE__WAV_CHANNELS_MAX);
    if (rate < 1 || rate > 768000)
        return hone__fail(HONE_E_FORMAT, "a sample rate of %u Hz: expected 1 to 768000", rate);
    HONE__TRY(kind_of(code, bits, w));
    if (align != channels * bits / 8)
        return hone__fail(HONE_E_FORMAT, "a block of %u bytes for %u channels of %u bits: expected %u", align, channels,
                          bits, channels * bits / 8);
    w->channels = (int)channels;
    w->rate = (int)rate;
    w->frame_bytes = align;
    return HONE_OK;
}

/* At the data chunk: how long is it really? */
static hone_status settle_length(hone__wav *w, uint64_t offset, uint64_t declared, bool wide, uint64_t size,
                                 uint32_t riff)
{
    w->data_offset = offset;
    w->streaming = false;
    bool unknown_file = size == UINT64_MAX, early = riff < offset - 8; /* RIFF's own size was never filled in, either */
    bool open_end = declared == 0 ? early || riff == UNKNOWN_SIZE : !wide && declared == UNKNOWN_SIZE;
    if (unknown_file && !wide && declared >= PIPE_SIZE) open_end = true;
    if (open_end) {
        w->streaming = true;
        w->frames = 0;
        return HONE_OK;
    }
    if (size != UINT64_MAX && !hone__range_ok(offset, declared, size))
        return hone__fail(HONE_E_FORMAT, "the data chunk declares %llu bytes, but the file ends after %llu of them",
                          (unsigned long long)declared, (unsigned long long)(size - offset));
    if (declared % w->frame_bytes)
        return hone__fail(HONE_E_FORMAT, "the data chunk has %llu bytes, no multiple of %zu bytes a frame",
                          (unsigned long long)declared, w->frame_bytes);
    w->frames = declared / w->frame_bytes;
    return HONE_OK;
}

/* Asks for bytes up to `end`, or says that the file ends before. */
static hone_status ask(uint64_t end, uint64_t size, size_t *need)
{
    if (end > size)
        return hone__fail(HONE_E_FORMAT, "the file is cut short: it ends within the header, at byte %llu",
                          (unsigned long long)size);
    if (end > HONE__WAV_HEADER_MAX)
        return hone__fail(HONE_E_LIMIT, "the header is longer than %d bytes", HONE__WAV_HEADER_MAX);
    *need = (size_t)end;
    return HONE_OK;
}

hone_status hone__wav_header(const uint8_t *data, size_t n, uint64_t size, hone__wav *out, size_t *need)
{
    hone__wav w = {.frame_bytes = 1};
    bool have_format = false;
    uint64_t wide_size = 0, at = 12;
    *need = 0;
    if (n < 12) return ask(12, size, need);
    if (!hone__wav_sniff(data, n))
        return hone__fail(HONE_E_FORMAT, "is not a WAV file: it does not begin with RIFF and WAVE");
    for (;;) {
        if (at + 8 > n) {
            if (at + 8 > size)
                return hone__fail(HONE_E_FORMAT, "the file ends at byte %llu, before a data chunk",
                                  (unsigned long long)size);
            return ask(at + 8, size, need);
        }
        const uint8_t *chunk = data + at;
        uint64_t length = u32(chunk + 4), body = at + 8;
        if (!memcmp(chunk, "data", 4)) {
            if (!have_format)
                return hone__fail(HONE_E_FORMAT, "the data chunk at byte %llu comes before any fmt chunk",
                                  (unsigned long long)at);
            bool wide = length == UNKNOWN_SIZE && wide_size;
            HONE__TRY(settle_length(&w, body, wide ? wide_size : length, wide, size, u32(data + 4)));
            *out = w;
            return HONE_OK;
        }
        bool format = !memcmp(chunk, "fmt ", 4), wide = !memcmp(chunk, "ds64", 4);
        uint64_t useful = length < FMT_USEFUL ? length : FMT_USEFUL;
        if ((format || wide) && body + useful > n) return ask(body + useful, size, need);
        if (format) {
            HONE__TRY(read_format(data + body, (size_t)useful, &w));
            have_format = true;
        }
        if (wide) {
            if (length < 24)
                return hone__fail(HONE_E_FORMAT, "the ds64 chunk has %llu bytes: expected at least 24",
                                  (unsigned long long)length);
            wide_size = u64(data + body + 8);
        }
        at = body + length + (length & 1); /* chunks are padded to even sizes; at most 2^33, no wrap */
    }
}

hone_status hone__wav_open(const uint8_t *data, size_t size, hone__wav *out)
{
    size_t need;
    *out = (hone__wav){.frame_bytes = 1};
    HONE__TRY(hone__wav_header(data, size, size, out, &need));
    if (!out->streaming) return HONE_OK;
    uint64_t left = size - out->data_offset;
    if (left % out->frame_bytes) return hone__fail(HONE_E_FORMAT, "the file ends within a frame, at byte %zu", size);
    out->frames = left / out->frame_bytes;
    return HONE_OK;
}

/* ITU-T G.711; both give 16-bit values. */
static int from_alaw(uint8_t v)
{
    v ^= 0x55;
    int mantissa = (v & 15) << 4, exponent = v >> 4 & 7;
    int magnitude = exponent ? (mantissa + 0x108) << (exponent - 1) : mantissa + 8;
    return v & 0x80 ? magnitude : -magnitude;
}

static int from_mulaw(uint8_t v)
{
    v = (uint8_t)~v;
    int magnitude = (((v & 15) << 3) + 0x84) << (v >> 4 & 7);
    return v & 0x80 ? 0x84 - magnitude : magnitude - 0x84;
}

static double sample_of(hone__wav_kind kind, const uint8_t *p)
{
    switch (kind) {
    case HONE__WAV_U8: return (*p - 128) / 128.0;
    case HONE__WAV_I16: return (int16_t)u16(p) / 32768.0;
    case HONE__WAV_I24: return (int32_t)(u16(p) << 8 | (uint32_t)p[2] << 24) / 2147483648.0;
    case HONE__WAV_I32: return (int32_t)u32(p) / 2147483648.0;
    case HONE__WAV_F32: {
        float f;
        uint32_t bits = u32(p);
        memcpy(&f, &bits, sizeof f);
        return f;
    }
    case HONE__WAV_F64: {
        double d;
        uint64_t bits = u64(p);
        memcpy(&d, &bits, sizeof d);
        return d;
    }
    case HONE__WAV_ALAW: return from_alaw(*p) / 32768.0;
    case HONE__WAV_MULAW: return from_mulaw(*p) / 32768.0;
    }
    return 0;
}

hone_status hone__wav_convert(const hone__wav *w, const uint8_t *bytes, size_t frames, uint64_t first, float *mono)
{
    size_t channels = (size_t)w->channels, step = w->frame_bytes / channels;
    for (uint64_t i = 0; i < frames; i++, bytes += w->frame_bytes) {
        double sum = 0;
        for (size_t c = 0; c < channels; c++) sum += sample_of(w->kind, bytes + c * step);
        mono[i] = (float)(sum / (double)channels);
        if (!isfinite(mono[i]))
            return hone__fail(HONE_E_FORMAT, "sample %llu is not a finite number", (unsigned long long)first + i);
    }
    return HONE_OK;
}
