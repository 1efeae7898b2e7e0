/* transcribe_settings.c: one table for both dialects; then what belongs together is put together. */
#include "transcribe_settings.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/transcript/languages.h"

/* As typed. */
typedef struct typed {
    text_list files, rest;
    const char *model, *language, *prompt, *clip_times, *suppressed, *format, *device;
    bool detect, translate, suppress_blank, carry, condition, no_fallback, no_timestamps;
    bool print_special, print_progress, print_tokens, verbose, nothing, vad;
    bool txt, vtt, srt, tsv, lrc, csv, json, json_full;
    int task, cache;
    int64_t best_of, beams, max_context, offset, duration, first_number, audio_ctx, force, seed, one;
    double temperature, increment, patience, length_penalty, compression, entropy, logprob, no_speech;
    double vad_threshold, vad_speech, vad_silence, vad_longest, vad_pad, vad_overlap; /* NAN: the default */
    uint64_t max_memory;
} typed;

#define ALIAS(name, of) {name, 0, OPTION_ALIAS, NULL, of, "", 0, 0, NULL}
#define LATER(name, why) {name, 0, OPTION_LATER, NULL, NULL, why, 0, 0, NULL}
#define SWITCH(name, letter, target, help) {name, letter, OPTION_SWITCH, target, NULL, help, 0, 0, NULL}
#define TEXT(name, letter, target, what, help) {name, letter, OPTION_TEXT, target, what, help, 0, 0, ""}
#define INT(name, letter, target, help, low, high) {name, letter, OPTION_INT, target, "N", help, low, high, "None"}
#define FLOAT(name, target, help, low, high) {name, 0, OPTION_FLOAT, target, "X", help, low, high, "None"}

static const char no_words[] = "hone finds no times of single words yet; leave it out";
static const char no_speakers[] = "hone does not tell speakers apart; leave it out";
static const char no_grammar[] = "hone has no grammars and expressions for text yet; leave it out";
static const char no_token_scores[] = "hone does not tell how sure it was of single tokens yet; leave it out";
static const char no_batches[] = "hone transcribes one window after the other; leave it out";
static const char no_gpu[] = "hone runs on the processor; leave it out";

static int check_language(const char *text, transcribe_settings *s)
{
    if (!text || !strcmp(text, "auto") || !strcmp(text, "None")) return -1;
    s->language = hone__language_code(text);
    if (s->language) return -1;
    const char *near = hone__language_nearest(text);
    if (looks_like(text, near)) return usage_failure("unknown language '%s'; did you mean '%s'?", text, near);
    return usage_failure("unknown language '%s', expected a code such as en, an English name, or auto", text);
}

/* Numbers between commas. NULL: out of memory. */
static size_t count_numbers(const char *text)
{
    size_t n = *text != 0;
    for (; *text; text++) n += *text == ',';
    return n;
}

static int read_clip_times(const char *text, transcribe_settings *s)
{
    size_t n = count_numbers(text);
    s->clip_times = calloc(n + 2, sizeof *s->clip_times);
    if (!s->clip_times) return usage_failure("out of memory");
    for (size_t i = 0; i < n; i++) {
        char *end;
        double v = strtod(text, &end);
        if (end == text || (*end && *end != ',') || !isfinite(v) || v < 0 || (i % 2 && v < s->clip_times[i - 1]))
            return usage_failure("--clip-timestamps: '%.40s' is no start,end,start,... in seconds", text);
        s->clip_times[i] = v;
        text = end + (*end == ',');
    }
    s->run.clip_timestamps = s->clip_times;
    s->run.clip_count = n;
    return -1;
}

/* -ot and -d are a clip. */
static int set_part(const typed *t, transcribe_settings *s)
{
    if (t->clip_times && (t->offset || t->duration))
        return usage_failure("--clip-timestamps says what --offset-t and --duration say; one of them");
    if (t->clip_times) return read_clip_times(t->clip_times, s);
    if (!t->offset && !t->duration) return -1;
    s->clip_times = calloc(2, sizeof *s->clip_times);
    if (!s->clip_times) return usage_failure("out of memory");
    s->clip_times[0] = (double)t->offset / 1000;
    s->clip_times[1] = (double)(t->offset + t->duration) / 1000;
    s->run.clip_timestamps = s->clip_times;
    s->run.clip_count = t->duration ? 2 : 1;
    return -1;
}

