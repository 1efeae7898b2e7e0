/* test_onnx.c: the ONNX reader on files that are odd (unsorted nodes, optional inputs of functions) and on hostile
 * ones: every truncation, bit flips, boundary values in every number; memory stays within 1.25 x file + 32 MB when
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exec/session.h"
#include "hone/alloc.h"
#include "onnx/onnx.h"
#include "ops/eval.h"
#include "passes/passes.h"

/* --- writing protobuf --- */
typedef struct bytes {
    uint8_t p[1 << 16];
    size_t n;
} bytes;

static void varint(bytes *b, uint64_t v)
{
    for (; v > 0x7f; v >>= 7) b->p[b->n++] = (uint8_t)(v | 0x80);
    b->p[b->n++] = (uint8_t)v;
}

static void number(bytes *b, unsigned field, uint64_t v)
{
    varint(b, field << 3);
    varint(b, v);
}

static void span(bytes *b, unsigned field, const void *data, size_t n)
{
    varint(b, field << 3 | 2);
    varint(b, n);
    assert_true(b->n + n < sizeof b->p);
    memcpy(b->p + b->n, data, n);
    b->n += n;
}

static void text(bytes *b, unsigned field, const char *s) { span(b, field, s, strlen(s)); }
static void message(bytes *b, unsigned field, const bytes *m) { span(b, field, m->p, m->n); }

/* "a,b" -> one text field each; an empty part is an absent name */
static void texts(bytes *b, unsigned field, const char *list)
{
    for (size_t n; *list; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        span(b, field, list, n);
    }
}

static void node(bytes *to, unsigned field, const char *domain, const char *op, const char *in, const char *out,
                 const bytes *attr)
{
    static bytes n;
    n.n = 0;
    texts(&n, 1, in);
    texts(&n, 2, out);
    text(&n, 4, op);
    if (*domain) text(&n, 7, domain);
    if (attr) message(&n, 5, attr);
    message(to, field, &n);
}

/* float32, of the given sizes (negative: the symbol 'N') */
static void value(bytes *to, unsigned field, const char *name, int rank, const int *dims)
{
    bytes *v = calloc(1, sizeof *v), *t = calloc(1, sizeof *t), *s = calloc(1, sizeof *s), *d = calloc(1, sizeof *d);
    for (int i = 0; i < rank; i++) {
        d->n = 0;
        if (dims[i] < 0)
            text(d, 2, "N");
        else
            number(d, 1, (uint64_t)dims[i]);
        message(s, 1, d);
    }
    number(t, 1, HONE_F32);
    message(t, 2, s);
    d->n = 0;
    message(d, 1, t);
    text(v, 1, name);
    message(v, 2, d);
    message(to, field, v);
    free(v), free(t), free(s), free(d);
}

static void floats(bytes *to, const char *name, int rank, const int *dims, float first)
{
    bytes *t = calloc(1, sizeof *t);
    size_t count = 1;
    for (int i = 0; i < rank; i++) number(t, 1, (uint64_t)dims[i]), count *= (size_t)dims[i];
    number(t, 2, HONE_F32);
    text(t, 8, name);
    float *v = malloc(count * sizeof *v + 1);
    for (size_t i = 0; i < count; i++) v[i] = first + (float)i;
    span(t, 9, v, count * sizeof *v);
    message(to, 5, t);
    free(v), free(t);
}

static void model(bytes *m, const bytes *graph)
{
    static const uint8_t opset[] = {0x10, 17};
    number(m, 1, 8);
    span(m, 8, opset, sizeof opset);
    message(m, 7, graph);
}

static const int three[] = {3}, mat[] = {4, 8}, n4[] = {-1, 4}, n8[] = {-1, 8};
static bytes g, m, f, a;

static hone_status parse(hone__model **out)
{
    m.n = 0;
    model(&m, &g);
    return hone__onnx_parse(m.p, m.n, "test", out);
}

