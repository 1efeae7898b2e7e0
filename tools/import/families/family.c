/* family.c: inputs, weights, masks and outputs of a decoder. */
#include "family.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "passes/kv_cache.h"

void hone__lm_fail(hone__lm *lm, hone_status status)
{
    if (lm->b.status == HONE_OK) lm->b.status = status;
}

static hone__value *input(hone__lm *lm, const char *name, const char *length)
{
    int64_t dims[2];
    hone__model *m = lm->b.graph->model;
    hone__builder_fail(&lm->b, hone__symbol(m, "batch_size", &dims[0]));
    hone__builder_fail(&lm->b, hone__symbol(m, length, &dims[1]));
    return hone__emit_input(&lm->b, name, HONE_I64, 2, dims);
}

static void past_inputs(hone__lm *lm)
{
    int64_t dims[4] = {0, lm->kv_heads, 0, lm->head};
    hone__model *m = lm->b.graph->model;
    char name[64];
    hone__builder_fail(&lm->b, hone__symbol(m, "batch_size", &dims[0]));
    hone__builder_fail(&lm->b, hone__symbol(m, "past_sequence_length", &dims[2]));
    for (int64_t i = 0; i < 2 * lm->layers; i++) {
        snprintf(name, sizeof name, "past_key_values.%lld.%s", (long long)(i / 2), i % 2 ? "value" : "key");
        lm->past[i] = hone__emit_input(&lm->b, name, HONE_F32, 4, dims);
    }
}

bool hone__lm_begin(hone__lm *lm)
{
    hone__arena *arena = &lm->b.graph->model->arena;
    if (lm->config.status != HONE_OK) hone__lm_fail(lm, lm->config.status);
    if (lm->b.status != HONE_OK) return false;
    if (lm->heads % lm->kv_heads || lm->layers > HONE__LM_LAYERS) {
        hone__lm_fail(lm, hone__fail(HONE_E_FORMAT, "%s: %lld layers of %lld heads in %lld groups", lm->config.path,
                                     (long long)lm->layers, (long long)lm->heads, (long long)lm->kv_heads));
        return false;
    }
    size_t layers = (size_t)lm->layers;
    lm->past = hone__arena_zalloc(arena, 2 * layers * sizeof *lm->past);
    lm->present = hone__arena_zalloc(arena, 2 * layers * sizeof *lm->present);
    lm->windows = hone__arena_zalloc(arena, layers * sizeof *lm->windows);
    lm->masks = hone__arena_zalloc(arena, layers * sizeof *lm->masks);
    if (!lm->past || !lm->present || !lm->windows || !lm->masks) {
        hone__lm_fail(lm, hone__out_of_memory(layers));
        return false;
    }
    lm->ids = input(lm, "input_ids", "sequence_length");
    lm->mask = input(lm, "attention_mask", lm->no_cache ? "sequence_length" : "total_sequence_length");
    lm->positions = input(lm, "position_ids", "sequence_length");
    if (!lm->no_cache) past_inputs(lm);
    return lm->b.status == HONE_OK;
}

void hone__lm_scope(hone__lm *lm, int64_t layer)
{
    lm->b.scope = layer < 0 ? NULL : hone__arena_printf(&lm->b.graph->model->arena, "layer.%lld/", (long long)layer);
}

/* Numbers of their own, where they can be read as such: in float32, or only moved. */
static hone_status settle(hone__lm *lm, hone__tensor *t, bool widen)
{
    hone__tensor out;
    HONE__TRY(hone__tensor_scratch(&lm->weights->scratch, widen ? HONE_F32 : t->dtype, t->rank, t->dims, &out));
    float *y = hone__tensor_write(&out);
    if (out.dtype == t->dtype)
        memcpy(y, t->data, t->bytes);
    else
        for (size_t i = 0; i < t->count; i++) y[i] = (float)hone__element_f64(t->dtype, t->data, i);
    hone__tensor_idle(t);
    hone__tensor_idle(&out);
    hone__tensor_release(t);
    *t = out;
    return HONE_OK;
}

/* Numbers of half precision that stay so, behind a Cast: those that the precision asked for is made of, or is itself.
 * Those of vectors and small matrices are not quantised: what adds them wants float32. */
