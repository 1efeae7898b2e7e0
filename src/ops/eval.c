/* eval.c: shape inference over a graph; evaluation of single nodes. */
#include "eval.h"

#include <string.h>

#include "body.h"

hone_status hone__node_at(hone_status status, const hone__node *n)
{
    if (status == HONE_OK) return status;
    return hone__at(status, "node '%.200s' (%s)", n->name, n->op);
}

/* Operators know numbers in tensors; those that know more say so. */
static hone_status check_kind(const hone__op *op, const hone__type *t, const char *what, int i)
{
    if (t->wrap && !(op->flags & (HONE__OP_VALUES | HONE__OP_SUBGRAPH)))
        return hone__fail(HONE_E_SHAPE, "%s %d is %s, expected a tensor", what, i,
                          t->wrap & HONE__OF_OPTIONAL ? "an optional" : "a sequence");
    if (t->dtype == HONE_STRING && !(op->flags & (HONE__OP_STRINGS | HONE__OP_VALUES | HONE__OP_SUBGRAPH)))
        return hone__fail(HONE_E_UNSUPPORTED, "%s %d has strings, expected numbers", what, i);
    return HONE_OK;
}

hone_status hone__node_infer(const hone__op *op, hone__infer *x)
{
    for (int i = 0; i < x->output_count; i++) x->out[i] = (hone__type){.shape.rank = -1};
    hone_status s = HONE_OK;
    for (int i = 0; s == HONE_OK && i < x->input_count; i++)
        if (x->node->inputs[i]) s = check_kind(op, &x->in[i], "input", i);
    if (s == HONE_OK) s = op->infer(x);
    for (int i = 0; s == HONE_OK && i < x->output_count; i++) s = check_kind(op, &x->out[i], "output", i);
    if (s != HONE_OK) return hone__node_at(s, x->node);
    for (int i = 0; i < x->output_count; i++) {
        const hone__shape *shape = &x->out[i].shape;
        size_t n = 1;
        if (i && x->out[0].dtype && !x->out[i].dtype && x->node->outputs[i] && !(op->flags & HONE__OP_SUBGRAPH))
            return hone__node_at(hone__fail(HONE_E_SHAPE, "has no output %d", i), x->node);
        if (shape->rank > HONE_MAX_RANK)
            return hone__node_at(hone__fail(HONE_E_UNSUPPORTED, "output %d has rank %d, over the limit of %d", i,
                                            shape->rank, HONE_MAX_RANK),
                                 x->node);
        for (int k = 0; k < shape->rank; k++) {
            if (shape->dims[k] <= 0) {
                if (!shape->dims[k]) n = 0;
                continue;
            }
            if (__builtin_mul_overflow(n, (size_t)shape->dims[k], &n) || n > x->limit) {
                char text[160];
                hone__shape_text(shape->rank, shape->dims, text, sizeof text);
                return hone__node_at(hone__fail(HONE_E_LIMIT, "output %d of shape %s is over the limit of %zu elements",
                                                i, text, x->limit),
                                     x->node);
            }
        }
    }
    return HONE_OK;
}

enum { FEW = 16 };

/* Space for one node's types and values: on the stack for usual nodes. */
typedef struct space {
    hone__type few_in[FEW], few_out[FEW], *in, *out;
    const hone__tensor *few_value[FEW], **value;
    void *more;
} space;

static hone_status space_get(space *s, const hone__node *n)
{
    s->in = s->few_in;
    s->out = s->few_out;
    s->value = s->few_value;
    s->more = NULL;
    if (n->input_count <= FEW && n->output_count <= FEW) return HONE_OK;
    size_t count = (size_t)n->input_count + (size_t)n->output_count;
    size_t each = sizeof(hone__type) + sizeof(hone__tensor *);
    char *p = hone__calloc(count, each);
    if (!p) return hone__out_of_memory(count * each);
    s->more = p;
    s->in = (hone__type *)p;
    s->out = s->in + n->input_count;
    s->value = (const hone__tensor **)(s->in + count);
    return HONE_OK;
}

static hone_status infer_node(hone__node *n)
{
    if (!n->kind) n->kind = hone__op_find(n->domain, n->op);
    if (!n->kind) return hone__node_at(hone__op_unknown(n), n);
    space sp;
    HONE__TRY(space_get(&sp, n));
    for (int i = 0; i < n->input_count; i++) {
        const hone__value *v = n->inputs[i];
        sp.in[i] = v ? (hone__type){v->dtype, v->shape, v->wrap} : (hone__type){.shape.rank = -1};
        sp.value[i] = v ? v->constant : NULL;
    }
    for (int i = 0; i < n->attr_count; i++)
        if (n->attrs[i].kind == HONE__ATTR_GRAPH) {
            hone_status s = hone__body_infer(n, sp.in, n->attrs[i].g);
            if (s != HONE_OK) {
                hone__free(sp.more);
                return hone__node_at(s, n);
            }
        }
    hone__infer x = {n, n->input_count, n->output_count, sp.in, sp.value, sp.out, HONE__ELEMENT_LIMIT};
    hone_status s = hone__node_infer(n->kind, &x);
    for (int i = 0; s == HONE_OK && i < n->output_count; i++) {
        hone__value *v = n->outputs[i];
        if (!v) continue;
        if (sp.out[i].dtype) v->dtype = sp.out[i].dtype;
        if (sp.out[i].shape.rank >= 0) v->shape = sp.out[i].shape;
        if (sp.out[i].dtype) v->wrap = sp.out[i].wrap;
    }
    hone__free(sp.more);
    return s;
}

