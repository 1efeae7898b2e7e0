/* subgraph.c: memory between the runs of a body. */
#include "subgraph.h"

#include <string.h>

#include "tensor/list.h"

hone__keep *hone__keep_new(size_t count) { return hone__calloc(count + 1, sizeof(hone__keep)); }

/* The reference to a sequence, where it holds one. */
static void drop(hone__keep *k)
{
    if (k->t.kind == HONE_KIND_SEQUENCE) hone__tensor_release(&k->t);
    k->t.kind = HONE_KIND_TENSOR;
}

void hone__keep_free(hone__keep *k, size_t count)
{
    for (size_t i = 0; k && i < count; i++) {
        drop(&k[i]);
        hone__free(k[i].own);
    }
    hone__free(k);
}

static hone_status make_room(hone__keep *k, size_t bytes)
{
    if (!k->own || bytes > k->room) {
        size_t want = bytes + bytes / 2 + 64;
        void *data = hone__realloc(k->own, want);
        if (!data) return hone__out_of_memory(want);
        k->own = data;
        k->room = want;
    }
    k->t.data = k->own;
    return HONE_OK;
}

hone_status hone__keep_copy(hone__keep *k, const hone__tensor *from)
{
    if (from->kind == HONE_KIND_SEQUENCE) hone__list_ref((hone__list *)(uintptr_t)from->data);
    drop(k);
    k->t = *from;
    k->t.blob = NULL;
    if (from->kind != HONE_KIND_TENSOR) return HONE_OK;
    HONE__TRY(make_room(k, from->bytes));
    if (from->bytes) memcpy(k->own, from->data, from->bytes);
    return HONE_OK;
}

hone_status hone__keep_row(hone__keep *k, const hone__tensor *row)
{
    if (row->kind != HONE_KIND_TENSOR) return hone__fail(HONE_E_SHAPE, "a collected output is not a tensor");
    if (!k->rows) {
        k->t = *row;
        k->t.blob = NULL;
    } else if (k->t.dtype != row->dtype || k->t.rank != row->rank ||
               memcmp(k->t.dims, row->dims, (size_t)row->rank * sizeof *row->dims))
        return hone__fail(HONE_E_SHAPE, "a collected output changes its type or shape at iteration %lld",
                          (long long)k->rows);
    if (row->count * (size_t)hone__dtype_bits(row->dtype) % 8)
        return hone__fail(HONE_E_UNSUPPORTED, "collecting rows of type %s that end inside a byte",
                          hone_dtype_name(row->dtype));
    size_t used = (size_t)k->rows * row->bytes, total;
    if (!hone__add_size(used, row->bytes, &total))
        return hone__fail(HONE_E_LIMIT, "collected rows are over 2^64 bytes");
    HONE__TRY(make_room(k, total));
    if (row->bytes) memcpy((char *)k->own + used, row->data, row->bytes);
    k->rows++;
    return HONE_OK;
}

hone__graph *hone__node_graph(const hone__node *n, const char *name)
{
    const hone__attr *a = hone__node_attr(n, name);
    return a && a->kind == HONE__ATTR_GRAPH ? a->g : NULL;
}

hone_status hone__state_infer(hone__infer *x, int out, int in, const hone__value *before, const hone__value *after)
{
    hone_dtype first = x->in[in].dtype, next = after->dtype;
    if (first && next && first != next && !x->in[in].wrap && !after->wrap)
        return hone__fail(HONE_E_SHAPE, "input %d is %s, and the body makes %s of it", in, hone_dtype_name(first),
                          hone_dtype_name(next));
    x->out[out].dtype = first ? first : next;
    if (!before->wrap) x->out[out].shape = before->shape; /* true of it in every run of the body: ops/body.h */
    return HONE_OK;
}

void hone__type_merge(hone__type *a, const hone__type *b)
{
    if (a->dtype != b->dtype) a->dtype = HONE_UNDEFINED;
    a->wrap |= b->wrap;
    if (a->shape.rank != b->shape.rank) a->shape.rank = -1;
    for (int i = 0; i < a->shape.rank; i++)
        if (a->shape.dims[i] != b->shape.dims[i]) a->shape.dims[i] = -1;
}
