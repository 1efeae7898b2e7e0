/* fuzz_keras.c: any bytes as a Keras configuration: a digit that is Keras's major version, then JSON. Weights are
 * zeros. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "tools/import/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hone__model *m;
    if (size < 2) return 0;
    int major = data[0] >= '1' && data[0] <= '3' ? data[0] - '0' : 3;
    hone_status status = hone__keras_from_config((const char *)data + 1, size - 1, major, &m);
    if ((status == HONE_OK) != (m != NULL)) abort();
    if (status != HONE_OK && !*hone_error_message()) abort();
    if (m && hone__graph_verify(m->graph) != HONE_OK) abort();
    hone__model_destroy(m);
    return 0;
}
