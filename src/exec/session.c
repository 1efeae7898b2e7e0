/* session.c: runs the steps of a plan. */
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cpu.h"
#include "frame.h"
#include "graph/clone.h"
#include "passes/passes.h"
#include "tensor/list.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static hone_status check_kind(const hone__value *v, const hone__tensor *t, size_t index)
{
    static const char *const types[] = {"a tensor", "a sequence", "a tensor or nothing", "a sequence or nothing"};
    static const char *const kinds[] = {"a tensor", "a sequence", "nothing"};
    unsigned sequence = v->wrap & HONE__OF_SEQUENCE, optional = v->wrap & HONE__OF_OPTIONAL;
    if (t->kind == HONE_KIND_NONE ? optional : (t->kind == HONE_KIND_SEQUENCE) == (sequence != 0)) return HONE_OK;
    return hone__fail(HONE_E_SHAPE, "input %zu '%s' is %s, expected %s", index, v->name, kinds[t->kind],
                      types[sequence | optional]);
}

static hone_status check_elements(const hone__value *v, const hone__tensor *t, size_t index)
{
    const hone__tensor *items = hone__list_items(t);
    for (size_t i = 0; i < t->count; i++)
        if (items[i].kind != HONE_KIND_TENSOR || items[i].dtype != t->dtype)
            return hone__fail(HONE_E_SHAPE, "element %zu of input %zu '%s' is %s, expected %s", i, index, v->name,
                              hone_dtype_name(items[i].dtype), hone_dtype_name(t->dtype));
    return HONE_OK;
}

/* The shape of an input against what the model declares. */
static hone_status check_input(const hone__value *v, const hone__tensor *t, size_t index)
{
    char want[160], got[160];
    HONE__TRY(check_kind(v, t, index));
    if (t->kind == HONE_KIND_NONE) return HONE_OK;
    if (v->dtype && v->dtype != t->dtype)
        return hone__fail(HONE_E_SHAPE, "input %zu '%s' has type %s, expected %s", index, v->name,
                          hone_dtype_name(t->dtype), hone_dtype_name(v->dtype));
    if (t->kind == HONE_KIND_SEQUENCE) return check_elements(v, t, index);
    bool ok = v->shape.rank < 0 || v->shape.rank == t->rank;
    for (int i = 0; ok && i < v->shape.rank; i++)
        if (v->shape.dims[i] >= 0 && v->shape.dims[i] != t->dims[i]) ok = false;
    if (ok) return HONE_OK;
    return hone__fail(HONE_E_SHAPE, "input %zu '%s' has shape %s, expected %s", index, v->name,
                      hone__shape_text(t->rank, t->dims, got, sizeof got),
                      hone__shape_text(v->shape.rank, v->shape.dims, want, sizeof want));
}

static bool same_shape(const hone__tensor *a, const hone__tensor *b)
{
    return a->kind == b->kind && a->dtype == b->dtype && a->rank == b->rank &&
           !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims);
}

/* What an input of no elements points at where its caller has nothing: operators may add to a pointer, not to NULL. */
static const hone__string nothing;

/* True where the shape is new. */
static bool bind(hone__slot *s, const hone__tensor *t)
{
    bool changed = !same_shape(&s->t, t);
    s->t = *t;
    s->t.blob = NULL;
    if (!s->t.data && !s->t.bytes) s->t.data = &nothing;
    return changed;
}

static bool bind_all(hone__frame *f, const hone__tensor *const *inputs)
{
    bool changed = false;
    for (int i = 0; i < f->slot_count; i++)
        if (f->slots[i].kind == HONE__SLOT_INPUT) changed |= bind(&f->slots[i], inputs[f->slots[i].value->input_index]);
    for (int i = 0; i < f->capture_count; i++)
        changed |= bind(&f->slots[f->captures[2 * i]], &f->parent->slots[f->captures[2 * i + 1]].t);
    return changed;
}

static hone_status check_inputs(const hone__frame *f, const hone__tensor *const *inputs)
{
    for (int i = 0; i < f->slot_count; i++) {
        const hone__value *v = f->slots[i].value;
        if (f->slots[i].kind != HONE__SLOT_INPUT) continue;
        if (f->parent && (v->wrap || inputs[v->input_index]->kind != HONE_KIND_TENSOR)) continue;
        HONE__TRY(check_input(v, inputs[v->input_index], (size_t)v->input_index));
    }
    return HONE_OK;
}

