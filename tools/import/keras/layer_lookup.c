/* layer_lookup.c: texts to their places in a vocabulary and back, as a LabelEncoder: StringLookup, and what
 * TextVectorization does with its words. */
#include <string.h>

#include "keras_lookup.h"

/* ---- the vocabulary ---- */

static hone__string text_of(const json_t *v)
{
    return json_is_string(v) ? (hone__string){json_string_value(v), json_string_length(v)} : (hone__string){"", 0};
}

static bool same(hone__string a, hone__string b)
{
    return a.size == b.size && (!a.size || !memcmp(a.data, b.data, a.size));
}

static bool words_of_list(kctx *c, const json_t *list, kvocabulary *v)
{
    v->count = json_array_size(list);
    v->words = hone__k_alloc(c, v->count * sizeof *v->words);
    for (size_t i = 0; v->words && i < v->count; i++) {
        const json_t *one = json_array_get(list, i);
        if (!json_is_string(one)) return hone__k_shape_error(c, "entry %zu of its vocabulary is no text", i) == HONE_OK;
        v->words[i] = text_of(one);
    }
    return v->words != NULL;
}

bool hone__kvocabulary_lines(kctx *c, const klayer *l, kvocabulary *v)
{
    const char *text;
    size_t size, count = 1;
    if (!hone__kasset(c, l, "vocabulary.txt", &text, &size)) {
        hone__k_refuse(c,
                       "its vocabulary is not in the file: save the model as .keras, or give the layer its vocabulary");
        return false;
    }
    while (size && text[size - 1] == '\n') size--;
    for (size_t i = 0; i < size; i++) count += text[i] == '\n';
    v->words = hone__k_alloc(c, count * sizeof *v->words);
    if (!v->words) return false;
    v->count = size ? count : 0;
    for (size_t i = 0; i < v->count; i++) {
        const char *end = memchr(text, '\n', size);
        size_t n = end ? (size_t)(end - text) : size;
        v->words[i] = (hone__string){text, n};
        if (end) text += n + 1, size -= n + 1;
    }
    return true;
}

/* Those of the settings or of the file, without the mask and the unknown that may stand in front. */
bool hone__kvocabulary_read(kctx *c, const klayer *l, const klookup *k, kvocabulary *v)
{
    const json_t *given = hone__kcfg(l, "vocabulary");
    memset(v, 0, sizeof *v);
    if (given && !json_is_array(given)) return hone__k_refuse(c, "a vocabulary that is no list of texts") == HONE_OK;
    if (given ? !words_of_list(c, given, v) : !hone__kvocabulary_lines(c, l, v)) return false;
    size_t special = (size_t)k->first;
    bool found = v->count >= special;
    for (size_t i = 0; found && i < special; i++)
        found = same(v->words[i], i == 0 && k->masks_first ? k->mask : k->unknown_word);
    v->specials_found = found;
    if (found && special) v->words += special, v->count -= special;
    if (v->count == 0) return hone__k_shape_error(c, "its vocabulary is empty") == HONE_OK;
    return true;
}

static hone__attr strings_attr(const char *name, const hone__string *list, size_t n)
{
    return (hone__attr){
        .name = name, .kind = HONE__ATTR_STRINGS, .strings = (hone__string *)(uintptr_t)list, .count = n};
}

hone__value *hone__klookup_spread(kctx *c, const klookup *k, hone__value *at, hone__value *bucket)
{
    if (k->masks_first) bucket = hone__k2(c, "Add", bucket, hone__k_scalar(c, 1, HONE_I64));
    hone__value *missed = hone__k2(c, "Less", at, hone__k_scalar(c, 0, HONE_I64));
    return hone__emit(&c->b, "Where", "spread", HONE__INS(missed, bucket, at), HONE__NO_ATTRS);
}

/* The words (and the mask, last) as keys or values, with their numbers. */
hone__value *hone__klookup_emit(kctx *c, const klookup *k, const kvocabulary *v, hone__value *x, int64_t mask_value)
{
    size_t n = v->count + k->has_mask;
    hone__string *words = hone__k_alloc(c, n * sizeof *words);
    int64_t *places = hone__k_alloc(c, n * sizeof *places);
    if (!words || !places) return NULL;
    for (size_t i = 0; i < v->count; i++) words[i] = v->words[i], places[i] = k->first + (int64_t)i;
    if (k->has_mask) words[v->count] = k->mask, places[v->count] = mask_value;
    hone__builder_fail(&c->b, hone__model_set_opset(c->b.graph->model, "ai.onnx.ml", 3));
    if (k->invert) {
        hone__attr other = {.name = "default_string", .kind = HONE__ATTR_STRING, .s = k->unknown_word};
        return hone__emit(
            &c->b, "ai.onnx.ml:LabelEncoder", "lookup", HONE__INS(x),
            HONE__ATTRS(strings_attr("values_strings", words, n), hone__a_ints("keys_int64s", places, n), other));
    }
    int64_t other = k->unknown == 1 ? k->masks_first : -1;
    hone__value *at =
        hone__emit(&c->b, "ai.onnx.ml:LabelEncoder", "lookup", HONE__INS(x),
                   HONE__ATTRS(strings_attr("keys_strings", words, n), hone__a_ints("values_int64s", places, n),
                               hone__a_int("default_int64", other)));
    return k->unknown > 1 ? hone__klookup_spread(c, k, at, hone__k_hash_bucket(c, x, k->unknown)) : at;
}

