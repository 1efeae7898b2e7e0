/* epilogue.c: activations and whole-row epilogues on top of vec. */
#include "kernels/epilogue.h"

#include "kernels/vec/vec.h"

static const hone__unary unary_of[HONE__ACT_COUNT] = {
    [HONE__ACT_RELU] = HONE__RELU,
    [HONE__ACT_CLIP] = HONE__CLIP,
    [HONE__ACT_LEAKY] = HONE__LEAKY,
    [HONE__ACT_SIGMOID] = HONE__SIGMOID,
    [HONE__ACT_TANH] = HONE__TANH,
    [HONE__ACT_HARD_SIGMOID] = HONE__HARD_SIGMOID,
    [HONE__ACT_HARD_SWISH] = HONE__HARD_SWISH,
    [HONE__ACT_SILU] = HONE__SILU,
    [HONE__ACT_GELU] = HONE__GELU,
    [HONE__ACT_GELU_TANH] = HONE__GELU_TANH,
    [HONE__ACT_ELU] = HONE__ELU,
    [HONE__ACT_SELU] = HONE__SELU,
    [HONE__ACT_SOFTPLUS] = HONE__SOFTPLUS,
    [HONE__ACT_SOFTSIGN] = HONE__SOFTSIGN,
    [HONE__ACT_MISH] = HONE__MISH,
    [HONE__ACT_EXP] = HONE__EXP,
    [HONE__ACT_THRESHOLDED_RELU] = HONE__THRESHOLDED_RELU,
    [HONE__ACT_AFFINE] = HONE__AFFINE,
    [HONE__ACT_SCALED_TANH] = HONE__SCALED_TANH,
};

void hone__act_apply(const hone__epilogue *ep, float slope, float *x, size_t n)
{
    if (ep->act == HONE__ACT_NONE) return;
    if (ep->act == HONE__ACT_PRELU)
        hone__vec_unary(HONE__LEAKY, x, x, n, slope, 0);
    else
        hone__vec_unary(unary_of[ep->act], x, x, n, ep->a, ep->b);
}

void hone__epilogue_row(const hone__epilogue *ep, const float *bias, const float *slope, int bias_step,
                        const float *residual, float *x, size_t n)
{
    if (bias) hone__vec_binary(HONE__ADD, x, 1, bias, (size_t)bias_step, x, n);
    if (residual) hone__vec_binary(HONE__ADD, x, 1, residual, 1, x, n);
    if (ep->act == HONE__ACT_PRELU)
        hone__vec_binary(HONE__PRELU, x, 1, slope, (size_t)bias_step, x, n);
    else
        hone__act_apply(ep, 0, x, n);
}
