/* fft.c: mixed-radix Stockham stages and Bluestein's chirp, on interleaved complex numbers in double. */
#include "kernels/fft/fft.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"

enum { MAX_STAGES = 24, MAX_RADIX = 31 };

/* One complex transform of length n. Where n has a large prime factor, `inner` (a power of two) carries the chirp. */
typedef struct transform {
    size_t n;
    int stages;
    int radix[MAX_STAGES];
    double
        *twiddles; /* per stage of length l and radix r: [l/r][r-1][2], then the roots of the large radices: [r][2] */
    size_t roots[MAX_STAGES];
    struct transform *inner;
    double *chirp, *kernel; /* Bluestein: [n][2] and the transformed filter [inner->n][2] */
} transform;

struct hone__fft {
    size_t n;
    transform *complex; /* of length n/2 for even n, else of n */
    double *split;      /* even n: exp(-2 pi i k / n) for k = 0 .. n/2: [n/2 + 1][2] */
};

static const double TAU = 6.283185307179586476925286766559;

/* exp(-2 pi i k / n) with k reduced first, so that the angle is exact to the last bit */
static void root_of_unity(uint64_t k, uint64_t n, double *out)
{
    double angle = TAU * (double)(k % n) / (double)n;
    out[0] = cos(angle);
    out[1] = -sin(angle);
}

static int factorise(size_t n, int *radix)
{
    static const int tried[] = {4, 2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31};
    int count = 0;
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++)
        for (; n % (size_t)tried[i] == 0; n /= (size_t)tried[i]) radix[count++] = tried[i];
    return n == 1 ? count : -1;
}

static void transform_destroy(transform *t)
{
    if (!t) return;
    transform_destroy(t->inner);
    hone__free(t->twiddles);
    hone__free(t->chirp);
    hone__free(t->kernel);
    hone__free(t);
}

static hone_status make_twiddles(transform *t)
{
    size_t total = 0, length = t->n;
    for (int s = 0; s < t->stages; length /= (size_t)t->radix[s++])
        total += 2 * (length / (size_t)t->radix[s]) * (size_t)(t->radix[s] - 1) + 2 * (size_t)t->radix[s];
    t->twiddles = hone__malloc((total + 2) * sizeof(double));
    if (!t->twiddles) return hone__out_of_memory((total + 2) * sizeof(double));
    double *w = t->twiddles;
    length = t->n;
    for (int s = 0; s < t->stages; s++) {
        size_t r = (size_t)t->radix[s], m = length / r;
        for (size_t p = 0; p < m; p++)
            for (size_t k = 1; k < r; k++, w += 2) root_of_unity((uint64_t)p * k, length, w);
        length = m;
    }
    for (int s = 0; s < t->stages; s++) {
        t->roots[s] = (size_t)(w - t->twiddles);
        for (int k = 0; k < t->radix[s]; k++, w += 2) root_of_unity((uint64_t)k, (uint64_t)t->radix[s], w);
    }
    return HONE_OK;
}

static inline void multiply_into(double *y, double re, double im, const double *w)
{
    y[0] = re * w[0] - im * w[1];
    y[1] = re * w[1] + im * w[0];
}

/* In every stage: x: [radix][m][stride], y: [m][radix][stride], complex; w: [m][radix - 1]. */
static void stage2(const double *restrict x, double *restrict y, const double *w, size_t m, size_t stride)
{
    for (size_t p = 0; p < m; p++, w += 2)
        for (size_t q = 0; q < stride; q++) {
            const double *a = x + 2 * (q + stride * p), *b = a + 2 * stride * m;
            double *out = y + 2 * (q + stride * 2 * p);
            out[0] = a[0] + b[0];
            out[1] = a[1] + b[1];
            multiply_into(out + 2 * stride, a[0] - b[0], a[1] - b[1], w);
        }
}

static void stage3(const double *restrict x, double *restrict y, const double *w, size_t m, size_t stride)
{
    const double half = 0.5, root = 0.86602540378443864676372317075294;
    for (size_t p = 0; p < m; p++, w += 4)
        for (size_t q = 0; q < stride; q++) {
            const double *a = x + 2 * (q + stride * p), *b = a + 2 * stride * m, *c = b + 2 * stride * m;
            double *out = y + 2 * (q + stride * 3 * p);
            double sr = b[0] + c[0], si = b[1] + c[1], dr = root * (b[0] - c[0]), di = root * (b[1] - c[1]);
            double mr = a[0] - half * sr, mi = a[1] - half * si;
            out[0] = a[0] + sr;
            out[1] = a[1] + si;
            multiply_into(out + 2 * stride, mr + di, mi - dr, w);
            multiply_into(out + 4 * stride, mr - di, mi + dr, w + 2);
        }
}

