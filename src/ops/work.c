/* work.c: operations of the nodes that multiply matrices or convolve. Everything else is bound by the bytes it moves.
 */
#include "work.h"

#include <string.h>

typedef double (*count_fn)(const hone__node *n, const hone__tensor *const *in, const hone__tensor *out, int weights);

static double dim(const hone__tensor *t, int from_end)
{
    return t && t->rank >= from_end ? (double)t->dims[t->rank - from_end] : t && t->rank ? (double)t->dims[0] : 0;
}

/* Every result is a sum over the rows of the first input, or over its columns where it is transposed. */
static double product(const hone__node *n, const hone__tensor *const *in, const hone__tensor *out, int weights)
{
    (void)weights;
    return 2.0 * (double)out->count * dim(in[0], hone__node_int(n, "transA", 0) ? 2 : 1);
}

/* Every result is a sum over the weights of one output channel. w: [M, C / group, kernel...] */
static double convolution(const hone__node *n, const hone__tensor *const *in, const hone__tensor *out, int weights)
{
    const hone__tensor *w = in[weights];
    (void)n;
    return w && w->rank && w->dims[0] ? 2.0 * (double)out->count * (double)w->count / (double)w->dims[0] : 0;
}

/* Every input element is spread over the weights of its channel. w: [C, M / group, kernel...] */
static double spread(const hone__node *n, const hone__tensor *const *in, const hone__tensor *out, int weights)
{
    const hone__tensor *w = in[weights];
    (void)n, (void)out;
    return w && w->rank && w->dims[0] ? 2.0 * (double)in[0]->count * (double)w->count / (double)w->dims[0] : 0;
}

/* x: [time, batch, features] (any order of the first two); all of w and r for each of both. */
static double recurrent(const hone__node *n, const hone__tensor *const *in, const hone__tensor *out, int weights)
{
    double features = dim(in[0], 1);
    (void)n, (void)out;
    if (!features || !in[weights] || !in[weights + 1]) return 0;
    return 2.0 * (double)in[0]->count / features * (double)(in[weights]->count + in[weights + 1]->count);
}

static const struct {
    const char *domain, *op;
    count_fn count;
    int weights; /* which input */
    bool integer;
    const char *kernel;
} rows[] = {
    {"", "MatMul", product, 1, false, "gemm f32"},
    {"", "Gemm", product, 1, false, "gemm f32"},
    {"hone", "Linear", product, 1, false, "gemm f32"},
    {"com.microsoft", "FusedMatMul", product, 1, false, "gemm f32"},
    {"", "MatMulInteger", product, 1, true, "gemm int8"},
    {"", "QLinearMatMul", product, 3, true, "gemm int8"},
    {"com.microsoft", "MatMulIntegerToFloat", product, 1, true, "gemm int8"},
    {"com.microsoft", "DynamicQuantizeMatMul", product, 1, true, "gemm int8"},
    {"com.microsoft", "QGemm", product, 3, true, "gemm int8"},
    {"hone", "IntegerLinear", product, 1, true, "gemm int8"},
    {"hone", "DequantLinear", product, 1, true, "nbits int8"},
    {"com.microsoft", "MatMulNBits", product, 1, true, "nbits"},
    {"", "Conv", convolution, 1, false, "conv f32"},
    {"hone", "Conv", convolution, 1, false, "conv f32"},
    {"com.microsoft", "FusedConv", convolution, 1, false, "conv f32"},
    {"", "ConvTranspose", spread, 1, false, "conv f32"},
    {"", "ConvInteger", convolution, 1, true, "conv int8"},
    {"", "QLinearConv", convolution, 3, true, "conv int8"},
    {"hone", "StaticConv", convolution, 3, true, "conv int8"},
    {"hone", "DynamicConv", convolution, 1, true, "conv int8"},
    {"", "LSTM", recurrent, 1, false, "gemm f32, rnn"},
    {"com.microsoft", "DynamicQuantizeLSTM", recurrent, 1, true, "gemm int8, rnn"},
    {"", "GRU", recurrent, 1, false, "gemm f32, rnn"},
    {"", "RNN", recurrent, 1, false, "gemm f32, rnn"},
};

/* Of their first input these read as much as they write. */
static const char *const takers[] = {"Gather", "GatherND", "GatherElements", "GatherBlockQuantized",
                                     "Slice",  "Compress"};

static void count_bytes(const hone__node *n, const hone__tensor *const *in, hone__tensor *const *out, hone__work *w)
{
    for (int k = 0; k < n->output_count; k++)
        if (out[k]) w->out_bytes += out[k]->bytes;
    for (int k = 0; k < n->input_count; k++)
        if (in[k]) w->in_bytes += in[k]->bytes;
    for (size_t i = 0; i < sizeof takers / sizeof *takers; i++)
        if (in[0] && in[0]->bytes > w->out_bytes && strcmp(takers[i], n->op) == 0)
            w->in_bytes -= in[0]->bytes - w->out_bytes;
}

hone__work hone__node_work(const hone__node *n, const hone__tensor *const *in, hone__tensor *const *out)
{
    hone__work w = {.kernel = ""};
    count_bytes(n, in, out, &w);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].op, n->op) || strcmp(rows[i].domain, n->domain)) continue;
        int needed = rows[i].weights + (rows[i].count == recurrent ? 2 : 1);
        if (n->input_count < needed || !in[0] || !out[0]) break;
        w.operations = rows[i].count(n, in, out[0], rows[i].weights);
        w.integer = rows[i].integer;
        w.kernel = rows[i].kernel;
        break;
    }
    return w;
}
