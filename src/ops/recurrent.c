/* recurrent.c: attributes and shapes of LSTM, GRU and RNN (ONNX operator specification, opset 22). */
#include "recurrent.h"

#include <string.h>
#include <strings.h>

static size_t gates_of(hone__cell cell) { return cell == HONE__CELL_LSTM ? 4 : cell == HONE__CELL_GRU ? 3 : 1; }

static const struct {
    const char *name;
    hone__act act;
    int params; /* how many of alpha, beta it takes */
    float a, b;
} activations[] = {
    {"Relu", HONE__ACT_RELU, 0, 0, 0},
    {"Tanh", HONE__ACT_TANH, 0, 0, 0},
    {"Sigmoid", HONE__ACT_SIGMOID, 0, 0, 0},
    {"Softsign", HONE__ACT_SOFTSIGN, 0, 0, 0},
    {"Softplus", HONE__ACT_SOFTPLUS, 0, 0, 0},
    {"LeakyRelu", HONE__ACT_LEAKY, 1, 0.01f, 0},
    {"ThresholdedRelu", HONE__ACT_THRESHOLDED_RELU, 1, 1, 0},
    {"Elu", HONE__ACT_ELU, 1, 1, 0},
    {"HardSigmoid", HONE__ACT_HARD_SIGMOID, 2, 0.2f, 0.5f},
    {"ScaledTanh", HONE__ACT_SCALED_TANH, 2, 1, 1},
    {"Affine", HONE__ACT_AFFINE, 2, 1, 0},
};

/* alpha and beta are consumed in order by those activations that take them. */
static hone_status read_activations(const hone__node *n, size_t per_direction, hone__recurrent *s)
{
    static const char *const defaults[3][3] = {{"Tanh"}, {"Sigmoid", "Tanh"}, {"Sigmoid", "Tanh", "Tanh"}};
    const hone__attr *list = hone__node_attr(n, "activations"), *alpha = hone__node_attr(n, "activation_alpha"),
                     *beta = hone__node_attr(n, "activation_beta");
    size_t next_alpha = 0, next_beta = 0, want = per_direction * s->directions;
    if (list && list->kind == HONE__ATTR_STRINGS && list->count && list->count != want)
        return hone__fail(HONE_E_SHAPE, "%zu activations, expected %zu", list->count, want);
    bool given = list && list->kind == HONE__ATTR_STRINGS && list->count;
    for (size_t i = 0; i < want; i++) {
        const char *name = given ? list->strings[i].data : defaults[s->cell][i % per_direction];
        size_t length = given ? list->strings[i].size : strlen(name), k = 0,
               known = sizeof activations / sizeof *activations;
        while (k < known && (strlen(activations[k].name) != length || strncasecmp(activations[k].name, name, length)))
            k++;
        if (k == known)
            return hone__fail(HONE_E_UNSUPPORTED, "activation '%.*s'", length > 40 ? 40 : (int)length, name);
        hone__gate_act *g = &s->act[i / per_direction][i % per_direction];
        *g = (hone__gate_act){activations[k].act, activations[k].a, activations[k].b};
        if (activations[k].params > 0 && alpha && next_alpha < alpha->count) g->a = alpha->floats[next_alpha++];
        if (activations[k].params > 1 && beta && next_beta < beta->count) g->b = beta->floats[next_beta++];
    }
    return HONE_OK;
}

static hone_status read_node(const hone__node *n, hone__cell cell, hone__recurrent *s)
{
    const char *direction = hone__node_string(n, "direction", "forward");
    *s = (hone__recurrent){.cell = cell, .gates = gates_of(cell), .directions = 1};
    if (!strcmp(direction, "bidirectional"))
        s->directions = 2, s->reverse[1] = true;
    else if (!strcmp(direction, "reverse"))
        s->reverse[0] = true;
    else if (strcmp(direction, "forward"))
        return hone__fail(HONE_E_UNSUPPORTED, "direction '%.40s'", direction);
    s->batch_first = hone__node_int(n, "layout", 0) != 0;
    s->linear_before_reset = hone__node_int(n, "linear_before_reset", 0) != 0;
    s->input_forget = hone__node_int(n, "input_forget", 0) != 0;
    s->clip = hone__node_float(n, "clip", 0);
    return read_activations(n, cell == HONE__CELL_LSTM ? 3 : cell == HONE__CELL_GRU ? 2 : 1, s);
}

/* Known dimensions of an optional input must be these. */
static hone_status check(const hone__infer *x, int input, int rank, const int64_t *dims)
{
    if (!hone__has_input(x, input) || x->in[input].shape.rank < 0) return HONE_OK;
    HONE__TRY(hone__infer_rank(x, input, rank));
    for (int i = 0; i < rank; i++)
        if (!hone__dims_agree(x->in[input].shape.dims[i], dims[i]))
            return hone__fail(HONE_E_SHAPE, "input %d has size %lld on axis %d, expected %lld", input,
                              (long long)x->in[input].shape.dims[i], i, (long long)dims[i]);
    return HONE_OK;
}

