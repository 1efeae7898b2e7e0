/* widen.c: float32 operators for every floating-point type. */
#include "widen.h"

#include <string.h>

#include "kernels/convert/convert.h"

enum { ALIGN = 64 };

typedef struct wide {
    void *inner; /* state of the wrapped operator */
    size_t inner_scratch;
    int count; /* inputs, then outputs */
    const hone__tensor **in;
    hone__tensor **out;
    hone__tensor shadow[];
} wide;

void hone__to_f32(hone_dtype d, const void *x, size_t n, float *y)
{
    if (d == HONE_F32)
        memcpy(y, x, n * sizeof *y);
    else if (d == HONE_F16)
        hone__f16_to_f32(x, y, n);
    else if (d == HONE_BF16)
        hone__bf16_to_f32(x, y, n);
    else
        for (size_t i = 0; i < n; i++) y[i] = (float)hone__element_f64(d, x, i);
}

void hone__from_f32(hone_dtype d, const float *x, size_t n, void *y)
{
    if (d == HONE_F32)
        memcpy(y, x, n * sizeof *x);
    else if (d == HONE_F16)
        hone__f32_to_f16(x, y, n);
    else if (d == HONE_BF16)
        hone__f32_to_bf16(x, y, n);
    else
        for (size_t i = 0; i < n; i++) hone__element_set_f64(d, y, i, x[i]);
}

static bool narrow(const hone__tensor *t) { return t && t->dtype != HONE_F32 && hone__dtype_is_float(t->dtype); }

static bool needed(const hone__tensor *const *in, int ins, const hone__tensor *const *out, int outs)
{
    for (int i = 0; i < ins; i++)
        if (narrow(in[i])) return true;
    for (int i = 0; i < outs; i++)
        if (narrow(out[i])) return true;
    return false;
}

static hone_status add_shadow(const hone__tensor *t, hone__tensor *shadow, size_t *bytes)
{
    *shadow = *t;
    shadow->dtype = HONE_F32;
    shadow->data = NULL;
    shadow->blob = NULL;
    HONE__TRY(hone__shape_bytes(HONE_F32, t->rank, t->dims, &shadow->count, &shadow->bytes));
    if (!hone__add_size(*bytes, shadow->bytes / ALIGN * ALIGN + ALIGN, bytes))
        return hone__fail(HONE_E_LIMIT, "scratch is over 2^64 bytes");
    return HONE_OK;
}

hone_status hone__widen_prepare(hone__prepare *p, hone_status (*inner)(hone__prepare *), unsigned others)
{
    for (int i = 0; i < p->input_count; i++)
        if (p->in[i] && !hone__dtype_is_float(p->in[i]->dtype) && (i >= 32 || !(others >> i & 1)))
            return hone__fail(HONE_E_SHAPE, "input %d is %s, expected a floating-point type", i,
                              hone_dtype_name(p->in[i]->dtype));
    if (!needed(p->in, p->input_count, p->out, p->output_count)) return inner ? inner(p) : HONE_OK;
    size_t count = (size_t)p->input_count + (size_t)p->output_count, bytes = 0;
    wide *w = hone__arena_zalloc(p->arena, sizeof *w + count * sizeof *w->shadow);
    void **list = hone__arena_zalloc(p->arena, count * sizeof *list + 1);
    if (!w || !list) return hone__out_of_memory(count * sizeof *w->shadow);
    w->in = (const hone__tensor **)list;
    w->out = (hone__tensor **)(list + p->input_count);
    for (int i = 0; i < p->input_count; i++) {
        w->in[i] = p->in[i];
        if (!narrow(p->in[i])) continue;
        HONE__TRY(add_shadow(p->in[i], &w->shadow[i], &bytes));
        w->in[i] = &w->shadow[i];
    }
    for (int i = 0; i < p->output_count; i++) {
        hone__tensor *s = &w->shadow[p->input_count + i];
        w->out[i] = (hone__tensor *)(uintptr_t)p->out[i];
        if (!narrow(p->out[i])) continue;
        HONE__TRY(add_shadow(p->out[i], s, &bytes));
        w->out[i] = s;
    }
    hone__prepare q = *p;
    q.in = w->in;
    q.out = (const hone__tensor *const *)w->out;
    if (inner) HONE__TRY(inner(&q));
    w->inner = q.state;
    w->inner_scratch = q.scratch / ALIGN * ALIGN + ALIGN;
    p->state = w;
    if (!hone__add_size(bytes, w->inner_scratch, &p->scratch))
        return hone__fail(HONE_E_LIMIT, "scratch is over 2^64 bytes");
    return HONE_OK;
}

hone_status hone__widen_run(hone__run *r, hone_status (*inner)(hone__run *))
{
    if (!needed(r->in, r->input_count, (const hone__tensor *const *)r->out, r->output_count)) return inner(r);
    wide *w = r->state;
    uint8_t *at = (uint8_t *)r->scratch + w->inner_scratch;
    for (int i = 0; i < r->input_count; i++) {
        if (!narrow(r->in[i])) continue;
        w->shadow[i].data = at;
        hone__to_f32(r->in[i]->dtype, r->in[i]->data, r->in[i]->count, (float *)at);
        at += w->shadow[i].bytes / ALIGN * ALIGN + ALIGN;
    }
    for (int i = 0; i < r->output_count; i++) {
        hone__tensor *s = &w->shadow[r->input_count + i];
        if (!narrow(r->out[i])) continue;
        s->data = at;
        at += s->bytes / ALIGN * ALIGN + ALIGN;
    }
    hone__run q = *r;
    q.in = w->in;
    q.out = w->out;
    q.state = w->inner;
    HONE__TRY(inner(&q));
    for (int i = 0; i < r->output_count; i++)
        if (narrow(r->out[i]))
            hone__from_f32(r->out[i]->dtype, w->shadow[r->input_count + i].data, r->out[i]->count,
                           hone__out_data(r, i));
    return HONE_OK;
}
