/* op_window.c: HannWindow, HammingWindow, BlackmanWindow, MelWeightMatrix. */
#include <math.h>

#include "infer.h"

static const double pi = 3.14159265358979323846;

static hone_status output_type(hone__infer *x)
{
    int64_t to = hone__node_int(x->node, "output_datatype", HONE_F32);
    if (to < 1 || to >= HONE_DTYPE_COUNT || to == HONE_STRING)
        return hone__fail(HONE_E_SHAPE, "output_datatype is %lld", (long long)to);
    x->out[0].dtype = (hone_dtype)to;
    return HONE_OK;
}

static hone_status infer_window(hone__infer *x)
{
    int64_t n = -1;
    HONE__TRY(hone__infer_arity(x, 1, 1));
    HONE__TRY(output_type(x));
    if (x->value[0]) {
        if (x->value[0]->count != 1) return hone__fail(HONE_E_SHAPE, "size has %zu values", x->value[0]->count);
        n = hone__tensor_i64(x->value[0], 0);
        if (n < 0) return hone__fail(HONE_E_SHAPE, "size is %lld", (long long)n);
    }
    hone__infer_set(x, 0, x->out[0].dtype, 1, &n);
    return HONE_OK;
}

/* a - b cos(2 pi i / n) + c cos(4 pi i / n) */
static hone_status window(hone__run *r, double a, double b, double c)
{
    size_t size = r->out[0]->count;
    double n = (double)size - (hone__node_int(r->node, "periodic", 1) ? 0 : 1);
    for (size_t i = 0; i < size; i++) {
        double at = size == 1 ? 0 : 2 * pi * (double)i / n;
        double v = size == 1 ? 1 : a - b * cos(at) + c * cos(2 * at);
        hone__element_set_f64(r->out[0]->dtype, hone__out_data(r, 0), i, v);
    }
    return HONE_OK;
}
static hone_status run_hann(hone__run *r) { return window(r, 0.5, 0.5, 0); }
static hone_status run_hamming(hone__run *r) { return window(r, 25.0 / 46, 21.0 / 46, 0); }
static hone_status run_blackman(hone__run *r) { return window(r, 0.42, 0.5, 0.08); }
const hone__op hone__op_hann_window = {"", "HannWindow", infer_window, NULL, run_hann, 0};
const hone__op hone__op_hamming_window = {"", "HammingWindow", infer_window, NULL, run_hamming, 0};
const hone__op hone__op_blackman_window = {"", "BlackmanWindow", infer_window, NULL, run_blackman, 0};

enum { MEL_MAX = 1 << 20 };

/* Inputs: mel bins, transform length, sample rate, lower and upper edge in Hz. */
static hone_status infer_mel(hone__infer *x)
{
    int64_t bins = -1, rows = -1;
    HONE__TRY(hone__infer_arity(x, 5, 5));
    HONE__TRY(output_type(x));
    for (int i = 0; i < 5; i++)
        if (x->value[i] && x->value[i]->count != 1)
            return hone__fail(HONE_E_SHAPE, "input %d has %zu values", i, x->value[i]->count);
    if (x->value[0]) bins = hone__tensor_i64(x->value[0], 0);
    if (x->value[1]) rows = hone__tensor_i64(x->value[1], 0) / 2 + 1;
    if ((x->value[0] && (bins < 1 || bins > MEL_MAX)) || (x->value[1] && (rows < 1 || rows > MEL_MAX)))
        return hone__fail(HONE_E_SHAPE, "%lld mel bins, %lld spectrum bins", (long long)bins, (long long)rows);
    hone__infer_set(x, 0, x->out[0].dtype, 2, (int64_t[]){rows, bins});
    return HONE_OK;
}

/* The spectrum bin of edge i of mel_bins + 2 edges. */
static int64_t edge(const hone__run *r, int64_t i, int64_t edges)
{
    double length = hone__tensor_f64(r->in[1], 0), rate = hone__tensor_f64(r->in[2], 0);
    double low = 2595 * log10(1 + hone__tensor_f64(r->in[3], 0) / 700),
           high = 2595 * log10(1 + hone__tensor_f64(r->in[4], 0) / 700);
    double hertz = 700 * (pow(10, ((double)i * (high - low) / (double)edges + low) / 2595) - 1);
    double bin = floor((length + 1) * hertz / rate);
    return bin == bin && bin > -1 && bin < MEL_MAX ? (int64_t)bin : -1;
}

static hone_status run_mel(hone__run *r)
{
    hone__tensor *y = r->out[0];
    int64_t rows = y->dims[0], bins = y->dims[1];
    for (size_t i = 0; i < y->count; i++) hone__element_set_f64(y->dtype, hone__out_data(r, 0), i, 0);
    for (int64_t i = 0; i < bins; i++) {
        int64_t low = edge(r, i, bins + 2), mid = edge(r, i + 1, bins + 2), high = edge(r, i + 2, bins + 2);
        if (low < 0 || mid < low || high < mid || high > rows)
            return hone__fail(HONE_E_ARGUMENT, "the edges of mel bin %lld lie outside the spectrum", (long long)i);
        for (int64_t k = low; k < high || k == mid; k++) {
            double v = k == mid && mid == low ? 1 : k <= mid ? (double)(k - low) / (double)(mid - low) : 0;
            if (k >= mid && high > mid) v = (double)(high - k) / (double)(high - mid);
            if (k < rows) hone__element_set_f64(y->dtype, hone__out_data(r, 0), (size_t)(k * bins + i), v);
        }
    }
    return HONE_OK;
}
const hone__op hone__op_mel_weight_matrix = {"", "MelWeightMatrix", infer_mel, NULL, run_mel, 0};
