/* keras.h: what the Keras importer's files share: the file, layers, calls, and values with their layout.
 *
 * Failures stick in the builder (c->b.status): getters and emitters then return harmless values, and a layer function
 * ends with `return c->b.status`. Sizes from getters are always inside the range that was asked for. */
#ifndef HONE_IMPORT_KERAS_H
#define HONE_IMPORT_KERAS_H

#include <jansson.h>

#include "graph/builder.h"
#include "tools/import/hdf5/h5.h"
#include "tools/import/import.h"
#include "keras_json.h"

enum { K_MAX_OUT = 64, K_MAX_DIM = 1 << 30, K_FAKE_MAX = 1 << 16 };

/* How a value lies in memory. PLAIN: as Keras means it. MOVED: the last axis (channels) comes second. FLAT: a MOVED
 * value whose axes after the batch were joined; Keras's element s*channels + c lies at c*spatial + s. */
enum { K_PLAIN, K_MOVED, K_FLAT, K_FORMS };

/* A value of the Keras model. `dims` are Keras's, -1 where unknown; dims[0] is usually the batch. */
typedef struct kt {
    hone__value *form[K_FORMS]; /* at least one; made on demand by hone__kt_* */
    hone_dtype dtype;
    int rank;
    int64_t dims[HONE_MAX_RANK];
    struct kt *mask;           /* bool, the leading dims of this one; NULL: none */
    int64_t spatial, channels; /* of K_FLAT */
    const int64_t *ints;       /* elements of a shape (rank 0 or 1), -1 where not known; NULL: not followed */
    const json_t *number;      /* a Python scalar; form[] is then made on demand */
} kt;

/* Where a layer's weights are. In .keras and .weights.h5: "prefix/vars/N". In .h5: a list in the order of creation. */
typedef struct ksource {
    const char *prefix;
    const hone__h5_item **list;
    size_t count;
    size_t *cursor;        /* shared with the layers inside this one */
    const char *container; /* group name of a list, for messages */
    bool owned;            /* the cursor is this layer's own: it starts again at each call */
} ksource;

typedef struct kcached {
    const void *item;
    const char *tag;
    hone__value *value;
    struct kcached *next;
} kcached;

typedef struct kctx kctx;
typedef struct kmodel kmodel;
typedef struct klayer klayer;
typedef struct kcall kcall;
typedef hone_status (*klayer_fn)(kctx *c, klayer *l, kcall *call);

typedef struct klayer_kind {
    const char *name;
    klayer_fn fn;
    int variant;
    int flags; /* K_MASK: a mask of the only input goes on to the output */
} klayer_kind;

enum { K_MASK = 1, K_IDENTITY = 2, K_KERAS_ONLY = 4 /* only where the file names one of Keras's own modules */ };

struct klayer {
    const char *class_name, *name;
    const json_t *entry, *config; /* the whole serialised layer; its "config" */
    const klayer_kind *kind;
    bool is_op; /* a keras.ops operation or a TFOpLambda */
    ksource source;
    kmodel *model;     /* a nested model; NULL for others */
    klayer **children; /* wrapped layers, made on demand by hone__klayer_child */
    size_t child_count, child_capacity;
    kcached *cache;
    const char *scope;
};

/* One call of a layer. */
struct kcall {
    kmodel *model;        /* in which the argument references live */
    const json_t *args;   /* Keras 3: array of positional arguments; NULL otherwise */
    const json_t *kwargs; /* object or NULL */
    kt **in;              /* tensors among the positional arguments, in order */
    int in_count;
    kt *out[K_MAX_OUT];
    int out_count;
};

struct kctx {
    const char *path;
    hone__builder b;
    hone__arena arena;
    hone__import_report *report;
    hone__map *map;    /* of the file */
    const uint8_t *h5; /* the HDF5 image, at h5_offset of h5_map */
    hone__map *h5_map; /* borrowed */
    size_t h5_size, h5_offset;
    hone__h5 *catalogue;
    const char *weights_root; /* "model_weights" or "" (legacy); NULL: Keras 3 paths */
    int keras_major;          /* 1, 2 or 3 */
    bool theano;              /* Keras 1 and 2 on Theano: convolution kernels are flipped */
    json_t *config;
    kcached *constants; /* small constants made by hone__k_ints and others */
    int depth;
    int64_t batch;
    uint64_t kept;
    bool fake;     /* no file: every weight is zero */
    float *zeros;  /* FAKE_MAX of them, then */
    unsigned flip; /* axes of a kernel that hone__kw_permuted reverses */
    bool *used;    /* per catalogue item: counted as kept */
    json_t *made;  /* JSON made while importing, released at the end */
};

