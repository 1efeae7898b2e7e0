/* resample.c: polyphase windowed sinc. Every phase has its own taps while that table is small; else a table of 128
 * phases is read by cubic interpolation, whose error is below -140 dB. */
#include "audio/resample.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"

enum {
    CROSSINGS = 84,      /* zero crossings of the sinc on each side, in samples of the lower rate */
    FEW_PHASES = 128,    /* of the interpolated table */
    TABLE_MAX = 1 << 20, /* weights of a complete table: 4 MB */
    BLOCK = 4096,        /* new input samples that the buffer holds */
    RATIO_MAX = 256
};
static const double PI = 3.14159265358979323846264338327950;
static const double BETA = 11.2;   /* Kaiser window: about 112 dB */
static const double CUTOFF = 0.95; /* of the lower Nyquist frequency: the middle of the transition */

struct hone__resampler {
    uint64_t up, down; /* out / in rate, reduced */
    int half, taps;    /* taps = 2 * half, in input samples */
    int phases, interpolated;
    float *table;  /* [phases (+ 3)][taps] */
    float *mixed;  /* [taps], the interpolated taps of one phase */
    float *buffer; /* [taps + BLOCK] input samples */
    size_t filled;
    uint64_t base;  /* index of buffer[0], counted with `half` zeros before the signal */
    uint64_t total; /* input samples so far */
    uint64_t index; /* of the input sample at or before the next output */
    uint64_t phase; /* 0 .. up - 1: the next output lies phase / up after it */
    uint64_t made;
};

