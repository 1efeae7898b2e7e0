/* run_graph.h: what a random graph computes, and whether two runs agree. */
#ifndef HONE_TESTS_RUN_GRAPH_H
#define HONE_TESTS_RUN_GRAPH_H

#include <stdlib.h>
#include <unistd.h>

#include "exec/session.h"
#include "onnx/onnx.h"
#include "random_graph.h"

enum { GRAPH_OUTPUTS = 64, GRAPH_BATCH = 2 };

typedef struct answers {
    hone__tensor t[GRAPH_OUTPUTS];
    size_t count;
} answers;

static void answers_free(answers *a)
{
    for (size_t i = 0; i < a->count; i++) hone__tensor_release(&a->t[i]);
    a->count = 0;
}

static hone_status answers_keep(answers *a, const hone__tensor *const *out, size_t n)
{
    for (; a->count < n; a->count++) {
        hone__tensor *t = &a->t[a->count];
        HONE__TRY(hone__tensor_new(out[a->count]->dtype, out[a->count]->rank, out[a->count]->dims, t));
        if (t->bytes) memcpy(hone__tensor_write(t), out[a->count]->data, t->bytes);
    }
    return HONE_OK;
}

/* Runs a model that random_graph has made, always on the same inputs. */
static hone_status run_graph(const hone__model *m, hone__session_options o, answers *a)
{
    static float data[2][GRAPH_BATCH * 512];
    hone__tensor in[2];
    const hone__tensor *list[2] = {&in[0], &in[1]}, *out[GRAPH_OUTPUTS];
    hone__session *s;
    const hone__graph *g = m->graph;
    uint32_t seed = 5;
    for (size_t i = 0; i < g->input_count; i++) {
        in[i] = (hone__tensor){.dtype = HONE_F32, .rank = g->inputs[i]->shape.rank, .data = data[i]};
        memcpy(in[i].dims, g->inputs[i]->shape.dims, sizeof in[i].dims);
        in[i].dims[0] = GRAPH_BATCH;
        HONE__TRY(hone__shape_bytes(HONE_F32, in[i].rank, in[i].dims, &in[i].count, &in[i].bytes));
        for (size_t k = 0; k < in[i].count; k++) {
            seed = seed * 1664525u + 1013904223u;
            data[i][k] = (float)(seed >> 8) / 8388608.0f - 1;
        }
    }
    a->count = 0;
    HONE__TRY(hone__session_create(m, &o, &s));
    hone_status st = hone__session_run(s, list, g->input_count, out, g->output_count);
    if (st == HONE_OK) st = answers_keep(a, out, g->output_count);
    hone__session_destroy(s);
    return st;
}

/* Relative to the largest value of an output; `exact`: bit for bit. */
static const char *answers_differ(const answers *a, const answers *b, bool exact)
{
    static char text[200];
    for (size_t i = 0; i < a->count; i++) {
        const float *x = a->t[i].data, *y = b->t[i].data;
        float top = 1;
        if (a->t[i].rank != b->t[i].rank || memcmp(a->t[i].dims, b->t[i].dims, (size_t)a->t[i].rank * sizeof(int64_t)))
            return "shapes differ";
        for (size_t k = 0; k < a->t[i].count; k++) top = fmaxf(top, isfinite(x[k]) ? fabsf(x[k]) : 0);
        for (size_t k = 0; k < a->t[i].count; k++) {
            if (!memcmp(&x[k], &y[k], sizeof *x) || (isnan(x[k]) && isnan(y[k]))) continue;
            if (!exact && fabsf(x[k] - y[k]) <= 1e-4f * top) continue;
            snprintf(text, sizeof text, "output %zu element %zu: %.9g and %.9g", i, k, (double)x[k], (double)y[k]);
            return text;
        }
    }
    return a->count == b->count ? NULL : "another number of outputs";
}

/* Writes a model and reads it back, inferred; in memory where there is such a folder: written files are synced. */
static hone_status through_a_file(hone__model *m, hone__model **back)
{
    char path[64];
    snprintf(path, sizeof path, "%s/hone-graph-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    int fd = mkstemp(path);
    if (fd < 0) return hone__fail(HONE_E_IO, "no temporary file");
    close(fd);
    hone_status s = hone__onnx_write(m, path, NULL);
    if (s == HONE_OK) s = hone__onnx_read(path, back);
    unlink(path);
    if (s != HONE_OK || (s = hone__graph_infer((*back)->graph)) == HONE_OK) return s;
    hone__model_destroy(*back);
    return s;
}

#endif