static hone_status run_step(hone__frame *f, hone__step *st)
{
    if (st->dynamic) HONE__TRY(hone__frame_step_dynamic(f, st));
    if (st->op->flags & HONE__OP_ALIAS) {
        if (st->dynamic && (st->in_t[0]->kind != HONE_KIND_TENSOR || f->slots[st->out[0]].value->wrap))
            return hone__run_output_copy(&(hone__run){.out = st->out_t, .exec = f}, 0, st->in_t[0]);
        if (!st->dynamic)
            st->out_t[0]->data = st->in_t[0]->data;
        else if (st->out_t[0]->bytes)
            memcpy((void *)(uintptr_t)st->out_t[0]->data, st->in_t[0]->data, st->out_t[0]->bytes);
        return HONE_OK;
    }
    hone__run r = {.node = st->node,
                   .input_count = st->node->input_count,
                   .output_count = st->node->output_count,
                   .in = st->in_t,
                   .out = st->out_t,
                   .state = st->state,
                   .scratch = f->session->scratch,
                   .pool = f->session->pool,
                   .subgraph = hone__frame_subgraph,
                   .text = hone__session_text,
                   .exec = f};
    hone_status s = st->op->run(&r);
    return s == HONE_OK ? s : hone__node_at(s, st->node);
}

static void note_time(hone__frame *f, int i, double seconds)
{
    hone__step_time *t = &f->times[i];
    const hone__step *st = &f->steps[i];
    t->node = st->node;
    t->depth = f->depth;
    t->calls++;
    t->seconds += seconds;
    t->work = hone__node_work(st->node, st->in_t, st->out_t);
    if (st->op->flags & HONE__OP_ALIAS && !st->dynamic) t->work.in_bytes = t->work.out_bytes = 0; /* moves nothing */
}

/* A step with its time: what nodes of its subgraphs took is theirs. */
static hone_status run_timed(hone__frame *f, int i)
{
    hone__session *s = f->session;
    double start = now(), outer = s->inner;
    s->inner = 0;
    hone_status status = run_step(f, &f->steps[i]);
    double took = now() - start;
    if (f->times && status == HONE_OK) note_time(f, i, took > s->inner ? took - s->inner : 0);
    if (s->options.on_node && status == HONE_OK)
        s->options.on_node(s->options.on_node_ctx, f->steps[i].node, f->depth, start - s->born, took);
    s->inner = outer + took;
    return status;
}

/* Between nodes, and after the last one, which may have stopped before its results were whole. */
static hone_status go_on(const hone__frame *f)
{
    const atomic_bool *cancel = f->session->options.cancel;
    if (cancel && atomic_load_explicit(cancel, memory_order_relaxed)) return hone__fail(HONE_E_CANCELLED, "cancelled");
    return HONE_OK;
}

static hone_status run_steps(hone__frame *f)
{
    bool timed = f->times || f->session->options.on_node;
    for (int i = 0; i < f->step_count; i++) {
        hone__step *st = &f->steps[i];
        if (st->skip) continue;
        HONE__TRY(go_on(f));
        HONE__TRY(timed ? run_timed(f, i) : run_step(f, st));
    }
    return go_on(f);
}

hone_status hone__frame_run(hone__frame *f, const hone__tensor *const *inputs, size_t input_count,
                            const hone__tensor **outputs, size_t output_count)
{
    HONE__TRY(go_on(f)); /* the body of a loop may have no steps */
    if (input_count != f->graph->input_count)
        return hone__fail(HONE_E_ARGUMENT, "%zu inputs given, expected %zu", input_count, f->graph->input_count);
    HONE__TRY(check_inputs(f, inputs)); /* of a body, too: passes have relied on what it says */
    if (bind_all(f, inputs) || !f->planned) {
        HONE__TRY(hone__frame_plan(f));
        bind_all(f, inputs); /* a plan knows no data of this run */
    }
    hone__arena_rewind(&f->run_arena);
    HONE__TRY(run_steps(f));
    for (size_t i = 0; i < output_count && i < f->graph->output_count; i++) outputs[i] = &f->slots[f->outputs[i]].t;
    return HONE_OK;
}