/* ---- keras_value.c: layouts and small emitters ---- */
kt *hone__kt_new(kctx *c, int form, hone__value *v, hone_dtype dtype, int rank, const int64_t *dims);
kt *hone__kt_like(kctx *c, const kt *t, int form, hone__value *v); /* same dtype, dims, flat sizes and mask */
hone__value *hone__kt_plain(kctx *c, kt *t);
hone__value *hone__kt_moved(kctx *c, kt *t); /* rank >= 3; PLAIN for smaller */
int hone__kt_best(const kt *t);              /* the form that exists already; MOVED or FLAT before PLAIN */
hone__value *hone__kt_get(kctx *c, kt *t, int form);
hone__value *hone__kt_f32(kctx *c, kt *t); /* PLAIN, cast to float32 where it is not a float */
kt *hone__kt_cast(kctx *c, kt *t, hone_dtype dtype);
bool hone__kt_known(const kt *t, int first); /* all dims from `first` on */
bool hone__kt_only_moved(const kt *t);       /* the PLAIN form would cost a transposition */

hone__value *hone__k1(kctx *c, const char *op, hone__value *x);
hone__value *hone__k2(kctx *c, const char *op, hone__value *x, hone__value *y);
hone__value *hone__k_transpose(kctx *c, hone__value *x, int rank, const int64_t *perm);
hone__value *hone__k_reshape(kctx *c, hone__value *x, int rank, const int64_t *dims); /* 0 copies, -1 once */
hone__value *hone__k_squeeze(kctx *c, hone__value *x, int64_t axis);
hone__value *hone__k_unsqueeze(kctx *c, hone__value *x, int64_t axis);
hone__value *hone__k_cast(kctx *c, hone__value *x, hone_dtype dtype);
hone__value *hone__k_ints(kctx *c, const int64_t *v, size_t n);   /* constant, shared between equal ones */
hone__value *hone__k_int(kctx *c, int64_t v);                     /* rank 1, one element */
hone__value *hone__k_scalar(kctx *c, double v, hone_dtype dtype); /* rank 0 */
hone__value *hone__k_reduce(kctx *c, const char *op, hone__value *x, const int64_t *axes, size_t n, bool keep);
hone__value *hone__k_slice(kctx *c, hone__value *x, int64_t axis, int64_t start, int64_t stop, int64_t step);
hone__value *hone__k_pad(kctx *c, hone__value *x, int rank, const int64_t *pads, double value); /* begins, then ends */
hone__value *hone__k_shape_of(kctx *c, hone__value *x, int64_t first, int64_t end); /* int64 [end - first] */
hone__value *hone__k_concat(kctx *c, hone__value *const *in, int n, int64_t axis);
/* float32 with a new axis of `depth`: 1 where it equals the id. ids: int64 of `rank` axes. */
hone__value *hone__k_one_hot(kctx *c, hone__value *ids, int rank, int axis, int64_t depth);
hone_status hone__k_refuse(kctx *c, const char *format, ...) HONE__PRINTF(2, 3); /* HONE_E_UNSUPPORTED, sticks */
hone_status hone__k_shape_error(kctx *c, const char *format, ...) HONE__PRINTF(2, 3);
void *hone__k_alloc(kctx *c, size_t n);         /* zeroed, dies with the context; NULL sticks HONE_E_MEMORY */
const char *hone__k_dims(kctx *c, const kt *t); /* "(None, 3)" for messages */

/* ---- keras_constant.c ---- */
kt *hone__kt_constant(kctx *c, const json_t *v); /* an array in the configuration; NULL: it is none */
kt *hone__kt_scalar(kctx *c, double v, hone_dtype dtype);

/* ---- keras_config.c: settings of a layer ---- */
const json_t *hone__kcfg(const klayer *l,
                         const char *key); /* under any of its historical names; NULL: absent or null */
int64_t hone__kcfg_int(kctx *c, const klayer *l, const char *key, int64_t otherwise, int64_t min, int64_t max);
double hone__kcfg_num(kctx *c, const klayer *l, const char *key, double otherwise);
bool hone__kcfg_bool(const klayer *l, const char *key, bool otherwise);
const char *hone__kcfg_text(const klayer *l, const char *key, const char *otherwise);
/* One number for all or a list of n; every one in [min, max]. */
void hone__kcfg_ints(kctx *c, const klayer *l, const char *key, int n, int64_t otherwise, int64_t min, int64_t max,
                     int64_t *out);