static double bessel_i0(double x)
{
    double sum = 1, term = 1;
    for (int k = 1; k < 100 && term > 1e-20 * sum; k++) {
        term *= (x / (2 * k)) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

/* The impulse response at t input samples from the middle. scale <= 1: lower rate / in rate. */
static double response(double t, double scale, int half)
{
    double x = t / half;
    if (fabs(x) >= 1) return 0;
    double a = PI * CUTOFF * scale * t, sinc = fabs(a) < 1e-12 ? 1 : sin(a) / a;
    return sinc * bessel_i0(BETA * sqrt(1 - x * x)); /* its height is settled by the row's sum */
}

/* Row p: the taps for an output p / phases after an input sample; tap j weighs input index - half + 1 + j.
 * Each row's sum is brought to 1, so that a constant stays one. */
static void make_row(const hone__resampler *r, double scale, double at, float *row)
{
    double sum = 0;
    for (int j = 0; j < r->taps; j++) {
        double v = response(j - (r->half - 1) - at, scale, r->half);
        sum += v;
        row[j] = (float)v;
    }
    for (int j = 0; j < r->taps; j++) row[j] = (float)(row[j] / sum);
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static hone_status create_tables(hone__resampler *r)
{
    double scale = r->down > r->up ? (double)r->up / (double)r->down : 1;
    r->half = (int)ceil(CROSSINGS / scale);
    r->half += r->half & 1; /* taps in multiples of 4 */
    r->taps = 2 * r->half;
    r->interpolated = r->up * (uint64_t)r->taps > TABLE_MAX;
    r->phases = r->interpolated ? FEW_PHASES : (int)r->up;
    size_t rows = (size_t)r->phases + (r->interpolated ? 3 : 0), bytes = rows * (size_t)r->taps * sizeof(float);
    r->table = hone__malloc(bytes);
    r->mixed = hone__malloc((size_t)r->taps * sizeof(float));
    r->buffer = hone__calloc((size_t)r->taps + BLOCK, sizeof(float));
    if (!r->table || !r->mixed || !r->buffer) return hone__out_of_memory(bytes);
    /* an interpolated table begins one row before phase 0 and ends one after phase 1 */
    for (size_t p = 0; p < rows; p++)
        make_row(r, scale, ((double)p - r->interpolated) / r->phases, r->table + p * (size_t)r->taps);
    return HONE_OK;
}

hone_status hone__resampler_create(int in_rate, int out_rate, hone__resampler **out)
{
    *out = NULL;
    if (in_rate < 1 || in_rate > HONE__RATE_MAX)
        return hone__fail(HONE_E_FORMAT, "a sample rate of %d Hz: expected 1 to %d", in_rate, HONE__RATE_MAX);
    if (out_rate < 1 || out_rate > HONE__RATE_MAX)
        return hone__fail(HONE_E_ARGUMENT, "a target rate of %d Hz: expected 1 to %d", out_rate, HONE__RATE_MAX);
    if (in_rate / RATIO_MAX > out_rate || out_rate / RATIO_MAX > in_rate)
        return hone__fail(HONE_E_UNSUPPORTED, "from %d to %d Hz: the rates may be at most %d times apart", in_rate,
                          out_rate, RATIO_MAX);
    hone__resampler *r = hone__calloc(1, sizeof *r);
    if (!r) return hone__out_of_memory(sizeof *r);
    uint64_t divisor = common_divisor((uint64_t)in_rate, (uint64_t)out_rate);
    r->up = (uint64_t)out_rate / divisor;
    r->down = (uint64_t)in_rate / divisor;
    hone_status s = create_tables(r);
    if (s != HONE_OK) {
        hone__resampler_destroy(r);
        return s;
    }
    r->filled = (size_t)r->half; /* zeros before the signal */
    *out = r;
    return HONE_OK;
}

void hone__resampler_destroy(hone__resampler *r)
{
    if (!r) return;
    hone__free(r->table);
    hone__free(r->mixed);
    hone__free(r->buffer);
    hone__free(r);
}

/* Four running sums, always in the same order: the same bits on every machine. n is a multiple of 4. */
static float dot(const float *a, const float *b, int n)
{
    float s[4] = {0};
    for (int i = 0; i < n; i += 4)
        for (int k = 0; k < 4; k++) s[k] += a[i + k] * b[i + k];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

/* Cubic Lagrange over four neighbouring rows */
static const float *mix_rows(hone__resampler *r)
{
    double at = (double)r->phase / (double)r->up * r->phases;
    int row = (int)at;
    double x = at - row;
    float w0 = (float)(-x * (x - 1) * (x - 2) / 6), w1 = (float)((x + 1) * (x - 1) * (x - 2) / 2);
    float w2 = (float)(-(x + 1) * x * (x - 2) / 2), w3 = (float)((x + 1) * x * (x - 1) / 6);
    const float *a = r->table + (size_t)row * (size_t)r->taps, *b = a + r->taps, *c = b + r->taps, *d = c + r->taps;
    for (int j = 0; j < r->taps; j++) r->mixed[j] = w0 * a[j] + w1 * b[j] + w2 * c[j] + w3 * d[j];
    return r->mixed;
}

/* Outputs whose taps lie within the buffer. The output at `index` reads samples index - half + 1 .. index + half, which
 * the zeros in front shift to index + 1 .. index + taps. */
static size_t make(hone__resampler *r, float *out, size_t capacity)
{
    size_t n = 0;
    while (n < capacity && r->index + 1 + (uint64_t)r->taps <= r->base + r->filled) {
        const float *taps = r->interpolated ? mix_rows(r) : r->table + (size_t)r->phase * (size_t)r->taps;
        out[n++] = dot(r->buffer + (size_t)(r->index + 1 - r->base), taps, r->taps);
        r->phase += r->down;
        r->index += r->phase / r->up;
        r->phase %= r->up;
    }
    r->made += n;
    return n;
}

/* Drops what no output needs any more. */
static void shift(hone__resampler *r)
{
    uint64_t keep_from = r->index + 1;
    size_t drop = keep_from - r->base < r->filled ? (size_t)(keep_from - r->base) : r->filled;
    memmove(r->buffer, r->buffer + drop, (r->filled - drop) * sizeof(float));
    r->filled -= drop;
    r->base += drop;
}

static size_t room(const hone__resampler *r) { return (size_t)r->taps + BLOCK - r->filled; }

void hone__resampler_push(hone__resampler *r, const float *in, size_t n, size_t *used, float *out, size_t capacity,
                          size_t *made)
{
    *used = *made = 0;
    for (;;) {
        *made += make(r, out + *made, capacity - *made);
        if (*made == capacity || *used == n) return;
        shift(r);
        size_t take = room(r) < n - *used ? room(r) : n - *used;
        memcpy(r->buffer + r->filled, in + *used, take * sizeof(float));
        r->filled += take;
        r->total += take;
        *used += take;
    }
}

/* ceil(total * up / down) without wrapping for any length that can be read */
static uint64_t outputs_of(const hone__resampler *r)
{
    uint64_t whole = r->total / r->down, rest = r->total % r->down;
    return whole * r->up + (rest * r->up + r->down - 1) / r->down;
}

void hone__resampler_finish(hone__resampler *r, float *out, size_t capacity, size_t *made)
{
    uint64_t left = outputs_of(r) - r->made;
    if (capacity > left) capacity = (size_t)left;
    *made = 0;
    while (*made < capacity) {
        *made += make(r, out + *made, capacity - *made);
        if (*made == capacity) return;
        shift(r);
        memset(r->buffer + r->filled, 0, room(r) * sizeof(float));
        r->filled += room(r);
    }
}
