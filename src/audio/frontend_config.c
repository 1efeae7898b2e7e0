/* frontend_config.c: front end parameters as text: one table of keys serves parsing, printing and their errors. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio/frontend.h"

typedef enum key_type { KEY_INT, KEY_REAL, KEY_CHOICE, KEY_REF, KEY_LIST } key_type;

typedef struct key {
    const char *name;
    key_type type;
    size_t offset;       /* of the field; of the values for a list */
    double low, high;    /* limits, both allowed */
    const char *choices; /* "a|b|c", in the order of the enumeration */
    size_t count_offset; /* of a list's count */
} key;

#define AT(field) offsetof(hone__frontend_config, field)
static const key keys[] = {
    {"kind", KEY_CHOICE, AT(kind), 0, 0, "raw|log_mel|mfcc|spectrogram"},
    {"sample_rate", KEY_INT, AT(sample_rate), 1, 768000},
    {"clip_samples", KEY_INT, AT(clip_samples), 1, 1 << 28},
    {"sample_scale", KEY_REAL, AT(sample_scale), 1e-9, 1e9},
    {"preemphasis", KEY_REAL, AT(preemphasis), 0, 1},
    {"frame_length", KEY_INT, AT(stft.frame_length), 1, 1 << 20},
    {"hop_length", KEY_INT, AT(stft.hop_length), 1, 1 << 28},
    {"fft_length", KEY_INT, AT(stft.fft_length), 1, 1 << 20},
    {"window", KEY_CHOICE, AT(stft.window), 0, 0, "hann|hamming|blackman|ones"},
    {"window_periodic", KEY_INT, AT(stft.periodic), 0, 1},
    {"frame_align", KEY_CHOICE, AT(stft.align), 0, 0, "center|left"},
    {"pad", KEY_CHOICE, AT(stft.pad), 0, 0, "none|reflect|zero|edge|end"},
    {"power", KEY_REAL, AT(stft.power), 1e-3, 16},
    {"drop_last_frame", KEY_INT, AT(drop_last_frame), 0, 1},
    {"mels", KEY_INT, AT(mels), 1, HONE__FRONTEND_BANDS_MAX},
    {"fmin", KEY_REAL, AT(fmin), 0, 1e6},
    {"fmax", KEY_REAL, AT(fmax), 0, 1e6},
    {"mel_scale", KEY_CHOICE, AT(mel_scale), 0, 0, "htk|slaney"},
    {"mel_norm", KEY_CHOICE, AT(mel_norm), 0, 0, "none|slaney"},
    {"mel_triangle", KEY_CHOICE, AT(mel_triangle), 0, 0, "hz|mel"},
    {"log", KEY_CHOICE, AT(log), 0, 0, "none|natural|log10|db"},
    {"log_floor", KEY_REAL, AT(log_floor), 0, 1e9},
    {"log_offset", KEY_REAL, AT(log_offset), 0, 1e9},
    {"log_ref", KEY_REF, AT(log_ref), 1e-30, 1e30},
    {"log_range", KEY_REAL, AT(log_range), 0, 1e6},
    {"n_mfcc", KEY_INT, AT(n_mfcc), 1, HONE__FRONTEND_BANDS_MAX},
    {"dct_norm", KEY_CHOICE, AT(dct_norm), 0, 0, "ortho|htk"},
    {"lifter", KEY_REAL, AT(lifter), 0, 1e6},
    {"mean", KEY_LIST, AT(mean), -1e30, 1e30, NULL, AT(mean_count)},
    {"std", KEY_LIST, AT(std), 1e-30, 1e30, NULL, AT(std_count)},
    {"layout", KEY_CHOICE, AT(layout), 0, 0, "frames_mels|mels_frames"},
    {"channel_axis", KEY_CHOICE, AT(channel_axis), 0, 0, "none|last|first"},
};
enum { KEYS = sizeof keys / sizeof *keys, VALUE_MAX = 64 };
_Static_assert(sizeof(hone__feature_kind) == sizeof(int), "choices are read and written as int");

/* Fields by their offset; a choice is an int. */
static int get_int(const hone__frontend_config *c, size_t offset)
{
    int v;
    memcpy(&v, (const char *)c + offset, sizeof v);
    return v;
}

static double get_real(const hone__frontend_config *c, size_t offset)
{
    double v;
    memcpy(&v, (const char *)c + offset, sizeof v);
    return v;
}

