/* test_onnx_folder.c: language models that optimum and onnxruntime-genai wrote: stored ones give the tokens that ONNX
 * Runtime gives, alone, in batches and in beams; which file of a folder is taken; and what genai_config.json may say.
 */
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "onnx/onnx.h"
#include "ops/eval.h"
#include "tasks/generate.h"
#include "tools/import/import.h"

#define STORED TEST_SOURCE_DIR "/tests/reference/onnx_folders/"
#define SHARED TEST_SOURCE_DIR "/../shared/data/onnx/tiny-random-gpt2"

enum { MOST = 64 };

static hone__model *open_folder(const char *folder)
{
    char file[PATH_MAX];
    hone__model *m;
    assert_int_equal(hone__import_folder_file(folder, file), HONE_OK);
    if (hone__onnx_read(file, &m) != HONE_OK) fail_msg("%s", hone_error_message());
    if (hone__graph_infer(m->graph) != HONE_OK) fail_msg("%s", hone_error_message());
    if (hone__import_folder_notes(m, folder, file) != HONE_OK) fail_msg("%s", hone_error_message());
    return m;
}

typedef struct texts {
    int32_t made[8][MOST];
    size_t count[8];
} texts;

static hone__go_on on_token(void *ctx, size_t index, int32_t token, int last)
{
    texts *t = ctx;
    (void)last;
    t->made[index][t->count[index]++] = token;
    return HONE__GO_ON;
}

static texts write_texts(const hone__model *m, const int32_t *const *prompts, const size_t *lengths, size_t count,
                         hone__generate_options o)
{
    texts t = {0};
    hone__decoder *d;
    hone__decoder_options options = {.batch = o.beams > 1 ? o.beams : count, .capacity = MOST, .cache = HONE_F16};
    if (hone__decoder_create(m, &options, &d) != HONE_OK) fail_msg("%s", hone_error_message());
    o.force = true, o.on_token = on_token, o.ctx = &t;
    if (hone__generate(d, prompts, lengths, count, &o) != HONE_OK) fail_msg("%s", hone_error_message());
    hone__decoder_destroy(d);
    return t;
}

static size_t read_line(FILE *f, int32_t *ids)
{
    char line[1024], *at = fgets(line, sizeof line, f), *end;
    size_t n = 0;
    for (long v = at ? strtol(at, &end, 10) : 0; at && end != at; v = strtol(at, &end, 10)) {
        assert_true(n < MOST);
        ids[n++] = (int32_t)v;
        at = end;
    }
    return n;
}

static void one_case(void **state)
{
    char folder[256], path[300];
    int32_t prompt[MOST], want[MOST];
    snprintf(folder, sizeof folder, STORED "%s", (const char *)*state);
    snprintf(path, sizeof path, "%s/case.txt", folder);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t length = read_line(f, prompt), count = read_line(f, want);
    fclose(f);
    hone__model *m = open_folder(folder);
    hone__decoder_facts facts;
    assert_int_equal(hone__decoder_facts_read(m, &facts), HONE_OK);
    assert_int_equal(facts.context, MOST);
    assert_true(facts.eos_count && facts.eos[facts.eos_count - 1] == 256);
    hone__generate_options o = HONE__GENERATE_OPTIONS_INIT;
    const int32_t *prompts[] = {prompt, prompt + 5, prompt + 1};
    const size_t lengths[] = {length, length - 5, length - 1};
    o.tokens = count;
    texts together = write_texts(m, prompts, lengths, 3, o);
    for (size_t i = 0; i < 3; i++) {
        texts alone = write_texts(m, &prompts[i], &lengths[i], 1, o);
        assert_int_equal(alone.count[0], count);
        assert_memory_equal(together.made[i], alone.made[0], count * sizeof *want);
    }
    assert_memory_equal(together.made[0], want, count * sizeof *want);
    o.lookup = 3; /* guesses that are taken back */
    texts guessed = write_texts(m, prompts, lengths, 1, o);
    assert_memory_equal(guessed.made[0], want, count * sizeof *want);
    o.lookup = 0, o.beams = 4, o.sequences = 2;
    texts beams = write_texts(m, prompts, lengths, 1, o);
    assert_int_equal(beams.count[0], count);
    hone__model_destroy(m);
}

