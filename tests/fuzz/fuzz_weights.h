/* fuzz_weights.h: files of weights for the fuzz targets that read them, and what their readers must keep to. */
#ifndef HONE_TESTS_FUZZ_WEIGHTS_H
#define HONE_TESTS_FUZZ_WEIGHTS_H

#include "fuzz_parts.h"
#include "tools/import/hugging_face/checkpoint.h"

/* The largest number in a safetensors header that is not too large: where its last tensor ends, if it is a right one.
 */
static inline size_t fuzz_largest_number(fuzz_part header)
{
    enum { MOST_ZEROS = 1 << 16 };
    size_t most = 0, n = 0;
    for (size_t i = 0; i < header.size; i++) {
        uint8_t c = header.data[i];
        n = c >= '0' && c <= '9' ? 10 * n + (c - '0') : 0;
        if (n > MOST_ZEROS) n = 0;
        if (n > most) most = n;
    }
    return most;
}

/* A .safetensors file with this header, and zeros for tensors; free its data. */
static inline fuzz_part fuzz_safetensors(fuzz_part header)
{
    size_t size = 8 + header.size + fuzz_largest_number(header);
    uint8_t *file = calloc(size, 1);
    demand(file != NULL);
    for (int i = 0; i < 8; i++) file[i] = (uint8_t)((uint64_t)header.size >> 8 * i);
    if (header.size) memcpy(file + 8, header.data, header.size);
    return (fuzz_part){file, size};
}

/* Reads a file and makes each tensor dense: all its bytes can be read, and nothing of the mapping is kept. */
static inline void fuzz_read(fuzz_part file, hone_status (*read)(hone__map *, const char *, hone__checkpoint *))
{
    hone__map map = {file.data, file.size, 2}; /* two: it is not the reader's to unmap */
    hone__checkpoint c = {.file_bytes = file.size};
    hone_status status = read(&map, "x", &c);
    if (status == HONE_OK) status = hone__checkpoint_sort(&c);
    fuzz_verdict(status);
    for (size_t i = 0; status == HONE_OK && i < c.count; i++) {
        hone__tensor t;
        hone_status dense = hone__checkpoint_dense(&c, &c.list[i], &t);
        demand_message(dense);
        if (dense != HONE_OK) continue;
        uint8_t sum = 0;
        for (size_t k = 0; k < t.bytes; k++) sum ^= ((const uint8_t *)t.data)[k];
        demand(hone__checkpoint_find(&c, c.list[i].name) == &c.list[i] && (sum || !sum));
        hone__tensor_release(&t);
    }
    hone__checkpoint_close(&c);
    demand(map.refs == 2);
}

#endif
