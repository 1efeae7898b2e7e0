/* fuzz_npz.c: any bytes as a .npz archive: tensors whose bytes are all there, and take no more together
 * than is allowed, or an error. */
#include <stddef.h>
#include <stdint.h>

#include "fuzz_parts.h"
#include "tools/tensorfile/tensorfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 100000 };

/* Touches every byte, so that a sanitizer sees one that is not there. */
static unsigned sum_of(const void *data, size_t size)
{
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++) sum += ((const uint8_t *)data)[i];
    return sum;
}

/* Looks at all of a tensor; returns what it takes. */
static size_t look_at(const hone__named_tensor *n)
{
    static volatile unsigned sink;
    const hone__tensor *t = &n->tensor;
    size_t count, bytes;
    sink += sum_of(n->name, strlen(n->name));
    demand(hone__shape_bytes(t->dtype, t->rank, t->dims, &count, &bytes) == HONE_OK);
    demand(count == t->count && bytes == t->bytes);
    sink += sum_of(t->data, t->bytes);
    for (size_t i = 0; t->dtype == HONE_STRING && i < t->count; i++) {
        const hone__string *s = (const hone__string *)t->data + i;
        sink += sum_of(s->data, s->size);
        bytes += s->size;
    }
    return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hone__named_tensor *list;
    size_t count, sum = 0;
    char *exact = fuzz_exact((fuzz_part){data, size});
    hone__map map = {(const uint8_t *)exact, size, 2};
    hone_status status = hone__npz_read(&map, "fuzz", MOST, &list, &count);
    demand((status == HONE_OK) == (list != NULL) && (list || !count));
    demand_message(status);
    for (size_t i = 0; i < count; i++) sum += look_at(&list[i]);
    demand(sum <= MOST);
    hone__tensor_list_free(list, count);
    free(exact);
    return 0;
}
