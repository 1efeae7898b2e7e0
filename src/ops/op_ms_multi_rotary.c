/* op_ms_multi_rotary.c: com.microsoft's MRotaryEmbedding: rotary embedding whose angles come from three positions of a
 * row, in time, height and width (Qwen2-VL). x [batch, heads, rows, size] or [batch, rows, heads * size], positions
 * [3, batch, rows], cos and sin [most, half]. */
#include "attention.h"
#include "widen.h"

enum { X = 0, POSITIONS, COS, SIN };

/* How many pairs each of the three turns; false where that makes no sense. */
static bool read_sections(const hone__node *n, int64_t sections[3])
{
    size_t count;
    const int64_t *list = hone__node_ints(n, "mrope_section", &count);
    if (!list || count != 3) return false;
    for (int i = 0; i < 3; i++) {
        sections[i] = list[i];
        if (list[i] < 0 || list[i] > INT32_MAX) return false;
    }
    return true;
}

static hone_status infer_multi(hone__infer *x)
{
    int64_t sections[3], layout = hone__node_int(x->node, "mrope_layout", 0);
    HONE__TRY(hone__infer_arity(x, 4, 4));
    HONE__TRY(hone__infer_float(x, X));
    HONE__TRY(hone__infer_rank(x, POSITIONS, 3));
    HONE__TRY(hone__infer_rank(x, COS, 2));
    HONE__TRY(hone__infer_rank(x, SIN, 2));
    hone__infer_same(x, 0, X);
    int rank = x->in[X].shape.rank;
    if (rank >= 0 && rank != 3 && rank != 4)
        return hone__fail(HONE_E_SHAPE, "input 0 has rank %d, expected 3 or 4", rank);
    if (!read_sections(x->node, sections)) return hone__fail(HONE_E_SHAPE, "mrope_section makes no sense");
    if (layout < 0 || layout > 1) return hone__fail(HONE_E_UNSUPPORTED, "mrope_layout %lld", (long long)layout);
    if (hone__node_int(x->node, "is_packed_batching", 0)) return hone__fail(HONE_E_UNSUPPORTED, "is_packed_batching");
    if (hone__node_float(x->node, "scale", 1) != 1) return hone__fail(HONE_E_UNSUPPORTED, "scale");
    return HONE_OK;
}

static hone_status prepare_multi(hone__prepare *p)
{
    p->scratch = 2 * ((size_t)p->in[COS]->dims[1] + 1) * sizeof(float);
    return HONE_OK;
}

typedef struct job {
    const hone__run *r;
    int64_t sections[3];
    bool between; /* heights and widths lie between times */
    size_t rows, half;
} job;

/* Which of the three positions turns pair i. */
static size_t stream_of(const job *j, size_t i)
{
    int64_t k = (int64_t)i;
    if (!j->between) return k < j->sections[0] ? 0 : k < j->sections[0] + j->sections[1] ? 1 : 2;
    return k % 3 && k < 3 * j->sections[k % 3] ? i % 3 : 0;
}

/* Cosines and sines of row i of all batches. */
static hone_status fill_angles(const job *j, size_t i, float *angles)
{
    const hone__tensor *at = j->r->in[POSITIONS], *c = j->r->in[COS], *s = j->r->in[SIN];
    for (size_t k = 0; k < j->half; k++) {
        int64_t p = hone__tensor_i64(at, stream_of(j, k) * j->rows + i);
        if (p < 0 || p >= c->dims[0])
            return hone__fail(HONE_E_ARGUMENT, "position %lld of %lld", (long long)p, (long long)c->dims[0]);
        angles[k] = ((const float *)c->data)[(size_t)p * j->half + k];
        angles[j->half + k] = ((const float *)s->data)[(size_t)p * j->half + k];
    }
    return HONE_OK;
}

static hone_status run_multi(hone__run *r)
{
    const hone__tensor *x = r->in[X], *at = r->in[POSITIONS], *c = r->in[COS], *s = r->in[SIN];
    bool packed = x->rank == 3, interleaved = hone__node_int(r->node, "interleaved", 0) != 0;
    int64_t turned = hone__node_int(r->node, "rotary_embedding_dim", 0),
            given = hone__node_int(r->node, "num_heads", 0);
    size_t batch = (size_t)x->dims[0], rows = (size_t)x->dims[packed ? 1 : 2], width = (size_t)x->dims[packed ? 2 : 3];
    job j = {.r = r, .between = hone__node_int(r->node, "mrope_layout", 0) != 0, .rows = batch * rows};
    j.half = (size_t)c->dims[1];
    if (!x->count) return HONE_OK;
    size_t size = !packed ? width : given > 0 ? width / (size_t)given : 2 * j.half;
    if (!j.half || s->count != c->count || s->dims[1] != c->dims[1] || 2 * j.half > size || width % size ||
        (turned > 0 && (size_t)turned != 2 * j.half))
        return hone__fail(HONE_E_SHAPE, "cos_cache or sin_cache does not fit %zu values", size);
    if (!read_sections(r->node, j.sections) || (size_t)(j.sections[0] + j.sections[1] + j.sections[2]) != j.half)
        return hone__fail(HONE_E_SHAPE, "mrope_section does not fit %zu pairs", j.half);
    if (at->dims[0] != 3 || at->count != 3 * j.rows)
        return hone__fail(HONE_E_SHAPE, "position_ids has %zu values, expected 3 of %zu rows", at->count, j.rows);
    size_t heads = packed ? width / size : (size_t)x->dims[1];
    float *angles = r->scratch;
    for (size_t i = 0; i < j.rows; i++) {
        HONE__TRY(fill_angles(&j, i, angles));
        for (size_t h = 0; h < heads; h++) {
            size_t from = packed ? (i * heads + h) * size : ((i / rows * heads + h) * rows + i % rows) * size;
            hone__rotate((const float *)x->data + from, angles, angles + j.half, (float *)hone__out_data(r, 0) + from,
                         size, j.half, interleaved);
        }
    }
    return HONE_OK;
}
HONE__WIDENED_BUT(multi, prepare_multi, run_multi, 1U << POSITIONS)
const hone__op hone__op_ms_multi_rotary_embedding = {"com.microsoft",    "MRotaryEmbedding", infer_multi,
                                                     wide_prepare_multi, wide_run_multi,     HONE__OP_INPLACE};
