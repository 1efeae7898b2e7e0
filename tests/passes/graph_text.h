/* graph_text.h: a graph and its subgraphs as text, a line per node, for comparing with what was written down. ^ stands
 * before what belongs to a graph around. */
#ifndef HONE_TESTS_GRAPH_TEXT_H
#define HONE_TESTS_GRAPH_TEXT_H

#include <stdio.h>

#include "graph/graph.h"

static void text_value(FILE *f, const hone__graph *g, const hone__value *v)
{
    char shape[160];
    const hone__tensor *t = v ? v->constant : NULL;
    if (v && v->graph != g) fputc('^', f);
    if (!v)
        fputc('-', f);
    else if (t && t->count == 1 && t->dtype != HONE_STRING)
        fprintf(f, "%s %.6g", hone_dtype_name(t->dtype), hone__element_f64(t->dtype, t->data, 0));
    else if (t)
        fprintf(f, "%s%s", hone_dtype_name(t->dtype), hone__shape_text(t->rank, t->dims, shape, sizeof shape));
    else
        fputs(v->name, f);
}

static void text_list(FILE *f, const hone__graph *g, hone__value *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i) fputs(", ", f);
        text_value(f, g, list[i]);
    }
}

static void text_attr(FILE *f, const hone__attr *a)
{
    fprintf(f, " %s=", a->name);
    if (a->kind == HONE__ATTR_INT) fprintf(f, "%lld", (long long)a->i);
    if (a->kind == HONE__ATTR_FLOAT) fprintf(f, "%.6g", (double)a->f);
    if (a->kind == HONE__ATTR_STRING) fprintf(f, "%.*s", (int)a->s.size, a->s.data);
    for (size_t i = 0; a->kind == HONE__ATTR_INTS && i < a->count; i++)
        fprintf(f, "%s%lld", i ? "," : "", (long long)a->ints[i]);
}

static void text_graph(FILE *f, const hone__graph *g, int depth)
{
    fprintf(f, "(");
    text_list(f, g, g->inputs, g->input_count);
    fprintf(f, ") -> (");
    text_list(f, g, g->outputs, g->output_count);
    fprintf(f, ")\n");
    for (const hone__node *n = g->first; n; n = n->next) {
        fprintf(f, "%*s", 4 * depth + 4, "");
        text_list(f, g, n->outputs, (size_t)n->output_count);
        fprintf(f, " = %s%s%s(", n->domain, *n->domain ? ":" : "", n->op);
        text_list(f, g, n->inputs, (size_t)n->input_count);
        fputc(')', f);
        for (int i = 0; i < n->attr_count; i++)
            if (n->attrs[i].kind != HONE__ATTR_GRAPH) text_attr(f, &n->attrs[i]);
        fputc('\n', f);
        for (int i = 0; i < n->attr_count; i++) {
            if (n->attrs[i].kind != HONE__ATTR_GRAPH) continue;
            fprintf(f, "%*s%s", 4 * depth + 6, "", n->attrs[i].name);
            text_graph(f, n->attrs[i].g, depth + 1);
        }
    }
}

#endif
