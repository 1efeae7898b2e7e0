/* rnn.h: the pointwise part of one recurrent step; the matrix products come from gemm. */
#ifndef HONE_KERNELS_RNN_H
#define HONE_KERNELS_RNN_H

#include <stddef.h>

#include "base/threads.h"
#include "kernels/epilogue.h"

typedef struct hone__gate_act {
    hone__act act;
    float a, b;
} hone__gate_act;

/* ONNX LSTM. gates: [batch, 4, hidden] in the order i, o, f, c, already x.W^T + h.R^T + biases, rows gates_rs apart;
 * overwritten (it is the work space). */
typedef struct hone__lstm_cell {
    size_t batch, hidden;
    float *gates;
    size_t gates_rs;
    const float *peephole;   /* [3, hidden]: i, o, f; NULL = none */
    const float *c_prev;     /* [batch, hidden]; may be c */
    float *c, *h;            /* [batch, hidden] */
    hone__gate_act f, g, hh; /* ONNX's f (i, o, f gates), g (cell input), h (output) */
    float clip;              /* > 0: gate inputs are clipped to +-clip */
    int input_forget;        /* f = 1 - i */
} hone__lstm_cell;

void hone__lstm_cell_f32(const hone__lstm_cell *c, hone__pool *pool);

/* ONNX GRU in two halves around the second product.
 * linear_before_reset != 0: xw: [batch, 3, hidden] = x.W^T + Wb, hr: [batch, 3, hidden] = h.R^T + Rb, order z, r, h;
 * hone__gru_cell_f32 does the whole step.
 * linear_before_reset == 0: hone__gru_reset_f32 first makes z in xw and rh = r * h_prev [batch, hidden]; the caller
 * computes hr's h part [batch, hidden] = rh.Rh^T + Rbh (passed as hr with hr_rs = hidden) and calls hone__gru_cell_f32.
 */
typedef struct hone__gru_cell {
    size_t batch, hidden;
    float *xw; /* overwritten */
    size_t xw_rs;
    const float *hr;
    size_t hr_rs;
    const float *h_prev;
    float *h, *rh;
    hone__gate_act f, g;
    float clip;
    int linear_before_reset;
} hone__gru_cell;

void hone__gru_reset_f32(const hone__gru_cell *c,
                         hone__pool *pool); /* needs hr's z and r parts: [batch, >=2, hidden] */
void hone__gru_cell_f32(const hone__gru_cell *c, hone__pool *pool);

#endif