static void set_int(hone__frontend_config *c, size_t offset, int v) { memcpy((char *)c + offset, &v, sizeof v); }
static void set_real(hone__frontend_config *c, size_t offset, double v) { memcpy((char *)c + offset, &v, sizeof v); }

static const float *get_list(const hone__frontend_config *c, const key *k, int *count)
{
    *count = get_int(c, k->count_offset);
    return k->offset == AT(mean) ? c->mean : c->std;
}

void hone__frontend_default(hone__frontend_config *c)
{
    *c = (hone__frontend_config){
        .kind = HONE__FEATURE_LOG_MEL,
        .sample_rate = 16000,
        .clip_samples = 16000,
        .sample_scale = 1,
        .stft = {.frame_length = 400, .hop_length = 160, .fft_length = 400, .periodic = 1, .power = 2},
        .mels = 80,
        .fmax = 8000,
        .log = HONE__LOG_NATURAL,
        .log_floor = 1e-10,
        .log_ref = 1,
        .n_mfcc = 13,
        .mean_count = 1,
        .std_count = 1,
        .std = {1},
    };
}

/* The host program's locale may write numbers with a comma; the text never does. */
static char decimal_point(void)
{
    const char *point = localeconv()->decimal_point;
    return point && *point ? *point : '.';
}

static void swap_point(char *text, char from, char to)
{
    char *at = strchr(text, from);
    if (at) *at = to;
}

static hone_status parse_number(const char *s, size_t n, double low, double high, int whole, double *out)
{
    char text[VALUE_MAX], *end;
    if (!n || n >= sizeof text) return hone__fail(HONE_E_FORMAT, "is not a number");
    memcpy(text, s, n);
    text[n] = 0;
    if (strspn(text, "0123456789+-.eE") != n) return hone__fail(HONE_E_FORMAT, "'%s' is not a number", text);
    swap_point(text, '.', decimal_point());
    double v = strtod(text, &end);
    swap_point(text, decimal_point(), '.');
    if (*end) return hone__fail(HONE_E_FORMAT, "'%s' is not a number", text);
    if (!(v >= low && v <= high)) return hone__fail(HONE_E_FORMAT, "%s is outside %g to %g", text, low, high);
    if (whole && v != floor(v)) return hone__fail(HONE_E_FORMAT, "%s is not a whole number", text);
    *out = v;
    return HONE_OK;
}

static hone_status parse_choice(const char *choices, const char *s, size_t n, int *out)
{
    int index = 0;
    for (const char *c = choices; *c; index++) {
        size_t length = strcspn(c, "|");
        if (length == n && !memcmp(c, s, n)) {
            *out = index;
            return HONE_OK;
        }
        c += length + (c[length] == '|');
    }
    return hone__fail(HONE_E_FORMAT, "'%.*s' is none of %s", (int)(n < VALUE_MAX ? n : VALUE_MAX), s, choices);
}

static hone_status parse_list(const key *k, const char *s, size_t n, hone__frontend_config *c)
{
    float *values = k->offset == AT(mean) ? c->mean : c->std;
    int count = 0;
    for (const char *end = s + n;; s++) {
        const char *comma = memchr(s, ',', (size_t)(end - s));
        const char *stop = comma ? comma : end;
        double v = 0;
        if (count == HONE__FRONTEND_BANDS_MAX)
            return hone__fail(HONE_E_FORMAT, "has more than %d values", HONE__FRONTEND_BANDS_MAX);
        HONE__TRY(parse_number(s, (size_t)(stop - s), k->low, k->high, 0, &v));
        values[count++] = (float)v;
        if (!comma) break;
        s = comma;
    }
    set_int(c, k->count_offset, count);
    return HONE_OK;
}

static hone_status parse_value(const key *k, const char *s, size_t n, hone__frontend_config *c)
{
    double v = 0;
    int choice = 0;
    switch (k->type) {
    case KEY_INT:
        HONE__TRY(parse_number(s, n, k->low, k->high, 1, &v));
        set_int(c, k->offset, (int)v);
        break;
    case KEY_CHOICE:
        HONE__TRY(parse_choice(k->choices, s, n, &choice));
        set_int(c, k->offset, choice);
        break;
    case KEY_REF:
    case KEY_REAL:
        if (k->type == KEY_REAL || n != 3 || memcmp(s, "max", 3) != 0)
            HONE__TRY(parse_number(s, n, k->low, k->high, 0, &v));
        set_real(c, k->offset, v);
        break;
    case KEY_LIST: return parse_list(k, s, n, c);
    }
    return HONE_OK;
}

