/* family_layers.c: linear layers, normalisation and activations as the families' frameworks define them. */
#include <stdio.h>
#include <string.h>

#include "family.h"

static hone__value *add_bias(hone__lm *lm, hone__value *y, int64_t out, const char *name)
{
    return HONE__LM("Add", y, hone__lm_vector(lm, out, "%s.bias", name));
}

static hone__value *transposed(hone__lm *lm, hone__value *w)
{
    return hone__emit(&lm->b, "Transpose", "Transpose", HONE__INS(w),
                      HONE__ATTRS(hone__a_ints("perm", (int64_t[]){1, 0}, 2)));
}

hone__value *hone__lm_linear(hone__lm *lm, hone__value *x, int64_t in, int64_t out, bool bias, const char *name)
{
    hone__value *w = hone__lm_weight(lm, 2, (int64_t[]){out, in}, "%s.weight", name);
    hone__value *y = hone__emit(&lm->b, "MatMul", name, HONE__INS(x, transposed(lm, w)), HONE__NO_ATTRS);
    return bias ? add_bias(lm, y, out, name) : y;
}

hone__value *hone__lm_conv1d(hone__lm *lm, hone__value *x, int64_t in, int64_t out, const char *name)
{
    hone__value *w = hone__lm_weight(lm, 2, (int64_t[]){in, out}, "%s.weight", name);
    return add_bias(lm, hone__emit(&lm->b, "MatMul", name, HONE__INS(x, w), HONE__NO_ATTRS), out, name);
}

hone__value *hone__lm_layer_norm(hone__lm *lm, hone__value *x, const char *name)
{
    hone__value *w = hone__lm_vector(lm, lm->width, "%s.weight", name);
    hone__value *b = hone__lm_vector(lm, lm->width, "%s.bias", name);
    return hone__emit(&lm->b, "LayerNormalization", name, HONE__INS(x, w, b),
                      HONE__ATTRS(hone__a_int("axis", -1), hone__a_float("epsilon", lm->epsilon)));
}

hone__value *hone__lm_embed(hone__lm *lm, const char *name, hone__value **table)
{
    *table = hone__lm_weight(lm, 2, (int64_t[]){lm->vocab, lm->width}, "%s", name);
    return HONE__LM("Gather", *table, lm->ids);
}

hone__value *hone__lm_head(hone__lm *lm, hone__value *x, hone__value *table)
{
    lm->prefix = ""; /* a head of its own stands beside the model */
    if (!table) return hone__lm_linear(lm, x, lm->width, lm->vocab, false, "lm_head");
    return hone__emit(&lm->b, "MatMul", "lm_head", HONE__INS(x, transposed(lm, table)), HONE__NO_ATTRS);
}

int64_t hone__lm_even_heads(hone__lm *lm)
{
    if (lm->config.status == HONE_OK && lm->width % lm->heads)
        hone__hf_fail(&lm->config, hone__fail(HONE_E_FORMAT, "a width of %lld does not divide into %lld heads",
                                              (long long)lm->width, (long long)lm->heads));
    return lm->width / lm->heads > 0 ? lm->width / lm->heads : 1;
}

static hone__value *gelu(hone__lm *lm, hone__value *x, const char *approximate)
{
    return hone__emit(&lm->b, "Gelu", "Gelu", HONE__INS(x), HONE__ATTRS(hone__a_string("approximate", approximate)));
}

static hone__value *quick_gelu(hone__lm *lm, hone__value *x)
{
    return HONE__LM("Mul", x, HONE__LM("Sigmoid", HONE__LM("Mul", x, hone__emit_scalar(&lm->b, 1.702f))));
}

hone__value *hone__lm_activation(hone__lm *lm, hone__value *x, const char *name)
{
    static const char *const tanh_names[] = {"gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_python_tanh",
                                             "gelu_accurate"};
    for (size_t i = 0; i < sizeof tanh_names / sizeof *tanh_names; i++)
        if (!strcmp(name, tanh_names[i])) return gelu(lm, x, "tanh");
    if (!strcmp(name, "gelu") || !strcmp(name, "gelu_python")) return gelu(lm, x, "none");
    if (!strcmp(name, "silu") || !strcmp(name, "swish")) return HONE__LM("Mul", x, HONE__LM("Sigmoid", x));
    if (!strcmp(name, "quick_gelu")) return quick_gelu(lm, x);
    if (!strcmp(name, "relu")) return HONE__LM("Relu", x);
    if (!strcmp(name, "tanh")) return HONE__LM("Tanh", x);
    if (!strcmp(name, "sigmoid")) return HONE__LM("Sigmoid", x);
    if (!strcmp(name, "relu2")) {
        x = HONE__LM("Relu", x);
        return HONE__LM("Mul", x, x);
    }
    hone__lm_fail(lm, hone__fail(HONE_E_UNSUPPORTED,
                                 "%s: activation '%s' is not known (gelu, gelu_new, gelu_pytorch_tanh, silu, "
                                 "quick_gelu, relu, relu2, tanh, sigmoid are)",
                                 lm->config.path, name));
    return NULL;
}
