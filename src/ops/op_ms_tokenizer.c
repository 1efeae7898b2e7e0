/* op_ms_tokenizer.c: com.microsoft's Tokenizer: each string becomes a row of its characters, of what stands between
 * matches of separators, or of the matches of one expression; rows are padded to the longest. Expressions are RE2's,
 * leftmost and longest. */
#include "base/utf8.h"
#include "regex.h"
#include "string_values.h"

enum { EXPRESSIONS = 64 };
#define STEPS_MAX ((size_t)1 << 33) /* states that all matches of one run may look at */

typedef struct plan {
    bool characters, between; /* between: tokens lie between matches */
    size_t count;
    hone__regex *re[EXPRESSIONS];
} plan;

static hone_status infer_tokenizer(hone__infer *x)
{
    const hone__shape *s = &x->in[0].shape;
    HONE__TRY(hone__infer_arity(x, 1, 1));
    HONE__TRY(hone__infer_strings(x, 0));
    if (s->rank >= 0 && s->rank != 1 && s->rank != 2) return hone__fail(HONE_E_SHAPE, "the input has rank %d", s->rank);
    x->out[0] = (hone__type){HONE_STRING, *s, 0};
    if (s->rank < 0) return HONE_OK;
    x->out[0].shape.dims[x->out[0].shape.rank++] = -1;
    return HONE_OK;
}

static hone_status prepare_tokenizer(hone__prepare *p)
{
    const hone__attr *separators = hone__node_attr(p->node, "separators"), *one = hone__node_attr(p->node, "tokenexp");
    plan *q = hone__arena_zalloc(p->arena, sizeof *q);
    if (!q) return hone__out_of_memory(sizeof *q);
    bool list = separators && separators->kind == HONE__ATTR_STRINGS && separators->count;
    bool single = one && one->kind == HONE__ATTR_STRING && one->s.size;
    if (list == single) return hone__fail(HONE_E_ARGUMENT, "expected either separators or tokenexp");
    q->between = list;
    q->characters = list ? separators->count == 1 && !separators->strings[0].size : false;
    p->state = q;
    if (q->characters) return HONE_OK;
    q->count = list ? separators->count : 1;
    if (q->count > EXPRESSIONS) return hone__fail(HONE_E_LIMIT, "%zu separators", q->count);
    for (size_t i = 0; i < q->count; i++) {
        if (list && !separators->strings[i].size) return hone__fail(HONE_E_ARGUMENT, "separator %zu is empty", i);
        HONE__TRY(hone__regex_compile(list ? separators->strings[i] : one->s, p->arena, &q->re[i]));
        size_t need = hone__regex_scratch(q->re[i]);
        if (need > p->scratch) p->scratch = need;
    }
    return HONE_OK;
}

/* Where tokens go: y NULL only counts. */
typedef struct sink {
    hone__string *y;
    size_t count, steps;
    int64_t least; /* characters of a token */
    void *scratch;
} sink;

static void take(sink *s, const char *data, size_t size)
{
    int64_t characters = 0;
    for (const char *p = data; p < data + size; characters++) hone__utf8_take(&p, data + size);
    if (!size || characters < s->least) return;
    if (s->y) s->y[s->count] = (hone__string){data, size};
    s->count++;
}

/* The next match in a text at or behind *at. */
static bool find(const hone__regex *re, hone__string text, size_t *at, size_t *size, sink *s)
{
    while (*at <= text.size && s->steps <= STEPS_MAX) {
        *size = hone__regex_longest(re, text, *at, s->scratch, &s->steps);
        if (*size != SIZE_MAX) return true;
        const char *p = text.data + *at;
        if (*at == text.size) return false;
        hone__utf8_take(&p, text.data + text.size);
        *at = (size_t)(p - text.data);
    }
    return false;
}

/* Behind a match; behind the next character after an empty one. */
static size_t behind(hone__string text, size_t at, size_t size)
{
    const char *p = text.data + at;
    if (size || at >= text.size) return size ? at + size : text.size + 1;
    hone__utf8_take(&p, text.data + text.size);
    return (size_t)(p - text.data);
}

/* What stands between the matches of separator k on, each cut by the separators behind it. */
static void cut(const plan *q, size_t k, hone__string text, sink *s)
{
    if (k == q->count) {
        take(s, text.data, text.size);
        return;
    }
    size_t from = 0, at = 0, size;
    while (from <= text.size && find(q->re[k], text, &at, &size, s)) {
        cut(q, k + 1, (hone__string){text.data + from, at - from}, s);
        from = at = behind(text, at, size);
    }
    if (from < text.size) cut(q, k + 1, (hone__string){text.data + from, text.size - from}, s);
}

static void tokens_of(const plan *q, hone__string text, sink *s)
{
    static const char nothing[1];
    size_t at = 0, size;
    if (!text.size) text.data = nothing;
    if (q->characters) {
        for (const char *p = text.data, *end = p + text.size, *start; p < end;) {
            start = p;
            hone__utf8_take(&p, end);
            take(s, start, (size_t)(p - start));
        }
    } else if (q->between)
        cut(q, 0, text, s);
    else
        while (find(q->re[0], text, &at, &size, s)) {
            take(s, text.data + at, size);
            at = behind(text, at, size);
        }
}

static hone_status run_tokenizer(hone__run *r)
{
    const plan *q = r->state;
    const hone__tensor *x = r->in[0];
    const hone__attr *pad = hone__node_attr(r->node, "pad_value");
    size_t mark = hone__node_int(r->node, "mark", 0) != 0, most = 0, width;
    int64_t dims[HONE_MAX_RANK];
    sink s = {.least = hone__node_int(r->node, "mincharnum", 1), .scratch = r->scratch};
    for (size_t i = 0; i < q->count; i++) memset(r->scratch, 0, hone__regex_scratch(q->re[i]));
    for (size_t i = 0; i < x->count; i++) {
        s.count = 0;
        tokens_of(q, hone__strings_in(r, 0)[i], &s);
        if (s.count > most) most = s.count;
    }
    width = most ? most + 2 * mark : 0;
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank] = (int64_t)width;
    HONE__TRY(hone__run_output(r, 0, HONE_STRING, x->rank + 1, dims));
    if (!r->out[0] || !width) return HONE_OK;
    hone__string *y = hone__out_data(r, 0),
                 none = pad && pad->kind == HONE__ATTR_STRING ? pad->s : (hone__string){"", 0};
    for (size_t i = 0; i < x->count; i++, y += width) {
        s.count = 0;
        s.y = y + mark;
        tokens_of(q, hone__strings_in(r, 0)[i], &s);
        if (mark) y[0] = (hone__string){"\002", 1}, y[mark + s.count] = (hone__string){"\003", 1};
        for (size_t k = s.count + 2 * mark; k < width; k++) y[k] = none;
    }
    if (s.steps > STEPS_MAX) return hone__fail(HONE_E_LIMIT, "the expressions need too many steps for these texts");
    return HONE_OK;
}
const hone__op hone__op_ms_tokenizer = {"com.microsoft",   "Tokenizer",   infer_tokenizer,
                                        prepare_tokenizer, run_tokenizer, HONE__OP_STRINGS | HONE__OP_LATE};
