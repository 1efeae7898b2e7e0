/* static.c: static int8 as QDQ: convolutions read DequantizeLinear of int8 weights (a scale per output channel) and of
 * uint8 activations whose range was calibrated; what they, additions and max pools make is rounded to uint8 again. */
#include <math.h>

#include "calibrate.h"
#include "weights.h"

/* A value that becomes uint8: found, calibrated, then given QuantizeLinear -> DequantizeLinear. */
typedef struct point {
    hone__value *value;
    hone__range range;
    int same_as; /* another point whose scale it shares (max pools); -1 */
} point;

typedef struct points {
    point *items;
    size_t count, capacity;
} points;

static bool is_act(const hone__node *n)
{
    return hone__node_is(n, "Relu") || hone__node_is(n, "Clip") || hone__node_is(n, "LeakyRelu") ||
           hone__node_is(n, "HardSwish");
}

/* What a node hands on, behind the activation that belongs to it. */
static hone__value *result_of(const hone__node *n)
{
    hone__value *y = n->outputs[0];
    if (!hone__value_single_use(y)) return y;
    const hone__node *next = y->uses[0].node;
    return next->graph == y->graph && is_act(next) && next->inputs[0] == y ? next->outputs[0] : y;
}

static int find_point(const points *p, const hone__value *v)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->items[i].value == v) return (int)i;
    return -1;
}

static hone_status add_point(points *p, hone__value *v, int same_as)
{
    if (v->constant || v->dtype != HONE_F32 || find_point(p, v) >= 0) return HONE_OK;
    HONE__TRY(hone__grow(&p->items, &p->capacity, p->count, sizeof *p->items));
    p->items[p->count++] = (point){v, {0}, same_as};
    return HONE_OK;
}

static const char *refuse(const hone__node *conv)
{
    const hone__tensor *w = hone__constant_input(conv, 1);
    const hone__value *bias = hone__input(conv, 2);
    if (!w || w->dtype != HONE_F32 || !w->count) return "its weights are no constant";
    if (bias && (!bias->constant || bias->constant->dtype != HONE_F32)) return "its bias is computed";
    for (size_t i = 0; i < w->count; i++)
        if (!isfinite(((const float *)w->data)[i])) return "holds infinities or NaN";
    return NULL;
}

static bool all_known(const points *p, const hone__node *n)
{
    for (int i = 0; i < n->input_count; i++)
        if (find_point(p, n->inputs[i]) < 0) return false;
    return n->input_count > 0;
}

static hone_status find_points(const hone__graph *g, points *p)
{
    for (const hone__node *n = g->first; n; n = n->next) {
        if (hone__node_is(n, "Conv") && !refuse(n)) {
            HONE__TRY(add_point(p, n->inputs[0], -1));
            if (!result_of(n)->output_count) HONE__TRY(add_point(p, result_of(n), -1));
        } else if (hone__node_is(n, "Add") && n->input_count == 2 && all_known(p, n)) {
            if (!result_of(n)->output_count) HONE__TRY(add_point(p, result_of(n), -1));
        } else if (hone__node_is(n, "MaxPool") && all_known(p, n) && n->output_count == 1 &&
                   !n->outputs[0]->output_count) {
            HONE__TRY(add_point(p, n->outputs[0], find_point(p, n->inputs[0])));
        }
    }
    return HONE_OK;
}

/* uint8 over [min(low, 0), max(high, 0)]: zero is exact, as padding needs it. */
static void scale_of(hone__range r, float *scale, uint8_t *zero)
{
    double low = r.low < 0 ? r.low : 0, high = r.high > 0 ? r.high : 0;
    *scale = (float)((high - low) / 255);
    if (!(*scale > 1e-30f)) *scale = 1;
    double z = nearbyint(-low / *scale);
    *zero = (uint8_t)(z < 0 ? 0 : z > 255 ? 255 : z);
}

static hone__value *scalar(hone__graph *g, hone_dtype d, const void *v)
{
    hone__tensor t;
    if (hone__tensor_new(d, 0, NULL, &t) != HONE_OK) return NULL;
    memcpy(hone__tensor_write(&t), v, t.bytes);
    return hone__value_constant(g, "", &t);
}

/* Everyone who read v reads DequantizeLinear(QuantizeLinear(v)); the activation in front stays as it is. */
static hone_status insert_pair(points *p, point *at, hone__value **scale_out)
{
    hone__value *v = at->value;
    hone__graph *g = v->graph;
    float scale;
    uint8_t zero;
    const point *from = at->same_as >= 0 ? &p->items[at->same_as] : at;
    scale_of(from->range, &scale, &zero);
    hone__value *s = scalar(g, HONE_F32, &scale), *z = scalar(g, HONE_U8, &zero);
    hone__node *first = v->producer ? v->producer->next : g->first;
    hone__node *q =
        s && z ? hone__node_new(g, first, "", "QuantizeLinear", "", (hone__value *[]){NULL, s, z}, 3, 1) : NULL;
    hone__node *dq =
        q ? hone__node_new(g, first, "", "DequantizeLinear", "", (hone__value *[]){q->outputs[0], s, z}, 3, 1) : NULL;
    if (!dq) return HONE_E_MEMORY;
    while (v->use_count) {
        hone__use u = v->uses[v->use_count - 1];
        HONE__TRY(hone__node_set_input(u.node, u.input, dq->outputs[0]));
    }
    dq->outputs[0]->dtype = HONE_F32;
    dq->outputs[0]->shape = v->shape;
    *scale_out = s;
    return hone__node_set_input(q, 0, v);
}

