/* cmd_tokenize.c: text to token ids and back. */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cli.h"
#include "folder.h"
#include "text/tokenizer.h"
#include "tools/import/tokenizer/tokenizer_import.h"

enum { MAX_TEXT = 1 << 30 };

static hone_status from_model(const char *path, hone__tokenizer **out)
{
    hone_model *m;
    char file[PATH_MAX];
    HONE__TRY(folder_model(path, "no tokenizer.json, vocab.json or model.onnx is in it", file));
    HONE__TRY(open_model(file, &m));
    const char *text = hone_model_metadata(m, HONE__TOKENIZER_KEY);
    hone_status s = text ? hone__tokenizer_create(text, strlen(text), out)
                         : hone__fail(HONE_E_FORMAT, "it has no metadata '%s'", HONE__TOKENIZER_KEY);
    hone_model_destroy(m);
    return s == HONE_OK ? s : hone__at(s, "%s", file);
}

static hone_status open_tokenizer(const char *path, hone__tokenizer **out)
{
    char *text;
    *out = NULL;
    if (!hone__tokenizer_is_importable(path)) return from_model(path, out);
    HONE__TRY(hone__tokenizer_import(path, &text));
    hone_status s = hone__tokenizer_create(text, strlen(text), out);
    hone__free(text);
    return s;
}

/* Ids in a text: numbers between brackets, commas and blanks. */
static hone_status read_ids(const char *text, size_t size, size_t vocabulary, hone__token_list *list)
{
    const char *end = text + size;
    while (text < end) {
        if (isspace((unsigned char)*text) || *text == ',' || *text == '[' || *text == ']') {
            text++;
            continue;
        }
        uint64_t id = 0;
        if (!isdigit((unsigned char)*text)) return hone__fail(HONE_E_ARGUMENT, "'%.20s' is no id", text);
        for (; text < end && isdigit((unsigned char)*text); text++)
            id = id < UINT32_MAX ? id * 10 + (uint64_t)(*text - '0') : id;
        if (id >= vocabulary)
            return hone__fail(HONE_E_ARGUMENT, "id %llu is beyond the vocabulary of %zu tokens", (unsigned long long)id,
                              vocabulary);
        HONE__TRY(hone__grow(&list->ids, &list->capacity, list->count, sizeof *list->ids));
        list->ids[list->count++] = (uint32_t)id;
    }
    return HONE_OK;
}

static hone_status print_text(const hone__tokenizer *t, const char *text, size_t size, bool skip_special)
{
    hone__token_list list = {0};
    hone__text out = {0};
    hone_status s = read_ids(text, size, hone__tokenizer_size(t), &list);
    if (s == HONE_OK) s = hone__tokenizer_decode(t, list.ids, list.count, skip_special, &out);
    if (s == HONE_OK) {
        fwrite(out.data, 1, out.size, stdout);
        putchar('\n');
    }
    hone__free(out.data);
    hone__token_list_free(&list);
    return s;
}

static void print_list(const hone__token_list *list)
{
    printf("[");
    for (size_t i = 0; i < list->count; i++) printf("%s%u", i ? ", " : "", list->ids[i]);
    printf("]\n");
}

/* The ids of the whole text, or of each of its lines (without their ends). */
static hone_status print_ids(const hone__tokenizer *t, const char *text, size_t size, bool add_special, bool lines)
{
    hone__token_list list = {0};
    hone_status s = HONE_OK;
    const char *end = text + size, *stop;
    do {
        stop = lines && text < end ? memchr(text, '\n', (size_t)(end - text)) : end;
        if (!stop) stop = end;
        list.count = 0;
        s = hone__tokenizer_encode(t, text, (size_t)(stop - text), add_special, &list);
        if (s == HONE_OK) print_list(&list);
        text = stop + (stop < end);
    } while (s == HONE_OK && text < end);
    hone__token_list_free(&list);
    return s;
}

int cmd_tokenize(int argc, char **argv)
{
    text_list rest = {0};
    const char *file = NULL;
    bool no_special = false, decode = false, lines = false;
    const option_row rows[] = {
        {"file", 'f', OPTION_TEXT, &file, "FILE", "take the text from a file (- is standard input)", 0, 0, NULL},
        {"no-special", 0, OPTION_FLAG, &no_special, NULL, "without the tokens that the model expects around a text", 0,
         0, NULL},
        {"decode", 0, OPTION_FLAG, &decode, NULL, "from ids to text", 0, 0, NULL},
        {"lines", 0, OPTION_FLAG, &lines, NULL, "every line is a text: one array per line", 0, 0, NULL},
        {0}};
    const verb_help help = {
        "tokenize PATH [TEXT | -f FILE] [--no-special] [--lines] [--decode]",
        "Prints the token ids of a text as a JSON array, or the text of ids. PATH: a model's folder, tokenizer.json,\n"
        "vocab.json, gpt2.tiktoken, multilingual.tiktoken, or a model.onnx that carries its tokenizer.",
        "  hone tokenize ./gpt2 \"Hello world\"\n  hone tokenize ./gpt2 -f book.txt --no-special\n"
        "  hone tokenize ./gpt2 --decode \"[15496, 995]\"\n"};
    int code = options_read(argc, argv, rows, &help, &rest);
    if (code >= 0) return code;
    if (rest.count < 1 || rest.count > 2 || (rest.count == 2) == (file != NULL))
        return usage_failure("tokenize needs a tokenizer and a text or -f FILE (hone tokenize --help)");
    hone__tokenizer *t;
    uint8_t *data = NULL;
    const char *text = rest.count == 2 ? rest.items[1] : NULL;
    size_t size = text ? strlen(text) : 0;
    hone_status s = open_tokenizer(rest.items[0], &t);
    if (s != HONE_OK) return report_failure(s);
    if (file) s = hone__file_read(file, MAX_TEXT, &data, &size);
    if (file) text = (const char *)data;
    if (s == HONE_OK) s = decode ? print_text(t, text, size, no_special) : print_ids(t, text, size, !no_special, lines);
    hone__free(data);
    hone__tokenizer_destroy(t);
    return s == HONE_OK ? EXIT_DONE : report_failure(s);
}
