/* test_rnn.c: recurrent steps against the ONNX equations in double, and whole-row epilogues against one value at a
 * time. */
#include "kernel_test.h"

#include "kernels/rnn/rnn.h"
#include "kernels/vec/vec.h"

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double limit(double x, double c) { return c > 0 ? fmin(fmax(x, -c), c) : x; }

static const hone__gate_act gate_sigmoid = {HONE__ACT_SIGMOID, 0, 0}, gate_tanh = {HONE__ACT_TANH, 0, 0};

static void near(double got, double want)
{
    if (!(fabs(got - want) <= 2e-6)) fail_msg("%.9g, expected %.9g", got, want);
}

static void lstm(void **state)
{
    (void)state;
    for (int round = 0; round < 100; round++) {
        size_t batch = pick(1, 4), n = pick(1, 70);
        guarded g = guarded_new(batch * 4 * n * 4), p = guarded_new(3 * n * 4), c0 = guarded_new(batch * n * 4);
        guarded c = guarded_new(batch * n * 4), h = guarded_new(batch * n * 4);
        fill_f32(g.data, batch * 4 * n, -3, 3);
        fill_f32(p.data, 3 * n, -1, 1);
        fill_f32(c0.data, batch * n, -2, 2);
        float *gates = malloc(batch * 4 * n * 4);
        memcpy(gates, g.data, batch * 4 * n * 4);
        hone__lstm_cell s = {.batch = batch,
                             .hidden = n,
                             .gates = g.data,
                             .gates_rs = 4 * n,
                             .c_prev = c0.data,
                             .c = c.data,
                             .h = h.data,
                             .f = gate_sigmoid,
                             .g = gate_tanh,
                             .hh = gate_tanh};
        if (round % 2) s.peephole = p.data;
        if (round % 3 == 0) s.clip = 1.5f;
        if (round % 5 == 0) s.input_forget = 1;
        hone__lstm_cell_f32(&s, two_threads);
        const float *pp = p.data;
        for (size_t i = 0; i < batch * n; i++) {
            const float *x = gates + i / n * 4 * n + i % n;
            size_t k = i % n;
            double was = ((float *)c0.data)[i], peep = s.peephole ? 1 : 0;
            double in = sigmoid(limit(x[0] + peep * pp[k] * was, s.clip));
            double forget = s.input_forget ? 1 - in : sigmoid(limit(x[2 * n] + peep * pp[2 * n + k] * was, s.clip));
            double now = forget * was + in * tanh(limit(x[3 * n], s.clip));
            double out = sigmoid(limit(x[n] + peep * pp[n + k] * now, s.clip));
            near(((float *)c.data)[i], now);
            near(((float *)h.data)[i], out * tanh(now));
        }
        free(gates);
        guarded_free(&g), guarded_free(&p), guarded_free(&c0), guarded_free(&c), guarded_free(&h);
    }
}

static void gru(void **state)
{
    (void)state;
    for (int round = 0; round < 100; round++) {
        size_t batch = pick(1, 4), n = pick(1, 70), all = batch * 3 * n;
        int before = round % 2;
        guarded xw = guarded_new(all * 4), hr = guarded_new(all * 4), h0 = guarded_new(batch * n * 4);
        guarded h = guarded_new(batch * n * 4), rh = guarded_new(batch * n * 4);
        fill_f32(xw.data, all, -3, 3);
        fill_f32(hr.data, all, -3, 3);
        fill_f32(h0.data, batch * n, -1, 1);
        float *x = malloc(all * 4);
        memcpy(x, xw.data, all * 4);
        hone__gru_cell s = {.batch = batch,
                            .hidden = n,
                            .xw = xw.data,
                            .xw_rs = 3 * n,
                            .hr = hr.data,
                            .hr_rs = 3 * n,
                            .h_prev = h0.data,
                            .h = h.data,
                            .rh = rh.data,
                            .f = gate_sigmoid,
                            .g = gate_tanh,
                            .linear_before_reset = before};
        float *product = malloc(batch * n * 4); /* what stands for (r * h).Rh^T */
        if (!before) {
            hone__gru_reset_f32(&s, two_threads);
            for (size_t i = 0; i < batch * n; i++) product[i] = 0.5f * ((float *)rh.data)[i];
            s.hr = product, s.hr_rs = n;
        }
        hone__gru_cell_f32(&s, two_threads);
        for (size_t i = 0; i < batch * n; i++) {
            const float *a = x + i / n * 3 * n + i % n, *b = (float *)hr.data + i / n * 3 * n + i % n;
            double was = ((float *)h0.data)[i], z = sigmoid((double)a[0] + b[0]), r = sigmoid((double)a[n] + b[n]);
            double c = tanh(before ? a[2 * n] + r * b[2 * n] : a[2 * n] + 0.5 * r * was);
            near(((float *)h.data)[i], (1 - z) * c + z * was);
        }
        free(x), free(product);
        guarded_free(&xw), guarded_free(&hr), guarded_free(&h0), guarded_free(&h), guarded_free(&rh);
    }
}

