/* layer_text.c: TextVectorization. Keras works on bytes: only ASCII letters change their case, only ASCII white space
 * separates words. Standard ONNX operators say the same:
 *   a character is removed: StringSplit at it, then a Scan that joins the parts;
 *   words: StringSplit at each kind of white space, then what is not empty moves to the front. */
#include <string.h>

#include "keras_lookup.h"
#include "keras_rnn.h"

static hone__value *split_at(kctx *c, hone__value *x, char at)
{
    hone__value *out[2]; /* ONNX Runtime wants the counts to be there */
    hone__emit_multi(&c->b, "StringSplit", "split", HONE__INS(x),
                     HONE__ATTRS(hone__a_string("delimiter", (char[]){at, 0})), out, 2);
    return out[0];
}

static hone__value *constant_text(kctx *c, const char *s, int rank)
{
    hone__tensor t;
    int64_t one[HONE_MAX_RANK] = {1, 1};
    hone__string text = {s, strlen(s)};
    if (c->b.status != HONE_OK || hone__builder_fail(&c->b, hone__tensor_strings(rank, one, &text, &t)) != HONE_OK)
        return NULL;
    return hone__emit_tensor(&c->b, "text", &t);
}

/* x: [n] without a character. */
static hone__value *without(kctx *c, hone__value *x, char gone)
{
    hone__value *parts = hone__k_transpose(c, split_at(c, x, gone), 2, (int64_t[]){1, 0});
    hone__value *start = hone__k2(c, "Expand", constant_text(c, "", 1), hone__k1(c, "Shape", x));
    return hone__kscan_fold(c, "StringConcat", start, parts, HONE_STRING);
}

