/* fuzz_h5_records.c: any bytes as the catalogue that the confined child of an HDF5 file writes: data sets that lie
 * where they say, each found by its name, or an error. (The HDF5 library itself, inside the child, is not tried here.)
 */
#include <stddef.h>
#include <stdint.h>

#include "fuzz_parts.h"
#include "tools/import/hdf5/h5_records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IMAGE = 1000, SPILL = 200 };

static void look_at(const hone__h5 *h, const hone__h5_item *item)
{
    size_t count, bytes;
    demand(strlen(item->path) < 1u << 20 && item->rank >= 0 && item->rank <= HONE_MAX_RANK);
    const hone__h5_item *found = hone__h5_find(h, item->path);
    demand(found && !strcmp(found->path, item->path) && hone__h5_has_group(h, item->path));
    demand(item->dtype < HONE_DTYPE_COUNT && item->dtype != HONE_STRING);
    if (!item->bytes) return;
    demand(hone__shape_bytes(item->dtype, item->rank, item->dims, &count, &bytes) == HONE_OK && bytes == item->bytes);
    size_t room = item->in_file ? IMAGE : SPILL;
    demand(item->offset <= room && item->bytes <= room - item->offset);
}

/* The attribute of a name that is in the seeds, wherever it is. */
static void look_for(const hone__h5 *h, const char *owner)
{
    static volatile size_t sink;
    const hone__h5_attr *a = hone__h5_attr_find(h, owner, "names");
    if (!a) return;
    demand(!strcmp(a->owner, owner) && !strcmp(a->name, "names"));
    for (size_t i = 0; a->dtype == HONE_STRING && i < a->count; i++)
        for (size_t k = 0; k < a->strings[i].size; k++) sink += (uint8_t)a->strings[i].data[k];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t zeros[SPILL];
    char *exact = fuzz_exact((fuzz_part){data, size});
    hone__map catalogue = {(const uint8_t *)exact, size, 2}, spill = {zeros, SPILL, 2};
    hone__h5 *h;
    hone_status status = hone__h5_take(&catalogue, &spill, "fuzz", IMAGE, &h);
    demand((status == HONE_OK) == (h != NULL));
    demand_message(status);
    for (size_t i = 0; h && i < hone__h5_count(h); i++) {
        look_at(h, hone__h5_at(h, i));
        look_for(h, hone__h5_at(h, i)->path);
    }
    if (h) look_for(h, "");
    hone__h5_close(h);
    demand(catalogue.refs == 2 && spill.refs == 2);
    free(exact);
    return 0;
}
