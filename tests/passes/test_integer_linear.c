/* test_integer_linear.c: integer products with their scaling become one node with the numbers of the nodes as written;
 * left alone where the scaling is another. */
#include "run_model.h"

#include "graph/builder.h"
#include "passes/passes.h"

enum { ROWS = 5, K = 37, N = 40 };

#define ONE(op, ...) hone__emit(b, op, "", HONE__INS(__VA_ARGS__), HONE__NO_ATTRS)

static hone__value *bytes(hone__builder *b, hone_dtype dtype, int rank, const int64_t *dims)
{
    hone__tensor t;
    assert_int_equal(hone__tensor_new(dtype, rank, dims, &t), HONE_OK);
    uint8_t *v = hone__tensor_write(&t);
    for (size_t i = 0; i < t.bytes; i++) v[i] = (uint8_t)(i * i * 7 + i * 31);
    return hone__emit_tensor(b, "bytes", &t);
}

static hone__value *numbers(hone__builder *b, int64_t n, float first, float step)
{
    float v[N];
    for (int i = 0; i < n; i++) v[i] = first + step * (float)i;
    return hone__emit_f32(b, "numbers", v, 1, &n);
}

static hone__value *int32s(hone__builder *b, int64_t n)
{
    hone__tensor t;
    assert_int_equal(hone__tensor_new(HONE_I32, 1, &n, &t), HONE_OK);
    int32_t *v = hone__tensor_write(&t);
    for (int i = 0; i < n; i++) v[i] = 300 * i - 4000;
    return hone__emit_tensor(b, "int32s", &t);
}

static hone__value *scaled(hone__builder *b, hone__value *sum, hone__value *scale, int64_t to)
{
    hone__value *f = hone__emit(b, "Cast", "", HONE__INS(sum), HONE__ATTRS(hone__a_int("to", to)));
    if (to != HONE_F32) f = hone__emit(b, "Cast", "", HONE__INS(f), HONE__ATTRS(hone__a_int("to", HONE_F32)));
    return ONE("Mul", f, scale);
}

/* What dynamic quantisers write. */
static hone__value *dynamic(hone__builder *b, hone__value *x, bool columns, bool zeros, bool turned, int64_t to)
{
    hone__value *q[3];
    const int64_t kn[] = {K, N}, n = N;
    hone__emit_multi(b, "DynamicQuantizeLinear", "", HONE__INS(x), HONE__NO_ATTRS, q, 3);
    hone__value *w = bytes(b, HONE_I8, 2, kn), *z = zeros ? bytes(b, HONE_I8, 1, &n) : NULL;
    hone__value *scale = columns ? numbers(b, N, 0.001f, 0.0001f) : numbers(b, 1, 0.002f, 0);
    hone__value *product = turned ? ONE("Mul", scale, q[1]) : ONE("Mul", q[1], scale);
    return scaled(b, ONE("MatMulInteger", q[0], w, q[2], z), product, to);
}

/* What static quantisers write: a zero point of one byte; one scale, or one per column of the product. */
static hone__value *dequantized(hone__builder *b, hone__value *q, hone__value *scale, hone_dtype zero, int64_t axis)
{
    const int64_t one = 1;
    hone__value *z = zero ? bytes(b, zero, 1, &one) : NULL;
    if (axis < 0) z = zero ? hone__emit(b, "Squeeze", "", HONE__INS(z), HONE__NO_ATTRS) : NULL;
    return hone__emit(b, "DequantizeLinear", "", HONE__INS(q, scale, z),
                      HONE__ATTRS(hone__a_int("axis", axis < 0 ? 1 : axis)));
}

static hone__value *fixed(hone__builder *b, hone__value *x, bool gemm, bool turned, bool columns)
{
    const int64_t dims[] = {turned ? N : K, turned ? K : N};
    hone__value *scale = hone__emit_scalar(b, 0.03f),
                *zero = hone__emit(b, "Cast", "", HONE__INS(hone__emit_scalar(b, 120)),
                                   HONE__ATTRS(hone__a_int("to", HONE_U8)));
    hone__value *a = ONE("DequantizeLinear", ONE("QuantizeLinear", x, scale, zero), scale, zero);
    hone__value *w = bytes(b, HONE_I8, 2, dims);
    w = columns ? dequantized(b, w, numbers(b, N, 0.01f, 0.001f), 0, !turned)
                : dequantized(b, w, hone__emit_scalar(b, 0.02f), HONE_I8, -1);
    if (!gemm) return ONE("MatMul", a, w);
    hone__value *c = dequantized(b, int32s(b, N), hone__emit_scalar(b, 0.0006f), 0, -1);
    return hone__emit(b, "Gemm", "", HONE__INS(a, w, c), HONE__ATTRS(hone__a_int("transB", turned)));
}

