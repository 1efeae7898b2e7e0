/* broadcast.c: merged multi-axis walk. */
#include "broadcast.h"

#include <string.h>

enum { PIECE = 1 << 14 }; /* elements per parallel piece */

static size_t dim_of(const hone__tensor *t, int axis, int rank)
{
    int k = axis - (rank - t->rank);
    return k < 0 ? 1 : (size_t)t->dims[k];
}

void hone__bcast_init(hone__bcast *b, const hone__tensor *out, const hone__tensor *const *in, int inputs)
{
    size_t stride[HONE__BCAST_MAX] = {1, 1, 1};
    hone__bcast full = {.rank = out->rank, .inputs = inputs};
    for (int a = out->rank - 1; a >= 0; a--) {
        full.dims[a] = (size_t)out->dims[a];
        for (int i = 0; i < inputs; i++) {
            size_t d = dim_of(in[i], a, out->rank);
            full.step[i][a] = d == 1 ? 0 : stride[i];
            stride[i] *= d;
        }
    }
    /* merge from the last axis on: an axis joins the one behind it when every input goes on where that one ends */
    *b = (hone__bcast){.inputs = inputs};
    int k = HONE_MAX_RANK; /* filled from the back */
    for (int a = out->rank - 1; a >= 0; a--) {
        if (full.dims[a] == 1) continue;
        bool merge = k < HONE_MAX_RANK;
        for (int i = 0; merge && i < inputs; i++) merge = full.step[i][a] == b->step[i][k] * b->dims[k];
        if (merge) {
            b->dims[k] *= full.dims[a];
            continue;
        }
        b->dims[--k] = full.dims[a];
        for (int i = 0; i < inputs; i++) b->step[i][k] = full.step[i][a];
    }
    if (k == HONE_MAX_RANK) b->dims[--k] = 1;
    b->rank = HONE_MAX_RANK - k;
    memmove(b->dims, b->dims + k, (size_t)b->rank * sizeof *b->dims);
    for (int i = 0; i < inputs; i++) memmove(b->step[i], b->step[i] + k, (size_t)b->rank * sizeof *b->dims);
    b->outer = 1;
    for (int a = 0; a < b->rank - 1; a++) b->outer *= b->dims[a];
    if (!out->count) b->outer = 0;
}

void hone__bcast_matrices(hone__bcast *w, const hone__tensor *a, const hone__tensor *b)
{
    hone__tensor ta = {.rank = a->rank > 2 ? a->rank - 2 : 0, .count = 1}, tb = {.rank = b->rank > 2 ? b->rank - 2 : 0};
    memcpy(ta.dims, a->dims, sizeof ta.dims);
    memcpy(tb.dims, b->dims, sizeof tb.dims);
    hone__tensor out = ta.rank >= tb.rank ? ta : tb;
    out.count = 1;
    for (int i = 0; i < out.rank; i++) {
        size_t da = dim_of(&ta, i, out.rank), db = dim_of(&tb, i, out.rank);
        out.dims[i] = (int64_t)(da == 1 ? db : da);
    }
    hone__bcast_init(w, &out, (const hone__tensor *[]){&ta, &tb}, 2);
}

typedef struct job {
    const hone__bcast *b;
    hone__bcast_fn fn;
    void *ctx;
} job;

static void runs(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    const hone__bcast *b = j->b;
    size_t at[HONE__BCAST_MAX], step[HONE__BCAST_MAX] = {0}, n = b->dims[b->rank - 1];
    (void)thread;
    for (int i = 0; i < b->inputs; i++) step[i] = b->step[i][b->rank - 1];
    for (size_t o = begin; o < end; o++) {
        size_t rest = o;
        memset(at, 0, sizeof at);
        for (int a = b->rank - 2; a >= 0; a--) {
            size_t x = rest % b->dims[a];
            rest /= b->dims[a];
            for (int i = 0; i < b->inputs; i++) at[i] += x * b->step[i][a];
        }
        j->fn(j->ctx, o * n, at, step, n);
    }
}

static void flat(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    size_t at[HONE__BCAST_MAX] = {0}, step[HONE__BCAST_MAX] = {0};
    (void)thread;
    for (int i = 0; i < j->b->inputs; i++) {
        step[i] = j->b->step[i][0];
        at[i] = begin * step[i];
    }
    j->fn(j->ctx, begin, at, step, end - begin);
}

void hone__bcast_run(const hone__bcast *b, hone__pool *pool, hone__bcast_fn fn, void *ctx)
{
    job j = {b, fn, ctx};
    if (!b->outer) return;
    size_t n = b->dims[b->rank - 1];
    if (b->rank == 1)
        hone__pool_run(pool, n, PIECE, flat, &j);
    else
        hone__pool_run(pool, b->outer, n >= PIECE ? 1 : PIECE / (n ? n : 1) + 1, runs, &j);
}
