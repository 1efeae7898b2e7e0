/* pass_pad.c: a Pad with zeros in front of a convolution, on spatial axes only, becomes the convolution's own pads. */
#include "match.h"
#include "passes.h"

static bool zero_pad(const hone__node *pad, const hone__tensor **pads)
{
    const hone__tensor *value = hone__constant_input(pad, 2);
    if (strcmp(hone__node_string(pad, "mode", "constant"), "constant") || hone__input(pad, 3)) return false;
    if (hone__input(pad, 2) && (!value || value->count != 1 || hone__element_f64(value->dtype, value->data, 0) != 0))
        return false;
    *pads = hone__constant_input(pad, 1);
    return *pads && (*pads)->dtype == HONE_I64;
}

static hone_status merge(hone__node *conv, int *changed)
{
    hone__value *x = conv->inputs[0];
    hone__node *pad = x ? x->producer : NULL;
    const hone__tensor *list;
    int64_t sum[2 * HONE_MAX_RANK];
    if (!pad || !hone__node_is(pad, "Pad") || pad->graph != conv->graph || !zero_pad(pad, &list)) return HONE_OK;
    if (strcmp(hone__node_string(conv, "auto_pad", "NOTSET"), "NOTSET")) return HONE_OK;
    size_t rank = list->count / 2, count;
    const int64_t *add = list->data, *own = hone__node_ints(conv, "pads", &count);
    if (rank < 3 || rank > HONE_MAX_RANK || (own && count != 2 * (rank - 2))) return HONE_OK;
    for (size_t i = 0; i < 2; i++)
        if (add[i] || add[rank + i]) return HONE_OK;
    for (size_t i = 0; i < rank - 2; i++) {
        if (add[i + 2] < 0 || add[rank + i + 2] < 0) return HONE_OK;
        sum[i] = add[i + 2] + (own ? own[i] : 0);
        sum[rank - 2 + i] = add[rank + i + 2] + (own ? own[rank - 2 + i] : 0);
    }
    HONE__TRY(hone__node_set_ints(conv, "pads", sum, 2 * (rank - 2)));
    ++*changed;
    return hone__node_set_input(conv, 0, pad->inputs[0]); /* the Pad goes when nobody else reads it */
}

hone_status hone__pass_pad(hone__graph *g, int *changed)
{
    for (hone__node *n = g->first; n; n = n->next)
        if (hone__node_is(n, "Conv")) HONE__TRY(merge(n, changed));
    return HONE_OK;
}
