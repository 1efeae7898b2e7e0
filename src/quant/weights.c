/* weights.c: walks the graph, decides per weight, tells what became of it. */
#include "weights.h"

#include <math.h>

#include "ops/eval.h"

/* Below these an int8 form saves nothing worth its overhead: a layer's own scales, quantising the activations. */
enum { SMALL = 1024 };
#define LEAST 1e-30f

void hone__quant_tell(const hone__quant *q, const hone__weight *w)
{
    if (!q->fn) return;
    hone_weight_change c = {.name = w->name,
                            .op = w->node->op,
                            .from = hone_dtype_name(w->from),
                            .to = w->reason ? hone_dtype_name(w->from) : w->to,
                            .bytes_before = w->before,
                            .bytes_after = w->reason ? w->before : w->after,
                            .error = w->reason ? 0 : w->error,
                            .reason = w->reason ? w->reason : ""};
    q->fn(q->ctx, &c);
}

float hone__quant_row_s8(const float *x, size_t n, int8_t *codes, double *error, double *norm)
{
    float top = 0;
    for (size_t i = 0; i < n; i++) top = fabsf(x[i]) > top ? fabsf(x[i]) : top;
    float scale = top >= LEAST ? top / 127 : 1; /* below, the scale itself would lose its digits */
    for (size_t i = 0; i < n; i++) {
        float v = nearbyintf(x[i] / scale);
        v = v > 127 ? 127 : v < -127 ? -127 : v;
        codes[i] = (int8_t)v;
        double d = (double)x[i] - (double)v * scale;
        *error += d * d;
        *norm += (double)x[i] * x[i];
    }
    return scale;
}

static bool finite_all(const hone__tensor *t)
{
    const float *p = t->data;
    for (size_t i = 0; i < t->count; i++)
        if (!isfinite(p[i])) return false;
    return true;
}

const hone__quant_made *hone__quant_made_of(const hone__quant *q, const hone__value *from)
{
    for (size_t i = 0; i < q->made_count; i++)
        if (q->made[i].from == from) return &q->made[i];
    return NULL;
}

hone_status hone__quant_keep(hone__quant *q, const hone__value *from, hone__value *codes, hone__value *scales)
{
    hone__quant_made *list = hone__realloc(q->made, (q->made_count + 1) * sizeof *list);
    if (!list) return hone__out_of_memory(sizeof *list);
    q->made = list;
    list[q->made_count++] = (hone__quant_made){from, codes, scales};
    return HONE_OK;
}

/* Which inputs of an operator are weights, and which form their integers take. */
static const struct {
    const char *op;
    int first, last;
    enum { FLOAT, LINEAR, CONV, TABLE, RECURRENT } form;
} weighted[] = {
    {"MatMul", 1, 1, LINEAR}, {"Gemm", 1, 1, LINEAR},    {"Conv", 1, 1, CONV},     {"ConvTranspose", 1, 1, FLOAT},
    {"Gather", 0, 0, TABLE},  {"LSTM", 1, 2, RECURRENT}, {"GRU", 1, 2, RECURRENT}, {"RNN", 1, 2, RECURRENT},
};

static bool is_half(const hone__quant *q)
{
    return q->options->precision == HONE_PRECISION_FP16 || q->options->precision == HONE_PRECISION_BF16;
}

/* The form of a weight in the precision asked for, -1: none. In half precision all forms are one. */
static int form_of(const hone__quant *q, const hone__node *n, int input)
{
    for (size_t i = 0; i < sizeof weighted / sizeof *weighted; i++)
        if (hone__node_is(n, weighted[i].op) && input >= weighted[i].first && input <= weighted[i].last)
            return is_half(q) ? FLOAT : weighted[i].form == FLOAT ? -1 : (int)weighted[i].form;
    return -1;
}

/* Whether a reader would keep the float32 numbers alive beside the new ones. */
static bool kept_by_another(const hone__quant *q, const hone__value *v, int form)
{
    bool kept = v->output_count > 0;
    for (size_t i = 0; i < v->use_count; i++)
        kept |= v->uses[i].node->graph != v->graph || form_of(q, v->uses[i].node, v->uses[i].input) != form;
    return kept;
}

static hone_status to_int(hone__quant *q, hone__node *n, int input, hone__weight *w)
{
    if (n->inputs[input]->constant->count < SMALL) {
        w->reason = "fewer than 1024 weights: nothing to gain";
        return HONE_OK;
    }
    if (hone__node_is(n, "Conv")) return hone__quant_convolution(q, n, w);
    if (hone__node_is(n, "Gemm")) {
        HONE__TRY(hone__quant_split_gemm(n, &n));
        if (!n) w->reason = "a product that is scaled, transposed or added to";
        if (!n) return HONE_OK;
        w->node = n;
    }
    if (hone__node_is(n, "MatMul")) return hone__quant_linear(q, n, w);
    return hone__node_is(n, "Gather") ? hone__quant_table(q, n, w) : hone__quant_recurrent(q, n, input, w);
}

static hone_status consider(hone__quant *q, hone__node *n, int input)
{
    const hone__tensor *t = hone__constant_input(n, input);
    if (!t || t->dtype != HONE_F32 || !t->count) return HONE_OK;
    hone__weight w = {.node = n, .name = n->inputs[input]->name, .from = t->dtype, .before = t->bytes};
    if (!finite_all(t))
        w.reason = "holds infinities or NaN";
    else if (!hone__quant_made_of(q, n->inputs[input]) && kept_by_another(q, n->inputs[input], form_of(q, n, input)))
        w.reason = "another node reads its float32 numbers";
    else if (is_half(q))
        HONE__TRY(hone__quant_half(q, n, input, &w));
    else
        HONE__TRY(to_int(q, n, input, &w));
    if (!w.again) hone__quant_tell(q, &w);
    return HONE_OK;
}

static hone_status visit(hone__quant *q, hone__node *n)
{
    for (int i = 0; i < n->input_count; i++)
        if (form_of(q, n, i) >= 0) HONE__TRY(consider(q, n, i));
    return HONE_OK;
}

static hone_status check(const hone_optimize_options *o)
{
    bool power = o->block >= 16 && o->block <= 256 && !(o->block & (o->block - 1));
    if (o->block && !power)
        return hone__fail(HONE_E_ARGUMENT, "block is %d, expected 16, 32, 64, 128, 256 or 0 for a whole row", o->block);
    return HONE_OK;
}

hone_status hone__quant_weights(hone__model *model, const hone_optimize_options *options, hone_change_fn fn, void *ctx)
{
    hone__quant q = {.model = model, .options = options, .fn = fn, .ctx = ctx};
    hone_status s = HONE_OK;
    HONE__TRY(check(options));
    if (options->precision == HONE_PRECISION_FP32) return HONE_OK;
    if (options->calibration) {
        if (options->precision != HONE_PRECISION_INT8)
            return hone__fail(HONE_E_ARGUMENT, "calibration data only serve precision int8");
        HONE__TRY(hone__quant_static(&q, options->calibration));
        HONE__TRY(hone__graph_infer(model->graph));
    }
    size_t total = 0, done = 0;
    for (const hone__node *n = model->graph->first; n; n = n->next) total++;
    for (hone__node *n = model->graph->first, *next; s == HONE_OK && n; n = next) {
        next = n->next;
        s = visit(&q, n);
        if (options->progress) options->progress(options->progress_ctx, ++done, total);
    }
    hone__free(q.made);
    hone__graph_sweep(model->graph);
    return s;
}
