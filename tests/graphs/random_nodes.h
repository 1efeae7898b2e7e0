/* random_nodes.h: nodes drawn from a seed or from a fuzzer's bytes: float operators that passes rewrite, and their
 * neighbours, over values drawn before. Every value keeps its batch in axis 0. */
#ifndef HONE_TESTS_RANDOM_NODES_H
#define HONE_TESTS_RANDOM_NODES_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "graph/builder.h"
#include "ops/eval.h"

typedef struct draw {
    uint64_t state;             /* of the generator */
    const uint8_t *bytes, *end; /* a fuzzer's, which decide as long as there are some; NULL: none */
    hone__builder b;
    hone__value *pool[64]; /* what nodes may read: in a body, values of the graphs around it, too */
    int count, depth;      /* depth: of bodies that are being drawn */
} draw;

static uint32_t draw_next(draw *d)
{
    if (d->bytes) return d->bytes < d->end ? *d->bytes++ : 0;
    d->state = d->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(d->state >> 33);
}
static int draw_int(draw *d, int low, int high) { return low + (int)(draw_next(d) % (uint32_t)(high - low + 1)); }
static bool draw_maybe(draw *d) { return draw_int(d, 0, 1); }

static int64_t dim_of(const hone__value *v, int axis) { return axis < v->shape.rank ? v->shape.dims[axis] : 1; }

/* Weights of about 1 / sqrt(inputs of a sum); `low`: the least value of positive ones. */
static hone__value *draw_weights(draw *d, int rank, const int64_t *dims, double scale, double low)
{
    float v[4096];
    size_t n = 1;
    for (int i = 0; i < rank; i++) n *= (size_t)dims[i];
    if (n > 4096) {
        hone__builder_fail(&d->b, hone__fail(HONE_E_LIMIT, "a weight of %zu elements", n));
        return NULL;
    }
    uint32_t seed = draw_next(d) * 2654435761u + 1; /* one choice per tensor: a fuzzer has few bytes */
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        double u = (double)(seed >> 8) / 8388608.0 - 1;
        v[i] = (float)(low > 0 ? low + (u + 1) * 0.5 : u * scale);
    }
    return hone__emit_f32(&d->b, "", v, rank, dims);
}

static hone__value *draw_value(draw *d) { return d->pool[draw_int(d, 0, d->count - 1)]; }

/* The newest value of this rank, or another: graphs should be deep. */
static hone__value *draw_rank(draw *d, int least, int most)
{
    int skip = draw_int(d, 0, 2);
    hone__value *found = NULL;
    for (int i = d->count - 1; i >= 0; i--)
        if (d->pool[i]->shape.rank >= least && d->pool[i]->shape.rank <= most) {
            found = d->pool[i];
            if (!skip--) break;
        }
    return found;
}

static hone__value *draw_unary(draw *d)
{
    static const char *const names[] = {"Relu",        "Sigmoid", "Tanh",     "LeakyRelu", "HardSwish",
                                        "HardSigmoid", "Elu",     "Softplus", "Identity",  "Abs",
                                        "Neg",         "Dropout", "Erf",      "Clip"};
    const char *op = names[draw_int(d, 0, 13)];
    hone__value *x = draw_rank(d, 1, 9);
    if (!strcmp(op, "Clip"))
        return hone__emit(&d->b, op, "", HONE__INS(x, hone__emit_scalar(&d->b, -0.5f), hone__emit_scalar(&d->b, 0.75f)),
                          HONE__NO_ATTRS);
    return hone__emit(&d->b, op, "", HONE__INS(x), HONE__NO_ATTRS);
}

static bool same_shape(const hone__value *a, const hone__value *b)
{
    return a->shape.rank == b->shape.rank &&
           !memcmp(a->shape.dims, b->shape.dims, (size_t)a->shape.rank * sizeof *a->shape.dims);
}

static hone__value *draw_partner(draw *d, const hone__value *x)
{
    for (int i = d->count - 1; i >= 0; i--)
        if (d->pool[i] != x && same_shape(d->pool[i], x)) return d->pool[i];
    return NULL;
}

static hone__value *draw_binary(draw *d)
{
    static const char *const names[] = {"Add", "Sub", "Mul", "Max", "Min"};
    hone__value *x = draw_value(d), *y = draw_partner(d, x);
    const char *op = names[draw_int(d, 0, 4)];
    if (!y) return NULL;
    return draw_maybe(d) ? hone__emit(&d->b, op, "", HONE__INS(x, y), HONE__NO_ATTRS)
                         : hone__emit(&d->b, op, "", HONE__INS(y, x), HONE__NO_ATTRS);
}

