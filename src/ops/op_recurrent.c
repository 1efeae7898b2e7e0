/* op_recurrent.c: LSTM, GRU and RNN. The input product of the whole sequence is one matrix product; each step then adds
 * its recurrent product and runs the cell. float32, other floats through it. com.microsoft's DynamicQuantizeLSTM makes
 * both products of bytes: the whole sequence is quantised at once, the state anew in every step. */
#include <string.h>

#include "kernels/gemm/gemm.h"
#include "kernels/quantize/quantize.h"
#include "kernels/vec/vec.h"
#include "recurrent.h"
#include "widen.h"

enum { ALIGN = 64 };

/* Offsets into scratch, in bytes. */
typedef struct plan {
    hone__recurrent s;
    size_t xw, bias, hr_bias, hr, rh, h, c, next_h, next_c, own_x, last_h, x_bytes, h_bytes, zeros, gemm, end;
} plan;

static hone_status infer_lstm(hone__infer *x) { return hone__recurrent_infer(x, HONE__CELL_LSTM, false); }
static hone_status infer_bytes(hone__infer *x) { return hone__recurrent_infer(x, HONE__CELL_LSTM, true); }
static hone_status infer_gru(hone__infer *x) { return hone__recurrent_infer(x, HONE__CELL_GRU, false); }
static hone_status infer_rnn(hone__infer *x) { return hone__recurrent_infer(x, HONE__CELL_RNN, false); }

/* x . W^T + bias of all steps: [steps * batch, gates * hidden] in x's own order of rows. */
static hone__gemm_f32_args input_product(const hone__recurrent *s)
{
    size_t n = s->gates * s->hidden;
    return (hone__gemm_f32_args){.m = s->steps * s->batch,
                                 .n = n,
                                 .k = s->in,
                                 .a_rs = s->in,
                                 .a_cs = 1,
                                 .b_rs = 1,
                                 .b_cs = s->in,
                                 .c_rs = n,
                                 .alpha = 1};
}

/* h . R[first gate ..]^T of one step */
static hone__gemm_f32_args step_product(const hone__recurrent *s, size_t gates, size_t c_rs)
{
    return (hone__gemm_f32_args){.m = s->batch,
                                 .n = gates * s->hidden,
                                 .k = s->hidden,
                                 .a_rs = s->hidden,
                                 .a_cs = 1,
                                 .b_rs = 1,
                                 .b_cs = s->hidden,
                                 .c_rs = c_rs,
                                 .alpha = 1};
}

/* The two products of bytes: m rows of k values times [k, gates * hidden]. */
static hone__gemm_i8_args byte_product(const hone__recurrent *s, size_t m, size_t k, size_t c_rs)
{
    size_t n = s->gates * s->hidden;
    hone__gemm_i8_args g = {
        .m = m, .n = n, .k = k, .a_rs = k, .a_cs = 1, .b_rs = n, .b_cs = 1, .b_zp_per_col = 1, .b_scale_per_col = 1};
    g.c_rs = c_rs;
    g.c_f32 = (float *)(uintptr_t)64; /* the scratch query may look at which output is wanted */
    return g;
}

static size_t row_stride(const hone__recurrent *s) { return s->gates * s->hidden * (s->batch_first ? s->steps : 1); }

static size_t reserve(plan *p, size_t floats)
{
    size_t at = p->end;
    p->end += (floats * sizeof(float) + ALIGN - 1) / ALIGN * ALIGN;
    return at;
}

static size_t byte_scratch(const hone__recurrent *s, int threads)
{
    size_t most = 0, n = s->gates * s->hidden;
    for (int i = 0; i < 4; i++) { /* the input's product and a step's, by signed weights and unsigned ones */
        hone__gemm_i8_args g = i < 2 ? byte_product(s, s->steps * s->batch, s->in, n)
                                     : byte_product(s, s->batch, s->hidden, row_stride(s));
        g.b_signed = i % 2;
        size_t need = hone__gemm_i8_scratch(&g, threads);
        if (need > most) most = need;
    }
    return most;
}

