/* test_folder.c: folders of language models whose files contradict each other, are not there, or lead elsewhere. */
#include <dirent.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/alloc.h"
#include "tools/import/hugging_face/checkpoint.h"
#include "tools/import/import.h"

#define STORED TEST_SOURCE_DIR "/tests/reference/hugging_face/"

static char folder[64], other[64];

static const char *at(const char *where, const char *name)
{
    static char path[2][PATH_MAX];
    static int turn;
    snprintf(path[turn ^= 1], PATH_MAX, "%s/%s", where, name);
    return path[turn];
}

static void write_file(const char *where, const char *name, const void *data, size_t size)
{
    FILE *f = fopen(at(where, name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    fclose(f);
}

static char *read_stored(const char *name, size_t *size)
{
    uint8_t *data;
    if (hone__file_read(at(STORED, name), 1 << 20, &data, size) != HONE_OK) fail_msg("%s", hone_error_message());
    char *text = hone__malloc(*size + 1);
    assert_non_null(text);
    memcpy(text, data, *size);
    hone__free(data);
    return text;
}

/* Into `where` under the same name, the first `from` in it as `to` (NULL: as it is). */
static void copy(const char *where, const char *model, const char *name, const char *from, const char *to)
{
    size_t size;
    char path[256];
    snprintf(path, sizeof path, "%s/%s", model, name);
    char *text = read_stored(path, &size), *place = from ? memmem(text, size, from, strlen(from)) : NULL;
    if (from && !place) fail_msg("no %s in %s", from, name);
    FILE *f = fopen(at(where, name), "wb");
    assert_non_null(f);
    size_t before = place ? (size_t)(place - text) : size;
    fwrite(text, 1, before, f);
    if (place) {
        fputs(to, f);
        fwrite(place + strlen(from), 1, size - before - strlen(from), f);
    }
    fclose(f);
    hone__free(text);
}

static void empty(const char *where)
{
    DIR *d = opendir(where);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.') assert_int_equal(unlink(at(where, e->d_name)), 0);
    closedir(d);
}

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/hone-folder-XXXXXX");
    strcpy(other, "/tmp/hone-folder-XXXXXX");
    return !mkdtemp(folder) || !mkdtemp(other);
}

static int teardown(void **state)
{
    (void)state;
    empty(folder);
    empty(other);
    return rmdir(folder) || rmdir(other);
}

static void refused(const char *message)
{
    hone__model *m;
    if (hone__import_hugging_face(folder, NULL, &m, NULL) == HONE_OK) fail_msg("imported: '%s' expected", message);
    if (!strstr(hone_error_message(), message)) fail_msg("'%s' instead of '%s'", hone_error_message(), message);
    assert_non_null(strstr(hone_error_message(), folder));
    assert_null(m);
}

static void accepted(hone__import_report *report)
{
    hone__model *m;
    if (hone__import_hugging_face(folder, NULL, &m, report) != HONE_OK) fail_msg("%s", hone_error_message());
    hone__model_destroy(m);
}

/* Every setting that a tensor's shape depends on, made larger: the tensor, and both shapes. */
static void settings_against_tensors(void **state)
{
    static const struct {
        const char *model, *from, *to, *message[3];
    } cases[] = {
        {"llama_linear",
         "\"vocab_size\": 24",
         "\"vocab_size\": 25",
         {"'model.embed_tokens.weight'", "[24, 16]", "[25, 16]"}},
        {"llama_linear",
         "\"hidden_size\": 16",
         "\"hidden_size\": 20",
         {"'model.embed_tokens.weight'", "[24, 16]", "[24, 20]"}},
        {"llama_linear",
         "\"intermediate_size\": 20",
         "\"intermediate_size\": 24",
         {".mlp.gate_proj.weight'", "[20, 16]", "[24, 16]"}},
        {"llama_linear",
         "\"num_key_value_heads\": 2",
         "\"num_key_value_heads\": 4",
         {".self_attn.k_proj.weight'", "[8, 16]", "[16, 16]"}},
        {"llama_linear", "\"head_dim\": 4", "\"head_dim\": 6", {".self_attn.q_proj.weight'", "[16, 16]", "[24, 16]"}},
        {"llama_linear",
         "\"num_hidden_layers\": 1",
         "\"num_hidden_layers\": 2",
         {"'model.layers.1.", "is missing", "of shape"}},
        {"llama_linear",
         "\"attention_bias\": false",
         "\"attention_bias\": true",
         {".self_attn.q_proj.bias'", "is missing", "[16]"}},
        {"gpt2", "\"n_positions\": 32", "\"n_positions\": 33", {"wpe.weight'", "[32, 16]", "[33, 16]"}},
        {"gpt2", "\"n_inner\": null", "\"n_inner\": 50", {".mlp.c_fc.weight'", "[16, 64]", "[16, 50]"}},
        {"gpt_neo", "\"hidden_size\": 16", "\"hidden_size\": 18", {"wte.weight'", "[24, 16]", "[24, 18]"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        copy(folder, cases[i].model, "config.json", cases[i].from, cases[i].to);
        copy(folder, cases[i].model, "model.safetensors", NULL, NULL);
        for (int k = 0; k < 3; k++) refused(cases[i].message[k]);
        refused("config.json");
    }
}

static void other_models(void **state)
{
    (void)state;
    copy(folder, "llama_linear", "model.safetensors", NULL, NULL);
    copy(folder, "llama_linear", "config.json", "\"model_type\": \"llama\"", "\"model_type\": \"mamba\"");
    refused("model_type 'mamba' is not known (known are gpt2, gpt_neo, llama, mistral,");
    copy(folder, "llama_linear", "config.json", "\"model_type\": \"llama\"", "\"model_tipe\": \"llama\"");
    refused("no model_type (known are gpt2,");
    copy(folder, "llama_linear", "config.json", "LlamaForCausalLM", "LlamaForSequenceClassification");
    refused("'LlamaForSequenceClassification': only models that make text");
    copy(folder, "llama_linear", "config.json", "\"model_type\"",
         "\"quantization_config\": {\"quant_method\": \"gptq\"}, \"model_type\"");
    refused("quantised ('gptq')");
    copy(folder, "llama_linear", "config.json", "\"hidden_act\": \"silu\"", "\"hidden_act\": \"snake\"");
    refused("activation 'snake' is not known");
    copy(folder, "llama_linear", "config.json", "\"vocab_size\": 24", "\"vocab_size\": \"24\"");
    refused("'vocab_size' is not a whole number");
    write_file(folder, "config.json", "[]", 2);
    refused("a JSON object is expected");
    write_file(folder, "config.json", "{", 1);
    refused("config.json");
}

static void what_is_not_there(void **state)
{
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 548105171\n";
    hone__import_report report;
    (void)state;
    refused("config.json");
    copy(folder, "llama_linear", "config.json", NULL, NULL);
    refused("no weights: model.safetensors, pytorch_model.bin");
    write_file(folder, "pytorch_model.bin", pointer, sizeof pointer - 1);
    refused("pytorch_model.bin: a pointer of Git LFS, not the weights");
    copy(folder, "llama_linear", "model.safetensors", NULL, NULL); /* goes before pytorch_model.bin */
    accepted(&report);
    write_file(folder, "model.safetensors", pointer, sizeof pointer - 1);
    refused("model.safetensors: a pointer of Git LFS, not the weights");
}

static const struct {
    const char *model, *index, *shard, *tensor, *of_other, *inside;
} sharded[] = {
    {"qwen2_sharded", "model.safetensors.index.json", "model-00002-of-00003.safetensors",
     "\"model.norm.weight\": \"model-00003-of-00003.safetensors\"",
     "\"model.norm.weight\": \"model-00001-of-00003.safetensors\"", "model-00001-of-00003.safetensors"},
    {"llama_bin", "pytorch_model.bin.index.json", "pytorch_model-00002-of-00002.bin",
     "\"model.norm.weight\": \"pytorch_model-00002-of-00002.bin\"",
     "\"model.norm.weight\": \"pytorch_model-00001-of-00002.bin\"", "pytorch_model-00001-of-00002.bin"},
};

static void copy_all(const char *where, const char *model)
{
    DIR *d = opendir(at(STORED, model));
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.') copy(where, model, e->d_name, NULL, NULL);
    closedir(d);
}

static void shards(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char expected[200], path[PATH_MAX];
        const char *model = sharded[i].model, *index = sharded[i].index, *shard = sharded[i].shard;
        empty(folder);
        copy_all(folder, model);
        accepted(NULL);
        static const char *const outside[] = {"../x", "/etc/passwd", "a/b", "..", ".hidden", "a\\\\b", ""};
        for (size_t k = 0; k < sizeof outside / sizeof *outside; k++) {
            copy(folder, model, index, shard, outside[k]);
            refused("is not the name of a file in this folder");
        }
        copy(folder, model, index, shard, "none.bin");
        refused("'none.bin' is not there");
        copy(folder, model, index, sharded[i].tensor, sharded[i].of_other);
        snprintf(expected, sizeof expected, "tensor 'model.norm.weight' is not in '%s'", sharded[i].inside);
        refused(expected);
        copy(folder, model, index, "\"model.norm.weight\"", "\"model.norm.wait\"");
        refused("tensor 'model.norm.wait' is not in");
        copy(folder, model, index, sharded[i].tensor, "\"model.norm.weight\": 7");
        refused("tensor 'model.norm.weight' has no file");
        copy(folder, model, index, "\"weight_map\"", "\"weight_mop\"");
        refused("no weight_map");
        write_file(folder, index, "{\"weight_map\": []}", 18);
        refused("no weight_map");

        copy(folder, model, index, NULL, NULL); /* a shard that is a link: inside, and out of the folder */
        assert_int_equal(rename(at(folder, shard), at(folder, "moved")), 0);
        refused("is not there");
        assert_int_equal(symlink("moved", at(folder, shard)), 0);
        accepted(NULL);
        unlink(at(folder, shard));
        copy(other, model, shard, NULL, NULL);
        snprintf(path, sizeof path, "%s/%s", other, shard);
        assert_int_equal(symlink(path, at(folder, shard)), 0);
        refused("is a link that leads out of the folder");
        assert_int_equal(unlink(at(folder, index)), 0); /* the index a link there, too: one cache */
        copy(other, model, index, NULL, NULL);
        snprintf(path, sizeof path, "%s/%s", other, index);
        assert_int_equal(symlink(path, at(folder, index)), 0);
        unlink(at(folder, sharded[i].inside));
        copy(folder, model, sharded[i].inside, NULL, NULL);
        accepted(NULL);
    }
}

/* The same tensor in two shards. */
static void twice(void **state)
{
    (void)state;
    copy_all(folder, "llama_bin");
    copy(folder, "llama_bin", "pytorch_model.bin.index.json", "\"weight_map\": {",
         "\"weight_map\": {\"x\": \"again.bin\", ");
    copy(other, "llama_bin", "pytorch_model-00001-of-00002.bin", NULL, NULL);
    assert_int_equal(rename(at(other, "pytorch_model-00001-of-00002.bin"), at(folder, "again.bin")), 0);
    refused("is there twice");
}

/* Integers where weights should be. */
static void wrong_type(void **state)
{
    (void)state;
    copy(folder, "llama_linear", "config.json", NULL, NULL);
    copy(folder, "llama_linear", "model.safetensors", "\"dtype\":\"F16\"", "\"dtype\":\"I16\"");
    refused("is of int16; float weights are expected");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(settings_against_tensors, setup, teardown),
        cmocka_unit_test_setup_teardown(other_models, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(shards, setup, teardown),
        cmocka_unit_test_setup_teardown(twice, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_type, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
