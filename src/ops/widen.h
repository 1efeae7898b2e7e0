/* widen.h: lets an operator that computes in float32 take the other floating-point types: its float inputs are
 * converted into scratch, it runs there, and its outputs are rounded to their own type. */
#ifndef HONE_OPS_WIDEN_H
#define HONE_OPS_WIDEN_H

#include "infer.h"

/* For use as `prepare` and `run` around functions that know float32 only (inner_prepare may be NULL). Nodes without any
 * floating-point tensor but float32 go straight through. Inner prepare sees float32 tensors without data. Bit i of
 * `others`: input i may have any type, and the function looks; every other input must be floating-point. */
hone_status hone__widen_prepare(hone__prepare *p, hone_status (*inner)(hone__prepare *), unsigned others);
hone_status hone__widen_run(hone__run *r, hone_status (*inner)(hone__run *));

/* Defines wide_prepare_<row> and wide_run_<row>. */
#define HONE__WIDENED_BUT(row, prepare_, run_, others)                                                           \
    static hone_status wide_prepare_##row(hone__prepare *p) { return hone__widen_prepare(p, prepare_, others); } \
    static hone_status wide_run_##row(hone__run *r) { return hone__widen_run(r, run_); }
#define HONE__WIDENED(row, prepare_, run_) HONE__WIDENED_BUT(row, prepare_, run_, 0)

/* n elements of any numeric type to float32 and back. */
void hone__to_f32(hone_dtype dtype, const void *x, size_t n, float *y);
void hone__from_f32(hone_dtype dtype, const float *x, size_t n, void *y);

#endif
