/* op_norm.c: BatchNormalization (inference), LayerNormalization, RMSNormalization, InstanceNormalization,
 * GroupNormalization, Softmax, LogSoftmax. float32, other floats through it. */
#include <math.h>
#include <string.h>

#include "infer.h"
#include "kernels/norm/norm.h"
#include "kernels/vec/vec.h"
#include "widen.h"

static hone_status need_f32(const hone__tensor *t)
{
    return t->dtype == HONE_F32 ? HONE_OK : hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(t->dtype));
}

static hone_status channel_params(const hone__infer *x, int first, int last)
{
    const hone__shape *s = &x->in[0].shape;
    if (s->rank >= 0 && s->rank < 2)
        return hone__fail(HONE_E_SHAPE, "input 0 has rank %d, expected at least 2", s->rank);
    for (int i = first; i <= last; i++) {
        HONE__TRY(hone__infer_rank(x, i, 1));
        if (s->rank >= 2 && x->in[i].shape.rank == 1 && !hone__dims_agree(x->in[i].shape.dims[0], s->dims[1]))
            return hone__fail(HONE_E_SHAPE, "input %d has %lld values for %lld channels", i,
                              (long long)x->in[i].shape.dims[0], (long long)s->dims[1]);
    }
    return HONE_OK;
}

static hone_status infer_batch_norm(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 5, 5));
    HONE__TRY(channel_params(x, 1, 4));
    hone__infer_same(x, 0, 0);
    if (x->output_count > 1 && !hone__node_int(x->node, "training_mode", 0))
        return hone__fail(HONE_E_SHAPE, "statistics outside training mode");
    for (int i = 1; i < x->output_count && i < 3; i++) x->out[i] = x->in[i + 2];
    return HONE_OK;
}

typedef struct planes {
    const float *x;
    float *y;
    size_t size, channels;
    const float *scale, *shift; /* per plane of a sample */
} planes;

static void scale_planes(void *ctx, size_t begin, size_t end, int thread)
{
    const planes *p = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++)
        hone__vec_scale_shift(p->x + i * p->size, p->scale[i % p->channels], p->shift[i % p->channels],
                              p->y + i * p->size, p->size);
}

static hone_status prepare_batch_norm(hone__prepare *p)
{
    HONE__TRY(need_f32(p->in[0]));
    p->scratch = 2 * (size_t)p->in[0]->dims[1] * sizeof(float);
    return HONE_OK;
}

/* Mean and variance of channel c over this batch; the running ones move toward them. */
static void batch_statistics(const hone__run *r, size_t c, double *mean, double *var)
{
    const hone__tensor *x = r->in[0];
    size_t channels = (size_t)x->dims[1], n = (size_t)x->dims[0], size = x->count / (n * channels);
    double momentum = hone__node_float(r->node, "momentum", 0.9f), sum = 0, squares = 0, count = (double)(n * size);
    for (size_t i = 0; i < n * size; i++) sum += ((const float *)x->data)[(i / size * channels + c) * size + i % size];
    for (size_t i = 0; i < n * size; i++) {
        double d = ((const float *)x->data)[(i / size * channels + c) * size + i % size] - sum / count;
        squares += d * d;
    }
    double now[2] = {sum / count, squares / count}, before[2] = {*mean, *var};
    for (int k = 0; k < 2; k++)
        if (r->output_count > k + 1 && r->out[k + 1])
            ((float *)hone__out_data(r, k + 1))[c] = (float)(before[k] * momentum + now[k] * (1 - momentum));
    *mean = now[0];
    *var = now[1];
}

