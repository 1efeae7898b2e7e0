/* api_session.c: hone_session over exec. */
#include <stdio.h>
#include <string.h>

#include "api.h"
#include "base/cpu.h"
#include "base/log.h"
#include "base/threads.h"
#include "exec/session.h"
#include "tensor/list.h"

/* Elements of one input or output that is a sequence; grows. */
typedef struct value_room {
    void *items; /* hone__tensor of inputs, hone_tensor of outputs */
    size_t room;
    hone__list list; /* of an input */
} value_room;

typedef struct state {
    size_t input, output;
    hone__tensor value; /* its data: the session's copy */
    void *data;
    size_t room;
} state;

struct hone_session {
    hone__session *exec;
    atomic_bool cancel;
    size_t inputs, outputs;
    hone__tensor *in; /* inputs, then pointers */
    const hone__tensor **in_list, **out_list;
    value_room *rooms; /* of inputs, then of outputs */
    state *states;
    size_t state_count, state_room;
    void (*on_node)(void *ctx, const hone_node_event *event);
    void *on_node_ctx;
};

static void pass_event(void *ctx, const hone__node *n, int depth, double start, double seconds)
{
    hone_session *s = ctx;
    s->on_node(s->on_node_ctx, &(hone_node_event){n->name, n->op, n->domain, depth, start, seconds});
}

hone_status hone_session_create(const hone_model *model, const hone_session_options *options, hone_session **out)
{
    *out = NULL;
    hone_session *s = hone__calloc(1, sizeof *s);
    if (!s) return hone__out_of_memory(sizeof *s);
    hone__session_options o = {.cancel = &s->cancel};
    if (options) {
        o.threads = options->threads;
        o.max_memory = options->max_memory;
        o.plain = options->plain != 0;
        o.profile = options->profile != 0;
        s->on_node = options->on_node;
        s->on_node_ctx = options->on_node_ctx;
        o.on_node = s->on_node ? pass_event : NULL;
        o.on_node_ctx = s;
    }
    s->inputs = hone_model_input_count(model);
    s->outputs = hone_model_output_count(model);
    s->in = hone__calloc(s->inputs + 1, sizeof *s->in);
    s->in_list = hone__calloc(s->inputs + s->outputs + 1, sizeof *s->in_list);
    s->rooms = hone__calloc(s->inputs + s->outputs + 1, sizeof *s->rooms);
    hone_status status = s->in && s->in_list && s->rooms ? hone__session_create(model->graph, &o, &s->exec)
                                                         : hone__out_of_memory(s->inputs * sizeof *s->in);
    if (status != HONE_OK) {
        hone_session_destroy(s);
        return status;
    }
    s->out_list = s->in_list + s->inputs;
    hone__log(HONE_LOG_INFO, "session: %zu inputs, %zu outputs, tier %s, %d threads", s->inputs, s->outputs,
              hone_cpu_tier(), hone__session_threads(s->exec));
    *out = s;
    return HONE_OK;
}

void hone_session_destroy(hone_session *s)
{
    if (!s) return;
    hone__session_destroy(s->exec);
    for (size_t i = 0; s->rooms && i < s->inputs + s->outputs; i++) hone__free(s->rooms[i].items);
    for (size_t i = 0; i < s->state_count; i++) hone__free(s->states[i].data);
    hone__free(s->states);
    hone__free(s->rooms);
    hone__free(s->in);
    hone__free(s->in_list);
    hone__free(s);
}

static hone_status take_tensor(const hone_tensor *from, hone__tensor *to, size_t i)
{
    *to = (hone__tensor){.dtype = from->dtype, .rank = from->rank, .data = from->data};
    if (from->rank < 0 || from->rank > HONE_MAX_RANK)
        return hone__fail(HONE_E_ARGUMENT, "input %zu has rank %d", i, from->rank);
    memcpy(to->dims, from->dims, (size_t)from->rank * sizeof *to->dims);
    hone_status s = hone__shape_bytes(to->dtype, to->rank, to->dims, &to->count, &to->bytes);
    if (s != HONE_OK) return hone__at(s, "input %zu", i);
    if (from->bytes < to->bytes || (to->bytes && !from->data))
        return hone__fail(HONE_E_ARGUMENT, "input %zu has %zu bytes, its shape needs %zu", i, from->bytes, to->bytes);
    return HONE_OK;
}

static void give_tensor(const hone__tensor *from, hone_tensor *to)
{
    *to = (hone_tensor){
        .dtype = from->dtype, .rank = from->rank, .data = (void *)(uintptr_t)from->data, .bytes = from->bytes};
    memcpy(to->dims, from->dims, sizeof from->dims);
}

