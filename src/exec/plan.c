/* plan.c: concrete shapes for one set of input shapes, values known in advance, and one slab for all activations:
 * biggest first, each at the lowest place that is free during its whole life (greedy by size, Pisarchyk and Lee 2020).
 */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "frame.h"

enum { KNOWN_MAX = 1 << 14, ALIGN = 64, FEW = 16, REUSE_MAX = 20000 };

static void clear_plan(hone__frame *f)
{
    for (int i = 0; i < f->slot_count; i++) {
        hone__slot *s = &f->slots[i];
        hone__slot_release(s);
        if (s->kind == HONE__SLOT_KNOWN || s->kind == HONE__SLOT_DYNAMIC) s->kind = HONE__SLOT_PLANNED;
        if (s->kind != HONE__SLOT_CONST && s->t.kind == HONE_KIND_TENSOR) s->t.data = NULL; /* of some run */
        s->root = i;
        s->first = s->last = -1;
    }
    for (int i = 0; i < f->step_count; i++) {
        f->steps[i].skip = f->steps[i].dynamic = false;
        f->steps[i].state = NULL;
    }
    hone__arena_free(&f->plan_arena);
    f->planned = false;
}

static bool value_known(const hone__slot *s) { return s->kind == HONE__SLOT_CONST || s->kind == HONE__SLOT_KNOWN; }
static bool shape_known(const hone__slot *s) { return s->kind != HONE__SLOT_DYNAMIC; }

/* Fills the inference context of a step from its slots; values only where `values` says so. */
typedef struct view {
    hone__infer x;
    hone__type few[2 * FEW];
    const hone__tensor *few_value[FEW];
    void *more;
} view;

static hone_status view_make(hone__frame *f, const hone__step *st, bool running, view *v)
{
    size_t ins = (size_t)st->node->input_count, outs = (size_t)st->node->output_count;
    hone__type *types = v->few;
    const hone__tensor **values = v->few_value;
    v->more = NULL;
    if (ins > FEW || outs > FEW) {
        v->more = hone__calloc(ins + outs, sizeof *types + sizeof *values);
        if (!v->more) return hone__out_of_memory(ins + outs);
        types = v->more;
        values = (const hone__tensor **)(types + ins + outs);
    }
    for (size_t i = 0; i < ins; i++) {
        types[i] = (hone__type){.shape.rank = -1};
        values[i] = NULL;
        if (st->in[i] < 0) continue;
        const hone__slot *s = &f->slots[st->in[i]];
        types[i].dtype = s->t.dtype ? s->t.dtype : s->value->dtype;
        types[i].wrap = s->value->wrap;
        if (s->t.kind != HONE_KIND_TENSOR) { /* its elements' type and shape are those that the graph declares */
            types[i].wrap |= s->t.kind == HONE_KIND_SEQUENCE ? HONE__OF_SEQUENCE : HONE__OF_OPTIONAL;
            types[i].shape = s->value->shape;
            if (running) values[i] = &s->t;
            continue;
        }
        if (!running && !shape_known(s)) continue;
        types[i].shape.rank = s->t.rank;
        memcpy(types[i].shape.dims, s->t.dims, sizeof s->t.dims);
        if (running || value_known(s)) values[i] = &s->t;
    }
    size_t limit = f->session->options.max_memory ? f->session->options.max_memory : HONE__ELEMENT_LIMIT;
    v->x = (hone__infer){st->node, (int)ins, (int)outs, types, values, types + (v->more ? ins : FEW), limit};
    return HONE_OK;
}

static bool concrete(const hone__type *t)
{
    if (t->shape.rank < 0 || !t->dtype || t->wrap) return false;
    for (int i = 0; i < t->shape.rank; i++)
        if (t->shape.dims[i] < 0) return false;
    return true;
}

static hone_status describe(const hone__type *type, hone__tensor *t)
{
    t->dtype = type->dtype;
    t->rank = type->shape.rank;
    memcpy(t->dims, type->shape.dims, sizeof t->dims);
    return hone__shape_bytes(t->dtype, t->rank, t->dims, &t->count, &t->bytes);
}

