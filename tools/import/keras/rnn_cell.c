/* rnn_cell.c: weights of SimpleRNN, GRU and LSTM cells of every age, and ONNX's own operators for them. */
#include <string.h>

#include "keras_rnn.h"

/* Keras 1: one array per gate and kind: W, U, b of each gate, the gates of LSTM in the order i, c, f, o. */
static bool load_old(kctx *c, klayer *owner, kcell *cell)
{
    static const int lstm_order[] = {0, 2, 1, 3}; /* to i, f, c, o */
    int64_t u = cell->units, wide = u * cell->gates, shapes[3][2] = {{cell->in, u}, {u, u}, {u, 0}};
    float *to[3] = {cell->k, cell->r, cell->b};
    for (int g = 0; g < cell->gates; g++) {
        int at = cell->type == CELL_LSTM ? lstm_order[g] : g;
        for (int part = 0; part < 3; part++) {
            kweight w;
            if (!hone__kw_take(c, owner, "", 0,
                               part == 0   ? "W"
                               : part == 1 ? "U"
                                           : "b",
                               part < 2 ? 2 : 1, shapes[part], &w))
                return false;
            const float *v = hone__kw_floats(c, &w);
            if (!v) return false;
            int64_t rows = part == 2 ? 1 : shapes[part][0];
            for (int64_t i = 0; i < rows; i++) memcpy(to[part] + i * wide + at * u, v + i * u, (size_t)u * sizeof *v);
        }
    }
    return true;
}

static bool load_new(kctx *c, klayer *owner, const char *sub, kcell *cell)
{
    kweight w;
    int64_t wide = cell->units * cell->gates, dims[2] = {cell->in, wide};
    bool two = cell->type == CELL_GRU && cell->reset_after;
    if (!hone__kw_take(c, owner, sub, 0, "kernel", 2, dims, &w)) return false;
    cell->k = hone__kw_floats(c, &w);
    dims[0] = cell->units;
    if (!hone__kw_take(c, owner, sub, 1, "recurrent_kernel", 2, dims, &w)) return false;
    cell->r = hone__kw_floats(c, &w);
    if (!cell->bias) return c->b.status == HONE_OK;
    dims[0] = 2;
    if (!hone__kw_take(c, owner, sub, 2, "bias", two ? 2 : 1, two ? dims : &wide, &w)) return false;
    memcpy(cell->b, w.data ? hone__kw_floats(c, &w) : cell->b, w.count * sizeof(float));
    return c->b.status == HONE_OK;
}

bool hone__kcell_load(kctx *c, klayer *owner, const char *sub, klayer *l, int64_t in, kcell *cell)
{
    const char *s = l->class_name;
    memset(cell, 0, sizeof *cell);
    bool lstm = strncmp(s, "LSTM", 4) == 0, gru = strncmp(s, "GRU", 3) == 0, simple = strncmp(s, "SimpleRNN", 9) == 0;
    if (!lstm && !gru && !simple) {
        hone__k_refuse(
            c, "a recurrent cell of class %s: only SimpleRNNCell, GRUCell, LSTMCell and StackedRNNCells of them", s);
        return false;
    }
    cell->l = l;
    cell->type = lstm ? CELL_LSTM : gru ? CELL_GRU : CELL_SIMPLE;
    cell->gates = lstm ? 4 : gru ? 3 : 1, cell->states = lstm ? 2 : 1;
    cell->in = in, cell->units = hone__kcfg_int(c, l, "units", 0, 1, 1 << 24);
    cell->bias = hone__kcfg_bool(l, "use_bias", true);
    cell->reset_after = gru && hone__kcfg_bool(l, "reset_after", false);
    if (in < 1) hone__k_shape_error(c, "the number of features is not known");
    if (c->b.status != HONE_OK) return false;
    cell->b = hone__k_alloc(c, (size_t)cell->units * (size_t)cell->gates * 2 * sizeof(float));
    if (!cell->b) return false;
    if (c->keras_major == 1) {
        size_t wide = (size_t)cell->units * (size_t)cell->gates, kept = c->h5_size / sizeof(float);
        if ((size_t)cell->in > kept / wide || (size_t)cell->units > kept / wide) {
            hone__k_shape_error(c, "its weights are larger than the file");
            return false;
        }
        cell->k = hone__k_alloc(c, (size_t)cell->in * wide * sizeof(float));
        cell->r = hone__k_alloc(c, (size_t)cell->units * wide * sizeof(float));
        return cell->k && cell->r && load_old(c, owner, cell);
    }
    return load_new(c, owner, sub, cell);
}

/* ONNX's name of an activation, with its alpha and beta where it takes them. */
static bool onnx_activation(const kctx *c, const json_t *spec, const char *otherwise, hone__string *name, float *alpha,
                            float *beta, int *values)
{
    static const char *const names[][2] = {{"tanh", "Tanh"},         {"sigmoid", "Sigmoid"},
                                           {"relu", "Relu"},         {"hard_sigmoid", "HardSigmoid"},
                                           {"softsign", "Softsign"}, {"softplus", "Softplus"}};
    const char *s = json_string_value(spec);
    if (json_is_object(spec)) s = hone__json_text(spec, "config");
    if (!spec) s = otherwise;
    for (size_t i = 0; s && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(s, names[i][0]) != 0) continue;
        *name = (hone__string){names[i][1], strlen(names[i][1])};
        if (i == 3) {
            alpha[*values] = c->keras_major < 3 ? 0.2f : 1.0f / 6;
            beta[(*values)++] = 0.5f;
        }
        return true;
    }
    return false;
}

