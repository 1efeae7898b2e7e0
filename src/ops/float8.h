/* float8.h: storing into 8-bit floating-point types as Cast and QuantizeLinear define it: what does not fit becomes the
 * largest value, or with saturate 0 the type's infinity or NaN (ONNX, "Float stored in 8 bits"). */
#ifndef HONE_OPS_FLOAT8_H
#define HONE_OPS_FLOAT8_H

#include <math.h>
#include <string.h>

#include "infer.h"

static inline bool hone__is_float8(hone_dtype d) { return d >= HONE_F8E4M3FN && d <= HONE_F8E5M2FNUZ; }

static inline void hone__store_float8(hone_dtype d, void *y, size_t i, double v, bool saturate)
{
    /* largest value, and from where on rounding leaves the range */
    double most = d == HONE_F8E4M3FN ? 448 : d == HONE_F8E4M3FNUZ ? 240 : 57344;
    double from = d == HONE_F8E4M3FN ? 464 : d == HONE_F8E4M3FNUZ ? 248 : 61440;
    bool over = d == HONE_F8E4M3FN ? fabs(v) > from : fabs(v) >= from;
    if (over && saturate)
        v = copysign(most, v);
    else if (over)
        v = d == HONE_F8E5M2 ? copysign(INFINITY, v) : NAN;
    hone__element_set_f64(d, y, i, v);
}

/* E8M0 holds powers of two only. mode: 'u' up, 'd' down, 'n' nearest. */
static inline void hone__store_e8m0(void *y, size_t i, double v, char mode, bool saturate)
{
    int e;
    double m = frexp(v, &e); /* v = m * 2^e, m in [0.5, 1) */
    if (isfinite(v) && v > 0) {
        bool up = mode == 'u' ? m > 0.5 : mode == 'n' ? m >= 0.75 : false;
        e += (up ? 1 : 0) - 1;
        if (e > 127) e = saturate ? 127 : 128;
        if (e < -127) e = -127;
        ((uint8_t *)y)[i] = (uint8_t)(e + 127);
        return;
    }
    ((uint8_t *)y)[i] = v == 0 ? 0 : isinf(v) && v > 0 && saturate ? 254 : 255;
}

#endif