static hone_status prepare(hone__prepare *p, hone__cell cell, bool bytes)
{
    plan *q = hone__arena_zalloc(p->arena, sizeof *q);
    if (!q) return hone__out_of_memory(sizeof *q);
    hone__recurrent *s = &q->s;
    HONE__TRY(hone__recurrent_read(p->node, p->in[0], p->in[2], cell, bytes, s));
    size_t n = s->gates * s->hidden, state = s->batch * s->hidden, all;
    if (!hone__mul_size(s->steps * s->batch, n, &all) || all > (size_t)1 << 40)
        return hone__fail(HONE_E_LIMIT, "the gates of all steps are over 2^40 values");
    q->xw = reserve(q, all);
    q->bias = reserve(q, n);
    q->hr_bias = reserve(q, n);
    q->hr = reserve(q, s->batch * n);
    q->rh = reserve(q, state);
    q->h = reserve(q, state);
    q->c = reserve(q, state);
    q->next_h = reserve(q, state);
    q->next_c = reserve(q, state);
    if (bytes) {
        q->own_x = reserve(q, p->in[0]->count);
        q->x_bytes = reserve(q, p->in[0]->count / sizeof(float) + 1);
        q->h_bytes = reserve(q, state / sizeof(float) + 1);
        q->zeros = reserve(q, n);
    }
    q->last_h = bytes ? reserve(q, state) : q->h;
    q->gemm = q->end;
    hone__gemm_f32_args shapes[] = {input_product(s), step_product(s, s->gates, row_stride(s)),
                                    step_product(s, s->gates, n), step_product(s, 2, n), step_product(s, 1, s->hidden)};
    size_t most = 0;
    if (all && bytes) most = byte_scratch(s, p->threads);
    for (int i = 0; i < 5 && all && !bytes; i++) {
        size_t need = hone__gemm_f32_scratch(&shapes[i], p->threads);
        if (need > most) most = need;
    }
    p->scratch = q->end + most;
    p->state = q;
    return HONE_OK;
}
static hone_status prepare_lstm(hone__prepare *p) { return prepare(p, HONE__CELL_LSTM, false); }
static hone_status prepare_bytes(hone__prepare *p) { return prepare(p, HONE__CELL_LSTM, true); }
static hone_status prepare_gru(hone__prepare *p) { return prepare(p, HONE__CELL_GRU, false); }
static hone_status prepare_rnn(hone__prepare *p) { return prepare(p, HONE__CELL_RNN, false); }

/* One direction of one run. */
typedef struct job {
    const plan *p;
    hone__run *r;
    size_t d;
    const float *recurrence, *peephole;
    float *xw, *bias, *hr_bias, *hr, *rh, *h, *c, *next_h, *next_c, *own_x, *last_h;
    uint8_t *x_bytes, *h_bytes;
    int32_t *zeros;
    void *gemm;
    const hone__tensor *lengths;
} job;

static const float *input(const hone__run *r, int i, size_t offset)
{
    return i < r->input_count && r->in[i] ? (const float *)r->in[i]->data + offset : NULL;
}

/* Wb + Rb go into the input product, but for GRU's h gate with linear_before_reset, whose Rb lies inside the reset. */
static void make_bias(const job *j, const float *b)
{
    const hone__recurrent *s = &j->p->s;
    size_t n = s->gates * s->hidden, apart = s->cell == HONE__CELL_GRU && s->linear_before_reset ? 2 * s->hidden : n;
    for (size_t i = 0; i < n; i++) {
        float both = b ? b[i] + b[n + i] : 0;
        j->bias[i] = i < apart || !b ? both : b[i];
        j->hr_bias[i] = i < apart || !b ? 0 : b[n + i];
    }
}

/* rows of a, quantised into `to`, times the bytes of input `weights` (its scales and zero points: `scales` and the
 * input behind it), with their bias or on top of what stands in g's place. */