/* [1, gates * units, columns] from Keras's [columns, gates * units]; gate g of ONNX is gate order[g] of Keras. */
static hone__value *pack(kctx *c, const char *name, const float *v, int64_t columns, const kcell *cell,
                         const int *order)
{
    int64_t u = cell->units, wide = u * cell->gates, dims[3] = {1, wide, columns};
    hone__tensor t;
    if (hone__builder_fail(&c->b, hone__tensor_new(HONE_F32, 3, dims, &t)) != HONE_OK) return NULL;
    float *out = hone__tensor_write(&t);
    for (int g = 0; g < cell->gates; g++)
        for (int64_t j = 0; j < u; j++)
            for (int64_t i = 0; i < columns; i++) *out++ = v[i * wide + order[g] * u + j];
    return hone__emit_tensor(&c->b, name, &t);
}

static hone__value *pack_bias(kctx *c, const kcell *cell, const int *order)
{
    int64_t u = cell->units, wide = u * cell->gates, dims[2] = {1, wide * 2};
    float *out = hone__k_alloc(c, (size_t)wide * 2 * sizeof *out);
    if (!out) return NULL;
    for (int g = 0; g < cell->gates * 2; g++)
        memcpy(out + g * u, cell->b + (g >= cell->gates) * wide + order[g % cell->gates] * u, (size_t)u * sizeof *out);
    return hone__emit_f32(&c->b, "bias", out, 2, dims);
}

static hone__value *flip_time(kctx *c, hone__value *x, int64_t axis)
{
    return hone__k_slice(c, x, axis, INT64_MAX, INT64_MIN, -1);
}

bool hone__krun_native(kctx *c, kcell *cell, kt *x, const krun *run, kcall *call)
{
    static const int same[] = {0, 1, 2, 3}, lstm[] = {0, 3, 1, 2}; /* i, o, f, c */
    static const char *const ops[] = {"RNN", "GRU", "LSTM"};
    hone__string acts[3];
    float alpha[3], beta[3];
    int values = 0, n = 0, bias = cell->bias;
    const json_t *act = json_object_get(cell->l->config, "activation"),
                 *gate = hone__kcfg(cell->l, "recurrent_activation");
    if (run->mask || x->rank != 3 || json_is_null(act)) return false;
    const char *gate_default = c->keras_major >= 3 ? "sigmoid" : "hard_sigmoid";
    if (cell->type != CELL_SIMPLE && !onnx_activation(c, gate, gate_default, &acts[n++], alpha, beta, &values))
        return false;
    if (!onnx_activation(c, act, "tanh", &acts[n++], alpha, beta, &values)) return false;
    if (cell->type == CELL_LSTM && !onnx_activation(c, act, "tanh", &acts[n++], alpha, beta, &values)) return false;
    const int *order = cell->type == CELL_LSTM ? lstm : same;
    hone__value *w = hone__kw_cached(cell->l, cell->l, "W"), *r = hone__kw_cached(cell->l, cell->l, "R"),
                *b = hone__kw_cached(cell->l, cell->l, "B");
    if (!w) hone__kw_remember(c, cell->l, cell->l, "W", w = pack(c, "kernel", cell->k, cell->in, cell, order));
    if (!r)
        hone__kw_remember(c, cell->l, cell->l, "R", r = pack(c, "recurrent_kernel", cell->r, cell->units, cell, order));
    if (bias && !b) hone__kw_remember(c, cell->l, cell->l, "B", b = pack_bias(c, cell, order));
    hone__value *time_major = hone__k_transpose(c, hone__kt_f32(c, x), 3, (int64_t[]){1, 0, 2}), *out[3];
    hone__value *h0 = run->initial ? hone__k_unsqueeze(c, hone__kt_f32(c, run->initial[0]), 0) : NULL;
    hone__value *c0 =
        run->initial && cell->type == CELL_LSTM ? hone__k_unsqueeze(c, hone__kt_f32(c, run->initial[1]), 0) : NULL;
    hone__attr attrs[6] = {hone__a_int("hidden_size", cell->units),
                           hone__a_string("direction", run->backwards ? "reverse" : "forward"),
                           {.name = "activations", .kind = HONE__ATTR_STRINGS, .strings = acts, .count = (size_t)n}};
    int count = 3;
    if (values) {
        attrs[count++] = (hone__attr){
            .name = "activation_alpha", .kind = HONE__ATTR_FLOATS, .floats = alpha, .count = (size_t)values};
        attrs[count++] =
            (hone__attr){.name = "activation_beta", .kind = HONE__ATTR_FLOATS, .floats = beta, .count = (size_t)values};
    }
    if (cell->type == CELL_GRU) attrs[count++] = hone__a_int("linear_before_reset", cell->reset_after);
    hone__emit_multi(&c->b, ops[cell->type], "rnn", HONE__INS(time_major, w, r, b, NULL, h0, c0), attrs, count, out,
                     cell->type == CELL_LSTM ? 3 : 2);
    int64_t seq[3] = {x->dims[0], x->dims[1], cell->units}, last[2] = {x->dims[0], cell->units};
    if (run->sequences) { /* [time, 1, batch, units] */
        hone__value *y = hone__k_transpose(c, hone__k_squeeze(c, out[0], 1), 3, (int64_t[]){1, 0, 2});
        if (run->backwards && !run->aligned) y = flip_time(c, y, 1);
        call->out[0] = hone__kt_new(c, K_PLAIN, y, HONE_F32, 3, seq);
    } else
        call->out[0] = hone__kt_new(c, K_PLAIN, hone__k_squeeze(c, out[1], 0), HONE_F32, 2, last);
    call->out_count = 1;
    for (int i = 0; run->state && i < cell->states; i++)
        call->out[call->out_count++] = hone__kt_new(c, K_PLAIN, hone__k_squeeze(c, out[1 + i], 0), HONE_F32, 2, last);
    return true;
}
