/* ops_linear.c: products of tensors: matmul, einsum, tensordot and its kin, attention. */
#include <math.h>
#include <string.h>

#include "keras_ops.h"

kt *hone__k_swapped(kctx *c, kt *t, int a, int b)
{
    int64_t perm[HONE_MAX_RANK], dims[HONE_MAX_RANK];
    if (!t) return NULL;
    for (int i = 0; i < t->rank; i++) perm[i] = i;
    if (a < t->rank && b < t->rank) perm[a] = b, perm[b] = a;
    for (int i = 0; i < t->rank; i++) dims[i] = t->dims[perm[i]];
    return hone__kt_new(c, K_PLAIN, hone__k_transpose(c, hone__kt_plain(c, t), t->rank, perm), t->dtype, t->rank, dims);
}

/* Products are worked out in float32; those of whole numbers are whole again. */
static kt *as_result(kctx *c, const kt *x, const kt *y, kt *z)
{
    bool whole = x->dtype != HONE_F32 && y->dtype != HONE_F32;
    return whole ? hone__kt_cast(c, z, HONE_I32) : z;
}

static kt *matmul(kctx *c, kt *x, kt *y)
{
    int rank;
    int64_t dims[HONE_MAX_RANK];
    if (!x || !y) return NULL;
    if (x->rank < 1 || y->rank < 1) {
        hone__k_refuse(c, "matmul of shapes %s and %s", hone__k_dims(c, x), hone__k_dims(c, y));
        return NULL;
    }
    int64_t k = x->dims[x->rank - 1], m = y->dims[y->rank > 1 ? y->rank - 2 : 0];
    if (k >= 0 && m >= 0 && k != m) {
        hone__k_shape_error(c, "matmul of shapes %s and %s", hone__k_dims(c, x), hone__k_dims(c, y));
        return NULL;
    }
    kt a = *x, b = *y; /* a vector is a row before, a column behind; its axis leaves again */
    if (a.rank == 1) a.rank = 2, a.dims[0] = 1, a.dims[1] = k;
    if (b.rank == 1) b.rank = 2, b.dims[1] = 1;
    int64_t rows = a.dims[a.rank - 2], columns = b.dims[b.rank - 1];
    a.dims[a.rank - 1] = a.dims[a.rank - 2] = b.dims[b.rank - 1] = b.dims[b.rank - 2] = 1;
    if (!hone__k_broadcast(c, &a, &b, &rank, dims)) return NULL;
    rank -= 2;
    if (x->rank > 1) dims[rank++] = rows;
    if (y->rank > 1) dims[rank++] = columns;
    hone__value *z = hone__k2(c, "MatMul", hone__kt_f32(c, x), hone__kt_f32(c, y));
    return as_result(c, x, y, hone__kt_new(c, K_PLAIN, z, HONE_F32, rank, dims));
}

hone_status hone__kop_matmul(kctx *c, klayer *l, kcall *call)
{
    kt *x = hone__kop_tensor(c, l, call, 0, "x1|a", true), *y = hone__kop_tensor(c, l, call, 1, "x2|b", true);
    if (!x || !y) return c->b.status;
    if (hone__kop_bool(l, call, -1, "transpose_a|adjoint_a", false) && x->rank > 1)
        x = hone__k_swapped(c, x, x->rank - 1, x->rank - 2);
    if (hone__kop_bool(l, call, -1, "transpose_b|adjoint_b", false) && y->rank > 1)
        y = hone__k_swapped(c, y, y->rank - 1, y->rank - 2);
    return hone__k_return(c, call, matmul(c, x, y));
}

/* ---- einsum ---- */

enum { MAX_OPERANDS = 8, MAX_EQUATION = 256 };

typedef struct equation {
    char text[MAX_EQUATION]; /* without spaces */
    int64_t size[128];       /* per letter; -2: none has it */
    int64_t dots[HONE_MAX_RANK];
    int dots_rank;
} equation;

