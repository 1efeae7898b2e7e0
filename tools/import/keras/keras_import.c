/* keras_import.c: opens a Keras file of any age and makes a graph of the model in it. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "keras_model.h"
#include "keras_zip.h"

enum { MAX_CONFIG = 16 << 20, MAX_CONFIG_VALUES = 400000 };

static const uint8_t h5_magic[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};

/* What stays open while a file is imported. */
typedef struct kfile {
    kctx c;
    hone__zip_member weights;
    json_t *metadata;
} kfile;

static bool is_h5(const hone__map *map)
{
    for (size_t at = 0; at + sizeof h5_magic <= map->size; at = at ? at * 2 : 512)
        if (memcmp(map->data + at, h5_magic, sizeof h5_magic) == 0) return true;
    return false;
}

static bool is_zip(const hone__map *map) { return map->size > 4 && memcmp(map->data, "PK\3\4", 4) == 0; }

static bool is_folder(const char *path)
{
    struct stat st;
    char file[4096];
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) return false;
    int n = snprintf(file, sizeof file, "%s/model.weights.h5", path);
    return n > 0 && (size_t)n < sizeof file && stat(file, &st) == 0 && S_ISREG(st.st_mode);
}

bool hone__import_is_keras(const char *path)
{
    hone__map *map;
    if (is_folder(path)) return true;
    if (hone__map_open(path, &map) != HONE_OK) return false;
    bool yes = is_h5(map) || is_zip(map);
    hone__map_unref(map);
    return yes;
}

static void copy_text(char *out, size_t size, const char *text, size_t n)
{
    if (n >= size) n = size - 1;
    memcpy(out, text, n);
    out[n] = 0;
}

static int major_of(const char *version)
{
    return version[0] >= '1' && version[0] <= '9' && (version[1] == '.' || !version[1]) ? version[0] - '0' : 0;
}

/* ---- .h5 ---- */

static const hone__string *root_text(const kctx *c, const char *owner, const char *name)
{
    const hone__h5_attr *a = hone__h5_attr_find(c->catalogue, owner, name);
    return a && a->dtype == HONE_STRING && a->count == 1 ? &a->strings[0] : NULL;
}

static hone_status open_h5(kfile *f)
{
    kctx *c = &f->c;
    snprintf(c->report->format, sizeof c->report->format, "keras-h5");
    c->h5 = c->map->data, c->h5_size = c->map->size, c->h5_map = c->map;
    HONE__TRY(hone__kw_open(c));
    const hone__string *config = root_text(c, "", "model_config"), *version = root_text(c, "", "keras_version");
    const hone__string *backend = root_text(c, "", "backend");
    const char *owner = c->weights_root ? c->weights_root : "";
    if (!version) version = root_text(c, owner, "keras_version");
    if (!backend) backend = root_text(c, owner, "backend");
    if (version) copy_text(c->report->keras_version, sizeof c->report->keras_version, version->data, version->size);
    if (backend) copy_text(c->report->backend, sizeof c->report->backend, backend->data, backend->size);
    if (!config) {
        bool weights = c->weights_root || hone__h5_has_group(c->catalogue, "layers") ||
                       hone__h5_has_group(c->catalogue, "_layer_checkpoint_dependencies");
        if (!weights) return hone__fail(HONE_E_FORMAT, "%s: an HDF5 file, but not one that Keras wrote", c->path);
        return hone__fail(HONE_E_UNSUPPORTED,
                          "%s: holds only weights, not the model they belong to: load them into the model in Keras and "
                          "save it whole with model.save(\"model.keras\")",
                          c->path);
    }
    if (config->size > MAX_CONFIG)
        return hone__fail(HONE_E_LIMIT, "%s: model_config of %zu bytes", c->path, config->size);
    if (!c->weights_root)
        return hone__fail(HONE_E_FORMAT, "%s: has a model but no weights (no model_weights group)", c->path);
    c->keras_major = version ? major_of(c->report->keras_version) : 1;
    if (!c->keras_major) c->keras_major = 2;
    c->theano = backend && strcmp(c->report->backend, "theano") == 0;
    char name[512];
    snprintf(name, sizeof name, "%s: model_config", c->path);
    return hone__json_parse_python(config->data, config->size, name, MAX_CONFIG_VALUES, &c->config);
}

