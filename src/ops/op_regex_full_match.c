/* op_regex_full_match.c: RegexFullMatch: which strings a pattern matches as a whole. */
#include "regex.h"
#include "string_values.h"

static hone_status infer_match(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    HONE__TRY(hone__infer_strings(x, 0));
    x->out[0] = (hone__type){HONE_BOOL, x->in[0].shape};
    return HONE_OK;
}

static hone_status prepare_match(hone__prepare *p)
{
    const hone__attr *a = hone__node_attr(p->node, "pattern");
    hone__regex *re;
    if (!a || a->kind != HONE__ATTR_STRING) return hone__fail(HONE_E_SHAPE, "attribute pattern is missing");
    HONE__TRY(hone__regex_compile(a->s, p->arena, &re));
    p->state = re;
    p->scratch = hone__regex_scratch(re);
    return HONE_OK;
}

static hone_status run_match(hone__run *r)
{
    static const char nothing[1];
    uint8_t *y = hone__out_data(r, 0);
    for (size_t i = 0; i < r->in[0]->count; i++) {
        hone__string s = hone__strings_in(r, 0)[i];
        if (!s.size) s.data = nothing;
        y[i] = hone__regex_matches(r->state, s, r->scratch);
    }
    return HONE_OK;
}
const hone__op hone__op_regex_full_match = {"",        "RegexFullMatch", infer_match, prepare_match,
                                            run_match, HONE__OP_STRINGS};