/* The sizes that one term ("ab...c" up to `end`) gives to letters and to the axes of "...". */
static bool read_term(equation *e, const char *p, const char *end, const kt *t)
{
    int named = 0, axis = 0;
    bool dots = false;
    for (const char *q = p; q < end; q++) named += *q != '.';
    for (; p < end; p++) {
        if (*p == '.') {
            int n = t->rank - named;
            if (dots || n < 0 || end - p < 3 || strncmp(p, "...", 3) != 0) return false;
            for (int i = 0; i < n; i++, axis++) { /* aligned to the right; 1 broadcasts */
                int64_t *d = &e->dots[HONE_MAX_RANK - n + i];
                if (n > e->dots_rank && i < n - e->dots_rank) *d = 1;
                if (*d == 1 || (*d < 0 && t->dims[axis] > 1)) *d = t->dims[axis];
            }
            if (n > e->dots_rank) e->dots_rank = n;
            p += 2, dots = true;
        } else {
            if (*p < 'A' || *p > 'z' || axis >= t->rank) return false;
            if (e->size[(int)*p] < 0) e->size[(int)*p] = t->dims[axis];
            axis++;
        }
    }
    return axis == t->rank;
}

/* Writes what an equation without "->" means: "..." and the letters that stand once, in the alphabet's order. */
static void spell_output(equation *e)
{
    size_t n = strlen(e->text);
    char out[64] = "->";
    size_t m = 2;
    if (strstr(e->text, "...")) memcpy(out + 2, "...", 3), m = 5;
    for (int ch = 'A'; ch <= 'z' && m + 1 < sizeof out; ch++) {
        const char *at = strchr(e->text, ch);
        if (at && !strchr(at + 1, ch)) out[m++] = (char)ch;
    }
    if (n + m < sizeof e->text) memcpy(e->text + n, out, m), e->text[n + m] = 0;
}

static kt *einsum(kctx *c, const char *text, kt **in, int count)
{
    equation e = {.dots_rank = 0};
    hone__value *x[MAX_OPERANDS];
    int64_t dims[2 * HONE_MAX_RANK];
    size_t n = 0;
    int rank = 0;
    for (const char *p = text; *p && n + 1 < sizeof e.text; p++)
        if (*p != ' ') e.text[n++] = *p;
    for (int i = 0; i < 128; i++) e.size[i] = -2;
    if (!strstr(e.text, "->")) spell_output(&e);
    const char *arrow = strstr(e.text, "->"), *p = e.text;
    if (!arrow || n + 1 >= sizeof e.text || count < 1 || count > MAX_OPERANDS) goto refuse;
    for (int i = 0; i < count; i++, p++) {
        const char *end = p + strcspn(p, ",-");
        if (!in[i] || p > arrow || !read_term(&e, p, end, in[i])) goto refuse;
        x[i] = hone__kt_f32(c, in[i]);
        if ((i == count - 1) != (end == arrow)) goto refuse;
        p = end;
    }
    for (p = arrow + 2; *p; p++) {
        if (*p == '.') {
            if (strncmp(p, "...", 3) != 0 || rank + e.dots_rank > HONE_MAX_RANK) goto refuse;
            for (int i = 0; i < e.dots_rank; i++) dims[rank++] = e.dots[HONE_MAX_RANK - e.dots_rank + i];
            p += 2;
        } else {
            if (*p < 'A' || *p > 'z' || e.size[(int)*p] == -2 || rank >= HONE_MAX_RANK) goto refuse;
            dims[rank++] = e.size[(int)*p];
        }
    }
    hone__value *y = hone__emit(&c->b, "Einsum", "einsum", x, count, HONE__ATTRS(hone__a_string("equation", e.text)));
    return hone__kt_new(c, K_PLAIN, y, HONE_F32, rank, dims);
refuse:
    hone__k_refuse(c, "equation '%s' does not fit its %d operands", text, count);
    return NULL;
}

hone_status hone__kop_einsum(kctx *c, klayer *l, kcall *call)
{
    const char *eq = json_string_value(hone__kop_arg(l, call, -1, "subscripts|equation"));
    kt *in[MAX_OPERANDS];
    int n = 0;
    if (!eq) eq = json_string_value(hone__kop_arg(l, call, 0, "subscripts"));
    if (!eq || (!call->args && call->in_count == 0))
        return hone__k_refuse(c,
                              "an einsum whose operands the file does not hold; EinsumDense or ops.einsum keep them");
    size_t given = call->args ? json_array_size(call->args) : 0;
    for (size_t i = 0; i < given && n < MAX_OPERANDS && c->b.status == HONE_OK; i++)
        if (!json_is_string(json_array_get(call->args, i)))
            in[n++] = hone__kcall_tensor(c, call, json_array_get(call->args, i));
    if (!call->args) n = hone__kop_tensors(c, l, call, -1, "", in, MAX_OPERANDS);
    return hone__k_return(c, call, einsum(c, eq, in, n));
}

/* ---- tensordot and its kin ---- */