/* ---- .keras ---- */

static void read_metadata(kfile *f, const uint8_t *text, size_t size)
{
    if (hone__json_parse((const char *)text, size, f->c.path, 1000, &f->metadata) != HONE_OK) return;
    const char *version = hone__json_text(f->metadata, "keras_version");
    if (version) copy_text(f->c.report->keras_version, sizeof f->c.report->keras_version, version, strlen(version));
}

static hone_status parse_config(kfile *f, const uint8_t *text, size_t size)
{
    char name[512];
    snprintf(name, sizeof name, "%s: config.json", f->c.path);
    f->c.keras_major = major_of(f->c.report->keras_version);
    if (!f->c.keras_major) f->c.keras_major = 3;
    return hone__json_parse_python((const char *)text, size, name, MAX_CONFIG_VALUES, &f->c.config);
}

static hone_status open_zip(kfile *f)
{
    kctx *c = &f->c;
    hone__zip_member text;
    snprintf(c->report->format, sizeof c->report->format, "keras-zip");
    if (hone__zip_read(c->map, c->path, "metadata.json", 1 << 20, &text) == HONE_OK) {
        read_metadata(f, text.data, text.size);
        hone__zip_release(&text);
    }
    hone_status status = hone__zip_read(c->map, c->path, "config.json", MAX_CONFIG, &text);
    if (status == HONE_E_ARGUMENT)
        return hone__fail(HONE_E_FORMAT, "%s: a zip archive, but not a Keras model: it has no config.json", c->path);
    HONE__TRY(status);
    status = parse_config(f, text.data, text.size);
    hone__zip_release(&text);
    HONE__TRY(status);
    status = hone__zip_read(c->map, c->path, "model.weights.h5", (size_t)1 << 40, &f->weights);
    if (status == HONE_E_ARGUMENT)
        return hone__fail(HONE_E_UNSUPPORTED,
                          "%s: the archive has no model.weights.h5: save the model with "
                          "model.save(\"model.keras\") of Keras 3",
                          c->path);
    HONE__TRY(status);
    c->h5 = f->weights.data, c->h5_size = f->weights.size, c->h5_map = f->weights.map;
    if (c->h5) c->h5_offset = (size_t)(c->h5 - c->h5_map->data);
    return hone__kw_open(c);
}

static hone_status read_small(const char *folder, const char *name, size_t limit, uint8_t **out, size_t *size)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return hone__file_read(path, limit, out, size);
}

static hone_status open_folder(kfile *f)
{
    kctx *c = &f->c;
    uint8_t *text;
    size_t size;
    snprintf(c->report->format, sizeof c->report->format, "keras-folder");
    if (read_small(c->path, "metadata.json", 1 << 20, &text, &size) == HONE_OK) {
        read_metadata(f, text, size);
        hone__free(text);
    }
    HONE__TRY(read_small(c->path, "config.json", MAX_CONFIG, &text, &size));
    hone_status status = parse_config(f, text, size);
    hone__free(text);
    HONE__TRY(status);
    char path[4200];
    snprintf(path, sizeof path, "%s/model.weights.h5", c->path);
    HONE__TRY(hone__map_open(path, &c->map));
    c->h5 = c->map->data, c->h5_size = c->map->size, c->h5_map = c->map;
    return hone__kw_open(c);
}

