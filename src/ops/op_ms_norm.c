/* op_ms_norm.c: com.microsoft's SkipLayerNormalization, SkipSimplifiedLayerNormalization, EmbedLayerNormalization and
 * its form with tables of bytes; float32, other floats through it. */
#include <math.h>
#include <string.h>

#include "kernels/norm/norm.h"
#include "widen.h"

/* Row `row` of a tensor whose leading axes may be broadcast: rows repeat. */
static const float *row_of(const hone__tensor *t, size_t row, size_t cols)
{
    return (const float *)t->data + row % (t->count / cols) * cols;
}

static const float *optional(const hone__run *r, int i, size_t want, hone_status *s)
{
    if (i >= r->input_count || !r->in[i]) return NULL;
    if (r->in[i]->count != want)
        *s = hone__fail(HONE_E_SHAPE, "input %d has %zu values, expected %zu", i, r->in[i]->count, want);
    return r->in[i]->data;
}

static hone_status infer_skip(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 3, 5));
    HONE__TRY(hone__infer_float(x, 0));
    const hone__shape *s = &x->in[0].shape;
    hone__infer_same(x, 0, 0);
    if (s->rank == 0) return hone__fail(HONE_E_SHAPE, "input 0 is a scalar");
    for (int i = 1; i < x->output_count && i < 3; i++) {
        x->out[i] = (hone__type){HONE_F32, *s};
        if (s->rank > 0) x->out[i].shape.dims[s->rank - 1] = 1;
    }
    if (x->output_count > 3) x->out[3] = x->in[0];
    return HONE_OK;
}

static hone_status run_skip(hone__run *r, bool simple)
{
    const hone__tensor *x = r->in[0], *skip = r->in[1];
    size_t cols = (size_t)x->dims[x->rank - 1], rows = cols ? x->count / cols : 0;
    hone_status s = HONE_OK;
    const float *gamma = optional(r, 2, cols, &s), *beta = simple ? NULL : optional(r, 3, cols, &s),
                *bias = optional(r, simple ? 3 : 4, cols, &s);
    float eps = hone__node_float(r->node, "epsilon", simple ? 1e-6f : 1e-12f), *y = hone__out_data(r, 0);
    if (s != HONE_OK) return s;
    if (!x->count) return HONE_OK;
    if (!skip->count || skip->count % cols || x->count % skip->count)
        return hone__fail(HONE_E_SHAPE, "skip does not fit the input");
    for (size_t i = 0; i < rows; i++) {
        const float *a = (const float *)x->data + i * cols, *b = row_of(skip, i, cols);
        for (size_t k = 0; k < cols; k++) y[i * cols + k] = a[k] + b[k] + (bias ? bias[k] : 0);
    }
    if (r->output_count > 3 && r->out[3]) memcpy(hone__out_data(r, 3), y, x->bytes);
    float *mean = r->output_count > 1 && r->out[1] ? hone__out_data(r, 1) : NULL,
          *inv = r->output_count > 2 && r->out[2] ? hone__out_data(r, 2) : NULL;
    if (simple)
        hone__rms_norm_f32(y, y, rows, cols, eps, gamma, inv, r->pool);
    else
        hone__layer_norm_f32(y, y, rows, cols, eps, gamma, beta, mean, inv, r->pool);
    return HONE_OK;
}
static hone_status run_skip_layer(hone__run *r) { return run_skip(r, false); }
static hone_status run_skip_simple(hone__run *r) { return run_skip(r, true); }
HONE__WIDENED(skip_layer, NULL, run_skip_layer)
HONE__WIDENED(skip_simple, NULL, run_skip_simple)
const hone__op hone__op_ms_skip_layer_normalization = {"com.microsoft",         "SkipLayerNormalization", infer_skip,
                                                       wide_prepare_skip_layer, wide_run_skip_layer,      0};
