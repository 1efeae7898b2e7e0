/* profile_print.c: times by operator and by node as text and JSON, and a trace for chrome://tracing or Perfetto. */
#include "profile_print.h"

#include <stdlib.h>
#include <string.h>

/* Nodes of one operator together. */
typedef struct op_sum {
    const char *op, *domain, *kernel;
    unsigned long long nodes, calls;
    double seconds, bytes, operations, least; /* of all calls; least: at this machine's limits */
} op_sum;

typedef struct share {
    double us, gops, gbs, limit; /* limit: of what the machine can, 0 to 1; 0: nothing is counted */
} share;

static double moved(const hone_node_time *t) { return (double)t->in_bytes + (double)t->out_bytes; }

static share share_of(double calls, double seconds, double operations, double bytes, double least)
{
    share s = {0};
    if (calls > 0) s.us = seconds / calls * 1e6;
    if (seconds > 0) {
        s.gops = operations / seconds * 1e-9;
        s.gbs = bytes / seconds * 1e-9;
        s.limit = least / seconds;
    }
    return s;
}

static share node_share(const hone_node_time *t, const hone__limits *l)
{
    double n = (double)t->calls, bytes = moved(t);
    return share_of(n, t->seconds, t->operations * n, bytes * n,
                    n * hone__limits_seconds(l, t->operations, t->integer, bytes));
}

static int by_seconds(const void *a, const void *b)
{
    double x = ((const op_sum *)a)->seconds, y = ((const op_sum *)b)->seconds;
    return (x < y) - (x > y);
}

static size_t sum_by_op(const hone_node_time *t, size_t count, const hone__limits *l, op_sum *sums)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++, t++) {
        size_t k = 0;
        while (k < n && (strcmp(sums[k].op, t->op) || strcmp(sums[k].domain, t->domain))) k++;
        if (k == n) sums[n++] = (op_sum){.op = t->op, .domain = t->domain, .kernel = t->kernel};
        double calls = (double)t->calls;
        sums[k].nodes++;
        sums[k].calls += t->calls;
        sums[k].seconds += t->seconds;
        sums[k].bytes += calls * moved(t);
        sums[k].operations += calls * t->operations;
        sums[k].least += calls * hone__limits_seconds(l, t->operations, t->integer, moved(t));
    }
    qsort(sums, n, sizeof *sums, by_seconds);
    return n;
}

static double total_of(const hone_node_time *t, size_t count)
{
    double total = 0;
    for (size_t i = 0; i < count; i++) total += t[i].seconds;
    return total > 0 ? total : 1e-12;
}

static void print_share(const share *s)
{
    if (s->gops > 0)
        printf("  %9.2f", s->gops);
    else
        printf("  %9s", "-");
    if (s->gbs > 0)
        printf("  %8.2f  %6.1f", s->gbs, 100 * s->limit);
    else
        printf("  %8s  %6s", "-", "-");
}

void profile_print_text(const hone_node_time *t, size_t count, int64_t runs, const hone__limits *l)
{
    op_sum *sums = calloc(count + 1, sizeof *sums);
    double total = total_of(t, count);
    size_t ops = sums ? sum_by_op(t, count, l, sums) : 0;
    printf("%s, tier %s, %d threads: %.1f GFLOP/s float32, %.1f GOP/s int8, %.1f GB/s from memory (measured now)\n",
           hone_cpu_name(), hone_cpu_tier(), l->threads, l->f32 * 1e-9, l->i8 * 1e-9,
           l->read[HONE__READ_SETS - 1].rate * 1e-9);
    printf("%lld runs, %.1f us a run in nodes\n\n", (long long)runs, total / (double)runs * 1e6);
    printf("%6s  %9s  %10s  %6s  %10s  %9s  %8s  %6s  %-14s %s\n", "nodes", "calls", "us a run", "%", "KB a run",
           "GOP/s", "GB/s", "limit%", "kernel", "operator");
    for (size_t i = 0; i < ops; i++) {
        const op_sum *o = &sums[i];
        share s = share_of((double)runs, o->seconds, o->operations, o->bytes, o->least);
        printf("%6llu  %9llu  %10.2f  %6.2f  %10.1f", o->nodes, o->calls, s.us, 100 * o->seconds / total,
               o->bytes / (double)runs / 1e3);
        print_share(&s);
        printf("  %-14s ", o->kernel);
        if (*o->domain) print_clean(o->domain), printf(":");
        print_clean(o->op);
        printf("\n");
    }
    free(sums);
    printf("\n%9s  %10s  %6s  %10s  %9s  %8s  %6s  %-20s %s\n", "calls", "us a call", "%", "KB a call", "GOP/s", "GB/s",
           "limit%", "operator", "node");
    for (size_t i = 0; i < count; i++, t++) {
        share s = node_share(t, l);
        printf("%9llu  %10.2f  %6.2f  %10.1f", t->calls, s.us, 100 * t->seconds / total, moved(t) / 1e3);
        print_share(&s);
        printf("  %-20s %*s", t->op, 2 * t->depth, "");
        print_clean(t->name);
        printf("\n");
    }
}