static hone_status run_batch_norm(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    size_t c = (size_t)x->dims[1], n = (size_t)x->dims[0];
    const float *gamma = r->in[1]->data, *beta = r->in[2]->data, *mean = r->in[3]->data, *var = r->in[4]->data;
    float *scale = r->scratch, *shift = scale + c, eps = hone__node_float(r->node, "epsilon", 1e-5f);
    bool training = hone__node_int(r->node, "training_mode", 0) != 0;
    if (!x->count) return HONE_OK;
    for (size_t i = 0; i < c; i++) {
        double m = mean[i], v = var[i];
        if (training) batch_statistics(r, i, &m, &v);
        double s = gamma[i] / sqrt(v + eps);
        scale[i] = (float)s;
        shift[i] = (float)(beta[i] - m * s);
    }
    planes p = {x->data, hone__out_data(r, 0), x->count / (n * c), c, scale, shift};
    hone__pool_run(r->pool, n * c, 8192 / (p.size ? p.size : 1) + 1, scale_planes, &p);
    return HONE_OK;
}
HONE__WIDENED(batch_normalization, prepare_batch_norm, run_batch_norm)
const hone__op hone__op_batch_normalization = {"",
                                               "BatchNormalization",
                                               infer_batch_norm,
                                               wide_prepare_batch_normalization,
                                               wide_run_batch_normalization,
                                               HONE__OP_INPLACE};

static hone_status infer_rows(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 3));
    HONE__TRY(hone__infer_float(x, 0));
    const hone__shape *s = &x->in[0].shape;
    hone__infer_same(x, 0, 0);
    for (int i = 1; i < x->output_count; i++) x->out[i].dtype = HONE_F32;
    if (s->rank < 0) return HONE_OK;
    int axis;
    HONE__TRY(hone__axis(hone__node_int(x->node, "axis", -1), s->rank, &axis));
    for (int i = 1; i < x->output_count; i++) {
        x->out[i].shape = *s;
        for (int a = axis; a < s->rank; a++) x->out[i].shape.dims[a] = 1;
    }
    return HONE_OK;
}

static hone_status rows_of(const hone__run *r, size_t *rows, size_t *cols)
{
    const hone__tensor *x = r->in[0];
    int axis;
    HONE__TRY(need_f32(x));
    HONE__TRY(hone__axis(hone__node_int(r->node, "axis", -1), x->rank, &axis));
    *rows = 1;
    for (int i = 0; i < axis; i++) *rows *= (size_t)x->dims[i];
    *cols = *rows ? x->count / *rows : 0;
    for (int i = 1; i < r->input_count; i++)
        if (r->in[i] && r->in[i]->count != *cols)
            return hone__fail(HONE_E_UNSUPPORTED, "input %d has %zu values for rows of %zu", i, r->in[i]->count, *cols);
    return HONE_OK;
}

static hone_status run_layer_norm(hone__run *r)
{
    size_t rows, cols;
    HONE__TRY(rows_of(r, &rows, &cols));
    float *mean = r->output_count > 1 && r->out[1] ? hone__out_data(r, 1) : NULL;
    float *inv = r->output_count > 2 && r->out[2] ? hone__out_data(r, 2) : NULL;
    hone__layer_norm_f32(r->in[0]->data, hone__out_data(r, 0), rows, cols, hone__node_float(r->node, "epsilon", 1e-5f),
                         r->in[1]->data, r->input_count > 2 && r->in[2] ? r->in[2]->data : NULL, mean, inv, r->pool);
    return HONE_OK;
}
HONE__WIDENED(layer_normalization, NULL, run_layer_norm)
const hone__op hone__op_layer_normalization = {"",
                                               "LayerNormalization",
                                               infer_rows,
                                               wide_prepare_layer_normalization,
                                               wide_run_layer_normalization,
                                               HONE__OP_INPLACE};

static hone_status run_rms_norm(hone__run *r)
{
    size_t rows, cols;
    float *inv = r->output_count > 1 && r->out[1] ? hone__out_data(r, 1) : NULL;
    HONE__TRY(rows_of(r, &rows, &cols));
    hone__rms_norm_f32(r->in[0]->data, hone__out_data(r, 0), rows, cols, hone__node_float(r->node, "epsilon", 1e-5f),
                       r->in[1]->data, inv, r->pool);
    return HONE_OK;
}
HONE__WIDENED(rms_normalization, NULL, run_rms_norm)
const hone__op hone__op_rms_normalization = {
    "", "RMSNormalization", infer_rows, wide_prepare_rms_normalization, wide_run_rms_normalization, HONE__OP_INPLACE};