enum { CASES = 11, FUSED = 8 };

static hone__value *build(hone__builder *b, hone__value *x, int which)
{
    hone__value *y;
    switch (which) {
    case 0: return dynamic(b, x, false, false, false, HONE_F32);
    case 1: return dynamic(b, x, true, true, true, HONE_F32);
    case 2: return fixed(b, x, false, false, false);
    case 3: return fixed(b, x, false, false, true);
    case 4: return fixed(b, x, true, false, false);
    case 5: return fixed(b, x, true, true, true);
    case 6: /* what follows goes in, too */
        y = ONE("Add", dynamic(b, x, true, false, false, HONE_F32), numbers(b, N, -3, 0.2f));
        return ONE("Relu", y);
    case 7: y = fixed(b, x, false, false, true); return ONE("Gelu", ONE("Add", y, numbers(b, N, 2, -0.1f)));
    case 8: return dynamic(b, x, false, false, false, HONE_F64); /* another type between */
    case 9: {                                                    /* a number per row */
        const int64_t rows[] = {ROWS, 1};
        float v[ROWS] = {1, 2, 3, 4, 5};
        hone__value *scale = ONE("Mul", hone__emit_scalar(b, 0.01f), hone__emit_f32(b, "rows", v, 2, rows));
        const int64_t kn[] = {K, N};
        hone__value *q[3];
        hone__emit_multi(b, "DynamicQuantizeLinear", "", HONE__INS(x), HONE__NO_ATTRS, q, 3);
        return scaled(b, ONE("MatMulInteger", q[0], bytes(b, HONE_I8, 2, kn), q[2]), scale, HONE_F32);
    }
    default: /* scales along the rows of the matrix */
        y = ONE("DequantizeLinear", ONE("QuantizeLinear", x, hone__emit_scalar(b, 0.03f)), hone__emit_scalar(b, 0.03f));
        return ONE("MatMul", y,
                   dequantized(b, bytes(b, HONE_I8, 2, (int64_t[]){K, N}), numbers(b, K, 0.01f, 0.001f), 0, 0));
    }
}

static int fused_nodes(const hone__model *m)
{
    int n = 0;
    for (const hone__node *node = m->graph->first; node; node = node->next)
        n += !strcmp(node->domain, "hone") && !strcmp(node->op, "IntegerLinear");
    return n;
}

static void each_form(void **state)
{
    (void)state;
    for (int which = 0; which < CASES; which++) {
        float want[ROWS * N], got[ROWS * N], most = 0;
        hone__model *m;
        assert_int_equal(hone__model_new(&m), HONE_OK);
        hone__builder b = {.graph = m->graph};
        hone__value *x = hone__emit_input(&b, "x", HONE_F32, 2, (int64_t[]){ROWS, K});
        hone__emit_output(&b, "y", build(&b, x, which));
        assert_int_equal(b.status, HONE_OK);
        run_model(m, true, ROWS, K, want, ROWS * N);
        run_model(m, false, ROWS, K, got, ROWS * N);
        for (int i = 0; i < ROWS * N; i++) most = fmaxf(most, fabsf(want[i]));
        for (int i = 0; i < ROWS * N; i++)
            if (!(fabsf(got[i] - want[i]) <= 1e-5f * most))
                fail_msg("%d: element %d is %g, expected %g", which, i, (double)got[i], (double)want[i]);
        assert_int_equal(hone__passes_machine(m), HONE_OK);
        assert_int_equal(hone__graph_verify(m->graph), HONE_OK);
        if (fused_nodes(m) != (which < FUSED)) fail_msg("%d: %d fused nodes", which, fused_nodes(m));
        if (which < FUSED && strcmp(m->graph->last->op, "IntegerLinear"))
            fail_msg("%d: ends in %s", which, m->graph->last->op);
        hone__model_destroy(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_form)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
