/* fuzz_tensorfile.c: bytes as a .npy file and as a TensorProto, SequenceProto and OptionalProto. */
#include "onnx/onnx.h"
#include "tools/tensorfile/tensorfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hone__tensor t;
    hone__map map = {data, size, 2};
    const char *name;
    hone__model *holder;
    if (hone__npy_parse(data, size, "fuzz", UINT64_MAX, &t) == HONE_OK) hone__tensor_release(&t);
    for (unsigned wrap = 0; size && wrap <= (HONE__OF_SEQUENCE | HONE__OF_OPTIONAL); wrap++)
        if (hone__onnx_read_value(&map, "fuzz", wrap, &t, &name, &holder) == HONE_OK) {
            hone__tensor_release(&t);
            hone__model_destroy(holder);
        }
    return 0;
}