/* Axes a of x against axes b of y; what is left of x, then of y. */
static kt *contract(kctx *c, kt *x, kt *y, const int *a, const int *b, int n)
{
    char eq[3 * HONE_MAX_RANK + 8], *p = eq, letter = 'a', name[2][HONE_MAX_RANK] = {{0}};
    if (n == 1 && a[0] == x->rank - 1 && b[0] == 0 && y->rank == 2) return matmul(c, x, y);
    if (x->rank + y->rank - 2 * n > HONE_MAX_RANK || x->rank + y->rank > 26) {
        hone__k_refuse(c, "a product of shapes %s and %s", hone__k_dims(c, x), hone__k_dims(c, y));
        return NULL;
    }
    for (int i = 0; i < n; i++) {
        int64_t p0 = x->dims[a[i]], p1 = y->dims[b[i]];
        if (p0 >= 0 && p1 >= 0 && p0 != p1)
            hone__k_shape_error(c, "a product of shapes %s and %s", hone__k_dims(c, x), hone__k_dims(c, y));
        name[0][a[i]] = name[1][b[i]] = letter++;
    }
    for (int k = 0; k < 2; k++) {
        const kt *t = k ? y : x;
        for (int i = 0; i < t->rank; i++) *p++ = name[k][i] ? name[k][i] : (char)(name[k][i] = letter++);
        if (k == 0) *p++ = ',';
    }
    *p++ = '-', *p++ = '>';
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < (k ? y : x)->rank; i++)
            if (name[k][i] - 'a' >= n) *p++ = name[k][i];
    *p = 0;
    return as_result(c, x, y, einsum(c, eq, (kt *[]){x, y}, 2));
}

hone_status hone__kop_tensordot(kctx *c, klayer *l, kcall *call)
{
    kt *x = hone__kop_tensor(c, l, call, 0, "x1|a", true), *y = hone__kop_tensor(c, l, call, 1, "x2|b", true);
    const json_t *axes = hone__kop_arg(l, call, 2, "axes");
    double list[2][HONE_MAX_RANK];
    int at[2][HONE_MAX_RANK], n, m;
    if (!x || !y) return c->b.status;
    if (json_is_array(axes)) {
        n = hone__kop_list(json_array_get(axes, 0), list[0], HONE_MAX_RANK);
        m = hone__kop_list(json_array_get(axes, 1), list[1], HONE_MAX_RANK);
    } else {
        double count = axes ? hone__kjson_num(axes, -1) : 2;
        n = m = count >= 0 && count <= HONE_MAX_RANK ? (int)count : -1;
        for (int i = 0; i < n; i++) list[0][i] = i - n, list[1][i] = i;
    }
    if (n < 0 || n != m || n > x->rank || n > y->rank) return hone__k_refuse(c, "axes that do not pair");
    unsigned seen[2] = {0, 0};
    for (int i = 0; i < 2 * n; i++) {
        int k = i & 1, axis = hone__kaxis(c, (int64_t)list[k][i / 2], (k ? y : x)->rank);
        if (seen[k] >> axis & 1) return hone__k_shape_error(c, "an axis twice");
        seen[k] |= 1u << axis, at[k][i / 2] = axis;
    }
    return hone__k_return(c, call, contract(c, x, y, at[0], at[1], n));
}

enum { DOT, INNER, VDOT, OUTER };

hone_status hone__kop_dot(kctx *c, klayer *l, kcall *call)
{
    kt *x = hone__kop_tensor(c, l, call, 0, "x1|a", true), *y = hone__kop_tensor(c, l, call, 1, "x2|b", true);
    int v = l->kind->variant;
    if (!x || !y) return c->b.status;
    if (v == OUTER || v == VDOT) {
        x = hone__k_reshaped(c, x, v == OUTER ? 2 : 1, (int64_t[]){-1, 1});
        y = hone__k_reshaped(c, y, 1, (int64_t[]){-1});
        if (!x || !y) return c->b.status;
    }
    if (v == OUTER || x->rank == 0 || y->rank == 0) return hone__k_return(c, call, hone__k_binary(c, "Mul", x, y));
    int a = x->rank - 1, b = v == INNER || y->rank == 1 ? y->rank - 1 : y->rank - 2;
    return hone__k_return(c, call, contract(c, x, y, &a, &b, 1));
}

/* ---- attention: query [batch, time, heads, size], key and value [batch, time, heads or fewer, size] ---- */