static hone_status check_counts(const hone_session *s, size_t inputs, size_t outputs)
{
    if (inputs != s->inputs)
        return hone__fail(HONE_E_ARGUMENT, "%zu inputs given, the model has %zu", inputs, s->inputs);
    if (outputs > s->outputs)
        return hone__fail(HONE_E_ARGUMENT, "%zu outputs wanted, the model has %zu", outputs, s->outputs);
    return HONE_OK;
}

static hone_status run_taken(hone_session *s)
{
    for (size_t i = 0; i < s->inputs; i++) s->in_list[i] = &s->in[i];
    hone_status status = hone__session_run(s->exec, s->in_list, s->inputs, s->out_list, s->outputs);
    atomic_store(&s->cancel, false);
    return status;
}

hone_status hone_session_run(hone_session *s, const hone_tensor *inputs, size_t input_count, hone_tensor *outputs,
                             size_t output_count)
{
    HONE__TRY(check_counts(s, input_count, output_count));
    for (size_t i = 0; i < input_count; i++) HONE__TRY(take_tensor(&inputs[i], &s->in[i], i));
    HONE__TRY(run_taken(s));
    for (size_t i = 0; i < output_count; i++) {
        if (s->out_list[i]->kind != HONE_KIND_TENSOR)
            return hone__fail(HONE_E_ARGUMENT, "output %zu is not a tensor: hone_session_run_values gives it", i);
        give_tensor(s->out_list[i], &outputs[i]);
    }
    return HONE_OK;
}

static hone_status take_value(hone_session *s, const hone_value *from, size_t i)
{
    hone__tensor *to = &s->in[i];
    value_room *room = &s->rooms[i];
    switch (from->kind) {
    case HONE_KIND_TENSOR: return take_tensor(&from->tensor, to, i);
    case HONE_KIND_NONE: *to = (hone__tensor){.kind = HONE_KIND_NONE, .dtype = from->tensor.dtype}; return HONE_OK;
    case HONE_KIND_SEQUENCE: break;
    default: return hone__fail(HONE_E_ARGUMENT, "input %zu is of kind %d", i, (int)from->kind);
    }
    HONE__TRY(hone__grow(&room->items, &room->room, from->count, sizeof(hone__tensor)));
    hone__tensor *items = room->items;
    for (size_t k = 0; k < from->count; k++) {
        hone_status st = take_tensor(&from->items[k], &items[k], i);
        if (st != HONE_OK) return hone__at(st, "element %zu", k);
    }
    room->list = (hone__list){.refs = 1, .borrowed = true, .items = items, .used = from->count};
    *to = hone__list_value(&room->list, from->count ? items[0].dtype : from->tensor.dtype);
    return HONE_OK;
}

static hone_status give_value(hone_session *s, const hone__tensor *from, size_t i, hone_value *to)
{
    *to = (hone_value){.kind = from->kind};
    give_tensor(from, &to->tensor);
    if (from->kind == HONE_KIND_TENSOR) return HONE_OK;
    to->tensor.data = NULL;
    if (from->kind == HONE_KIND_NONE) return HONE_OK;
    value_room *room = &s->rooms[s->inputs + i];
    HONE__TRY(hone__grow(&room->items, &room->room, from->count, sizeof(hone_tensor)));
    hone_tensor *items = room->items;
    for (size_t k = 0; k < from->count; k++) give_tensor(&hone__list_items(from)[k], &items[k]);
    to->items = items;
    to->count = from->count;
    return HONE_OK;
}

hone_status hone_session_run_values(hone_session *s, const hone_value *inputs, size_t input_count, hone_value *outputs,
                                    size_t output_count)
{
    HONE__TRY(check_counts(s, input_count, output_count));
    for (size_t i = 0; i < input_count; i++) HONE__TRY(take_value(s, &inputs[i], i));
    HONE__TRY(run_taken(s));
    for (size_t i = 0; i < output_count; i++) HONE__TRY(give_value(s, s->out_list[i], i, &outputs[i]));
    return HONE_OK;
}

/* Place of a name among `count` values; HONE_E_ARGUMENT names it and those that there are. */
static hone_status place_of(hone__value *const *values, size_t count, const char *name, const char *what, size_t *out)
{
    char known[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (name && !strcmp(values[i]->name, name)) {
            *out = i;
            return HONE_OK;
        }
        int n = snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", values[i]->name);
        used = n < 0 || used + (size_t)n >= sizeof known ? sizeof known - 1 : used + (size_t)n;
    }
    return hone__fail(HONE_E_ARGUMENT, "no %s '%.80s'; there are: %s", what, name ? name : "(null)", known);
}

static state *state_of(const hone_session *s, size_t input)
{
    for (size_t i = 0; i < s->state_count; i++)
        if (s->states[i].input == input) return &s->states[i];
    return NULL;
}

