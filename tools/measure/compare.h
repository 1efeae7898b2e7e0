/* compare.h: two models on one input, value by value. */
#ifndef HONE_MEASURE_COMPARE_H
#define HONE_MEASURE_COMPARE_H

#include <stdbool.h>

#include "graph/graph.h"
#include "hone/model.h"

typedef struct hone__difference {
    const char *name; /* of the value in the first model: lives as long as that model */
    bool output;
    size_t count;
    double sqnr_db; /* 10 log10(sum a^2 / sum (a - b)^2); infinite where equal */
    double cosine, max_error, max_value;
} hone__difference;

/* Runs both graphs exactly as they are written on `inputs` (of the first, matched to the second by name, else by
 * position) and compares the outputs, by position, and every float value that both name alike. Worst first; *out is
 * freed by hone__free. */
hone_status hone__compare(const hone__model *a, const hone__model *b, const hone_tensor *inputs, int threads,
                          hone__difference **out, size_t *count);

#endif
