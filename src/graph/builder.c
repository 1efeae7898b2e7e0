/* builder.c: sticky-error construction of graphs. */
#include "builder.h"

#include <stdio.h>
#include <string.h>

hone_status hone__builder_fail(hone__builder *b, hone_status status)
{
    if (b->status == HONE_OK) b->status = status;
    return status;
}

hone__attr hone__a_string(const char *name, const char *v)
{
    return (hone__attr){.name = name, .kind = HONE__ATTR_STRING, .s = {v, strlen(v)}};
}

void hone__emit_multi(hone__builder *b, const char *op, const char *name, hone__value *const *inputs, int input_count,
                      const hone__attr *attrs, int attr_count, hone__value **out, int out_count)
{
    for (int i = 0; i < out_count; i++) out[i] = NULL;
    if (b->status != HONE_OK) return;
    char domain[64] = "", full[256];
    const char *colon = strchr(op, ':');
    if (colon) {
        snprintf(domain, sizeof domain, "%.*s", (int)(colon - op), op);
        op = colon + 1;
        if (!hone__model_opset(b->graph->model, domain) &&
            hone__builder_fail(b, hone__model_set_opset(b->graph->model, domain, 1)) != HONE_OK)
            return;
    }
    snprintf(full, sizeof full, "%s%s", b->scope ? b->scope : "", name ? name : "");
    hone__node *n = hone__node_new(b->graph, NULL, domain, op, full, inputs, input_count, out_count);
    if (!n) {
        hone__builder_fail(b, HONE_E_MEMORY);
        return;
    }
    for (int i = 0; i < attr_count; i++)
        if (hone__builder_fail(b, hone__node_set_attr(n, &attrs[i])) != HONE_OK) return;
    hone__node_trim_inputs(n);
    for (int i = 0; i < out_count; i++) out[i] = n->outputs[i];
}

hone__value *hone__emit(hone__builder *b, const char *op, const char *name, hone__value *const *inputs, int input_count,
                        const hone__attr *attrs, int attr_count)
{
    hone__value *out;
    hone__emit_multi(b, op, name, inputs, input_count, attrs, attr_count, &out, 1);
    return out;
}

hone__value *hone__emit_input(hone__builder *b, const char *name, hone_dtype dtype, int rank, const int64_t *dims)
{
    if (b->status != HONE_OK) return NULL;
    if (rank < 0 || rank > HONE_MAX_RANK) {
        hone__builder_fail(b, hone__fail(HONE_E_UNSUPPORTED, "input '%s' has rank %d", name, rank));
        return NULL;
    }
    hone__value *v = hone__value_new(b->graph, name);
    if (!v || hone__graph_add_input(b->graph, v) != HONE_OK) {
        hone__builder_fail(b, HONE_E_MEMORY);
        return NULL;
    }
    v->dtype = dtype;
    v->shape.rank = rank;
    if (rank) memcpy(v->shape.dims, dims, (size_t)rank * sizeof *dims);
    return v;
}

void hone__emit_output(hone__builder *b, const char *name, hone__value *v)
{
    if (b->status != HONE_OK) return;
    if (v->input_index >= 0 || v->output_count || v->constant)
        v = hone__emit(b, "Identity", name, HONE__INS(v), HONE__NO_ATTRS);
    char *copy = hone__arena_strndup(&b->graph->model->arena, name, strlen(name));
    if (!v || !copy || hone__graph_add_output(b->graph, v) != HONE_OK) {
        hone__builder_fail(b, HONE_E_MEMORY);
        return;
    }
    v->name = copy;
}

hone__value *hone__emit_tensor(hone__builder *b, const char *name, hone__tensor *tensor)
{
    if (b->status != HONE_OK) {
        hone__tensor_release(tensor);
        return NULL;
    }
    char full[256];
    snprintf(full, sizeof full, "%s%s", b->scope && name && *name ? b->scope : "", name ? name : "");
    hone__value *v = hone__value_constant(b->graph, full, tensor);
    if (!v) hone__builder_fail(b, HONE_E_MEMORY);
    return v;
}

static hone__value *emit_data(hone__builder *b, const char *name, hone_dtype dtype, const void *data, int rank,
                              const int64_t *dims)
{
    if (b->status != HONE_OK) return NULL;
    hone__tensor t;
    if (hone__builder_fail(b, hone__tensor_new(dtype, rank, dims, &t)) != HONE_OK) return NULL;
    if (t.bytes) memcpy(hone__tensor_write(&t), data, t.bytes);
    return hone__emit_tensor(b, name, &t);
}

hone__value *hone__emit_f32(hone__builder *b, const char *name, const float *v, int rank, const int64_t *dims)
{
    return emit_data(b, name, HONE_F32, v, rank, dims);
}

hone__value *hone__emit_i64(hone__builder *b, const char *name, const int64_t *v, size_t count)
{
    return emit_data(b, name, HONE_I64, v, 1, &(int64_t){(int64_t)count});
}

hone__value *hone__emit_scalar(hone__builder *b, float v) { return emit_data(b, "", HONE_F32, &v, 0, NULL); }
hone__value *hone__emit_scalar_i64(hone__builder *b, int64_t v) { return emit_data(b, "", HONE_I64, &v, 0, NULL); }
