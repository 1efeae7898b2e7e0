/* media_ffmpeg.h: everything but WAV: decoding to mono at the file's own rate. */
#ifndef HONE_TOOLS_MEDIA_FFMPEG_H
#define HONE_TOOLS_MEDIA_FFMPEG_H

#include "tools/media/media_input.h"

typedef struct media_ffmpeg media_ffmpeg;

typedef struct media_facts {
    int channels, rate;
    double seconds; /* below 0: not known */
    char format[16];
} media_facts;

/* `in` stays the caller's and must outlive the reader. Errors do not name the file: the caller does. */
hone_status hone__media_ffmpeg_open(media_input *in, int max_channels, media_ffmpeg **out, media_facts *facts);
void hone__media_ffmpeg_close(media_ffmpeg *f); /* NULL is fine */

/* The next decoded samples, at the file's rate, resampled to target_rate. *n is 0 at the end. The samples live until
 * the next call. */
hone_status hone__media_ffmpeg_next(media_ffmpeg *f, int target_rate, const float **mono, size_t *n);

#endif
