/* fuzz_tokenizer.c: files of tokenizers and the text that keeps one; what is accepted encodes and decodes. The first
 * byte says what follows (parts are those of fuzz_parts.h; the last one is text to encode):
 *   j  tokenizer.json              t  a .tiktoken table            s  the stored text       b  the same before base64
 *   v  vocab.json, merges.txt, tokenizer_config.json, special_tokens_map.json, added_tokens.json */
#include <stddef.h>
#include <stdint.h>

#include "fuzz_parts.h"
#include "text/base64.h"
#include "text/tokenizer_parts.h"
#include "tools/import/tokenizer/tokenizer_import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILES = 5, MAGIC = sizeof HONE__TOKENIZER_MAGIC - 1 };

/* True where decoding gives back every text: each byte has a token that keeps its bytes, and nothing is added,
 * dropped or normalised on the way. */
static bool is_lossless(const hone__tokenizer *t)
{
    bool good = !(t->flags & (HONE__BPE_NFC | HONE__BPE_CHARACTERS)) && !t->normalize.count;
    for (int i = 0; i < 256; i++) good = good && t->bytes[i] != NO_TOKEN;
    for (size_t i = 0; i < t->cut.count; i++)
        good = good && t->cut.items[i].kind != HONE__STEP_PREFIX && t->cut.items[i].kind != HONE__STEP_METASPACE &&
               t->cut.items[i].kind != HONE__STEP_SPLIT;
    for (size_t k = 0; good && k < t->added_count; k++) {
        const added_token *a = &t->added[k];
        good = !(a->flags & (HONE__ADDED_LSTRIP | HONE__ADDED_RSTRIP));
        for (int i = 0; i < 256; i++) good = good && t->bytes[i] != a->id;
        for (size_t i = 0; good && i < t->merge_count; i++) good = t->merges[i].result != a->id;
    }
    return good;
}

static bool same(const hone__text *a, const char *data, size_t size)
{
    return a->size == size && (!size || !memcmp(a->data, data, size));
}

/* In one go and token by token. */
static void decode(const hone__tokenizer *t, const hone__token_list *list, bool skip, const char *want, size_t size)
{
    hone__text whole = {0}, streamed = {0};
    hone__text_stream stream = {0};
    demand(hone__tokenizer_decode(t, list->ids, list->count, skip, &whole) == HONE_OK);
    for (size_t i = 0; i < list->count; i++)
        demand(hone__text_stream_put(&stream, t, list->ids[i], skip, &streamed) == HONE_OK);
    demand(hone__text_stream_end(&stream, &streamed) == HONE_OK);
    demand(same(&streamed, whole.data, whole.size));
    if (want) demand(same(&whole, want, size));
    hone__free(whole.data);
    hone__free(streamed.data);
}

static void use(const hone__tokenizer *t, fuzz_part part)
{
    hone__token_list list = {0};
    char *text = fuzz_exact(part);
    for (int special = 0; special < 2; special++) {
        list.count = 0;
        demand(hone__tokenizer_encode(t, text, part.size, special, &list) == HONE_OK);
        for (size_t i = 0; i < list.count; i++) demand(list.ids[i] < hone__tokenizer_size(t));
        decode(t, &list, false, !special && is_lossless(t) ? text : NULL, part.size);
        decode(t, &list, true, NULL, 0);
    }
    hone__token_list_free(&list);
    free(text);
}

static void open_stored(const char *text, size_t size, fuzz_part last)
{
    hone__tokenizer *t;
    hone_status status = hone__tokenizer_create(text, size, &t);
    demand((status == HONE_OK) == (t != NULL));
    demand_message(status);
    if (t) use(t, last);
    hone__tokenizer_destroy(t);
}

static void open_binary(fuzz_part part, fuzz_part last)
{
    size_t size = MAGIC + 4 * ((part.size + 2) / 3);
    char *text = malloc(size);
    demand(text != NULL);
    memcpy(text, HONE__TOKENIZER_MAGIC, MAGIC);
    demand(hone__base64_write(part.data, part.size, text + MAGIC) == size - MAGIC);
    open_stored(text, size, last);
    free(text);
}

/* Gives the text that an importer has made, which always reads. */
static void open_imported(hone_status status, char *text, fuzz_part last)
{
    hone__tokenizer *t;
    demand((status == HONE_OK) == (text != NULL));
    demand_message(status);
    if (!text) return;
    demand(hone__tokenizer_create(text, strlen(text), &t) == HONE_OK);
    use(t, last);
    hone__tokenizer_destroy(t);
    hone__free(text);
}

static void open_folder(const uint8_t *data, size_t size)
{
    static const char *const names[FILES] = {"vocab.json", "merges.txt", "tokenizer_config.json",
                                             "special_tokens_map.json", "added_tokens.json"};
    fuzz_part parts[FILES + 1];
    fuzz_folder folder;
    char *text;
    fuzz_split(data, size, parts, FILES + 1);
    fuzz_folder_open(&folder);
    for (int i = 0; i < FILES; i++)
        if (parts[i].size || i < 2) fuzz_folder_put(&folder, names[i], parts[i]);
    hone_status status = hone__tokenizer_import(folder.path, &text);
    fuzz_folder_close(&folder);
    open_imported(status, text, parts[FILES]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_part parts[2];
    if (!size) return 0;
    if (*data == 'v') {
        open_folder(data + 1, size - 1);
        return 0;
    }
    fuzz_split(data + 1, size - 1, parts, 2);
    char *exact = fuzz_exact(parts[0]), *text;
    size_t n = parts[0].size;
    hone_status status;
    switch (*data) {
    case 's': open_stored(exact, n, parts[1]); break;
    case 'b': open_binary(parts[0], parts[1]); break;
    default:
        status = *data == 't' ? hone__tokenizer_import_tiktoken(exact, n, "fuzz", 0, &text)
                              : hone__tokenizer_import_json(exact, n, "fuzz", &text);
        open_imported(status, text, parts[1]);
    }
    free(exact);
    return 0;
}
