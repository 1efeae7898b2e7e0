/* op_einsum.c: Einsum. Two float32 operands whose every label is shared or kept become one batched matrix product;
 * everything else is summed element by element. */
#include <string.h>

#include "infer.h"
#include "kernels/gemm/gemm.h"
#include "kernels/transpose/transpose.h"

enum { LETTERS = 52, LABELS = LETTERS + HONE_MAX_RANK, OPERANDS = 16 };

/* Labels: 0..51 letters, then the axes of "..." counted from the right. */
typedef struct term {
    int rank;
    int label[HONE_MAX_RANK];
    size_t step[LABELS]; /* elements per step of a label, 0 where it is absent or broadcast */
} term;

typedef struct equation {
    int operands;
    term in[OPERANDS], out;
    int64_t size[LABELS]; /* -1: not known, 0: an unused label has used[] false */
    bool used[LABELS], kept[LABELS];
} equation;

static int letter(char c) { return c >= 'a' && c <= 'z' ? c - 'a' : c >= 'A' && c <= 'Z' ? c - 'A' + 26 : -1; }

/* One term of letters, spaces and at most one "..."; `dots` axes stand for that. */
static hone_status read_term(const char *text, size_t length, int dots, term *t, bool *has_dots)
{
    t->rank = 0;
    *has_dots = false;
    for (size_t i = 0; i < length; i++) {
        int count = 1, first = letter(text[i]);
        if (text[i] == ' ') continue;
        if (first < 0) {
            if (length - i < 3 || memcmp(text + i, "...", 3) != 0 || *has_dots)
                return hone__fail(HONE_E_SHAPE, "equation holds '%c' where no label can be", text[i]);
            *has_dots = true;
            count = dots;
            i += 2;
        }
        if (t->rank + count > HONE_MAX_RANK)
            return hone__fail(HONE_E_UNSUPPORTED, "a term of rank over %d", HONE_MAX_RANK);
        for (int k = 0; k < count; k++) t->label[t->rank++] = first >= 0 ? first : LETTERS + count - 1 - k;
    }
    return HONE_OK;
}

static hone_status set_sizes(equation *e, const term *t, const hone__shape *s, int operand)
{
    if (t->rank != s->rank)
        return hone__fail(HONE_E_SHAPE, "input %d has rank %d, the equation says %d", operand, s->rank, t->rank);
    for (int i = 0; i < t->rank; i++) {
        int64_t *size = &e->size[t->label[i]], d = s->dims[i];
        if (!e->used[t->label[i]])
            *size = d;
        else if (*size == 1)
            *size = d;
        else if (d < 0 || (*size < 0 && d == 1))
            d = *size;
        else if (*size < 0)
            *size = d;
        else if (d != 1 && d != *size)
            return hone__fail(HONE_E_SHAPE, "input %d has size %lld on axis %d, expected %lld", operand, (long long)d,
                              i, (long long)*size);
        e->used[t->label[i]] = true;
    }
    return HONE_OK;
}

/* The output of an equation without "->": dots, then labels that occur once, in alphabetical order. */
static hone_status implicit_output(equation *e, const int *times, int dots)
{
    e->out.rank = 0;
    for (int k = dots - 1; k >= 0; k--) e->out.label[e->out.rank++] = LETTERS + k;
    for (int pass = 26; pass >= 0; pass -= 26) /* upper case sorts first */
        for (int l = pass; l < pass + 26; l++) {
            if (times[l] != 1) continue;
            if (e->out.rank == HONE_MAX_RANK) return hone__fail(HONE_E_UNSUPPORTED, "rank over %d", HONE_MAX_RANK);
            e->out.label[e->out.rank++] = l;
        }
    return HONE_OK;
}

/* Axes behind the "..." of a term over a tensor of `rank`. */
static int dots_of(const char *text, size_t length, int rank)
{
    int letters = 0, points = 0;
    for (size_t i = 0; i < length; i++) letters += letter(text[i]) >= 0, points += text[i] == '.';
    return points ? rank - letters : 0;
}