static hone_status prepare(hone__frame *f, hone__step *st, hone__arena *arena)
{
    if (!st->op->prepare) return HONE_OK;
    hone__prepare p = {.node = st->node,
                       .input_count = st->node->input_count,
                       .output_count = st->node->output_count,
                       .in = st->in_t,
                       .out = (const hone__tensor *const *)st->out_t,
                       .threads = f->session->threads,
                       .arena = arena};
    hone_status s = st->op->prepare(&p);
    if (s == HONE_OK) s = hone__session_scratch(f->session, p.scratch);
    st->state = p.state;
    return hone__node_at(s, st->node);
}

/* A step on known values gives known values: shapes computed from shapes cost nothing at run time. */
static hone_status try_known(hone__frame *f, hone__step *st, const hone__type *types)
{
    hone__node *n = st->node;
    if (st->op->flags & HONE__OP_SESSION || n->output_count > FEW || n->input_count > 4 * FEW) return HONE_OK;
    for (int i = 0; i < n->input_count; i++) {
        bool shape_only = hone__node_is(n, "Shape") || hone__node_is(n, "Size");
        if (st->in[i] >= 0 && !value_known(&f->slots[st->in[i]]) && !shape_only) return HONE_OK;
    }
    for (int i = 0; i < n->output_count; i++) {
        size_t count, bytes;
        if (st->out[i] < 0) continue;
        HONE__TRY(hone__shape_bytes(types[i].dtype, types[i].shape.rank, types[i].shape.dims, &count, &bytes));
        if (bytes > KNOWN_MAX) return HONE_OK;
    }
    hone__tensor out[FEW];
    hone_status s = hone__node_eval(n, st->op, st->in_t, out, KNOWN_MAX);
    if (s == HONE_E_LIMIT) return HONE_OK; /* strings: left to the run */
    HONE__TRY(hone__node_at(s, n));
    for (int i = 0; i < n->output_count; i++) {
        if (st->out[i] < 0) continue;
        f->slots[st->out[i]].t = out[i];
        f->slots[st->out[i]].kind = HONE__SLOT_KNOWN;
    }
    st->skip = true;
    return HONE_OK;
}

static hone_status plan_step(hone__frame *f, hone__step *st)
{
    view v;
    HONE__TRY(view_make(f, st, false, &v));
    hone_status s = hone__node_infer(st->op, &v.x);
    bool known = true;
    for (int i = 0; s == HONE_OK && i < st->node->output_count; i++) {
        if (st->out[i] < 0) continue;
        hone__tensor *t = &f->slots[st->out[i]].t;
        *t = (hone__tensor){.dtype = v.x.out[i].dtype,
                            .kind = v.x.out[i].wrap & HONE__OF_SEQUENCE ? HONE_KIND_SEQUENCE : HONE_KIND_TENSOR};
        if (!concrete(&v.x.out[i]))
            known = false;
        else
            s = describe(&v.x.out[i], t);
    }
    if (st->op->flags & (HONE__OP_SUBGRAPH | HONE__OP_LATE)) known = false;
    for (int i = 0; i < st->node->input_count; i++)
        if (st->in[i] >= 0 && !shape_known(&f->slots[st->in[i]])) known = false;
    if (s == HONE_OK && known) s = try_known(f, st, v.x.out);
    hone__free(v.more);
    if (s != HONE_OK || st->skip) return s;
    if (known) return prepare(f, st, &f->plan_arena);
    st->dynamic = true;
    for (int i = 0; i < st->node->output_count; i++)
        if (st->out[i] >= 0) f->slots[st->out[i]].kind = HONE__SLOT_DYNAMIC;
    return HONE_OK;
}

static int root_of(const hone__frame *f, int slot)
{
    while (f->slots[slot].root != slot) slot = f->slots[slot].root;
    return slot;
}

static void touch(hone__frame *f, int slot, int step)
{
    hone__slot *s = &f->slots[root_of(f, slot)];
    if (s->first < 0) s->first = step;
    if (s->last < step) s->last = step;
}

