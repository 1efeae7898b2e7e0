/* window.c: sliding windows as Conv and the pools define them (ONNX operator specification, Conv and MaxPool). */
#include "window.h"

#include <string.h>

static hone_status read_list(const hone__node *n, const char *name, int want, int64_t least, int64_t otherwise,
                             int64_t *out)
{
    size_t count;
    const int64_t *v = hone__node_ints(n, name, &count);
    for (int i = 0; i < want; i++) out[i] = otherwise;
    if (!v) return HONE_OK;
    if (count != (size_t)want) return hone__fail(HONE_E_SHAPE, "%s has %zu entries, expected %d", name, count, want);
    for (int i = 0; i < want; i++) {
        if (v[i] < least || v[i] > INT32_MAX)
            return hone__fail(HONE_E_SHAPE, "%s[%d] is %lld", name, i, (long long)v[i]);
        out[i] = v[i];
    }
    return HONE_OK;
}

hone_status hone__window_kernel(const hone__node *n, int rank, int64_t *kernel)
{
    size_t count;
    if (!hone__node_ints(n, "kernel_shape", &count)) return hone__fail(HONE_E_SHAPE, "kernel_shape is missing");
    return read_list(n, "kernel_shape", rank, 1, 1, kernel);
}

static hone_status axis_size(const hone__node *n, const char *auto_pad, int64_t in, hone__window *w, int i)
{
    int64_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1, stride = w->stride[i];
    bool same = !strncmp(auto_pad, "SAME", 4);
    if (!strcmp(auto_pad, "VALID")) w->begin[i] = w->end[i] = 0;
    w->out[i] = -1;
    if (in < 0) {
        /* only stride 1 keeps a symbol */
        bool keeps = stride == 1 && (same || w->begin[i] + w->end[i] == reach - 1);
        if (same) w->begin[i] = w->end[i] = -1;
        if (keeps) w->out[i] = in;
        return HONE_OK;
    }
    if (same) {
        int64_t out = (in + stride - 1) / stride, total = (out - 1) * stride + reach - in;
        if (total < 0) total = 0;
        w->begin[i] = !strcmp(auto_pad, "SAME_LOWER") ? total - total / 2 : total / 2;
        w->end[i] = total - w->begin[i];
        w->out[i] = out;
        return HONE_OK;
    }
    int64_t room = in + w->begin[i] + w->end[i] - reach;
    if (room < 0)
        return hone__fail(HONE_E_SHAPE, "a window of %lld does not fit axis %d of size %lld with pads %lld and %lld",
                          (long long)reach, i + 2, (long long)in, (long long)w->begin[i], (long long)w->end[i]);
    bool up = hone__node_int(n, "ceil_mode", 0) != 0;
    w->out[i] = (room + (up ? stride - 1 : 0)) / stride + 1;
    /* a window that starts in the padding behind the input does not count */
    if (up && (w->out[i] - 1) * stride >= in + w->begin[i]) w->out[i]--;
    return HONE_OK;
}

hone_status hone__window_read(const hone__node *n, const hone__shape *shape, const int64_t *kernel, hone__window *w)
{
    int rank = shape->rank - 2;
    int64_t pads[2 * HONE__WINDOW_MAX];
    if (rank < 1 || rank > HONE__WINDOW_MAX)
        return hone__fail(HONE_E_SHAPE, "input 0 has rank %d, expected 3 to %d", shape->rank, HONE__WINDOW_MAX + 2);
    *w = (hone__window){.rank = rank};
    memcpy(w->kernel, kernel, (size_t)rank * sizeof *kernel);
    HONE__TRY(read_list(n, "strides", rank, 1, 1, w->stride));
    HONE__TRY(read_list(n, "dilations", rank, 1, 1, w->dilation));
    HONE__TRY(read_list(n, "pads", 2 * rank, 0, 0, pads));
    const char *auto_pad = hone__node_string(n, "auto_pad", "NOTSET");
    for (int i = 0; i < rank; i++) {
        w->begin[i] = pads[i];
        w->end[i] = pads[rank + i];
        if (shape->dims[i + 2] > INT32_MAX || w->kernel[i] > INT32_MAX)
            return hone__fail(HONE_E_LIMIT, "axis %d is over 2^31", i + 2);
        HONE__TRY(axis_size(n, auto_pad, shape->dims[i + 2], w, i));
    }
    return HONE_OK;
}

void hone__window_copy(const hone__window *w, const int64_t *in, size_t *kernel, size_t *stride, size_t *dilation,
                       size_t *pad, size_t *in_sizes, size_t *out_sizes)
{
    for (int i = 0; i < w->rank; i++) {
        kernel[i] = (size_t)w->kernel[i];
        stride[i] = (size_t)w->stride[i];
        dilation[i] = (size_t)w->dilation[i];
        pad[i] = (size_t)w->begin[i];
        in_sizes[i] = (size_t)in[i];
        out_sizes[i] = (size_t)w->out[i];
    }
}