static hone_status read_equation(const hone__node *n, const hone__shape *const *shapes, int count, equation *e)
{
    const char *text = hone__node_string(n, "equation", ""), *arrow = strstr(text, "->"), *p = text;
    const char *end = arrow ? arrow : text + strlen(text);
    int times[LABELS] = {0}, most = 0;
    bool dots;
    *e = (equation){.operands = count};
    if (count > OPERANDS)
        return hone__fail(HONE_E_UNSUPPORTED, "%d operands, at most %d are possible", count, OPERANDS);
    for (int i = 0; i < count; i++) {
        const char *comma = memchr(p, ',', (size_t)(end - p)), *stop = comma ? comma : end;
        int own = dots_of(p, (size_t)(stop - p), shapes[i]->rank);
        if (own < 0 || (!comma && i < count - 1) || (comma && i == count - 1))
            return hone__fail(HONE_E_SHAPE, "the equation's terms do not fit the inputs");
        HONE__TRY(read_term(p, (size_t)(stop - p), own, &e->in[i], &dots));
        HONE__TRY(set_sizes(e, &e->in[i], shapes[i], i));
        for (int k = 0; k < e->in[i].rank; k++) times[e->in[i].label[k]]++;
        if (own > most) most = own;
        p = stop + 1;
    }
    if (arrow)
        HONE__TRY(read_term(arrow + 2, strlen(arrow + 2), most, &e->out, &dots));
    else
        HONE__TRY(implicit_output(e, times, most));
    for (int i = 0; i < e->out.rank; i++) {
        int l = e->out.label[i];
        if (!e->used[l] || e->kept[l])
            return hone__fail(HONE_E_SHAPE, "the output repeats a label, or has one that no input has");
        e->kept[l] = true;
    }
    return HONE_OK;
}

static hone_status infer_einsum(hone__infer *x)
{
    const hone__shape *shapes[OPERANDS];
    equation e;
    HONE__TRY(hone__infer_arity(x, 1, OPERANDS));
    x->out[0].dtype = x->in[0].dtype;
    for (int i = 0; i < x->input_count; i++) {
        HONE__TRY(hone__infer_equal_types(x, 0, i));
        if (x->in[i].shape.rank < 0) return HONE_OK;
        shapes[i] = &x->in[i].shape;
    }
    HONE__TRY(read_equation(x->node, shapes, x->input_count, &e));
    x->out[0].shape.rank = e.out.rank;
    for (int i = 0; i < e.out.rank; i++) x->out[0].shape.dims[i] = e.size[e.out.label[i]];
    return HONE_OK;
}

static void set_steps(term *t, const int64_t *dims)
{
    size_t step = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        if (dims[i] != 1) t->step[t->label[i]] += step;
        step *= (size_t)dims[i];
    }
}

/* Labels of a product: batch (in a, b and out), rows (a and out), cols (b and out), inner (a and b). */
typedef struct product {
    bool possible;
    size_t batch, m, n, k;
    int perm_a[HONE_MAX_RANK], perm_b[HONE_MAX_RANK], perm_out[HONE_MAX_RANK];
    size_t out_dims[HONE_MAX_RANK]; /* of [batch, rows, cols] before perm_out */
    bool move_a, move_b, move_out;
} product;

typedef struct plan {
    equation e;
    product p;
    hone__gemm_f32_args g;
    size_t a_at, b_at, c_at, gemm_at; /* in scratch */
} plan;

static int axis_of(const term *t, int label)
{
    for (int i = 0; i < t->rank; i++)
        if (t->label[i] == label) return i;
    return -1;
}

static bool moves(const int *perm, int rank)
{
    for (int i = 0; i < rank; i++)
        if (perm[i] != i) return true;
    return false;
}

