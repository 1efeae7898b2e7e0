/* ops_fourier.c: Fourier transforms of keras.ops, where a complex value is two real ones, as ONNX's DFT, where it is a
 * last axis of two. */
#include <string.h>

#include "keras_ops.h"

/* Real parts, or real and imaginary ones, as [..., 1 or 2]. */
static hone__value *interleaved(kctx *c, kt *re, kt *im)
{
    hone__value *parts[2] = {hone__k_unsqueeze(c, hone__kt_f32(c, re), -1), NULL};
    if (!im) return parts[0];
    parts[1] = hone__k_unsqueeze(c, hone__kt_f32(c, im), -1);
    return hone__k_concat(c, parts, 2, -1);
}

static hone__value *transform(kctx *c, hone__value *x, int64_t length, int64_t axis, bool inverse, bool onesided)
{
    hone__value *n = length ? hone__k_scalar(c, (double)length, HONE_I64) : NULL;
    return hone__emit(&c->b, "DFT", "dft", HONE__INS(x, n, hone__k_scalar(c, (double)axis, HONE_I64)),
                      HONE__ATTRS(hone__a_int("inverse", inverse), hone__a_int("onesided", onesided)));
}

static hone__value *part_of(kctx *c, hone__value *x, int part)
{
    return hone__k_squeeze(c, hone__k_slice(c, x, -1, part, part + 1, 1), -1);
}

static bool two_parts(kctx *c, kcall *call, int rank)
{
    bool ok = call->in_count == 2 && call->in[0]->rank == call->in[1]->rank && call->in[0]->rank >= rank &&
              call->in[0]->rank < HONE_MAX_RANK;
    if (!ok) hone__k_shape_error(c, "its input is not a real and an imaginary part of rank %d and up", rank);
    return ok;
}

static hone_status return_parts(kctx *c, kcall *call, hone__value *y, const kt *like, const int64_t *dims)
{
    for (int i = 0; i < 2; i++) call->out[i] = hone__kt_new(c, K_PLAIN, part_of(c, y, i), HONE_F32, like->rank, dims);
    call->out_count = 2;
    return c->b.status;
}

/* variant: how many of the last axes; negative: the inverse. */
hone_status hone__kop_fft(kctx *c, klayer *l, kcall *call)
{
    int axes = l->kind->variant < 0 ? -l->kind->variant : l->kind->variant;
    if (!two_parts(c, call, axes)) return c->b.status;
    kt *t = call->in[0];
    hone__value *y = interleaved(c, t, call->in[1]);
    for (int i = 0; i < axes; i++) y = transform(c, y, 0, t->rank - 1 - i, l->kind->variant < 0, false);
    return return_parts(c, call, y, t, t->dims);
}

hone_status hone__kop_rfft(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kop_tensor(c, l, call, 0, "x", true);
    double length = hone__kop_num(l, call, 1, "fft_length", 0);
    int64_t dims[HONE_MAX_RANK];
    if (!t || t->rank < 1 || t->rank >= HONE_MAX_RANK || !(length >= 0 && length <= 1 << 24))
        return c->b.status ? c->b.status
                           : hone__k_refuse(c, "a transform of length %g over rank %d", length, t ? t->rank : 0);
    int last = t->rank - 1;
    int64_t n = length > 0 ? (int64_t)length : t->dims[last];
    memcpy(dims, t->dims, sizeof dims);
    dims[last] = n < 0 ? -1 : n / 2 + 1;
    hone__value *y = transform(c, interleaved(c, t, NULL), (int64_t)length, last, false, true);
    return return_parts(c, call, y, t, dims);
}

/* [..., m, 2], of which the first n / 2 + 1 count (zeros where there are fewer), mirrored to all n. */
static hone__value *mirrored(kctx *c, hone__value *x, int axis, int64_t m, int64_t n)
{
    int64_t half = n / 2 + 1, pads[2 * HONE_MAX_RANK] = {0};
    if (m > half) x = hone__k_slice(c, x, axis, 0, half, 1);
    int rank = axis + 2;
    pads[rank + axis] = half - m;
    if (m < half) x = hone__k_pad(c, x, rank, pads, 0);
    if (n < 3) return x;
    static const float conjugate[2] = {1, -1};
    int64_t two = 2;
    hone__value *tail = hone__k_slice(c, x, axis, n - half, 0, -1);
    hone__value *all[2] = {x, hone__k2(c, "Mul", tail, hone__emit_f32(&c->b, "conjugate", conjugate, 1, &two))};
    return hone__k_concat(c, all, 2, axis);
}

hone_status hone__kop_irfft(kctx *c, klayer *l, kcall *call)
{
    double length = hone__kop_num(l, call, 1, "fft_length", 0);
    int64_t dims[HONE_MAX_RANK];
    if (!two_parts(c, call, 1)) return c->b.status;
    kt *t = call->in[0];
    int last = t->rank - 1;
    int64_t m = t->dims[last], n = length > 0 ? (int64_t)length : 2 * (m - 1);
    if (m < 1 || n < 1 || !(length >= 0 && length <= 1 << 24))
        return hone__k_refuse(c, "a transform back to %g values from shape %s", length, hone__k_dims(c, t));
    memcpy(dims, t->dims, sizeof dims);
    dims[last] = n;
    hone__value *all = mirrored(c, interleaved(c, t, call->in[1]), last, m, n);
    hone__value *y = part_of(c, transform(c, all, 0, last, true, false), 0);
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, y, HONE_F32, t->rank, dims));
}
