/* test_weights.c: what quantisation does with Gemm, and with a weight that two nodes read. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "exec/session.h"
#include "graph/builder.h"
#include "ops/eval.h"
#include "passes/passes.h"
#include "quant/quant.h"

enum { IN = 64, MID = 48, ROWS = 2, WIDEST = 192 };

static uint32_t seed;
static float random_float(void)
{
    seed = seed * 1664525u + 1013904223u;
    return ((float)(seed >> 8) / 8388608.0f - 1) * 0.2f;
}

static hone__value *weights(hone__builder *b, const char *name, int rank, int64_t rows, int64_t columns)
{
    static float v[WIDEST * MID];
    for (int64_t i = 0; i < rows * columns; i++) v[i] = random_float();
    return hone__emit_f32(b, name, v, rank, rank == 2 ? (int64_t[]){rows, columns} : (int64_t[]){columns});
}

/* Gemm with its bias, then twice the same matrix. */
static hone__model *build(int trans_b, float alpha)
{
    hone__model *m;
    assert_int_equal(hone__model_new(&m), HONE_OK);
    hone__builder b = {.graph = m->graph};
    seed = 3;
    hone__value *x = hone__emit_input(&b, "x", HONE_F32, 2, (int64_t[]){ROWS, IN});
    hone__value *w = trans_b ? weights(&b, "w", 2, MID, IN) : weights(&b, "w", 2, IN, MID);
    hone__value *bias = weights(&b, "bias", 1, 1, MID), *k = weights(&b, "k", 2, MID, MID);
    hone__value *y = hone__emit(&b, "Gemm", "gemm", HONE__INS(x, w, bias),
                                HONE__ATTRS(hone__a_int("transB", trans_b), hone__a_float("alpha", alpha)));
    y = hone__emit(&b, "Relu", "", HONE__INS(hone__emit(&b, "MatMul", "m1", HONE__INS(y, k), HONE__NO_ATTRS)),
                   HONE__NO_ATTRS);
    hone__emit_output(&b, "y", hone__emit(&b, "MatMul", "m2", HONE__INS(y, k), HONE__NO_ATTRS));
    assert_int_equal(b.status, HONE_OK);
    assert_int_equal(hone__graph_infer(m->graph), HONE_OK);
    return m;
}

static void run(const hone__model *m, float *out)
{
    static float v[ROWS * IN];
    hone__session *s;
    hone__session_options o = {.threads = 1};
    hone__tensor x = {
        .dtype = HONE_F32, .rank = 2, .dims = {ROWS, IN}, .count = ROWS * IN, .bytes = sizeof v, .data = v};
    const hone__tensor *list = &x, *y;
    seed = 11;
    for (int i = 0; i < ROWS * IN; i++) v[i] = random_float();
    assert_int_equal(hone__session_create(m, &o, &s), HONE_OK);
    assert_int_equal(hone__session_run(s, &list, 1, &y, 1), HONE_OK);
    memcpy(out, y->data, ROWS * MID * sizeof *out);
    hone__session_destroy(s);
}

typedef struct told {
    int gemm, matmul, left;
} told;

static void count(void *ctx, const hone_weight_change *c)
{
    told *t = ctx;
    t->gemm += !strcmp(c->name, "w");
    t->matmul += !strcmp(c->name, "k");
    t->left += *c->reason != 0;
}

static size_t readers_of_codes(const hone__model *m)
{
    const hone__value *codes = NULL;
    size_t readers = 0;
    for (const hone__node *n = m->graph->first; n; n = n->next)
        for (int i = 0; i < n->input_count; i++) {
            const hone__value *v = n->inputs[i];
            if (!v || !v->constant || strcmp(v->name, "k") || v->constant->dtype == HONE_F32) continue;
            assert_true(!codes || codes == v); /* one copy */
            codes = v;
            readers++;
        }
    return readers;
}

