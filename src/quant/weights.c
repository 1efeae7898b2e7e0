/* weights.c: walks the graph, decides per weight, tells what became of it. */
#include "weights.h"

#include <math.h>

#include "base/log.h"
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
    for (size_t i = 0; t->dtype == HONE_F32 && i < t->count; i++)
        if (!isfinite(p[i])) return false;
    for (size_t i = 0; t->dtype != HONE_F32 && i < t->count; i++)
        if (!isfinite(hone__element_f64(t->dtype, t->data, i))) return false;
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

static bool swaps_two(const hone__node *n)
{
    size_t count;
    const int64_t *perm = hone__node_ints(n, "perm", &count);
    return hone__node_is(n, "Transpose") && n->inputs[0]->shape.rank == 2 &&
           (!perm || (count == 2 && perm[0] == 1 && perm[1] == 0));
}

/* The form of a weight in the precision asked for, -1: none. In half precision all forms are one, and what is turned
 * for products is one, too. */
static int form_of(const hone__quant *q, const hone__node *n, int input)
{
    if (is_half(q) && swaps_two(n)) return FLOAT;
    for (size_t i = 0; i < sizeof weighted / sizeof *weighted; i++)
        if (hone__node_is(n, weighted[i].op) && input >= weighted[i].first && input <= weighted[i].last)
            return is_half(q) ? FLOAT : weighted[i].form == FLOAT ? -1 : (int)weighted[i].form;
    return -1;
}

/* The constant behind an input: of float32, or, for integers, of half precision behind a Cast, and a matrix through a
 * Transpose. NULL: none. */
static const hone__value *source_of(const hone__quant *q, const hone__node *n, int input, bool *turned)
{
    const hone__value *v = hone__input(n, input);
    *turned = false;
    if (!v || v->constant || is_half(q)) return v && v->constant ? v : NULL;
    bool linear = form_of(q, n, input) == LINEAR && hone__node_is(n, "MatMul");
    if (linear && v->producer && swaps_two(v->producer)) {
        *turned = true;
        v = v->producer->inputs[0];
    }
    if (v->producer && (linear || form_of(q, n, input) == TABLE) && hone__half_weights(v->producer))
        v = v->producer->inputs[0];
    return v->constant ? v : NULL;
}

/* Which forms the readers of v take, as bits; KEPT: one that needs the numbers themselves. */
enum { KEPT = 1 << 30 };
static unsigned forms_of_readers(const hone__quant *q, const hone__value *v)
{
    unsigned forms = v->output_count ? KEPT : 0;
    for (size_t i = 0; i < v->use_count; i++) {
        const hone__node *n = v->uses[i].node;
        int form = form_of(q, n, v->uses[i].input);
        bool through = !is_half(q) && n->output_count == 1 && (swaps_two(n) || hone__half_weights(n));
        if (form < 0 && !through)
            forms |= KEPT;
        else
            forms |= form >= 0 ? 1U << form : forms_of_readers(q, n->outputs[0]);
    }
    return forms;
}

static hone_status to_int(hone__quant *q, hone__node *n, int input, hone__weight *w)
{
    if (w->source->constant->count < SMALL) {
        w->reason = "fewer than 1024 weights: nothing to gain";
        return HONE_OK;
    }
    if (hone__node_is(n, "Conv")) return hone__quant_convolution(q, n, w);
    if (hone__node_is(n, "Gemm")) {
        w->turned = hone__node_int(n, "transB", 0) != 0;
        HONE__TRY(hone__quant_split_gemm(n, &n));
        if (!n) w->reason = "a product that is scaled, transposed or added to";
        if (!n) return HONE_OK;
        w->node = n;
    }
    if (hone__node_is(n, "MatMul")) return hone__quant_linear(q, n, w);
    if (!hone__node_is(n, "Gather")) return hone__quant_recurrent(q, n, input, w);
    return w->tied ? hone__quant_tied_table(q, n, w) : hone__quant_table(q, n, w);
}

/* A table of rows that is a matrix of products, too, in integers. */
static bool is_tied(const hone__quant *q, const hone__value *source, unsigned forms)
{
    bool rows = true;
    for (size_t i = 0; i < source->use_count; i++) {
        const hone__node *n = source->uses[i].node;
        if (hone__half_weights(n) && n->outputs[0]->use_count) n = n->outputs[0]->uses[0].node;
        if (hone__node_is(n, "Gather")) rows &= hone__node_int(n, "axis", 0) == 0;
        if (hone__node_is(n, "MatMul")) rows = false; /* as it lies, not turned */
    }
    return forms == (1U << TABLE | 1U << LINEAR) && rows && !is_half(q) && hone__quant_can_tie(q, source->constant);
}

static bool can_change(const hone__quant *q, const hone__tensor *t)
{
    bool half = t->dtype == HONE_F16 || t->dtype == HONE_BF16;
    return t->count && (t->dtype == HONE_F32 || (half && !is_half(q)));
}

static hone_status consider(hone__quant *q, hone__node *n, int input)
{
    bool turned;
    const hone__value *source = source_of(q, n, input, &turned);
    if (!source || !can_change(q, source->constant)) return HONE_OK;
    const hone__tensor *t = source->constant;
    hone__weight w = {
        .node = n, .source = source, .turned = turned, .name = source->name, .from = t->dtype, .before = t->bytes};
    unsigned forms = forms_of_readers(q, source);
    w.tied = is_tied(q, source, forms);
    if (t->dtype != HONE_F32 && source == hone__input(n, input))
        w.reason = "the node computes in half precision";
    else if (!finite_all(t))
        w.reason = "holds infinities or NaN";
    else if (!hone__quant_made_of(q, source) && !w.tied && forms != 1U << form_of(q, n, input))
        w.reason = "another node reads its float32 numbers";
    else if (is_half(q))
        HONE__TRY(hone__quant_half(q, n, input, &w));
    else
        HONE__TRY(to_int(q, n, input, &w));
    if (!w.again) hone__quant_tell(q, &w);
    return HONE_OK;
}

/* Nodes of a branch or a body, too, but for convolutions there, whose inputs others may quantise later. */
static hone_status visit(hone__quant *q, hone__node *n)
{
    for (int i = 0; i < n->input_count; i++) {
        int form = form_of(q, n, i);
        if (form >= 0 && (form != CONV || !n->graph->owner)) HONE__TRY(consider(q, n, i));
    }
    for (int i = 0; i < n->attr_count; i++)
        for (hone__node *m = n->attrs[i].kind == HONE__ATTR_GRAPH ? n->attrs[i].g->first : NULL, *next; m; m = next) {
            next = m->next;
            HONE__TRY(visit(q, m));
        }
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
    if (options->scratch && hone__scratch_open(options->scratch, &q.scratch) != HONE_OK)
        hone__log(HONE_LOG_DEBUG, "new weights stay in memory: %s", hone_error_message());
    size_t total = 0, done = 0;
    for (const hone__node *n = model->graph->first; n; n = n->next) total++;
    for (hone__node *n = model->graph->first, *next; s == HONE_OK && n; n = next) {
        next = n->next;
        s = visit(&q, n);
        if (options->progress) options->progress(options->progress_ctx, ++done, total);
    }
    hone__scratch_close(&q.scratch);
    hone__free(q.made);
    hone__graph_sweep(model->graph);
    return s;
}
