/* op_string_normalizer.c: StringNormalizer: drops the strings that are stop words, then changes the case of the rest by
 * the simple mappings of Unicode, in the locale C of ASCII letters alone. */
#include "base/utf8.h"
#include "string_values.h"

typedef enum change { KEEP, LOWER, UPPER } change;

static hone_status read_change(const hone__node *n, change *out)
{
    static const char *const names[] = {"NONE", "LOWER", "UPPER"};
    const char *name = hone__node_string(n, "case_change_action", "NONE");
    for (int i = 0; i < 3; i++)
        if (!strcmp(name, names[i])) {
            *out = (change)i;
            return HONE_OK;
        }
    return hone__fail(HONE_E_UNSUPPORTED, "case_change_action '%.40s'", name);
}

static hone_status infer_normalizer(hone__infer *x)
{
    change c;
    const hone__shape *s = &x->in[0].shape;
    HONE__TRY(hone__infer_arity(x, 1, 1));
    HONE__TRY(hone__infer_strings(x, 0));
    HONE__TRY(read_change(x->node, &c));
    x->out[0].dtype = HONE_STRING;
    if (s->rank < 0) return HONE_OK;
    if (s->rank < 1 || s->rank > 2 || (s->rank == 2 && s->dims[0] >= 0 && s->dims[0] != 1))
        return hone__fail(HONE_E_SHAPE, "input 0 has another shape than [C] or [1, C]");
    hone__infer_set(x, 0, HONE_STRING, s->rank, s->rank == 1 ? (int64_t[]){-1} : (int64_t[]){1, -1});
    return HONE_OK;
}

static uint32_t folded(uint32_t c, change how)
{
    return how == LOWER ? hone__lower(c) : how == UPPER ? hone__upper(c) : c;
}

static bool same_folded(hone__string a, hone__string b, change how)
{
    const char *p = a.data, *q = b.data, *pe = p + a.size, *qe = q + b.size;
    while (p < pe && q < qe)
        if (folded(hone__utf8_take(&p, pe), how) != folded(hone__utf8_take(&q, qe), how)) return false;
    return p == pe && q == qe;
}

static bool is_stop_word(const hone__node *n, hone__string s, change how)
{
    const hone__attr *stop = hone__node_attr(n, "stopwords");
    bool exact = hone__node_int(n, "is_case_sensitive", 0) != 0;
    if (how == KEEP) how = LOWER; /* without regard to case */
    for (size_t i = 0; stop && stop->kind == HONE__ATTR_STRINGS && i < stop->count; i++) {
        hone__string w = stop->strings[i];
        if (!s.size || !w.size ? s.size == w.size : exact ? hone__string_same(s, w) : same_folded(s, w, how))
            return true;
    }
    return false;
}

/* The C locale knows no letters beyond ASCII. */
static hone_status change_ascii(hone__run *r, hone__string s, change how, hone__string *out)
{
    char *text, first = how == LOWER ? 'A' : 'a';
    HONE__TRY(r->text(r, s.size, &text));
    *out = (hone__string){text, s.size};
    for (size_t i = 0; i < s.size; i++)
        text[i] = s.data[i] >= first && s.data[i] < first + 26 ? (char)(s.data[i] ^ 0x20) : s.data[i];
    return HONE_OK;
}

static hone_status change_case(hone__run *r, hone__string s, change how, hone__string *out)
{
    const char *locale = hone__node_string(r->node, "locale", "");
    char *text, unit[4];
    size_t size = 0;
    *out = s;
    if (how == KEEP || !s.size) return HONE_OK;
    if (!strcmp(locale, "C") || !strcmp(locale, "POSIX")) return change_ascii(r, s, how, out);
    for (const char *p = s.data, *end = p + s.size; p < end;)
        size += hone__utf8_put(folded(hone__utf8_take(&p, end), how), unit);
    HONE__TRY(r->text(r, size, &text));
    *out = (hone__string){text, size};
    for (const char *p = s.data, *end = p + s.size; p < end;)
        text += hone__utf8_put(folded(hone__utf8_take(&p, end), how), text);
    return HONE_OK;
}

static hone_status run_normalizer(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    change how;
    size_t kept = 0;
    HONE__TRY(read_change(r->node, &how));
    if (x->rank < 1 || x->rank > 2 || (x->rank == 2 && x->dims[0] != 1))
        return hone__fail(HONE_E_SHAPE, "input 0 has another shape than [C] or [1, C]");
    for (size_t i = 0; i < x->count; i++) kept += !is_stop_word(r->node, hone__strings_in(r, 0)[i], how);
    int64_t n = kept ? (int64_t)kept : 1;
    HONE__TRY(hone__run_output(r, 0, HONE_STRING, x->rank, x->rank == 1 ? &n : (int64_t[]){1, n}));
    if (!r->out[0]) return HONE_OK;
    hone__string *y = hone__out_data(r, 0);
    y[0] = (hone__string){"", 0};
    for (size_t i = 0; i < x->count; i++) {
        if (is_stop_word(r->node, hone__strings_in(r, 0)[i], how)) continue;
        HONE__TRY(change_case(r, hone__strings_in(r, 0)[i], how, y++));
    }
    return HONE_OK;
}
const hone__op hone__op_string_normalizer = {"",   "StringNormalizer", infer_normalizer,
                                             NULL, run_normalizer,     HONE__OP_STRINGS | HONE__OP_LATE};
