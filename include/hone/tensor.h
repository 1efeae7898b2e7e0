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

/* One element of a HONE_STRING tensor: UTF-8, no NUL at its end. `data` of such a tensor is an array of these; its
 * `bytes` are those of the array. */
typedef struct hone_string {
    const char *data;
    size_t size;
} hone_string;

/* What a value is. A value of an optional type is the thing itself, or HONE_KIND_NONE. */
typedef enum hone_kind {
    HONE_KIND_TENSOR,
    HONE_KIND_SEQUENCE, /* of tensors of one element type */
    HONE_KIND_NONE      /* an optional that is empty */
} hone_kind;

/* Any value at the border of the library. Nothing in it is owned. */
typedef struct hone_value {
    hone_kind kind;
    hone_tensor tensor;       /* of HONE_KIND_TENSOR; else only its dtype counts, that of the elements */
    const hone_tensor *items; /* of HONE_KIND_SEQUENCE */
    size_t count;             /* of items */
} hone_value;

/* "float32", "int8", ...; "undefined" for anything else. Static. */
const char *hone_dtype_name(hone_dtype dtype);

#ifdef __cplusplus
}
#endif
#endif
