/* api_session.c: hone_session over exec. */
#include <string.h>

#include "api.h"
#include "base/cpu.h"
#include "base/threads.h"
#include "exec/session.h"

struct hone_session {
    hone__session *exec;
    atomic_bool cancel;
    size_t inputs, outputs;
    hone__tensor *in; /* inputs, then pointers */
    const hone__tensor **in_list, **out_list;
};

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
    }
    s->inputs = hone_model_input_count(model);
    s->outputs = hone_model_output_count(model);
    s->in = hone__calloc(s->inputs + 1, sizeof *s->in);
    s->in_list = hone__calloc(s->inputs + s->outputs + 1, sizeof *s->in_list);
    hone_status status = s->in && s->in_list ? hone__session_create(model->graph, &o, &s->exec)
                                             : hone__out_of_memory(s->inputs * sizeof *s->in);
    if (status != HONE_OK) {
        hone_session_destroy(s);
        return status;
    }
    s->out_list = s->in_list + s->inputs;
    *out = s;
    return HONE_OK;
}

void hone_session_destroy(hone_session *s)
{
    if (!s) return;
    hone__session_destroy(s->exec);
    hone__free(s->in);
    hone__free(s->in_list);
    hone__free(s);
}

static hone_status take_input(const hone_tensor *from, hone__tensor *to, size_t i)
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

hone_status hone_session_run(hone_session *s, const hone_tensor *inputs, size_t input_count, hone_tensor *outputs,
                             size_t output_count)
{
    if (input_count != s->inputs)
        return hone__fail(HONE_E_ARGUMENT, "%zu inputs given, the model has %zu", input_count, s->inputs);
    if (output_count > s->outputs)
        return hone__fail(HONE_E_ARGUMENT, "%zu outputs wanted, the model has %zu", output_count, s->outputs);
    for (size_t i = 0; i < input_count; i++) {
        HONE__TRY(take_input(&inputs[i], &s->in[i], i));
        s->in_list[i] = &s->in[i];
    }
    hone_status status = hone__session_run(s->exec, s->in_list, input_count, s->out_list, output_count);
    atomic_store(&s->cancel, false);
    HONE__TRY(status);
    for (size_t i = 0; i < output_count; i++) {
        const hone__tensor *t = s->out_list[i];
        outputs[i] =
            (hone_tensor){.dtype = t->dtype, .rank = t->rank, .data = (void *)(uintptr_t)t->data, .bytes = t->bytes};
        memcpy(outputs[i].dims, t->dims, sizeof t->dims);
    }
    return HONE_OK;
}

void hone_session_cancel(hone_session *s) { atomic_store(&s->cancel, true); }
size_t hone_session_memory(const hone_session *s) { return hone__session_memory(s->exec); }

hone_status hone_session_time(const hone_session *s, size_t i, hone_node_time *out)
{
    const hone__step_time *times;
    size_t count = hone__session_times(s->exec, &times);
    if (i >= count) return hone__fail(HONE_E_ARGUMENT, "entry %zu of %zu", i, count);
    *out = (hone_node_time){.calls = times[i].calls,
                            .seconds = times[i].seconds,
                            .in_bytes = times[i].in_bytes,
                            .out_bytes = times[i].out_bytes,
                            .name = "",
                            .op = "",
                            .domain = ""};
    if (!times[i].node) return HONE_OK; /* never run: its value was known */
    out->name = times[i].node->name;
    out->op = times[i].node->op;
    out->domain = times[i].node->domain;
    return HONE_OK;
}

const char *hone_cpu_name(void) { return hone__cpu_name(); }
const char *hone_cpu_tier(void) { return hone__tier_name(hone__cpu_tier()); }
int hone_cpu_cores(void) { return hone__cpu_cores(); }
const char *hone_version(void) { return "0.1.0"; }
