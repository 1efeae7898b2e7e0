/* run_model.h: a small graph of one matrix in and one out, run as written or with the machine's passes. */
#ifndef HONE_TESTS_RUN_MODEL_H
#define HONE_TESTS_RUN_MODEL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "exec/session.h"

enum { RUN_MODEL_MOST = 4096 };

/* x[i] = 3 sin(i^2) for the `rows` x `columns` input; out takes `count` numbers. */
static void run_model(const hone__model *m, bool plain, int rows, int columns, float *out, size_t count)
{
    float v[RUN_MODEL_MOST];
    hone__session *s;
    hone__session_options o = {.threads = 1, .plain = plain};
    size_t n = (size_t)rows * (size_t)columns;
    hone__tensor x = {
        .dtype = HONE_F32, .rank = 2, .dims = {rows, columns}, .count = n, .bytes = n * sizeof *v, .data = v};
    const hone__tensor *list = &x, *y;
    for (size_t i = 0; i < n; i++) v[i] = sinf((float)(i * i)) * 3;
    assert_int_equal(hone__session_create(m, &o, &s), HONE_OK);
    assert_int_equal(hone__session_run(s, &list, 1, &y, 1), HONE_OK);
    assert_int_equal(y->count, count);
    memcpy(out, y->data, count * sizeof *out);
    hone__session_destroy(s);
}

#endif