static void multiply_bytes(const job *j, hone__gemm_i8_args g, const float *a, uint8_t *to, int weights, int scales)
{
    const hone__tensor *w = j->r->in[weights], *ws = j->r->in[scales], *wz = j->r->in[scales + 1];
    float lo, hi, a_scale, *scale = j->hr;
    int32_t a_zero;
    hone__minmax_f32(a, g.m * g.k, &lo, &hi, j->r->pool);
    hone__dynamic_params_u8(lo, hi, &a_scale, &a_zero);
    hone__quantize_u8(a, g.m * g.k, a_scale, a_zero, to, j->r->pool);
    for (size_t i = 0; i < g.n; i++) {
        scale[i] = ((const float *)ws->data)[ws->rank == 1 ? j->d : j->d * g.n + i] * a_scale;
        j->zeros[i] = (int32_t)hone__tensor_i64(wz, wz->rank == 1 ? j->d : j->d * g.n + i);
    }
    g.a = to;
    g.a_zp = &a_zero;
    g.b = (const uint8_t *)w->data + j->d * g.k * g.n;
    g.b_signed = w->dtype == HONE_I8;
    g.b_zp = j->zeros;
    g.b_scale = scale;
    hone__gemm_i8(&g, j->gemm, j->r->pool);
}

static void step_lstm(const job *j, float *gates)
{
    const hone__recurrent *s = &j->p->s;
    if (s->bytes) {
        hone__gemm_i8_args g = byte_product(s, s->batch, s->hidden, row_stride(s));
        g.c_f32 = gates;
        g.ep.residual = gates;
        multiply_bytes(j, g, j->h, j->h_bytes, 2, 10);
    } else {
        hone__gemm_f32_args g = step_product(s, 4, row_stride(s));
        g.a = j->h;
        g.b = j->recurrence;
        g.c = gates;
        g.ep.residual = gates;
        hone__gemm_f32(&g, j->gemm, j->r->pool);
    }
    hone__lstm_cell cell = {.batch = s->batch,
                            .hidden = s->hidden,
                            .gates = gates,
                            .gates_rs = row_stride(s),
                            .peephole = j->peephole,
                            .c_prev = j->c,
                            .c = j->next_c,
                            .h = j->next_h,
                            .f = s->act[j->d][0],
                            .g = s->act[j->d][1],
                            .hh = s->act[j->d][2],
                            .clip = s->clip,
                            .input_forget = s->input_forget};
    hone__lstm_cell_f32(&cell, j->r->pool);
}

static void step_gru(const job *j, float *gates)
{
    const hone__recurrent *s = &j->p->s;
    bool late = s->linear_before_reset;
    size_t n = 3 * s->hidden;
    hone__gemm_f32_args g = step_product(s, late ? 3 : 2, n);
    hone__gru_cell cell = {.batch = s->batch,
                           .hidden = s->hidden,
                           .xw = gates,
                           .xw_rs = row_stride(s),
                           .hr = j->hr,
                           .hr_rs = n,
                           .h_prev = j->h,
                           .h = j->next_h,
                           .rh = j->rh,
                           .f = s->act[j->d][0],
                           .g = s->act[j->d][1],
                           .clip = s->clip,
                           .linear_before_reset = late};
    g.a = j->h;
    g.b = j->recurrence;
    g.c = j->hr;
    g.ep.bias = j->hr_bias;
    hone__gemm_f32(&g, j->gemm, j->r->pool);
    if (!late) {
        hone__gru_reset_f32(&cell, j->r->pool);
        g = step_product(s, 1, s->hidden);
        g.a = j->rh;
        g.b = j->recurrence + 2 * s->hidden * s->hidden;
        g.c = j->hr;
        hone__gemm_f32(&g, j->gemm, j->r->pool);
        cell.hr_rs = s->hidden;
    }
    hone__gru_cell_f32(&cell, j->r->pool);
}

static void step_rnn(const job *j, float *gates)
{
    const hone__recurrent *s = &j->p->s;
    hone__gemm_f32_args g = step_product(s, 1, row_stride(s));
    g.a = j->h;
    g.b = j->recurrence;
    g.c = gates;
    g.ep.residual = gates;
    hone__gemm_f32(&g, j->gemm, j->r->pool);
    const hone__gate_act *act = &s->act[j->d][0];
    hone__epilogue ep = {.act = act->act, .a = act->a, .b = act->b};
    for (size_t b = 0; b < s->batch; b++) {
        float *to = j->next_h + b * s->hidden;
        memcpy(to, gates + b * row_stride(s), s->hidden * sizeof *to);
        if (s->clip > 0) hone__vec_unary(HONE__CLIP, to, to, s->hidden, -s->clip, s->clip);
        hone__act_apply(&ep, 0, to, s->hidden);
    }
}