static int read_suppressed(const char *text, transcribe_settings *s)
{
    if (!text) return -1;
    size_t n = count_numbers(text);
    s->suppressed = calloc(n + 1, sizeof *s->suppressed);
    if (!s->suppressed) return usage_failure("out of memory");
    for (size_t i = 0; i < n; i++) {
        char *end;
        errno = 0;
        long v = strtol(text, &end, 10);
        if (end == text || (*end && *end != ',') || errno || v < -1 || v > INT32_MAX)
            return usage_failure("--suppress-tokens: '%.40s' is no list of token ids, such as -1 or 50,51", text);
        s->suppressed[i] = (int32_t)v;
        text = end + (*end == ',');
    }
    s->run.suppress_tokens = s->suppressed;
    s->run.suppress_count = n;
    return -1;
}

static bool want_format(const char *name, transcribe_settings *s)
{
    static const char *const all[] = {"txt", "vtt", "srt", "tsv", "json"};
    if (!strcmp(name, "all"))
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) want_format(all[i], s);
    else if (hone__transcript_format_named(name) == HONE__TRANSCRIPT_FORMATS)
        return false;
    else
        s->formats[hone__transcript_format_named(name)] = true;
    return true;
}

/* -f is a format in the one dialect, and a file in the other. */
static int set_outputs(typed *t, transcribe_settings *s)
{
    size_t kept = 0;
    bool any = false;
    for (size_t i = 0; i < t->files.count; i++)
        if (!want_format(t->files.items[i], s)) t->files.items[kept++] = t->files.items[i];
    t->files.count = kept;
    if (t->format && !want_format(t->format, s))
        return usage_failure(
            "--output-format is '%s', expected txt, vtt, srt, tsv, json, verbose_json, lrc, csv or all", t->format);
    s->formats[HONE__TRANSCRIPT_TSV] |= t->tsv;
    s->formats[HONE__TRANSCRIPT_TXT_CPP] = t->txt;
    s->formats[HONE__TRANSCRIPT_VTT_CPP] = t->vtt;
    s->formats[HONE__TRANSCRIPT_SRT_CPP] = t->srt;
    s->formats[HONE__TRANSCRIPT_LRC_CPP] |= t->lrc;
    s->formats[HONE__TRANSCRIPT_CSV_CPP] |= t->csv;
    s->formats[HONE__TRANSCRIPT_JSON_CPP] = t->json && !t->json_full;
    s->formats[HONE__TRANSCRIPT_JSON_FULL_CPP] = t->json_full;
    for (int i = 0; i < HONE__TRANSCRIPT_FORMATS; i++) any |= s->formats[i];
    if (s->folder && s->bases.count)
        return usage_failure("--output-file and --output-dir both say where to; one of them");
    if (s->folder && !any) want_format("all", s);
    if (s->bases.count && !any)
        return usage_failure("--output-file needs a kind of file, such as -osrt or --output-format srt");
    return -1;
}

static int set_inputs(const typed *t, transcribe_settings *s)
{
    size_t from = t->model ? 0 : 1, n = 0, streams = 0;
    if (!t->model && !t->rest.count)
        return usage_failure("transcribe needs a model and a clip (hone transcribe --help)");
    s->model = t->model ? t->model : t->rest.items[0];
    s->clips.items = calloc(t->rest.count + t->files.count + 1, sizeof *s->clips.items);
    if (!s->clips.items) return usage_failure("out of memory");
    for (size_t i = from; i < t->rest.count; i++) s->clips.items[n++] = t->rest.items[i];
    for (size_t i = 0; i < t->files.count; i++) s->clips.items[n++] = t->files.items[i];
    s->clips.count = n;
    for (size_t i = 0; i < n; i++) streams += !strcmp(s->clips.items[i], "-");
    if (!n) return usage_failure("transcribe needs a clip, - for standard input (hone transcribe --help)");
    if (streams > 1) return usage_failure("standard input can be one clip only");
    if (s->features && n > 1) return usage_failure("--dump-features takes one clip");
    if (s->bases.count > n) return usage_failure("%zu times --output-file for %zu clips", s->bases.count, n);
    return -1;
}

static void set_vad(const typed *t, transcribe_settings *s)
{
    hone_transcribe_options *r = &s->run;
    r->vad = t->vad || s->open.vad_model;
    if (!isnan(t->vad_threshold)) r->vad_threshold = t->vad_threshold;
    if (!isnan(t->vad_speech)) r->vad_min_speech_duration_ms = t->vad_speech;
    if (!isnan(t->vad_silence)) r->vad_min_silence_duration_ms = t->vad_silence;
    if (!isnan(t->vad_longest)) r->vad_max_speech_duration_s = t->vad_longest;
    if (!isnan(t->vad_pad)) r->vad_speech_pad_ms = t->vad_pad;
    if (!isnan(t->vad_overlap)) r->vad_samples_overlap = t->vad_overlap;
}