static void find_product(const equation *e, const hone__tensor *const *in, product *p)
{
    const term *a = &e->in[0], *b = &e->in[1], *o = &e->out;
    int groups[4][HONE_MAX_RANK], counts[4] = {0};
    size_t sizes[4] = {1, 1, 1, 1};
    *p = (product){0};
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < e->in[t].rank; i++)
            if (in[t]->dims[i] != e->size[e->in[t].label[i]] || axis_of(&e->in[t], e->in[t].label[i]) != i) return;
    for (int l = 0; l < LABELS; l++) { /* 0 batch, 1 rows, 2 cols, 3 inner; in the order of the labels */
        bool ia = axis_of(a, l) >= 0, ib = axis_of(b, l) >= 0, io = axis_of(o, l) >= 0;
        if (!ia && !ib) continue;
        if (!io && (!ia || !ib)) return;
        int g = io ? (ia && ib ? 0 : ia ? 1 : 2) : 3;
        if (counts[g] == HONE_MAX_RANK) return;
        groups[g][counts[g]++] = l;
        sizes[g] *= (size_t)e->size[l];
    }
    /* within a group the output's order: most outputs then need no move; inner axes go as a has them */
    int ra = 0, rb = 0, ro = 0;
    for (int g = 0; g < 4; g++) {
        const term *lead = g < 3 ? o : a;
        int k = 0;
        for (int i = 0; i < lead->rank; i++)
            for (int j = 0; j < counts[g]; j++)
                if (groups[g][j] == lead->label[i]) {
                    int t = groups[g][k];
                    groups[g][k++] = groups[g][j];
                    groups[g][j] = t;
                    break;
                }
    }
    static const int order_a[] = {0, 1, 3}, order_b[] = {0, 3, 2}, order_o[] = {0, 1, 2};
    int labels[3 * HONE_MAX_RANK];
    for (int g = 0; g < 3; g++) {
        for (int j = 0; j < counts[order_a[g]]; j++) p->perm_a[ra++] = axis_of(a, groups[order_a[g]][j]);
        for (int j = 0; j < counts[order_b[g]]; j++) p->perm_b[rb++] = axis_of(b, groups[order_b[g]][j]);
        for (int j = 0; j < counts[order_o[g]]; j++) {
            p->out_dims[ro] = (size_t)e->size[groups[order_o[g]][j]];
            labels[ro++] = groups[order_o[g]][j];
        }
    }
    for (int i = 0; i < ro; i++)
        for (int j = 0; j < ro; j++)
            if (labels[j] == o->label[i]) p->perm_out[i] = j;
    p->batch = sizes[0], p->m = sizes[1], p->n = sizes[2], p->k = sizes[3];
    p->move_a = moves(p->perm_a, ra), p->move_b = moves(p->perm_b, rb), p->move_out = moves(p->perm_out, ro);
    p->possible = true;
}

static hone_status prepare_einsum(hone__prepare *p)
{
    plan *q = hone__arena_zalloc(p->arena, sizeof *q);
    hone__shape shapes[OPERANDS];
    const hone__shape *list[OPERANDS];
    if (!q) return hone__out_of_memory(sizeof *q);
    for (int i = 0; i < p->input_count; i++) {
        shapes[i].rank = p->in[i]->rank;
        memcpy(shapes[i].dims, p->in[i]->dims, sizeof shapes[i].dims);
        list[i] = &shapes[i];
    }
    HONE__TRY(read_equation(p->node, list, p->input_count, &q->e));
    for (int i = 0; i < p->input_count; i++) set_steps(&q->e.in[i], p->in[i]->dims);
    p->state = q;
    if (p->input_count != 2 || p->in[0]->dtype != HONE_F32 || !p->out[0]->count) return HONE_OK;
    find_product(&q->e, p->in, &q->p);
    if (!q->p.possible) return HONE_OK;
    const product *d = &q->p;
    q->g = (hone__gemm_f32_args){
        .m = d->m, .n = d->n, .k = d->k, .a_rs = d->k, .a_cs = 1, .b_rs = d->n, .b_cs = 1, .c_rs = d->n, .alpha = 1};
    q->b_at = d->move_a ? p->in[0]->bytes / 64 * 64 + 64 : 0;
    q->c_at = q->b_at + (d->move_b ? p->in[1]->bytes / 64 * 64 + 64 : 0);
    q->gemm_at = q->c_at + (d->move_out ? p->out[0]->bytes / 64 * 64 + 64 : 0);
    p->scratch = q->gemm_at + hone__gemm_f32_scratch(&q->g, p->threads);
    return HONE_OK;
}