/* Where row b of step t lies in Y; where direction d's row b lies in Y_h. */
static size_t y_at(const hone__recurrent *s, size_t t, size_t d, size_t b)
{
    return (s->batch_first ? (b * s->steps + t) * s->directions + d : (t * s->directions + d) * s->batch + b) *
           s->hidden;
}
static size_t state_at(const hone__recurrent *s, size_t d, size_t b)
{
    return (s->batch_first ? b * s->directions + d : d * s->batch + b) * s->hidden;
}

static size_t length_of(const job *j, size_t b)
{
    return j->lengths ? (size_t)hone__tensor_i64(j->lengths, b) : j->p->s.steps;
}

/* Which step of the sequence is step k in this direction's own order. */
static size_t own_step(const job *j, size_t b, size_t k)
{
    return j->p->s.reverse[j->d] && k < length_of(j, b) ? length_of(j, b) - 1 - k : k;
}

/* A row past its own length keeps its state and gives zeros; in reverse it so starts at its own end. Where rows are
 * turned by their own lengths before the products, step t is theirs. */
static void take_step(const job *j, size_t t)
{
    const hone__tensor *lengths = j->lengths;
    const hone__recurrent *s = &j->p->s;
    float *y = j->r->out[0] ? hone__out_data(j->r, 0) : NULL;
    size_t row = s->hidden * sizeof(float);
    for (size_t b = 0; b < s->batch; b++) {
        bool past = lengths && (int64_t)t >= hone__tensor_i64(lengths, b);
        size_t at = b * s->hidden;
        if (past && s->bytes) memset(j->h + at, 0, row); /* has no say in the scale of the others */
        if (!past) {
            memcpy(j->h + at, j->next_h + at, row);
            if (s->bytes) memcpy(j->last_h + at, j->next_h + at, row);
            if (s->cell == HONE__CELL_LSTM) memcpy(j->c + at, j->next_c + at, row);
        }
        if (!y) continue;
        if (past)
            memset(y + y_at(s, t, j->d, b), 0, row);
        else
            memcpy(y + y_at(s, s->bytes ? own_step(j, b, t) : t, j->d, b), j->h + at, row);
    }
}

static void multiply_input(const job *j)
{
    const hone__recurrent *s = &j->p->s;
    size_t n = s->gates * s->hidden;
    const float *x = j->r->in[0]->data;
    if (!s->bytes) {
        hone__gemm_f32_args g = input_product(s);
        g.a = x;
        g.b = input(j->r, 1, j->d * n * s->in);
        g.c = j->xw;
        g.ep.bias = j->bias;
        hone__gemm_f32(&g, j->gemm, j->r->pool);
        return;
    }
    size_t steps = 0;
    for (size_t b = 0; b < s->batch; b++) {
        steps = length_of(j, b) > steps ? length_of(j, b) : steps;
        for (size_t k = 0; k < s->steps; k++)
            memcpy(j->own_x + (k * s->batch + b) * s->in, x + (own_step(j, b, k) * s->batch + b) * s->in,
                   s->in * sizeof *x);
    }
    hone__gemm_i8_args g = byte_product(s, steps * s->batch, s->in, n);
    g.c_f32 = j->xw;
    g.ep.bias = j->bias;
    multiply_bytes(j, g, j->own_x, j->x_bytes, 1, 8);
    memset(j->xw + g.m * n, 0, (s->steps * s->batch - g.m) * n * sizeof *j->xw); /* nobody's steps */
}

