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

/* x[i] = 3 sin(i^2) for the `rows` x `columns` input; out has room for `room` numbers. How many there are. */
static inline size_t run_model_any(const hone__model *m, bool plain, int rows, int columns, float *out, size_t room)
{
    float v[RUN_MODEL_MOST];
    hone__session *s;
    hone__session_options o = {.threads = 1, .plain = plain};
    size_t n = (size_t)rows * (size_t)columns;
    hone__tensor x = {
        .dtype = HONE_F32, .rank = 2, .dims = {rows, columns}, .count = n, .bytes = n * sizeof *v, .data = v};
    const hone__tensor *list = &x, *y;
    for (size_t i = 0; i < n; i++) v[i] = sinf((float)(i * i)) * 3;
    if (hone__session_create(m, &o, &s) != HONE_OK || hone__session_run(s, &list, 1, &y, 1) != HONE_OK)
        fail_msg("%s", hone_error_message());
    size_t count = y->count;
    assert_true(count <= room && y->dtype == HONE_F32);
    memcpy(out, y->data, count * sizeof *out);
    hone__session_destroy(s);
    return count;
}

static inline void run_model(const hone__model *m, bool plain, int rows, int columns, float *out, size_t count)
{
    assert_int_equal(run_model_any(m, plain, rows, columns, out, count), count);
}

#endif
