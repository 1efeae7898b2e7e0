/* status.h (base): how a failure is raised and how callers add the place. */
#ifndef HONE_BASE_STATUS_H
#define HONE_BASE_STATUS_H

#include "hone/status.h"

#if defined(__GNUC__)
#define HONE__PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define HONE__PRINTF(f, a)
#endif

/* Sets this thread's message and returns `code`, so that code and text cannot part. Control characters in the
 * result are replaced by '?': names from files may be echoed as they are. */
hone_status hone__fail(hone_status code, const char *format, ...) HONE__PRINTF(2, 3);

/* Puts "place: " before this thread's message; returns `code`. */
hone_status hone__at(hone_status code, const char *format, ...) HONE__PRINTF(2, 3);

/* HONE_E_MEMORY naming how many bytes were asked for. Allocates nothing. */
hone_status hone__out_of_memory(unsigned long long bytes);

#define HONE__TRY(expr)                         \
    do {                                        \
        hone_status hone__s = (expr);           \
        if (hone__s != HONE_OK) return hone__s; \
    } while (0)

#endif
