/* cmd_compare.c: two models on one input, value by value, the worst first. */
#include <math.h>
#include <stdio.h>

#include "api/api.h"
#include "base/alloc.h"
#include "base/status.h"
#include "feeds.h"
#include "tools/measure/compare.h"

static void print_rows(const hone__difference *d, size_t count)
{
    printf("%10s  %10s  %12s  %12s  %10s  %s\n", "SQNR dB", "cosine", "max error", "max value", "elements", "value");
    for (size_t i = 0; i < count; i++, d++) {
        printf("%10.2f  %10.7f  %12.4g  %12.4g  %10zu  %s", d->sqnr_db, d->cosine, d->max_error, d->max_value, d->count,
               d->output ? "output " : "");
        print_clean(d->name);
        printf("\n");
    }
}

static void json_number(const char *key, double v)
{
    if (isfinite(v))
        printf(", \"%s\": %.9g", key, v);
    else
        printf(", \"%s\": null", key);
}

static void print_json(const hone__difference *d, size_t count)
{
    printf("[");
    for (size_t i = 0; i < count; i++, d++) {
        printf("%s{\"name\": ", i ? ", " : "");
        print_json_string(d->name);
        printf(", \"output\": %s, \"elements\": %zu", d->output ? "true" : "false", d->count);
        json_number("sqnr_db", d->sqnr_db);
        json_number("cosine", d->cosine);
        json_number("max_error", d->max_error);
        json_number("max_value", d->max_value);
        printf("}");
    }
    printf("]\n");
}

int cmd_compare(int argc, char **argv)
{
    text_list rest = {0}, ins = {0};
    const option_row rows[] = {
        {"input", 'i', OPTION_LIST, &ins, "NAME=FILE", "an input (default: seeded random numbers)", 0, 0, NULL},
        {0},
    };
    const verb_help help = {
        "compare A B [-i NAME=FILE ...]",
        "Runs both models as they are written on one input and compares every output, and every value inside that\n"
        "both call by the same name: signal to quantisation noise, cosine, largest error. The worst come first.",
        "  hone compare model_fp32.onnx model_int8.onnx -i input=x.npy\n"};
    int code = options_read(argc, argv, rows, &help, &rest);
    if (code >= 0) return code;
    if (rest.count != 2) return usage_failure("compare needs two models (hone compare --help)");
    hone_model *a = NULL, *b = NULL;
    feeds *f = NULL;
    hone__difference *list = NULL;
    size_t count = 0;
    hone_status s = open_model(rest.items[0], &a);
    if (s == HONE_OK) s = open_model(rest.items[1], &b);
    code = s == HONE_OK ? feeds_open(a, &ins, true, &f) : report_failure(s);
    if (code < 0) {
        s = hone__compare(a->graph, b->graph, feeds_inputs(f), (int)common.threads, &list, &count);
        if (s == HONE_OK && common.json)
            print_json(list, count);
        else if (s == HONE_OK)
            print_rows(list, count);
        code = s == HONE_OK ? EXIT_DONE : report_failure(hone__at(s, "%s, %s", rest.items[0], rest.items[1]));
    }
    hone__free(list);
    feeds_close(f);
    hone_model_destroy(a);
    hone_model_destroy(b);
    return code;
}
