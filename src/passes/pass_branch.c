/* pass_branch.c: an If whose condition is a constant becomes the nodes of its branch; outputs of If, Loop and Scan that
 * nobody reads go, and with them what the subgraphs make for them alone. */
#include <string.h>

#include "match.h"
#include "ops/subgraph.h"
#include "passes.h"

/* A value of the branch instead of output v: where v is an output of the graph, it must be made here and be one once.
 */
static hone_status take_over(hone__node *n, hone__value *v, hone__value *from)
{
    if (v->output_count &&
        (from->graph != v->graph || from->input_index >= 0 || from->constant || from->output_count)) {
        hone__node *same = hone__node_new(n->graph, n, "", "Identity", "", &from, 1, 1);
        if (!same) return HONE_E_MEMORY;
        from = same->outputs[0];
    }
    return hone__value_replace_uses(v, from);
}

static hone_status choose(hone__node *n, bool *chosen)
{
    const hone__tensor *condition = hone__constant_input(n, 0);
    if (!condition || condition->count != 1 || condition->dtype != HONE_BOOL) return HONE_OK;
    bool taken = hone__element_i64(HONE_BOOL, condition->data, 0);
    hone__graph *g = hone__node_graph(n, taken ? "then_branch" : "else_branch");
    if (!g || g->input_count || g->output_count != (size_t)n->output_count) return HONE_OK;
    hone__graph_splice(g, n);
    for (int i = 0; i < n->output_count; i++)
        if (n->outputs[i] && !hone__value_unused(n->outputs[i])) HONE__TRY(take_over(n, n->outputs[i], g->outputs[i]));
    hone__node_remove(n);
    *chosen = true;
    return HONE_OK;
}

/* Entry `index` of a list of Scan, where it has as many. */
static hone_status drop_entry(hone__node *n, const char *name, size_t index)
{
    size_t count;
    const int64_t *list = hone__node_ints(n, name, &count);
    if (!list || index >= count) return HONE_OK;
    int64_t *left = hone__calloc(count, sizeof *left);
    if (!left) return hone__out_of_memory(count);
    memcpy(left, list, index * sizeof *left);
    memcpy(left + index, list + index + 1, (count - index - 1) * sizeof *left);
    hone_status s = HONE_OK;
    if (count > 1)
        s = hone__node_set_ints(n, name, left, count - 1);
    else
        hone__node_drop_attr(n, name);
    hone__free(left);
    return s;
}

/* The outputs of n from `first` on are those of each of its subgraphs from `first + offset` on. */
static hone_status drop_unread(hone__node *n, int first, int offset, int *changed)
{
    int read = 0;
    for (int i = 0; i < n->output_count; i++) read += n->outputs[i] && !hone__value_unused(n->outputs[i]);
    if (!read) return HONE_OK; /* all of it is swept */
    for (int i = n->output_count; i-- > first;) {
        if (n->outputs[i] && !hone__value_unused(n->outputs[i])) continue;
        for (int k = 0; k < n->attr_count; k++)
            if (n->attrs[k].kind == HONE__ATTR_GRAPH) hone__graph_drop_output(n->attrs[k].g, (size_t)(i + offset));
        if (hone__node_is(n, "Scan")) {
            HONE__TRY(drop_entry(n, "scan_output_axes", (size_t)(i - first)));
            HONE__TRY(drop_entry(n, "scan_output_directions", (size_t)(i - first)));
        }
        hone__node_drop_output(n, i);
        ++*changed;
    }
    return HONE_OK;
}

hone_status hone__pass_branch(hone__graph *g, int *changed)
{
    for (hone__node *n = g->first, *next; n; n = next) {
        hone__node *before = n->prev;
        bool chosen = false;
        next = n->next;
        if (hone__node_is(n, "If")) {
            HONE__TRY(drop_unread(n, 0, 0, changed));
            HONE__TRY(choose(n, &chosen));
            *changed += chosen;
            if (chosen) next = before ? before->next : g->first; /* what the branch has brought */
        } else if (hone__node_is(n, "Loop"))
            HONE__TRY(drop_unread(n, n->input_count > 2 ? n->input_count - 2 : 0, 1, changed));
        else if (hone__node_is(n, "Scan"))
            HONE__TRY(drop_unread(n, n->input_count - (int)hone__node_int(n, "num_scan_inputs", 0), 0, changed));
    }
    return HONE_OK;
}