bool hone__kcfg_first(kctx *c, const klayer *l);                /* data_format is channels_first */
double hone__kjson_num(const json_t *v, double otherwise);      /* numbers and bools; Keras 3's {"value": x} */
hone_dtype hone__kdtype(const json_t *v, hone_dtype otherwise); /* "float32" or a policy; 16-bit floats become F32 */
int hone__kaxis(kctx *c, int64_t axis, int rank);               /* -rank .. rank-1 to 0 .. rank-1 */
int hone__kjson_axis(kctx *c, const json_t *v, int otherwise, int rank);
int hone__kaxes(kctx *c, const json_t *v, int rank, int64_t *out); /* number or list, sorted; how many */
/* Axis of Keras's dims -> axis of the physical form. */
int hone__kt_axis(const kt *t, int form, int axis);

/* ---- keras_weights.c ---- */
typedef struct kweight {
    const hone__h5_item *item;
    const uint8_t *data;
    const char *name;
    int rank;
    int64_t dims[HONE_MAX_RANK];
    size_t count;
} kweight;

/* Weight number `index` of the part `sub` ("" for the layer itself, "cell", "query_dense", ...); -1: the one of this
 * name (.keras). dims: -1 fits any. */
bool hone__kw_take(kctx *c, klayer *l, const char *sub, int index, const char *name, int rank, const int64_t *dims,
                   kweight *out);
bool hone__kw_exists(kctx *c, const klayer *l, const char *sub, int index);
hone__value *hone__kw_emit(kctx *c, klayer *l, const kweight *w); /* float32, in place where the file allows */
hone__value *hone__kw_shaped(kctx *c, klayer *l, const kweight *w, int rank, const int64_t *dims); /* other dims */
/* Viewed as src_dims, axes permuted, then viewed as dims. Copied once. */
hone__value *hone__kw_permuted(kctx *c, klayer *l, const kweight *w, const char *tag, int src_rank,
                               const int64_t *src_dims, const int64_t *perm, int rank, const int64_t *dims);
float *hone__kw_floats(kctx *c, const kweight *w); /* a float32 copy that dies with the context */
/* A constant made from weights: looked up before it is made again for a second call of the layer. */
hone__value *hone__kw_cached(const klayer *l, const void *item, const char *tag);
void hone__kw_remember(kctx *c, klayer *l, const void *item, const char *tag, hone__value *v);
/* A file that the layer keeps beside the weights of a .keras archive; its text dies with the context. False: none. */
bool hone__kasset(kctx *c, const klayer *l, const char *file, const char **text, size_t *size);
hone_status hone__kw_open(kctx *c);
ksource hone__kw_source(kctx *c, const ksource *model, const char *class_name, const char *name, json_t *used_names);
ksource hone__kw_sub(kctx *c, const klayer *l, const char *sub);
void hone__kw_leave_out(kctx *c, ksource *s, const char *name); /* weights of this name leave the list of a .h5 */

/* ---- keras_model.c, keras_nodes.c ---- */
kmodel *hone__kmodel_new(kctx *c, const char *name, const json_t *entry, const ksource *source);
hone_status hone__kmodel_call(kctx *c, kmodel *m, kt **in, int in_count, kt **out, int *out_count);
klayer *hone__klayer_new(kctx *c, const json_t *entry, const char *what); /* resolves the kind; no weights yet */
klayer *hone__klayer_child(kctx *c, klayer *l, const char *key, const char *sub); /* the layer in config[key] */
klayer *hone__klayer_child_of(kctx *c, klayer *l, const json_t *entry, const char *tag, const char *sub);
hone_status hone__klayer_call(kctx *c, klayer *l, kcall *call);
/* Calls a wrapped layer on one tensor; NULL on failure. */
kt *hone__klayer_apply(kctx *c, klayer *l, kt *in);
int hone__kmodel_inputs(const kmodel *m);
const char *hone__kmodel_input_name(const kmodel *m, int i);
const char *hone__kmodel_output_name(const kmodel *m, int i);
bool hone__kmodel_make_inputs(kctx *c, kmodel *m, kt **in);
const klayer_kind *hone__klayer_kind_find(const char *name);
const klayer_kind *hone__kop_kind_find(const char *name);

/* Tensors of a call. */
kt *hone__kcall_ref(kctx *c, kcall *call, const json_t *ref);  /* NULL: not a reference to a tensor */
kt *hone__kcall_tensor(kctx *c, kcall *call, const json_t *v); /* reference or number; NULL for null */
/* Positional argument `index` or the keyword, NULL when absent or null. */
const json_t *hone__kcall_arg(const kcall *call, int index, const char *name);
kt *hone__kcall_mask(kctx *c, kcall *call, const char *keyword, int in); /* explicit, or the one that travels along */