static hone_status keep_state(state *st, const hone__tensor *from)
{
    if (from->kind != HONE_KIND_TENSOR || from->dtype == HONE_STRING)
        return hone__fail(HONE_E_ARGUMENT, "a state is a tensor of numbers");
    HONE__TRY(hone__grow(&st->data, &st->room, from->bytes, 1));
    if (from->bytes) memcpy(st->data, from->data, from->bytes);
    st->value = *from;
    st->value.data = st->data;
    return HONE_OK;
}

hone_status hone_session_set_state(hone_session *s, const char *input, const char *output, const hone_tensor *first)
{
    const hone__graph *g = hone__session_graph(s->exec);
    size_t in, out;
    hone__tensor t;
    HONE__TRY(place_of(g->inputs, s->inputs, input, "input", &in));
    HONE__TRY(place_of(g->outputs, s->outputs, output, "output", &out));
    HONE__TRY(take_tensor(first, &t, in));
    state *st = state_of(s, in);
    if (!st) {
        void *list = s->states;
        HONE__TRY(hone__grow(&list, &s->state_room, s->state_count + 1, sizeof *st));
        s->states = list;
        st = &s->states[s->state_count++];
        *st = (state){.input = in};
    }
    st->output = out;
    return keep_state(st, &t);
}

/* Fills s->in; its rank is -1 where nothing was given yet. */
static hone_status take_named(hone_session *s, const hone_named_tensor *inputs, size_t count)
{
    const hone__graph *g = hone__session_graph(s->exec);
    for (size_t i = 0; i < s->inputs; i++) s->in[i].rank = -1;
    for (size_t i = 0; i < count; i++) {
        size_t at;
        HONE__TRY(place_of(g->inputs, s->inputs, inputs[i].name, "input", &at));
        if (s->in[at].rank >= 0) return hone__fail(HONE_E_ARGUMENT, "input '%s' is given twice", inputs[i].name);
        hone_status st = take_tensor(&inputs[i].tensor, &s->in[at], at);
        if (st != HONE_OK) return hone__at(st, "'%s'", inputs[i].name);
    }
    for (size_t i = 0; i < s->inputs; i++) {
        const state *st = s->in[i].rank < 0 ? state_of(s, i) : NULL;
        if (st) s->in[i] = st->value;
        if (s->in[i].rank < 0) return hone__fail(HONE_E_ARGUMENT, "input '%s' is missing", g->inputs[i]->name);
    }
    return HONE_OK;
}

hone_status hone_session_run_named(hone_session *s, const hone_named_tensor *inputs, size_t input_count,
                                   hone_named_tensor *outputs, size_t output_count)
{
    const hone__graph *g = hone__session_graph(s->exec);
    size_t at;
    for (size_t i = 0; i < output_count; i++)
        HONE__TRY(place_of(g->outputs, s->outputs, outputs[i].name, "output", &at));
    HONE__TRY(take_named(s, inputs, input_count));
    HONE__TRY(run_taken(s));
    for (size_t i = 0; i < output_count; i++) {
        HONE__TRY(place_of(g->outputs, s->outputs, outputs[i].name, "output", &at));
        if (s->out_list[at]->kind != HONE_KIND_TENSOR)
            return hone__fail(HONE_E_ARGUMENT, "output '%s' is not a tensor", outputs[i].name);
        give_tensor(s->out_list[at], &outputs[i].tensor);
    }
    for (size_t i = 0; i < s->state_count; i++) HONE__TRY(keep_state(&s->states[i], s->out_list[s->states[i].output]));
    return HONE_OK;
}

void hone_session_cancel(hone_session *s) { atomic_store(&s->cancel, true); }
size_t hone_session_memory(const hone_session *s) { return hone__session_memory(s->exec); }

hone_status hone_session_time(const hone_session *s, size_t i, hone_node_time *out)
{
    hone__step_time t;
    if (!hone__session_time(s->exec, i, &t)) return hone__fail(HONE_E_ARGUMENT, "no entry %zu", i);
    *out = (hone_node_time){.calls = t.calls,
                            .seconds = t.seconds,
                            .in_bytes = t.work.in_bytes,
                            .out_bytes = t.work.out_bytes,
                            .operations = t.work.operations,
                            .integer = t.work.integer,
                            .depth = t.depth,
                            .kernel = t.work.kernel ? t.work.kernel : "",
                            .name = t.node ? t.node->name : "",
                            .op = t.node ? t.node->op : "",
                            .domain = t.node ? t.node->domain : ""};
    return HONE_OK;
}

const char *hone_cpu_name(void) { return hone__cpu_name(); }
const char *hone_cpu_tier(void) { return hone__tier_name(hone__cpu_tier()); }
int hone_cpu_cores(void) { return hone__cpu_cores(); }
const char *hone_version(void) { return "0.1.0"; }