/* Every activation of epilogue.h is the function of vec.h that it names, after bias and residual. */
static void epilogues(void **state)
{
    (void)state;
    static const hone__unary unary[HONE__ACT_COUNT] = {
        [HONE__ACT_RELU] = HONE__RELU,
        [HONE__ACT_CLIP] = HONE__CLIP,
        [HONE__ACT_LEAKY] = HONE__LEAKY,
        [HONE__ACT_SIGMOID] = HONE__SIGMOID,
        [HONE__ACT_TANH] = HONE__TANH,
        [HONE__ACT_HARD_SIGMOID] = HONE__HARD_SIGMOID,
        [HONE__ACT_HARD_SWISH] = HONE__HARD_SWISH,
        [HONE__ACT_SILU] = HONE__SILU,
        [HONE__ACT_GELU] = HONE__GELU,
        [HONE__ACT_GELU_TANH] = HONE__GELU_TANH,
        [HONE__ACT_ELU] = HONE__ELU,
        [HONE__ACT_SELU] = HONE__SELU,
        [HONE__ACT_SOFTPLUS] = HONE__SOFTPLUS,
        [HONE__ACT_SOFTSIGN] = HONE__SOFTSIGN,
        [HONE__ACT_MISH] = HONE__MISH,
        [HONE__ACT_EXP] = HONE__EXP,
        [HONE__ACT_THRESHOLDED_RELU] = HONE__THRESHOLDED_RELU,
        [HONE__ACT_AFFINE] = HONE__AFFINE,
        [HONE__ACT_SCALED_TANH] = HONE__SCALED_TANH,
    };
    float x[40], y[40], bias[40], slope[40], residual[40];
    for (int act = 0; act < HONE__ACT_COUNT; act++)
        for (int step = 0; step <= 1; step++) {
            fill_f32(x, 40, -3, 3), fill_f32(bias, 40, -1, 1), fill_f32(slope, 40, -1, 1),
                fill_f32(residual, 40, -1, 1);
            memcpy(y, x, sizeof x);
            hone__epilogue ep = {.act = (hone__act)act, .a = 0.3f, .b = 0.7f};
            hone__epilogue_row(&ep, bias, slope, step, residual, y, 37);
            for (int i = 0; i < 37; i++) {
                float v = x[i] + bias[step * i] + residual[i];
                if (act == HONE__ACT_PRELU)
                    v = v < 0 ? v * slope[step * i] : v;
                else if (act != HONE__ACT_NONE)
                    v = hone__unary_scalar(unary[act], v, 0.3f, 0.7f);
                if (!(fabsf(y[i] - v) <= 2e-6f * (1 + fabsf(v))))
                    fail_msg("activation %d: %g, expected %g", act, y[i], v);
            }
            assert_true(y[37] == x[37]);
        }
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(lstm),
        cmocka_unit_test(gru),
        cmocka_unit_test(epilogues),
    };
    return cmocka_run_group_tests(list, NULL, NULL);
}

int main(void) { return run_tiers(tests); }