static const float *moved(const hone__run *r, int i, const int *perm, bool move, void *to)
{
    const hone__tensor *t = r->in[i];
    size_t dims[HONE_MAX_RANK];
    if (!move) return t->data;
    for (int a = 0; a < t->rank; a++) dims[a] = (size_t)t->dims[a];
    hone__transpose(to, t->data, sizeof(float), t->rank, dims, perm, r->pool);
    return to;
}

static void run_product(const hone__run *r, const plan *q)
{
    const product *p = &q->p;
    uint8_t *scratch = r->scratch;
    const float *a = moved(r, 0, p->perm_a, p->move_a, scratch),
                *b = moved(r, 1, p->perm_b, p->move_b, scratch + q->b_at);
    float *c = p->move_out ? (float *)(scratch + q->c_at) : hone__out_data(r, 0);
    hone__gemm_f32_args g = q->g;
    for (size_t i = 0; i < p->batch; i++) {
        g.a = a + i * p->m * p->k;
        g.b = b + i * p->k * p->n;
        g.c = c + i * p->m * p->n;
        hone__gemm_f32(&g, scratch + q->gemm_at, r->pool);
    }
    if (p->move_out)
        hone__transpose(hone__out_data(r, 0), c, sizeof(float), r->out[0]->rank, p->out_dims, p->perm_out, r->pool);
}

static hone_status run_einsum(hone__run *r)
{
    const plan *q = r->state;
    const equation *e = &q->e;
    hone_dtype d = r->out[0]->dtype;
    if (!r->out[0]->count) return HONE_OK;
    if (q->p.possible) {
        run_product(r, q);
        return HONE_OK;
    }
    int sum[LABELS], sums = 0;
    size_t terms = 1, outer[HONE_MAX_RANK] = {0};
    for (int l = 0; l < LABELS; l++)
        if (e->used[l] && !e->kept[l]) sum[sums++] = l, terms *= (size_t)e->size[l];
    for (size_t y = 0; y < r->out[0]->count; y++) {
        size_t at[LABELS] = {0};
        double total = 0;
        uint64_t whole = 0;
        for (size_t k = 0; k < terms; k++) {
            double v = 1;
            uint64_t w = 1;
            for (int i = 0; i < e->operands; i++) {
                size_t p = 0;
                for (int a = 0; a < e->out.rank; a++) p += outer[a] * e->in[i].step[e->out.label[a]];
                for (int a = 0; a < sums; a++) p += at[a] * e->in[i].step[sum[a]];
                if (hone__dtype_is_int(d))
                    w *= (uint64_t)hone__tensor_i64(r->in[i], p);
                else
                    v *= hone__tensor_f64(r->in[i], p);
            }
            total += v;
            whole += w;
            for (int a = sums - 1; a >= 0 && ++at[a] == (size_t)e->size[sum[a]]; a--) at[a] = 0;
        }
        if (hone__dtype_is_int(d))
            hone__element_set_i64(d, hone__out_data(r, 0), y, (int64_t)whole);
        else
            hone__element_set_f64(d, hone__out_data(r, 0), y, total);
        for (int a = e->out.rank - 1; a >= 0 && ++outer[a] == (size_t)e->size[e->out.label[a]]; a--) outer[a] = 0;
    }
    return HONE_OK;
}
const hone__op hone__op_einsum = {"", "Einsum", infer_einsum, prepare_einsum, run_einsum, 0};