bool hone__kasset(kctx *c, const klayer *l, const char *file, const char **text, size_t *size)
{
    char name[1024];
    hone__zip_member member = {0};
    uint8_t *bytes = NULL;
    bool zip = c->map && is_zip(c->map), folder = !zip && !c->weights_root && !c->fake;
    if (!l->source.prefix || strstr(l->source.prefix, "..") || !(zip || folder)) return false;
    snprintf(name, sizeof name, "assets/%s/%s", l->source.prefix, file);
    hone_status status = zip ? hone__zip_read(c->map, c->path, name, MAX_CONFIG, &member)
                             : read_small(c->path, name, MAX_CONFIG, &bytes, size);
    if (status != HONE_OK) return false;
    if (zip) *size = member.size;
    *text = hone__arena_strndup(&c->arena, (const char *)(zip ? member.data : bytes), *size);
    if (!*text) hone__builder_fail(&c->b, hone__out_of_memory(*size));
    hone__zip_release(&member);
    hone__free(bytes);
    return *text != NULL;
}

/* ---- the graph ---- */

static void count_bytes(kctx *c)
{
    hone__import_report *r = c->report;
    for (size_t i = 0; i < hone__h5_count(c->catalogue); i++) {
        const hone__h5_item *item = hone__h5_at(c->catalogue, i);
        bool optimizer = strncmp(item->path, "optimizer_weights/", 18) == 0 ||
                         strncmp(item->path, "optimizer/", 10) == 0 || strncmp(item->path, "_optimizer/", 11) == 0;
        if (optimizer)
            r->optimizer_bytes += item->stored;
        else if (!c->used[i])
            r->other_bytes += item->stored;
    }
    r->kept_bytes = c->kept;
    r->file_bytes = c->map->size;
}

static bool name_taken(const hone__graph *g, const char *name)
{
    for (size_t i = 0; i < g->input_count; i++)
        if (strcmp(g->inputs[i]->name, name) == 0) return true;
    for (size_t i = 0; i < g->output_count; i++)
        if (strcmp(g->outputs[i]->name, name) == 0) return true;
    return false;
}

/* Outputs are called as their layers; a second one of a layer (or one like an input) gets _1, _2, ... */
static void name_outputs(kctx *c, const kmodel *m, kt **out, int count)
{
    hone__graph *g = c->b.graph;
    for (int i = 0; i < count && c->b.status == HONE_OK; i++) {
        const char *base = hone__kmodel_output_name(m, m->sequential ? 0 : i);
        char name[320];
        snprintf(name, sizeof name, "%.300s", base);
        for (int k = 1; name_taken(g, name); k++) snprintf(name, sizeof name, "%.300s_%d", base, k);
        hone__emit_output(&c->b, name, hone__kt_plain(c, out[i]));
        if (c->b.status != HONE_OK) return;
        hone__value *o = g->outputs[g->output_count - 1];
        o->dtype = out[i]->dtype;
        o->shape.rank = out[i]->rank;
        for (int d = 0; d < out[i]->rank; d++) {
            o->shape.dims[d] = out[i]->dims[d];
            if (d == 0 && out[i]->dims[0] < 0) (void)hone__symbol(g->model, "batch_size", &o->shape.dims[0]);
        }
    }
}

static hone_status make_graph(kctx *c)
{
    const char *class_name = hone__json_text(c->config, "class_name");
    const json_t *config = json_object_get(c->config, "config");
    if (!class_name || !config) return hone__fail(HONE_E_FORMAT, "the configuration has no class_name and config");
    bool sequential = strcmp(class_name, "Sequential") == 0;
    bool known = sequential || strcmp(class_name, "Functional") == 0 || strcmp(class_name, "Model") == 0;
    if (!known)
        return hone__fail(
            HONE_E_UNSUPPORTED,
            "the model is of class '%s', which is custom code and never executed: rebuild it as a Sequential or "
            "functional model, or export it to ONNX and use that",
            class_name);
    const char *name = json_is_object(config) ? hone__json_text(config, "name") : NULL;
    ksource source = {.prefix = ""};
    kmodel *m = hone__kmodel_new(c, name ? name : "model", c->config, &source);
    if (!m) return c->b.status;
    int in_count = hone__kmodel_inputs(m), out_count = 0;
    kt **in = hone__k_alloc(c, (size_t)in_count * sizeof *in), *out[K_MAX_OUT];
    if (!in || !hone__kmodel_make_inputs(c, m, in)) return c->b.status;
    HONE__TRY(hone__kmodel_call(c, m, in, in_count, out, &out_count));
    name_outputs(c, m, out, out_count);
    if (c->b.status != HONE_OK) return c->b.status;
    hone__graph_sweep(c->b.graph);
    HONE__TRY(hone__graph_name_all(c->b.graph));
    return hone__graph_verify(c->b.graph);
}