static void set_run(const typed *t, transcribe_settings *s)
{
    hone_transcribe_options *r = &s->run;
    r->language = s->language;
    r->translate = t->translate || t->task;
    r->timestamps = !t->no_timestamps;
    r->condition_on_previous_text = t->condition;
    r->carry_initial_prompt = t->carry;
    r->suppress_blank = t->suppress_blank;
    r->initial_prompt = t->prompt;
    r->temperature = isnan(t->temperature) ? 0 : t->temperature;
    r->temperature_increment = t->no_fallback || isnan(t->increment) ? 0 : t->increment;
    r->compression_ratio_threshold = t->compression;
    r->logprob_threshold = t->logprob;
    r->no_speech_threshold = t->no_speech;
    r->entropy_threshold = t->entropy;
    r->max_context = (int)t->max_context;
    r->best_of = (int)t->best_of;
    r->beam_size = (int)t->beams;
    r->patience = isnan(t->patience) ? 1 : t->patience;
    r->length_penalty = t->length_penalty;
    r->audio_ctx = (int)t->audio_ctx;
    r->force_tokens = (int)t->force;
    r->seed = (unsigned)t->seed;
    bool draws = r->temperature > 0 || r->temperature_increment > 0;
    s->open.group = draws && r->best_of > r->beam_size ? r->best_of : r->beam_size;
    s->open.threads = (int)common.threads;
    s->open.max_memory = (size_t)t->max_memory;
    s->open.cache = cache_types[t->cache];
}

static int settle(typed *t, transcribe_settings *s)
{
    int code = check_language(t->language, s);
    if (code < 0 && t->device && strcmp(t->device, "cpu")) code = usage_failure("--device '%s': %s", t->device, no_gpu);
    if (code < 0) code = set_part(t, s);
    if (code < 0) code = read_suppressed(t->suppressed, s);
    if (code < 0) code = set_outputs(t, s);
    if (code < 0) code = set_inputs(t, s);
    if (code >= 0) return code;
    set_run(t, s);
    set_vad(t, s);
    s->detect_only = t->detect;
    s->print_tokens = t->print_tokens;
    s->print_special = t->print_special;
    s->print_progress = t->print_progress;
    s->print_text = t->verbose && !common.json && !(s->bases.count && !strcmp(s->bases.items[0], "-"));
    s->first_number = (size_t)t->first_number;
    return -1;
}

static const verb_help help = {
    "transcribe MODEL CLIP...",
    "Speech to text with a Whisper model: a folder that hone optimize made. CLIP is a sound or video file of any "
    "usual\n"
    "kind, or - for standard input. The options are those of openai-whisper and of whisper.cpp, with - or _ in long "
    "names;\n"
    "a switch may be followed by True or False, and None stands for no limit. Without --output-format, --output-dir or "
    "an\n"
    "option such as -osrt the text goes to standard output alone.\n\n"
    "--output-format writes openai-whisper's forms to NAME.srt in the working folder or in --output-dir. -osrt and "
    "the\n"
    "like write whisper.cpp's forms to CLIP.srt (talk.mp3.srt), to NAME.srt in --output-dir, or to BASE.srt of\n"
    "--output-file BASE; with -of - to standard output. -f takes a format or a clip.\n\n"
    "A text that looks wrong is drawn again, hotter, up to a temperature of 1: one that repeats itself (it packs "
    "better\n"
    "than --compression-ratio-threshold; or, if -et is given, too, the entropy of the last 32 of over 32 tokens is "
    "below\n"
    "it, as whisper.cpp decides it) or one that is unlikely (--logprob-threshold). --no-fallback turns that off.\n\n"
    "--vad, and --vad-model, too, find the speech, leave out the rest and tell times of the whole clip; a clip "
    "without\n"
    "speech has no text. --detect-language and --dump-features are about the whole clip all the same.",
    "  hone transcribe whisper-int8 talk.mp3\n"
    "  hone transcribe whisper-int8 a.wav b.wav --output_format srt --output_dir subtitles --language German\n"
    "  hone transcribe -m whisper-int8 -f talk.mp3 -l auto -tr -osrt -of talk -bs 5\n"
    "  hone transcribe whisper-int8 call.wav --vad -osrt\n"
    "  ffmpeg -i film.mkv -f wav - | hone transcribe whisper-int8 - --json\n"};

