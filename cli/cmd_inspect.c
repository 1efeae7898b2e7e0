/* cmd_inspect.c: inputs, outputs, operators, bytes per precision and per weight, metadata. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

typedef struct tally {
    char name[96];
    size_t count, bytes;
} tally;

typedef struct tallies {
    tally *items;
    size_t count, capacity;
} tallies;

static void add(tallies *t, const char *name, size_t bytes)
{
    size_t i = 0;
    while (i < t->count && strcmp(t->items[i].name, name)) i++;
    if (i == t->count) {
        if (t->count == t->capacity) {
            size_t want = t->capacity ? 2 * t->capacity : 32;
            tally *grown = realloc(t->items, want * sizeof *grown);
            if (!grown) return;
            t->items = grown;
            t->capacity = want;
        }
        t->count++;
        t->items[i] = (tally){.count = 0};
        snprintf(t->items[i].name, sizeof t->items[i].name, "%s", name);
    }
    t->items[i].count++;
    t->items[i].bytes += bytes;
}

static int by_count(const void *a, const void *b)
{
    const tally *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return strcmp(x->name, y->name);
}

static void on_node(void *ctx, const char *name, const char *domain, const char *op)
{
    char full[96];
    (void)name;
    snprintf(full, sizeof full, "%.40s%s%.50s", domain, *domain ? ":" : "", op);
    add(ctx, full, 0);
}

static void on_weight(void *ctx, const char *name, const hone_tensor *t)
{
    (void)name;
    add(ctx, hone_dtype_name(t->dtype), t->bytes);
}

static void print_value(const hone_value_info *v)
{
    printf("  ");
    print_clean(v->name);
    printf("  %s%s%s [", v->optional ? "optional " : "", v->sequence ? "sequence of " : "", hone_dtype_name(v->dtype));
    if (v->rank < 0) printf("any rank");
    for (int i = 0; i < v->rank; i++) {
        if (i) printf(", ");
        if (v->dims[i] < 0)
            print_clean(v->symbols[i]);
        else
            printf("%lld", (long long)v->dims[i]);
    }
    printf("]\n");
}

static void weight_line(void *ctx, const char *name, const hone_tensor *t)
{
    (void)ctx;
    printf("  %12zu  %-8s [", t->bytes, hone_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++) printf("%s%lld", i ? ", " : "", (long long)t->dims[i]);
    printf("]  ");
    print_clean(name);
    printf("\n");
}

static void print_tallies(tallies *t, const char *title, bool bytes)
{
    if (t->count) qsort(t->items, t->count, sizeof *t->items, by_count);
    printf("%s\n", title);
    for (size_t i = 0; i < t->count; i++) {
        printf("  %6zu  ", t->items[i].count);
        if (bytes) printf("%12zu bytes  ", t->items[i].bytes);
        print_clean(t->items[i].name);
        printf("\n");
    }
}

static const char *const keys[] = {"hone.features", "hone.labels"};

static void print_text(const char *path, const hone_model *m, tallies *ops, tallies *types)
{
    hone_model_facts f;
    hone_value_info v;
    hone_model_facts_get(m, &f);
    print_clean(path);
    printf(": IR %lld, opset %lld, made by ", (long long)f.ir_version, (long long)f.opset);
    print_clean(*f.producer ? f.producer : "?");
    printf("; %zu nodes, %zu weights of %.2f MB\n\ninputs\n", f.nodes, f.weights, (double)f.weight_bytes / 1e6);
    for (size_t i = 0; hone_model_input(m, i, &v) == HONE_OK; i++) print_value(&v);
    printf("outputs\n");
    for (size_t i = 0; hone_model_output(m, i, &v) == HONE_OK; i++) print_value(&v);
    print_tallies(ops, "operators", false);
    print_tallies(types, "weights by type", true);
    printf("weights\n");
    hone_model_weights(m, weight_line, NULL);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *text = hone_model_metadata(m, keys[i]);
        if (!text) continue;
        printf("%s\n  ", keys[i]);
        for (; *text; text++) {
            if (*text == '\n')
                printf(text[1] ? "\n  " : "");
            else
                putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
        }
        printf("\n");
    }
}

static void json_values(const char *key, const hone_model *m,
                        hone_status (*get)(const hone_model *, size_t, hone_value_info *))
{
    hone_value_info v;
    printf("\"%s\": [", key);
    for (size_t i = 0; get(m, i, &v) == HONE_OK; i++) {
        printf("%s{\"name\": ", i ? ", " : "");
        print_json_string(v.name);
        if (v.sequence) printf(", \"sequence\": true");
        if (v.optional) printf(", \"optional\": true");
        printf(", \"dtype\": \"%s\", \"shape\": ", hone_dtype_name(v.dtype));
        if (v.rank < 0)
            printf("null");
        else
            printf("[");
        for (int k = 0; k < v.rank; k++) {
            if (k) printf(", ");
            if (v.dims[k] < 0)
                print_json_string(v.symbols[k]);
            else
                printf("%lld", (long long)v.dims[k]);
        }
        printf(v.rank < 0 ? "}" : "]}");
    }
    printf("], ");
}

static void json_weight(void *ctx, const char *name, const hone_tensor *t)
{
    size_t *n = ctx;
    printf("%s{\"name\": ", (*n)++ ? ", " : "");
    print_json_string(name);
    printf(", \"dtype\": \"%s\", \"shape\": [", hone_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++) printf("%s%lld", i ? ", " : "", (long long)t->dims[i]);
    printf("], \"bytes\": %zu}", t->bytes);
}

static void print_as_json(const char *path, const hone_model *m, tallies *ops)
{
    hone_model_facts f;
    size_t n = 0;
    hone_model_facts_get(m, &f);
    printf("{\"file\": ");
    print_json_string(path);
    printf(", \"ir_version\": %lld, \"opset\": %lld, \"producer\": ", (long long)f.ir_version, (long long)f.opset);
    print_json_string(f.producer);
    printf(", \"nodes\": %zu, \"weight_bytes\": %zu, ", f.nodes, f.weight_bytes);
    json_values("inputs", m, hone_model_input);
    json_values("outputs", m, hone_model_output);
    printf("\"operators\": {");
    for (size_t i = 0; i < ops->count; i++) {
        printf("%s", i ? ", " : "");
        print_json_string(ops->items[i].name);
        printf(": %zu", ops->items[i].count);
    }
    printf("}, \"weights\": [");
    hone_model_weights(m, json_weight, &n);
    printf("], \"metadata\": {");
    n = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *text = hone_model_metadata(m, keys[i]);
        if (!text) continue;
        printf("%s\"%s\": ", n++ ? ", " : "", keys[i]);
        print_json_string(text);
    }
    printf("}}\n");
}

int cmd_inspect(int argc, char **argv)
{
    text_list rest = {0};
    const option_row rows[] = {{0}};
    const verb_help help = {"inspect MODEL", "Shows inputs, outputs, operators, weights and metadata of a model.",
                            "  hone inspect model.onnx\n  hone inspect model.keras --json\n"};
    int code = options_read(argc, argv, rows, &help, &rest);
    if (code >= 0) return code;
    if (rest.count != 1) return usage_failure("inspect needs one model (hone inspect --help)");
    hone_model *m;
    hone_status s = open_model(rest.items[0], &m);
    if (s != HONE_OK) return report_failure(s);
    tallies ops = {0}, types = {0};
    hone_model_nodes(m, on_node, &ops);
    hone_model_weights(m, on_weight, &types);
    if (common.json)
        print_as_json(rest.items[0], m, &ops);
    else
        print_text(rest.items[0], m, &ops, &types);
    free(ops.items);
    free(types.items);
    hone_model_destroy(m);
    return EXIT_DONE;
}
