/* test_vec.c: element-wise functions of every tier against libm in double, in units of the last place. */
#include "kernel_test.h"

#include "kernels/vec/vec.h"

/* Distance in units of the last place of `want`; the spacing of subnormals below 2^-126. */
static double ulps(float got, double want)
{
    if (isnan(want)) return isnan(got) ? 0 : INFINITY;
    if (isinf((float)want) || isinf(got)) return got == (float)want || fabs(want) > 3.4e38 ? 0 : INFINITY;
    int e;
    frexp(want, &e);
    if (e < -125) e = -125;
    return fabs((double)got - want) / ldexp(1, e - 24);
}

static double exact(hone__unary op, double x, double a, double b)
{
    switch (op) {
    case HONE__ABS: return fabs(x);
    case HONE__NEG: return -x;
    case HONE__EXP: return exp(x);
    case HONE__LOG: return log(x);
    case HONE__SQRT: return sqrt(x);
    case HONE__RECIPROCAL: return 1 / x;
    case HONE__RSQRT: return 1 / sqrt(x);
    case HONE__SIGMOID: return 1 / (1 + exp(-x));
    case HONE__TANH: return tanh(x);
    case HONE__ERF: return erf(x);
    case HONE__RELU: return x < 0 ? 0 : x;
    case HONE__CLIP: return x < a ? a : x > b ? b : x;
    case HONE__LEAKY: return x < 0 ? a * x : x;
    case HONE__ELU: return x < 0 ? a * expm1(x) : x;
    case HONE__SELU: return b * (x > 0 ? x : a * expm1(x));
    case HONE__CELU: return x < 0 ? a * expm1(x / a) : x;
    case HONE__SOFTPLUS: return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
    case HONE__SOFTSIGN: return isinf(x) ? copysign(1, x) : x / (1 + fabs(x));
    case HONE__SILU: return x < -1e30 ? -0.0 : x / (1 + exp(-x));
    case HONE__GELU: return x < -1e30 ? -0.0 : 0.5 * x * erfc(-x * 0.70710678118654752);
    case HONE__GELU_TANH:
        return x < -1e10 ? -0.0 : x > 1e10 ? x : x / (1 + exp(-2 * 0.7978845608028654 * (x + 0.044715 * x * x * x)));
    case HONE__HARD_SIGMOID: return isnan(x) ? x : fmin(fmax(a * x + b, 0), 1);
    case HONE__HARD_SWISH: return isnan(x) ? x : x < -1e30 ? -0.0 : x > 1e30 ? x : x * fmin(fmax(x / 6 + 0.5, 0), 1);
    case HONE__MISH: return x < -1e30 ? -0.0 : x > 30 ? x : x * tanh(log1p(exp(x)));
    case HONE__THRESHOLDED_RELU: return x > a || isnan(x) ? x : 0;
    case HONE__AFFINE: return a * x + b;
    case HONE__SCALED_TANH: return a * tanh(b * x);
    case HONE__SIN: return sin(x);
    case HONE__COS: return cos(x);
    case HONE__TAN: return tan(x);
    case HONE__ASIN: return asin(x);
    case HONE__ACOS: return acos(x);
    case HONE__ATAN: return atan(x);
    case HONE__SINH: return sinh(x);
    case HONE__COSH: return cosh(x);
    case HONE__ASINH: return asinh(x);
    case HONE__ACOSH: return acosh(x);
    case HONE__ATANH: return atanh(x);
    case HONE__FLOOR: return floor(x);
    case HONE__CEIL: return ceil(x);
    case HONE__ROUND: return rint(x);
    case HONE__SIGN: return isnan(x) ? x : (x > 0) - (x < 0);
    case HONE__SQUARE: return x * x;
    case HONE__LOG1P: return log1p(x);
    case HONE__EXPM1: return expm1(x);
    case HONE__UNARY_COUNT: break;
    }
    return 0;
}

/* The family's tolerances: units of the last place, and an absolute distance that is always fine. */
static void tolerance(hone__unary op, double *units, double *absolute)
{
    *units = 4, *absolute = 0;
    switch (op) {
    case HONE__ABS:
    case HONE__NEG:
    case HONE__SQRT:
    case HONE__RECIPROCAL:
    case HONE__RELU:
    case HONE__CLIP:
    case HONE__THRESHOLDED_RELU:
    case HONE__FLOOR:
    case HONE__CEIL:
    case HONE__ROUND:
    case HONE__SIGN:
    case HONE__SQUARE:
    case HONE__LEAKY: *units = 0.5; break;
    case HONE__GELU:
    case HONE__GELU_TANH:
    case HONE__HARD_SWISH: *units = 8, *absolute = 0x1p-21; break;
    case HONE__HARD_SIGMOID:
    case HONE__AFFINE:
    case HONE__SCALED_TANH: *absolute = 0x1p-23; break;
    case HONE__SILU: *absolute = 1e-42; break;
    case HONE__MISH: *absolute = 1e-42, *units = 8; break;
    case HONE__SOFTPLUS:
    case HONE__ELU:
    case HONE__SELU:
    case HONE__CELU: *units = 8; break;
    default: break;
    }
}