/* With a constant: a scalar, one value per channel, per last axis, or per element of a row. */
static hone__value *draw_scaled(draw *d)
{
    static const char *const names[] = {"Add", "Mul", "Sub", "Div"};
    hone__value *x = draw_value(d), *c;
    int op = draw_int(d, 0, 3), rank = x->shape.rank;
    int64_t dims[HONE_MAX_RANK] = {1}, all = 1;
    int kind = draw_int(d, 0, 3), n = 1;
    if (kind == 1 && rank > 1) {
        n = rank - 1;
        for (int i = 0; i < n; i++) dims[i] = i ? 1 : dim_of(x, 1);
    } else if (kind == 2)
        dims[0] = rank > 1 ? dim_of(x, rank - 1) : 1;
    else if (kind == 3 && rank > 1) {
        n = rank - 1;
        for (int i = 0; i < n; i++) all *= dims[i] = dim_of(x, i + 1);
        if (all > 4096) return NULL;
    } else
        n = draw_int(d, 0, 1);
    c = draw_weights(d, n, dims, 1, op == 3 ? 0.5 : 0);
    if (op < 3 && draw_maybe(d)) return hone__emit(&d->b, names[op], "", HONE__INS(c, x), HONE__NO_ATTRS);
    return hone__emit(&d->b, names[op], "", HONE__INS(x, c), HONE__NO_ATTRS);
}

static hone__value *draw_conv(draw *d)
{
    hone__value *x = draw_rank(d, 4, 4);
    if (!x || dim_of(x, 2) < 1 || dim_of(x, 3) < 1 || dim_of(x, 1) > 16) return NULL;
    int64_t c = dim_of(x, 1), out = draw_int(d, 1, 8), k = draw_maybe(d) ? 3 : 1, group = 1;
    if (draw_int(d, 0, 3) == 0) group = c, out = c * draw_int(d, 1, 2);
    int64_t pad = draw_int(d, 0, 1), dilation = k == 3 && draw_int(d, 0, 4) == 0 ? 2 : 1, stride = draw_int(d, 1, 2);
    for (int axis = 2; axis < 4; axis++)
        if (dim_of(x, axis) + 2 * pad < dilation * (k - 1) + 1) return NULL;
    int64_t pads[] = {pad, pad, pad, pad}, strides[] = {stride, stride}, dilations[] = {dilation, dilation};
    hone__value *w = draw_weights(d, 4, (int64_t[]){out, c / group, k, k}, 1 / sqrt((double)(c / group * k * k)), 0);
    hone__value *bias = draw_maybe(d) ? draw_weights(d, 1, &out, 1, 0) : NULL;
    return hone__emit(&d->b, "Conv", "", HONE__INS(x, w, bias),
                      HONE__ATTRS(hone__a_ints("pads", pads, 4), hone__a_ints("strides", strides, 2),
                                  hone__a_ints("dilations", dilations, 2), hone__a_int("group", group)));
}

static hone__value *draw_transposed_conv(draw *d)
{
    hone__value *x = draw_rank(d, 4, 4);
    if (!x || dim_of(x, 1) > 16 || dim_of(x, 2) > 8 || dim_of(x, 3) > 8) return NULL;
    int64_t c = dim_of(x, 1), out = draw_int(d, 1, 4), k = draw_int(d, 1, 3), stride = draw_int(d, 1, 2);
    int64_t strides[] = {stride, stride};
    return hone__emit(&d->b, "ConvTranspose", "",
                      HONE__INS(x, draw_weights(d, 4, (int64_t[]){c, out, k, k}, 1 / sqrt((double)(c * k)), 0),
                                draw_maybe(d) ? draw_weights(d, 1, &out, 1, 0) : NULL),
                      HONE__ATTRS(hone__a_ints("strides", strides, 2)));
}

static hone__value *draw_batch_norm(draw *d)
{
    hone__value *x = draw_rank(d, 2, 4);
    if (!x || dim_of(x, 1) > 64) return NULL;
    int64_t c = dim_of(x, 1);
    return hone__emit(&d->b, "BatchNormalization", "",
                      HONE__INS(x, draw_weights(d, 1, &c, 1, 0), draw_weights(d, 1, &c, 1, 0),
                                draw_weights(d, 1, &c, 1, 0), draw_weights(d, 1, &c, 1, 0.25)),
                      HONE__NO_ATTRS);
}

