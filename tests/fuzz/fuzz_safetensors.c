/* fuzz_safetensors.c: one .safetensors file. The first byte says what follows:
 *   s  the file
 *   h  its header, with the zeros behind it that its largest number asks for */
#include "fuzz_weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    fuzz_part rest = {data + 1, size - 1};
    if (*data == 'h')
        rest = fuzz_safetensors(rest);
    else
        rest.data = (uint8_t *)fuzz_exact(rest);
    fuzz_read(rest, hone__safetensors_read);
    free((uint8_t *)(uintptr_t)rest.data);
    return 0;
}