/* Each head `groups` times, one after the other. */
static kt *repeat_heads(kctx *c, kt *t, int64_t groups)
{
    int64_t dims[4] = {t->dims[0], t->dims[1], t->dims[2] * groups, t->dims[3]};
    hone__value *x = hone__k2(c, "Tile", hone__k_unsqueeze(c, hone__kt_plain(c, t), 3),
                              hone__k_ints(c, (int64_t[]){1, 1, 1, groups, 1}, 5));
    return hone__kt_new(c, K_PLAIN, hone__k_reshape(c, x, 4, (int64_t[]){0, 0, dims[2], dims[3]}), t->dtype, 4, dims);
}

static hone__value *causal_scores(kctx *c, hone__value *scores, hone__value *mask)
{
    hone__value *ones = hone__k2(c, "Expand", hone__k_scalar(c, 1, HONE_F32), hone__k_shape_of(c, scores, 2, 4));
    hone__value *lower = hone__emit(&c->b, "Trilu", "causal", HONE__INS(ones), HONE__ATTRS(hone__a_int("upper", 0)));
    lower = hone__k_cast(c, lower, HONE_BOOL);
    return mask ? hone__k2(c, "And", mask, lower) : lower;
}

hone_status hone__kop_attention(kctx *c, klayer *l, kcall *call)
{
    kt *q = hone__kt_cast(c, hone__kop_tensor(c, l, call, 0, "query", true), HONE_F32),
       *k = hone__kt_cast(c, hone__kop_tensor(c, l, call, 1, "key", true), HONE_F32),
       *v = hone__kt_cast(c, hone__kop_tensor(c, l, call, 2, "value", true), HONE_F32);
    if (!q || !k || !v) return c->b.status;
    if (q->rank != 4 || k->rank != 4 || v->rank != 4 || q->dims[3] < 1 || k->dims[3] != q->dims[3])
        return hone__k_shape_error(c, "query, key and value of shapes %s, %s and %s", hone__k_dims(c, q),
                                   hone__k_dims(c, k), hone__k_dims(c, v));
    const json_t *bias = hone__kop_arg(l, call, 3, "bias"), *given = hone__kop_arg(l, call, 4, "mask");
    double scale = hone__kop_num(l, call, 5, "scale", 1 / sqrt((double)q->dims[3]));
    int64_t heads = q->dims[2], fewer = k->dims[2];
    if (fewer > 1 && heads > fewer && v->dims[2] == fewer && k->dims[3] > 0 && v->dims[3] > 0) {
        if (heads % fewer) return hone__k_shape_error(c, "%lld heads share %lld", (long long)heads, (long long)fewer);
        k = repeat_heads(c, k, heads / fewer), v = repeat_heads(c, v, heads / fewer);
    }
    if (!k || !v) return c->b.status;
    const int64_t to_heads[4] = {0, 2, 1, 3}, to_columns[4] = {0, 2, 3, 1};
    hone__value *scores = hone__k2(c, "MatMul", hone__k_transpose(c, hone__kt_plain(c, q), 4, to_heads),
                                   hone__k_transpose(c, hone__kt_plain(c, k), 4, to_columns)),
                *mask = NULL;
    scores = hone__k2(c, "Mul", scores, hone__k_scalar(c, scale, HONE_F32));
    kt *b = bias ? hone__kcall_tensor(c, call, bias) : NULL, *m = given ? hone__kcall_tensor(c, call, given) : NULL;
    if ((bias && !b) || (given && !m)) return hone__k_refuse(c, "a bias or a mask that is not a tensor");
    if (b) scores = hone__k2(c, "Add", scores, hone__kt_f32(c, b));
    if (m) mask = hone__kt_plain(c, hone__kt_cast(c, m, HONE_BOOL));
    if (hone__kop_bool(l, call, -1, "is_causal", false)) mask = causal_scores(c, scores, mask);
    if (mask) {
        hone__value *low = hone__k_scalar(c, -0.7 * 3.4028234663852886e38, HONE_F32);
        scores = hone__emit(&c->b, "Where", "masked", HONE__INS(mask, scores, low), HONE__NO_ATTRS);
    }
    scores = hone__emit(&c->b, "Softmax", "softmax", HONE__INS(scores), HONE__ATTRS(hone__a_int("axis", -1)));
    hone__value *y = hone__k2(c, "MatMul", scores, hone__k_transpose(c, hone__kt_plain(c, v), 4, to_heads));
    int64_t dims[4] = {q->dims[0], q->dims[1], heads, v->dims[3]};
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, hone__k_transpose(c, y, 4, to_heads), HONE_F32, 4, dims));
}