static void one_copy_for_all_readers(void **state)
{
    static const struct {
        hone_precision p;
        int block;
        float tolerance; /* of results around 0.3 */
        size_t readers;
    } rows[] = {{HONE_PRECISION_INT8, 128, 0.01f, 2},
                {HONE_PRECISION_INT8, 0, 0.01f, 2},
                {HONE_PRECISION_INT4, 32, 0.1f, 2},
                {HONE_PRECISION_FP16, 128, 0.001f, 1} /* one Cast */};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int trans_b = 0; trans_b < 2; trans_b++) {
            float want[ROWS * MID], got[ROWS * MID], top = 0;
            hone_optimize_options o = HONE_OPTIMIZE_OPTIONS_INIT;
            hone__model *m = build(trans_b, 1);
            told t = {0};
            o.precision = rows[i].p, o.block = rows[i].block;
            run(m, want);
            assert_int_equal(hone__quant_weights(m, &o, count, &t), HONE_OK);
            assert_int_equal(hone__graph_verify(m->graph), HONE_OK);
            assert_int_equal(hone__graph_infer(m->graph), HONE_OK);
            assert_true(t.gemm == 1 && t.matmul == 1 && t.left == 0);
            assert_int_equal(readers_of_codes(m), rows[i].readers);
            run(m, got);
            for (int k = 0; k < ROWS * MID; k++) top = fabsf(got[k] - want[k]) > top ? fabsf(got[k] - want[k]) : top;
            if (!(top <= rows[i].tolerance && top > 0))
                fail_msg("row %zu, transB %d: off by %g", i, trans_b, (double)top);
            hone__model_destroy(m);
        }
}

static void a_scaled_gemm_stays(void **state)
{
    hone_optimize_options o = HONE_OPTIMIZE_OPTIONS_INIT;
    hone__model *m = build(0, 0.5f);
    told t = {0};
    (void)state;
    o.precision = HONE_PRECISION_INT8;
    assert_int_equal(hone__quant_weights(m, &o, count, &t), HONE_OK);
    assert_true(t.gemm == 1 && t.left == 1 && hone__node_is(m->graph->first, "Gemm"));
    hone__model_destroy(m);
}

enum { TIME = 6, HIDDEN = 20, WIDTH = 24, WORDS = 50 };

/* Words -> rows of a table -> an LSTM both ways; `shared`: the table is a product's matrix, too. */
static hone__model *sequence(bool shared)
{
    hone__model *m;
    assert_int_equal(hone__model_new(&m), HONE_OK);
    hone__builder b = {.graph = m->graph};
    static float v[2 * 4 * HIDDEN * WIDTH];
    const int64_t w[] = {2, 4 * HIDDEN, WIDTH}, r[] = {2, 4 * HIDDEN, HIDDEN};
    seed = 5;
    hone__value *ids = hone__emit_input(&b, "ids", HONE_I64, 2, (int64_t[]){TIME, 1});
    hone__value *table = weights(&b, "table", 2, WORDS, WIDTH);
    hone__value *x = hone__emit(&b, "Gather", "embed", HONE__INS(table, ids), HONE__NO_ATTRS), *y[1];
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) v[i] = random_float() * (i % 3 ? 1 : 2);
    hone__value *wv = hone__emit_f32(&b, "w", v, 3, w), *rv = hone__emit_f32(&b, "r", v, 3, r);
    hone__emit_multi(&b, "LSTM", "lstm", HONE__INS(x, wv, rv),
                     HONE__ATTRS(hone__a_int("hidden_size", HIDDEN), hone__a_string("direction", "bidirectional")), y,
                     1);
    hone__emit_output(&b, "y", y[0]);
    if (shared) {
        hone__value *one = weights(&b, "one", 2, 1, WORDS);
        hone__emit_output(&b, "z",
                          hone__emit(&b, "MatMul", "",
                                     HONE__INS(hone__emit(&b, "Mul", "",
                                                          HONE__INS(one, hone__emit(&b, "ReduceMax", "", HONE__INS(x),
                                                                                    HONE__NO_ATTRS)),
                                                          HONE__NO_ATTRS),
                                               table),
                                     HONE__NO_ATTRS));
    }
    assert_int_equal(b.status, HONE_OK);
    assert_int_equal(hone__graph_infer(m->graph), HONE_OK);
    return m;
}