/* Scales and zero points: one per direction, or one per direction and column. */
static hone_status check_bytes(const hone__infer *x, int64_t directions, int64_t columns)
{
    for (int i = 1; i <= 11; i++) {
        hone_dtype d = x->in[i].dtype;
        bool bytes = i < 3 || i == 9 || i == 11;
        if ((i > 2 && i < 8) || !d) continue;
        if (bytes ? d != HONE_U8 && d != HONE_I8 : d != HONE_F32)
            return hone__fail(HONE_E_SHAPE, "input %d is %s", i, hone_dtype_name(d));
        if (i < 3) continue;
        HONE__TRY(check(x, i, x->in[i].shape.rank == 1 ? 1 : 2, (int64_t[]){directions, columns}));
    }
    HONE__TRY(hone__infer_equal_types(x, 1, 9));
    return hone__infer_equal_types(x, 2, 11);
}

static hone_status check_inputs(const hone__infer *x, const hone__recurrent *s, int64_t in, int64_t batch,
                                int64_t hidden)
{
    int64_t d = (int64_t)s->directions, rows, twice, three;
    HONE__TRY(hone__dim_mul((int64_t)s->gates, hidden, &rows));
    HONE__TRY(hone__dim_mul(2, rows, &twice));
    HONE__TRY(hone__dim_mul(3, hidden, &three));
    HONE__TRY(check(x, 1, 3, s->bytes ? (int64_t[]){d, in, rows} : (int64_t[]){d, rows, in}));
    HONE__TRY(check(x, 2, 3, s->bytes ? (int64_t[]){d, hidden, rows} : (int64_t[]){d, rows, hidden}));
    HONE__TRY(check(x, 3, 2, (int64_t[]){d, twice}));
    HONE__TRY(check(x, 4, 1, (int64_t[]){batch}));
    for (int i = 5; i <= 6; i++)
        HONE__TRY(check(x, i, 3, s->batch_first ? (int64_t[]){batch, d, hidden} : (int64_t[]){d, batch, hidden}));
    for (int i = s->bytes ? 3 : 1; i < x->input_count && i < 8; i++)
        if (i != 4 && hone__has_input(x, i)) HONE__TRY(hone__infer_equal_types(x, 0, i));
    if (s->bytes) HONE__TRY(check_bytes(x, d, rows));
    return check(x, 7, 2, (int64_t[]){d, three});
}

hone_status hone__recurrent_infer(hone__infer *x, hone__cell cell, bool bytes)
{
    hone__recurrent s;
    HONE__TRY(hone__infer_arity(x, 3, bytes ? 12 : cell == HONE__CELL_LSTM ? 8 : 6));
    for (int i = 8; bytes && i < 12; i++)
        if (!hone__has_input(x, i)) return hone__fail(HONE_E_SHAPE, "input %d is missing", i);
    HONE__TRY(hone__infer_float(x, 0));
    HONE__TRY(read_node(x->node, cell, &s));
    s.bytes = bytes;
    if (bytes && s.batch_first) return hone__fail(HONE_E_UNSUPPORTED, "layout 1");
    const hone__shape *xs = &x->in[0].shape, *rs = &x->in[2].shape;
    for (int i = 0; i < x->output_count; i++) x->out[i].dtype = x->in[0].dtype;
    if (x->output_count > 3 - (cell != HONE__CELL_LSTM))
        return hone__fail(HONE_E_SHAPE, "has %d outputs", x->output_count);
    if (xs->rank < 0) return HONE_OK;
    HONE__TRY(hone__infer_rank(x, 0, 3));
    HONE__TRY(hone__infer_rank(x, 2, 3));
    int64_t hidden = rs->rank == 3 ? rs->dims[bytes ? 1 : 2] : -1,
            declared = hone__node_int(x->node, "hidden_size", hidden);
    if (!hone__dims_agree(hidden, declared) || (rs->rank == 3 && hidden == 0))
        return hone__fail(HONE_E_SHAPE, "hidden_size is %lld, the weights have %lld", (long long)declared,
                          (long long)hidden);
    if (hidden < 0) hidden = declared;
    int64_t steps = xs->dims[s.batch_first], batch = xs->dims[!s.batch_first], d = (int64_t)s.directions;
    HONE__TRY(check_inputs(x, &s, xs->dims[2], batch, hidden));
    if (s.batch_first) {
        hone__infer_set(x, 0, x->in[0].dtype, 4, (int64_t[]){batch, steps, d, hidden});
        for (int i = 1; i <= 2; i++) hone__infer_set(x, i, x->in[0].dtype, 3, (int64_t[]){batch, d, hidden});
    } else {
        hone__infer_set(x, 0, x->in[0].dtype, 4, (int64_t[]){steps, d, batch, hidden});
        for (int i = 1; i <= 2; i++) hone__infer_set(x, i, x->in[0].dtype, 3, (int64_t[]){d, batch, hidden});
    }
    return HONE_OK;
}

hone_status hone__recurrent_read(const hone__node *n, const hone__tensor *x, const hone__tensor *recurrence,
                                 hone__cell cell, bool bytes, hone__recurrent *out)
{
    HONE__TRY(read_node(n, cell, out));
    out->bytes = bytes;
    out->steps = (size_t)x->dims[out->batch_first];
    out->batch = (size_t)x->dims[!out->batch_first];
    out->in = (size_t)x->dims[2];
    out->hidden = (size_t)recurrence->dims[bytes ? 1 : 2];
    return HONE_OK;
}
