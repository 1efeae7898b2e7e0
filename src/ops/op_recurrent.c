/* op_recurrent.c: LSTM, GRU and RNN. The input product of the whole sequence is one matrix product; each step then adds
 * its recurrent product and runs the cell. float32, other floats through it. */
#include <string.h>

#include "kernels/gemm/gemm.h"
#include "kernels/vec/vec.h"
#include "recurrent.h"
#include "widen.h"

enum { ALIGN = 64 };

/* Offsets into scratch, in bytes. */
typedef struct plan {
    hone__recurrent s;
    size_t xw, bias, hr_bias, hr, rh, h, c, next_h, next_c, gemm, end;
} plan;

static hone_status infer_lstm(hone__infer *x) { return hone__recurrent_infer(x, HONE__CELL_LSTM); }
static hone_status infer_gru(hone__infer *x) { return hone__recurrent_infer(x, HONE__CELL_GRU); }
static hone_status infer_rnn(hone__infer *x) { return hone__recurrent_infer(x, HONE__CELL_RNN); }

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

static size_t row_stride(const hone__recurrent *s) { return s->gates * s->hidden * (s->batch_first ? s->steps : 1); }

static size_t reserve(plan *p, size_t floats)
{
    size_t at = p->end;
    p->end += (floats * sizeof(float) + ALIGN - 1) / ALIGN * ALIGN;
    return at;
}

static hone_status prepare(hone__prepare *p, hone__cell cell)
{
    plan *q = hone__arena_zalloc(p->arena, sizeof *q);
    if (!q) return hone__out_of_memory(sizeof *q);
    hone__recurrent *s = &q->s;
    HONE__TRY(hone__recurrent_read(p->node, p->in[0], p->in[2], cell, s));
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
    q->gemm = q->end;
    hone__gemm_f32_args shapes[] = {input_product(s), step_product(s, s->gates, row_stride(s)),
                                    step_product(s, s->gates, n), step_product(s, 2, n), step_product(s, 1, s->hidden)};
    size_t most = 0;
    for (int i = 0; i < 5 && all; i++) {
        size_t need = hone__gemm_f32_scratch(&shapes[i], p->threads);
        if (need > most) most = need;
    }
    p->scratch = q->end + most;
    p->state = q;
    return HONE_OK;
}
static hone_status prepare_lstm(hone__prepare *p) { return prepare(p, HONE__CELL_LSTM); }
static hone_status prepare_gru(hone__prepare *p) { return prepare(p, HONE__CELL_GRU); }
static hone_status prepare_rnn(hone__prepare *p) { return prepare(p, HONE__CELL_RNN); }

/* One direction of one run. */
typedef struct job {
    const plan *p;
    hone__run *r;
    size_t d;
    const float *recurrence, *peephole;
    float *xw, *bias, *hr_bias, *hr, *rh, *h, *c, *next_h, *next_c;
    void *gemm;
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

static void step_lstm(const job *j, float *gates)
{
    const hone__recurrent *s = &j->p->s;
    hone__gemm_f32_args g = step_product(s, 4, row_stride(s));
    g.a = j->h;
    g.b = j->recurrence;
    g.c = gates;
    g.ep.residual = gates;
    hone__gemm_f32(&g, j->gemm, j->r->pool);
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

/* A row past its own length keeps its state and gives zeros; in reverse it so starts at its own end. */
static void take_step(const job *j, const hone__tensor *lengths, size_t t)
{
    const hone__recurrent *s = &j->p->s;
    float *y = j->r->out[0] ? hone__out_data(j->r, 0) : NULL;
    size_t row = s->hidden * sizeof(float);
    for (size_t b = 0; b < s->batch; b++) {
        bool past = lengths && (int64_t)t >= hone__tensor_i64(lengths, b);
        size_t at = b * s->hidden;
        if (!past) {
            memcpy(j->h + at, j->next_h + at, row);
            if (s->cell == HONE__CELL_LSTM) memcpy(j->c + at, j->next_c + at, row);
        }
        if (!y) continue;
        if (past)
            memset(y + y_at(s, t, j->d, b), 0, row);
        else
            memcpy(y + y_at(s, t, j->d, b), j->h + at, row);
    }
}

static void run_direction(job *j, const hone__tensor *lengths)
{
    const hone__recurrent *s = &j->p->s;
    hone__run *r = j->r;
    size_t n = s->gates * s->hidden, row = s->hidden * sizeof(float);
    const float *h0 = input(r, 5, 0), *c0 = input(r, 6, 0);
    j->recurrence = input(r, 2, j->d * n * s->hidden);
    j->peephole = input(r, 7, j->d * 3 * s->hidden);
    make_bias(j, input(r, 3, j->d * 2 * n));
    for (size_t b = 0; b < s->batch; b++) {
        float *h = j->h + b * s->hidden, *c = j->c + b * s->hidden;
        if (h0)
            memcpy(h, h0 + state_at(s, j->d, b), row);
        else
            memset(h, 0, row);
        if (c0)
            memcpy(c, c0 + state_at(s, j->d, b), row);
        else
            memset(c, 0, row);
    }
    if (s->steps && s->batch) {
        hone__gemm_f32_args g = input_product(s);
        g.a = r->in[0]->data;
        g.b = input(r, 1, j->d * n * s->in);
        g.c = j->xw;
        g.ep.bias = j->bias;
        hone__gemm_f32(&g, j->gemm, r->pool);
        for (size_t k = 0; k < s->steps; k++) {
            size_t t = s->reverse[j->d] ? s->steps - 1 - k : k;
            float *gates = j->xw + t * n * (s->batch_first ? 1 : s->batch);
            if (s->cell == HONE__CELL_LSTM)
                step_lstm(j, gates);
            else if (s->cell == HONE__CELL_GRU)
                step_gru(j, gates);
            else
                step_rnn(j, gates);
            take_step(j, lengths, t);
        }
    }
    for (size_t b = 0; b < s->batch; b++) {
        size_t at = state_at(s, j->d, b);
        if (r->output_count > 1 && r->out[1]) memcpy((float *)hone__out_data(r, 1) + at, j->h + b * s->hidden, row);
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
    job j = {.p = p, .r = r};
    float **parts[] = {&j.xw, &j.bias, &j.hr_bias, &j.hr, &j.rh, &j.h, &j.c, &j.next_h, &j.next_c};
    const size_t offsets[] = {p->xw, p->bias, p->hr_bias, p->hr, p->rh, p->h, p->c, p->next_h, p->next_c};
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) *parts[i] = (float *)(base + offsets[i]);
    j.gemm = base + p->gemm;
    for (j.d = 0; j.d < p->s.directions; j.d++) run_direction(&j, lengths);
    return HONE_OK;
}

HONE__WIDENED_BUT(lstm, prepare_lstm, run, 1U << 4)
HONE__WIDENED_BUT(gru, prepare_gru, run, 1U << 4)
HONE__WIDENED_BUT(rnn, prepare_rnn, run, 1U << 4)
const hone__op hone__op_lstm = {"", "LSTM", infer_lstm, wide_prepare_lstm, wide_run_lstm, 0};
const hone__op hone__op_gru = {"", "GRU", infer_gru, wide_prepare_gru, wide_run_gru, 0};
const hone__op hone__op_rnn = {"", "RNN", infer_rnn, wide_prepare_rnn, wide_run_rnn, 0};
