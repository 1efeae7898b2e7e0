/* op_string.c: StringConcat and StringSplit. */
#include "base/utf8.h"
#include "broadcast.h"
#include "string_values.h"

static hone_status infer_concat(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    HONE__TRY(hone__infer_strings(x, 0));
    HONE__TRY(hone__infer_strings(x, 1));
    x->out[0].dtype = HONE_STRING;
    return hone__broadcast(&x->in[0].shape, &x->in[1].shape, &x->out[0].shape);
}

typedef struct concat_job {
    hone__run *r;
    hone_status status;
} concat_job;

static void concat_run(void *ctx, size_t out, const size_t *at, const size_t *step, size_t n)
{
    concat_job *j = ctx;
    for (size_t i = 0; i < n && j->status == HONE_OK; i++) {
        hone__string a = hone__strings_in(j->r, 0)[at[0] + i * step[0]],
                     b = hone__strings_in(j->r, 1)[at[1] + i * step[1]];
        hone__string *y = (hone__string *)hone__out_data(j->r, 0) + out + i;
        size_t size;
        char *text = NULL;
        if (!hone__add_size(a.size, b.size, &size))
            j->status = hone__fail(HONE_E_LIMIT, "a string of over 2^64 bytes");
        else
            j->status = j->r->text(j->r, size, &text);
        if (j->status != HONE_OK) return;
        if (a.size) memcpy(text, a.data, a.size);
        if (b.size) memcpy(text + a.size, b.data, b.size);
        *y = (hone__string){text, size};
    }
}

static hone_status run_concat(hone__run *r)
{
    concat_job j = {r, HONE_OK};
    hone__bcast w;
    hone__bcast_init(&w, r->out[0], r->in, 2);
    hone__bcast_run(&w, NULL, concat_run, &j);
    return j.status;
}
const hone__op hone__op_string_concat = {"", "StringConcat", infer_concat, NULL, run_concat, HONE__OP_STRINGS};

static hone_status infer_split(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    HONE__TRY(hone__infer_strings(x, 0));
    const hone__shape *s = &x->in[0].shape;
    x->out[0].dtype = HONE_STRING;
    if (x->output_count > 1) x->out[1] = (hone__type){HONE_I64, *s};
    if (s->rank < 0) return HONE_OK;
    if (s->rank >= HONE_MAX_RANK) return hone__fail(HONE_E_UNSUPPORTED, "rank over %d", HONE_MAX_RANK);
    x->out[0].shape = *s;
    x->out[0].shape.dims[x->out[0].shape.rank++] = -1;
    return HONE_OK;
}

/* What is left of a text that is being split. */
typedef struct splitter {
    const char *p, *end;
    hone__string delimiter; /* empty: runs of white space */
    int64_t splits;         /* allowed still; -1: no limit */
    bool done;
} splitter;

static bool is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* The first place from p on that is white space (`want`) or is not. */
static const char *seek_space(const char *p, const char *end, bool want)
{
    while (p < end) {
        const char *next = p;
        if (is_space(hone__utf8_take(&next, end)) == want) break;
        p = next;
    }
    return p;
}

static const char *find_text(const char *p, const char *end, hone__string what)
{
    for (; (size_t)(end - p) >= what.size; p++) {
        p = memchr(p, what.data[0], (size_t)(end - p));
        if (!p || (size_t)(end - p) < what.size) break;
        if (!memcmp(p, what.data, what.size)) return p;
    }
    return end;
}

static bool next_part(splitter *s, hone__string *out)
{
    if (s->done) return false;
    bool spaces = !s->delimiter.size;
    if (spaces) s->p = seek_space(s->p, s->end, false);
    if (spaces && s->p == s->end) return false;
    const char *stop = s->end;
    if (s->splits)
        stop = spaces           ? seek_space(s->p, s->end, true)
               : s->p == s->end ? s->end
                                : find_text(s->p, s->end, s->delimiter);
    if (s->splits > 0) s->splits--;
    *out = (hone__string){s->p, (size_t)(stop - s->p)};
    s->done = stop == s->end;
    s->p = spaces || s->done ? stop : stop + s->delimiter.size;
    return true;
}

static splitter start_split(const hone__run *r, size_t i)
{
    static const char nothing[1];
    const hone__attr *d = hone__node_attr(r->node, "delimiter");
    hone__string x = hone__strings_in(r, 0)[i];
    if (!x.size) x.data = nothing;
    return (splitter){.p = x.data,
                      .end = x.data + x.size,
                      .delimiter = d && d->kind == HONE__ATTR_STRING ? d->s : (hone__string){0},
                      .splits = hone__node_int(r->node, "maxsplit", -1)};
}

static hone_status run_split(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    size_t most = 0;
    hone__string part;
    int64_t dims[HONE_MAX_RANK];
    if (r->output_count > 1) HONE__TRY(hone__run_output(r, 1, HONE_I64, x->rank, x->dims));
    for (size_t i = 0; i < x->count; i++) {
        size_t n = 0;
        for (splitter s = start_split(r, i); next_part(&s, &part);) n++;
        if (n > most) most = n;
        if (r->output_count > 1 && r->out[1]) ((int64_t *)hone__out_data(r, 1))[i] = (int64_t)n;
    }
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank] = (int64_t)most;
    HONE__TRY(hone__run_output(r, 0, HONE_STRING, x->rank + 1, dims));
    if (!r->out[0]) return HONE_OK;
    hone__string *y = hone__out_data(r, 0);
    for (size_t i = 0; i < x->count; i++, y += most) {
        size_t n = 0;
        for (splitter s = start_split(r, i); next_part(&s, &part);) y[n++] = part;
        for (; n < most; n++) y[n] = (hone__string){"", 0};
    }
    return HONE_OK;
}
const hone__op hone__op_string_split = {"",   "StringSplit", infer_split,
                                        NULL, run_split,     HONE__OP_STRINGS | HONE__OP_LATE};
