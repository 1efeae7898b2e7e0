/* cmd_optimize.c: a trained model in, a small and fast ONNX file out, with a report of every weight. */
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/api.h"
#include "base/file.h"
#include "calibration.h"
#include "folder.h"
#include "onnx/onnx.h"
#include "tools/features/features.h"
#include "tools/import/import.h"

typedef struct settings {
    const char *out, *report, *features, *labels, *calibrate;
    int precision, block, method, layout;
    int64_t samples;
    bool opset_only;
} settings;

static const char *const precisions = "fp32|fp16|bf16|int8|int4";
static const char *const precision_names[] = {"fp32", "fp16", "bf16", "int8", "int4"};

typedef struct tally {
    json_t *weights;
    size_t changed, kept, before, after;
    double worst;
} tally;

static void on_change(void *ctx, const hone_weight_change *c)
{
    tally *t = ctx;
    bool kept = *c->reason != 0;
    t->changed += !kept;
    t->kept += kept;
    t->before += c->bytes_before;
    t->after += c->bytes_after;
    if (c->error > t->worst) t->worst = c->error;
    char *name = utf8_copy(c->name);
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:f}", "name", name ? name : "", "operator", c->op, "from",
                          c->from, "to", c->to, "bytes_before", (json_int_t)c->bytes_before, "bytes_after",
                          (json_int_t)c->bytes_after, "relative_error", c->error);
    free(name);
    if (kept && o) json_object_set_new(o, "reason", json_string(c->reason));
    if (o) json_array_append_new(t->weights, o);
    if (!common.verbose) return;
    fprintf(stderr, "%-40.40s %8s -> %-8s %10zu -> %10zu bytes  error %.2e  %s\n", c->name, c->from, c->to,
            c->bytes_before, c->bytes_after, c->error, c->reason);
}

static void show_progress(void *ctx, size_t done, size_t total)
{
    (void)ctx;
    progress("weights", done, total);
}

/* Of a file, or of a model's folder. */
static size_t file_bytes(const char *path)
{
    struct stat st;
    if (stat(path, &st)) return 0;
    return S_ISDIR(st.st_mode) ? folder_bytes(path) : (size_t)st.st_size;
}

static size_t source_bytes(const char *path, const hone__import_report *r)
{
    size_t bytes = r->file_bytes;
    return bytes ? bytes : file_bytes(path);
}

static json_t *make_report(const char *source, const settings *o, const hone__import_report *r,
                           const hone_model_facts *before, const hone_model_facts *after, const tally *t)
{
    char *from = utf8_copy(source), *to = utf8_copy(o->out);
    json_t *report = json_pack(
        "{s:s, s:s, s:s, s:{s:s, s:s, s:I, s:I, s:I, s:I}, s:{s:I, s:I}, s:{s:I, s:I, s:I}, s:f, s:O}", "source",
        from ? from : "", "output", to ? to : "", "precision", precision_names[o->precision], "import", "format",
        r->format, "keras_version", r->keras_version, "file_bytes", (json_int_t)source_bytes(source, r), "kept_bytes",
        (json_int_t)r->kept_bytes, "optimizer_bytes_dropped", (json_int_t)r->optimizer_bytes, "other_bytes_dropped",
        (json_int_t)r->other_bytes, "before", "nodes", (json_int_t)before->nodes, "weight_bytes",
        (json_int_t)before->weight_bytes, "after", "nodes", (json_int_t)after->nodes, "weight_bytes",
        (json_int_t)after->weight_bytes, "file_bytes", (json_int_t)file_bytes(o->out), "worst_relative_error", t->worst,
        "weights", t->weights);
    free(from);
    free(to);
    return report;
}

static hone_status write_report(hone__output *out, const char *path, json_t *report)
{
    char *text = report ? json_dumps(report, JSON_INDENT(2)) : NULL;
    if (!text) return hone__fail(HONE_E_MEMORY, "%s: the report cannot be made", path);
    hone_status s = hone__output_write(out, text, strlen(text));
    if (s == HONE_OK) s = hone__output_write(out, "\n", 1);
    if (s == HONE_OK) s = hone__output_commit(out);
    free(text);
    return s;
}

