/* tensor.h: element types and dense tensors at the border of the library. */
#ifndef HONE_TENSOR_H
#define HONE_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "hone/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HONE_MAX_RANK 10

/* Numbers are those of onnx.TensorProto.DataType. */
typedef enum hone_dtype {
    HONE_UNDEFINED = 0,
    HONE_F32 = 1,
    HONE_U8 = 2,
    HONE_I8 = 3,
    HONE_U16 = 4,
    HONE_I16 = 5,
    HONE_I32 = 6,
    HONE_I64 = 7,
    HONE_STRING = 8,
    HONE_BOOL = 9,
    HONE_F16 = 10,
    HONE_F64 = 11,
    HONE_U32 = 12,
    HONE_U64 = 13,
    HONE_C64 = 14,
    HONE_C128 = 15,
    HONE_BF16 = 16,
    HONE_F8E4M3FN = 17,
    HONE_F8E4M3FNUZ = 18,
    HONE_F8E5M2 = 19,
    HONE_F8E5M2FNUZ = 20,
    HONE_U4 = 21,
    HONE_I4 = 22,
    HONE_F4E2M1 = 23,
    HONE_F8E8M0 = 24,
    HONE_U2 = 25,
    HONE_I2 = 26,
    HONE_DTYPE_COUNT = 27
} hone_dtype;

/* A dense, row-major view. `data` is not owned. Elements of less than 8 bits are packed, first one in the low bits. */
typedef struct hone_tensor {
    hone_dtype dtype;
    int rank;
    int64_t dims[HONE_MAX_RANK];
    void *data;
    size_t bytes;
} hone_tensor;

/* "float32", "int8", ...; "undefined" for anything else. Static. */
const char *hone_dtype_name(hone_dtype dtype);

#ifdef __cplusplus
}
#endif
#endif
