/* media_ffmpeg.c: libavformat finds the sound, libavcodec decodes it, the channels are averaged here, libswresample
 * changes the rate. The libraries see bytes only, through callbacks; whatever else they would open is refused. */
#include "tools/media/media_ffmpeg.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "tools/media/media_libav.h"

/* Containers that hold their own sound. No playlists, no network, no files made of files. */
static const char FORMATS[] =
    "flac,mp3,ogg,aac,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,wav,w64,aiff,caf,au,amr,ape,wv,tta,"
    "asf,avi,mpegts,mpeg,flv,ac3,eac3,dts,mpc,mpc8,voc,gsm";
static const char CODECS[] =
    "flac,mp3float,mp3,mp2float,mp2,mp1float,mp1,vorbis,libvorbis,opus,libopus,aac,aac_latm,alac,ac3,eac3,dca,wmav1,"
    "wmav2,"
    "wmapro,wmalossless,amrnb,amrwb,ape,tta,wavpack,mpc7,mpc8,gsm,gsm_ms,pcm_u8,pcm_s8,pcm_s16le,pcm_s16be,pcm_u16le,"
    "pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be,pcm_alaw,pcm_mulaw,pcm_dvd,"
    "pcm_bluray,adpcm_ms,adpcm_ima_wav,adpcm_ima_qt,adpcm_yamaha,adpcm_swf,adpcm_g722,adpcm_g726";

enum { BUFFER = 1 << 15, SLACK_MS = 250, LEAST_BLOCK = 1 << 25, MOST_BLOCK = 1 << 30 };

struct media_ffmpeg {
    const media_libav *av;
    media_input *in;
    AVIOContext *io;
    AVFormatContext *format;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    SwrContext *resampler;
    int stream, rate, max_channels;
    double declared; /* seconds that the container's own header promises; below 0: none */
    uint64_t decoded;
    bool drained, flushed;
    float *mono, *out;
    size_t mono_capacity, out_capacity;
};

static int read_bytes(void *opaque, uint8_t *out, int n)
{
    size_t got;
    if (hone__media_input_read(opaque, out, (size_t)n, &got) != HONE_OK) return AVERROR(EIO);
    return got ? (int)got : AVERROR_EOF;
}

static int64_t seek_bytes(void *opaque, int64_t offset, int whence)
{
    media_input *in = opaque;
    if (whence & AVSEEK_SIZE) return in->seekable ? (int64_t)in->size : AVERROR(ENOSYS);
    whence &= ~AVSEEK_FORCE;
    if (whence == SEEK_CUR) offset += (int64_t)in->position;
    if (whence == SEEK_END && in->seekable) offset += (int64_t)in->size;
    if (offset < 0 || (whence == SEEK_END && !in->seekable) || !hone__media_input_seek(in, (uint64_t)offset))
        return AVERROR(EINVAL);
    return offset;
}

static int refuse_open(AVFormatContext *s, AVIOContext **io, const char *url, int flags, AVDictionary **options)
{
    (void)s, (void)io, (void)url, (void)flags, (void)options;
    return AVERROR(EPERM);
}

static hone_status failure(const media_ffmpeg *f, int code, const char *what)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    if (code == AVERROR(ENOMEM)) return hone__fail(HONE_E_MEMORY, "out of memory while the sound is decoded");
    if (f->in->error) return hone__fail(HONE_E_IO, "cannot read: %s", strerror(f->in->error));
    f->av->av_strerror(code, text, sizeof text);
    return hone__fail(HONE_E_FORMAT, "%s (%s)", what, text);
}

static hone_status open_container(media_ffmpeg *f)
{
    uint8_t *buffer = f->av->av_malloc(BUFFER);
    f->io = buffer ? f->av->avio_alloc_context(buffer, BUFFER, 0, f->in, read_bytes, NULL,
                                               f->in->seekable ? seek_bytes : NULL)
                   : NULL;
    f->format = f->av->avformat_alloc_context();
    if (!f->io || !f->format) {
        if (!f->io) f->av->av_free(buffer);
        return hone__out_of_memory(BUFFER);
    }
    f->io->seekable = f->in->seekable ? AVIO_SEEKABLE_NORMAL : 0;
    f->format->pb = f->io;
    f->format->flags |= AVFMT_FLAG_CUSTOM_IO;
    f->format->io_open = refuse_open;
    f->format->max_streams = 64;
    AVDictionary *options = NULL;
    f->av->av_dict_set(&options, "format_whitelist", FORMATS, 0);
    f->av->av_dict_set(&options, "codec_whitelist", CODECS, 0);
    f->av->av_dict_set(&options, "protocol_whitelist", "file,pipe", 0);
    int e = f->av->avformat_open_input(&f->format, NULL, NULL, &options); /* frees f->format on failure */
    f->av->av_dict_free(&options);
    if (e < 0) return failure(f, e, "is no sound file of a known kind");
    e = f->av->avformat_find_stream_info(f->format, NULL);
    return e < 0 ? failure(f, e, "the sound in it cannot be recognised") : HONE_OK;
}

