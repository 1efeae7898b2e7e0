/* epilogue.h: what a matrix product or convolution does to each result before it is stored. */
#ifndef HONE_KERNELS_EPILOGUE_H
#define HONE_KERNELS_EPILOGUE_H

#include <stddef.h>

typedef enum hone__act {
    HONE__ACT_NONE = 0,
    HONE__ACT_RELU,
    HONE__ACT_CLIP,  /* a = low, b = high; min(max(x, a), b) */
    HONE__ACT_LEAKY, /* a = slope below 0 */
    HONE__ACT_SIGMOID,
    HONE__ACT_TANH,
    HONE__ACT_HARD_SIGMOID, /* a * x + b, clipped to 0..1 */
    HONE__ACT_HARD_SWISH,   /* x * clip(x / 6 + 1/2, 0, 1) */
    HONE__ACT_SILU,
    HONE__ACT_GELU, /* with erf */
    HONE__ACT_GELU_TANH,
    HONE__ACT_ELU,  /* a */
    HONE__ACT_SELU, /* a = alpha, b = gamma */
    HONE__ACT_SOFTPLUS,
    HONE__ACT_SOFTSIGN,
    HONE__ACT_MISH,
    HONE__ACT_EXP,
    HONE__ACT_PRELU,            /* slope[channel] below 0 */
    HONE__ACT_THRESHOLDED_RELU, /* x > a ? x : 0 */
    HONE__ACT_AFFINE,           /* a * x + b */
    HONE__ACT_SCALED_TANH,      /* a * tanh(b * x) */
    HONE__ACT_COUNT
} hone__act;

/* y = act(x + bias[channel] + residual). Zero-initialise for none of it. NaN stays NaN through every activation. */
typedef struct hone__epilogue {
    const float *bias;     /* NULL = none; the kernel's header says what a channel is */
    const float *residual; /* same layout and strides as the output; NULL = none. May be the output itself. */
    hone__act act;
    float a, b;
    const float *slope; /* HONE__ACT_PRELU only: one per channel */
} hone__epilogue;

/* x[i] = act(x[i]) for n values of one channel (slope: that channel's, PRELU only). */
void hone__act_apply(const hone__epilogue *ep, float slope, float *x, size_t n);

/* One row of n results: x[i] = act(x[i] + bias + residual[i]). bias_step 0: bias[0] and slope[0] for the whole row;
 * 1: bias[i] and slope[i]. `bias` and `slope` here already point at the row's first channel; NULL = none. */
void hone__epilogue_row(const hone__epilogue *ep, const float *bias, const float *slope, int bias_step,
                        const float *residual, float *x, size_t n);

#endif