hone_status hone__frame_subgraph(hone__run *r, hone__graph *graph, const hone__tensor *const *in, size_t in_count,
                                 const hone__tensor **out, size_t out_count)
{
    hone__frame *f = r->exec;
    for (hone__frame *c = f->children; c; c = c->next_child)
        if (c->graph == graph) return hone__frame_run(c, in, in_count, out, out_count);
    return hone__fail(HONE_E_INTERNAL, "a subgraph was not lowered");
}

hone_status hone__session_take(hone__session *s, size_t old, size_t want, const char *what)
{
    size_t others = s->memory - old, limit = s->options.max_memory;
    if (limit && (others > limit || want > limit - others))
        return hone__fail(HONE_E_LIMIT, "'%.200s' needs %zu bytes beside %zu in use, the limit is %zu", what, want,
                          others, limit);
    s->memory = others + want;
    return HONE_OK;
}

void hone__session_idle(hone__session *s)
{
    hone__aligned_idle(s->frame->slab, s->frame->slab_room);
    hone__aligned_idle(s->scratch, s->scratch_bytes);
    for (const hone__value *v = s->model->graph->values; v; v = v->next)
        if (v->constant) hone__tensor_idle(v->constant);
}

hone_status hone__session_scratch(hone__session *s, size_t bytes)
{
    if (bytes <= s->scratch_bytes) return HONE_OK;
    HONE__TRY(hone__session_take(s, s->scratch_bytes, bytes, "scratch"));
    hone__aligned_free(s->scratch);
    s->scratch_bytes = bytes;
    s->scratch = hone__aligned_malloc(bytes);
    if (s->scratch) return HONE_OK;
    s->scratch_bytes = 0;
    s->memory -= bytes;
    return hone__out_of_memory(bytes);
}

int hone__session_threads(const hone__session *s) { return s->threads; }

static hone_status build(hone__session *s, const hone__model *model)
{
    HONE__TRY(hone__cpu_check());
    HONE__TRY(hone__thread_count(s->options.threads, &s->threads));
    HONE__TRY(hone__model_clone(model, &s->model));
    HONE__TRY(hone__graph_infer(s->model->graph));
    if (!s->options.plain) HONE__TRY(hone__passes_machine(s->model));
    HONE__TRY(hone__pool_create(s->threads, &s->pool));
    hone__pool_stop_on(s->pool, s->options.cancel);
    return hone__frame_create(s, s->model->graph, NULL, &s->frame);
}

hone_status hone__session_create(const hone__model *model, const hone__session_options *options, hone__session **out)
{
    *out = NULL;
    hone__session *s = hone__calloc(1, sizeof *s);
    if (!s) return hone__out_of_memory(sizeof *s);
    if (options) s->options = *options;
    s->born = now();
    hone_status status = build(s, model);
    if (status != HONE_OK) {
        hone__session_destroy(s);
        return status;
    }
    *out = s;
    return HONE_OK;
}

void hone__session_destroy(hone__session *s)
{
    if (!s) return;
    hone__frame_destroy(s->frame);
    hone__arena_free(&s->text);
    hone__pool_destroy(s->pool);
    hone__aligned_free(s->scratch);
    hone__model_destroy(s->model);
    hone__free(s);
}

hone_status hone__session_run(hone__session *s, const hone__tensor *const *inputs, size_t input_count,
                              const hone__tensor **outputs, size_t output_count)
{
    if (s->text.total) { /* the last run's strings */
        s->memory -= s->text.total;
        hone__arena_rewind(&s->text);
        s->memory += s->text.total;
    }
    hone__pool_enter(s->pool);
    hone_status status = hone__frame_run(s->frame, inputs, input_count, outputs, output_count);
    hone__pool_leave(s->pool);
    return status;
}

hone__graph *hone__session_graph(hone__session *s) { return s->model->graph; }

static bool frame_time(const hone__frame *f, size_t *index, hone__step_time *out)
{
    if (!f->times) return false;
    if (*index < (size_t)f->step_count) {
        *out = f->times[*index];
        return true;
    }
    *index -= (size_t)f->step_count;
    for (const hone__frame *c = f->children; c; c = c->next_child)
        if (frame_time(c, index, out)) return true;
    return false;
}

bool hone__session_time(const hone__session *s, size_t index, hone__step_time *out)
{
    return frame_time(s->frame, &index, out);
}

size_t hone__session_memory(const hone__session *s) { return s->memory; }