static hone_status parse_line(const char *line, size_t n, unsigned char *seen, hone__frontend_config *c)
{
    const char *equals = memchr(line, '=', n);
    size_t name = equals ? (size_t)(equals - line) : n;
    int shown = (int)(name < VALUE_MAX ? name : VALUE_MAX);
    if (!equals) return hone__fail(HONE_E_FORMAT, "'%.*s' is no key=value", shown, line);
    for (int i = 0; i < KEYS; i++) {
        if (strlen(keys[i].name) != name || memcmp(keys[i].name, line, name) != 0) continue;
        if (seen[i]++) return hone__fail(HONE_E_FORMAT, "%s is given twice", keys[i].name);
        hone_status s = parse_value(keys + i, equals + 1, n - name - 1, c);
        return s == HONE_OK ? s : hone__at(s, "%s", keys[i].name);
    }
    return hone__fail(HONE_E_FORMAT, "unknown key '%.*s'", shown, line);
}

hone_status hone__frontend_parse(const char *text, size_t n, hone__frontend_config *out)
{
    unsigned char seen[KEYS] = {0};
    hone__frontend_default(out);
    if (memchr(text, 0, n)) return hone__fail(HONE_E_FORMAT, "the description of the features holds a zero byte");
    for (size_t at = 0, number = 1; at < n; number++) {
        const char *line = text + at, *newline = memchr(line, '\n', n - at);
        size_t length = newline ? (size_t)(newline - line) : n - at;
        at += length + 1;
        if (length && line[length - 1] == '\r') length--;
        if (!length || *line == '#') continue;
        hone_status s = parse_line(line, length, seen, out);
        if (s != HONE_OK) return hone__at(s, "features, line %zu", number);
    }
    hone_status s = hone__frontend_check(out);
    return s == HONE_OK ? s : hone__at(HONE_E_FORMAT, "features");
}

int hone__frontend_bands(const hone__frontend_config *c)
{
    switch (c->kind) {
    case HONE__FEATURE_RAW: break;
    case HONE__FEATURE_LOG_MEL: return c->mels;
    case HONE__FEATURE_MFCC: return c->n_mfcc;
    case HONE__FEATURE_SPECTROGRAM: return c->stft.fft_length / 2 + 1;
    }
    return 1;
}

static hone_status check_mel(const hone__frontend_config *c)
{
    if (c->fmin >= c->fmax) return hone__fail(HONE_E_ARGUMENT, "fmin is %g, not below fmax = %g", c->fmin, c->fmax);
    if (c->fmax > c->sample_rate / 2.0)
        return hone__fail(HONE_E_ARGUMENT, "fmax is %g, above half of sample_rate = %d", c->fmax, c->sample_rate);
    if (c->kind == HONE__FEATURE_MFCC && c->n_mfcc > c->mels)
        return hone__fail(HONE_E_ARGUMENT, "n_mfcc is %d, more than mels = %d", c->n_mfcc, c->mels);
    return HONE_OK;
}

static hone_status check_key(const key *k, const hone__frontend_config *c)
{
    double v = 0, low = k->low, high = k->high;
    if (k->type == KEY_LIST) {
        int count, bands = hone__frontend_bands(c);
        const float *values = get_list(c, k, &count);
        if (count != 1 && count != bands)
            return hone__fail(HONE_E_ARGUMENT, "%s has %d values: expected 1 or %d", k->name, count, bands);
        for (int i = 0; i < count; i++)
            if (!(values[i] >= low && values[i] <= high))
                return hone__fail(HONE_E_ARGUMENT, "%s is %g: expected %g to %g", k->name, values[i], low, high);
        return HONE_OK;
    }
    v = k->type == KEY_INT || k->type == KEY_CHOICE ? get_int(c, k->offset) : get_real(c, k->offset);
    if (k->type == KEY_CHOICE)
        for (const char *s = k->choices; *s; s++) high += *s == '|';
    if (k->type == KEY_REF && v == 0) return HONE_OK;
    if (!(v >= low && v <= high))
        return hone__fail(HONE_E_ARGUMENT, "%s is %g: expected %g to %g", k->name, v, low, high);
    return HONE_OK;
}

