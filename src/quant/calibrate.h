/* calibrate.h: ranges of activations from sample data. Private to quant. */
#ifndef HONE_QUANT_CALIBRATE_H
#define HONE_QUANT_CALIBRATE_H

#include "quant.h"

typedef struct hone__range {
    double low, high;
} hone__range;

/* Runs the model on every sample, as it stands, and finds the range of each value (float32, of the main graph).
 * HONE_E_ARGUMENT when there is no sample or a value is not finite on some sample. */
hone_status hone__calibrate(const hone__model *model, const hone_calibration *calibration, hone__value *const *values,
                            size_t count, hone__range *ranges);

/* The narrower range that keeps most information (method entropy) or all but a share of the values (percentile), from a
 * histogram of `bins` equal bins between low and high. */
hone__range hone__range_entropy(const unsigned long long *histogram, size_t bins, hone__range full);
hone__range hone__range_percentile(const unsigned long long *histogram, size_t bins, hone__range full, double share);

#endif
