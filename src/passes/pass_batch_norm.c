/* pass_batch_norm.c: BatchNormalization, and multiplication or addition of constants per channel, behind a convolution
 * go into its weights and bias: y = (W x + b) s + t = (W s) x + (b s + t). Computed in double. */
#include <math.h>

#include "match.h"
#include "passes.h"

/* What follows: out = in * scale[c] + shift[c] */
typedef struct affine {
    double *scale, *shift;
    size_t channels;
} affine;

static double at(const hone__tensor *t, size_t c) { return ((const float *)t->data)[t->count == 1 ? 0 : c]; }

static bool read_batch_norm(const hone__node *n, affine *a)
{
    const hone__tensor *p[4];
    if (hone__node_int(n, "training_mode", 0)) return false; /* statistics of the batch itself */
    for (int i = 1; i < n->output_count; i++)
        if (n->outputs[i] && !hone__value_unused(n->outputs[i])) return false;
    for (int i = 0; i < 4; i++) {
        p[i] = hone__constant_input(n, i + 1);
        if (!p[i] || p[i]->dtype != HONE_F32 || p[i]->count != a->channels) return false;
    }
    double eps = hone__node_float(n, "epsilon", 1e-5f);
    for (size_t c = 0; c < a->channels; c++) {
        a->scale[c] = at(p[0], c) / sqrt(at(p[3], c) + eps);
        a->shift[c] = at(p[1], c) - at(p[2], c) * a->scale[c];
    }
    return true;
}

static bool read_constant_op(const hone__node *n, const hone__value *in, affine *a)
{
    bool mul = hone__node_is(n, "Mul"), add = hone__node_is(n, "Add");
    if ((!mul && !add) || n->input_count != 2 || n->inputs[0] == n->inputs[1]) return false;
    const hone__value *other = hone__other_input(n, in);
    if (!hone__per_channel(other->constant, in->shape.rank, (int64_t)a->channels)) return false;
    for (size_t c = 0; c < a->channels; c++) {
        a->scale[c] = mul ? at(other->constant, c) : 1;
        a->shift[c] = mul ? 0 : at(other->constant, c);
    }
    return true;
}

static hone_status apply(hone__node *conv, const affine *a, bool transposed)
{
    const hone__tensor *w = conv->inputs[1]->constant, *b = hone__constant_input(conv, 2);
    float *wd, *bd;
    int64_t channels = (int64_t)a->channels;
    bool scaled = false;
    for (size_t c = 0; c < a->channels; c++) scaled |= a->scale[c] != 1;
    hone__value *bias = hone__new_f32(conv->graph, b ? conv->inputs[2]->name : "", 1, &channels, &bd);
    if (!bias) return HONE_E_MEMORY;
    for (size_t c = 0; c < a->channels; c++) bd[c] = (float)((b ? at(b, c) : 0) * a->scale[c] + a->shift[c]);
    HONE__TRY(hone__node_set_input(conv, 2, bias));
    if (!scaled) return HONE_OK;
    hone__value *weights = hone__new_f32(conv->graph, conv->inputs[1]->name, w->rank, w->dims, &wd);
    if (!weights) return HONE_E_MEMORY;
    size_t rows = (size_t)w->dims[0], cols = transposed ? (size_t)w->dims[1] : 1; /* per scale */
    size_t run = rows && cols ? w->count / rows / cols : 0,
           group_rows = rows / (size_t)hone__node_int(conv, "group", 1);
    const float *from = w->data;
    for (size_t row = 0; row < rows; row++)
        for (size_t col = 0; col < cols; col++, from += run, wd += run) {
            double scale = a->scale[transposed ? row / group_rows * cols + col : row];
            for (size_t i = 0; i < run; i++) wd[i] = (float)(from[i] * scale);
        }
    hone__tensor_idle(w);
    return hone__node_set_input(conv, 1, weights);
}

/* Infinite factors would make NaN of weights that are zero. */
static bool finite(const affine *a)
{
    for (size_t c = 0; c < a->channels; c++)
        if (!isfinite(a->scale[c]) || !isfinite(a->shift[c])) return false;
    return true;
}

static hone_status fold_into(hone__node *conv, int *changed)
{
    bool transposed = hone__node_is(conv, "ConvTranspose");
    hone__value *y = conv->outputs[0];
    const hone__tensor *w = hone__constant_input(conv, 1), *b = hone__constant_input(conv, 2);
    int64_t group = hone__node_int(conv, "group", 1);
    if (!w || w->dtype != HONE_F32 || w->rank < 3 || (hone__input(conv, 2) && (!b || b->dtype != HONE_F32)))
        return HONE_OK;
    if (!hone__value_single_use(y) || y->uses[0].node->graph != y->graph || group < 1) return HONE_OK;
    hone__node *n = y->uses[0].node;
    size_t channels = (size_t)(transposed ? w->dims[1] * group : w->dims[0]);
    double *room = hone__calloc(2 * channels + 1, sizeof *room);
    affine a = {room, room + channels, channels};
    if (!room) return hone__out_of_memory(channels);
    hone_status s = HONE_OK;
    bool found = hone__node_is(n, "BatchNormalization") && n->inputs[0] == y ? read_batch_norm(n, &a)
                                                                             : read_constant_op(n, y, &a);
    if (found && finite(&a)) {
        const char *name = n->outputs[0]->name;
        s = apply(conv, &a, transposed);
        if (s == HONE_OK) s = hone__value_replace_uses(n->outputs[0], y);
        if (*name) y->name = name; /* its numbers are that value's now */
        if (s == HONE_OK) hone__node_remove(n);
        ++*changed;
    }
    hone__free(room);
    return s;
}

hone_status hone__pass_batch_norm(hone__graph *g, int *changed)
{
    for (hone__node *n = g->first; n; n = n->next) {
        if (!hone__node_is(n, "Conv") && !hone__node_is(n, "ConvTranspose")) continue;
        for (int before = -1; before != *changed;) {
            before = *changed;
            HONE__TRY(fold_into(n, changed));
        }
    }
    return HONE_OK;
}