static void print_summary(const char *source, const settings *o, const hone__import_report *r,
                          const hone_model_facts *before, const hone_model_facts *after, const tally *t)
{
    if (common.quiet) return;
    printf("%s: %.2f MB", source, (double)source_bytes(source, r) / 1e6);
    if (r->optimizer_bytes)
        printf(", of which %.2f MB are optimiser state (dropped)", (double)r->optimizer_bytes / 1e6);
    printf("\n%s: %.2f MB, %zu nodes (before %zu), weights %.2f MB (before %.2f MB)\n", o->out,
           (double)file_bytes(o->out) / 1e6, after->nodes, before->nodes, (double)after->weight_bytes / 1e6,
           (double)before->weight_bytes / 1e6);
    if (t->changed + t->kept)
        printf("%zu weights in %s, %zu left as they are; largest relative error %.2e\n", t->changed,
               precision_names[o->precision], t->kept, t->worst);
}

/* Where large weights wait until they are written: where they will be written to. */
static void scratch_folder(const char *out, char *folder, size_t size)
{
    struct stat st;
    const char *slash = strrchr(out, '/');
    int n = !stat(out, &st) && S_ISDIR(st.st_mode) ? (int)strlen(out) : slash ? (int)(slash - out) + 1 : 0;
    snprintf(folder, size, "%.*s", n ? n : 1, n ? out : ".");
}

static hone_status open_source(const char *path, const settings *o, const char *scratch, hone_model **out,
                               hone__import_report *r)
{
    hone__model *graph;
    *out = NULL;
    *r = (hone__import_report){.format = "onnx"};
    bool decoder = hone__import_is_hugging_face(path) || hone__import_is_openai(path);
    if (!decoder && o->layout)
        return hone__fail(HONE_E_ARGUMENT, "%s: --layout is for folders of Hugging Face and for Whisper", path);
    if (!decoder && !hone__import_is_keras(path)) return open_onnx(path, out);
    hone__import_options options = {
        .no_cache = o->layout == 1, .precision = (hone_precision)o->precision, .scratch = scratch};
    hone_status s = hone__import_open(path, &options, &graph, r);
    return s == HONE_OK ? hone__api_wrap(graph, out) : s;
}

/* A decoder stays as its family wrote it: folding its transposed weights would copy every one. */
static hone_status rewrite(hone_model *m, bool decoder, const hone_optimize_options *p, tally *t)
{
    if (decoder && p->precision == HONE_PRECISION_FP32) return hone__onnx_widen(m->graph);
    return hone_model_optimize(m, p, on_change, t);
}

/* From a folder comes a folder. */
static bool makes_folder(const char *source, const settings *o)
{
    struct stat st;
    bool many = !stat(source, &st) && S_ISDIR(st.st_mode) && !hone__import_is_keras(source);
    return (many || hone__import_is_openai(source)) && folder_wanted(o->out);
}

/* What will be written, opened before the work: a wrong name costs no minutes. Of a model's file only the place is
 * tried. */
