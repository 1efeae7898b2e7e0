/* run_model.c: opens a model, runs it once on seeded numbers, prints the first output.
 * cc run_model.c $(pkg-config --cflags --libs --static hone) -o run_model && ./run_model model.onnx */
#include <stdio.h>
#include <stdlib.h>

#include "hone/hone.h"

/* A float32 input of the model's own shape; symbolic sizes are 1. */
static int make_input(const hone_model *model, hone_tensor *x)
{
    hone_value_info info;
    unsigned seed = 1;
    size_t count = 1;
    if (hone_model_input(model, 0, &info) || info.dtype != HONE_F32 || info.rank < 0) return 0;
    *x = (hone_tensor){.dtype = info.dtype, .rank = info.rank};
    for (int i = 0; i < info.rank; i++) {
        x->dims[i] = info.dims[i] < 0 ? 1 : info.dims[i];
        count *= (size_t)x->dims[i];
    }
    float *data = calloc(count, sizeof *data);
    for (size_t i = 0; data && i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (float)(seed >> 8) / 8388608.0f - 1;
    }
    x->data = data;
    x->bytes = count * sizeof *data;
    return data != NULL;
}

int main(int argc, char **argv)
{
    hone_model *model = NULL;
    hone_session *session = NULL;
    hone_tensor x = {0}, y;
    int code = 1;
    if (argc != 2) {
        fprintf(stderr, "usage: run_model MODEL.onnx\n");
        return 2;
    }
    if (hone_model_open(argv[1], &model) || hone_session_create(model, NULL, &session)) {
        fprintf(stderr, "%s\n", hone_error_message());
    } else if (hone_model_input_count(model) != 1 || !make_input(model, &x)) {
        fprintf(stderr, "%s: expected one float32 input\n", argv[1]);
    } else if (hone_session_run(session, &x, 1, &y, 1)) {
        fprintf(stderr, "%s\n", hone_error_message());
    } else {
        for (size_t i = 0; y.dtype == HONE_F32 && i < y.bytes / sizeof(float); i++)
            printf("%.6f\n", ((float *)y.data)[i]);
        code = 0;
    }
    free(x.data);
    hone_session_destroy(session);
    hone_model_destroy(model);
    return code;
}