static hone_status run(hone__model *mo, const hone__tensor *const *in, size_t count, float *out, size_t floats_wanted)
{
    hone__session *s;
    hone__session_options o = {.threads = 1};
    const hone__tensor *y;
    hone_status st = hone__session_create(mo, &o, &s);
    if (st != HONE_OK) return st;
    st = hone__session_run(s, in, count, &y, 1);
    if (st == HONE_OK) memcpy(out, y->data, floats_wanted * sizeof *out);
    hone__session_destroy(s);
    return st;
}

static hone__tensor tensor(int rank, int64_t a0, int64_t a1, const float *data)
{
    hone__tensor t = {.dtype = HONE_F32, .rank = rank, .dims = {a0, a1}, .data = data};
    t.count = (size_t)(rank > 1 ? a0 * a1 : a0);
    t.bytes = t.count * 4;
    return t;
}

static void test_unsorted(void **state)
{
    (void)state;
    hone__model *mo;
    float x[] = {1, -2, 3}, y[3];
    g.n = 0;
    node(&g, 1, "", "Mul", "b,c", "y", NULL);
    node(&g, 1, "", "Neg", "c", "b", NULL);
    node(&g, 1, "", "Relu", "x", "c", NULL);
    value(&g, 11, "x", 1, three);
    value(&g, 12, "y", 1, three);
    assert_int_equal(parse(&mo), HONE_OK);
    hone__tensor t = tensor(1, 3, 0, x);
    assert_int_equal(run(mo, (const hone__tensor *[]){&t}, 1, y, 3), HONE_OK);
    assert_true(y[0] == -1 && y[1] == 0 && y[2] == -9);
    hone__model_destroy(mo);
    g.n = 0;
    node(&g, 1, "", "Add", "x,b", "y", NULL);
    node(&g, 1, "", "Neg", "y", "b", NULL);
    value(&g, 11, "x", 1, three);
    value(&g, 12, "y", 1, three);
    assert_int_equal(parse(&mo), HONE_E_FORMAT);
}

static void test_refused(void **state)
{
    (void)state;
    hone__model *mo;
    uint32_t one = 0x3f800000;
    g.n = a.n = 0; /* a list of floats that goes on with numbers */
    text(&a, 1, "axes");
    span(&a, 7, &one, 4);
    number(&a, 8, 5);
    node(&g, 1, "", "Neg", "x", "y", &a);
    value(&g, 11, "x", 1, three);
    value(&g, 12, "y", 1, three);
    assert_int_equal(parse(&mo), HONE_E_FORMAT);
    g.n = 0; /* operators that only passes may make */
    node(&g, 1, "hone", "Linear", "x,x", "y", NULL);
    value(&g, 11, "x", 1, three);
    value(&g, 12, "y", 1, three);
    assert_int_equal(parse(&mo), HONE_E_UNSUPPORTED);
    g.n = 0; /* an output that the operator does not have, and the first one missing */
    node(&g, 1, "", "Add", "x,x", ",y", NULL);
    value(&g, 11, "x", 1, three);
    value(&g, 12, "y", 1, three);
    if (parse(&mo) == HONE_OK) {
        assert_int_equal(hone__graph_infer(mo->graph), HONE_E_SHAPE);
        hone__model_destroy(mo);
    }
}

