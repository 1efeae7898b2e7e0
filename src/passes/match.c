/* match.c: constants for passes. */
#include "match.h"

hone__value *hone__new_f32(hone__graph *g, const char *name, int rank, const int64_t *dims, float **data)
{
    hone__tensor t;
    if (hone__tensor_new(HONE_F32, rank, dims, &t) != HONE_OK) return NULL;
    *data = hone__tensor_write(&t);
    return hone__value_constant(g, name, &t);
}