static void run_sequence(const hone__model *m, bool plain, float *out)
{
    int64_t ids[TIME] = {3, 49, 0, 7, 7, 21};
    hone__session *s;
    hone__session_options o = {.threads = 1, .plain = plain};
    hone__tensor x = {.dtype = HONE_I64, .rank = 2, .dims = {TIME, 1}, .count = TIME, .bytes = sizeof ids, .data = ids};
    const hone__tensor *list = &x, *y[2];
    assert_int_equal(hone__session_create(m, &o, &s), HONE_OK);
    assert_int_equal(hone__session_run(s, &list, 1, y, m->graph->output_count), HONE_OK);
    memcpy(out, y[0]->data, TIME * 2 * HIDDEN * sizeof *out);
    hone__session_destroy(s);
}

static void tables_and_recurrent_weights_are_bytes(void **state)
{
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        float want[TIME * 2 * HIDDEN], got[TIME * 2 * HIDDEN], plain[TIME * 2 * HIDDEN];
        hone_optimize_options o = HONE_OPTIMIZE_OPTIONS_INIT;
        hone__model *m = sequence(shared);
        told t = {0};
        size_t bytes = 0;
        o.precision = HONE_PRECISION_INT8;
        run_sequence(m, false, want);
        assert_int_equal(hone__quant_weights(m, &o, count, &t), HONE_OK);
        assert_int_equal(hone__graph_verify(m->graph), HONE_OK);
        assert_int_equal(hone__graph_infer(m->graph), HONE_OK);
        assert_int_equal(t.left, shared ? 2 : 0); /* the table, told where it is gathered from and where multiplied */
        for (const hone__node *n = m->graph->first; n; n = n->next)
            for (int i = 0; i < n->input_count; i++)
                if (n->inputs[i] && n->inputs[i]->constant && n->inputs[i]->constant->dtype == HONE_I8)
                    bytes += n->inputs[i]->constant->bytes;
        assert_int_equal(bytes, 2 * 4 * HIDDEN * (WIDTH + HIDDEN) + (shared ? 0 : WORDS * WIDTH));
        run_sequence(m, false, got);
        run_sequence(m, true, plain);
        for (int i = 0; i < TIME * 2 * HIDDEN; i++)
            if (!(fabsf(got[i] - want[i]) <= 0.01f && fabsf(got[i] - plain[i]) <= 1e-5f))
                fail_msg("shared %d: %d is %g, in float32 %g, as written %g", shared, i, (double)got[i],
                         (double)want[i], (double)plain[i]);
        hone__model_destroy(m);
    }
}

/* Words -> rows of a table -> scores of words by the same table. */
static hone__model *tied(int64_t width)
{
    hone__model *m;
    assert_int_equal(hone__model_new(&m), HONE_OK);
    hone__builder b = {.graph = m->graph};
    seed = 9;
    hone__value *ids = hone__emit_input(&b, "ids", HONE_I64, 2, (int64_t[]){TIME, 1});
    hone__value *table = weights(&b, "table", 2, MID, width);
    hone__value *x = hone__emit(&b, "Gather", "embed", HONE__INS(table, ids), HONE__NO_ATTRS);
    hone__value *turned = hone__emit(&b, "Transpose", "", HONE__INS(table), HONE__NO_ATTRS);
    hone__emit_output(&b, "y", hone__emit(&b, "MatMul", "head", HONE__INS(x, turned), HONE__NO_ATTRS));
    assert_int_equal(b.status, HONE_OK);
    assert_int_equal(hone__graph_infer(m->graph), HONE_OK);
    return m;
}

static void run_tied(const hone__model *m, bool plain, float *out)
{
    int64_t ids[TIME] = {3, 47, 0, 7, 7, 21};
    hone__session *s;
    hone__session_options o = {.threads = 1, .plain = plain};
    hone__tensor x = {.dtype = HONE_I64, .rank = 2, .dims = {TIME, 1}, .count = TIME, .bytes = sizeof ids, .data = ids};
    const hone__tensor *list = &x, *y;
    assert_int_equal(hone__session_create(m, &o, &s), HONE_OK);
    assert_int_equal(hone__session_run(s, &list, 1, &y, 1), HONE_OK);
    memcpy(out, y->data, TIME * MID * sizeof *out);
    hone__session_destroy(s);
}

