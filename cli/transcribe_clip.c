/* transcribe_clip.c: the whole sound in memory: a transcript needs its loudest place before its first window. */
#include "transcribe_clip.h"

#include <string.h>

#include "tools/import/import.h"
#include "tools/media/media.h"

enum { RATE = 16000 };

static long long read_samples(void *ctx, size_t at, float *to, size_t n)
{
    const clip *c = ctx;
    if (at >= c->sound.samples) return 0;
    if (n > c->sound.samples - at) n = c->sound.samples - at;
    memcpy(to, c->pcm + at, n * sizeof *to);
    return (long long)n;
}

hone_status clip_open(const char *path, clip *out)
{
    size_t count;
    *out = (clip){0};
    hone__media_limits limits = hone__media_default_limits();
    limits.apart = true;
    HONE__TRY(hone__media_read_all(path, RATE, &limits, &out->pcm, &count));
    out->sound = (hone_sound){read_samples, out, count};
    out->seconds = (double)count / RATE;
    return HONE_OK;
}

void clip_close(clip *c)
{
    hone__media_free(c->pcm);
    c->pcm = NULL;
}

hone_status open_transcriber(const char *path, const hone_transcriber_options *options, hone_transcriber **out)
{
    hone_status s = hone_transcriber_open(path, options, out);
    return s == HONE_E_IO && hone__import_is_hugging_face(path) ? not_optimized(path) : s;
}