bool hone__klookup_read(kctx *c, const klayer *l, klookup *k)
{
    bool text = l->kind->variant != 0; /* TextVectorization: the empty text is its mask */
    const json_t *mask = text ? NULL : hone__kcfg(l, "mask_token");
    const char *mode = hone__kcfg_text(l, "output_mode", "int");
    memset(k, 0, sizeof *k);
    k->mode = strcmp(mode, "binary") == 0 ? "multi_hot" : strcmp(mode, "tf-idf") == 0 ? "tf_idf" : mode;
    k->whole = strcmp(k->mode, "int") == 0;
    k->invert = hone__kcfg_bool(l, "invert", false);
    k->has_mask = text || mask;
    k->mask = text_of(mask);
    k->masks_first = k->has_mask && k->whole;
    k->unknown = hone__kcfg_int(c, l, "num_oov_indices", 1, 0, K_MAX_DIM);
    k->first = k->unknown + k->masks_first;
    const json_t *word = hone__kcfg(l, "oov_token");
    k->unknown_word = word ? text_of(word) : (hone__string){"[UNK]", 5};
    if (hone__kcfg_bool(l, "sparse", false) || hone__kcfg_bool(l, "ragged", false))
        return hone__k_refuse(c, "a sparse or ragged output") == HONE_OK;
    return c->b.status == HONE_OK;
}

/* ---- ids to what the output mode asks for ---- */

/* Weights of the settings are about the words alone where the unknown is not among them: it gets their average. */
static float *idf_weights(kctx *c, klayer *l, const klookup *k, const kvocabulary *v, int64_t depth)
{
    int64_t n, front = v->specials_found ? 0 : k->first;
    float *all = hone__k_alloc(c, (size_t)depth * sizeof *all), *given = hone__k_numbers(c, l, "idf_weights", &n);
    if (!given && c->b.status == HONE_OK) {
        kweight w;
        if (!hone__kw_take(c, l, "", -1, "idf_weights", 1, &depth, &w)) return NULL;
        return hone__kw_floats(c, &w);
    }
    if (!given || !all) return NULL;
    if (n != (int64_t)v->count + k->first - front || n + front > depth) {
        hone__k_shape_error(c, "%lld idf_weights for %zu words", (long long)n, v->count);
        return NULL;
    }
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += all[front + i] = given[i];
    for (int64_t i = 0; i < front; i++) all[i] = (float)(sum / (double)n);
    return all;
}

kt *hone__klookup_finish(kctx *c, klayer *l, const klookup *k, const kvocabulary *v, kt *ids)
{
    if (k->whole || !ids) return ids;
    bool padded = hone__kcfg_bool(l, "pad_to_max_tokens", false) && hone__kcfg(l, "max_tokens"),
         idf = strcmp(k->mode, "tf_idf") == 0;
    int64_t depth = (int64_t)v->count + k->first;
    if (padded) depth = hone__kcfg_int(c, l, "max_tokens", 1, depth, 1 << 24);
    kt *y = hone__k_encoded(c, ids, idf ? "count" : k->mode, depth);
    if (!y) return NULL;
    if (!idf) return c->keras_major >= 3 ? hone__kt_cast(c, y, HONE_I64) : y;
    float *w = idf_weights(c, l, k, v, depth);
    if (!w) return NULL;
    hone__value *scaled = hone__k2(c, "Mul", hone__kt_plain(c, y), hone__emit_f32(&c->b, "idf_weights", w, 1, &depth));
    return hone__kt_like(c, y, K_PLAIN, scaled);
}

hone_status hone__klayer_string_lookup(kctx *c, klayer *l, kcall *call)
{
    kt *t = call->in[0];
    klookup k;
    kvocabulary v;
    if (!hone__klookup_read(c, l, &k) || !hone__kvocabulary_read(c, l, &k, &v)) return c->b.status;
    if (k.invert)
        t = hone__kt_cast(c, t, HONE_I64);
    else if (t->dtype != HONE_STRING)
        return hone__k_shape_error(c, "an input that is not of texts");
    if (!t || t->rank >= HONE_MAX_RANK) return hone__k_shape_error(c, "an input of rank %d", t ? t->rank : 0);
    hone__value *y = hone__klookup_emit(c, &k, &v, hone__kt_plain(c, t), k.whole ? 0 : K_DROPPED);
    kt *out = hone__kt_new(c, K_PLAIN, y, k.invert ? HONE_STRING : HONE_I64, t->rank, t->dims);
    return hone__k_return(c, call, hone__klookup_finish(c, l, &k, &v, out));
}
