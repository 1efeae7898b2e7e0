/* fuzz_npz.c: any bytes as a .npz archive: tensors whose bytes are all there, or an error. */
#include <stddef.h>
#include <stdint.h>

#include "fuzz_parts.h"
#include "tools/tensorfile/tensorfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Touches every byte, so that a sanitizer sees one that is not there. */
static unsigned sum_of(const void *data, size_t size)
{
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++) sum += ((const uint8_t *)data)[i];
    return sum;
}

static void look_at(const hone__named_tensor *n)
{
    static volatile unsigned sink;
    const hone__tensor *t = &n->tensor;
    size_t count, bytes;
    sink += sum_of(n->name, strlen(n->name));
    demand(hone__shape_bytes(t->dtype, t->rank, t->dims, &count, &bytes) == HONE_OK);
    demand(count == t->count && bytes == t->bytes);
    sink += sum_of(t->data, t->bytes);
    for (size_t i = 0; t->dtype == HONE_STRING && i < t->count; i++)
        sink += sum_of(((const hone__string *)t->data)[i].data, ((const hone__string *)t->data)[i].size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hone__named_tensor *list;
    size_t count;
    if (size < 4 || memcmp(data, "PK", 2)) return 0; /* other kinds of files: fuzz_tensorfile */
    hone_status status = hone__tensorfile_read(fuzz_file(data, size), 0, &list, &count);
    demand((status == HONE_OK) == (list != NULL) && (list || !count));
    demand_message(status);
    for (size_t i = 0; i < count; i++) look_at(&list[i]);
    hone__tensor_list_free(list, count);
    return 0;
}