static void stage4(const double *restrict x, double *restrict y, const double *w, size_t m, size_t stride)
{
    for (size_t p = 0; p < m; p++, w += 6)
        for (size_t q = 0; q < stride; q++) {
            const double *a = x + 2 * (q + stride * p), *b = a + 2 * stride * m;
            const double *c = b + 2 * stride * m, *d = c + 2 * stride * m;
            double *out = y + 2 * (q + stride * 4 * p);
            double s0 = a[0] + c[0], s1 = a[1] + c[1], d0 = a[0] - c[0], d1 = a[1] - c[1];
            double t0 = b[0] + d[0], t1 = b[1] + d[1], e0 = b[0] - d[0], e1 = b[1] - d[1];
            out[0] = s0 + t0;
            out[1] = s1 + t1;
            multiply_into(out + 2 * stride, d0 + e1, d1 - e0, w);
            multiply_into(out + 4 * stride, s0 - t0, s1 - t1, w + 2);
            multiply_into(out + 6 * stride, d0 - e1, d1 + e0, w + 4);
        }
}

static void stage5(const double *restrict x, double *restrict y, const double *w, size_t m, size_t stride)
{
    const double c1 = 0.30901699437494742410229341718282, c2 = -0.80901699437494742410229341718282;
    const double s1 = 0.95105651629515357211643933337938, s2 = 0.58778525229247312916870595463907;
    for (size_t p = 0; p < m; p++, w += 8)
        for (size_t q = 0; q < stride; q++) {
            const double *a = x + 2 * (q + stride * p), *b = a + 2 * stride * m, *c = b + 2 * stride * m;
            const double *d = c + 2 * stride * m, *e = d + 2 * stride * m;
            double *out = y + 2 * (q + stride * 5 * p);
            double pr = b[0] + e[0], pi = b[1] + e[1], qr = c[0] + d[0], qi = c[1] + d[1];
            double ur = b[0] - e[0], ui = b[1] - e[1], vr = c[0] - d[0], vi = c[1] - d[1];
            double m1r = a[0] + c1 * pr + c2 * qr, m1i = a[1] + c1 * pi + c2 * qi;
            double m2r = a[0] + c2 * pr + c1 * qr, m2i = a[1] + c2 * pi + c1 * qi;
            double n1r = s1 * ui + s2 * vi, n1i = s1 * ur + s2 * vr, n2r = s2 * ui - s1 * vi, n2i = s2 * ur - s1 * vr;
            out[0] = a[0] + pr + qr;
            out[1] = a[1] + pi + qi;
            multiply_into(out + 2 * stride, m1r + n1r, m1i - n1i, w);
            multiply_into(out + 4 * stride, m2r + n2r, m2i - n2i, w + 2);
            multiply_into(out + 6 * stride, m2r - n2r, m2i + n2i, w + 4);
            multiply_into(out + 8 * stride, m1r - n1r, m1i + n1i, w + 6);
        }
}

/* Any radix up to MAX_RADIX, by its definition. roots: exp(-2 pi i k / r), [r]. */
static void stage_any(const double *restrict x, double *restrict y, const double *w, size_t m, size_t stride, size_t r,
                      const double *roots)
{
    for (size_t p = 0; p < m; p++)
        for (size_t q = 0; q < stride; q++)
            for (size_t k = 0; k < r; k++) {
                double re = 0, im = 0;
                for (size_t j = 0, turn = 0; j < r; j++, turn = turn + k < r ? turn + k : turn + k - r) {
                    const double *a = x + 2 * (q + stride * (p + m * j)), *c = roots + 2 * turn;
                    re += a[0] * c[0] - a[1] * c[1];
                    im += a[0] * c[1] + a[1] * c[0];
                }
                double *out = y + 2 * (q + stride * (r * p + k));
                if (k)
                    multiply_into(out, re, im, w + 2 * (p * (r - 1) + k - 1));
                else
                    out[0] = re, out[1] = im;
            }
}

/* data: [n] complex, in place; other: as large. */
static void run_stages(const transform *t, double *data, double *other)
{
    const double *w = t->twiddles;
    double *x = data, *y = other;
    size_t length = t->n, stride = 1;
    for (int s = 0; s < t->stages; s++) {
        size_t r = (size_t)t->radix[s], m = length / r;
        switch (r) {
        case 2: stage2(x, y, w, m, stride); break;
        case 3: stage3(x, y, w, m, stride); break;
        case 4: stage4(x, y, w, m, stride); break;
        case 5: stage5(x, y, w, m, stride); break;
        default: stage_any(x, y, w, m, stride, r, t->twiddles + t->roots[s]);
        }
        w += 2 * m * (r - 1);
        length = m;
        stride *= r;
        double *swap = x;
        x = y;
        y = swap;
    }
    if (x != data) memcpy(data, x, 2 * t->n * sizeof(double));
}

/* scratch: [n] complex for stages, [2 * inner n] complex for Bluestein */
static void run_transform(const transform *t, double *data, double *scratch)
{
    if (!t->inner) {
        run_stages(t, data, scratch);
        return;
    }
    size_t n = t->n, m = t->inner->n;
    double *work = scratch, *other = scratch + 2 * m;
    for (size_t k = 0; k < n; k++) multiply_into(work + 2 * k, data[2 * k], data[2 * k + 1], t->chirp + 2 * k);
    memset(work + 2 * n, 0, 2 * (m - n) * sizeof(double));
    run_stages(t->inner, work, other);
    for (size_t k = 0; k < m; k++) { /* the conjugate, so that the forward transform inverts */
        double product[2];
        multiply_into(product, work[2 * k], work[2 * k + 1], t->kernel + 2 * k);
        work[2 * k] = product[0];
        work[2 * k + 1] = -product[1];
    }
    run_stages(t->inner, work, other);
    for (size_t k = 0; k < n; k++)
        multiply_into(data + 2 * k, work[2 * k] / (double)m, -work[2 * k + 1] / (double)m, t->chirp + 2 * k);
}