static hone__value *standardized(kctx *c, const klayer *l, hone__value *x)
{
    const json_t *how = hone__kcfg(l, "standardize");
    const char *s = json_string_value(how);
    if (!how) return x;
    bool both = s && strcmp(s, "lower_and_strip_punctuation") == 0, lower = both || (s && strcmp(s, "lower") == 0),
         strip = both || (s && strcmp(s, "strip_punctuation") == 0);
    if (!lower && !strip) {
        hone__k_refuse(c, "standardize '%s': lower_and_strip_punctuation, lower, strip_punctuation and None are known",
                       s ? s : "of its own code");
        return NULL;
    }
    if (lower)
        x = hone__emit(&c->b, "StringNormalizer", "lower", HONE__INS(x),
                       HONE__ATTRS(hone__a_string("case_change_action", "LOWER"), hone__a_string("locale", "C")));
    for (const char *p = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"; strip && *p; p++) x = without(c, x, *p);
    return x;
}

/* Words of each row, some of them empty: [n, parts]. */
typedef struct kwords {
    hone__value *words, *valid; /* valid: bool [n, parts] */
} kwords;

/* Where each valid element of a row belongs when the others leave: int64 [n, parts]. */
static hone__value *places(kctx *c, hone__value *valid)
{
    hone__value *count = hone__k_cast(c, valid, HONE_I64);
    return hone__emit(&c->b, "CumSum", "place", HONE__INS(count, hone__k_scalar(c, 1, HONE_I64)),
                      HONE__ATTRS(hone__a_int("exclusive", 1)));
}

/* Valid elements of v: int64 [n, parts] to the front, `more` columns of zeros behind. What is invalid adds 0. */
static hone__value *to_front(kctx *c, hone__value *v, hone__value *valid, int64_t more)
{
    hone__value *kept = hone__k2(c, "Mul", v, hone__k_cast(c, valid, HONE_I64));
    hone__value *zeros = hone__k2(c, "Mul", kept, hone__k_scalar(c, 0, HONE_I64));
    if (more)
        zeros = hone__emit(&c->b, "Pad", "pad", HONE__INS(zeros, hone__k_ints(c, (int64_t[]){0, 0, 0, more}, 4)),
                           HONE__ATTRS(hone__a_string("mode", "constant")));
    return hone__emit(&c->b, "ScatterElements", "front", HONE__INS(zeros, places(c, valid), kept),
                      HONE__ATTRS(hone__a_int("axis", 1), hone__a_string("reduction", "add")));
}

static hone__value *row_counts(kctx *c, hone__value *valid)
{
    int64_t axis = 1;
    return hone__k_reduce(c, "ReduceSum", hone__k_cast(c, valid, HONE_I64), &axis, 1, true);
}

/* int64 [1, parts]: 0, 1, 2, ... for a value of [n, parts]. */
static hone__value *column_numbers(kctx *c, hone__value *x)
{
    hone__value *width = hone__k_squeeze(c, hone__k_shape_of(c, x, 1, 2), 0);
    hone__value *range =
        hone__emit(&c->b, "Range", "columns",
                   HONE__INS(hone__k_scalar(c, 0, HONE_I64), width, hone__k_scalar(c, 1, HONE_I64)), HONE__NO_ATTRS);
    return hone__k_unsqueeze(c, range, 0);
}

/* Texts [n] to their words, in order, at the front of each row. One empty part stays behind, so that no axis is empty.
 */
static kwords split_words(kctx *c, hone__value *x)
{
    static const int64_t flat[2] = {0, -1};
    hone__value *parts = split_at(c, x, ' ');
    for (const char *p = "\t\n\v\f\r"; *p; p++) parts = hone__k_reshape(c, split_at(c, parts, *p), 2, flat);
    hone__value *end[2] = {hone__k_shape_of(c, x, 0, 1), hone__k_int(c, 1)};
    hone__value *joined[2] = {parts, hone__k2(c, "Expand", constant_text(c, "", 2), hone__k_concat(c, end, 2, 0))};
    parts = hone__k_concat(c, joined, 2, 1);
    hone__value *empty = hone__k2(c, "Equal", parts, constant_text(c, "", 2));
    return (kwords){.words = parts, .valid = hone__k1(c, "Not", empty)};
}

/* Words come together so that neighbours are neighbours. */
static kwords packed(kctx *c, kwords w)
{
    hone__value *at = hone__k2(c, "Mul", column_numbers(c, w.words),
                               hone__k_cast(c, w.valid, HONE_I64)); /* [n, parts], by broadcasting */
    hone__value *from = to_front(c, at, w.valid, 0);
    hone__value *words =
        hone__emit(&c->b, "GatherElements", "packed", HONE__INS(w.words, from), HONE__ATTRS(hone__a_int("axis", 1)));
    return (kwords){.words = words, .valid = hone__k2(c, "Less", column_numbers(c, words), row_counts(c, w.valid))};
}

/* Every run of `width` words, joined by blanks. */
static kwords grams(kctx *c, kwords w, int64_t width)
{
    hone__value *y = w.words, *blank = constant_text(c, " ", 2), *parts = hone__k_shape_of(c, w.words, 1, 2);
    hone__value *room[2] = {hone__k_shape_of(c, w.words, 0, 1), hone__k_int(c, width)};
    hone__value *wide[2] = {w.words, hone__k2(c, "Expand", constant_text(c, "", 2), hone__k_concat(c, room, 2, 0))};
    if (width == 1) return w;
    hone__value *padded = hone__k_concat(c, wide, 2, 1);
    for (int64_t i = 1; i < width; i++) {
        hone__value *next = hone__emit(
            &c->b, "Slice", "next",
            HONE__INS(padded, hone__k_int(c, i), hone__k2(c, "Add", parts, hone__k_int(c, i)), hone__k_int(c, 1)),
            HONE__NO_ATTRS);
        y = hone__k2(c, "StringConcat", hone__k2(c, "StringConcat", y, blank), next);
    }
    hone__value *last = hone__k2(c, "Add", column_numbers(c, y), hone__k_scalar(c, (double)(width - 1), HONE_I64));
    return (kwords){.words = y, .valid = hone__k2(c, "Less", last, row_counts(c, w.valid))};
}

enum { MAX_GRAMS = 16 };

/* The n-grams of every width, one width after the other. */
static bool all_grams(kctx *c, const json_t *spec, kwords *w)
{
    int64_t widths[MAX_GRAMS];
    hone__value *words[MAX_GRAMS], *valid[MAX_GRAMS];
    size_t n = json_is_array(spec)     ? json_array_size(spec)
               : json_is_integer(spec) ? (size_t)json_integer_value(spec)
                                       : 0;
    for (size_t i = 0; i < n && i < MAX_GRAMS; i++) {
        const json_t *one = json_array_get(spec, i);
        widths[i] = json_is_array(spec) ? json_is_integer(one) ? json_integer_value(one) : 0 : (int64_t)i + 1;
        if (widths[i] < 1 || widths[i] > MAX_GRAMS) n = 0;
    }
    if (n < 1 || n > MAX_GRAMS)
        return hone__k_refuse(c, "ngrams that are not 1 to %d widths of 1 to %d", MAX_GRAMS, MAX_GRAMS) == HONE_OK;
    for (size_t i = 0; i < n; i++) {
        kwords g = grams(c, *w, widths[i]);
        words[i] = g.words, valid[i] = g.valid;
    }
    *w = (kwords){.words = hone__k_concat(c, words, (int)n, 1), .valid = hone__k_concat(c, valid, (int)n, 1)};
    return c->b.status == HONE_OK;
}

/* ids: int64 [n, parts] to rows of the setting's length, or of the longest row's. */
static kt *rows_of_ids(kctx *c, hone__value *ids, hone__value *valid, int64_t batch, int64_t length)
{
    int64_t axis = 0;
    hone__value *y = to_front(c, ids, valid, length > 0 ? length : 0), *end = hone__k_int(c, length);
    if (length < 0) end = hone__k_reduce(c, "ReduceMax", hone__k_squeeze(c, row_counts(c, valid), 1), &axis, 1, true);
    y = hone__emit(&c->b, "Slice", "rows", HONE__INS(y, hone__k_int(c, 0), end, hone__k_int(c, 1)), HONE__NO_ATTRS);
    return hone__kt_new(c, K_PLAIN, y, HONE_I64, 2, (int64_t[]){batch, length < 0 ? -1 : length});
}

/* Words (or, with no split, whole texts) to ids of the output mode. x: [n], or as t. */
static kt *vectorized(kctx *c, klayer *l, kt *t, hone__value *x, const klookup *k, const kvocabulary *v, bool split)
{
    const json_t *ngrams = hone__kcfg(l, "ngrams");
    bool cut = k->whole && hone__kcfg(l, "output_sequence_length");
    int64_t length = cut ? hone__kcfg_int(c, l, "output_sequence_length", 1, 1, 1 << 24) : -1,
            dropped = k->whole ? 0 : K_DROPPED;
    if (!split && !ngrams && length < 0)
        return hone__kt_new(c, K_PLAIN, hone__klookup_emit(c, k, v, x, dropped), HONE_I64, t->rank, t->dims);
    if (!split && t->rank != 2) {
        hone__k_refuse(c, "texts of shape %s that are not split", hone__k_dims(c, t));
        return NULL;
    }
    kwords w = split ? split_words(c, x) : (kwords){x, hone__k2(c, "Equal", x, x)}; /* every text is a word */
    if (split && ngrams) w = packed(c, w);
    if (ngrams && !all_grams(c, ngrams, &w)) return NULL;
    hone__value *ids = hone__klookup_emit(c, k, v, w.words, dropped);
    if (k->whole) return rows_of_ids(c, ids, w.valid, t->dims[0], length);
    ids = hone__emit(&c->b, "Where", "known", HONE__INS(w.valid, ids, hone__k_scalar(c, K_DROPPED, HONE_I64)),
                     HONE__NO_ATTRS);
    return hone__kt_new(c, K_PLAIN, ids, HONE_I64, 2, (int64_t[]){t->dims[0], -1});
}

hone_status hone__klayer_text(kctx *c, klayer *l, kcall *call)
{
    kt *t = call->in[0];
    klookup k;
    kvocabulary v;
    const json_t *splits = hone__kcfg(l, "split");
    const char *how = json_string_value(splits);
    if (splits && (!how || strcmp(how, "whitespace") != 0))
        return hone__k_refuse(c,
                              "split '%s': no ONNX operator takes texts apart like that; whitespace and None are known",
                              how ? how : "of its own code");
    if (t->dtype != HONE_STRING || t->rank < 1 || t->rank > 2)
        return hone__k_shape_error(c, "an input of shape %s that is not of one text each", hone__k_dims(c, t));
    if (splits && t->rank == 2 && t->dims[1] != 1)
        return hone__k_shape_error(c, "an input of shape %s: texts that are split stand alone", hone__k_dims(c, t));
    if (!hone__klookup_read(c, l, &k) || !hone__kvocabulary_read(c, l, &k, &v)) return c->b.status;
    if (strcmp(k.mode, "one_hot") == 0) return hone__k_refuse(c, "output_mode 'one_hot'");
    hone__value *given = hone__kt_plain(c, t),
                *flat = t->rank == 1 ? given : hone__k_reshape(c, given, 1, (int64_t[]){-1});
    hone__value *x = standardized(c, l, flat);
    if (c->b.status != HONE_OK) return c->b.status;
    if (!splits && t->rank == 2) x = x == flat ? given : hone__k2(c, "Reshape", x, hone__k1(c, "Shape", given));
    return hone__k_return(c, call, hone__klookup_finish(c, l, &k, &v, vectorized(c, l, t, x, &k, &v, splits != NULL)));
}