static hone_status open_codec(media_ffmpeg *f)
{
    f->stream = f->av->av_find_best_stream(f->format, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0);
    if (f->stream < 0) return hone__fail(HONE_E_UNSUPPORTED, "holds no sound");
    const AVStream *stream = f->format->streams[f->stream];
    const AVCodec *codec = f->av->avcodec_find_decoder(stream->codecpar->codec_id);
    if (!codec)
        return hone__fail(HONE_E_UNSUPPORTED, "its sound is coded as %s, for which there is no decoder",
                          f->av->avcodec_get_name(stream->codecpar->codec_id));
    for (unsigned i = 0; i < f->format->nb_streams; i++)
        if ((int)i != f->stream) f->format->streams[i]->discard = AVDISCARD_ALL;
    f->codec = f->av->avcodec_alloc_context3(codec);
    f->packet = f->av->av_packet_alloc();
    f->frame = f->av->av_frame_alloc();
    if (!f->codec || !f->packet || !f->frame || f->av->avcodec_parameters_to_context(f->codec, stream->codecpar) < 0)
        return hone__out_of_memory(sizeof(AVCodecContext));
    f->codec->pkt_timebase = stream->time_base;
    f->codec->thread_count = 1;
    f->codec->err_recognition = AV_EF_CRCCHECK;
    AVDictionary *options = NULL;
    f->av->av_dict_set(&options, "codec_whitelist", CODECS, 0);
    int e = f->av->avcodec_open2(f->codec, codec, &options);
    f->av->av_dict_free(&options);
    if (e < 0) return hone__fail(HONE_E_UNSUPPORTED, "its sound is coded as %s, which is not read", codec->name);
    return HONE_OK;
}

static int channels_of_codec(const AVCodecContext *c)
{
#if MEDIA_LIBAV_LAYOUTS
    return c->ch_layout.nb_channels;
#else
    return c->channels;
#endif
}

static int channels_of_frame(const AVFrame *frame)
{
#if MEDIA_LIBAV_LAYOUTS
    return frame->ch_layout.nb_channels;
#else
    return frame->channels;
#endif
}

static void read_facts(media_ffmpeg *f, media_facts *facts)
{
    const AVStream *stream = f->format->streams[f->stream];
    double seconds = -1;
    if (stream->duration != AV_NOPTS_VALUE && stream->duration > 0)
        seconds = (double)stream->duration * av_q2d(stream->time_base);
    else if (f->format->duration > 0)
        seconds = (double)f->format->duration / AV_TIME_BASE;
    facts->channels = channels_of_codec(f->codec);
    facts->rate = f->codec->sample_rate;
    facts->seconds = seconds;
    const char *name = f->format->iformat->name;
    size_t n = strcspn(name, ",");
    if (n >= sizeof facts->format) n = sizeof facts->format - 1;
    memcpy(facts->format, name, n);
    facts->format[n] = 0;
    f->rate = facts->rate;
    /* only FLAC's header and MP3's Xing header count the samples; other containers state edited or rounded lengths */
    bool counted = !strcmp(name, "flac") ||
                   (!strcmp(name, "mp3") && f->format->duration_estimation_method == AVFMT_DURATION_FROM_STREAM);
    f->declared = counted ? seconds : -1;
}

