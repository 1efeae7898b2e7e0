/* media.c: tells the kind of a file by its first bytes, reads it as WAV or through FFmpeg, keeps the limits. */
#include "tools/media/media.h"

#include <math.h>
#include <string.h>

#include "audio/resample.h"
#include "audio/wav.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "tools/media/media_child.h"

enum {
    BLOCK = 1024,              /* frames of WAV at a time */
    PIPE_IN_MEMORY = 32 << 20, /* bytes of compressed sound from a pipe that are taken in before decoding starts */
};

struct hone__media {
    char *name;
    media_input in;
    hone__media_limits limits;
    media_facts facts;
    int target_rate;
    media_child *child;   /* NULL: WAV, or decoded here */
    media_ffmpeg *ffmpeg; /* decoded here */
    hone__wav wav;
    hone__resampler *resampler; /* WAV at another rate */
    uint8_t *bytes;             /* [BLOCK][frame_bytes] */
    float block[BLOCK];
    const float *pending; /* decoded, not yet given */
    size_t pending_count;
    uint64_t frames; /* of WAV, read so far */
    uint64_t given;
    bool ended;
    hone_status failed;
};

hone__media_limits hone__media_default_limits(void)
{
    return (hone__media_limits){.max_channels = 64, .max_seconds = 24 * 3600};
}

double hone__media_seconds(const hone__media *m) { return m->facts.seconds; }
int hone__media_channels(const hone__media *m) { return m->facts.channels; }
int hone__media_rate(const hone__media *m) { return m->facts.rate; }
const char *hone__media_format(const hone__media *m) { return m->facts.format; }

/* Puts the file's name before the message. */
static hone_status named(const hone__media *m, hone_status s)
{
    if (s != HONE_OK) (void)hone__at(s, "%s", m->name);
    return s;
}

static hone_status too_long(const hone__media *m)
{
    return hone__fail(HONE_E_LIMIT, "is longer than the limit of %g s", m->limits.max_seconds);
}

/* The header, for which as many bytes are read as it asks for. HONE_E_UNSUPPORTED is left to FFmpeg. */
static hone_status open_wav(hone__media *m)
{
    size_t need = 1 << 12;
    do {
        HONE__TRY(hone__media_input_head(&m->in, need));
        uint64_t size = m->in.head_size < need ? m->in.head_size : m->in.size;
        HONE__TRY(hone__wav_header(m->in.head, m->in.head_size, size, &m->wav, &need));
    } while (need);
    const hone__wav *w = &m->wav;
    m->facts = (media_facts){.channels = w->channels, .rate = w->rate, .seconds = -1, .format = "wav"};
    if (!w->streaming) m->facts.seconds = (double)w->frames / w->rate;
    if (w->channels > m->limits.max_channels)
        return hone__fail(HONE_E_LIMIT, "%d channels: at most %d are read", w->channels, m->limits.max_channels);
    size_t bytes = BLOCK * w->frame_bytes;
    m->bytes = hone__malloc(bytes);
    if (!m->bytes) return hone__out_of_memory(bytes);
    if (w->rate != m->target_rate) HONE__TRY(hone__resampler_create(w->rate, m->target_rate, &m->resampler));
    m->in.position = w->data_offset; /* within the head: no seeking */
    return HONE_OK;
}

static hone_status open_any(hone__media *m)
{
    HONE__TRY(hone__media_input_head(&m->in, 64));
    if (!m->in.head_size) return hone__fail(HONE_E_FORMAT, "is empty");
    if (hone__wav_sniff(m->in.head, m->in.head_size)) {
        hone_status s = open_wav(m);
        if (s != HONE_E_UNSUPPORTED) return s;
        m->in.position = 0;
    }
    HONE__TRY(hone__media_input_complete(&m->in, PIPE_IN_MEMORY));
    if (!m->limits.apart)
        HONE__TRY(hone__media_ffmpeg_open(&m->in, m->limits.max_channels, &m->ffmpeg, &m->facts));
    else
        HONE__TRY(hone__media_child_open(&m->in, m->limits.max_channels, m->target_rate, &m->child, &m->facts));
    if (m->facts.rate < 1 || m->facts.rate > HONE__RATE_MAX)
        return hone__fail(HONE_E_FORMAT, "a sample rate of %d Hz: expected 1 to %d", m->facts.rate, HONE__RATE_MAX);
    return HONE_OK;
}

hone_status hone__media_open(const char *path, int target_rate, const hone__media_limits *limits, hone__media **out)
{
    *out = NULL;
    if (target_rate < 1 || target_rate > HONE__RATE_MAX)
        return hone__fail(HONE_E_ARGUMENT, "a target rate of %d Hz: expected 1 to %d", target_rate, HONE__RATE_MAX);
    hone__media *m = hone__calloc(1, sizeof *m);
    if (!m) return hone__out_of_memory(sizeof *m);
    const char *name = strcmp(path, "-") ? path : "standard input";
    m->name = hone__strndup(name, strlen(name));
    m->limits = limits ? *limits : hone__media_default_limits();
    m->target_rate = target_rate;
    m->in.fd = -1;
    hone_status s = m->name ? HONE_OK : hone__out_of_memory(strlen(name));
    if (s == HONE_OK)
        s = named(m, hone__media_input_open(path, &m->in));
    else
        m->in.owned = false;
    if (s == HONE_OK) s = named(m, open_any(m));
    if (s == HONE_OK && m->facts.seconds > m->limits.max_seconds) s = named(m, too_long(m));
    if (s != HONE_OK) {
        hone__media_close(m);
        return s;
    }
    *out = m;
    return HONE_OK;
}

