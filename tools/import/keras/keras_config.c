/* keras_config.c: reading a layer's settings, under the names of every Keras version. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keras.h"

/* Today's name, name in Keras 1. */
static const char *const aliases[][2] = {
    {"units", "output_dim"},
    {"filters", "nb_filter"},
    {"padding", "border_mode"},
    {"strides", "subsample"},
    {"data_format", "dim_ordering"},
    {"use_bias", "bias"},
    {"dilation_rate", "atrous_rate"},
    {"pool_size", "pool_length"},
    {"strides", "stride"},
    {"strides", "subsample_length"},
    {"kernel_size", "filter_length"},
    {"size", "length"},
    {"recurrent_activation", "inner_activation"},
    {"rate", "p"},
    {"stddev", "sigma"},
    {"alpha", "negative_slope"},
    {"negative_slope", "alpha"},
    {"batch_shape", "batch_input_shape"},
};

const json_t *hone__kcfg(const klayer *l, const char *key)
{
    const json_t *v = json_object_get(l->config, key);
    for (size_t i = 0; !v && i < sizeof aliases / sizeof aliases[0]; i++)
        if (strcmp(aliases[i][0], key) == 0) v = json_object_get(l->config, aliases[i][1]);
    return json_is_null(v) ? NULL : v;
}

double hone__kjson_num(const json_t *v, double otherwise)
{
    if (json_is_object(v)) {
        const json_t *inner = json_object_get(v, "config");
        v = json_object_get(v, "value");
        if (!v && inner) v = json_object_get(inner, "value");
    }
    if (json_is_array(v) && json_array_size(v) == 1) v = json_array_get(v, 0);
    if (json_is_boolean(v)) return json_is_true(v);
    if (hone__json_is_nonfinite(v)) return strtod(json_string_value(v), NULL);
    return json_is_number(v) ? json_number_value(v) : otherwise;
}

int64_t hone__kcfg_int(kctx *c, const klayer *l, const char *key, int64_t otherwise, int64_t min, int64_t max)
{
    const json_t *v = hone__kcfg(l, key);
    if (!v && otherwise < min) { /* no default makes sense */
        hone__k_shape_error(c, "setting '%s' is missing", key);
        return min;
    }
    if (!v) return otherwise;
    double n = hone__kjson_num(v, NAN);
    if (!(n >= (double)min && n <= (double)max) || n != floor(n)) {
        hone__k_shape_error(c, "setting '%s' must be a whole number from %lld to %lld", key, (long long)min,
                            (long long)max);
        return min;
    }
    return (int64_t)n;
}

double hone__kcfg_num(kctx *c, const klayer *l, const char *key, double otherwise)
{
    const json_t *v = hone__kcfg(l, key);
    double n = v ? hone__kjson_num(v, NAN) : otherwise;
    if (v && isnan(n)) hone__k_shape_error(c, "setting '%s' must be a number", key);
    return n;
}

bool hone__kcfg_bool(const klayer *l, const char *key, bool otherwise)
{
    const json_t *v = hone__kcfg(l, key);
    return v ? hone__kjson_num(v, otherwise) != 0 : otherwise;
}

const char *hone__kcfg_text(const klayer *l, const char *key, const char *otherwise)
{
    const char *s = json_string_value(hone__kcfg(l, key));
    return s ? s : otherwise;
}

void hone__kcfg_ints(kctx *c, const klayer *l, const char *key, int n, int64_t otherwise, int64_t min, int64_t max,
                     int64_t *out)
{
    const json_t *v = hone__kcfg(l, key);
    for (int i = 0; i < n; i++) {
        const json_t *one = json_is_array(v) && json_array_size(v) > 1 ? json_array_get(v, (size_t)i) : v;
        double d = v ? hone__kjson_num(one, NAN) : (double)otherwise;
        out[i] = min > otherwise ? min : otherwise;
        if (json_is_array(v) && json_array_size(v) > 1 && json_array_size(v) != (size_t)n) d = NAN;
        if (d >= (double)min && d <= (double)max && d == floor(d))
            out[i] = (int64_t)d;
        else
            hone__k_shape_error(c, "setting '%s' must be %d whole numbers from %lld to %lld", key, n, (long long)min,
                                (long long)max);
    }
}

bool hone__kcfg_first(kctx *c, const klayer *l)
{
    const char *s = hone__kcfg_text(l, "data_format", NULL);
    if (!s) s = "channels_last";
    if (strcmp(s, "channels_first") == 0 || strcmp(s, "th") == 0) return true;
    if (strcmp(s, "channels_last") == 0 || strcmp(s, "tf") == 0 || strcmp(s, "default") == 0) return false;
    hone__k_refuse(c, "data_format '%s' is neither channels_last nor channels_first", s);
    return false;
}

static hone_dtype dtype_named(const char *s, hone_dtype otherwise)
{
    static const struct {
        const char *name;
        hone_dtype dtype;
    } names[] = {{"float32", HONE_F32},        {"float16", HONE_F32},   {"bfloat16", HONE_F32},
                 {"float64", HONE_F32},        {"int64", HONE_I64},     {"int32", HONE_I32},
                 {"int16", HONE_I16},          {"int8", HONE_I8},       {"uint8", HONE_U8},
                 {"uint16", HONE_U16},         {"uint32", HONE_U32},    {"uint64", HONE_U64},
                 {"bool", HONE_BOOL},          {"string", HONE_STRING}, {"mixed_float16", HONE_F32},
                 {"mixed_bfloat16", HONE_F32}, {"float", HONE_F32},     {"int", HONE_I32}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(s, names[i].name) == 0) return names[i].dtype;
    return otherwise;
}

hone_dtype hone__kdtype(const json_t *v, hone_dtype otherwise)
{
    if (json_is_object(v)) {
        const json_t *config = json_object_get(v, "config");
        const char *name = hone__json_text(json_is_object(config) ? config : v, "name");
        return name ? dtype_named(name, otherwise) : otherwise;
    }
    if (!json_is_string(v)) return otherwise;
    const char *s = json_string_value(v);
    if (strncmp(s, "<dtype: '", 9) == 0) { /* as tf.cast's argument is written */
        char text[32];
        snprintf(text, sizeof text, "%.*s", (int)strcspn(s + 9, "'"), s + 9);
        return dtype_named(text, otherwise);
    }
    return dtype_named(s, otherwise);
}

int hone__kaxis(kctx *c, int64_t axis, int rank)
{
    if (axis < -rank || axis >= rank) {
        hone__k_shape_error(c, "axis %lld of an input of rank %d", (long long)axis, rank);
        return 0;
    }
    return (int)(axis < 0 ? axis + rank : axis);
}

int hone__kjson_axis(kctx *c, const json_t *v, int otherwise, int rank)
{
    double d = hone__kjson_num(v, otherwise);
    return hone__kaxis(c, d >= -1e6 && d <= 1e6 ? (int64_t)d : INT64_MAX, rank);
}

int hone__kaxes(kctx *c, const json_t *v, int rank, int64_t *out)
{
    bool seen[HONE_MAX_RANK] = {false};
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    int count = 0;
    for (size_t i = 0; i < n && rank; i++) {
        const json_t *one = json_is_array(v) ? json_array_get(v, i) : v;
        double d = hone__kjson_num(one, NAN);
        if (!(d >= -1e6 && d <= 1e6)) {
            hone__k_shape_error(c, "an axis must be a whole number");
            return 0;
        }
        seen[hone__kaxis(c, (int64_t)d, rank)] = true;
    }
    for (int i = 0; i < rank; i++)
        if (seen[i]) out[count++] = i;
    return count;
}
