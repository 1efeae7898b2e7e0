/* op_ms_gather.c: com.microsoft GatherBlockQuantized: rows of a table in 2, 4 or 8 bits, with one scale (and zero
 * point) per block, as floats. */
#include <string.h>

#include "infer.h"

enum { DATA = 0, INDICES, SCALES, ZEROS };

typedef struct table {
    int64_t bits, block;
    int gather, quantize;
    bool packed;                 /* bytes that hold 8 / bits values each */
    int64_t dims[HONE_MAX_RANK]; /* of the values */
} table;

static hone_status read_table(const hone__node *n, hone_dtype d, const hone__shape *s, table *t)
{
    *t = (table){.bits = d == HONE_U8 ? hone__node_int(n, "bits", 4) : 4,
                 .block = hone__node_int(n, "block_size", 128),
                 .packed = d == HONE_U8};
    HONE__TRY(hone__axis(hone__node_int(n, "gather_axis", 0), s->rank, &t->gather));
    HONE__TRY(hone__axis(hone__node_int(n, "quantize_axis", s->rank - 1), s->rank, &t->quantize));
    if (d && d != HONE_U8 && d != HONE_U4 && d != HONE_I4)
        return hone__fail(HONE_E_SHAPE, "data is %s", hone_dtype_name(d));
    if ((t->bits != 2 && t->bits != 4 && t->bits != 8) || t->block < 16 || t->block > 1 << 20 ||
        (t->block & (t->block - 1)))
        return hone__fail(HONE_E_SHAPE, "bits is %lld and block_size %lld", (long long)t->bits, (long long)t->block);
    if (t->packed && t->quantize != s->rank - 1)
        return hone__fail(HONE_E_UNSUPPORTED, "packed bytes quantised along axis %d", t->quantize);
    memcpy(t->dims, s->dims, sizeof t->dims);
    if (t->packed) HONE__TRY(hone__dim_mul(t->dims[s->rank - 1], 8 / t->bits, &t->dims[s->rank - 1]));
    return HONE_OK;
}

static hone_status infer_gather(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 3, 4));
    HONE__TRY(hone__infer_float(x, SCALES));
    const hone__shape *s = &x->in[DATA].shape, *i = &x->in[INDICES].shape, *c = &x->in[SCALES].shape;
    table t;
    x->out[0].dtype = x->in[SCALES].dtype;
    if (s->rank < 0 || i->rank < 0) return HONE_OK;
    HONE__TRY(read_table(x->node, x->in[DATA].dtype, s, &t));
    if (s->rank - 1 + i->rank > HONE_MAX_RANK) return hone__fail(HONE_E_UNSUPPORTED, "rank over %d", HONE_MAX_RANK);
    HONE__TRY(hone__infer_rank(x, SCALES, s->rank));
    for (int a = 0; c->rank == s->rank && a < s->rank; a++) {
        int64_t want = a == t.quantize && t.dims[a] >= 0 ? (t.dims[a] + t.block - 1) / t.block : t.dims[a];
        if (!hone__dims_agree(c->dims[a], want))
            return hone__fail(HONE_E_SHAPE, "scales have size %lld on axis %d, expected %lld", (long long)c->dims[a], a,
                              (long long)want);
    }
    hone__shape o = {0};
    for (int a = 0; a < t.gather; a++) o.dims[o.rank++] = t.dims[a];
    for (int a = 0; a < i->rank; a++) o.dims[o.rank++] = i->dims[a];
    for (int a = t.gather + 1; a < s->rank; a++) o.dims[o.rank++] = t.dims[a];
    x->out[0].shape = o;
    return HONE_OK;
}

/* Value i of the table, or zero point i: packed ones have rows of whole bytes. */
static int64_t packed_at(const hone__tensor *t, size_t i, size_t cols, int64_t bits)
{
    size_t each = 8 / (size_t)bits, row = i / cols, col = i % cols, stride = (cols + each - 1) / each;
    return ((const uint8_t *)t->data)[row * stride + col / each] >> (col % each * (size_t)bits) & ((1 << bits) - 1);
}

static hone_status run_gather(hone__run *r)
{
    const hone__tensor *x = r->in[DATA], *ids = r->in[INDICES], *scales = r->in[SCALES],
                       *zeros = r->input_count > ZEROS ? r->in[ZEROS] : NULL;
    hone__shape s = {.rank = x->rank};
    table t;
    memcpy(s.dims, x->dims, sizeof s.dims);
    HONE__TRY(read_table(r->node, x->dtype, &s, &t));
    size_t inner = 1, outer = 1, behind = 1, n = (size_t)t.dims[t.gather], cols = (size_t)t.dims[x->rank - 1],
           along = (size_t)t.dims[t.quantize], blocks = (along + (size_t)t.block - 1) / (size_t)t.block;
    for (int a = 0; a < t.gather; a++) outer *= (size_t)t.dims[a];
    for (int a = t.gather + 1; a < x->rank; a++) inner *= (size_t)t.dims[a];
    for (int a = t.quantize + 1; a < x->rank; a++) behind *= (size_t)t.dims[a];
    size_t zero_cols = (size_t)scales->dims[x->rank - 1], each = 8 / (size_t)t.bits,
           zero_bytes = scales->count / (zero_cols ? zero_cols : 1) * ((zero_cols + each - 1) / each);
    if (zeros && (t.packed ? zeros->bytes != zero_bytes : zeros->count != scales->count))
        return hone__fail(HONE_E_SHAPE, "zero points do not fit the scales");
    int64_t middle =
        t.packed ? (int64_t)1 << (t.bits - 1) : 0; /* what a packed value without zero point is relative to */
    hone_dtype d = r->out[0]->dtype;
    size_t to = 0;
    for (size_t o = 0; o < outer; o++)
        for (size_t k = 0; k < ids->count; k++) {
            int64_t id = hone__tensor_i64(ids, k);
            if (id < -(int64_t)n || id >= (int64_t)n)
                return hone__fail(HONE_E_ARGUMENT, "index %lld of %zu", (long long)id, n);
            size_t from = (o * n + (size_t)(id < 0 ? id + (int64_t)n : id)) * inner;
            for (size_t i = from; i < from + inner; i++, to++) {
                size_t at = (i / behind / along * blocks + i / behind % along / (size_t)t.block) * behind + i % behind;
                int64_t v = t.packed ? packed_at(x, i, cols, t.bits) : hone__tensor_i64(x, i);
                int64_t z = !zeros     ? middle
                            : t.packed ? packed_at(zeros, at, zero_cols, t.bits)
                                       : hone__tensor_i64(zeros, at);
                hone__element_set_f64(d, hone__out_data(r, 0), to,
                                      (double)((float)(v - z) * (float)hone__tensor_f64(scales, at)));
            }
        }
    return HONE_OK;
}
const hone__op hone__op_ms_gather_block_quantized = {
    "com.microsoft", "GatherBlockQuantized", infer_gather, NULL, run_gather, 0};
