/* cmd_profile.c: where a model's time goes, node by node. */
#include <stdio.h>
#include <stdlib.h>

#include "feeds.h"

static int by_time(const void *a, const void *b)
{
    double x = ((const hone_node_time *)a)->seconds, y = ((const hone_node_time *)b)->seconds;
    return (x < y) - (x > y);
}

static void print_rows(const hone_node_time *t, size_t count, double total)
{
    printf("%8s  %10s  %6s  %10s  %8s  %-24s %s\n", "calls", "us a call", "%", "KB a call", "GB/s", "operator", "node");
    for (size_t i = 0; i < count; i++, t++) {
        if (!t->calls) continue;
        double us = t->seconds / (double)t->calls * 1e6, bytes = (double)(t->in_bytes + t->out_bytes);
        printf("%8llu  %10.2f  %6.2f  %10.1f  %8.2f  %-24s ", t->calls, us, 100 * t->seconds / total, bytes / 1e3,
               us > 0 ? bytes / us / 1e3 : 0, t->op);
        print_clean(t->name);
        printf("\n");
    }
}

static void print_json(const hone_node_time *t, size_t count)
{
    size_t printed = 0;
    printf("[");
    for (size_t i = 0; i < count; i++, t++) {
        if (!t->calls) continue;
        printf("%s{\"node\": ", printed++ ? ", " : "");
        print_json_string(t->name);
        printf(", \"operator\": ");
        print_json_string(t->op);
        printf(", \"domain\": ");
        print_json_string(t->domain);
        printf(", \"calls\": %llu, \"seconds\": %.9g, \"in_bytes\": %zu, \"out_bytes\": %zu}", t->calls, t->seconds,
               t->in_bytes, t->out_bytes);
    }
    printf("]\n");
}

static hone_status measure(const hone_model *m, const hone_tensor *in, int64_t repeat, bool plain)
{
    hone_session_options o = {.threads = (int)common.threads, .profile = 1, .plain = plain};
    hone_session *s;
    size_t outs = hone_model_output_count(m), count = 0;
    hone_tensor *out = calloc(outs + 1, sizeof *out);
    hone_node_time t, *list = NULL;
    hone_status st = out ? hone_session_create(m, &o, &s) : HONE_E_MEMORY;
    if (st != HONE_OK) {
        free(out);
        return st;
    }
    for (int64_t i = 0; st == HONE_OK && i < repeat; i++) {
        st = hone_session_run(s, in, hone_model_input_count(m), out, outs);
        progress("running", (size_t)i + 1, (size_t)repeat);
    }
    while (st == HONE_OK && hone_session_time(s, count, &t) == HONE_OK) count++;
    if (st == HONE_OK && (list = calloc(count + 1, sizeof *list))) {
        double total = 0;
        for (size_t i = 0; i < count; i++) {
            hone_session_time(s, i, &list[i]);
            total += list[i].seconds;
        }
        qsort(list, count, sizeof *list, by_time);
        if (common.json)
            print_json(list, count);
        else
            print_rows(list, count, total);
    }
    free(list);
    free(out);
    hone_session_destroy(s);
    return st;
}

int cmd_profile(int argc, char **argv)
{
    text_list rest = {0}, ins = {0};
    int64_t repeat = 100;
    bool plain = false;
    const option_row rows[] = {
        {"input", 'i', OPTION_LIST, &ins, "NAME=FILE", "an input (default: seeded random numbers)", 0, 0, NULL},
        {"repeat", 0, OPTION_INT, &repeat, "N", "runs (default 100)", 1, 100000000, NULL},
        {"plain", 0, OPTION_FLAG, &plain, NULL, "the graph exactly as it is written", 0, 0, NULL},
        {0},
    };
    const verb_help help = {
        "profile MODEL [-i NAME=FILE ...]",
        "Runs a model many times and shows the time of every node, the slowest first.",
        "  hone profile model.onnx\n  hone profile model.onnx -i input=x.npy --repeat 1000 --json\n"};
    int code = options_read(argc, argv, rows, &help, &rest);
    if (code >= 0) return code;
    if (rest.count != 1) return usage_failure("profile needs one model (hone profile --help)");
    hone_model *m;
    feeds *f = NULL;
    hone_status s = open_model(rest.items[0], &m);
    if (s != HONE_OK) return report_failure(s);
    code = feeds_open(m, &ins, true, &f);
    if (code < 0) {
        s = measure(m, feeds_inputs(f), repeat, plain);
        code = s == HONE_OK ? EXIT_DONE : report_failure(s);
    }
    feeds_close(f);
    hone_model_destroy(m);
    return code;
}