static void check(hone__unary op, const float *x, const float *y, size_t n, float a, float b, double *worst)
{
    double units, absolute;
    tolerance(op, &units, &absolute);
    for (size_t i = 0; i < n; i++) {
        double want = exact(op, x[i], a, b), u = ulps(y[i], want);
        if (fabs(y[i] - want) <= absolute) continue;
        if (u > *worst) *worst = u;
        if (!(u <= units)) fail_msg("function %d of %.9g: %.9g, expected %.9g (%.2f ulp)", op, x[i], y[i], want, u);
    }
}

enum { N = 40000 };

static void unary(void **state)
{
    (void)state;
    static float x[N], y[N];
    static const float special[] = {0,       -0.0f,  INFINITY, -INFINITY, NAN,   1e-40f, -1e-40f, 1e-30f,
                                    3e38f,   -3e38f, 1,        -1,        88.7f, 88.8f,  -87.4f,  -103.9f,
                                    -104.5f, 0.5f,   1.5f,     2.5f,      -0.5f, 1e-8f,  -1e-8f};
    for (int op = 0; op < HONE__UNARY_COUNT; op++) {
        float a = op == HONE__CLIP   ? -0.5f
                  : op == HONE__SELU ? 1.6732632f
                                     : 0.75f,
              b = op == HONE__HARD_SIGMOID ? 0.5f : 1.05f;
        double worst = 0;
        for (size_t i = 0; i < N; i++) {
            float v = uniform(-1, 1);
            x[i] = i % 4 == 0 ? v * 88 : i % 4 == 1 ? v * 10 : i % 4 == 2 ? v : ldexpf(v, (int)pick(0, 40) - 30);
        }
        memcpy(x, special, sizeof special);
        int reach = op == HONE__SIN || op == HONE__COS || op == HONE__TAN;
        for (size_t i = 0; reach && i < N; i++) x[i] = fmodf(x[i], 100);
        hone__vec_unary((hone__unary)op, x, y, N, a, b);
        check((hone__unary)op, x, y, N, a, b, &worst);
        memcpy(y, x, sizeof x); /* in place, the same bits */
        static float z[N];
        hone__vec_unary((hone__unary)op, y, y, N, a, b);
        hone__vec_unary((hone__unary)op, x, z, N, a, b);
        assert_memory_equal(y, z, sizeof y);
    }
}

/* Every length 0..64 at the end of a page; what is behind the output stays. */
static void tails(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 64; n++)
        for (int op = 0; op < HONE__UNARY_COUNT; op++) {
            guarded x = guarded_new(n * 4 + 4), y = guarded_new(n * 4 + 4);
            float *xs = (float *)x.data + 1, *ys = y.data, one[65];
            fill_f32(xs, n, 0.1f, 0.9f);
            ys[n] = 12345;
            hone__vec_unary((hone__unary)op, xs, ys, n, 0.5f, 2);
            assert_true(ys[n] == 12345);
            for (size_t i = 0; i < n; i++) hone__vec_unary((hone__unary)op, xs + i, one + i, 1, 0.5f, 2);
            assert_memory_equal(ys, one, n * 4); /* a value does not depend on its place */
            guarded_free(&x), guarded_free(&y);
        }
}

static void binary(void **state)
{
    (void)state;
    for (int round = 0; round < 600; round++) {
        size_t n = pick(0, 80), as = pick(0, 3) > 0, bs = pick(0, 3) > 0;
        int op = round % HONE__BINARY_COUNT;
        guarded a = guarded_new(n * 4 + 4), b = guarded_new(n * 4 + 4), y = guarded_new(n * 4 + 4);
        fill_f32(a.data, n + 1, -3, 3);
        fill_f32(b.data, n + 1, -3, 3);
        float *av = a.data, *bv = b.data, *yv = y.data;
        if (n > 3) av[1] = NAN, bv[2] = NAN, av[3] = INFINITY, av[0] = -0.0f;
        yv[n] = 12345;
        hone__vec_binary((hone__binary)op, av + as, as, bv + bs, bs, yv, n);
        assert_true(yv[n] == 12345);
        for (size_t i = 0; i < n; i++) {
            float want = hone__binary_scalar((hone__binary)op, av[as + i * as], bv[bs + i * bs]);
            if (isnan(want) ? !isnan(yv[i]) : yv[i] != want) fail_msg("op %d: %g, expected %g", op, yv[i], want);
        }
        guarded_free(&a), guarded_free(&b), guarded_free(&y);
    }
    assert_true(hone__binary_scalar(HONE__MOD, -3, 2) == 1 && hone__binary_scalar(HONE__FMOD, -3, 2) == -1);
}

static void scale_shift(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 64; n++) {
        guarded x = guarded_new(n * 4), y = guarded_new(n * 4);
        fill_f32(x.data, n, -3, 3);
        hone__vec_scale_shift(x.data, 1.7f, 0.3f, y.data, n);
        for (size_t i = 0; i < n; i++) assert_true(((float *)y.data)[i] == ((float *)x.data)[i] * 1.7f + 0.3f);
        guarded_free(&x), guarded_free(&y);
    }
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(unary),
        cmocka_unit_test(tails),
        cmocka_unit_test(binary),
        cmocka_unit_test(scale_shift),
    };
    return cmocka_run_group_tests(list, NULL, NULL);
}

int main(void) { return run_tiers(tests); }
