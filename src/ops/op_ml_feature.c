/* op_ml_feature.c: what prepares columns of numbers (ai.onnx.ml): ArrayFeatureExtractor, Binarizer, Scaler, Normalizer,
 * Imputer, FeatureVectorizer. */
#include <math.h>

#include "ml.h"

static hone_status infer_numbers(hone__infer *x)
{
    hone_dtype d = x->in[0].dtype;
    HONE__TRY(hone__infer_arity(x, 1, 1));
    if (d && !hone__dtype_is_float(d) && !hone__dtype_is_int(d))
        return hone__fail(HONE_E_SHAPE, "input 0 is %s, expected numbers", hone_dtype_name(d));
    x->out[0] = x->in[0];
    return HONE_OK;
}

static hone_status infer_floats(hone__infer *x)
{
    HONE__TRY(infer_numbers(x));
    x->out[0].dtype = HONE_F32;
    return HONE_OK;
}

/* A list that is one for all columns, or one per column. */
static hone_status fits_columns(const char *name, size_t count, const hone__tensor *x)
{
    size_t columns = x->rank ? (size_t)x->dims[x->rank - 1] : 1;
    if (count <= 1 || count == columns) return HONE_OK;
    return hone__fail(HONE_E_SHAPE, "%s has %zu values for %zu columns", name, count, columns);
}

/* The last axis of X at Y's indices; one row for a list. */
static hone_status infer_extract(hone__infer *x)
{
    const hone__shape *s = &x->in[0].shape, *y = &x->in[1].shape;
    int64_t n = 1;
    HONE__TRY(hone__infer_arity(x, 2, 2));
    if (x->in[1].dtype && x->in[1].dtype != HONE_I64)
        return hone__fail(HONE_E_SHAPE, "input 1 is %s, expected int64", hone_dtype_name(x->in[1].dtype));
    x->out[0].dtype = x->in[0].dtype;
    if (x->in[0].dtype && !hone__dtype_size(x->in[0].dtype))
        return hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(x->in[0].dtype));
    if (!s->rank) return hone__fail(HONE_E_SHAPE, "input 0 is a scalar");
    if (y->rank < 0) n = -1;
    for (int i = 0; i < y->rank; i++) HONE__TRY(hone__dim_mul(n, y->dims[i], &n));
    if (s->rank < 0) return HONE_OK;
    x->out[0].shape = *s;
    if (s->rank == 1) x->out[0].shape = (hone__shape){.rank = 2, .dims = {1}};
    x->out[0].shape.dims[x->out[0].shape.rank - 1] = n;
    return HONE_OK;
}

static hone_status run_extract(hone__run *r)
{
    const hone__tensor *x = r->in[0], *y = r->in[1];
    size_t size = hone__dtype_size(x->dtype), columns = (size_t)x->dims[x->rank - 1];
    char *z = hone__out_data(r, 0);
    for (size_t i = 0; i < y->count; i++) {
        int64_t at = hone__tensor_i64(y, i);
        if (at < 0 || at >= (int64_t)columns)
            return hone__fail(HONE_E_SHAPE, "index %lld of %zu columns", (long long)at, columns);
    }
    for (size_t row = 0; row * y->count < r->out[0]->count; row++)
        for (size_t i = 0; i < y->count; i++, z += size)
            memcpy(z, (const char *)x->data + (row * columns + (size_t)hone__tensor_i64(y, i)) * size, size);
    return HONE_OK;
}
const hone__op hone__op_ml_array_feature_extractor = {"ai.onnx.ml", "ArrayFeatureExtractor", infer_extract, NULL,
                                                      run_extract,  HONE__OP_STRINGS};

static hone_status run_binarizer(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    double threshold = hone__node_float(r->node, "threshold", 0);
    for (size_t i = 0; i < x->count; i++)
        hone__element_set_f64(x->dtype, hone__out_data(r, 0), i, hone__tensor_f64(x, i) > threshold);
    return HONE_OK;
}
const hone__op hone__op_ml_binarizer = {"ai.onnx.ml", "Binarizer", infer_numbers, NULL, run_binarizer, 0};

