/* recurrent.h: what LSTM (DynamicQuantizeLSTM, too), GRU and RNN share: attributes, sizes and the checks of their
 * inputs. Private to op_recurrent and recurrent. */
#ifndef HONE_OPS_RECURRENT_H
#define HONE_OPS_RECURRENT_H

#include "infer.h"
#include "kernels/rnn/rnn.h"

typedef enum hone__cell { HONE__CELL_RNN = 0, HONE__CELL_GRU, HONE__CELL_LSTM } hone__cell;

typedef struct hone__recurrent {
    hone__cell cell;
    size_t steps, batch, in, hidden, gates, directions;
    bool reverse[2], batch_first; /* layout 1 */
    bool linear_before_reset, input_forget;
    bool bytes; /* DynamicQuantizeLSTM: weights are turned bytes, W [directions, in, gates * hidden] */
    float clip;
    hone__gate_act act[2][3]; /* per direction: RNN f; GRU f, g; LSTM f, g, h */
} hone__recurrent;

hone_status hone__recurrent_infer(hone__infer *x, hone__cell cell, bool bytes);
/* Everything from the node and from concrete shapes. */
hone_status hone__recurrent_read(const hone__node *n, const hone__tensor *x, const hone__tensor *recurrence,
                                 hone__cell cell, bool bytes, hone__recurrent *out);

#endif
