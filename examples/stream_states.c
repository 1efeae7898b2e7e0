/* stream_states.c: runs a model chunk after chunk, feeding an output back as an input, as recurrent models on a
 * microphone do. Every number of standard input is one chunk. cc stream_states.c $(pkg-config --cflags --libs --static
 * hone) -o stream_states seq 3 | ./stream_states running_sum.onnx x y sum next_sum */
#include <stdio.h>

#include "hone/hone.h"

static void print(void *ctx, hone_log_level level, const char *text)
{
    (void)ctx;
    if (level == HONE_LOG_INFO) fprintf(stderr, "%s\n", text);
}

static int stream(hone_session *session, const char *input, const char *output)
{
    float chunk;
    while (scanf("%f", &chunk) == 1) {
        hone_named_tensor in = {input,
                                {.dtype = HONE_F32, .rank = 1, .dims = {1}, .data = &chunk, .bytes = sizeof chunk}};
        hone_named_tensor out = {.name = output};
        if (hone_session_run_named(session, &in, 1, &out, 1)) return 1;
        if (out.tensor.dtype == HONE_F32 && out.tensor.bytes >= sizeof(float))
            printf("%g\n", *(float *)out.tensor.data);
    }
    return 0;
}

int main(int argc, char **argv)
{
    hone_model *model = NULL;
    hone_session *session = NULL;
    float zero = 0;
    const hone_tensor first = {.dtype = HONE_F32, .rank = 1, .dims = {1}, .data = &zero, .bytes = sizeof zero};
    if (argc != 6) {
        fprintf(stderr, "usage: stream_states MODEL.onnx INPUT OUTPUT STATE NEXT_STATE\n");
        return 2;
    }
    hone_set_log(print, NULL);
    int code = hone_model_open(argv[1], &model) || hone_session_create(model, NULL, &session) ||
               hone_session_set_state(session, argv[4], argv[5], &first) || stream(session, argv[2], argv[3]);
    if (code) fprintf(stderr, "%s\n", hone_error_message());
    hone_session_destroy(session);
    hone_model_destroy(model);
    return code;
}
