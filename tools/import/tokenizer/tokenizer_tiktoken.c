/* tokenizer_tiktoken.c: tables of "base64 rank" lines, as Whisper publishes them. Two neighbours join where their bytes
 * are a token, the one of the lowest rank first: every way to halve every token becomes a merge. */
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "text/base64.h"
#include "tokenizer_build.h"
#include "tokenizer_import.h"

enum { LONGEST_LINE = 2 * HONE__TOKEN_BYTES };

/* To halve a token in every way takes the square of its size, and so much is allowed for all: a hundred times what the
 * published tables take (2.2 million). Bytes that collide on purpose are refused, too. */
enum { HALVING_MOST = 1 << 28, PROBES = 4096 };

/* The languages of Whisper, in the order of their tokens. */
static const char languages[] = "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu "
                                "ta no th ur hr bg lt la mi ml cy "
                                "sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo "
                                "so af oc ka be tg sd gu am yi lo "
                                "uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su "
                                "yue"; /* the last: since large-v3 */

/* Of the special tokens: timestamps, those behind the languages, all of the first models' with 99 languages. */
enum { STAMPS = 1501, BEHIND = 6, AT_FIRST = 2 + 99 + BEHIND + STAMPS };

typedef struct table { /* token by bytes: open addressing, id + 1 */
    uint32_t *slots;
    size_t mask;
    uint64_t halving; /* squares of the sizes so far */
} table;

static uint64_t hash_of(const char *p, size_t size)
{
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < size; i++) h = (h ^ (uint8_t)p[i]) * 1099511628211u;
    return h ^ h >> 32;
}

/* The slot of a token, or the empty one where it would be; NULL: too many others are in its way. */
static uint32_t *find(const table *t, const token_build *b, const char *p, size_t size)
{
    size_t at = (size_t)hash_of(p, size) & t->mask, probes = 0;
    for (; t->slots[at]; at = (at + 1) & t->mask) {
        if (++probes == PROBES) return NULL;
        const hone__spec_token *k = &b->spec.tokens[t->slots[at] - 1];
        if (k->size == size && memcmp(k->bytes, p, size) == 0) break;
    }
    return &t->slots[at];
}

static hone_status add_token(token_build *b, table *t, const char *line, size_t size, size_t number)
{
    const char *space = memchr(line, ' ', size);
    size_t digits = 0, rank = 0, left = space ? (size_t)(space - line) : 0;
    for (const char *p = space ? space + 1 : line + size; p < line + size && *p >= '0' && *p <= '9' && digits < 9;
         p++, digits++)
        rank = rank * 10 + (size_t)(*p - '0');
    if (left == 1 && *line == '=') left = 0; /* the last token of multilingual.tiktoken has no bytes */
    char *bytes = hone__arena_alloc(&b->arena, left + 1);
    if (!bytes) return hone__out_of_memory(left);
    size_t n = left ? hone__base64_read(line, left, (uint8_t *)bytes) : 0;
    if (!digits || space + 1 + digits != line + size || n == SIZE_MAX)
        return hone__fail(HONE_E_FORMAT, "%s: line %zu is not a token in base64 and its rank", b->name, number);
    t->halving += n * n;
    if (t->halving > HALVING_MOST)
        return hone__fail(HONE_E_LIMIT, "%s: line %zu: the tokens up to here are longer than those of any vocabulary",
                          b->name, number);
    uint32_t *slot = n ? find(t, b, bytes, n) : NULL;
    if (n && !slot) return hone__fail(HONE_E_FORMAT, "%s: line %zu: its tokens collide", b->name, number);
    if (slot && *slot)
        return hone__fail(HONE_E_FORMAT, "%s: line %zu: the token of line with rank %u again", b->name, number,
                          *slot - 1);
    HONE__TRY(hone__token_build_token(b, (int64_t)rank, bytes, n, true, space + 1));
    if (slot) *slot = (uint32_t)rank + 1;
    return HONE_OK;
}