const hone__op hone__op_ms_skip_simplified_layer_normalization = {
    "com.microsoft", "SkipSimplifiedLayerNormalization", infer_skip, wide_prepare_skip_simple, wide_run_skip_simple, 0};

/* Inputs: ids [batch, rows], segments?, words [V, cols], positions [P, cols], segment table?, gamma, beta, mask?,
 * position ids?. Outputs: rows, mask lengths [batch], and the sums before normalisation. */
static hone_status infer_embed_shapes(hone__infer *x)
{
    for (int i = 2; i <= 6; i++)
        if (i != 4 && !hone__has_input(x, i)) return hone__fail(HONE_E_SHAPE, "input %d is missing", i);
    HONE__TRY(hone__infer_rank(x, 0, 2));
    HONE__TRY(hone__infer_rank(x, 2, 2));
    HONE__TRY(hone__infer_rank(x, 3, 2));
    const hone__shape *s = &x->in[0].shape, *w = &x->in[2].shape;
    x->out[0].dtype = x->in[2].dtype;
    if (x->output_count > 1) x->out[1].dtype = HONE_I32;
    if (x->output_count > 2) x->out[2].dtype = x->in[2].dtype;
    if (s->rank < 0 || w->rank < 0) return HONE_OK;
    hone__infer_set(x, 0, x->in[2].dtype, 3, (int64_t[]){s->dims[0], s->dims[1], w->dims[1]});
    hone__infer_set(x, 1, HONE_I32, 1, s->dims);
    hone__infer_set(x, 2, x->in[2].dtype, 3, (int64_t[]){s->dims[0], s->dims[1], w->dims[1]});
    return HONE_OK;
}

static hone_status infer_embed(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 9));
    return infer_embed_shapes(x);
}

/* A table of float32, or of bytes with one scale and zero point. */
typedef struct table {
    const hone__tensor *t;
    float scale;
    int32_t zero;
} table;

static const hone__tensor *maybe(const hone__run *r, int i) { return i < r->input_count ? r->in[i] : NULL; }

/* Where a table of bytes has its scale, and QEmbedLayerNormalization's five tables. */
enum { SCALES = 8, ZEROS = 13, TABLES = 5 };

static hone_status read_table(const hone__run *r, int i, bool bytes, table *out)
{
    *out = (table){.t = maybe(r, i), .scale = 1};
    if (!out->t || !bytes) return HONE_OK;
    const hone__tensor *scale = maybe(r, SCALES + i - 2), *zero = maybe(r, ZEROS + i - 2);
    if (!scale || scale->count != 1 || !zero || zero->count != 1)
        return hone__fail(HONE_E_SHAPE, "input %d has no scale or zero point of one value", i);
    out->scale = (float)hone__tensor_f64(scale, 0);
    out->zero = (int32_t)hone__tensor_i64(zero, 0);
    return HONE_OK;
}

static void add_values(const table *t, size_t from, size_t cols, float *to)
{
    if (t->t->dtype == HONE_F32)
        for (size_t k = 0; k < cols; k++) to[k] += ((const float *)t->t->data)[from + k];
    else
        for (size_t k = 0; k < cols; k++)
            to[k] += (float)((int32_t)hone__tensor_i64(t->t, from + k) - t->zero) * t->scale;
}

/* Adds row `id` of a table. */
static hone_status add_row(const table *t, int64_t id, size_t cols, const char *what, float *to)
{
    if (t->t->rank != 2 || (size_t)t->t->dims[1] != cols)
        return hone__fail(HONE_E_SHAPE, "the table of %ss does not fit", what);
    if (id < 0 || id >= t->t->dims[0])
        return hone__fail(HONE_E_ARGUMENT, "%s %lld of %lld", what, (long long)id, (long long)t->t->dims[0]);
    add_values(t, (size_t)id * cols, cols, to);
    return HONE_OK;
}

