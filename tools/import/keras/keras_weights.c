/* keras_weights.c: finds a layer's weights in either of Keras's two arrangements and makes constants of them. */
#include <stdio.h>
#include <string.h>

#include "keras.h"

hone_status hone__kw_open(kctx *c)
{
    HONE__TRY(hone__h5_open(c->h5, c->h5_size, c->path, &c->catalogue));
    size_t n = hone__h5_count(c->catalogue);
    c->used = hone__k_alloc(c, n + 1);
    if (!c->used) return c->b.status;
    if (hone__h5_attr_find(c->catalogue, "model_weights", "layer_names"))
        c->weights_root = "model_weights";
    else if (hone__h5_attr_find(c->catalogue, "model_weights", "layer_names0"))
        c->weights_root = "model_weights";
    else if (hone__h5_attr_find(c->catalogue, "", "layer_names"))
        c->weights_root = "";
    return HONE_OK;
}

/* Python's re.sub("(.)([A-Z][a-z]+)", r"\1_\2") then re.sub("([a-z])([A-Z])", r"\1_\2"), lower case. */
static void snake_case(const char *name, char *out, size_t size)
{
    char once[256];
    size_t n = 0;
#define UPPER(ch) ((ch) >= 'A' && (ch) <= 'Z')
#define LOWER(ch) ((ch) >= 'a' && (ch) <= 'z')
    for (size_t i = 0; name[i] && n + 3 < sizeof once;) {
        once[n++] = name[i];
        if (UPPER(name[i + 1]) && LOWER(name[i + 2])) {
            once[n++] = '_';
            once[n++] = name[++i];
            for (i++; LOWER(name[i]) && n + 3 < sizeof once; i++) once[n++] = name[i];
        } else
            i++;
    }
    once[n] = 0;
    size_t m = 0;
    for (size_t i = 0; i < n && m + 3 < size; i++) {
        if (i && LOWER(once[i - 1]) && UPPER(once[i])) out[m++] = '_';
        out[m++] = (char)(UPPER(once[i]) ? once[i] + 32 : once[i]);
    }
    out[m] = 0;
}

static ksource path_source(kctx *c, const ksource *model, const char *class_name, json_t *used_names)
{
    if (c->fake) return (ksource){.prefix = ""};
    static const char *const containers[] = {"layers", "_layer_checkpoint_dependencies"};
    char snake[256], unique[288];
    bool renamed = strcmp(class_name, "GroupQueryAttention") == 0; /* public name of class GroupedQueryAttention */
    snake_case(renamed ? "GroupedQueryAttention" : class_name, snake, sizeof snake);
    json_t *old = json_object_get(used_names, snake);
    if (old) {
        json_int_t number = json_integer_value(old) + 1;
        json_object_set_new(used_names, snake, json_integer(number));
        snprintf(unique, sizeof unique, "%s_%lld", snake, (long long)number);
    } else {
        json_object_set_new(used_names, snake, json_integer(0));
        snprintf(unique, sizeof unique, "%s", snake);
    }
    const char *prefix = model->prefix ? model->prefix : "", *path = NULL, *first = NULL;
    for (int i = 0;; i++) {
        path = hone__arena_printf(&c->arena, "%s%s%s/%s", prefix, *prefix ? "/" : "", containers[i], unique);
        if (i == 0 && path && hone__h5_attr_find(c->catalogue, path, "name")) break;
        if (i == 0) first = path;
        const char *vars = hone__arena_printf(&c->arena, "%s%s%s", prefix, *prefix ? "/" : "", containers[i]);
        if (!vars || !path || hone__h5_has_group(c->catalogue, vars)) break;
        if (i == 1) { /* no weights at all, only what lies beside them */
            path = first;
            break;
        }
    }
    return (ksource){.prefix = path ? path : ""};
}

/* The last part of the path, without Keras 2's ":0". */
static bool is_named(const char *path, const char *name)
{
    const char *last = strrchr(path, '/');
    size_t n = strlen(name);
    last = last ? last + 1 : path;
    return strncmp(last, name, n) == 0 && (!last[n] || last[n] == ':');
}