static void run_direction(job *j)
{
    const hone__recurrent *s = &j->p->s;
    hone__run *r = j->r;
    size_t n = s->gates * s->hidden, row = s->hidden * sizeof(float);
    const float *h0 = input(r, 5, 0), *c0 = input(r, 6, 0);
    j->recurrence = s->bytes ? NULL : input(r, 2, j->d * n * s->hidden);
    j->peephole = input(r, 7, j->d * 3 * s->hidden);
    make_bias(j, input(r, 3, j->d * 2 * n));
    for (size_t b = 0; b < s->batch; b++) {
        float *h = j->h + b * s->hidden, *c = j->c + b * s->hidden;
        if (h0)
            memcpy(h, h0 + state_at(s, j->d, b), row);
        else
            memset(h, 0, row);
        memcpy(j->last_h + b * s->hidden, h, s->bytes ? row : 0);
        if (c0)
            memcpy(c, c0 + state_at(s, j->d, b), row);
        else
            memset(c, 0, row);
    }
    if (s->steps && s->batch) {
        multiply_input(j);
        for (size_t k = 0; k < s->steps; k++) {
            size_t t = s->reverse[j->d] && !s->bytes ? s->steps - 1 - k : k;
            float *gates = j->xw + t * n * (s->batch_first ? 1 : s->batch);
            if (s->cell == HONE__CELL_LSTM)
                step_lstm(j, gates);
            else if (s->cell == HONE__CELL_GRU)
                step_gru(j, gates);
            else
                step_rnn(j, gates);
            take_step(j, t);
        }
    }
    for (size_t b = 0; b < s->batch; b++) {
        size_t at = state_at(s, j->d, b);
        if (r->output_count > 1 && r->out[1])
            memcpy((float *)hone__out_data(r, 1) + at, j->last_h + b * s->hidden, row);
        if (r->output_count > 2 && r->out[2]) memcpy((float *)hone__out_data(r, 2) + at, j->c + b * s->hidden, row);
    }
}

static hone_status run(hone__run *r)
{
    const plan *p = r->state;
    uint8_t *base = r->scratch;
    const hone__tensor *lengths = r->input_count > 4 ? r->in[4] : NULL;
    for (size_t i = 0; lengths && i < lengths->count; i++) {
        int64_t v = hone__tensor_i64(lengths, i);
        if (v < 0 || v > (int64_t)p->s.steps)
            return hone__fail(HONE_E_ARGUMENT, "sequence_lens[%zu] is %lld, there are %zu steps", i, (long long)v,
                              p->s.steps);
    }
    job j = {.p = p, .r = r, .lengths = lengths};
    float **parts[] = {&j.xw, &j.bias, &j.hr_bias, &j.hr, &j.rh, &j.h, &j.c, &j.next_h, &j.next_c, &j.own_x, &j.last_h};
    const size_t offsets[] = {p->xw, p->bias,   p->hr_bias, p->hr,    p->rh,    p->h,
                              p->c,  p->next_h, p->next_c,  p->own_x, p->last_h};
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) *parts[i] = (float *)(base + offsets[i]);
    j.x_bytes = base + p->x_bytes, j.h_bytes = base + p->h_bytes;
    j.zeros = (int32_t *)(base + p->zeros);
    j.gemm = base + p->gemm;
    for (j.d = 0; j.d < p->s.directions; j.d++) run_direction(&j);
    return HONE_OK;
}

HONE__WIDENED_BUT(lstm, prepare_lstm, run, 1U << 4)
HONE__WIDENED_BUT(gru, prepare_gru, run, 1U << 4)
HONE__WIDENED_BUT(rnn, prepare_rnn, run, 1U << 4)
HONE__WIDENED_BUT(bytes, prepare_bytes, run, 1U << 1 | 1U << 2 | 1U << 4 | 1U << 9 | 1U << 11)
const hone__op hone__op_lstm = {"", "LSTM", infer_lstm, wide_prepare_lstm, wide_run_lstm, 0};
const hone__op hone__op_gru = {"", "GRU", infer_gru, wide_prepare_gru, wide_run_gru, 0};
const hone__op hone__op_rnn = {"", "RNN", infer_rnn, wide_prepare_rnn, wide_run_rnn, 0};
const hone__op hone__op_ms_dynamic_quantize_lstm = {"com.microsoft",    "DynamicQuantizeLSTM", infer_bytes,
                                                    wide_prepare_bytes, wide_run_bytes,        0};
