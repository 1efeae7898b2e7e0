/* fuzz_keras_zip.c: any bytes as the archive that a .keras file is: each member that the importer asks for is found
 * inside it or refused, and gives the same bytes twice. (The HDF5 library, in a confined process of its own, reads what
 * is in the member of the weights: that is not tried here.) */
#include <stddef.h>
#include <stdint.h>

#include "fuzz_parts.h"
#include "tools/import/keras/keras_zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 1 << 22 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"config.json", "metadata.json", "model.weights.h5"};
    char *exact = fuzz_exact((fuzz_part){data, size});
    hone__map map = {(const uint8_t *)exact, size, 2};
    for (int i = 0; i < 3; i++) {
        hone__zip_member one, two;
        hone_status status = hone__zip_read(&map, "fuzz", names[i], LIMIT, &one);
        demand_message(status);
        demand((status == HONE_OK) == (one.map != NULL) && one.size <= LIMIT);
        if (status != HONE_OK) continue;
        demand(hone__zip_read(&map, "fuzz", names[i], LIMIT, &two) == HONE_OK);
        demand(one.size == two.size && (!one.size || !memcmp(one.data, two.data, one.size)));
        hone__zip_release(&one);
        hone__zip_release(&two);
    }
    demand(map.refs == 2);
    free(exact);
    return 0;
}
