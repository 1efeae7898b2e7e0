/* limits.h: the most that this machine does, and which share of it a piece of work reaches (the roofline model of
 * Williams, Waterman and Patterson, 2009). */
#ifndef HONE_MEASURE_LIMITS_H
#define HONE_MEASURE_LIMITS_H

#include "base/status.h"

enum { HONE__READ_SETS = 5 };

typedef struct hone__limits {
    int threads;
    double f32, i8; /* operations a second, in the instruction tier in use */
    struct {
        double bytes, rate;  /* a working set, and bytes a second read from it */
    } read[HONE__READ_SETS]; /* rising sets */
} hone__limits;

/* Takes about half a second. threads: as of a session. */
hone_status hone__limits_measure(int threads, hone__limits *out);

/* Seconds that the machine needs at least; 0 where nothing is counted. */
double hone__limits_seconds(const hone__limits *l, double operations, int integer, double bytes);

#endif
