/* media.h: any sound file, or standard input, as a stream of mono float samples at the rate that is asked for. */
#ifndef HONE_TOOLS_MEDIA_H
#define HONE_TOOLS_MEDIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hone/status.h"

typedef struct hone__media hone__media;

typedef struct hone__media_limits {
    int max_channels;   /* at most 256 */
    double max_seconds; /* longer sound is HONE_E_LIMIT */
    bool apart;         /* FFmpeg runs in a process of its own, and leaves no memory behind; 60 ms per file */
} hone__media_limits;

/* 64 channels, 24 hours */
hone__media_limits hone__media_default_limits(void);

/* path: a file, or "-" for standard input. target_rate: Hz, 1 .. 768000. limits: NULL for the default.
 * Errors name the file; what fails while reading also names the second. */
hone_status hone__media_open(const char *path, int target_rate, const hone__media_limits *limits, hone__media **out);
void hone__media_close(hone__media *m); /* NULL is fine */

/* mono: up to n samples, the mean over the channels, full scale 1, all finite. *got < n only at the end, 0 after it.
 * A file without a single sample is HONE_E_FORMAT, and so is one that ends before the length that it states (WAV, FLAC,
 * MP3 with a Xing header); Ogg and Matroska state none, so what is there counts. After an error the next call fails,
 * too. */
hone_status hone__media_read(hone__media *m, float *mono, size_t n, size_t *got);

/* What the file says about itself. Duration in seconds, below 0 where it does not say. */
double hone__media_seconds(const hone__media *m);
int hone__media_channels(const hone__media *m);
int hone__media_rate(const hone__media *m);           /* before resampling */
const char *hone__media_format(const hone__media *m); /* "wav", "flac", "mp3", ...: lives as long as m */

/* The whole sound at once; *mono is freed by hone__media_free. */
hone_status hone__media_read_all(const char *path, int target_rate, const hone__media_limits *limits, float **mono,
                                 size_t *n);
void hone__media_free(float *mono); /* NULL is fine */

#endif