hone_status hone__media_ffmpeg_open(media_input *in, int max_channels, media_ffmpeg **out, media_facts *facts)
{
    *out = NULL;
    const media_libav *av;
    HONE__TRY(hone__media_libav(&av));
    av->av_log_set_level(AV_LOG_QUIET);
    /* no single block beyond what a long file's index takes: a small file cannot ask for much */
    uint64_t most = in->seekable && in->size > LEAST_BLOCK ? in->size : LEAST_BLOCK;
    av->av_max_alloc(most < MOST_BLOCK ? (size_t)most : MOST_BLOCK);
    media_ffmpeg *f = hone__calloc(1, sizeof *f);
    if (!f) return hone__out_of_memory(sizeof *f);
    f->av = av;
    f->in = in;
    f->max_channels = max_channels;
    hone_status s = open_container(f);
    if (s == HONE_OK) s = open_codec(f);
    if (s == HONE_OK) read_facts(f, facts);
    if (s == HONE_OK && facts->channels > max_channels)
        s = hone__fail(HONE_E_LIMIT, "%d channels: at most %d are read", facts->channels, max_channels);
    if (s != HONE_OK) {
        hone__media_ffmpeg_close(f);
        return s;
    }
    *out = f;
    return HONE_OK;
}

void hone__media_ffmpeg_close(media_ffmpeg *f)
{
    if (!f) return;
    f->av->swr_free(&f->resampler);
    f->av->av_frame_free(&f->frame);
    f->av->av_packet_free(&f->packet);
    f->av->avcodec_free_context(&f->codec);
    f->av->avformat_close_input(&f->format);
    if (f->io) {
        f->av->av_freep(&f->io->buffer);
        f->av->avio_context_free(&f->io);
    }
    hone__free(f->mono);
    hone__free(f->out);
    hone__free(f);
}

static double seconds_of(const media_ffmpeg *f) { return f->rate > 0 ? (double)f->decoded / f->rate : 0; }

static double sample_of(enum AVSampleFormat format, const uint8_t *p)
{
    int16_t s16;
    int32_t s32;
    int64_t s64;
    float f32;
    double f64;
    switch (format) {
    case AV_SAMPLE_FMT_U8: return (*p - 128) / 128.0;
    case AV_SAMPLE_FMT_S16: memcpy(&s16, p, sizeof s16); return s16 / 32768.0;
    case AV_SAMPLE_FMT_S32: memcpy(&s32, p, sizeof s32); return s32 / 2147483648.0;
    case AV_SAMPLE_FMT_S64: memcpy(&s64, p, sizeof s64); return (double)s64 / 9223372036854775808.0;
    case AV_SAMPLE_FMT_FLT: memcpy(&f32, p, sizeof f32); return f32;
    case AV_SAMPLE_FMT_DBL: memcpy(&f64, p, sizeof f64); return f64;
    default: return NAN;
    }
}

/* A buffer of at least n floats; what it held is lost. */
static hone_status ensure(float **buffer, size_t *capacity, size_t n)
{
    if (n <= *capacity) return HONE_OK;
    hone__free(*buffer);
    *capacity = 0;
    *buffer = hone__malloc(n * sizeof(float));
    if (!*buffer) return hone__out_of_memory(n * sizeof(float));
    *capacity = n;
    return HONE_OK;
}

/* frame -> f->mono: the mean over the channels */
static hone_status mix_down(media_ffmpeg *f)
{
    const AVFrame *frame = f->frame;
    int channels = channels_of_frame(frame);
    if (channels < 1 || channels > f->max_channels || frame->nb_samples < 0)
        return hone__fail(HONE_E_FORMAT, "%d channels at %.2f s: expected 1 to %d", channels, seconds_of(f),
                          f->max_channels);
    if (frame->sample_rate != f->rate)
        return hone__fail(HONE_E_UNSUPPORTED, "the sample rate changes from %d to %d Hz at %.2f s", f->rate,
                          frame->sample_rate, seconds_of(f));
    size_t n = (size_t)frame->nb_samples, count = (size_t)channels;
    HONE__TRY(ensure(&f->mono, &f->mono_capacity, n + 1));
    enum AVSampleFormat packed = f->av->av_get_packed_sample_fmt(frame->format);
    size_t bytes = (size_t)f->av->av_get_bytes_per_sample(packed);
    bool planar = f->av->av_sample_fmt_is_planar(frame->format);
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t c = 0; c < count; c++)
            sum += sample_of(packed, planar ? frame->extended_data[c] + i * bytes
                                            : frame->extended_data[0] + (i * count + c) * bytes);
        f->mono[i] = (float)(sum / channels);
        if (!isfinite(f->mono[i]))
            return hone__fail(HONE_E_FORMAT, "sample %llu (%.2f s) is not a finite number",
                              (unsigned long long)f->decoded + i, seconds_of(f));
    }
    f->decoded += n;
    return HONE_OK;
}