static void unsettle(hone__graph *g)
{
    g->settled = false;
    for (hone__node *n = g->first; n; n = n->next)
        for (int i = 0; i < n->attr_count; i++)
            if (n->attrs[i].kind == HONE__ATTR_GRAPH) unsettle(n->attrs[i].g);
}

hone_status hone__graph_infer(hone__graph *g)
{
    if (!g->owner) unsettle(g);
    for (hone__node *n = g->first; n; n = n->next) HONE__TRY(infer_node(n));
    return HONE_OK;
}

enum { TEXT_MAX = 1 << 24 };

static hone_status eval_text(hone__run *r, size_t size, char **out)
{
    hone__arena *arena = r->exec;
    *out = NULL;
    if (size > TEXT_MAX || arena->total > TEXT_MAX)
        return hone__fail(HONE_E_LIMIT, "strings of more than %d bytes", TEXT_MAX);
    *out = hone__arena_alloc(arena, size + 1);
    return *out ? HONE_OK : hone__out_of_memory(size);
}

/* What points at the texts of inputs or of the arena gets its own. */
static hone_status own_strings(hone__tensor *t)
{
    hone__tensor copy;
    HONE__TRY(hone__tensor_strings(t->rank, t->dims, t->data, &copy));
    hone__tensor_release(t);
    *t = copy;
    return HONE_OK;
}

static hone_status eval_allocated(const hone__node *n, const hone__op *op, const hone__tensor *const *in,
                                  hone__tensor *out)
{
    hone__tensor *few[FEW];
    if (n->output_count > FEW) return hone__fail(HONE_E_UNSUPPORTED, "more than %d outputs", FEW);
    for (int i = 0; i < n->output_count; i++) few[i] = n->outputs[i] ? &out[i] : NULL;
    hone__arena arena = {0};
    hone__prepare p = {.node = n,
                       .input_count = n->input_count,
                       .output_count = n->output_count,
                       .in = in,
                       .out = (const hone__tensor *const *)few,
                       .threads = 1,
                       .arena = &arena};
    hone_status s = op->prepare ? op->prepare(&p) : HONE_OK;
    void *scratch = NULL;
    if (s == HONE_OK && p.scratch && !(scratch = hone__aligned_malloc(p.scratch))) s = hone__out_of_memory(p.scratch);
    hone__run r = {.node = n,
                   .input_count = n->input_count,
                   .output_count = n->output_count,
                   .in = in,
                   .out = few,
                   .state = p.state,
                   .scratch = scratch,
                   .text = eval_text,
                   .exec = &arena};
    if (s == HONE_OK) s = op->flags & HONE__OP_ALIAS ? HONE_OK : op->run(&r);
    if (s == HONE_OK && op->flags & HONE__OP_ALIAS && out[0].bytes)
        memcpy(hone__tensor_write(&out[0]), in[0]->data, out[0].bytes);
    for (int i = 0; s == HONE_OK && i < n->output_count; i++)
        if (out[i].dtype == HONE_STRING) s = own_strings(&out[i]);
    hone__aligned_free(scratch);
    hone__arena_free(&arena);
    return s;
}

hone_status hone__node_eval(const hone__node *n, const hone__op *op, const hone__tensor *const *in, hone__tensor *out,
                            size_t limit)
{
    space sp;
    if (op->flags & HONE__OP_SESSION) return hone__fail(HONE_E_INTERNAL, "only a session runs this operator");
    HONE__TRY(space_get(&sp, n));
    for (int i = 0; i < n->output_count; i++) out[i] = (hone__tensor){0};
    for (int i = 0; i < n->input_count; i++) {
        sp.in[i] = (hone__type){.shape.rank = -1};
        sp.value[i] = in[i];
        if (!in[i]) continue;
        sp.in[i].dtype = in[i]->dtype;
        sp.in[i].shape.rank = in[i]->rank;
        memcpy(sp.in[i].shape.dims, in[i]->dims, sizeof in[i]->dims);
    }
    hone__infer x = {n, n->input_count, n->output_count, sp.in, sp.value, sp.out, limit};
    hone_status s = hone__node_infer(op, &x);
    for (int i = 0; s == HONE_OK && i < n->output_count; i++) {
        if (!n->outputs[i]) continue;
        if (sp.out[i].shape.rank < 0)
            s = hone__fail(HONE_E_UNSUPPORTED, "the shape of output %d is not known", i);
        else
            s = hone__tensor_new(sp.out[i].dtype, sp.out[i].shape.rank, sp.out[i].shape.dims, &out[i]);
    }
    if (s == HONE_OK) s = eval_allocated(n, op, in, out);
    if (s != HONE_OK)
        for (int i = 0; i < n->output_count; i++) hone__tensor_release(&out[i]);
    hone__free(sp.more);
    return s;
}
