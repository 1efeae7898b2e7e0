/* media_child.h: media_ffmpeg.h in a process of its own, which takes FFmpeg's libraries, their memory and their faults
 * with it. */
#ifndef HONE_TOOLS_MEDIA_CHILD_H
#define HONE_TOOLS_MEDIA_CHILD_H

#include "tools/media/media_ffmpeg.h"

typedef struct media_child media_child;

/* The child reads `in` from where it is, which nobody else reads until it is closed. Errors do not name the file. A
 * child that crashes is HONE_E_FORMAT. */
hone_status hone__media_child_open(media_input *in, int max_channels, int target_rate, media_child **out,
                                   media_facts *facts);
void hone__media_child_close(media_child *c); /* NULL is fine */

/* As hone__media_ffmpeg_next. */
hone_status hone__media_child_next(media_child *c, const float **mono, size_t *n);

#endif