static hone_status transform_create(size_t n, transform **out);

/* chirp[k] = exp(-pi i k^2 / n); the filter is its conjugate, laid around zero on a circle of m >= 2n - 1 points. */
static hone_status make_chirp(transform *t)
{
    size_t m = 1;
    while (m < 2 * t->n - 1) m *= 2;
    HONE__TRY(transform_create(m, &t->inner));
    t->chirp = hone__malloc(2 * t->n * sizeof(double));
    t->kernel = hone__calloc(2 * m, sizeof(double));
    double *other = hone__malloc(2 * m * sizeof(double));
    if (!t->chirp || !t->kernel || !other) {
        hone__free(other);
        return hone__out_of_memory(2 * m * sizeof(double));
    }
    for (size_t k = 0; k < t->n; k++) {
        root_of_unity((uint64_t)k * k, 2 * (uint64_t)t->n, t->chirp + 2 * k);
        double *right = t->kernel + 2 * k, *left = t->kernel + 2 * ((m - k) % m);
        right[0] = left[0] = t->chirp[2 * k];
        right[1] = left[1] = -t->chirp[2 * k + 1];
    }
    run_stages(t->inner, t->kernel, other);
    hone__free(other);
    return HONE_OK;
}

static hone_status transform_create(size_t n, transform **out)
{
    transform *t = hone__calloc(1, sizeof *t);
    if (!t) return hone__out_of_memory(sizeof *t);
    *out = t;
    t->n = n;
    t->stages = factorise(n, t->radix);
    return t->stages < 0 ? make_chirp(t) : make_twiddles(t);
}

hone_status hone__fft_create(size_t n, hone__fft **out)
{
    *out = NULL;
    if (n < 1 || n > HONE__FFT_MAX)
        return hone__fail(HONE_E_ARGUMENT, "a Fourier transform of length %zu: expected 1 to %d", n, HONE__FFT_MAX);
    hone__fft *plan = hone__calloc(1, sizeof *plan);
    if (!plan) return hone__out_of_memory(sizeof *plan);
    plan->n = n;
    hone_status s = transform_create(n % 2 ? n : n / 2, &plan->complex);
    if (s == HONE_OK && n % 2 == 0) {
        plan->split = hone__malloc((n + 2) * sizeof(double));
        if (!plan->split) s = hone__out_of_memory((n + 2) * sizeof(double));
        for (size_t k = 0; plan->split && k <= n / 2; k++) root_of_unity(k, n, plan->split + 2 * k);
    }
    if (s != HONE_OK) {
        hone__fft_destroy(plan);
        return s;
    }
    *out = plan;
    return HONE_OK;
}

void hone__fft_destroy(hone__fft *plan)
{
    if (!plan) return;
    transform_destroy(plan->complex);
    hone__free(plan->split);
    hone__free(plan);
}

size_t hone__fft_scratch(const hone__fft *plan)
{
    const transform *t = plan->complex;
    return 2 * t->n + (t->inner ? 4 * t->inner->n : 2 * t->n);
}

/* Even n: z[t] = x[2t] + i x[2t+1]; X[k] = (Z[k] + conj Z[h-k]) / 2 - i/2 exp(-2 pi i k/n) (Z[k] - conj Z[h-k]). */
static void split_even(const hone__fft *plan, const double *z, double *spectrum)
{
    size_t h = plan->n / 2;
    for (size_t k = 0; k <= h; k++) {
        const double *a = z + 2 * (k % h), *b = z + 2 * ((h - k) % h), *w = plan->split + 2 * k;
        double er = 0.5 * (a[0] + b[0]), ei = 0.5 * (a[1] - b[1]);
        double dr = 0.5 * (a[1] + b[1]), di = -0.5 * (a[0] - b[0]);
        spectrum[2 * k] = er + dr * w[0] - di * w[1];
        spectrum[2 * k + 1] = ei + dr * w[1] + di * w[0];
    }
}

void hone__fft_real(const hone__fft *plan, const double *x, double *spectrum, double *scratch)
{
    size_t n = plan->n;
    double *z = scratch, *rest = scratch + 2 * plan->complex->n;
    if (plan->split) {
        memcpy(z, x, n * sizeof(double));
        run_transform(plan->complex, z, rest);
        split_even(plan, z, spectrum);
        return;
    }
    for (size_t t = 0; t < n; t++) {
        z[2 * t] = x[t];
        z[2 * t + 1] = 0;
    }
    run_transform(plan->complex, z, rest);
    memcpy(spectrum, z, 2 * (n / 2 + 1) * sizeof(double));
}