static hone__value *draw_pool(draw *d)
{
    hone__value *x = draw_rank(d, 4, 4);
    if (!x || dim_of(x, 2) < 2 || dim_of(x, 3) < 2) return NULL;
    const int64_t two[] = {2, 2}, ones[] = {1, 1}, pads[] = {0, 0, 1, 1}, none[] = {0, 0, 0, 0};
    int kind = draw_int(d, 0, 3);
    if (kind == 3) return hone__emit(&d->b, "GlobalAveragePool", "", HONE__INS(x), HONE__NO_ATTRS);
    return hone__emit(&d->b, kind == 2 ? "AveragePool" : "MaxPool", "", HONE__INS(x),
                      HONE__ATTRS(hone__a_ints("kernel_shape", two, 2),
                                  hone__a_ints("strides", draw_maybe(d) ? two : ones, 2),
                                  hone__a_ints("pads", draw_maybe(d) ? pads : none, 4)));
}

static hone__value *draw_product(draw *d)
{
    hone__value *x = draw_rank(d, 2, 4);
    if (!x) return NULL;
    int64_t k = dim_of(x, x->shape.rank - 1), n = draw_int(d, 1, 12);
    if (k < 1 || k > 256) return NULL;
    hone__value *bias = draw_maybe(d) ? draw_weights(d, 1, &n, 1, 0) : NULL;
    if (x->shape.rank == 2 && draw_maybe(d)) {
        bool turned = draw_maybe(d);
        hone__value *w = draw_weights(d, 2, turned ? (int64_t[]){n, k} : (int64_t[]){k, n}, 1 / sqrt((double)k), 0);
        return hone__emit(&d->b, "Gemm", "", HONE__INS(x, w, bias), HONE__ATTRS(hone__a_int("transB", turned)));
    }
    hone__value *y =
        hone__emit(&d->b, "MatMul", "", HONE__INS(x, draw_weights(d, 2, (int64_t[]){k, n}, 1 / sqrt((double)k), 0)),
                   HONE__NO_ATTRS);
    return bias ? hone__emit(&d->b, "Add", "", HONE__INS(y, bias), HONE__NO_ATTRS) : y;
}

static hone__value *draw_norm(draw *d)
{
    hone__value *x = draw_rank(d, 2, 4);
    if (!x) return NULL;
    int64_t n = dim_of(x, x->shape.rank - 1);
    if (draw_maybe(d) || n > 256)
        return hone__emit(&d->b, draw_maybe(d) ? "Softmax" : "LogSoftmax", "", HONE__INS(x),
                          HONE__ATTRS(hone__a_int("axis", draw_maybe(d) ? -1 : 1)));
    return hone__emit(&d->b, "LayerNormalization", "",
                      HONE__INS(x, draw_weights(d, 1, &n, 1, 0), draw_maybe(d) ? draw_weights(d, 1, &n, 1, 0) : NULL),
                      HONE__ATTRS(hone__a_float("epsilon", 1e-2)));
}

static hone__value *draw_transpose(draw *d)
{
    hone__value *x = draw_rank(d, 3, 4);
    int64_t perm[4] = {0, 1, 2, 3};
    if (!x) return NULL;
    int a = draw_int(d, 1, x->shape.rank - 1), b = draw_int(d, 1, x->shape.rank - 1);
    perm[a] = b;
    perm[b] = a;
    return hone__emit(&d->b, "Transpose", "", HONE__INS(x),
                      HONE__ATTRS(hone__a_ints("perm", perm, (size_t)x->shape.rank)));
}

