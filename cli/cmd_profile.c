/* cmd_profile.c: where a model's time goes, node by node. */
#include <stdio.h>
#include <stdlib.h>

#include "feeds.h"
#include "profile_print.h"

static int by_time(const void *a, const void *b)
{
    double x = ((const hone_node_time *)a)->seconds, y = ((const hone_node_time *)b)->seconds;
    return (x < y) - (x > y);
}

/* Those nodes that ran, slowest first. The caller frees. */
static hone_node_time *times_of(const hone_session *s, size_t *count)
{
    hone_node_time t, *list;
    size_t all = 0;
    while (hone_session_time(s, all, &t) == HONE_OK) all++;
    list = calloc(all + 1, sizeof *list);
    *count = 0;
    for (size_t i = 0; list && i < all; i++)
        if (hone_session_time(s, i, &list[*count]) == HONE_OK && list[*count].calls) ++*count;
    if (list) qsort(list, *count, sizeof *list, by_time);
    return list;
}

typedef struct job {
    const hone_model *model;
    const hone_tensor *in;
    hone_tensor *out;
    int64_t repeat;
    bool plain;
} job;

static hone_status measure(const job *j)
{
    hone_session_options o = {.threads = (int)common.threads, .profile = 1, .plain = j->plain};
    hone_session *s;
    hone__limits limits;
    size_t count = 0;
    hone_status st = hone__limits_measure((int)common.threads, &limits);
    if (st != HONE_OK || (st = hone_session_create(j->model, &o, &s)) != HONE_OK) return st;
    for (int64_t i = 0; st == HONE_OK && i < j->repeat; i++) {
        st = hone_session_run(s, j->in, hone_model_input_count(j->model), j->out, hone_model_output_count(j->model));
        progress("running", (size_t)i + 1, (size_t)j->repeat);
    }
    hone_node_time *list = st == HONE_OK ? times_of(s, &count) : NULL;
    if (list && common.json)
        profile_print_json(list, count, j->repeat, &limits);
    else if (list)
        profile_print_text(list, count, j->repeat, &limits);
    else if (st == HONE_OK)
        st = hone__out_of_memory(sizeof *list);
    free(list);
    hone_session_destroy(s);
    return st;
}

static hone_status run_twice(const job *j, profile_trace *t, hone_session *s)
{
    hone_status st =
        hone_session_run(s, j->in, hone_model_input_count(j->model), j->out, hone_model_output_count(j->model));
    if (st != HONE_OK) return st;
    t->recording = true;
    return hone_session_run(s, j->in, hone_model_input_count(j->model), j->out, hone_model_output_count(j->model));
}

/* The second run, when everything is planned, in a session of its own: writing events takes time. */
static hone_status trace_to(const job *j, const char *path)
{
    profile_trace t = {0};
    hone_session_options o = {
        .threads = (int)common.threads, .plain = j->plain, .on_node = profile_trace_event, .on_node_ctx = &t};
    hone_session *s;
    hone_status st = hone_session_create(j->model, &o, &s);
    if (st != HONE_OK) return st;
    if ((st = profile_trace_open(&t, path)) == HONE_OK) {
        st = run_twice(j, &t, s);
        st = profile_trace_close(&t, st);
    }
    hone_session_destroy(s);
    return st;
}

int cmd_profile(int argc, char **argv)
{
    text_list rest = {0}, ins = {0};
    int64_t repeat = 100;
    bool plain = false;
    const char *trace = NULL;
    const option_row rows[] = {
        {"input", 'i', OPTION_LIST, &ins, "NAME=FILE", "an input (default: seeded random numbers)", 0, 0, NULL},
        {"repeat", 0, OPTION_INT, &repeat, "N", "runs (default 100)", 1, 100000000, NULL},
        {"trace", 0, OPTION_TEXT, &trace, "FILE", "one run's nodes on a time line, for Perfetto or chrome://tracing", 0,
         0, NULL},
        {"plain", 0, OPTION_FLAG, &plain, NULL, "the graph exactly as it is written", 0, 0, NULL},
        {0},
    };
    const verb_help help = {
        "profile MODEL [-i NAME=FILE ...]",
        "Runs a model many times and shows the time of every operator and node, the slowest first,\n"
        "and which share of what this machine can do it reaches (measured at the start).",
        "  hone profile model.onnx\n  hone profile model.onnx -i input=x.npy --repeat 1000 --json\n"
        "  hone profile model.onnx --trace run.json\n"};
    int code = options_read(argc, argv, rows, &help, &rest);
    if (code >= 0) return code;
    if (rest.count != 1) return usage_failure("profile needs one model (hone profile --help)");
    hone_model *m;
    feeds *f = NULL;
    hone_status s = open_model(rest.items[0], &m);
    if (s != HONE_OK) return report_failure(s);
    code = feeds_open(m, &ins, true, &f);
    if (code < 0) {
        job j = {m, feeds_inputs(f), calloc(hone_model_output_count(m) + 1, sizeof *j.out), repeat, plain};
        s = j.out ? measure(&j) : hone__out_of_memory(sizeof *j.out);
        if (s != HONE_OK) s = hone__at(s, "%s", rest.items[0]);
        if (s == HONE_OK && trace) s = trace_to(&j, trace);
        free(j.out);
        code = s == HONE_OK ? EXIT_DONE : report_failure(s);
    }
    feeds_close(f);
    hone_model_destroy(m);
    return code;
}