/* A bias as int32 in steps of the product's scale; beyond int32 (weights of almost zero) it stays in float. */
static bool bias_fits(const hone__tensor *b, float xs, const float *sw)
{
    for (size_t c = 0; c < b->count; c++)
        if (!(fabs(((const float *)b->data)[c] / ((double)xs * sw[c])) < 2147483000.0)) return false;
    return true;
}

static hone_status quantize_weights(hone__quant *q, hone__node *conv)
{
    const hone__tensor *t = conv->inputs[1]->constant, *b = hone__constant_input(conv, 2);
    hone__graph *g = conv->graph;
    const hone__node *dq_in = conv->inputs[0]->producer;
    float xs = *(const float *)dq_in->inputs[1]->constant->data;
    int64_t channels = t->dims[0];
    size_t per = t->count / (size_t)channels;
    hone__weight w = {.node = conv, .name = conv->inputs[1]->name, .from = HONE_F32, .to = "int8", .before = t->bytes};
    hone__tensor codes, scales, bias, bias_scales;
    double error = 0, norm = 0;
    HONE__TRY(hone__tensor_new(HONE_I8, t->rank, t->dims, &codes));
    HONE__TRY(hone__tensor_new(HONE_F32, 1, &channels, &scales));
    float *sw = hone__tensor_write(&scales);
    for (size_t c = 0; c < (size_t)channels; c++)
        sw[c] = hone__quant_row_s8((const float *)t->data + c * per, per,
                                   (int8_t *)hone__tensor_write(&codes) + c * per, &error, &norm);
    w.after = codes.bytes + scales.bytes;
    w.error = norm > 0 ? sqrt(error / norm) : 0;
    if (b && bias_fits(b, xs, sw)) {
        HONE__TRY(hone__tensor_new(HONE_I32, 1, &channels, &bias));
        HONE__TRY(hone__tensor_new(HONE_F32, 1, &channels, &bias_scales));
        for (size_t c = 0; c < (size_t)channels; c++) {
            float s = xs * sw[c];
            ((float *)hone__tensor_write(&bias_scales))[c] = s;
            hone__element_set_f64(HONE_I32, hone__tensor_write(&bias), c, (double)((const float *)b->data)[c] / s);
        }
        hone__value *bv = hone__value_constant(g, conv->inputs[2]->name, &bias),
                    *bs = hone__value_constant(g, "", &bias_scales);
        hone__node *dq =
            bv && bs ? hone__node_new(g, conv, "", "DequantizeLinear", "", (hone__value *[]){bv, bs}, 2, 1) : NULL;
        if (!dq) return HONE_E_MEMORY;
        HONE__TRY(hone__node_set_int(dq, "axis", 0));
        HONE__TRY(hone__node_set_input(conv, 2, dq->outputs[0]));
    }
    hone__value *cv = hone__value_constant(g, w.name, &codes), *sv = hone__value_constant(g, "", &scales);
    hone__node *dq =
        cv && sv ? hone__node_new(g, conv, "", "DequantizeLinear", "", (hone__value *[]){cv, sv}, 2, 1) : NULL;
    if (!dq) return HONE_E_MEMORY;
    HONE__TRY(hone__node_set_int(dq, "axis", 0));
    HONE__TRY(hone__node_set_input(conv, 1, dq->outputs[0]));
    hone__quant_tell(q, &w);
    return HONE_OK;
}

static hone_status rewrite(hone__quant *q, points *p)
{
    hone__value *scale;
    for (size_t i = 0; i < p->count; i++) HONE__TRY(insert_pair(p, &p->items[i], &scale));
    for (hone__node *n = q->model->graph->first, *next; n; n = next) {
        next = n->next;
        if (hone__node_is(n, "Conv") && !refuse(n) && n->inputs[0]->producer &&
            hone__node_is(n->inputs[0]->producer, "DequantizeLinear"))
            HONE__TRY(quantize_weights(q, n));
    }
    return HONE_OK;
}

hone_status hone__quant_static(hone__quant *q, const hone_calibration *calibration)
{
    points p = {0};
    hone_status s = find_points(q->model->graph, &p);
    hone__value **values = hone__calloc(p.count + 1, sizeof *values);
    hone__range *ranges = hone__calloc(p.count + 1, sizeof *ranges);
    if (s == HONE_OK && (!values || !ranges)) s = hone__out_of_memory(p.count);
    for (size_t i = 0; s == HONE_OK && i < p.count; i++) values[i] = p.items[i].value;
    if (s == HONE_OK && p.count) s = hone__calibrate(q->model, calibration, values, p.count, ranges);
    for (size_t i = 0; s == HONE_OK && i < p.count; i++) p.items[i].range = ranges[i];
    if (s == HONE_OK) s = rewrite(q, &p);
    hone__free(values);
    hone__free(ranges);
    hone__free(p.items);
    return s;
}
