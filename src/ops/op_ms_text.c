/* op_ms_text.c: com.microsoft's operators on tokens and texts: MurmurHash3, NGramRepeatBlock, DynamicTimeWarping,
 * BifurcationDetector, WordConvEmbedding. */
#include <math.h>
#include <string.h>

#include "string_values.h"
#include "widen.h"

/* MurmurHash3 (x86, 32 bits; Austin Appleby's, public domain) of every text's bytes or every number's. */
static hone_status infer_hash(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    x->out[0] = x->in[0];
    x->out[0].dtype = hone__node_int(x->node, "positive", 1) ? HONE_U32 : HONE_I32;
    return HONE_OK;
}

static uint32_t turn_left(uint32_t v, int bits) { return v << bits | v >> (32 - bits); }

static uint32_t scramble(uint32_t k) { return turn_left(k * 0xcc9e2d51U, 15) * 0x1b873593U; }

static uint32_t murmur(const uint8_t *p, size_t size, uint32_t h)
{
    uint32_t k = 0;
    for (size_t i = 0; i < size / 4; i++) {
        k = (uint32_t)p[4 * i] | (uint32_t)p[4 * i + 1] << 8 | (uint32_t)p[4 * i + 2] << 16 |
            (uint32_t)p[4 * i + 3] << 24;
        h = turn_left(h ^ scramble(k), 13) * 5 + 0xe6546b64U;
    }
    k = 0;
    for (size_t i = size % 4; i > 0; i--) k = k << 8 | p[size / 4 * 4 + i - 1];
    h ^= scramble(k); /* of no bytes: 0 */
    h ^= (uint32_t)size;
    h = (h ^ h >> 16) * 0x85ebca6bU;
    h = (h ^ h >> 13) * 0xc2b2ae35U;
    return h ^ h >> 16;
}

static hone_status run_hash(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    uint32_t seed = (uint32_t)hone__node_int(r->node, "seed", 0), *y = hone__out_data(r, 0);
    size_t size = hone__dtype_size(x->dtype);
    if (x->dtype != HONE_STRING && size < 4)
        return hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(x->dtype));
    for (size_t i = 0; i < x->count; i++) {
        hone__string s = {(const char *)x->data + i * size, size};
        if (x->dtype == HONE_STRING) s = hone__strings_in(r, 0)[i];
        y[i] = murmur((const uint8_t *)s.data, s.size, seed);
    }
    return HONE_OK;
}
const hone__op hone__op_ms_murmur_hash3 = {"com.microsoft", "MurmurHash3",   infer_hash, NULL,
                                           run_hash,        HONE__OP_STRINGS};

/* NGramRepeatBlock: scores [batch, V] of tokens that would repeat a run of ngram_size tokens become -infinity. */
static hone_status infer_block(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    HONE__TRY(hone__infer_rank(x, 0, 2));
    HONE__TRY(hone__infer_rank(x, 1, 2));
    HONE__TRY(hone__infer_float(x, 1));
    if (hone__node_int(x->node, "ngram_size", 0) < 1) return hone__fail(HONE_E_SHAPE, "ngram_size is missing");
    if (x->in[0].shape.rank == 2 && x->in[1].shape.rank == 2 &&
        !hone__dims_agree(x->in[0].shape.dims[0], x->in[1].shape.dims[0]))
        return hone__fail(HONE_E_SHAPE, "tokens and scores do not fit");
    hone__infer_same(x, 0, 1);
    return HONE_OK;
}