static hone_status add_rows(const hone__run *r, const table *tables, size_t cols, float *y)
{
    const hone__tensor *ids = r->in[0], *segments = maybe(r, 1),
                       *positions = tables[0].t->dtype == HONE_F32 ? maybe(r, 8) : NULL;
    size_t rows = (size_t)ids->dims[1];
    if ((segments && segments->count != ids->count) ||
        (positions && ids->count && (!positions->count || ids->count % positions->count)))
        return hone__fail(HONE_E_SHAPE, "segments or positions do not fit the ids");
    memset(y, 0, r->out[0]->bytes);
    for (size_t i = 0; i < ids->count; i++) {
        float *to = y + i * cols;
        int64_t at = positions ? hone__tensor_i64(positions, i % positions->count) : (int64_t)(i % rows);
        HONE__TRY(add_row(&tables[0], hone__tensor_i64(ids, i), cols, "id", to));
        HONE__TRY(add_row(&tables[1], at, cols, "position", to));
        if (tables[2].t)
            HONE__TRY(add_row(&tables[2], segments ? hone__tensor_i64(segments, i) : 0, cols, "segment", to));
    }
    return HONE_OK;
}

/* How many of a sequence's mask are 1. */
static hone_status count_mask(const hone__run *r)
{
    const hone__tensor *ids = r->in[0], *mask = maybe(r, 7);
    size_t rows = (size_t)ids->dims[1];
    if (mask && mask->count != ids->count) return hone__fail(HONE_E_SHAPE, "the mask does not fit the ids");
    for (size_t b = 0; r->output_count > 1 && r->out[1] && b < (size_t)ids->dims[0]; b++) {
        int32_t count = 0;
        for (size_t i = 0; mask && i < rows; i++) count += hone__tensor_i64(mask, b * rows + i) == 1;
        ((int32_t *)hone__out_data(r, 1))[b] = count;
    }
    return HONE_OK;
}

static hone_status embed(hone__run *r, bool bytes)
{
    size_t count = r->in[0]->count, cols = (size_t)r->in[2]->dims[1];
    table tables[TABLES];
    float *y = hone__out_data(r, 0);
    for (int i = 0; i < TABLES; i++) {
        HONE__TRY(read_table(r, 2 + i, bytes, &tables[i]));
        if (i > 2 && tables[i].t->count != cols)
            return hone__fail(HONE_E_SHAPE, "input %d has %zu values, expected %zu", 2 + i, tables[i].t->count, cols);
    }
    HONE__TRY(add_rows(r, tables, cols, y));
    HONE__TRY(count_mask(r));
    if (r->output_count > 2 && r->out[2] && r->out[2]->bytes) memcpy(hone__out_data(r, 2), y, r->out[0]->bytes);
    const float *gamma = tables[3].t->data, *beta = tables[4].t->data;
    if (bytes) {
        float *to = r->scratch;
        memset(to, 0, 2 * cols * sizeof *to);
        for (size_t i = 0; i < 2; i++) add_values(&tables[3 + i], 0, cols, to + i * cols);
        gamma = to, beta = to + cols;
    }
    if (count)
        hone__layer_norm_f32(y, y, count, cols, hone__node_float(r->node, "epsilon", 1e-12f), gamma, beta, NULL, NULL,
                             r->pool);
    return HONE_OK;
}
static hone_status run_embed(hone__run *r) { return embed(r, false); }
HONE__WIDENED_BUT(embed, NULL, run_embed, 1U << 0 | 1U << 1 | 1U << 7 | 1U << 8)
const hone__op hone__op_ms_embed_layer_normalization = {
    "com.microsoft", "EmbedLayerNormalization", infer_embed, wide_prepare_embed, wide_run_embed, 0};

/* QEmbedLayerNormalization: the same with tables, gamma and beta of bytes; their scales and zero points follow the
 * mask. */
