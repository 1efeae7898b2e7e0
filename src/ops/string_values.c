/* string_values.c: numbers as text and back, as Cast has it: NaN, INF and -INF by name, decimal and scientific
 * notation. */
#include "string_values.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The digits that a type may need to be told from its neighbours. */
static int digits_of(hone_dtype d)
{
    return d == HONE_F64 ? 17 : d == HONE_F32 ? 9 : d == HONE_F16 ? 5 : d == HONE_BF16 ? 4 : 3;
}

static size_t float_text(hone_dtype d, double v, char text[32])
{
    if (isnan(v)) return (size_t)snprintf(text, 32, "NaN");
    if (isinf(v)) return (size_t)snprintf(text, 32, v < 0 ? "-INF" : "INF");
    int n = 0;
    for (int digits = 1; digits <= digits_of(d); digits++) {
        n = snprintf(text, 32, "%.*g", digits, v);
        double back = strtod(text, NULL);
        char bytes[16] = {0};
        hone__element_set_f64(d, bytes, 0, back);
        if (hone__element_f64(d, bytes, 0) == v) break;
    }
    return (size_t)n;
}

size_t hone__number_text(hone_dtype d, const void *data, size_t i, char text[32])
{
    if (hone__dtype_is_float(d)) return float_text(d, hone__element_f64(d, data, i), text);
    int64_t v = hone__element_i64(d, data, i);
    if (d == HONE_U64) return (size_t)snprintf(text, 32, "%" PRIu64, (uint64_t)v);
    return (size_t)snprintf(text, 32, "%" PRId64, v);
}

static bool same_letters(const char *a, const char *lower)
{
    for (; *lower; a++, lower++)
        if ((*a | 32) != *lower) return false;
    return !*a;
}

static bool parse_float(const char *text, double *v)
{
    const char *unsigned_text = text + (*text == '-' || *text == '+');
    char *end;
    if (same_letters(unsigned_text, "nan"))
        *v = NAN;
    else if (same_letters(unsigned_text, "inf") || same_letters(unsigned_text, "infinity"))
        *v = *text == '-' ? -INFINITY : INFINITY;
    else {
        if (strspn(text, "+-.0123456789eE") != strlen(text)) return false; /* no hexadecimal, no payloads */
        *v = strtod(text, &end);
        return end != text && !*end;
    }
    return true;
}

hone_status hone__text_number(hone__string s, hone_dtype d, void *data, size_t i)
{
    char text[512];
    double v;
    while (s.size && strchr(" \t\n\r", s.data[0])) s.data++, s.size--;
    while (s.size && strchr(" \t\n\r", s.data[s.size - 1])) s.size--;
    if (s.size && s.size < sizeof text && !memchr(s.data, 0, s.size)) {
        memcpy(text, s.data, s.size);
        text[s.size] = 0;
        char *end;
        errno = 0;
        if (d == HONE_U64) {
            uint64_t u = strtoull(text, &end, 10);
            if (!*end && !errno && *text != '-') {
                hone__element_set_i64(d, data, i, (int64_t)u);
                return HONE_OK;
            }
        } else if (!hone__dtype_is_float(d)) {
            int64_t n = strtoll(text, &end, 10);
            if (!*end && !errno) {
                hone__element_set_i64(d, data, i, d == HONE_BOOL ? n != 0 : n);
                return HONE_OK;
            }
        } else if (parse_float(text, &v)) {
            hone__element_set_f64(d, data, i, v);
            return HONE_OK;
        }
    }
    return hone__fail(HONE_E_ARGUMENT, "'%.*s' is no %s", s.size > 60 ? 60 : (int)s.size, s.size ? s.data : "",
                      hone_dtype_name(d));
}
