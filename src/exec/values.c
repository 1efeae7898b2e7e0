/* values.c: outputs that operators make while they run: tensors of shapes found late, sequences, empty optionals, and
 * the bytes of strings. A dynamic slot owns a reference to the list of its sequence. */
#include <string.h>

#include "base/checked.h"
#include "frame.h"
#include "tensor/list.h"

void hone__slot_release(hone__slot *s)
{
    bool list = s->kind == HONE__SLOT_DYNAMIC && s->t.kind == HONE_KIND_SEQUENCE;
    if (s->kind == HONE__SLOT_KNOWN || list) hone__tensor_release(&s->t);
    if (s->kind == HONE__SLOT_DYNAMIC) s->t.kind = HONE_KIND_TENSOR;
}

/* An output's slot, empty; NULL where nobody wants it. */
static hone__slot *empty_slot(hone__run *r, int index)
{
    hone__slot *slot = (hone__slot *)r->out[index]; /* t is its first member */
    if (slot) hone__slot_release(slot);
    return slot;
}

hone_status hone__run_output(hone__run *r, int index, hone_dtype dtype, int rank, const int64_t *dims)
{
    hone__slot *slot = empty_slot(r, index);
    if (!slot) return HONE_OK;
    hone__tensor *t = &slot->t;
    t->dtype = dtype;
    t->rank = rank;
    if (rank) memcpy(t->dims, dims, (size_t)rank * sizeof *dims);
    HONE__TRY(hone__shape_bytes(dtype, rank, t->dims, &t->count, &t->bytes));
    return hone__slot_grow(r->exec, slot);
}

hone_status hone__run_output_none(hone__run *r, int index, hone_dtype dtype)
{
    hone__slot *slot = empty_slot(r, index);
    if (slot) slot->t = (hone__tensor){.kind = HONE_KIND_NONE, .dtype = dtype};
    return HONE_OK;
}

hone_status hone__run_output_sequence(hone__run *r, int index, hone_dtype dtype)
{
    hone__frame *f = r->exec;
    hone__slot *slot = empty_slot(r, index);
    hone__list *list;
    if (!slot) return HONE_OK;
    HONE__TRY(hone__list_new(&f->session->memory, &list));
    slot->t = hone__list_value(list, dtype);
    return HONE_OK;
}

/* A counted copy of a tensor, or zeroed bytes for one without data; bytes that are counted already are shared. */
static hone_status make_item(hone__session *s, const hone__tensor *from, hone__tensor *out)
{
    *out = *from;
    if (from->kind != HONE_KIND_TENSOR) return hone__fail(HONE_E_SHAPE, "a sequence inside a sequence");
    if (from->blob && !from->blob->borrowed) {
        hone__blob_ref(out->blob);
        return HONE_OK;
    }
    size_t cost = hone__blob_cost(from->bytes);
    HONE__TRY(hone__session_take(s, 0, cost, "an element of a sequence"));
    hone_status st = hone__blob_new(from->bytes, &out->blob);
    if (st != HONE_OK) {
        s->memory -= cost;
        return st;
    }
    out->blob->account = &s->memory;
    out->data = out->blob->data;
    if (from->bytes && from->data) memcpy(out->blob->data, from->data, from->bytes);
    return HONE_OK;
}

static hone_status push_copy(hone__session *s, hone__list *list, const hone__tensor *item)
{
    size_t growth = hone__list_growth(list);
    if (growth) { /* the list itself counts it when it grows */
        HONE__TRY(hone__session_take(s, 0, growth, "a sequence"));
        s->memory -= growth;
    }
    hone__tensor copy;
    HONE__TRY(make_item(s, item, &copy));
    return hone__list_push(list, &copy);
}

hone_status hone__run_append(hone__run *r, int index, const hone__tensor *item)
{
    hone__frame *f = r->exec;
    hone__tensor *t = r->out[index];
    if (!t) return HONE_OK;
    hone__list *list = (hone__list *)(uintptr_t)t->data;
    if (list->used != t->count) { /* somebody else went on from here: from now on the two differ */
        hone__tensor old = *t;
        hone_status s = HONE_OK;
        HONE__TRY(hone__list_new(&f->session->memory, &list));
        t->data = list;
        for (size_t i = 0; s == HONE_OK && i < old.count; i++)
            s = push_copy(f->session, list, &hone__list_items(&old)[i]);
        hone__tensor_release(&old);
        t->count = list->used;
        HONE__TRY(s);
    }
    HONE__TRY(push_copy(f->session, list, item));
    t->count = list->used;
    return HONE_OK;
}

hone_status hone__run_append_new(hone__run *r, int index, hone_dtype dtype, int rank, const int64_t *dims, void **data)
{
    hone__tensor t = {.dtype = dtype, .rank = rank};
    *data = NULL;
    if (!r->out[index]) return HONE_OK;
    if (rank) memcpy(t.dims, dims, (size_t)rank * sizeof *dims);
    HONE__TRY(hone__shape_bytes(dtype, rank, t.dims, &t.count, &t.bytes));
    HONE__TRY(hone__run_append(r, index, &t));
    const hone__tensor *y = r->out[index];
    *data = (void *)(uintptr_t)hone__list_items(y)[y->count - 1].data;
    return HONE_OK;
}

static hone_status copy_sequence(hone__run *r, int index, const hone__tensor *from)
{
    const hone__list *list = hone__list_of(from);
    if (!list->borrowed) {
        hone__list_ref((hone__list *)(uintptr_t)list);
        hone__slot *slot = empty_slot(r, index);
        slot->t = *from;
        return HONE_OK;
    }
    HONE__TRY(hone__run_output_sequence(r, index, from->dtype));
    for (size_t i = 0; i < from->count; i++) HONE__TRY(hone__run_append(r, index, &hone__list_items(from)[i]));
    return HONE_OK;
}

hone_status hone__run_output_copy(hone__run *r, int index, const hone__tensor *from)
{
    if (!r->out[index]) return HONE_OK;
    if (from->kind == HONE_KIND_SEQUENCE) return copy_sequence(r, index, from);
    if (from->kind == HONE_KIND_NONE) return hone__run_output_none(r, index, from->dtype);
    HONE__TRY(hone__run_output(r, index, from->dtype, from->rank, from->dims));
    if (from->bytes) memcpy((void *)(uintptr_t)r->out[index]->data, from->data, from->bytes);
    return HONE_OK;
}

hone_status hone__session_text(hone__run *r, size_t size, char **out)
{
    hone__session *s = ((hone__frame *)r->exec)->session;
    size_t before = s->text.total;
    *out = NULL;
    if (s->options.max_memory && size > s->options.max_memory) return hone__session_take(s, 0, size, "strings");
    if (!(*out = hone__arena_alloc(&s->text, size + 1))) return hone__out_of_memory(size);
    size_t grown = s->text.total - before;
    hone_status status = grown ? hone__session_take(s, 0, grown, "strings") : HONE_OK;
    if (status != HONE_OK) s->memory += grown; /* it is there until the next run */
    return status;
}