static hone_status infer_qembed(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 18));
    HONE__TRY(infer_embed_shapes(x));
    for (int i = 2; i <= 6; i++)
        if (x->in[i].dtype && x->in[i].dtype != HONE_U8 && x->in[i].dtype != HONE_I8)
            return hone__fail(HONE_E_SHAPE, "input %d is %s", i, hone_dtype_name(x->in[i].dtype));
    if (!hone__has_input(x, SCALES)) return hone__fail(HONE_E_SHAPE, "input %d is missing", SCALES);
    HONE__TRY(hone__infer_float(x, SCALES));
    x->out[0].dtype = x->in[SCALES].dtype;
    if (x->output_count > 2) return hone__fail(HONE_E_SHAPE, "has %d outputs", x->output_count);
    return HONE_OK;
}

static hone_status prepare_qembed(hone__prepare *p)
{
    p->scratch = 2 * ((size_t)p->in[2]->dims[1] + 1) * sizeof(float);
    return HONE_OK;
}

static hone_status run_qembed(hone__run *r) { return embed(r, true); }
HONE__WIDENED_BUT(qembed, prepare_qembed, run_qembed, ~(0x1fU << SCALES))
const hone__op hone__op_ms_qembed_layer_normalization = {
    "com.microsoft", "QEmbedLayerNormalization", infer_qembed, wide_prepare_qembed, wide_run_qembed, 0};

/* GatedRMSNorm: groups of the scale's length along the last axis, normalised and times an activation of the gate. */
static hone_status infer_gated(hone__infer *x)
{
    const hone__shape *s = &x->in[0].shape, *w = &x->in[1].shape, *g = &x->in[2].shape;
    const char *act = hone__node_string(x->node, "activation", "silu");
    HONE__TRY(hone__infer_arity(x, 3, 3));
    for (int i = 0; i < 3; i++) HONE__TRY(hone__infer_float(x, i));
    HONE__TRY(hone__infer_rank(x, 1, 1));
    if (strcmp(act, "silu") && strcmp(act, "swish") && strcmp(act, "sigmoid"))
        return hone__fail(HONE_E_UNSUPPORTED, "activation '%.20s'", act);
    hone__infer_same(x, 0, 0);
    if (s->rank == 0 || (g->rank >= 0 && s->rank >= 0 && g->rank != s->rank))
        return hone__fail(HONE_E_SHAPE, "the input has rank %d, the gate %d", s->rank, g->rank);
    for (int i = 0; i < s->rank && g->rank >= 0; i++)
        if (!hone__dims_agree(s->dims[i], g->dims[i])) return hone__fail(HONE_E_SHAPE, "the gate's axis %d differs", i);
    if (s->rank > 0 && w->rank == 1 && w->dims[0] >= 0 && s->dims[s->rank - 1] >= 0 &&
        (!w->dims[0] || s->dims[s->rank - 1] % w->dims[0]))
        return hone__fail(HONE_E_SHAPE, "%lld values in groups of %lld", (long long)s->dims[s->rank - 1],
                          (long long)w->dims[0]);
    return HONE_OK;
}

static hone_status run_gated(hone__run *r)
{
    size_t count = r->in[0]->count, group = r->in[1]->count;
    const float *gate = r->in[2]->data;
    bool sigmoid = !strcmp(hone__node_string(r->node, "activation", "silu"), "sigmoid");
    float *y = hone__out_data(r, 0);
    if (!count) return HONE_OK;
    hone__rms_norm_f32(r->in[0]->data, y, count / group, group, hone__node_float(r->node, "epsilon", 1e-5f),
                       r->in[1]->data, NULL, r->pool);
    for (size_t i = 0; i < count; i++) y[i] *= (sigmoid ? 1 : gate[i]) / (1 + expf(-gate[i]));
    return HONE_OK;
}
HONE__WIDENED(gated, NULL, run_gated)
const hone__op hone__op_ms_gated_rms_norm = {"com.microsoft",    "GatedRMSNorm", infer_gated,
                                             wide_prepare_gated, wide_run_gated, 0};