/* ---- shared by layers ---- */

/* An image-like value as [batch, channels, spatial...]: dims apart, data ready for Conv and its kin. */
typedef struct kview {
    hone__value *x;
    bool first; /* Keras means channels_first: PLAIN; otherwise MOVED */
    int nd;
    int64_t batch, channels, size[3];
} kview;

bool hone__kview_of(kctx *c, const klayer *l, kt *t, int nd, kview *out);
kt *hone__kview_back(kctx *c, const kview *v, hone__value *x, int64_t channels, const int64_t *size);
/* A window as a layer's settings describe it, over an image. */
typedef struct kwindow {
    int64_t kernel[3], stride[3], dilation[3], pads[6], out[3];
    bool automatic;
} kwindow;

bool hone__kwindow_read(kctx *c, const klayer *l, const kview *v, kwindow *w);
/* kernel: [out, in / groups, spatial...] */
hone__value *hone__kconv_emit(kctx *c, const kview *v, const kwindow *w, hone__value *x, hone__value *kernel,
                              hone__value *bias, int64_t groups);

typedef struct ktransposed {
    int64_t kernel[3], stride[3], dilation[3], pads[6], add[3], out[3];
} ktransposed;

bool hone__ktransposed_read(kctx *c, const klayer *l, const kview *v, ktransposed *w);
/* kernel: [in, out, spatial...] */
kt *hone__ktransposed_emit(kctx *c, const kview *v, const ktransposed *w, hone__value *kernel, hone__value *bias,
                           int64_t filters);
/* Pads and output size of a window along one axis for padding "valid", "same" or "causal"; size -1 stays -1 and then
 * *automatic is set where only auto_pad SAME_UPPER says what is meant. */
void hone__k_window(kctx *c, const char *padding, int64_t size, int64_t kernel, int64_t stride, int64_t *begin,
                    int64_t *end, int64_t *out, bool *automatic);
/* An activation as Keras writes it: a name, a serialised function or layer, or NULL. */
kt *hone__k_activation(kctx *c, klayer *l, const json_t *spec, kt *t);
kt *hone__k_named_activation(kctx *c, const char *name, const json_t *args, kt *t);
kt *hone__k_softmax(kctx *c, kt *t, int64_t axis, const char *op);
kt *hone__k_unary(kctx *c, kt *t, const char *op);         /* keeps the form */
kt *hone__k_binary(kctx *c, const char *op, kt *a, kt *b); /* broadcasts; picks a form that both share */
kt *hone__k_joined(kctx *c, kt **in, int n, int axis);     /* concatenated */
bool hone__k_broadcast(kctx *c, const kt *a, const kt *b, int *rank, int64_t *dims);
kt *hone__k_pool(kctx *c, klayer *l, kt *t, int nd, bool max, const int64_t *pool, const int64_t *stride,
                 const char *padding);
/* Values of [from, to] to [new_from, new_to]. */
hone__value *hone__k_ranged(kctx *c, hone__value *x, double from, double to, double new_from, double new_to);
/* [fft]: a window of `length` in the middle of zeros: "hann", "hamming", a list of numbers, or NULL: ones. */
float *hone__k_signal_window(kctx *c, const json_t *spec, int64_t length, int64_t fft);
/* x: [rows, samples] -> [rows, frames, fft / 2 + 1, 2]; center: the signal is mirrored over fft / 2 at both ends. */
hone__value *hone__k_stft(kctx *c, hone__value *x, const float *window, int64_t step, int64_t fft, bool center);
kt *hone__k_encoded(kctx *c, kt *ids, const char *mode, int64_t depth);            /* one_hot, multi_hot, count */
float *hone__k_numbers(kctx *c, const klayer *l, const char *key, int64_t *count); /* NULL, count 0: none */
static inline hone_status hone__k_return(kctx *c, kcall *call, kt *t)
{
    if (c->b.status != HONE_OK) return c->b.status;
    call->out[0] = t;
    call->out_count = 1;
    return HONE_OK;
}

/* Every layer and operation function, from the tables. */
#define KERAS_LAYER(name, fn, variant, flags) hone_status hone__klayer_##fn(kctx *c, klayer *l, kcall *call);
#include "layers.def"
#undef KERAS_LAYER
#define KERAS_OP(name, fn, variant) hone_status hone__kop_##fn(kctx *c, klayer *l, kcall *call);
#include "ops.def"
#undef KERAS_OP

#endif