/* The list in attribute `weight_names` (or weight_names0, 1, ... where it was too long for one) of a layer's group. */
static ksource group_source(kctx *c, const char *name)
{
    const char *root = c->weights_root;
    const char *group = hone__arena_printf(&c->arena, "%s%s%s", root, *root ? "/" : "", name);
    ksource s = {.container = name, .cursor = hone__k_alloc(c, sizeof(size_t)), .owned = true};
    if (!s.cursor) return s;
    size_t capacity = hone__h5_count(c->catalogue);
    for (int part = -1; part < 10000 && group; part++) {
        char attr[40] = "weight_names";
        if (part >= 0) snprintf(attr, sizeof attr, "weight_names%d", part);
        const hone__h5_attr *a = hone__h5_attr_find(c->catalogue, group, attr);
        if (!a && part < 0) continue;
        if (!a || a->dtype != HONE_STRING) break;
        const hone__h5_item **list = hone__k_alloc(c, (s.count + a->count) * sizeof *list);
        if (!list || s.count + a->count > capacity) break;
        size_t kept = s.count;
        for (size_t i = 0; i < s.count; i++) list[i] = s.list[i];
        for (size_t i = 0; i < a->count; i++) {
            const char *path =
                hone__arena_printf(&c->arena, "%s/%.*s", group, (int)a->strings[i].size, a->strings[i].data);
            const hone__h5_item *item = path ? hone__h5_find(c->catalogue, path) : NULL;
            /* what Normalization counted is no weight: layers that share this list would take it for one */
            if (!item || item->rank || !is_named(item->path, "count")) list[kept++] = item;
        }
        s.list = list;
        s.count = kept;
        if (part < 0) break;
    }
    return s;
}

static bool has_segment(const char *path, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = path; p; p = strchr(p, '/')) {
        if (*p == '/') p++;
        if (strncmp(p, name, n) == 0 && p[n] == '/') return true;
    }
    return false;
}

/* Weights of a layer inside a nested model: those of the outer list whose path names the layer. */
static ksource nested_source(kctx *c, const ksource *model, const char *name)
{
    const hone__h5_item **list = hone__k_alloc(c, model->count * sizeof *list + 1);
    ksource s = {.list = list, .cursor = hone__k_alloc(c, sizeof(size_t)), .container = name, .owned = true};
    if (!list || !s.cursor) return s;
    size_t skip =
        strlen(c->weights_root) + (*c->weights_root != 0) + (model->container ? strlen(model->container) + 1 : 0);
    for (size_t i = 0; model->list && i < model->count; i++) {
        if (!model->list[i]) continue;
        const char *path = model->list[i]->path;
        if (has_segment(path + (strlen(path) > skip ? skip : 0), name)) list[s.count++] = model->list[i];
    }
    size_t nameless = 0; /* Normalization in a nested model of Keras 2: "mean:0" among "dense/kernel:0" */
    for (size_t i = 0; s.count == 0 && model->list && i < model->count; i++) {
        const hone__h5_item *item = model->list[i];
        if (item && strlen(item->path) > skip && !strchr(item->path + skip, '/')) list[nameless++] = item;
    }
    if (nameless && nameless < model->count) s.count = nameless;
    if (s.count == 0) { /* names say nothing: the order of creation is left */
        s = *model;
        s.owned = false;
        return s;
    }
    s.container = model->container;
    return s;
}

ksource hone__kw_source(kctx *c, const ksource *model, const char *class_name, const char *name, json_t *used_names)
{
    if (!c->weights_root) return path_source(c, model, class_name, used_names);
    return model->list || model->cursor ? nested_source(c, model, name) : group_source(c, name);
}

ksource hone__kw_sub(kctx *c, const klayer *l, const char *sub)
{
    ksource s = l->source;
    s.owned = false;
    if (!c->weights_root && *sub && s.prefix) {
        const char *prefix = hone__arena_printf(&c->arena, "%s/%s", s.prefix, sub);
        s.prefix = prefix ? prefix : "";
    }
    return s;
}

void hone__kw_leave_out(kctx *c, ksource *s, const char *name)
{
    size_t kept = 0;
    const hone__h5_item **list = s->list ? hone__k_alloc(c, s->count * sizeof *list + 1) : NULL;
    for (size_t i = 0; list && i < s->count; i++) {
        if (!is_named(s->list[i] ? s->list[i]->path : "", name)) list[kept++] = s->list[i];
    }
    if (list) s->list = list, s->count = kept;
}

static const hone__h5_item *find_item(kctx *c, const klayer *l, const char *sub, int index, const char *name)
{
    if (c->weights_root && !l->source.cursor) return NULL;
    if (c->weights_root) return *l->source.cursor < l->source.count ? l->source.list[*l->source.cursor] : NULL;
    char path[1024];
    if (!l->source.prefix) return NULL;
    if (index < 0)
        snprintf(path, sizeof path, "%s%s%s/vars/%s", l->source.prefix, *sub ? "/" : "", sub, name);
    else
        snprintf(path, sizeof path, "%s%s%s/vars/%d", l->source.prefix, *sub ? "/" : "", sub, index);
    return hone__h5_find(c->catalogue, path);
}