/* The next packet of the stream into the decoder, or the end of them. */
static hone_status feed(media_ffmpeg *f)
{
    int e = f->av->av_read_frame(f->format, f->packet);
    if (e == AVERROR_EOF && f->in->error == 0) {
        f->drained = true;
        e = f->av->avcodec_send_packet(f->codec, NULL);
        return e < 0 && e != AVERROR_EOF ? failure(f, e, "cannot be decoded to its end") : HONE_OK;
    }
    if (e >= 0) {
        if (f->packet->stream_index == f->stream) e = f->av->avcodec_send_packet(f->codec, f->packet);
        f->av->av_packet_unref(f->packet);
    }
    if (e >= 0) return HONE_OK;
    char what[64];
    snprintf(what, sizeof what, "is damaged at %.2f s", seconds_of(f));
    return failure(f, e, what);
}

static hone_status check_length(const media_ffmpeg *f)
{
    if (f->declared < 0 || seconds_of(f) + SLACK_MS / 1000.0 >= f->declared) return HONE_OK;
    return hone__fail(HONE_E_FORMAT, "is cut short: it ends at %.2f of %.2f s", seconds_of(f), f->declared);
}

/* One decoded frame mixed down to f->mono; *n is 0 at the end. */
static hone_status decode(media_ffmpeg *f, size_t *n)
{
    for (*n = 0; *n == 0;) {
        int e = f->av->avcodec_receive_frame(f->codec, f->frame);
        if (e == AVERROR_EOF) return check_length(f);
        if (e == AVERROR(EAGAIN)) {
            if (f->drained) return check_length(f);
            HONE__TRY(feed(f));
            continue;
        }
        if (e < 0) {
            char what[64];
            snprintf(what, sizeof what, "is damaged at %.2f s", seconds_of(f));
            return failure(f, e, what);
        }
        hone_status s = mix_down(f);
        *n = s == HONE_OK ? (size_t)f->frame->nb_samples : 0;
        f->av->av_frame_unref(f->frame);
        HONE__TRY(s);
    }
    return HONE_OK;
}

static hone_status open_resampler(media_ffmpeg *f, int target_rate)
{
    int e;
#if MEDIA_LIBAV_LAYOUTS
    AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
    e = f->av->swr_alloc_set_opts2(&f->resampler, &mono, AV_SAMPLE_FMT_FLT, target_rate, &mono, AV_SAMPLE_FMT_FLT,
                                   f->rate, 0, NULL);
#else
    f->resampler = f->av->swr_alloc_set_opts(NULL, AV_CH_LAYOUT_MONO, AV_SAMPLE_FMT_FLT, target_rate, AV_CH_LAYOUT_MONO,
                                             AV_SAMPLE_FMT_FLT, f->rate, 0, NULL);
    e = f->resampler ? 0 : AVERROR(ENOMEM);
#endif
    if (e >= 0) e = f->av->swr_init(f->resampler);
    return e < 0 ? failure(f, e, "its sample rate cannot be changed") : HONE_OK;
}

hone_status hone__media_ffmpeg_next(media_ffmpeg *f, int target_rate, const float **mono, size_t *n)
{
    if (f->rate == target_rate) {
        HONE__TRY(decode(f, n));
        *mono = f->mono;
        return HONE_OK;
    }
    if (!f->resampler) HONE__TRY(open_resampler(f, target_rate));
    for (*n = 0; *n == 0 && !f->flushed;) {
        size_t in;
        HONE__TRY(decode(f, &in));
        f->flushed = in == 0;
        int want = f->av->swr_get_out_samples(f->resampler, (int)in);
        if (want < 0) return failure(f, want, "its sample rate cannot be changed");
        HONE__TRY(ensure(&f->out, &f->out_capacity, (size_t)want + 64));
        const uint8_t *source = (const uint8_t *)f->mono;
        uint8_t *target = (uint8_t *)f->out;
        int made = f->av->swr_convert(f->resampler, &target, (int)f->out_capacity, in ? &source : NULL, (int)in);
        if (made < 0) return failure(f, made, "its sample rate cannot be changed");
        *n = (size_t)made;
    }
    *mono = f->out;
    return HONE_OK;
}