/* Keys and values of a layer in one tensor, tokens of int32; what its authors expect. */
static void real_folder(void **state)
{
    static const int32_t prompts[2][4] = {{0, 0, 0, 52}, {0, 0, 195, 731}};
    static const int32_t want[2][6] = {{204, 204, 204, 204, 204, 204}, {731, 114, 114, 114, 114, 114}};
    const int32_t *list[] = {prompts[0], prompts[1]};
    (void)state;
    if (access(SHARED, F_OK)) {
        print_message("skipped: %s is not there\n", SHARED);
        skip();
    }
    hone__model *m = open_folder(SHARED);
    hone__generate_options o = HONE__GENERATE_OPTIONS_INIT;
    o.tokens = 6;
    texts t = write_texts(m, list, (size_t[]){4, 4}, 2, o);
    for (int i = 0; i < 2; i++) assert_memory_equal(t.made[i], want[i], sizeof want[i]);
    hone__model_destroy(m);
}

static char temporary[64];

static void put(const char *name, const char *text)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", temporary, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void gone(const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", temporary, name);
    remove(path);
}

static int setup(void **state)
{
    (void)state;
    strcpy(temporary, "/tmp/hone-onnx-folder-XXXXXX");
    return !mkdtemp(temporary);
}

static const char *const order[] = {"model.onnx",
                                    "decoder_model_merged.onnx",
                                    "decoder_with_past_model.onnx",
                                    "decoder_model.onnx",
                                    "onnx/model.onnx",
                                    "onnx/decoder_model_merged.onnx",
                                    "onnx/decoder_with_past_model.onnx",
                                    "onnx/decoder_model.onnx"};
enum { FILES = sizeof order / sizeof *order };

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < FILES; i++) gone(order[i]);
    gone("genai_config.json");
    gone("other.onnx");
    gone("onnx");
    return rmdir(temporary);
}

static void which_file(void **state)
{
    char file[PATH_MAX], want[PATH_MAX];
    (void)state;
    snprintf(file, sizeof file, "%s/onnx", temporary);
    assert_int_equal(mkdir(file, 0700), 0);
    for (int i = 0; i < FILES; i++) put(order[i], "x");
    for (int i = 0; i < FILES; i++) {
        snprintf(want, sizeof want, "%s/%s", temporary, order[i]);
        assert_int_equal(hone__import_folder_file(temporary, file), HONE_OK);
        assert_string_equal(file, want);
        gone(order[i]);
    }
    assert_int_equal(hone__import_folder_file(temporary, file), HONE_OK);
    assert_string_equal(file, "");
}

static void genai_files(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"{\"model\": {\"decoder\": {\"filename\": \"other.onnx\"}}}", NULL},
        {"{\"model\": {\"decoder\": {\"filename\": \"none.onnx\"}}}", "'none.onnx' is not there"},
        {"{\"model\": {\"decoder\": {\"filename\": \"../other.onnx\"}}}", "is not the name of a file in this folder"},
        {"{\"model\": {\"decoder\": {\"filename\": \"/etc/passwd\"}}}", "is not the name of a file in this folder"},
        {"{\"model\": {\"decoder\": {\"filename\": \"..\"}}}", "is not the name of a file in this folder"},
        {"{\"model\": {\"decoder\": {\"filename\": \"\"}}}", "is not the name of a file in this folder"},
        {"{\"model\": {\"decoder\": {\"filename\": 7}}}", "no model.decoder.filename"},
        {"{\"model\": {\"encoder\": {\"filename\": \"other.onnx\"}}}", "no model.decoder.filename"},
        {"[]", "a JSON object is expected"},
        {"{", "genai_config.json"},
    };
    char file[PATH_MAX];
    (void)state;
    put("other.onnx", "x");
    put("model.onnx", "x");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put("genai_config.json", cases[i].text);
        hone_status s = hone__import_folder_file(temporary, file);
        assert_int_equal(s == HONE_OK, !cases[i].says);
        if (s != HONE_OK && (!strstr(hone_error_message(), cases[i].says) || !strstr(hone_error_message(), temporary)))
            fail_msg("'%s' instead of '%s'", hone_error_message(), cases[i].says);
    }
}