static bool stays_half(const hone__lm *lm, const hone__tensor *t)
{
    enum { SMALL = 1024 };
    if (t->dtype != HONE_F16 && t->dtype != HONE_BF16) return false;
    switch (lm->precision) {
    case HONE_PRECISION_FP16: return t->dtype == HONE_F16;
    case HONE_PRECISION_BF16: return t->dtype == HONE_BF16;
    case HONE_PRECISION_INT8:
    case HONE_PRECISION_INT4: return t->rank > 1 && t->count >= SMALL;
    default: return true;
    }
}

static hone__value *take(hone__lm *lm, hone__stored *s)
{
    const char *scope = lm->b.scope;
    hone__tensor t;
    hone_dtype d = s->tensor.dtype;
    if (d != HONE_F16 && d != HONE_BF16 && d != HONE_F32 && d != HONE_F64) {
        hone__lm_fail(lm, hone__fail(HONE_E_UNSUPPORTED, "%s: tensor '%s' is of %s; float weights are expected",
                                     s->file, s->name, hone_dtype_name(d)));
        return NULL;
    }
    if (hone__builder_fail(&lm->b, hone__checkpoint_dense(lm->weights, s, &t)) != HONE_OK) return NULL;
    bool askew = (uintptr_t)t.data % hone__dtype_size(d) != 0, half = stays_half(lm, &t),
         widen = d != HONE_F32 && !half;
    if ((askew || widen) && hone__builder_fail(&lm->b, settle(lm, &t, widen)) != HONE_OK) {
        hone__tensor_release(&t);
        return NULL;
    }
    lm->b.scope = NULL;
    lm->kept_bytes += s->tensor.bytes;
    s->value = hone__emit_tensor(&lm->b, s->name, &t);
    if (half)
        s->value = hone__emit(&lm->b, "Cast", s->name, HONE__INS(s->value), HONE__ATTRS(hone__a_int("to", HONE_F32)));
    lm->b.scope = scope;
    return s->value;
}

static hone__value *weight(hone__lm *lm, int rank, const int64_t *dims, const char *name)
{
    char has[200], wants[200];
    if (lm->b.status != HONE_OK) return NULL;
    hone__stored *s = hone__checkpoint_find(lm->weights, name);
    hone__shape_text(rank, dims, wants, sizeof wants);
    if (!s) {
        hone__lm_fail(
            lm, hone__fail(HONE_E_FORMAT, "%s: tensor '%s' of shape %s is missing", lm->config.path, name, wants));
        return NULL;
    }
    const hone__tensor *t = &s->tensor;
    if (t->rank != rank || (rank && memcmp(t->dims, dims, (size_t)rank * sizeof *dims))) {
        hone__lm_fail(lm, hone__fail(HONE_E_SHAPE, "%s: tensor '%s' has shape %s, %s says %s", s->file, name,
                                     hone__shape_text(t->rank, t->dims, has, sizeof has), lm->config.path, wants));
        return NULL;
    }
    return s->value ? s->value : take(lm, s);
}

static char *full_name(const hone__lm *lm, char *out, size_t size, const char *name, va_list args)
{
    int n = snprintf(out, size, "%s", lm->prefix);
    vsnprintf(out + n, size - (size_t)n, name, args);
    return out;
}

hone__value *hone__lm_weight(hone__lm *lm, int rank, const int64_t *dims, const char *name, ...)
{
    char full[256];
    va_list args;
    va_start(args, name);
    full_name(lm, full, sizeof full, name, args);
    va_end(args);
    return weight(lm, rank, dims, full);
}

hone__value *hone__lm_vector(hone__lm *lm, int64_t n, const char *name, ...)
{
    char full[256];
    va_list args;
    va_start(args, name);
    full_name(lm, full, sizeof full, name, args);
    va_end(args);
    return weight(lm, 1, &n, full);
}

bool hone__lm_has(const hone__lm *lm, const char *name)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s", lm->prefix, name);
    return hone__checkpoint_find(lm->weights, full) != NULL;
}

static hone__value *scalar_of(hone__lm *lm, hone__value *x, int64_t axis)
{
    hone__value *d = hone__emit(&lm->b, "Shape", "Shape", HONE__INS(x),
                                HONE__ATTRS(hone__a_int("start", axis), hone__a_int("end", axis + 1)));
    return HONE__LM("Squeeze", d);
}