void hone__media_close(hone__media *m)
{
    if (!m) return;
    hone__media_child_close(m->child);
    hone__media_ffmpeg_close(m->ffmpeg);
    hone__resampler_destroy(m->resampler);
    hone__media_input_close(&m->in);
    hone__free(m->bytes);
    hone__free(m->name);
    hone__free(m);
}

/* The next frames of WAV as m->pending, at the file's rate; none at the end. */
static hone_status read_wav_block(hone__media *m)
{
    const hone__wav *w = &m->wav;
    uint64_t left = w->streaming ? BLOCK : w->frames - m->frames;
    size_t want = left < BLOCK ? (size_t)left : BLOCK, got;
    HONE__TRY(hone__media_input_read(&m->in, m->bytes, want * w->frame_bytes, &got));
    double at = (double)m->frames / w->rate;
    if (got % w->frame_bytes || (!w->streaming && got < want * w->frame_bytes))
        return hone__fail(HONE_E_FORMAT, "is cut short: it ends within a frame after %.2f s",
                          at + floor((double)got / (double)w->frame_bytes) / w->rate);
    m->pending_count = got / w->frame_bytes;
    m->pending = m->block;
    hone_status s = hone__wav_convert(w, m->bytes, m->pending_count, m->frames, m->block);
    if (s != HONE_OK) return hone__at(s, "at %.2f s", at);
    m->frames += m->pending_count;
    return HONE_OK;
}

/* Up to n samples at the target rate; *got is 0 only at the end. */
static hone_status read_some(hone__media *m, float *mono, size_t n, size_t *got)
{
    for (*got = 0; *got == 0;) {
        if (m->pending_count) {
            size_t used = m->pending_count < n ? m->pending_count : n;
            if (m->resampler)
                hone__resampler_push(m->resampler, m->pending, m->pending_count, &used, mono, n, got);
            else
                memcpy(mono, m->pending, (*got = used) * sizeof(float));
            m->pending += used;
            m->pending_count -= used;
            continue;
        }
        if (!m->ended) {
            if (m->child)
                HONE__TRY(hone__media_child_next(m->child, &m->pending, &m->pending_count));
            else if (m->ffmpeg)
                HONE__TRY(hone__media_ffmpeg_next(m->ffmpeg, m->target_rate, &m->pending, &m->pending_count));
            else
                HONE__TRY(read_wav_block(m));
            m->ended = !m->pending_count;
            continue;
        }
        if (m->resampler) hone__resampler_finish(m->resampler, mono, n, got);
        return HONE_OK;
    }
    return HONE_OK;
}

static hone_status read_up_to(hone__media *m, float *mono, size_t n, size_t *got)
{
    while (*got < n) {
        size_t some;
        HONE__TRY(read_some(m, mono + *got, n - *got, &some));
        if (!some) break;
        *got += some;
        m->given += some;
    }
    if (!m->given && n) return hone__fail(HONE_E_FORMAT, "holds no samples");
    return (double)m->given > m->limits.max_seconds * m->target_rate + 1 ? too_long(m) : HONE_OK;
}

hone_status hone__media_read(hone__media *m, float *mono, size_t n, size_t *got)
{
    *got = 0;
    if (m->failed != HONE_OK) return hone__fail(m->failed, "%s: reading has failed before", m->name);
    m->failed = named(m, read_up_to(m, mono, n, got));
    return m->failed;
}

static hone_status gather(hone__media *m, float **mono, size_t *n)
{
    size_t capacity = 0, got;
    for (*n = 0;; *n += got) {
        if (capacity - *n < BLOCK) {
            size_t want = capacity ? 2 * capacity : 16 * BLOCK, bytes;
            float *grown = hone__mul_size(want, sizeof(float), &bytes) ? hone__realloc(*mono, bytes) : NULL;
            if (!grown) return hone__out_of_memory(want);
            *mono = grown;
            capacity = want;
        }
        HONE__TRY(hone__media_read(m, *mono + *n, capacity - *n, &got));
        if (!got) return HONE_OK;
    }
}

hone_status hone__media_read_all(const char *path, int target_rate, const hone__media_limits *limits, float **mono,
                                 size_t *n)
{
    hone__media *m;
    *mono = NULL;
    *n = 0;
    hone_status s = hone__media_open(path, target_rate, limits, &m);
    if (s != HONE_OK || !m) return s;
    s = gather(m, mono, n);
    hone__media_close(m);
    if (s != HONE_OK) {
        hone__free(*mono);
        *mono = NULL;
        *n = 0;
    }
    return s;
}

void hone__media_free(float *mono) { hone__free(mono); }
