/* rows.c: weights that are stored as int8 and computed with in float, in standard operators: DequantizeLinear in front
 * of recurrent layers, and tables of which the rows that are taken are scaled by a number of their own. */
#include <math.h>
#include <stdio.h>

#include "kernels/convert/convert.h"
#include "weights.h"

/* n numbers from element `at` on. */
static void read_run(const hone__tensor *t, size_t at, size_t n, float *out)
{
    if (t->dtype == HONE_F16)
        hone__f16_to_f32((const uint16_t *)t->data + at, out, n);
    else if (t->dtype == HONE_BF16)
        hone__bf16_to_f32((const uint16_t *)t->data + at, out, n);
    else
        memcpy(out, (const float *)t->data + at, n * sizeof *out);
}

/* t as `groups` runs of `run` numbers, `rows` apart: row r of a recurrent weight [directions, rows, columns] has a run
 * in each direction, row r of a table is one run. Every row gets a scale; *codes has t's shape. */
static hone_status make(hone__quant *q, const hone__tensor *t, size_t rows, size_t run, int scales_rank,
                        hone__tensor *codes, hone__tensor *scales, hone__weight *w)
{
    size_t groups = t->count / rows / run;
    double error = 0, norm = 0;
    float *row = hone__malloc(groups * run * (sizeof *row + 1));
    if (!row) return hone__out_of_memory(groups * run);
    int8_t *bytes = (int8_t *)(row + groups * run);
    hone_status s = hone__tensor_scratch(&q->scratch, HONE_I8, t->rank, t->dims, codes);
    if (s == HONE_OK && (s = hone__tensor_new(HONE_F32, scales_rank, (int64_t[]){(int64_t)rows, 1}, scales)) != HONE_OK)
        hone__tensor_release(codes);
    for (size_t r = 0; s == HONE_OK && r < rows; r++) {
        for (size_t g = 0; g < groups; g++) read_run(t, (g * rows + r) * run, run, row + g * run);
        ((float *)hone__tensor_write(scales))[r] = hone__quant_row_s8(row, groups * run, bytes, &error, &norm);
        for (size_t g = 0; g < groups; g++)
            memcpy((int8_t *)hone__tensor_write(codes) + (g * rows + r) * run, bytes + g * run, run);
    }
    hone__free(row);
    HONE__TRY(s);
    hone__tensor_idle(t);
    hone__tensor_idle(codes);
    w->error = norm > 0 ? sqrt(error / norm) : 0;
    w->to = "int8";
    w->after = codes->bytes + scales->bytes;
    w->reason = hone__quant_too_coarse(w->error, false);
    if (!w->reason) return HONE_OK;
    hone__tensor_release(codes);
    hone__tensor_release(scales);
    return HONE_OK;
}

static hone_status constants(hone__graph *g, hone__weight *w, hone__tensor *codes, hone__tensor *scales,
                             hone__value **of_codes, hone__value **of_scales)
{
    char name[256];
    snprintf(name, sizeof name, "%.200s_scales", w->name);
    *of_codes = hone__value_constant(g, w->name, codes);
    *of_scales = hone__value_constant(g, name, scales);
    return *of_codes && *of_scales ? HONE_OK : HONE_E_MEMORY;
}

hone_status hone__quant_recurrent(hone__quant *q, hone__node *node, int input, hone__weight *w)
{
    const hone__value *from = node->inputs[input];
    const hone__quant_made *made = hone__quant_made_of(q, from);
    const hone__tensor *t = from->constant;
    hone__tensor codes, scales;
    hone__value *cv, *sv;
    w->again = made != NULL;
    if (made) return hone__node_set_input(node, input, made->codes);
    if (t->rank != 3) {
        w->reason = "not of rank 3";
        return HONE_OK;
    }
    HONE__TRY(make(q, t, (size_t)t->dims[1], (size_t)t->dims[2], 1, &codes, &scales, w));
    if (w->reason) return HONE_OK;
    hone__graph *g = from->graph;
    HONE__TRY(constants(g, w, &codes, &scales, &cv, &sv));
    hone__node *dq =
        hone__node_new(g, hone__quant_place(from, node), "", "DequantizeLinear", "", (hone__value *[]){cv, sv}, 2, 1);
    if (!dq) return HONE_E_MEMORY;
    HONE__TRY(hone__node_set_int(dq, "axis", 1));
    HONE__TRY(hone__quant_keep(q, from, dq->outputs[0], NULL));
    return hone__node_set_input(node, input, dq->outputs[0]);
}

hone_status hone__quant_table(hone__quant *q, hone__node *gather, hone__weight *w)
{
    const hone__value *from = w->source; /* what is gathered from, or what is widened to it */
    const hone__tensor *t = from->constant;
    int64_t axis = hone__node_int(gather, "axis", 0);
    if (t->rank != 2 || (axis && axis != -2)) {
        w->reason = "not a table of rows";
        return HONE_OK;
    }
    hone__graph *g = gather->graph;
    hone__tensor codes, scales;
    hone__value *cv, *sv;
    w->again = hone__quant_made_of(q, from) != NULL;
    if (!w->again) {
        HONE__TRY(make(q, t, (size_t)t->dims[0], (size_t)t->dims[1], 2, &codes, &scales, w));
        if (w->reason) return HONE_OK;
        HONE__TRY(constants(from->graph, w, &codes, &scales, &cv, &sv));
        HONE__TRY(hone__quant_keep(q, from, cv, sv));
    }
    const hone__quant_made *made = hone__quant_made_of(q, from);
    hone__node *rows =
        hone__node_new(g, gather, "", "Gather", gather->name, (hone__value *[]){made->codes, gather->inputs[1]}, 2, 1);
    hone__node *wide = rows ? hone__node_new(g, gather, "", "Cast", "", rows->outputs, 1, 1) : NULL;
    hone__node *scale =
        hone__node_new(g, gather, "", "Gather", "", (hone__value *[]){made->scales, gather->inputs[1]}, 2, 1);
    if (!wide || !scale) return HONE_E_MEMORY;
    HONE__TRY(hone__node_set_int(wide, "to", HONE_F32));
    hone__node *y =
        hone__node_new(g, gather, "", "Mul", "", (hone__value *[]){wide->outputs[0], scale->outputs[0]}, 2, 1);
    if (!y) return HONE_E_MEMORY;
    y->outputs[0]->dtype = HONE_F32;
    y->outputs[0]->shape = gather->outputs[0]->shape;
    return hone__value_replace_uses(gather->outputs[0], y->outputs[0]);
}