static hone_status read_lines(token_build *b, table *t, const char *text, size_t size)
{
    size_t number = 1;
    for (const char *end = text + size, *stop; text < end; text = stop + 1, number++) {
        stop = memchr(text, '\n', (size_t)(end - text));
        if (!stop) stop = end;
        size_t n = (size_t)(stop - text);
        if (n && text[n - 1] == '\r') n--;
        if (n > LONGEST_LINE) return hone__fail(HONE_E_LIMIT, "%s: line %zu is %zu bytes long", b->name, number, n);
        if (n) HONE__TRY(add_token(b, t, text, n, number));
        if (stop == end) break;
    }
    return HONE_OK;
}

static hone_status halve_tokens(token_build *b, const table *t)
{
    for (size_t id = 0; id < b->spec.token_count; id++) {
        const hone__spec_token k = b->spec.tokens[id];
        for (size_t cut = 1; cut < k.size; cut++) {
            const uint32_t *left = find(t, b, k.bytes, cut);
            const uint32_t *right = left && *left ? find(t, b, k.bytes + cut, k.size - cut) : NULL;
            if (right && *right) HONE__TRY(hone__token_build_merge_ids(b, *left - 1, *right - 1, (uint32_t)id));
        }
    }
    return HONE_OK;
}

static hone_status add_special(token_build *b, const char *text)
{
    return hone__token_build_added(b, (int64_t)b->spec.token_count, text, strlen(text), HONE__ADDED_SPECIAL);
}

/* vocabulary: how many ids there are with these; the languages are as many as it leaves room for. */
static hone_status add_specials(token_build *b, size_t vocabulary)
{
    static const char *const first[] = {"<|endoftext|>", "<|startoftranscript|>"};
    static const char *const later[BEHIND] = {"<|translate|>",   "<|transcribe|>", "<|startoflm|>",
                                              "<|startofprev|>", "<|nospeech|>",   "<|notimestamps|>"};
    char text[32];
    for (size_t i = 0; i < 2; i++) HONE__TRY(add_special(b, first[i]));
    size_t fixed = b->spec.token_count + BEHIND + STAMPS, left = vocabulary > fixed ? vocabulary - fixed : 0;
    for (const char *p = languages; *p && left; left--) {
        size_t n = strcspn(p, " ");
        snprintf(text, sizeof text, "<|%.*s|>", (int)n, p);
        HONE__TRY(add_special(b, text));
        p += n + (p[n] != 0);
    }
    for (size_t i = 0; i < BEHIND; i++) HONE__TRY(add_special(b, later[i]));
    for (int i = 0; i < STAMPS; i++) { /* time stamps, every 0.02 s */
        snprintf(text, sizeof text, "<|%d.%02d|>", i / 50, i % 50 * 2);
        HONE__TRY(add_special(b, text));
    }
    if (b->spec.token_count == vocabulary) return HONE_OK;
    return hone__fail(HONE_E_FORMAT, "%s: %zu tokens with those of Whisper, the model has %zu", b->name,
                      b->spec.token_count, vocabulary);
}

hone_status hone__tokenizer_import_tiktoken(const char *text, size_t size, const char *name, size_t vocabulary,
                                            char **out)
{
    token_build b = {.name = name};
    table t = {.mask = 15};
    *out = NULL;
    for (size_t i = 0; i < size; i++) b.named += text[i] == '\n';
    while (t.mask < 2 * b.named + 2) t.mask = 2 * t.mask + 1;
    t.slots = hone__calloc(t.mask + 1, sizeof *t.slots);
    if (!t.slots) return hone__out_of_memory(4 * t.mask);
    b.spec.unknown = -1;
    b.spec.flags = HONE__BPE_RANK_IS_ID | HONE__BPE_WHOLE_WORDS;
    hone_status status = read_lines(&b, &t, text, size);
    if (status == HONE_OK && !b.spec.token_count) status = hone__fail(HONE_E_FORMAT, "%s: holds no tokens", name);
    if (status == HONE_OK) status = halve_tokens(&b, &t);
    if (status == HONE_OK) status = add_specials(&b, vocabulary ? vocabulary : b.spec.token_count + AT_FIRST);
    if (status == HONE_OK) status = hone__token_build_step(&b, &b.spec.cut, HONE__STEP_GPT2, 0);
    if (status == HONE_OK) status = hone__token_build_write(&b, out);
    hone__free(t.slots);
    hone__token_build_free(&b);
    return status;
}
