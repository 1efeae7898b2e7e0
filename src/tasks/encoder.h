/* encoder.h: what a decoder attends to: an input encoded once, as keys and values of every layer's cross attention. */
#ifndef HONE_TASKS_ENCODER_H
#define HONE_TASKS_ENCODER_H

#include "exec/session.h"

typedef struct hone__encoder hone__encoder;

typedef struct hone__encoder_options {
    hone__session_options session;
    size_t batch;     /* most inputs side by side */
    size_t rows;      /* most rows that an input is encoded into */
    hone_dtype cache; /* of keys and values: HONE_F32, HONE_F16 or HONE_I8 */
} hone__encoder_options;

/* encoder: passes/parts.h's HONE__PART_ENCODER with one input; decoder: any part that gives present.{i}.encoder.*. Both
 * may be destroyed afterwards. HONE_E_UNSUPPORTED for graphs of another make. */
hone_status hone__encoder_create(const hone__model *encoder, const hone__model *decoder,
                                 const hone__encoder_options *options, hone__encoder **out);
void hone__encoder_destroy(hone__encoder *encoder); /* NULL is fine */

/* input: of the encoder, [batch, ...]. HONE_E_LIMIT where it is larger than the options say. */
hone_status hone__encoder_run(hone__encoder *encoder, const hone__tensor *input);

/* What the last run made: [*count] keys and values of layer 0, 1, ..., each [batch, heads, rows, size or size + 4] with
 * all its rows in use. Valid until the next run. */
const hone__tensor *hone__encoder_caches(const hone__encoder *encoder, size_t *count);

#endif
