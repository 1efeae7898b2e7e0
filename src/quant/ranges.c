/* ranges.c: which part of a histogram is worth 8 bits. Entropy: the symmetric cut whose 128-level form diverges least
 * (Kullback-Leibler) from what was seen, as in Migacz, "8-bit inference with TensorRT" (GTC 2017). */
#include <math.h>
#include <string.h>

#include "calibrate.h"

enum { BINS_MAX = 4096, LEVELS = 128 };

hone__range hone__range_percentile(const unsigned long long *h, size_t bins, hone__range full, double share)
{
    double total = 0, width = (full.high - full.low) / (double)bins, seen = 0;
    size_t a = 0, b = bins;
    for (size_t i = 0; i < bins; i++) total += (double)h[i];
    double cut = total * (1 - share) / 2;
    while (a < bins && seen + (double)h[a] <= cut) seen += (double)h[a++];
    for (seen = 0; b > a + 1 && seen + (double)h[b - 1] <= cut;) seen += (double)h[--b];
    return (hone__range){full.low + width * (double)a, full.low + width * (double)b};
}

/* Divergence of the bins [a, b) in LEVELS steps from themselves with everything outside pushed onto the ends. */
static double divergence(const unsigned long long *h, size_t bins, size_t a, size_t b)
{
    double p[BINS_MAX], q[BINS_MAX], sum_p = 0, sum_q = 0, kl = 0;
    size_t n = b - a;
    for (size_t i = 0; i < n; i++) p[i] = (double)h[a + i];
    for (size_t i = 0; i < a; i++) p[0] += (double)h[i];
    for (size_t i = b; i < bins; i++) p[n - 1] += (double)h[i];
    for (size_t l = 0; l < LEVELS; l++) {
        size_t from = l * n / LEVELS, to = (l + 1) * n / LEVELS, used = 0;
        double sum = 0;
        for (size_t i = from; i < to; i++) {
            sum += (double)h[a + i];
            used += p[i] > 0;
        }
        for (size_t i = from; i < to; i++) q[i] = p[i] > 0 ? sum / (double)used : 0;
    }
    for (size_t i = 0; i < n; i++) sum_p += p[i], sum_q += q[i];
    if (sum_p <= 0 || sum_q <= 0) return INFINITY;
    for (size_t i = 0; i < n; i++)
        if (p[i] > 0) kl += p[i] / sum_p * log((p[i] / sum_p) / ((q[i] > 0 ? q[i] : 1e-10) / sum_q));
    return kl;
}

hone__range hone__range_entropy(const unsigned long long *h, size_t bins, hone__range full)
{
    double width = (full.high - full.low) / (double)bins, best = INFINITY;
    double edge = -full.low / width; /* where zero lies, in bins */
    size_t zero = edge<0 ? 0 : edge>(double) bins ? bins : (size_t)edge, best_a = 0, best_b = bins;
    if (bins > BINS_MAX || bins < LEVELS) return full;
    /* zero itself is exact at any scale: its pile (what an activation cut off) must not decide */
    unsigned long long without[BINS_MAX];
    memcpy(without, h, bins * sizeof *h);
    if (zero < bins) without[zero] = zero + 1 < bins ? h[zero + 1] : zero ? h[zero - 1] : 0;
    h = without;
    for (size_t half = LEVELS / 2; half <= bins; half += 8) {
        size_t a = zero > half ? zero - half : 0, b = zero + half < bins ? zero + half : bins;
        if (b - a < LEVELS) continue;
        double d = divergence(h, bins, a, b);
        if (d < best) best = d, best_a = a, best_b = b;
        if (!a && b == bins) break;
    }
    return (hone__range){full.low + width * (double)best_a, full.low + width * (double)best_b};
}
