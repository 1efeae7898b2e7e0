/* fuzz_graph.c: bytes draw a small valid graph (tests/graphs): written, read, run as it is and after all passes, with
 * equal results. */
#include "passes/passes.h"
#include "tests/graphs/run_graph.h"

static void must(hone_status s, const char *what)
{
    if (s == HONE_OK) return;
    fprintf(stderr, "%s: %s\n", what, hone_error_message());
    abort();
}

static void same(const answers *want, const hone__model *m, bool plain, const char *what)
{
    answers got;
    must(run_graph(m, (hone__session_options){.plain = plain, .threads = 1}, &got), what);
    const char *why = answers_differ(want, &got, false);
    if (why) {
        fprintf(stderr, "%s: %s\n", what, why);
        abort();
    }
    answers_free(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t none;
    draw d = {.bytes = size ? data : &none, .end = size ? data + size : &none};
    hone__model *m, *back;
    answers want;
    must(random_graph(&d, draw_int(&d, 1, 20), &m), "building");
    must(run_graph(m, (hone__session_options){.plain = true, .threads = 1}, &want), "as it is");
    must(through_a_file(m, &back), "writing and reading");
    hone__model_destroy(m);
    same(&want, back, false, "machine passes");
    must(hone__passes_portable(back), "portable passes");
    same(&want, back, true, "portable passes");
    same(&want, back, false, "both lists of passes");
    hone__model_destroy(back);
    answers_free(&want);
    return 0;
}
