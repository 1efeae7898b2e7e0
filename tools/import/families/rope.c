/* rope.c: inverse frequencies of rotary positions (transformers' modeling_rope_utils.py), and the angles in the graph.
 */
#include "rope.h"

#include <math.h>
#include <string.h>

enum { HALF_MAX = 1 << 12 };
#define TURN 6.283185307179586

/* Meta's scaling of Llama 3.1: long waves are stretched, short ones stay, those between are blended. */
static void llama3(hone__hf_config *c, double old, double *turns, int64_t half)
{
    double factor = hone__hf_float(c, "factor", 1), low = hone__hf_float(c, "low_freq_factor", 1);
    double high = hone__hf_float(c, "high_freq_factor", 4);
    for (int64_t i = 0; i < half; i++) {
        double wave = TURN / turns[i], blend = (old / wave - low) / (high - low);
        if (wave > old / low)
            turns[i] /= factor;
        else if (wave >= old / high)
            turns[i] *= (1 - blend) / factor + blend;
    }
}

static double mscale(double factor, double by) { return factor <= 1 ? 1 : 0.1 * by * log(factor) + 1; }

/* The dimension that turns `rotations` times within the trained context. */
static double correction(double rotations, double dim, double base, double context)
{
    return dim * log(context / (rotations * TURN)) / (2 * log(base));
}

/* YaRN (Peng et al. 2023): a ramp over the dimensions between stretched and kept; returns what cos and sin grow by. */
static double yarn(hone__hf_config *c, double base, double old, double factor, double *turns, int64_t half)
{
    double dim = 2 * (double)half, by = hone__hf_float(c, "mscale", 0);
    double all = hone__hf_float(c, "mscale_all_dim", 0), fast = hone__hf_float(c, "beta_fast", 32);
    double slow = hone__hf_float(c, "beta_slow", 1);
    double grow = by != 0 && all != 0 ? mscale(factor, by) / mscale(factor, all) : mscale(factor, 1);
    double first = correction(fast != 0 ? fast : 32, dim, base, old);
    double last = correction(slow != 0 ? slow : 1, dim, base, old);
    if (hone__hf_bool(c, "truncate", true)) first = floor(first), last = ceil(last);
    first = fmax(first, 0), last = fmin(last, dim - 1);
    if (first == last) last += 0.001;
    for (int64_t i = 0; i < half; i++) {
        double ramp = fmin(fmax(((double)i - first) / (last - first), 0), 1);
        turns[i] = turns[i] / factor * ramp + turns[i] * (1 - ramp);
    }
    return hone__hf_float(c, "attention_factor", grow);
}

/* The object that holds a kind's settings: rope_parameters, or its member of that name. Where rope_scaling stands, too,
 * or alone (transformers 4, or somebody added it), it comes instead; of several kinds it belongs to full attention, and
 * only its members come instead. */
static json_t *settings(const hone__lm *lm, const char *kind)
{
    json_t *p = json_object_get(lm->config.root, "rope_parameters");
    json_t *scaling = json_object_get(lm->config.root, "rope_scaling");
    json_t *of_kind = kind ? json_object_get(p, kind) : NULL;
    bool scales = json_object_size(scaling) > 0 && (!kind || !strcmp(kind, "full_attention"));
    if (scales && json_is_object(of_kind)) json_object_update(of_kind, scaling);
    if (json_is_object(of_kind)) return of_kind;
    if (scales) return scaling;
    return !kind && json_is_object(p) ? p : NULL;
}

/* What a configuration's scaling makes of the positions. */
typedef struct scaling {
    double grow;    /* of cos and sin */
    double dynamic; /* not 0: longer texts than the context turn slower, by this factor of NTK */
} scaling;

static void stretch(hone__lm *lm, hone__hf_config *c, const char *type, double theta, double *turns, int64_t half,
                    scaling *s)
{
    double context = (double)lm->context, factor = hone__hf_float(c, "factor", 1), reach = context * factor;
    double own = hone__hf_float(c, "original_max_position_embeddings", context);
    double old = hone__hf_float(&lm->config, "original_max_position_embeddings", own); /* beside them: before theirs */
    if (!strcmp(type, "linear"))
        for (int64_t i = 0; i < half; i++) turns[i] /= factor;
    else if (!strcmp(type, "llama3")) {
        llama3(c, old, turns, half);
        reach = context;
    } else if (!strcmp(type, "yarn")) {
        factor = hone__hf_float(c, "factor", context / old);
        s->grow = yarn(c, theta, old, factor, turns, half);
        reach = old * factor;
    } else if (!strcmp(type, "dynamic"))
        s->dynamic = factor;
    else if (strcmp(type, "default"))
        hone__hf_fail(c,
                      hone__fail(HONE_E_UNSUPPORTED,
                                 "rope_type '%.60s' is not known (default, linear, llama3, yarn, dynamic are)", type));
    if (strcmp(type, "default") && reach > context && reach < 1 << 30) lm->context = (int64_t)reach;
}