static hone_status run_block(hone__run *r)
{
    const hone__tensor *ids = r->in[0], *scores = r->in[1];
    int64_t n = hone__node_int(r->node, "ngram_size", 0), length = ids->dims[1], words = scores->dims[1];
    float *y = hone__out_data(r, 0);
    if (scores->bytes) memcpy(y, scores->data, scores->bytes);
    for (int64_t b = 0; b < ids->dims[0]; b++)
        for (int64_t i = 0; n <= length && i <= length - n; i++) {
            size_t row = (size_t)(b * length), k = 0, last = (size_t)(n - 1);
            while (k < last &&
                   hone__tensor_i64(ids, row + (size_t)i + k) == hone__tensor_i64(ids, row + (size_t)length - last + k))
                k++;
            if (k < last) continue;
            int64_t token = hone__tensor_i64(ids, row + (size_t)i + last);
            if (token < 0 || token >= words)
                return hone__fail(HONE_E_ARGUMENT, "token %lld of %lld", (long long)token, (long long)words);
            y[b * words + token] = -INFINITY;
        }
    return HONE_OK;
}
HONE__WIDENED_BUT(block, NULL, run_block, 1U << 0)
const hone__op hone__op_ms_ngram_repeat_block = {"com.microsoft",    "NGramRepeatBlock", infer_block,
                                                 wide_prepare_block, wide_run_block,     0};

/* DynamicTimeWarping: the cheapest way through x [rows, cols], as places [2, length]. */
static hone_status infer_warping(hone__infer *x)
{
    const hone__shape *s = &x->in[0].shape;
    HONE__TRY(hone__infer_arity(x, 1, 1));
    if (x->in[0].dtype && x->in[0].dtype != HONE_F32)
        return hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(x->in[0].dtype));
    if (s->rank >= 0 && s->rank != 2 && !(s->rank == 3 && hone__dims_agree(s->dims[0], 1)))
        return hone__fail(HONE_E_SHAPE, "input 0 has rank %d, expected 2", s->rank);
    hone__infer_set(x, 0, HONE_I32, 2, (int64_t[]){2, -1});
    return HONE_OK;
}

enum { BOTH = 0, ROW, COLUMN }; /* steps */

static hone_status prepare_warping(hone__prepare *p)
{
    const hone__tensor *x = p->in[0];
    p->scratch = 2 * ((size_t)x->dims[x->rank - 2] + 1) * sizeof(float) + x->count;
    return HONE_OK;
}

/* The step to each place from its cheapest neighbour, [cols, rows]. */
static void trace_steps(const float *x, size_t rows, size_t cols, float *cost, uint8_t *step)
{
    float *before = cost, *now = cost + rows + 1;
    before[0] = 0;
    for (size_t i = 1; i <= rows; i++) before[i] = INFINITY;
    for (size_t j = 0; j < cols; j++) {
        now[0] = INFINITY;
        for (size_t i = 1; i <= rows; i++) {
            float both = before[i - 1], row = now[i - 1], column = before[i];
            uint8_t best = both < row && both < column ? BOTH : row < both && row < column ? ROW : COLUMN;
            step[j * rows + i - 1] = best;
            now[i] = (best == BOTH ? both : best == ROW ? row : column) + x[(i - 1) * cols + j];
        }
        float *t = before;
        before = now, now = t;
    }
}

static hone_status run_warping(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    size_t rows = (size_t)x->dims[x->rank - 2], cols = (size_t)x->dims[x->rank - 1], length = 0;
    float *cost = r->scratch;
    uint8_t *step = (uint8_t *)(cost + 2 * (rows + 1));
    int32_t *y = NULL;
    if (rows > INT32_MAX || cols > INT32_MAX) return hone__fail(HONE_E_LIMIT, "places over 2^31");
    trace_steps(x->data, rows, cols, cost, step);
    for (int pass = 0; pass < 2; pass++) { /* counts, then writes from behind */
        size_t i = rows, j = cols, at = length;
        while (i && j) {
            if (y) {
                at--;
                y[at] = (int32_t)i - 1, y[at + length] = (int32_t)j - 1;
            } else
                length++;
            uint8_t s = step[(j - 1) * rows + i - 1];
            i -= s != COLUMN;
            j -= s != ROW;
        }
        if (pass) break;
        HONE__TRY(hone__run_output(r, 0, HONE_I32, 2, (int64_t[]){2, (int64_t)length}));
        y = hone__out_data(r, 0);
    }
    return HONE_OK;
}
const hone__op hone__op_ms_dynamic_time_warping = {"com.microsoft", "DynamicTimeWarping", infer_warping,
                                                   prepare_warping, run_warping,          HONE__OP_LATE};