/* Values that subgraphs of a step read count as read by the step. */
static void touch_captures(hone__frame *f, const hone__step *st, int step)
{
    for (hone__frame *c = f->children; c; c = c->next_child) {
        if (c->graph->owner != st->node) continue;
        for (int i = 0; i < c->capture_count; i++) touch(f, c->captures[2 * i + 1], step);
    }
}

/* Whether another input lies in the same bytes: an operator that is not element-wise in it would read what it wrote. */
static bool read_elsewhere(const hone__frame *f, const hone__step *st, int k, int root)
{
    if (st->op->flags & HONE__OP_INPLACE1) return false;
    for (int i = 0; i < st->node->input_count; i++)
        if (i != k && st->in[i] >= 0 && root_of(f, st->in[i]) == root) return true;
    return false;
}

static void alias_outputs(hone__frame *f)
{
    for (int i = 0; i < f->step_count; i++) {
        hone__step *st = &f->steps[i];
        if (st->skip || st->dynamic || !(st->op->flags & HONE__OP_ALIAS)) continue;
        f->slots[st->out[0]].root = root_of(f, st->in[0]);
    }
}

/* An element-wise step may write over an input that nobody reads afterwards. Lives are known by now. */
static void share_in_place(hone__frame *f, int step)
{
    hone__step *st = &f->steps[step];
    if (st->skip || st->dynamic || st->node->output_count < 1 || st->out[0] < 0) return;
    hone__slot *out = &f->slots[st->out[0]];
    for (int k = 0; k < 2 && k < st->node->input_count; k++) {
        if (!(st->op->flags & (k ? HONE__OP_INPLACE1 : HONE__OP_INPLACE)) || st->in[k] < 0) continue;
        int root = root_of(f, st->in[k]);
        hone__slot *in = &f->slots[root];
        if (in->kind != HONE__SLOT_PLANNED || in->last != step || in->t.bytes != out->t.bytes ||
            out->root != st->out[0])
            continue;
        if (read_elsewhere(f, st, k, root)) continue;
        out->root = root;
        if (out->last > in->last) in->last = out->last;
        return;
    }
}

static void find_lives(hone__frame *f)
{
    alias_outputs(f);
    for (int i = 0; i < f->step_count; i++) {
        hone__step *st = &f->steps[i];
        for (int k = 0; k < st->node->output_count; k++)
            if (st->out[k] >= 0) touch(f, st->out[k], i);
        for (int k = 0; k < st->node->input_count; k++)
            if (st->in[k] >= 0) touch(f, st->in[k], i);
        touch_captures(f, st, i);
    }
    for (size_t i = 0; i < f->graph->output_count; i++) touch(f, f->outputs[i], f->step_count);
    for (int i = 0; i < f->step_count; i++) share_in_place(f, i);
}

static int by_size(const void *a, const void *b)
{
    const hone__slot *x = *(hone__slot *const *)a, *y = *(hone__slot *const *)b;
    if (x->t.bytes != y->t.bytes) return x->t.bytes < y->t.bytes ? 1 : -1;
    return x->first != y->first ? x->first - y->first : (x > y) - (x < y);
}

/* Places `s` at the lowest gap among those already placed (kept sorted by offset) whose lives meet its own. */
static hone_status place(hone__slot **placed, size_t *count, hone__slot *s, bool reuse)
{
    size_t at = 0, need, i = 0;
    if (!hone__add_size(s->t.bytes, ALIGN, &need)) return hone__fail(HONE_E_LIMIT, "activations are over 2^60 bytes");
    for (; i < *count; i++) {
        const hone__slot *p = placed[i];
        if (reuse && (p->last < s->first || s->last < p->first)) continue;
        if (p->offset >= at && p->offset - at >= need) break;
        size_t end = (p->offset + p->t.bytes + ALIGN - 1) / ALIGN * ALIGN;
        if (end > at) at = end;
        if (at > (size_t)1 << 60) return hone__fail(HONE_E_LIMIT, "activations are over 2^60 bytes");
    }
    s->offset = at;
    for (i = *count; i > 0 && placed[i - 1]->offset > at; i--) placed[i] = placed[i - 1];
    placed[i] = s;
    ++*count;
    return HONE_OK;
}