static void text_field(const char *key, const char *value, const char *before)
{
    printf("%s\"%s\": ", before, key);
    print_json_string(value);
}

static void json_share(const share *s, double total, double seconds)
{
    printf(", \"seconds\": %.9g, \"share\": %.6g, \"gops\": %.6g, \"gb_per_s\": %.6g, \"limit_share\": %.6g", seconds,
           seconds / total, s->gops, s->gbs, s->limit);
}

static void json_ops(const hone_node_time *t, size_t count, int64_t runs, const hone__limits *l, double total)
{
    op_sum *sums = calloc(count + 1, sizeof *sums);
    size_t ops = sums ? sum_by_op(t, count, l, sums) : 0;
    printf(", \"operators\": [");
    for (size_t i = 0; i < ops; i++) {
        const op_sum *o = &sums[i];
        share s = share_of((double)runs, o->seconds, o->operations, o->bytes, o->least);
        text_field("operator", o->op, i ? ", {" : "{");
        text_field("domain", o->domain, ", ");
        text_field("kernel", o->kernel, ", ");
        printf(", \"nodes\": %llu, \"calls\": %llu, \"bytes\": %.0f, \"operations\": %.0f", o->nodes, o->calls,
               o->bytes, o->operations);
        json_share(&s, total, o->seconds);
        printf("}");
    }
    printf("]");
    free(sums);
}

void profile_print_json(const hone_node_time *t, size_t count, int64_t runs, const hone__limits *l)
{
    double total = total_of(t, count);
    text_field("cpu", hone_cpu_name(), "{");
    text_field("tier", hone_cpu_tier(), ", ");
    printf(
        ", \"threads\": %d, \"runs\": %lld, \"seconds\": %.9g, \"limits\": {\"f32_gops\": %.6g, \"int8_gops\": %.6g, "
        "\"read\": [",
        l->threads, (long long)runs, total, l->f32 * 1e-9, l->i8 * 1e-9);
    for (int i = 0; i < HONE__READ_SETS; i++)
        printf("%s{\"bytes\": %.0f, \"gb_per_s\": %.6g}", i ? ", " : "", l->read[i].bytes, l->read[i].rate * 1e-9);
    printf("]}");
    json_ops(t, count, runs, l, total);
    printf(", \"nodes\": [");
    for (size_t i = 0; i < count; i++, t++) {
        share s = node_share(t, l);
        text_field("node", t->name, i ? ", {" : "{");
        text_field("operator", t->op, ", ");
        text_field("domain", t->domain, ", ");
        text_field("kernel", t->kernel, ", ");
        printf(", \"depth\": %d, \"calls\": %llu, \"in_bytes\": %zu, \"out_bytes\": %zu, \"operations\": %.0f",
               t->depth, t->calls, t->in_bytes, t->out_bytes, t->operations);
        json_share(&s, total, t->seconds);
        printf("}");
    }
    printf("]}\n");
}

hone_status profile_trace_open(profile_trace *t, const char *path)
{
    static const char head[] = "{\"displayTimeUnit\": \"ns\", \"traceEvents\": [";
    HONE__TRY(hone__output_open(path, &t->out));
    t->status = hone__output_write(&t->out, head, sizeof head - 1);
    return HONE_OK;
}

void profile_trace_event(void *trace, const hone_node_event *e)
{
    profile_trace *t = trace;
    FILE *f = t->out.file;
    if (!t->recording) return;
    fputs(t->any ? ",\n{\"name\": " : "\n{\"name\": ", f);
    write_json_string(f, *e->name ? e->name : e->op);
    fputs(", \"cat\": ", f);
    write_json_string(f, e->op);
    fprintf(f, ", \"ph\": \"X\", \"pid\": 1, \"tid\": 1, \"ts\": %.3f, \"dur\": %.3f, \"args\": {\"depth\": %d}}",
            e->start * 1e6, e->seconds * 1e6, e->depth);
    t->any = true;
}

hone_status profile_trace_close(profile_trace *t, hone_status run)
{
    if (run == HONE_OK) run = t->status;
    if (run == HONE_OK) run = hone__output_write(&t->out, "\n]}\n", 4);
    if (run == HONE_OK) return hone__output_commit(&t->out);
    hone__output_abandon(&t->out);
    return run;
}