/* ONNX Runtime's name for it, in the standard domain: the result has the type of the scale. */
static hone_status infer_simplified(hone__infer *x)
{
    HONE__TRY(infer_rows(x));
    HONE__TRY(hone__infer_arity(x, 2, 2));
    HONE__TRY(hone__infer_float(x, 1));
    x->out[0].dtype = x->in[1].dtype;
    return HONE_OK;
}
const hone__op hone__op_simplified_layer_normalization = {"",
                                                          "SimplifiedLayerNormalization",
                                                          infer_simplified,
                                                          wide_prepare_rms_normalization,
                                                          wide_run_rms_normalization,
                                                          HONE__OP_INPLACE};

static hone_status infer_channels(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 3, 3));
    HONE__TRY(channel_params(x, 1, 2));
    hone__infer_same(x, 0, 0);
    return HONE_OK;
}

/* Each group of channels is normalised over its channels and all positions, then each channel scaled. */
static hone_status group_norm(hone__run *r, size_t groups)
{
    const hone__tensor *x = r->in[0];
    HONE__TRY(need_f32(x));
    size_t n = (size_t)x->dims[0], c = (size_t)x->dims[1];
    if (!groups || c % groups) return hone__fail(HONE_E_SHAPE, "%zu channels in %zu groups", c, groups);
    if (!x->count) return HONE_OK;
    hone__layer_norm_f32(x->data, hone__out_data(r, 0), n * groups, x->count / (n * groups),
                         hone__node_float(r->node, "epsilon", 1e-5f), NULL, NULL, NULL, NULL, r->pool);
    planes p = {r->out[0]->data, hone__out_data(r, 0), x->count / (n * c), c, r->in[1]->data, r->in[2]->data};
    hone__pool_run(r->pool, n * c, 8192 / p.size + 1, scale_planes, &p);
    return HONE_OK;
}
static hone_status run_group_norm(hone__run *r)
{
    int64_t g = hone__node_int(r->node, "num_groups", 0);
    return group_norm(r, g < 0 ? 0 : (size_t)g);
}
static hone_status run_instance_norm(hone__run *r) { return group_norm(r, (size_t)r->in[0]->dims[1]); }
HONE__WIDENED(group_normalization, NULL, run_group_norm)
const hone__op hone__op_group_normalization = {"",
                                               "GroupNormalization",
                                               infer_channels,
                                               wide_prepare_group_normalization,
                                               wide_run_group_normalization,
                                               HONE__OP_INPLACE};
HONE__WIDENED(instance_normalization, NULL, run_instance_norm)
const hone__op hone__op_instance_normalization = {"",
                                                  "InstanceNormalization",
                                                  infer_channels,
                                                  wide_prepare_instance_normalization,
                                                  wide_run_instance_normalization,
                                                  HONE__OP_INPLACE};

static hone_status infer_softmax(hone__infer *x)
{
    int axis;
    HONE__TRY(hone__infer_arity(x, 1, 1));
    HONE__TRY(hone__infer_float(x, 0));
    hone__infer_same(x, 0, 0);
    return x->in[0].shape.rank < 0 ? HONE_OK
                                   : hone__axis(hone__node_int(x->node, "axis", -1), x->in[0].shape.rank, &axis);
}

static hone_status softmax(hone__run *r, int log_softmax)
{
    const hone__tensor *x = r->in[0];
    size_t outer = 1, inner = 1;
    int axis;
    HONE__TRY(need_f32(x));
    HONE__TRY(hone__axis(hone__node_int(r->node, "axis", -1), x->rank, &axis));
    for (int i = 0; i < axis; i++) outer *= (size_t)x->dims[i];
    for (int i = axis + 1; i < x->rank; i++) inner *= (size_t)x->dims[i];
    if (x->count)
        hone__softmax_f32(x->data, hone__out_data(r, 0), outer, (size_t)x->dims[axis], inner, log_softmax, r->pool);
    return HONE_OK;
}
static hone_status run_softmax(hone__run *r) { return softmax(r, 0); }
static hone_status run_log_softmax(hone__run *r) { return softmax(r, 1); }
HONE__WIDENED(softmax, NULL, run_softmax)
const hone__op hone__op_softmax = {
    "", "Softmax", infer_softmax, wide_prepare_softmax, wide_run_softmax, HONE__OP_INPLACE};
HONE__WIDENED(log_softmax, NULL, run_log_softmax)
const hone__op hone__op_log_softmax = {
    "", "LogSoftmax", infer_softmax, wide_prepare_log_softmax, wide_run_log_softmax, HONE__OP_INPLACE};