/* What is wrong is named with its node and operator, and what would work. */
static void test_messages(void **state)
{
    static const struct {
        const char *domain, *op, *in, *says;
    } rows[] = {
        {"", "Add", "x,nowhere", "node '' (Add): input 'nowhere' is not made by any node"},
        {"acme", "Custom", "x", "'Custom' of domain 'acme' is not known (ai.onnx, ai.onnx.ml and com.microsoft are)"},
        {"com.microsoft", "Frobnicate", "x", "'Frobnicate' of domain 'com.microsoft' is not known"},
        {"acme", "Reluu", "x", "the nearest known one is 'Relu' of 'ai.onnx'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        hone__model *mo = NULL;
        g.n = 0;
        node(&g, 1, rows[i].domain, rows[i].op, rows[i].in, "y", NULL);
        value(&g, 11, "x", 1, three);
        value(&g, 12, "y", 1, three);
        hone_status s = parse(&mo);
        if (s == HONE_OK) s = hone__graph_infer(mo->graph);
        assert_true(s == HONE_E_FORMAT || s == HONE_E_UNSUPPORTED);
        if (!strstr(hone_error_message(), rows[i].says)) fail_msg("%s", hone_error_message());
        hone__model_destroy(mo);
    }
}

/* Sizes that share a name but differ: an error of the run, never a read beyond the smaller one. */
static void test_equal_names(void **state)
{
    (void)state;
    hone__model *mo;
    static float x[64], y[64];
    g.n = 0;
    node(&g, 1, "", "MatMul", "x,w", "p", NULL);
    node(&g, 1, "", "Add", "p,r", "y", NULL);
    floats(&g, "w", 2, mat, 1);
    value(&g, 11, "x", 2, n4);
    value(&g, 11, "r", 2, n8);
    value(&g, 12, "y", 2, n8);
    assert_int_equal(parse(&mo), HONE_OK);
    hone__tensor a5 = tensor(2, 5, 4, x), r5 = tensor(2, 5, 8, x), r1 = tensor(2, 1, 8, x);
    assert_int_equal(run(mo, (const hone__tensor *[]){&a5, &r5}, 2, y, 40), HONE_OK);
    assert_int_equal(run(mo, (const hone__tensor *[]){&a5, &r1}, 2, y, 40), HONE_E_SHAPE);
    hone__model_destroy(mo);
    static const int nn[] = {-1, -1};
    g.n = 0;
    node(&g, 1, "", "MatMul", "x,w", "y", NULL);
    floats(&g, "w", 2, mat, 1);
    value(&g, 11, "x", 2, nn);
    value(&g, 12, "y", 2, n8);
    assert_int_equal(parse(&mo), HONE_OK);
    hone__tensor bad = tensor(2, 8, 2, x);
    assert_int_equal(run(mo, (const hone__tensor *[]){&bad}, 1, y, 8), HONE_E_SHAPE);
    hone__model_destroy(mo);
}

/* ScatterElements whose updates are its data: not in place. */
static void test_scatter_itself(void **state)
{
    (void)state;
    hone__model *mo;
    static const uint8_t indices[] = {2, 1, 0};
    float x[] = {1, 2, 3}, y[3];
    g.n = a.n = 0;
    number(&a, 1, 3);
    number(&a, 2, HONE_I64);
    text(&a, 8, "i");
    span(&a, 7, indices, 3);
    message(&g, 5, &a);
    node(&g, 1, "", "Neg", "x", "d", NULL);
    node(&g, 1, "", "ScatterElements", "d,i,d", "y", NULL);
    value(&g, 11, "x", 1, three);
    value(&g, 12, "y", 1, three);
    assert_int_equal(parse(&mo), HONE_OK);
    hone__tensor t = tensor(1, 3, 0, x);
    assert_int_equal(run(mo, (const hone__tensor *[]){&t}, 1, y, 3), HONE_OK);
    assert_true(y[0] == -3 && y[1] == -2 && y[2] == -1);
    hone__model_destroy(mo);
}

/* --- memory --- */
static size_t in_use, peak;

static void *counted(void *ctx, void *block, size_t old, size_t size)
{
    (void)ctx;
    void *p = NULL;
    if (size) {
        p = realloc(block, size);
        if (!p) return NULL;
    } else
        free(block);
    in_use += size - old;
    if (in_use > peak) peak = in_use;
    return p;
}

static const hone_allocator counting = {counted, NULL};

static void functions(int levels)
{
    char name[16], below[16];
    for (int i = 0; i <= levels; i++) {
        f.n = 0;
        snprintf(name, sizeof name, "f%d", i);
        snprintf(below, sizeof below, "f%d", i - 1);
        text(&f, 1, name);
        text(&f, 10, "my");
        text(&f, 4, "a");
        text(&f, 5, "b");
        node(&f, 7, i ? "my" : "", i ? below : "Neg", "a", "c", NULL);
        node(&f, 7, i ? "my" : "", i ? below : "Neg", "c", "b", NULL);
        message(&m, 25, &f);
    }
}

/* 2^28 nodes, and 2^40 weights, from a few hundred bytes */
static void test_bombs(void **state)
{
    (void)state;
    hone__model *mo;
    hone_set_allocator(&counting);
    peak = in_use = g.n = m.n = 0;
    node(&g, 1, "my", "f27", "x", "y", NULL);
    value(&g, 11, "x", 1, three);
    value(&g, 12, "y", 1, three);
    model(&m, &g);
    functions(27);
    assert_int_equal(hone__onnx_parse(m.p, m.n, "test", &mo), HONE_E_LIMIT);
    assert_int_equal(in_use, 0);
    assert_true(peak < m.n * 5 / 4 + (32u << 20));
    g.n = a.n = 0;
    text(&a, 1, "axis");
    number(&a, 3, 0);
    number(&a, 20, 2);
    floats(&g, "c0", 1, (const int[]){1024}, 0);
    for (int i = 0; i < 27; i++) {
        char in[32], out[16];
        snprintf(in, sizeof in, "c%d,c%d", i, i);
        snprintf(out, sizeof out, "c%d", i + 1);
        node(&g, 1, "", "Concat", in, out, &a);
    }
    node(&g, 1, "", "Neg", "c27", "y", NULL);
    value(&g, 12, "y", 1, (const int[]){-1});
    peak = 0;
    assert_int_equal(parse(&mo), HONE_OK);
    assert_int_equal(hone__passes_portable(mo), HONE_OK);
    assert_true(peak < 32u << 20);
    hone__model_destroy(mo);
    assert_int_equal(in_use, 0);
    hone_set_allocator(NULL);
}

/* --- every byte --- */
static void try_bytes(const uint8_t *data, size_t size)
{
    hone__model *mo;
    peak = in_use = 0;
    hone_status s = hone__onnx_parse(data, size, "test", &mo);
    if (s == HONE_OK) {
        hone__graph_infer(mo->graph);
        hone__model_destroy(mo);
    } else
        assert_true(peak <= size * 5 / 4 + (32u << 20));
    assert_int_equal(in_use, 0);
}

static void test_every_byte(void **state)
{
    (void)state;
    static const char *const files[] = {"conv", "function", "if", "old", "quant", "shape"};
    static const uint64_t edges[] = {0,          1,           2,           7,          8,          127,
                                     128,        255,         256,         32767,      65535,      65536,
                                     0x7fffffff, 0x80000000u, 0xffffffffu, 1ull << 32, 1ull << 40, (1ull << 62) - 1,
                                     1ull << 62, INT64_MAX,   1ull << 63,  ~0ull,      ~1ull,      ~0ull / 3};
    hone_set_allocator(&counting);
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        char path[512];
        static uint8_t data[8192], copy[8192 + 16];
        snprintf(path, sizeof path, "%s/tests/fuzz/corpus/onnx/%s.onnx", TEST_SOURCE_DIR, files[k]);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        size_t n = fread(data, 1, sizeof data, file);
        fclose(file);
        assert_true(n > 50 && n < sizeof data);
        for (size_t i = 0; i < n; i++) try_bytes(data, i);
        for (size_t i = 0; i < n * 8; i++) {
            memcpy(copy, data, n);
            copy[i / 8] ^= (uint8_t)(1 << i % 8);
            try_bytes(copy, n);
        }
        /* any byte may begin a number: a longer one in its place */
        for (size_t i = 0; i < n; i++)
            for (size_t e = i % 3; e < sizeof edges / sizeof *edges; e += 3) {
                static bytes v;
                v.n = 0;
                varint(&v, edges[e]);
                memcpy(copy, data, i);
                memcpy(copy + i, v.p, v.n);
                memcpy(copy + i + v.n, data + i + 1, n - i - 1);
                try_bytes(copy, n - 1 + v.n);
            }
    }
    hone_set_allocator(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unsorted),    cmocka_unit_test(test_refused),        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_equal_names), cmocka_unit_test(test_scatter_itself), cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