hone_status hone__frontend_check(const hone__frontend_config *c)
{
    for (int i = 0; i < KEYS; i++) HONE__TRY(check_key(keys + i, c));
    if (c->kind == HONE__FEATURE_RAW) return HONE_OK;
    if (c->stft.frame_length > c->stft.fft_length)
        return hone__fail(HONE_E_ARGUMENT, "frame_length is %d, more than fft_length = %d", c->stft.frame_length,
                          c->stft.fft_length);
    if (c->kind != HONE__FEATURE_SPECTROGRAM) HONE__TRY(check_mel(c));
    if (c->log != HONE__LOG_NONE && c->log_floor <= 0 && c->log_offset <= 0)
        return hone__fail(HONE_E_ARGUMENT, "log_floor and log_offset are both 0: the log of silence has no value");
    size_t frames = hone__stft_frames(&c->stft, (size_t)c->clip_samples);
    if (frames <= (size_t)c->drop_last_frame)
        return hone__fail(HONE_E_ARGUMENT,
                          "clip_samples is %d, too short for one frame of %d samples (pad, fft_length)",
                          c->clip_samples, c->stft.frame_length);
    int values = c->kind == HONE__FEATURE_SPECTROGRAM ? hone__frontend_bands(c) : c->mels;
    if (frames > ((size_t)1 << 28) / (size_t)values)
        return hone__fail(HONE_E_ARGUMENT, "%zu frames of %d bands are more than 2^28 values", frames, values);
    return HONE_OK;
}

/* The shortest of three lengths that reads back as the same number. */
static int print_real(char *text, size_t capacity, double v, int single)
{
    static const int digits[] = {6, 9, 17};
    char tried[VALUE_MAX];
    for (int i = 0; i < 3; i++) {
        snprintf(tried, sizeof tried, "%.*g", digits[i], v);
        double back = strtod(tried, NULL);
        if (single ? (float)back == (float)v : back == v) break;
    }
    swap_point(tried, decimal_point(), '.');
    return snprintf(text, capacity, "%s", tried);
}

static int print_choice(char *text, size_t capacity, const char *choices, int index)
{
    const char *c = choices;
    while (index-- > 0 && strchr(c, '|')) c = strchr(c, '|') + 1;
    return snprintf(text, capacity, "%.*s", (int)strcspn(c, "|"), c);
}

/* Writes where there is room and counts always. */
#define PUT(call) (used += (size_t)(call))
#define ROOM (used < capacity ? text + used : NULL), (used < capacity ? capacity - used : 0)

void hone__frontend_print(const hone__frontend_config *c, char *text, size_t capacity, size_t *needed)
{
    size_t used = 0;
    for (int i = 0; i < KEYS; i++) {
        const key *k = keys + i;
        int count = 0;
        const float *values = k->type == KEY_LIST ? get_list(c, k, &count) : NULL;
        PUT(snprintf(ROOM, "%s=", k->name));
        switch (k->type) {
        case KEY_INT: PUT(snprintf(ROOM, "%d", get_int(c, k->offset))); break;
        case KEY_CHOICE: PUT(print_choice(ROOM, k->choices, get_int(c, k->offset))); break;
        case KEY_REF:
        case KEY_REAL:
            if (k->type == KEY_REF && get_real(c, k->offset) == 0)
                PUT(snprintf(ROOM, "max"));
            else
                PUT(print_real(ROOM, get_real(c, k->offset), 0));
            break;
        case KEY_LIST:
            for (int j = 0; j < count; j++) {
                if (j) PUT(snprintf(ROOM, ","));
                PUT(print_real(ROOM, values[j], 1));
            }
            break;
        }
        PUT(snprintf(ROOM, "\n"));
    }
    *needed = used + 1;
}

void hone__frontend_shape(const hone__frontend_config *c, int64_t dims[3], int *rank)
{
    int n = 0;
    if (c->channel_axis == HONE__CHANNEL_FIRST) dims[n++] = 1;
    if (c->kind == HONE__FEATURE_RAW)
        dims[n++] = c->clip_samples;
    else {
        int64_t frames = (int64_t)hone__stft_frames(&c->stft, (size_t)c->clip_samples) - c->drop_last_frame;
        int64_t bands = hone__frontend_bands(c);
        dims[n++] = c->layout == HONE__LAYOUT_FRAMES_MELS ? frames : bands;
        dims[n++] = c->layout == HONE__LAYOUT_FRAMES_MELS ? bands : frames;
    }
    if (c->channel_axis == HONE__CHANNEL_LAST) dims[n++] = 1;
    *rank = n;
}