static const char *dims_text(kctx *c, int rank, const int64_t *dims)
{
    char text[160];
    const char *s = hone__arena_printf(&c->arena, "%s", hone__shape_text(rank, dims, text, sizeof text));
    return s ? s : "?";
}

/* A weight of zeros, where there is only a configuration. */
static bool take_fake(kctx *c, const char *name, int rank, const int64_t *dims, kweight *out)
{
    hone__h5_item *item = hone__k_alloc(c, sizeof *item);
    size_t bytes;
    if (!item) return false;
    item->path = name, item->dtype = HONE_F32, item->rank = rank;
    for (int i = 0; i < rank; i++) item->dims[i] = dims[i] < 0 ? 1 : dims[i];
    if (hone__shape_bytes(HONE_F32, rank, item->dims, &out->count, &bytes) != HONE_OK || out->count > K_FAKE_MAX) {
        hone__k_shape_error(c, "weight '%s' of shape %s is too large", name, dims_text(c, rank, item->dims));
        return false;
    }
    item->bytes = bytes;
    *out = (kweight){.item = item, .data = (const uint8_t *)c->zeros, .name = name, .rank = rank, .count = out->count};
    if (rank) memcpy(out->dims, item->dims, (size_t)rank * sizeof *dims);
    return true;
}

bool hone__kw_exists(kctx *c, const klayer *l, const char *sub, int index)
{
    return c->fake || find_item(c, l, sub, index, "") != NULL;
}

bool hone__kw_take(kctx *c, klayer *l, const char *sub, int index, const char *name, int rank, const int64_t *dims,
                   kweight *out)
{
    memset(out, 0, sizeof *out);
    if (c->b.status != HONE_OK) return false;
    if (c->fake) return take_fake(c, name, rank, dims, out);
    const hone__h5_item *item = find_item(c, l, sub, index, name);
    if (!item) {
        hone__k_shape_error(c, "weight '%s' is not in the file", name);
        return false;
    }
    if (c->weights_root) ++*l->source.cursor;
    bool fits = item->rank == rank;
    for (int i = 0; fits && i < rank; i++) fits = dims[i] < 0 || dims[i] == item->dims[i];
    if (!fits) {
        hone__k_shape_error(c, "weight '%s' has shape %s in the file, expected %s", name,
                            dims_text(c, item->rank, item->dims), dims_text(c, rank, dims));
        return false;
    }
    size_t bytes;
    if (item->dtype == HONE_UNDEFINED ||
        hone__shape_bytes(item->dtype, rank, item->dims, &out->count, &bytes) != HONE_OK || bytes != item->bytes ||
        bytes == 0) {
        hone__k_shape_error(c, "weight '%s' of shape %s cannot be read: %s", name, dims_text(c, rank, item->dims),
                            item->dtype == HONE_UNDEFINED
                                ? "it does not hold numbers"
                                : "its data are missing, damaged or packed by a filter other than gzip");
        return false;
    }
    if (item->dtype == HONE_I8 || item->dtype == HONE_U8) {
        hone__k_refuse(c, "weight '%s' is quantised by Keras: import the model as it was before quantize()", name);
        return false;
    }
    const hone__map *spill = hone__h5_spill(c->catalogue);
    out->item = item, out->name = name, out->rank = rank;
    out->data = (item->in_file ? c->h5 : spill->data) + item->offset;
    if (rank) memcpy(out->dims, item->dims, (size_t)rank * sizeof *dims);
    size_t at = (size_t)(item - hone__h5_at(c->catalogue, 0));
    if (!c->used[at]) c->used[at] = true, c->kept += item->stored;
    return true;
}

hone__value *hone__kw_cached(const klayer *l, const void *item, const char *tag)
{
    for (const kcached *k = l->cache; k; k = k->next)
        if (k->item == item && strcmp(k->tag, tag) == 0) return k->value;
    return NULL;
}

void hone__kw_remember(kctx *c, klayer *l, const void *item, const char *tag, hone__value *v)
{
    kcached *k = v ? hone__k_alloc(c, sizeof *k) : NULL;
    if (!k) return;
    *k = (kcached){item, hone__arena_strndup(&c->arena, tag, strlen(tag)), v, l->cache};
    if (k->tag) l->cache = k;
}