static hone_status run_scaler(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    hone__reals offset = hone__node_reals(r->node, "offset"), scale = hone__node_reals(r->node, "scale");
    HONE__TRY(fits_columns("offset", offset.count, x));
    HONE__TRY(fits_columns("scale", scale.count, x));
    float *y = hone__out_data(r, 0);
    for (size_t i = 0; i < x->count; i++) {
        double v = hone__tensor_f64(x, i);
        if (offset.count) v -= hone__real(&offset, i % offset.count);
        if (scale.count) v *= hone__real(&scale, i % scale.count);
        y[i] = (float)v;
    }
    return HONE_OK;
}
const hone__op hone__op_ml_scaler = {"ai.onnx.ml", "Scaler", infer_floats, NULL, run_scaler, 0};

static hone_status read_norm(const hone__node *n, char *norm)
{
    const char *name = hone__node_string(n, "norm", "MAX");
    *norm = !strcmp(name, "MAX") ? 'M' : !strcmp(name, "L1") ? '1' : !strcmp(name, "L2") ? '2' : 0;
    return *norm ? HONE_OK : hone__fail(HONE_E_UNSUPPORTED, "norm '%.40s'", name);
}

static hone_status infer_normalizer(hone__infer *x)
{
    char norm;
    int64_t rows;
    HONE__TRY(read_norm(x->node, &norm));
    HONE__TRY(hone__ml_infer_table(x, &rows));
    return infer_floats(x);
}

/* The largest value is that with its sign; the other norms are of absolute values. */
static double norm_of(const hone__tensor *x, size_t begin, size_t end, char norm)
{
    double all = norm == 'M' ? -INFINITY : 0;
    for (size_t i = begin; i < end; i++) {
        double v = hone__tensor_f64(x, i);
        if (norm == 'M')
            all = v > all ? v : all;
        else
            all += norm == '1' ? fabs(v) : v * v;
    }
    return norm == '2' ? sqrt(all) : all;
}

static hone_status run_normalizer(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    size_t rows, columns;
    char norm;
    HONE__TRY(read_norm(r->node, &norm));
    HONE__TRY(hone__ml_table(x, &rows, &columns));
    float *y = hone__out_data(r, 0);
    for (size_t row = 0; row < rows; row++) {
        size_t begin = row * columns, end = begin + columns;
        double divisor = norm_of(x, begin, end, norm);
        for (size_t i = begin; i < end; i++)
            y[i] = (float)(divisor == 0 ? hone__tensor_f64(x, i) : hone__tensor_f64(x, i) / divisor);
    }
    return HONE_OK;
}
const hone__op hone__op_ml_normalizer = {"ai.onnx.ml", "Normalizer", infer_normalizer, NULL, run_normalizer, 0};

static hone_status infer_imputer(hone__infer *x)
{
    size_t ints;
    HONE__TRY(infer_numbers(x));
    bool floats = hone__dtype_is_float(x->in[0].dtype);
    hone__node_ints(x->node, "imputed_value_int64s", &ints);
    if (x->in[0].dtype && !(floats ? hone__node_reals(x->node, "imputed_value_floats").count : ints))
        return hone__fail(HONE_E_SHAPE, "%s is missing", floats ? "imputed_value_floats" : "imputed_value_int64s");
    return HONE_OK;
}

static hone_status impute_ints(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    size_t count;
    const int64_t *with = hone__node_ints(r->node, "imputed_value_int64s", &count);
    int64_t missing = hone__node_int(r->node, "replaced_value_int64", 0);
    HONE__TRY(fits_columns("imputed_value_int64s", count, x));
    for (size_t i = 0; i < x->count; i++) {
        int64_t v = hone__tensor_i64(x, i);
        hone__element_set_i64(x->dtype, hone__out_data(r, 0), i, v == missing ? with[i % count] : v);
    }
    return HONE_OK;
}