static hone_status lay_out(hone__frame *f)
{
    size_t count = 0, placed = 0, end = 0;
    hone__slot **list = hone__calloc(2 * (size_t)f->slot_count + 1, sizeof *list);
    if (!list) return hone__out_of_memory((size_t)f->slot_count);
    for (int i = 0; i < f->slot_count; i++) {
        hone__slot *s = &f->slots[i];
        if (s->kind == HONE__SLOT_PLANNED && s->root == i && s->first >= 0 && s->t.bytes) list[count++] = s;
    }
    qsort(list, count, sizeof *list, by_size);
    hone__slot **done = list + f->slot_count;
    hone_status st = HONE_OK;
    for (size_t i = 0; i < count && st == HONE_OK; i++) {
        st = place(done, &placed, list[i], count <= REUSE_MAX);
        if (list[i]->offset + list[i]->t.bytes > end) end = list[i]->offset + list[i]->t.bytes;
    }
    hone__free(list);
    HONE__TRY(st);
    if (!end) end = ALIGN; /* values of no elements lie somewhere, too */
    if (end > f->slab_room) {
        HONE__TRY(hone__session_take(f->session, f->slab_room, end, "the activations"));
        hone__aligned_free(f->slab);
        f->slab_room = end;
        if (!(f->slab = hone__aligned_malloc(end))) {
            f->slab_room = 0;
            f->session->memory -= end;
            return hone__out_of_memory(end);
        }
    }
    f->slab_bytes = end;
    return HONE_OK;
}

hone_status hone__frame_plan(hone__frame *f)
{
    clear_plan(f);
    for (int i = 0; i < f->step_count; i++) HONE__TRY(plan_step(f, &f->steps[i]));
    find_lives(f);
    HONE__TRY(lay_out(f));
    for (int i = 0; i < f->slot_count; i++) {
        hone__slot *s = &f->slots[i];
        const hone__slot *root = &f->slots[root_of(f, i)];
        if (s->kind == HONE__SLOT_PLANNED && root->kind == HONE__SLOT_PLANNED)
            s->t.data = f->slab + root->offset;
        else if (s->kind == HONE__SLOT_PLANNED)
            s->t.data = root->t.data; /* an alias: set again at each run */
    }
    f->planned = true;
    return HONE_OK;
}

hone_status hone__slot_grow(hone__frame *f, hone__slot *s)
{
    if (s->t.bytes > s->own_bytes || !s->own) {
        size_t want = s->t.bytes + s->t.bytes / 4 + 64;
        hone_status st = hone__session_take(f->session, s->own_bytes, want, s->value->name);
        if (st != HONE_OK) { /* without spare room, then */
            want = s->t.bytes ? s->t.bytes : 1;
            HONE__TRY(hone__session_take(f->session, s->own_bytes, want, s->value->name));
        }
        hone__free(s->own);
        s->own_bytes = want;
        if (!(s->own = hone__malloc(want))) {
            s->own_bytes = 0;
            f->session->memory -= want;
            return hone__out_of_memory(want);
        }
    }
    s->t.data = s->own;
    return HONE_OK;
}

hone_status hone__frame_step_dynamic(hone__frame *f, hone__step *st)
{
    view v;
    HONE__TRY(view_make(f, st, true, &v));
    hone_status s = hone__node_infer(st->op, &v.x);
    for (int i = 0; s == HONE_OK && i < st->node->output_count; i++) {
        if (st->out[i] < 0) continue;
        hone__slot *slot = &f->slots[st->out[i]];
        if (!concrete(&v.x.out[i])) {
            if (!(st->op->flags & (HONE__OP_SUBGRAPH | HONE__OP_LATE)) && !v.x.out[i].wrap)
                s = hone__node_at(hone__fail(HONE_E_UNSUPPORTED, "the shape of output %d cannot be known", i),
                                  st->node);
            continue;
        }
        hone__slot_release(slot);
        s = describe(&v.x.out[i], &slot->t);
        if (s == HONE_OK) s = hone__slot_grow(f, slot);
    }
    hone__free(v.more);
    return s == HONE_OK ? prepare(f, st, &f->run_arena) : s;
}