static hone__value *draw_reshape(draw *d)
{
    hone__value *x = draw_rank(d, 2, 4);
    if (!x) return NULL;
    switch (draw_int(d, 0, 3)) {
    case 0: return hone__emit(&d->b, "Flatten", "", HONE__INS(x), HONE__ATTRS(hone__a_int("axis", 1)));
    case 1:
        return hone__emit(&d->b, "Reshape", "", HONE__INS(x, hone__emit_i64(&d->b, "", (int64_t[]){0, -1, 1}, 3)),
                          HONE__NO_ATTRS);
    case 2:
        return hone__emit(&d->b, "Unsqueeze", "", HONE__INS(x, hone__emit_i64(&d->b, "", (int64_t[]){1}, 1)),
                          HONE__NO_ATTRS);
    default: { /* by a shape that is computed */
        hone__value *shape = hone__emit(&d->b, "Shape", "", HONE__INS(x), HONE__NO_ATTRS);
        hone__value *first = hone__emit(&d->b, "Slice", "",
                                        HONE__INS(shape, hone__emit_i64(&d->b, "", (int64_t[]){0}, 1),
                                                  hone__emit_i64(&d->b, "", (int64_t[]){1}, 1)),
                                        HONE__NO_ATTRS);
        hone__value *whole =
            hone__emit(&d->b, "Concat", "", HONE__INS(first, hone__emit_i64(&d->b, "", (int64_t[]){-1}, 1)),
                       HONE__ATTRS(hone__a_int("axis", 0)));
        return hone__emit(&d->b, "Reshape", "", HONE__INS(x, whole), HONE__NO_ATTRS);
    }
    }
}

static hone__value *draw_concat(draw *d)
{
    hone__value *x = draw_rank(d, 2, 4), *y = x ? draw_partner(d, x) : NULL;
    if (!x) return NULL;
    return hone__emit(&d->b, "Concat", "", HONE__INS(x, y ? y : x),
                      HONE__ATTRS(hone__a_int("axis", draw_int(d, 1, x->shape.rank - 1))));
}

static hone__value *draw_slice(draw *d)
{
    hone__value *x = draw_rank(d, 2, 4);
    if (!x) return NULL;
    int64_t axis = draw_int(d, 1, x->shape.rank - 1), n = dim_of(x, (int)axis);
    if (n < 2) return NULL;
    int64_t begin = draw_int(d, 0, 1), end = n - draw_int(d, 0, n > 2);
    hone__value *ins[] = {x, hone__emit_i64(&d->b, "", &begin, 1), hone__emit_i64(&d->b, "", &end, 1),
                          hone__emit_i64(&d->b, "", &axis, 1)};
    return hone__emit(&d->b, "Slice", "", ins, 4, HONE__NO_ATTRS);
}

static hone__value *draw_split(draw *d)
{
    hone__value *x = draw_rank(d, 2, 4), *out[2];
    if (!x) return NULL;
    int axis = draw_int(d, 1, x->shape.rank - 1);
    if (dim_of(x, axis) < 2) return NULL;
    int64_t sizes[] = {1, dim_of(x, axis) - 1};
    hone__value *ins[] = {x, hone__emit_i64(&d->b, "", sizes, 2)};
    hone__emit_multi(&d->b, "Split", "", ins, 2, HONE__ATTRS(hone__a_int("axis", axis)), out, 2);
    return out[draw_int(d, 0, 1)];
}

static hone__value *draw_pad(draw *d)
{
    hone__value *x = draw_rank(d, 4, 4);
    int64_t pads[8] = {0};
    if (!x) return NULL;
    for (int i = 2; i < 4; i++) {
        pads[i] = draw_int(d, 0, 1);
        pads[i + 4] = draw_int(d, 0, 1);
    }
    return hone__emit(&d->b, "Pad", "", HONE__INS(x, hone__emit_i64(&d->b, "", pads, 8)), HONE__NO_ATTRS);
}

static hone__value *draw_reduce(draw *d)
{
    static const char *const names[] = {"ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2"};
    hone__value *x = draw_rank(d, 3, 4);
    if (!x) return NULL;
    int64_t axis = draw_int(d, 1, x->shape.rank - 1);
    return hone__emit(&d->b, names[draw_int(d, 0, 3)], "", HONE__INS(x, hone__emit_i64(&d->b, "", &axis, 1)),
                      HONE__ATTRS(hone__a_int("keepdims", draw_int(d, 0, 1))));
}

static hone__value *draw_attention(draw *d)
{
    hone__value *x = draw_rank(d, 3, 3);
    if (!x || dim_of(x, 1) > 32) return NULL;
    const int64_t perm[] = {0, 2, 1};
    hone__value *k = hone__emit(&d->b, "Transpose", "", HONE__INS(x), HONE__ATTRS(hone__a_ints("perm", perm, 3)));
    hone__value *s = hone__emit(&d->b, "MatMul", "", HONE__INS(x, k), HONE__NO_ATTRS);
    s = hone__emit(&d->b, "Softmax", "", HONE__INS(s), HONE__ATTRS(hone__a_int("axis", -1)));
    return hone__emit(&d->b, "MatMul", "", HONE__INS(s, x), HONE__NO_ATTRS);
}

#endif