static hone_status run_imputer(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    if (!hone__dtype_is_float(x->dtype)) return impute_ints(r);
    hone__reals with = hone__node_reals(r->node, "imputed_value_floats");
    double missing = hone__node_float(r->node, "replaced_value_float", 0);
    HONE__TRY(fits_columns("imputed_value_floats", with.count, x));
    for (size_t i = 0; i < x->count; i++) {
        double v = hone__tensor_f64(x, i);
        bool found = isnan(missing) ? isnan(v) : v == missing;
        hone__element_set_f64(x->dtype, hone__out_data(r, 0), i, found ? hone__real(&with, i % with.count) : v);
    }
    return HONE_OK;
}
const hone__op hone__op_ml_imputer = {"ai.onnx.ml", "Imputer", infer_imputer, NULL, run_imputer, 0};

/* Columns that an input gives: as inputdimensions says, else what it has. */
static hone_status vector_columns(const hone__infer *x, const int64_t *sizes, int i, int64_t *columns)
{
    const hone__shape *s = &x->in[i].shape;
    *columns = s->rank < 0 ? -1 : s->rank == 1 ? s->dims[0] : 1;
    for (int k = 1; k < s->rank; k++) HONE__TRY(hone__dim_mul(*columns, s->dims[k], columns));
    if (!sizes) return HONE_OK;
    if (sizes[i] < 0) return hone__fail(HONE_E_SHAPE, "inputdimensions[%d] is %lld", i, (long long)sizes[i]);
    *columns = sizes[i];
    return HONE_OK;
}

static hone_status infer_vectorizer(hone__infer *x)
{
    size_t count;
    const int64_t *sizes = hone__node_ints(x->node, "inputdimensions", &count);
    int64_t rows = -1, all = 0;
    HONE__TRY(hone__infer_arity(x, x->input_count > 0 ? x->input_count : 1, x->input_count));
    if (sizes && count != (size_t)x->input_count)
        return hone__fail(HONE_E_SHAPE, "inputdimensions has %zu entries for %d inputs", count, x->input_count);
    for (int i = 0; i < x->input_count; i++) {
        const hone__type *t = &x->in[i];
        int64_t n, r = t->shape.rank < 0 ? -1 : t->shape.rank == 1 ? 1 : t->shape.dims[0];
        if (t->wrap || !t->shape.rank || t->dtype == HONE_STRING)
            return hone__fail(HONE_E_SHAPE, "input %d is no table of numbers", i);
        if (!hone__dims_agree(rows, r)) return hone__fail(HONE_E_SHAPE, "input %d has another number of rows", i);
        if (r >= 0) rows = r;
        HONE__TRY(vector_columns(x, sizes, i, &n));
        if (all >= 0 && n >= 0 && !hone__add_i64(all, n, &all)) return hone__fail(HONE_E_LIMIT, "2^63 columns");
        if (n < 0) all = -1;
    }
    hone__infer_set(x, 0, HONE_F32, 2, (int64_t[]){rows, all});
    return HONE_OK;
}

static hone_status run_vectorizer(hone__run *r)
{
    size_t count, rows = (size_t)r->out[0]->dims[0], width = (size_t)r->out[0]->dims[1], at = 0;
    const int64_t *sizes = hone__node_ints(r->node, "inputdimensions", &count);
    float *y = hone__out_data(r, 0);
    if (r->out[0]->bytes) memset(y, 0, r->out[0]->bytes);
    for (int i = 0; i < r->input_count; i++) {
        const hone__tensor *x = r->in[i];
        size_t have = rows ? x->count / rows : 0, wanted = sizes ? (size_t)sizes[i] : have;
        size_t n = have < wanted ? have : wanted; /* others are left out, missing ones are 0 */
        for (size_t row = 0; row < rows; row++)
            for (size_t k = 0; k < n; k++) y[row * width + at + k] = (float)hone__tensor_f64(x, row * have + k);
        at += wanted;
    }
    return HONE_OK;
}
const hone__op hone__op_ml_feature_vectorizer = {"ai.onnx.ml", "FeatureVectorizer", infer_vectorizer,
                                                 NULL,         run_vectorizer,      0};
