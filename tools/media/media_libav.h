/* media_libav.h: FFmpeg's libraries, loaded only when a file needs them: with all that they draw in they take 28 MB and
 * 27 ms, which a process that reads WAV, or no sound at all, does not pay. */
#ifndef HONE_TOOLS_MEDIA_LIBAV_H
#define HONE_TOOLS_MEDIA_LIBAV_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/mem.h>
#include <libswresample/swresample.h>

#include "base/status.h"

#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 24, 100)
#define MEDIA_LIBAV_LAYOUTS 1 /* AVChannelLayout is there */
#define MEDIA_LIBAV_SWR_ALLOC swr_alloc_set_opts2
#else
#define MEDIA_LIBAV_LAYOUTS 0
#define MEDIA_LIBAV_SWR_ALLOC swr_alloc_set_opts
#endif

/* Every function that is called, once */
#define MEDIA_LIBAV_FUNCTIONS(F)     \
    F(av_dict_free)                  \
    F(av_dict_set)                   \
    F(av_find_best_stream)           \
    F(av_frame_alloc)                \
    F(av_frame_free)                 \
    F(av_frame_unref)                \
    F(av_free)                       \
    F(av_freep)                      \
    F(av_get_bytes_per_sample)       \
    F(av_get_packed_sample_fmt)      \
    F(av_log_set_level)              \
    F(av_malloc)                     \
    F(av_max_alloc)                  \
    F(av_packet_alloc)               \
    F(av_packet_free)                \
    F(av_packet_unref)               \
    F(av_read_frame)                 \
    F(av_sample_fmt_is_planar)       \
    F(av_strerror)                   \
    F(avcodec_alloc_context3)        \
    F(avcodec_find_decoder)          \
    F(avcodec_free_context)          \
    F(avcodec_get_name)              \
    F(avcodec_open2)                 \
    F(avcodec_parameters_to_context) \
    F(avcodec_receive_frame)         \
    F(avcodec_send_packet)           \
    F(avformat_alloc_context)        \
    F(avformat_close_input)          \
    F(avformat_find_stream_info)     \
    F(avformat_open_input)           \
    F(avio_alloc_context)            \
    F(avio_context_free)             \
    F(swr_convert)                   \
    F(swr_free)                      \
    F(swr_get_out_samples)           \
    F(swr_init)                      \
    F(MEDIA_LIBAV_SWR_ALLOC)

#define MEDIA_LIBAV_MEMBER(name) __typeof__(name) *name;
typedef struct media_libav {
    MEDIA_LIBAV_FUNCTIONS(MEDIA_LIBAV_MEMBER)
} media_libav;

/* Loads the libraries on the first call; *out is static. HONE_E_UNSUPPORTED naming the one that is missing. */
hone_status hone__media_libav(const media_libav **out);

#endif