/* BifurcationDetector: source tokens, current tokens, where the source is to go on, predicted tokens?; appends the
 * predicted tokens up to the first that is not the source's, and finds where their end stands in the source. */
static hone_status infer_bifurcation(hone__infer *x)
{
    int64_t least = hone__node_int(x->node, "min_ngram_size", 0), most = hone__node_int(x->node, "max_ngram_size", 0);
    HONE__TRY(hone__infer_arity(x, 3, 4));
    if (least < 1 || most < least) return hone__fail(HONE_E_SHAPE, "min_ngram_size or max_ngram_size makes no sense");
    for (int i = 0; i < 4; i++) {
        if (!hone__has_input(x, i)) continue;
        if (x->in[i].dtype && x->in[i].dtype != HONE_I64)
            return hone__fail(HONE_E_SHAPE, "input %d is %s", i, hone_dtype_name(x->in[i].dtype));
        if (i != 2) HONE__TRY(hone__infer_rank(x, i, 1));
    }
    hone__infer_set(x, 0, HONE_I64, 1, (int64_t[]){-1});
    hone__infer_same(x, 1, 2);
    if (x->output_count > 1) x->out[1].dtype = HONE_I64;
    return HONE_OK;
}

/* The first place from `from` on where `what` stands; n where nowhere. */
static size_t find_tokens(const int64_t *x, size_t n, size_t from, const int64_t *what, size_t count)
{
    for (size_t i = from; count <= n && i <= n - count; i++)
        if (!memcmp(x + i, what, count * sizeof *x)) return i;
    return n;
}

static int64_t find_suffix(const hone__node *node, const int64_t *source, size_t n, const int64_t *y, size_t length)
{
    int64_t least = hone__node_int(node, "min_ngram_size", 1), most = hone__node_int(node, "max_ngram_size", 1),
            at = -1;
    for (size_t k = (size_t)least; k <= (size_t)most && k <= length; k++) {
        const int64_t *end = y + length - k;
        size_t first = find_tokens(source, n, 0, end, k);
        if (first == n) break;
        at = (int64_t)(first + k);
        if ((size_t)at >= n) break;
        if (find_tokens(source, n, first + 1, end, k) != n) at = -1; /* not the only one: a longer run may be */
    }
    return at;
}

static hone_status run_bifurcation(hone__run *r)
{
    const hone__tensor *source = r->in[0], *now = r->in[1], *next = r->input_count > 3 ? r->in[3] : NULL;
    size_t n = source->count, taken = 0;
    if (r->in[2]->count != 1) return hone__fail(HONE_E_SHAPE, "input 2 has %zu values", r->in[2]->count);
    int64_t start = hone__tensor_i64(r->in[2], 0);
    if (next) {
        if (start < 0 || start > (int64_t)n || next->count != n + 1 - (size_t)start)
            return hone__fail(HONE_E_ARGUMENT, "%zu predicted tokens from %lld of %zu", next->count, (long long)start,
                              n);
        const int64_t *s = source->data, *p = next->data;
        while (taken < n - (size_t)start && p[taken] == s[taken + (size_t)start]) taken++;
        taken++;
    }
    size_t length = now->count + taken;
    HONE__TRY(hone__run_output(r, 0, HONE_I64, 1, (int64_t[]){(int64_t)length}));
    int64_t *y = hone__out_data(r, 0);
    if (now->bytes) memcpy(y, now->data, now->bytes);
    if (taken) memcpy(y + now->count, next->data, taken * sizeof *y);
    if (r->output_count < 2 || !r->node->outputs[1]) return HONE_OK;
    HONE__TRY(hone__run_output(r, 1, HONE_I64, r->in[2]->rank, r->in[2]->dims));
    *(int64_t *)hone__out_data(r, 1) = find_suffix(r->node, source->data, n, y, length);
    return HONE_OK;
}
const hone__op hone__op_ms_bifurcation_detector = {"com.microsoft", "BifurcationDetector", infer_bifurcation, NULL,
                                                   run_bifurcation, HONE__OP_LATE};