static hone__value *input(const hone__model *m, const char *name)
{
    for (size_t i = 0; i < m->graph->input_count; i++)
        if (!strcmp(m->graph->inputs[i]->name, name)) return m->graph->inputs[i];
    return NULL;
}

/* Inputs and outputs under names of their own. */
static void genai_names(void **state)
{
    static const char text[] =
        "{\"model\": {\"context_length\": 40, \"eos_token_id\": [3, 4], \"decoder\": {\"filename\": \"model.onnx\", "
        "\"inputs\": {\"input_ids\": \"tokens\", \"past_key_names\": \"k_%d_in\", \"past_value_names\": \"v_%d_in\"}, "
        "\"outputs\": {\"present_key_names\": \"k_%d\", \"present_value_names\": \"v_%d\"}}}}";
    static const char *const names[][2] = {
        {"input_ids", "tokens"}, {"past_key_values.0.key", "k_0_in"}, {"past_key_values.0.value", "v_0_in"}};
    hone__decoder_facts facts;
    hone__decoder *d;
    hone__decoder_options o = {.batch = 1, .capacity = 8, .cache = HONE_F16};
    char *rewritten, path[PATH_MAX];
    hone__model *m;
    (void)state;
    assert_int_equal(hone__onnx_read(STORED "genai-fp32/model.onnx", &m), HONE_OK);
    assert_int_equal(hone__graph_infer(m->graph), HONE_OK);
    for (int i = 0; i < 3; i++) input(m, names[i][0])->name = names[i][1];
    for (size_t i = 0; i < m->graph->output_count; i++) {
        hone__value *v = m->graph->outputs[i];
        if (!strncmp(v->name, "present", 7)) v->name = strstr(v->name, "key") ? "k_0" : "v_0";
    }
    put("genai_config.json", text);
    put("model.onnx", "x");
    snprintf(path, sizeof path, "%s/model.onnx", temporary);
    if (hone__import_folder_notes(m, temporary, path) != HONE_OK) fail_msg("%s", hone_error_message());
    for (int i = 0; i < 3; i++) assert_non_null(input(m, names[i][0]));
    assert_int_equal(hone__decoder_facts_read(m, &facts), HONE_OK);
    assert_true(facts.context == 40 && facts.eos_count == 2 && facts.eos[1] == 4);
    assert_int_equal(hone__decoder_create(m, &o, &d), HONE_OK);
    hone__decoder_destroy(d);
    hone__model_destroy(m);
    snprintf(path, sizeof path, "%s/genai_config.json", temporary);
    assert_int_equal(hone__import_genai_config(path, &rewritten), HONE_OK);
    assert_non_null(strstr(rewritten, "\"past_key_values.%d.key\""));
    assert_null(strstr(rewritten, "tokens\""));
    hone__free(rewritten);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"optimum", one_case, NULL, NULL, (void *)(uintptr_t)"optimum"},
        {"optimum-merged", one_case, NULL, NULL, (void *)(uintptr_t)"optimum-merged"},
        {"genai-fp32", one_case, NULL, NULL, (void *)(uintptr_t)"genai-fp32"},
        {"genai-int4", one_case, NULL, NULL, (void *)(uintptr_t)"genai-int4"},
        cmocka_unit_test(real_folder),
        cmocka_unit_test_setup_teardown(which_file, setup, teardown),
        cmocka_unit_test_setup_teardown(genai_files, setup, teardown),
        cmocka_unit_test_setup_teardown(genai_names, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