static hone_status open_outputs(const settings *o, bool folder, hone__output *report)
{
    struct stat st;
    hone__output trial;
    bool special = !stat(o->out, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
    if (folder)
        HONE__TRY(folder_open(o->out));
    else if (!special) {
        HONE__TRY(hone__output_open(o->out, &trial));
        hone__output_abandon(&trial);
    }
    return o->report ? hone__output_open(o->report, report) : HONE_OK;
}

/* From the source to what is in place; *report: NULL, or what the report says. */
static hone_status convert(const char *source, const settings *o, bool folder, json_t **report)
{
    hone_model *m;
    hone__import_report r;
    hone_model_facts before, after;
    tally t = {.weights = json_array()};
    hone_optimize_options p = HONE_OPTIMIZE_OPTIONS_INIT;
    p.progress = show_progress;
    p.precision = (hone_precision)o->precision;
    p.block = o->block;
    p.opset_only = o->opset_only;
    char scratch[PATH_MAX];
    scratch_folder(o->out, scratch, sizeof scratch);
    p.scratch = scratch;
    hone_status s = open_source(source, o, scratch, &m, &r);
    bool decoder = s == HONE_OK && (!strcmp(r.format, "hugging-face") || !strcmp(r.format, "openai"));
    if (s == HONE_OK && o->features) s = hone__features_apply(m, o->features);
    if (s == HONE_OK && o->labels) s = hone__labels_apply(m, o->labels);
    calibration_files *files = NULL;
    hone_calibration calibration = {calibration_sample, NULL, (hone_calibrate_method)o->method};
    if (s == HONE_OK && o->calibrate) s = calibration_open(o->calibrate, m, (size_t)o->samples, &files);
    calibration.ctx = files;
    p.calibration = files ? &calibration : NULL;
    if (s == HONE_OK && !folder && hone__part_is_whole(m->graph))
        s = hone__fail(HONE_E_ARGUMENT, "%s: a model of encoder and decoder goes into a folder", o->out);
    if (s == HONE_OK) {
        hone_model_facts_get(m, &before);
        s = rewrite(m, decoder, &p, &t);
        if (s != HONE_OK) s = hone__at(s, "%s", source);
    }
    if (s == HONE_OK && files && !calibration_used(files) && !common.quiet)
        fprintf(stderr, "hone: %s: no convolution becomes static int8: the data of --calibrate are not read\n", source);
    calibration_close(files);
    if (s == HONE_OK)
        s = folder ? folder_save(m->graph, (hone__layout_kind)o->layout, source) : hone_model_save(m, o->out);
    if (s == HONE_OK) {
        hone_model_facts_get(m, &after);
        *report = o->report ? make_report(source, o, &r, &before, &after, &t) : NULL;
        print_summary(source, o, &r, &before, &after, &t);
    }
    json_decref(t.weights);
    hone_model_destroy(m);
    return s;
}

static hone_status optimize(const char *source, const settings *o)
{
    hone__output out = {0};
    json_t *report = NULL;
    bool folder = makes_folder(source, o);
    hone_status s = open_outputs(o, folder, &out);
    if (s == HONE_OK) s = convert(source, o, folder, &report);
    if (s == HONE_OK && o->report && (s = write_report(&out, o->report, report)) != HONE_OK)
        s = hone__at(s, "%s is written, its report is not", o->out);
    hone__output_abandon(&out);
    json_decref(report);
    folder_close();
    return s;
}

int cmd_optimize(int argc, char **argv)
{
    text_list rest = {0};
    settings o = {.block = 128, .samples = 256};
    int block = 3;
    const option_row rows[] = {
        {"output", 'o', OPTION_TEXT, &o.out, "OUT", "the FILE.onnx, or the folder, to write", 0, 0, NULL},
        {"precision", 'p', OPTION_CHOICE, &o.precision, NULL, "of the weights (default fp32)", 0, 0, precisions},
        {"block", 0, OPTION_CHOICE, &block, NULL, "weights of a linear layer that share a scale (default 128)", 0, 0,
         "16|32|64|128|256|row"},
        {"layout", 0, OPTION_CHOICE, &o.layout, NULL,
         "decoders: with past keys and values (default), or without; split: those of the encoder in a file of their "
         "own",
         0, 0, "with-past|no-cache|split"},
        {"opset-only", 0, OPTION_FLAG, &o.opset_only, NULL, "standard ONNX operators only", 0, 0, NULL},
        {"features", 0, OPTION_TEXT, &o.features, "FILE.json", "how sound becomes the input; stored in the model", 0, 0,
         NULL},
        {"labels", 0, OPTION_TEXT, &o.labels, "FILE.txt", "one label per line; stored in the model", 0, 0, NULL},
        {"calibrate", 0, OPTION_TEXT, &o.calibrate, "DATA",
         "static int8: sample inputs (.npy, .npz, .pb) or sound files", 0, 0, NULL},
        {"calibrate-method", 0, OPTION_CHOICE, &o.method, NULL, "how ranges are chosen (default minmax)", 0, 0,
         "minmax|entropy|percentile"},
        {"calibrate-samples", 0, OPTION_INT, &o.samples, "N", "how many files of DATA at the most (default 256)", 1,
         1000000, NULL},
        {"report", 0, OPTION_TEXT, &o.report, "FILE.json", "bytes and error of every weight", 0, 0, NULL},
        {0},
    };
    const verb_help help = {
        "optimize SOURCE -o OUT",
        "Turns a trained model (.h5, .keras, .onnx, or a folder of Hugging Face's, optimum's or onnxruntime-genai's)\n"
        "into a small, fast ONNX file that any ONNX runtime opens. A folder becomes a folder: model.onnx, its "
        "weights,\n"
        "tokenizer and settings.",
        "  hone optimize model.h5 -o model.onnx\n"
        "  hone optimize model.keras -o model_int8.onnx --precision int8 --report report.json\n"
        "  hone optimize ./gpt2 -o gpt2-int4 --precision int4\n"
        "  hone optimize zoo/keywords/keywords.keras --features zoo/keywords/features.json -o keywords.onnx\n"};
    int code = options_read(argc, argv, rows, &help, &rest);
    if (code >= 0) return code;
    if (rest.count != 1) return usage_failure("optimize needs one source (hone optimize --help)");
    if (!o.out) return usage_failure("optimize needs -o FILE.onnx, or -o FOLDER for a language model");
    o.block = block == 5 ? 0 : 16 << block;
    hone_status s = optimize(rest.items[0], &o);
    return s == HONE_OK ? EXIT_DONE : report_failure(s);
}