static int read_table(int argc, char **argv, typed *t, transcribe_settings *s)
{
    const option_row rows[] = {
        TEXT("model", 'm', &t->model, "MODEL", "the model; all others are clips then"),
        {"file", 'f', OPTION_LIST, &t->files, "CLIP|FORMAT", "a clip; or a format, as --output-format", 0, 0, NULL},
        TEXT("language", 'l', &t->language, "LANG", "code or English name; auto (default): found out"),
        SWITCH("detect-language", 0, &t->detect, "print the language and its probability, nothing else"),
        ALIAS("-dl", "detect-language"),
        {"task", 0, OPTION_CHOICE, &t->task, NULL, "translate: into English", 0, 0, "transcribe|translate"},
        SWITCH("translate", 0, &t->translate, "the same as --task translate"),
        ALIAS("-tr", "translate"),
        FLOAT("temperature", &t->temperature, "0 (default): the likeliest token always; over 0: drawn", 0, 10),
        ALIAS("-tp", "temperature"),
        INT("best-of", 0, &t->best_of, "draws, of which the likeliest is taken (default 5)", 1, 64),
        ALIAS("-bo", "best-of"),
        INT("beam-size", 0, &t->beams, "beams, at temperature 0 (default 1: none)", 1, 64),
        ALIAS("-bs", "beam-size"),
        FLOAT("patience", &t->patience, "beams go on until so many times their number have ended (default 1)", 0.01,
              100),
        FLOAT("length-penalty", &t->length_penalty, "alpha of Google's NMT; None (default): by the mean", 0, 1),
        TEXT("suppress-tokens", 0, &t->suppressed, "LIST",
             "ids that never come; -1 (default): what is no speech; '': none"),
        SWITCH("suppress-blank", 0, &t->suppress_blank, "no window begins with a space or the end (default True)"),
        TEXT("initial-prompt", 0, &t->prompt, "TEXT", "what was said before the first window"),
        ALIAS("prompt", "initial-prompt"),
        SWITCH("carry-initial-prompt", 0, &t->carry, "before every window"),
        SWITCH("condition-on-previous-text", 0, &t->condition, "the text so far is a prompt (default True)"),
        INT("max-context", 0, &t->max_context, "most tokens of prompt; 0: no prompt at all; -1 (default): what fits",
            -1, 1000000),
        ALIAS("-mc", "max-context"),
        FLOAT("temperature-increment-on-fallback", &t->increment, "hotter by this (default 0.2)", 0, 10),
        ALIAS("-tpi", "temperature-increment-on-fallback"),
        ALIAS("temperature-inc", "temperature-increment-on-fallback"),
        SWITCH("no-fallback", 0, &t->no_fallback, "a text that looks wrong stays"),
        ALIAS("-nf", "no-fallback"),
        FLOAT("compression-ratio-threshold", &t->compression, "repeats itself above this (default 2.4)", 0, 1e6),
        FLOAT("entropy-thold", &t->entropy, "repeats itself below this, in nats (default: not looked at)", 0, 1e6),
        ALIAS("-et", "entropy-thold"),
        FLOAT("logprob-threshold", &t->logprob, "unlikely: the mean log probability is below this (default -1)", -1e6,
              1e6),
        ALIAS("-lpt", "logprob-threshold"),
        ALIAS("logprob-thold", "logprob-threshold"),
        FLOAT("no-speech-threshold", &t->no_speech, "above this an unlikely text is silence (default 0.6)", 0, 1e6),
        ALIAS("-nth", "no-speech-threshold"),
        ALIAS("no-speech-thold", "no-speech-threshold"),
        INT("seed", 0, &t->seed, "of the draws (default 0)", 0, 4294967295.0),
        TEXT("clip-timestamps", 0, &t->clip_times, "LIST", "start,end,start,... in seconds: only these parts"),
        INT("offset-t", 0, &t->offset, "begin at this ms", 0, 1e12),
        ALIAS("-ot", "offset-t"),
        INT("duration", 'd', &t->duration, "so many ms from there", 0, 1e12),
        INT("offset-n", 0, &t->first_number, "number before that of the first subtitle", 0, 1e12),
        ALIAS("-on", "offset-n"),
        INT("audio-ctx", 0, &t->audio_ctx, "positions of the encoder (20 ms) for a window; 0 (default): all", 0, 1500),
        ALIAS("-ac", "audio-ctx"),
        SWITCH("no-timestamps", 0, &t->no_timestamps, "text without times"),
        ALIAS("-nt", "no-timestamps"),
        ALIAS("without-timestamps", "no-timestamps"),
        TEXT("output-dir", 'o', &s->folder, "DIR", "folder for files (made where it is not there)"),
        TEXT("output-format", 0, &t->format, "FORMAT", "txt, vtt, srt, tsv, json, verbose_json, lrc, csv, all"),
        {"output-file", 0, OPTION_LIST, &s->bases, "BASE", "name without its end; again for the next clip", 0, 0, NULL},
        ALIAS("-of", "output-file"),
        SWITCH("output-txt", 0, &t->txt, "CLIP.txt"),
        ALIAS("-otxt", "output-txt"),
        SWITCH("output-vtt", 0, &t->vtt, "CLIP.vtt"),
        ALIAS("-ovtt", "output-vtt"),
        SWITCH("output-srt", 0, &t->srt, "CLIP.srt"),
        ALIAS("-osrt", "output-srt"),
        SWITCH("output-lrc", 0, &t->lrc, "CLIP.lrc"),
        ALIAS("-olrc", "output-lrc"),
        SWITCH("output-csv", 0, &t->csv, "CLIP.csv"),
        ALIAS("-ocsv", "output-csv"),
        SWITCH("output-tsv", 0, &t->tsv, "NAME.tsv"),
        ALIAS("-otsv", "output-tsv"),
        SWITCH("output-json", 0, &t->json, "CLIP.json, as whisper.cpp writes it"),
        ALIAS("-oj", "output-json"),
        SWITCH("output-json-full", 0, &t->json_full, "likewise, with the tokens"),
        ALIAS("-ojf", "output-json-full"),
        SWITCH("verbose", 0, &t->verbose, "False: no text on standard output"),
        ALIAS("-np", "quiet"),
        ALIAS("no-prints", "quiet"),
        SWITCH("print-special", 0, &t->print_special, "tokens such as <|0.00|>, too"),
        ALIAS("-ps", "print-special"),
        SWITCH("print-progress", 0, &t->print_progress, "how far it is, on standard error"),
        ALIAS("-pp", "print-progress"),
        SWITCH("print-tokens", 0, &t->print_tokens, "ids instead of text"),
        INT("force-tokens", 0, &t->force, "exactly N tokens per window, whatever they are; for measuring", 1, 448),
        TEXT("dump-features", 0, &s->features, "FILE.npy", "write the first window's: float32 [mels, 3000]"),
        {"max-memory", 0, OPTION_SIZE, &t->max_memory, "SIZE", "limit for activations and caches, such as 500M", 0, 0,
         NULL},
        {"cache", 0, OPTION_CHOICE, &t->cache, "TYPE", "keys and values: fp16 (default), fp32 or int8", 0, 0,
         CACHE_NAMES},
        INT("threads", 't', &common.threads, "threads (default 0: physical cores, or HONE_THREADS)", 0, 1024),
        TEXT("device", 0, &t->device, "cpu", "where it runs"),
        INT("processors", 'p', &t->one, "1: clips are not cut into parts that run side by side", 1, 1),
        SWITCH("fp16", 0, &t->nothing, "of no effect: the model's precision counts; so are -ng, -fa, -nfa, -sns"),
        ALIAS("-ng", "fp16"),
        ALIAS("no-gpu", "fp16"),
        ALIAS("-fa", "fp16"),
        ALIAS("flash-attn", "fp16"),
        ALIAS("-nfa", "fp16"),
        ALIAS("no-flash-attn", "fp16"),
        ALIAS("-sns", "fp16"),
        ALIAS("suppress-nst", "fp16"),
        LATER("word-timestamps", no_words),
        LATER("prepend-punctuations", no_words),
        LATER("append-punctuations", no_words),
        LATER("highlight-words", no_words),
        LATER("max-line-width", no_words),
        LATER("max-line-count", no_words),
        LATER("max-words-per-line", no_words),
        LATER("hallucination-silence-threshold", no_words),
        LATER("max-len", no_words),
        ALIAS("-ml", "max-len"),
        LATER("split-on-word", no_words),
        ALIAS("-sow", "split-on-word"),
        LATER("word-thold", no_words),
        ALIAS("-wt", "word-thold"),
        LATER("output-words", no_words),
        ALIAS("-owts", "output-words"),
        LATER("font-path", no_words),
        ALIAS("-fp", "font-path"),
        LATER("dtw", no_words),
        ALIAS("-dtw", "dtw"),
        SWITCH("vad", 0, &t->vad, "find the speech first and transcribe that alone; times are those of the clip"),
        ALIAS("vad-filter", "vad"),
        TEXT("vad-model", 0, &s->open.vad_model, "FILE.onnx",
             "--vad by this model of silero-vad (default: a detector of hone's own)"),
        ALIAS("-vm", "vad-model"),
        FLOAT("vad-threshold", &t->vad_threshold, "speech: its probability is above this (default 0.5)", 0.001, 0.999),
        ALIAS("-vt", "vad-threshold"),
        FLOAT("vad-min-speech-duration-ms", &t->vad_speech, "shorter speech is none (default 250)", 0, 1e9),
        ALIAS("-vspd", "vad-min-speech-duration-ms"),
        FLOAT("vad-min-silence-duration-ms", &t->vad_silence, "shorter silence belongs to the speech (default 100)", 0,
              1e9),
        ALIAS("-vsd", "vad-min-silence-duration-ms"),
        FLOAT("vad-max-speech-duration-s", &t->vad_longest, "longer speech is cut, in a pause (default None)", 0.001,
              1e9),
        ALIAS("-vmsd", "vad-max-speech-duration-s"),
        FLOAT("vad-speech-pad-ms", &t->vad_pad, "of the sound around speech that belongs to it (default 30)", 0, 1e9),
        ALIAS("-vp", "vad-speech-pad-ms"),
        FLOAT("vad-samples-overlap", &t->vad_overlap, "s behind speech that go with it (default 0.1)", 0, 1e6),
        ALIAS("-vo", "vad-samples-overlap"),
        LATER("diarize", no_speakers),
        ALIAS("-di", "diarize"),
        LATER("tinydiarize", no_speakers),
        ALIAS("-tdrz", "tinydiarize"),
        LATER("grammar", no_grammar),
        LATER("grammar-rule", no_grammar),
        LATER("grammar-penalty", no_grammar),
        LATER("suppress-regex", no_grammar),
        LATER("print-colors", no_token_scores),
        ALIAS("-pc", "print-colors"),
        LATER("print-confidence", no_token_scores),
        LATER("log-score", no_token_scores),
        ALIAS("-ls", "log-score"),
        LATER("stream", "hone transcribes whole clips; from a microphone it cannot yet; leave it out"),
        LATER("batch-size", no_batches),
        LATER("chunk-length", no_batches),
        LATER("hotwords", "hone has no hotwords; --initial-prompt is near to them"),
        LATER("prefix", "hone takes no prefix of a window yet; --initial-prompt is near to it"),
        LATER("prompt-reset-on-temperature", "hone begins anew after a temperature over 0.5, always; leave it out"),
        LATER("multilingual", "hone finds one language per clip; leave it out"),
        LATER("language-detection-segments", "hone finds the language from the first window; leave it out"),
        LATER("model-dir", "hone downloads no models; the model is the folder that is given"),
        LATER("ov-e-device", no_gpu),
        ALIAS("-oved", "ov-e-device"),
        ALIAS("-dev", "device"),
        LATER("debug-mode", "hone has no such mode; --dump-features writes features"),
        ALIAS("-debug", "debug-mode"),
        {0},
    };
    return options_read(argc, argv, rows, &help, &t->rest);
}

int transcribe_read_options(int argc, char **argv, transcribe_settings *out)
{
    typed t = {.suppress_blank = true,
               .condition = true,
               .verbose = true,
               .max_context = -1,
               .best_of = 5,
               .beams = 1,
               .increment = 0.2,
               .compression = 2.4,
               .entropy = NAN,
               .logprob = -1,
               .no_speech = 0.6,
               .patience = 1,
               .length_penalty = NAN,
               .vad_threshold = NAN,
               .vad_speech = NAN,
               .vad_silence = NAN,
               .vad_longest = NAN,
               .vad_pad = NAN,
               .vad_overlap = NAN};
    *out = (transcribe_settings){0};
    hone_transcribe_defaults(&out->run);
    int code = read_table(argc, argv, &t, out);
    return code >= 0 ? code : settle(&t, out);
}

void transcribe_free_options(transcribe_settings *s)
{
    free(s->clip_times);
    free(s->suppressed);
    free(s->clips.items);
}