/* WordConvEmbedding: words [n, length] of characters (0 is none), filters [M, 1, width, size], bias [M], characters
 * [V, size]: per word the largest tanh of the filters over its characters. */
static hone_status infer_words(hone__infer *x)
{
    static const int ranks[] = {2, 4, 1, 2};
    HONE__TRY(hone__infer_arity(x, 4, 4));
    HONE__TRY(hone__infer_float(x, 1));
    for (int i = 0; i < 4; i++) HONE__TRY(hone__infer_rank(x, i, ranks[i]));
    const hone__shape *s = &x->in[0].shape, *w = &x->in[1].shape, *b = &x->in[2].shape, *c = &x->in[3].shape;
    x->out[0].dtype = x->in[1].dtype;
    if (s->rank < 0 || w->rank < 0) return HONE_OK;
    if ((c->rank >= 0 && !hone__dims_agree(c->dims[1], w->dims[3])) ||
        (b->rank >= 0 && !hone__dims_agree(b->dims[0], w->dims[0])) || !hone__dims_agree(w->dims[1], 1) ||
        (s->dims[1] >= 0 && w->dims[2] > s->dims[1]) || w->dims[2] == 0)
        return hone__fail(HONE_E_SHAPE, "filters do not fit the characters");
    hone__infer_set(x, 0, x->in[1].dtype, 2, (int64_t[]){s->dims[0], w->dims[0]});
    return HONE_OK;
}

static size_t word_length(const hone__tensor *words, size_t at, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) count += hone__tensor_i64(words, at + i) > 0;
    return length && hone__tensor_i64(words, at) > 0 ? count : 0;
}

static hone_status run_words(hone__run *r)
{
    const hone__tensor *words = r->in[0], *w = r->in[1], *chars = r->in[3];
    size_t length = (size_t)words->dims[1], width = (size_t)w->dims[2], size = (size_t)w->dims[3],
           filters = (size_t)w->dims[0];
    const float *table = chars->data;
    for (size_t i = 0; i < words->count; i++)
        if (hone__tensor_i64(words, i) < 0 || hone__tensor_i64(words, i) >= chars->dims[0])
            return hone__fail(HONE_E_ARGUMENT, "character %lld of %lld", (long long)hone__tensor_i64(words, i),
                              (long long)chars->dims[0]);
    for (size_t i = 0; i < r->out[0]->count; i++) {
        size_t word = i / filters * length, f = i % filters, count = word_length(words, word, length);
        const float *kernel = (const float *)w->data + f * width * size;
        float best = count ? -INFINITY : 0;
        for (size_t at = 0; count && at + width <= (count > width ? count : width); at++) {
            float sum = ((const float *)r->in[2]->data)[f];
            for (size_t k = 0; k < width * size; k++)
                sum += kernel[k] * table[(size_t)hone__tensor_i64(words, word + at + k / size) * size + k % size];
            if (sum > best) best = sum;
        }
        ((float *)hone__out_data(r, 0))[i] = count ? tanhf(best) : 0;
    }
    return HONE_OK;
}
HONE__WIDENED_BUT(words, NULL, run_words, 1U << 0)
const hone__op hone__op_ms_word_conv_embedding = {"com.microsoft",    "WordConvEmbedding", infer_words,
                                                  wide_prepare_words, wide_run_words,      0};