static size_t constant_bytes(const hone__model *m)
{
    size_t bytes = 0;
    for (const hone__value *v = m->graph->values; v; v = v->next)
        if (v->constant && v->use_count && v->constant->bytes > 256) bytes += v->constant->bytes;
    return bytes;
}

static void a_tied_table_is_stored_once(void **state)
{
    static const struct {
        hone_precision p;
        int64_t width;
        size_t bytes;
        float tolerance; /* of results around 1 */
        int left;        /* told twice, where it is gathered from and where multiplied */
    } rows[] = {{HONE_PRECISION_FP32, IN, MID * IN * 4, 0, 0},
                {HONE_PRECISION_FP16, IN, MID * IN * 2, 0.001f, 0},
                {HONE_PRECISION_BF16, IN, MID * IN * 2, 0.01f, 0},
                {HONE_PRECISION_INT8, IN, MID * IN, 0.02f, 0},
                {HONE_PRECISION_INT8, 48, MID * (48 + 48 / 16 * 4), 0.02f, 0},    /* blocks that divide the width */
                {HONE_PRECISION_INT8, 192, MID * (192 + 192 / 64 * 4), 0.04f, 0}, /* as of 576 and 960 */
                {HONE_PRECISION_INT8, 40, MID * 40 * 4, 0, 2},
                {HONE_PRECISION_INT4, IN, MID * (IN / 2 + IN / 32 * 4), 0.2f, 0},
                {HONE_PRECISION_INT4, 48, MID * (48 / 2 + 48 / 16 * 4), 0.2f, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        float want[TIME * MID], got[TIME * MID], plain[TIME * MID];
        hone_optimize_options o = HONE_OPTIMIZE_OPTIONS_INIT;
        hone__model *m = tied(rows[i].width);
        int changed = 0;
        told t = {0};
        o.precision = rows[i].p;
        if (o.precision == HONE_PRECISION_INT4) o.block = 32;
        run_tied(m, true, want);
        assert_int_equal(hone__passes_portable(m), HONE_OK);
        assert_int_equal(hone__quant_weights(m, &o, count, &t), HONE_OK);
        assert_int_equal(hone__graph_infer(m->graph), HONE_OK);
        assert_int_equal(hone__passes_run(m, "fold", hone__pass_fold, &changed), HONE_OK);
        assert_int_equal(t.left, rows[i].left);
        assert_int_equal(constant_bytes(m), rows[i].bytes);
        run_tied(m, false, got);
        run_tied(m, true, plain);
        for (int k = 0; k < TIME * MID; k++)
            if (!(fabsf(got[k] - want[k]) <= rows[i].tolerance + 1e-5f && fabsf(got[k] - plain[k]) <= 1e-4f))
                fail_msg("row %zu: %d is %g, in float32 %g, as written %g", i, k, (double)got[k], (double)want[k],
                         (double)plain[k]);
        hone__model_destroy(m);
    }
}

/* A table of float16 behind a Cast becomes the bytes that the same numbers become in float32; one that is gathered from
 * as it is stays, as the node's result is of its type. */
static void half_tables(void **state)
{
    enum { BITS = MID * IN };
    static float wide[BITS];
    int8_t codes[2][BITS];
    (void)state;
    for (int form = 0; form < 3; form++) { /* float32; behind a Cast; as it is */
        hone__model *m;
        hone_optimize_options o = HONE_OPTIMIZE_OPTIONS_INIT;
        const int64_t dims[] = {MID, IN}, n = 2;
        const hone__value *found = NULL;
        hone__tensor t;
        assert_int_equal(hone__model_new(&m), HONE_OK);
        hone__builder b = {.graph = m->graph};
        seed = 5;
        for (int i = 0; i < BITS; i++) {
            uint16_t half;
            hone__element_set_f64(HONE_F16, &half, 0, random_float());
            wide[i] = (float)hone__element_f64(HONE_F16, &half, 0);
        }
        hone_dtype dtype = form ? HONE_F16 : HONE_F32;
        assert_int_equal(hone__tensor_new(dtype, 2, dims, &t), HONE_OK);
        for (size_t i = 0; i < BITS; i++) hone__element_set_f64(dtype, hone__tensor_write(&t), i, wide[i]);
        hone__value *table = hone__emit_tensor(&b, "table", &t);
        if (form == 1) table = hone__emit(&b, "Cast", "", HONE__INS(table), HONE__ATTRS(hone__a_int("to", HONE_F32)));
        hone__value *rows = hone__emit_input(&b, "rows", HONE_I64, 1, &n);
        hone__emit_output(&b, "y", hone__emit(&b, "Gather", "", HONE__INS(table, rows), HONE__NO_ATTRS));
        assert_int_equal(b.status, HONE_OK);
        assert_int_equal(hone__graph_infer(m->graph), HONE_OK);
        o.precision = HONE_PRECISION_INT8;
        assert_int_equal(hone__quant_weights(m, &o, NULL, NULL), HONE_OK);
        assert_int_equal(hone__graph_infer(m->graph), HONE_OK);
        assert_int_equal(m->graph->outputs[0]->dtype, form < 2 ? HONE_F32 : HONE_F16);
        for (const hone__value *v = m->graph->values; v; v = v->next)
            if (v->constant && v->use_count && v->constant->count == BITS) found = v;
        assert_non_null(found);
        assert_int_equal(found->constant->dtype, form < 2 ? HONE_I8 : HONE_F16);
        if (form < 2) memcpy(codes[form], found->constant->data, BITS);
        hone__model_destroy(m);
    }
    assert_memory_equal(codes[0], codes[1], BITS);
}

/* Large new weights lie in a file of the folder, whose name nobody sees: the same bytes as in memory. */
static void weights_in_a_scratch_file(void **state)
{
    enum { WIDE = 640 };
    static float v[WIDE * WIDE];
    static uint8_t kept[4 * WIDE * WIDE];
    static const hone_precision precisions[] = {HONE_PRECISION_INT8, HONE_PRECISION_FP16};
    const char *folders[] = {NULL, "/tmp", "/none/of/this"};
    (void)state;
    seed = 9;
    for (int i = 0; i < WIDE * WIDE; i++) v[i] = random_float();
    for (int k = 0; k < 6; k++) {
        hone__model *m;
        hone_optimize_options o = HONE_OPTIMIZE_OPTIONS_INIT;
        assert_int_equal(hone__model_new(&m), HONE_OK);
        hone__builder b = {.graph = m->graph};
        hone__value *x = hone__emit_input(&b, "x", HONE_F32, 2, (int64_t[]){1, WIDE});
        hone__value *w = hone__emit_f32(&b, "w", v, 2, (int64_t[]){WIDE, WIDE});
        hone__emit_output(&b, "y", hone__emit(&b, "MatMul", "", HONE__INS(x, w), HONE__NO_ATTRS));
        assert_int_equal(b.status, HONE_OK);
        assert_int_equal(hone__graph_infer(m->graph), HONE_OK);
        o.precision = precisions[k / 3];
        o.scratch = folders[k % 3];
        assert_int_equal(hone__quant_weights(m, &o, NULL, NULL), HONE_OK);
        for (const hone__value *c = m->graph->values; c; c = c->next) {
            if (!c->constant || !c->use_count || c->constant->count != WIDE * WIDE) continue;
            const hone__tensor *t = c->constant;
            assert_int_equal(t->blob->map != NULL, k % 3 == 1);
            if (k % 3 == 0) memcpy(kept, t->data, t->bytes);
            assert_memory_equal(kept, t->data, t->bytes);
        }
        hone__model_destroy(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_copy_for_all_readers),
                                       cmocka_unit_test(a_scaled_gemm_stays),
                                       cmocka_unit_test(tables_and_recurrent_weights_are_bytes),
                                       cmocka_unit_test(a_tied_table_is_stored_once),
                                       cmocka_unit_test(half_tables),
                                       cmocka_unit_test(weights_in_a_scratch_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