/* The inverse frequencies. */
static scaling frequencies(hone__lm *lm, const char *kind, double base, double *turns, int64_t half)
{
    hone__hf_config c = lm->config;
    scaling s = {1, 0};
    c.root = settings(lm, kind);
    double theta = hone__hf_float(&c, "rope_theta", base);
    const char *type = hone__hf_text(&c, "rope_type", NULL);
    if (!type) type = hone__hf_text(&c, "type", "default");
    double part = hone__hf_float(&c, "partial_rotary_factor", hone__hf_float(&lm->config, "partial_rotary_factor", 1));
    for (int64_t i = 0; i < half; i++) turns[i] = pow(theta, -(double)i / (double)half);
    stretch(lm, &c, type, theta, turns, half, &s);
    if (part != 1)
        hone__hf_fail(&c, hone__fail(HONE_E_UNSUPPORTED, "partial_rotary_factor %g: heads are turned whole", part));
    bool sound = isfinite(s.grow) && theta > 0 && (s.dynamic == 0 || (s.dynamic >= 1 && half > 1));
    for (int64_t i = 0; i < half; i++) sound = sound && isfinite(turns[i]);
    if (!sound && c.status == HONE_OK)
        hone__hf_fail(&c, hone__fail(HONE_E_FORMAT, "its rotary positions give no finite frequencies"));
    if (lm->config.status == HONE_OK) lm->config.status = c.status;
    return s;
}

/* NTK by length (transformers' "dynamic"): the base grows by (factor n / context - factor + 1)^(d / (d - 2)) once the
 * text has n > context tokens, so that turn i slows by the inner term to the power -i / (half - 1). */
static hone__value *slowed(hone__lm *lm, hone__value *turns, double factor, double context, int64_t half)
{
    float by[HALF_MAX];
    for (int64_t i = 0; i < half; i++) by[i] = (float)(-(double)i / (double)(half - 1));
    hone__value *last =
        hone__emit(&lm->b, "ReduceMax", "ReduceMax", HONE__INS(lm->positions), HONE__ATTRS(hone__a_int("keepdims", 0)));
    hone__value *n = hone__emit(&lm->b, "Cast", "Cast", HONE__INS(last), HONE__ATTRS(hone__a_int("to", HONE_F32)));
    n = HONE__LM("Add", n, hone__emit_scalar(&lm->b, (float)(1 - context)));
    n = HONE__LM("Mul", HONE__LM("Relu", n), hone__emit_scalar(&lm->b, (float)(factor / context)));
    n = HONE__LM("Add", n, hone__emit_scalar(&lm->b, 1));
    return HONE__LM("Mul", turns, HONE__LM("Pow", n, hone__emit_f32(&lm->b, "slowing", by, 1, &half)));
}

hone__rope hone__rope_make(hone__lm *lm, const char *kind, double base)
{
    double turns[HALF_MAX];
    float narrow[HALF_MAX];
    int64_t half = lm->head / 2;
    const int64_t last = -1;
    hone__rope r = {NULL, NULL};
    if (lm->config.status == HONE_OK && (lm->head % 2 || half > HALF_MAX))
        hone__hf_fail(&lm->config, hone__fail(HONE_E_UNSUPPORTED, "heads of %lld numbers", (long long)lm->head));
    double context = (double)lm->context;
    scaling by = {1, 0};
    if (lm->config.status == HONE_OK) by = frequencies(lm, kind, base, turns, half);
    if (lm->config.status != HONE_OK) {
        hone__lm_fail(lm, lm->config.status);
        return r;
    }
    for (int64_t i = 0; i < half; i++) narrow[i] = (float)turns[i];
    lm->b.scope = kind && strcmp(kind, "full_attention") ? "rope.sliding/" : "rope/";
    hone__value *at =
        hone__emit(&lm->b, "Cast", "Cast", HONE__INS(lm->positions), HONE__ATTRS(hone__a_int("to", HONE_F32)));
    at = HONE__LM("Unsqueeze", at, hone__emit_i64(&lm->b, "", &last, 1));
    hone__value *turn = hone__emit_f32(&lm->b, "inverse_frequencies", narrow, 1, &half);
    if (by.dynamic > 0) turn = slowed(lm, turn, by.dynamic, context, half);
    hone__value *angle = HONE__LM("Mul", at, turn);
    r = (hone__rope){HONE__LM("Cos", angle), HONE__LM("Sin", angle)};
    if (by.grow != 1) {
        hone__value *g = hone__emit_scalar(&lm->b, (float)by.grow);
        r = (hone__rope){HONE__LM("Mul", r.cos, g), HONE__LM("Mul", r.sin, g)};
    }
    lm->b.scope = NULL;
    return r;
}

hone__value *hone__rope_turn(hone__lm *lm, hone__value *x, int64_t heads, const hone__rope *rope)
{
    return hone__emit(&lm->b, "RotaryEmbedding", "RotaryEmbedding", HONE__INS(x, rope->cos, rope->sin),
                      HONE__ATTRS(hone__a_int("num_heads", heads)));
}