static hone_status run(kfile *f, hone__model *model)
{
    kctx *c = &f->c;
    if (is_folder(c->path))
        HONE__TRY(open_folder(f));
    else {
        HONE__TRY(hone__map_open(c->path, &c->map));
        if (is_zip(c->map))
            HONE__TRY(open_zip(f)); /* first: an archive may hold HDF5's magic further in */
        else if (is_h5(c->map))
            HONE__TRY(open_h5(f));
        else
            return hone__fail(HONE_E_FORMAT, "%s: neither an HDF5 file nor a .keras archive", c->path);
    }
    c->made = json_array();
    if (!c->made) return hone__out_of_memory(64);
    c->b.graph = model->graph;
    hone_status status = make_graph(c);
    if (status != HONE_OK) return hone__at(status, "%s", c->path);
    count_bytes(c);
    HONE__TRY(hone__model_set_metadata(model, "source_format", c->report->format));
    if (c->report->keras_version[0])
        HONE__TRY(hone__model_set_metadata(model, "keras_version", c->report->keras_version));
    return HONE_OK;
}

static void release(kfile *f)
{
    json_decref(f->c.config);
    json_decref(f->c.made);
    json_decref(f->metadata);
    hone__h5_close(f->c.catalogue);
    hone__zip_release(&f->weights);
    hone__map_unref(f->c.map);
    hone__arena_free(&f->c.arena);
    hone__free(f);
}

hone_status hone__keras_from_config(const char *json, size_t size, int keras_major, hone__model **out)
{
    hone__import_report report = {.file_bytes = size};
    *out = NULL;
    hone__model *model;
    HONE__TRY(hone__model_new(&model));
    kfile *f = hone__calloc(1, sizeof *f);
    hone_status status = f ? HONE_OK : hone__out_of_memory(sizeof *f);
    if (f) {
        kctx *c = &f->c;
        c->path = "configuration", c->report = &report, c->keras_major = keras_major, c->fake = true,
        c->b.graph = model->graph;
        c->zeros = hone__k_alloc(c, K_FAKE_MAX * sizeof *c->zeros);
        c->made = json_array();
        if (!c->zeros || !c->made) status = hone__out_of_memory(K_FAKE_MAX * sizeof *c->zeros);
        if (status == HONE_OK) status = hone__json_parse_python(json, size, c->path, MAX_CONFIG_VALUES, &c->config);
        if (status == HONE_OK) status = make_graph(c);
        release(f);
    }
    if (status == HONE_OK)
        *out = model;
    else
        hone__model_destroy(model);
    return status;
}

hone_status hone__import_keras(const char *path, const hone__import_options *options, hone__model **out,
                               hone__import_report *report)
{
    hone__import_report unused;
    *out = NULL;
    if (!report) report = &unused;
    memset(report, 0, sizeof *report);
    if (options && (options->batch < 0 || options->batch > K_MAX_DIM))
        return hone__fail(HONE_E_ARGUMENT, "a batch of %lld", (long long)options->batch);
    hone__model *model;
    HONE__TRY(hone__model_new(&model));
    kfile *f = hone__calloc(1, sizeof *f);
    hone_status status = f ? HONE_OK : hone__out_of_memory(sizeof *f);
    if (f) {
        f->c.path = path, f->c.report = report, f->c.batch = options ? options->batch : 0;
        status = run(f, model);
        release(f);
    }
    if (status == HONE_OK)
        *out = model;
    else
        hone__model_destroy(model);
    return status;
}