/* Element i as float32, from unaligned bytes. */
static float element(const kweight *w, size_t i)
{
    size_t size = hone__dtype_size(w->item->dtype);
    uint64_t aligned = 0;
    memcpy(&aligned, w->data + i * size, size);
    return (float)hone__element_f64(w->item->dtype, &aligned, 0);
}

static void copy_floats(const kweight *w, float *out)
{
    if (w->item->dtype == HONE_F32)
        memcpy(out, w->data, w->count * sizeof *out);
    else
        for (size_t i = 0; i < w->count; i++) out[i] = element(w, i);
}

float *hone__kw_floats(kctx *c, const kweight *w)
{
    float *out = w->item ? hone__k_alloc(c, w->count * sizeof *out) : NULL;
    if (out) copy_floats(w, out);
    return out;
}

static hone_status in_place(kctx *c, const kweight *w, int rank, const int64_t *dims, hone__tensor *out)
{
    hone__map *map = w->item->in_file ? c->h5_map : hone__h5_spill(c->catalogue);
    size_t offset = (size_t)w->item->offset + (w->item->in_file ? c->h5_offset : 0);
    hone__blob *blob;
    HONE__TRY(hone__blob_map(map, offset, (size_t)w->item->bytes, &blob));
    hone_status status = hone__tensor_view(blob, 0, HONE_F32, rank, dims, out);
    hone__blob_unref(blob);
    return status;
}

hone__value *hone__kw_shaped(kctx *c, klayer *l, const kweight *w, int rank, const int64_t *dims)
{
    char tag[200];
    if (c->b.status != HONE_OK || !w->item) return NULL;
    hone__shape_text(rank, dims, tag, sizeof tag);
    hone__value *v = hone__kw_cached(l, w->item, tag);
    if (v) return v;
    hone__tensor t;
    hone_status status;
    bool mapped = !c->fake && w->item->dtype == HONE_F32 && (uintptr_t)w->data % 4 == 0;
    if (mapped)
        status = in_place(c, w, rank, dims, &t);
    else {
        status = hone__tensor_new(HONE_F32, rank, dims, &t);
        if (status == HONE_OK && t.count == w->count) copy_floats(w, hone__tensor_write(&t));
    }
    if (hone__builder_fail(&c->b, status) != HONE_OK) return NULL;
    v = hone__emit_tensor(&c->b, w->name, &t);
    hone__kw_remember(c, l, w->item, tag, v);
    return v;
}

hone__value *hone__kw_emit(kctx *c, klayer *l, const kweight *w) { return hone__kw_shaped(c, l, w, w->rank, w->dims); }

hone__value *hone__kw_permuted(kctx *c, klayer *l, const kweight *w, const char *tag, int src_rank,
                               const int64_t *src_dims, const int64_t *perm, int rank, const int64_t *dims)
{
    if (c->b.status != HONE_OK || !w->item) return NULL;
    hone__value *v = hone__kw_cached(l, w->item, tag);
    if (v) return v;
    ptrdiff_t stride[HONE_MAX_RANK], step[HONE_MAX_RANK], from = 0;
    size_t count = 1;
    int64_t at[HONE_MAX_RANK] = {0}, size[HONE_MAX_RANK];
    for (int i = src_rank; i-- > 0;) stride[i] = (ptrdiff_t)count, count *= (size_t)src_dims[i];
    for (int i = 0; i < src_rank; i++) {
        step[i] = stride[perm[i]], size[i] = src_dims[perm[i]];
        if (c->flip >> perm[i] & 1) from += step[i] * (ptrdiff_t)(size[i] - 1), step[i] = -step[i];
    }
    hone__tensor t;
    if (hone__builder_fail(&c->b, hone__tensor_new(HONE_F32, rank, dims, &t)) != HONE_OK) return NULL;
    if (count != w->count || t.count != count) {
        hone__tensor_release(&t);
        hone__k_shape_error(c, "weight '%s' has %zu elements, expected %zu", w->name, w->count, t.count);
        return NULL;
    }
    float *out = hone__tensor_write(&t);
    bool plain = w->item->dtype == HONE_F32;
    for (size_t i = 0; i < count; i++) {
        if (plain)
            memcpy(&out[i], w->data + from * 4, 4);
        else
            out[i] = element(w, (size_t)from);
        for (int k = src_rank; k-- > 0;) {
            from += step[k];
            if (++at[k] < size[k]) break;
            from -= step[k] * (ptrdiff_t)size[k];
            at[k] = 0;
        }
    }
    v = hone__emit_tensor(&c->b, w->name, &t);
    hone__kw_remember(c, l, w->item, tag, v);
    return v;
}
