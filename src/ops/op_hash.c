/* op_hash.c: texts to numbered buckets by hashes that other programs compute alike: StringToHashBucketFast of ONNX
 * Runtime's extensions (ai.onnx.contrib), and what no other domain has (hone.text): StringToHashBucketStrong and
 * CrossHashed, after TensorFlow's string_to_hash_bucket_strong and sparse_cross_hashed. */
#include "fingerprint.h"
#include "string_values.h"

static hone_status infer_fast(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    HONE__TRY(hone__infer_strings(x, 0));
    if (x->in[1].dtype && x->in[1].dtype != HONE_I64)
        return hone__fail(HONE_E_SHAPE, "input 1 is %s, expected int64", hone_dtype_name(x->in[1].dtype));
    x->out[0] = (hone__type){HONE_I64, x->in[0].shape};
    return HONE_OK;
}

static hone_status run_fast(hone__run *r)
{
    if (r->in[1]->count != 1) return hone__fail(HONE_E_SHAPE, "%zu numbers of buckets, expected 1", r->in[1]->count);
    int64_t buckets = *(const int64_t *)r->in[1]->data, *y = hone__out_data(r, 0);
    if (buckets < 1) return hone__fail(HONE_E_SHAPE, "%lld buckets", (long long)buckets);
    for (size_t i = 0; i < r->in[0]->count; i++) {
        hone__string s = hone__strings_in(r, 0)[i];
        y[i] = (int64_t)(hone__fingerprint64(s.data, s.size) % (uint64_t)buckets);
    }
    return HONE_OK;
}
const hone__op hone__op_contrib_string_to_hash_bucket_fast = {
    "ai.onnx.contrib", "StringToHashBucketFast", infer_fast, NULL, run_fast, HONE__OP_STRINGS};

/* Attribute num_buckets, at least 1. */
static hone_status buckets_of(const hone__node *node, uint64_t *buckets)
{
    int64_t n = hone__node_int(node, "num_buckets", 0);
    if (n < 1) return hone__fail(HONE_E_SHAPE, "attribute num_buckets is %lld, expected 1 or more", (long long)n);
    *buckets = (uint64_t)n;
    return HONE_OK;
}

/* Attribute key: the two words of SipHash's key. */
static hone_status key_of(const hone__node *node, uint64_t key[2])
{
    size_t n = 0;
    const int64_t *words = hone__node_ints(node, "key", &n);
    if (!words || n != 2) return hone__fail(HONE_E_SHAPE, "attribute key must have two numbers");
    key[0] = (uint64_t)words[0], key[1] = (uint64_t)words[1];
    return HONE_OK;
}

static hone_status infer_strong(hone__infer *x)
{
    uint64_t key[2], buckets = 1;
    HONE__TRY(hone__infer_arity(x, 1, 1));
    HONE__TRY(hone__infer_strings(x, 0));
    HONE__TRY(buckets_of(x->node, &buckets));
    x->out[0] = (hone__type){HONE_I64, x->in[0].shape};
    return key_of(x->node, key);
}

static hone_status run_strong(hone__run *r)
{
    uint64_t key[2], buckets = 1;
    int64_t *y = hone__out_data(r, 0);
    HONE__TRY(buckets_of(r->node, &buckets));
    HONE__TRY(key_of(r->node, key));
    for (size_t i = 0; i < r->in[0]->count; i++) {
        hone__string s = hone__strings_in(r, 0)[i];
        y[i] = (int64_t)(hone__siphash(key, s.data, s.size) % buckets);
    }
    return HONE_OK;
}
const hone__op hone__op_text_string_to_hash_bucket_strong = {
    "hone.text", "StringToHashBucketStrong", infer_strong, NULL, run_strong, HONE__OP_STRINGS};

/* Inputs of one shape, each of texts or int64, whose elements are crossed place by place. */
static hone_status infer_cross(hone__infer *x)
{
    uint64_t buckets;
    HONE__TRY(hone__infer_arity(x, 1, x->input_count));
    HONE__TRY(buckets_of(x->node, &buckets));
    x->out[0] = (hone__type){HONE_I64, x->in[0].shape};
    for (int i = 0; i < x->input_count; i++) {
        hone_dtype d = x->in[i].dtype;
        const hone__shape *s = &x->in[i].shape, *y = &x->out[0].shape;
        if (d && d != HONE_STRING && d != HONE_I64)
            return hone__fail(HONE_E_SHAPE, "input %d is %s, expected strings or int64", i, hone_dtype_name(d));
        bool fits = s->rank < 0 || y->rank < 0 || s->rank == y->rank;
        for (int k = 0; fits && k < s->rank && k < y->rank; k++)
            fits = s->dims[k] < 0 || y->dims[k] < 0 || s->dims[k] == y->dims[k];
        if (!fits) return hone__fail(HONE_E_SHAPE, "input %d has another shape than input 0", i);
    }
    return HONE_OK;
}

static hone_status run_cross(hone__run *r)
{
    uint64_t buckets = 1, key = (uint64_t)hone__node_int(r->node, "hash_key", 0xDECAFCAFFE);
    int64_t *y = hone__out_data(r, 0);
    HONE__TRY(buckets_of(r->node, &buckets));
    for (size_t i = 0; i < r->out[0]->count; i++) {
        uint64_t h = key;
        for (int k = 0; k < r->input_count; k++) {
            const hone__tensor *x = r->in[k];
            hone__string s = {0};
            if (x->dtype == HONE_STRING) s = hone__strings_in(r, k)[i];
            h = hone__fingerprint_joined(h, x->dtype == HONE_STRING ? hone__fingerprint64(s.data, s.size)
                                                                    : (uint64_t)((const int64_t *)x->data)[i]);
        }
        y[i] = (int64_t)(h % buckets);
    }
    return HONE_OK;
}
const hone__op hone__op_text_cross_hashed = {"hone.text", "CrossHashed", infer_cross,
                                             NULL,        run_cross,     HONE__OP_STRINGS};
