/* keras_rnn.h: recurrent cells and the loop around them. */
#ifndef HONE_IMPORT_KERAS_RNN_H
#define HONE_IMPORT_KERAS_RNN_H

#include "keras.h"

enum { CELL_SIMPLE, CELL_GRU, CELL_LSTM, MAX_CELLS = 16 };

typedef struct kcell {
    klayer *l; /* holds the settings */
    int type, gates, states;
    int64_t in, units;
    bool bias, reset_after;
    float *k, *r, *b; /* [in, gates * units], [units, gates * units], [1 or 2, gates * units] */
    hone__value *vk, *vr, *vb[2], *vr_zr, *vr_h;
} kcell;

typedef struct krun {
    bool backwards, sequences, state, zero_masked, unroll;
    bool aligned; /* the sequence in the order of time even when read backwards */
    kt *mask;     /* [batch, time] or NULL */
    kt **initial; /* states, or NULL */
    int initial_count;
} krun;

bool hone__kcell_load(kctx *c, klayer *owner, const char *sub, klayer *settings, int64_t in, kcell *cell);
/* ONNX's own LSTM, GRU or RNN where it means the same; false (and nothing emitted) where not. */
bool hone__krun_native(kctx *c, kcell *cell, kt *x, const krun *run, kcall *call);
/* A Scan over time. step: emits one step in the body. */
typedef hone__value *(*kstep_fn)(kctx *c, void *ctx, hone__value *x, hone__value *const *states, hone__value **next);
/* states: initial values. x: batch first. y: [batch, time, ...] or the last step. */
bool hone__krun_scan(kctx *c, kstep_fn step, void *ctx, kt *x, hone__value *const *states, int state_count,
                     int out_rank, hone__value *zero_output, const krun *run, hone__value **y, hone__value **final);
/* The last state of a Scan over the first axis of x: state = op(state, x). */
hone__value *hone__kscan_fold(kctx *c, const char *op, hone__value *start, hone__value *x, hone_dtype dtype);
bool hone__krun_cells(kctx *c, kcell *cells, int n, kt *x, const krun *run, kcall *call);
/* One step without a loop; the initial states of `run` are needed. */
hone_status hone__krun_step(kctx *c, kcell *cells, int n, kt *x, const krun *run, kcall *call);
/* initial_state, mask and the settings shared by recurrent layers. */
void hone__krun_read(kctx *c, const klayer *l, kcall *call, krun *run);

#endif
