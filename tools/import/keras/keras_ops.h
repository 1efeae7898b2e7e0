/* keras_ops.h: arguments of an operation, wherever the version of Keras wrote them. */
#ifndef HONE_IMPORT_KERAS_OPS_H
#define HONE_IMPORT_KERAS_OPS_H

#include "keras.h"

/* Keyword, constructor setting or positional argument; `names` are alternatives separated by '|'. NULL: absent, null.
 */
const json_t *hone__kop_arg(const klayer *l, const kcall *call, int index, const char *names);
/* The same as a tensor; index 0 falls back to the first input. NULL sticks an error when `needed`. */
kt *hone__kop_tensor(kctx *c, const klayer *l, kcall *call, int index, const char *names, bool needed);
double hone__kop_num(const klayer *l, const kcall *call, int index, const char *names, double otherwise);
bool hone__kop_bool(const klayer *l, const kcall *call, int index, const char *names, bool otherwise);

#endif
