/* op_random.c: RandomUniform, RandomNormal and their Like forms, Bernoulli, Multinomial. With a seed every run of a
 * node gives the same numbers; without one each run of the process gives others. The generator is splitmix64 (Steele,
 * Lea, Flood 2014). */
#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "random.h"

static uint64_t next(hone__random *g)
{
    uint64_t z = g->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* In [0, 1) */
double hone__random_uniform(hone__random *g) { return (double)(next(g) >> 11) * 0x1p-53; }

static double normal(hone__random *g) /* Box and Muller */
{
    double u = 1 - hone__random_uniform(g), v = hone__random_uniform(g);
    return sqrt(-2 * log(u)) * cos(6.28318530717958647692 * v);
}

hone__random hone__random_start(const hone__node *n)
{
    static atomic_uint_fast64_t runs;
    const hone__attr *seed = hone__node_attr(n, "seed");
    hone__random g = {0};
    if (seed) {
        double s = seed->kind == HONE__ATTR_INT ? (double)seed->i : seed->f;
        memcpy(&g.state, &s, sizeof g.state);
    } else {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        g.state =
            (uint64_t)t.tv_sec * 1000000007u + (uint64_t)t.tv_nsec + atomic_fetch_add(&runs, 1) * 0x5851f42d4c957f2du;
    }
    g.state ^= (uint64_t)n->id << 40;
    next(&g);
    return g;
}

/* The attribute dtype, or `otherwise`; floats only, but where integers make sense. */
static hone_status read_type(hone__infer *x, hone_dtype otherwise)
{
    int64_t to = hone__node_int(x->node, "dtype", otherwise);
    if (to < 0 || to >= HONE_DTYPE_COUNT || to == HONE_STRING)
        return hone__fail(HONE_E_SHAPE, "dtype is %lld", (long long)to);
    x->out[0].dtype = (hone_dtype)to;
    return HONE_OK;
}

static hone_status infer_shaped(hone__infer *x)
{
    size_t count;
    const int64_t *shape = hone__node_ints(x->node, "shape", &count);
    HONE__TRY(hone__infer_arity(x, 0, 0));
    HONE__TRY(read_type(x, HONE_F32));
    if (!shape || count > HONE_MAX_RANK) return hone__fail(HONE_E_SHAPE, "the shape is missing or too long");
    for (size_t i = 0; i < count; i++)
        if (shape[i] < 0) return hone__fail(HONE_E_SHAPE, "shape[%zu] is %lld", i, (long long)shape[i]);
    hone__infer_set(x, 0, x->out[0].dtype, (int)count, shape);
    return HONE_OK;
}

static hone_status infer_like(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    HONE__TRY(read_type(x, x->in[0].dtype));
    x->out[0].shape = x->in[0].shape;
    return HONE_OK;
}

static hone_status run_uniform(hone__run *r)
{
    double low = hone__node_float(r->node, "low", 0), high = hone__node_float(r->node, "high", 1);
    hone__random g = hone__random_start(r->node);
    for (size_t i = 0; i < r->out[0]->count; i++)
        hone__element_set_f64(r->out[0]->dtype, hone__out_data(r, 0), i, low + (high - low) * hone__random_uniform(&g));
    return HONE_OK;
}

static hone_status run_normal(hone__run *r)
{
    double mean = hone__node_float(r->node, "mean", 0), scale = hone__node_float(r->node, "scale", 1);
    hone__random g = hone__random_start(r->node);
    for (size_t i = 0; i < r->out[0]->count; i++)
        hone__element_set_f64(r->out[0]->dtype, hone__out_data(r, 0), i, mean + scale * normal(&g));
    return HONE_OK;
}
const hone__op hone__op_random_uniform = {"", "RandomUniform", infer_shaped, NULL, run_uniform, HONE__OP_RANDOM};
const hone__op hone__op_random_normal = {"", "RandomNormal", infer_shaped, NULL, run_normal, HONE__OP_RANDOM};
const hone__op hone__op_random_uniform_like = {"", "RandomUniformLike", infer_like, NULL, run_uniform, HONE__OP_RANDOM};
const hone__op hone__op_random_normal_like = {"", "RandomNormalLike", infer_like, NULL, run_normal, HONE__OP_RANDOM};

/* 1 with the input's probability */
static hone_status run_bernoulli(hone__run *r)
{
    hone_dtype d = r->out[0]->dtype;
    hone__random g = hone__random_start(r->node);
    for (size_t i = 0; i < r->out[0]->count; i++) {
        bool one = hone__random_uniform(&g) < hone__tensor_f64(r->in[0], i);
        if (d == HONE_BOOL)
            ((uint8_t *)hone__out_data(r, 0))[i] = one;
        else
            hone__element_set_f64(d, hone__out_data(r, 0), i, one);
    }
    return HONE_OK;
}
const hone__op hone__op_bernoulli = {"", "Bernoulli", infer_like, NULL, run_bernoulli, HONE__OP_RANDOM};

/* Rows of unnormalised logarithms of probabilities. */
static hone_status infer_multinomial(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    HONE__TRY(hone__infer_float(x, 0));
    HONE__TRY(hone__infer_rank(x, 0, 2));
    HONE__TRY(read_type(x, HONE_I32));
    int64_t n = hone__node_int(x->node, "sample_size", 1);
    if (n < 1) return hone__fail(HONE_E_SHAPE, "sample_size is %lld", (long long)n);
    hone__infer_set(x, 0, x->out[0].dtype, 2, (int64_t[]){x->in[0].shape.rank == 2 ? x->in[0].shape.dims[0] : -1, n});
    return HONE_OK;
}
static hone_status run_multinomial(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    size_t classes = (size_t)x->dims[1], n = (size_t)r->out[0]->dims[1];
    hone__random g = hone__random_start(r->node);
    if (r->out[0]->count && !classes) return hone__fail(HONE_E_SHAPE, "there are no classes");
    for (size_t i = 0; i < r->out[0]->count; i++) {
        size_t base = i / n * classes, pick = 0;
        double peak = -INFINITY, sum = 0;
        for (size_t c = 0; c < classes; c++) peak = fmax(peak, hone__tensor_f64(x, base + c));
        for (size_t c = 0; c < classes; c++) sum += exp(hone__tensor_f64(x, base + c) - peak);
        double left = hone__random_uniform(&g) * sum;
        for (size_t c = 0; c < classes; c++) {
            pick = c;
            left -= exp(hone__tensor_f64(x, base + c) - peak);
            if (left < 0) break;
        }
        hone__element_set_i64(r->out[0]->dtype, hone__out_data(r, 0), i, (int64_t)pick);
    }
    return HONE_OK;
}
const hone__op hone__op_multinomial = {"", "Multinomial", infer_multinomial, NULL, run_multinomial, HONE__OP_RANDOM};