/* Places of keys [T] and of queries [S, 1] in the sequence, and which keys are no padding [B, 1, 1, T]. */
static void mask_parts(hone__lm *lm)
{
    const int64_t one_two[] = {1, 2}, last = -1;
    hone__value *t = scalar_of(lm, lm->mask, 1), *s = scalar_of(lm, lm->ids, 1);
    hone__value *zero = hone__emit_scalar_i64(&lm->b, 0), *one = hone__emit_scalar_i64(&lm->b, 1);
    lm->keys = HONE__LM("Range", zero, t, one);
    hone__value *rows = HONE__LM("Range", HONE__LM("Sub", t, s), t, one);
    lm->rows = HONE__LM("Unsqueeze", rows, hone__emit_i64(&lm->b, "", &last, 1));
    hone__value *real =
        hone__emit(&lm->b, "Cast", "Cast", HONE__INS(lm->mask), HONE__ATTRS(hone__a_int("to", HONE_BOOL)));
    lm->real = HONE__LM("Unsqueeze", real, hone__emit_i64(&lm->b, "", one_two, 2));
}

static hone__value *mask_of(hone__lm *lm, int64_t window)
{
    for (size_t i = 0; i < lm->mask_count; i++)
        if (lm->masks[i].window == window) return lm->masks[i].seen;
    const char *scope = lm->b.scope;
    lm->b.scope = "mask/";
    if (!lm->mask_count) mask_parts(lm);
    hone__value *seen = HONE__LM("LessOrEqual", lm->keys, lm->rows);
    if (window) {
        hone__value *first = HONE__LM("Sub", lm->rows, hone__emit_scalar_i64(&lm->b, window));
        seen = HONE__LM("And", seen, HONE__LM("Greater", lm->keys, first));
    }
    seen = HONE__LM("And", lm->real, seen);
    lm->b.scope = scope;
    lm->masks[lm->mask_count++] = (hone__lm_mask){window, seen};
    return seen;
}

hone__value *hone__lm_attend(hone__lm *lm, int64_t layer, hone__value *q, hone__value *k, hone__value *v,
                             const hone__lm_attention *o)
{
    hone__value *out[3] = {NULL}, **past = lm->past + 2 * layer;
    if (lm->b.status != HONE_OK) return NULL;
    hone__attr attrs[] = {hone__a_int("q_num_heads", lm->heads), hone__a_int("kv_num_heads", lm->kv_heads),
                          hone__a_float("scale", o->scale), hone__a_float("softcap", o->softcap)};
    hone__emit_multi(&lm->b, "Attention", "Attention", HONE__INS(q, k, v, mask_of(lm, o->window), past[0], past[1]),
                     attrs, o->softcap > 0 ? 4 : 3, out, lm->no_cache ? 1 : 3);
    lm->present[2 * layer] = out[1];
    lm->present[2 * layer + 1] = out[2];
    lm->windows[layer] = o->window;
    return out[0];
}

/* "0 256 0 256" */
static hone_status note_windows(hone__lm *lm)
{
    hone__model *m = lm->b.graph->model;
    size_t size = (size_t)lm->layers * 21 + 1, at = 0;
    char *text = hone__arena_alloc(&m->arena, size);
    if (!text) return hone__out_of_memory(size);
    for (int64_t i = 0; i < lm->layers; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%lld", i ? " " : "", (long long)lm->windows[i]);
    return hone__model_set_metadata(m, HONE__KEY_WINDOWS, text);
}

hone_status hone__lm_finish(hone__lm *lm, hone__value *logits)
{
    char name[64];
    lm->b.scope = NULL;
    if (lm->config.status != HONE_OK) hone__lm_fail(lm, lm->config.status);
    hone__emit_output(&lm->b, "logits", logits);
    for (int64_t i = 0; !lm->no_cache && i < 2 * lm->layers; i++) {
        snprintf(name, sizeof name, "present.%lld.%s", (long long)(i / 2), i % 2 ? "value" : "key");
        hone__emit_output(&lm->b, name, lm->present[i]);
    }
    HONE__TRY(lm->b.status);
    return note_windows(lm);
}
