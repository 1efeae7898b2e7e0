/* fuzz_generate.c: bytes as an .onnx file that is a decoder with its tokenizer: opened, and a few tokens generated,
 * under limits of memory and time. Metadata `fuzz` of the file says how: pairs of a letter and a number (a character
 * from '0' on), then, behind a '|', prompts, a line each. */
#ifdef HONE_LIBFUZZER /* the replay needs no mutations */
#include "fuzz_onnx_mutate.h"
#endif

#include "api/api.h"
#include "fuzz_parts.h"
#include "fuzz_run.h"
#include "hone/generate.h"
#include "onnx/onnx.h"
#include "ops/eval.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PROMPTS = 3, LONGEST = 12, TEXTS = 64 };

typedef struct settings {
    hone_generator_options generator;
    hone_generate_options run;
    char prompts[PROMPTS][LONGEST + 1];
    size_t count;
} settings;

/* Rules over a few tokens, some of which the vocabulary may lack. */
static void set_tokens(hone_generate_options *o, char letter, int v)
{
    static const uint32_t ids[] = {5, 2, 9, 2, 1, 0, 7, 300, UINT32_MAX};
    static const hone_tokens runs[] = {{ids, 1}, {ids + 1, 2}, {ids + 2, 3}, {ids + 4, 0}};
    static const char *const texts[] = {"a", "b c", " ", ""};
    size_t n = (size_t)v;
    switch (letter) {
    case 'A': o->min_tokens = n % 9; break;
    case 'B': o->bad_ids = runs, o->bad_id_count = n % 5; break;
    case 'C': o->bad_words = texts, o->bad_word_count = n % 5; break;
    case 'D': o->suppress = (hone_tokens){ids, n % 10}; break;
    case 'E': o->begin_suppress = (hone_tokens){ids + 3, n % 7}; break;
    case 'F': o->forced_first = v - 1; break;
    case 'G': o->forced_last = v - 1; break;
    default: break;
    }
}

static void set(settings *s, char letter, int v)
{
    hone_generate_options *o = &s->run;
    switch (letter) {
    case 'n': o->tokens = (size_t)v % 9; break;
    case 'f': o->force = v % 2; break;
    case 't': o->temperature = (float)v / 4; break;
    case 'k': o->top_k = v; break;
    case 'p': o->top_p = (float)v / 8; break;
    case 'm': o->min_p = (float)v / 8; break;
    case 'y': o->typical_p = (float)v / 8; break;
    case 'r': o->repetition_penalty = (float)v / 4; break;
    case 'q': o->presence_penalty = (float)v / 4; break;
    case 'u': o->frequency_penalty = (float)v / 4; break;
    case 'g': o->no_repeat_ngram = (size_t)v % 5; break;
    case 'l': o->lookup = (size_t)v % 9; break;
    case 'b': o->beams = (size_t)v % 5; break;
    case 'e': o->early_stopping = v % 4; break;
    case 'w': o->length_penalty = (float)(v - 8) / 4; break;
    case 's': o->sequences = (size_t)v % 4; break;
    case 'd': o->seed = (uint32_t)v; break;
    case 'z': o->stop_count = (size_t)v % 3; break;
    case 'c': s->generator.context = (size_t)v; break;
    case 'a': s->generator.batch = (size_t)v % 7; break;
    case 'x': s->generator.cache = (hone_dtype[]){HONE_F16, HONE_F32, HONE_I8}[v % 3]; break;
    default: set_tokens(o, letter, v);
    }
}

/* Text up to the end of the line, as much of it as there is room for. */
static const char *read_prompt(const char *at, char *out)
{
    size_t n = strcspn(at, "\n"), kept = n < LONGEST ? n : LONGEST;
    memcpy(out, at, kept);
    out[kept] = 0;
    return at + n + (at[n] != 0);
}

static settings read_settings(const char *text)
{
    static const char *const stops[] = {"ab", "c"};
    settings s = {.generator = {.threads = 1, .max_memory = FUZZ_LIMIT, .batch = 4}, .run = HONE_GENERATE_OPTIONS_INIT};
    s.run.tokens = 4;
    s.run.stops = stops;
    while (*text && *text != '|' && text[1]) {
        set(&s, text[0], text[1] >= '0' ? text[1] - '0' : 0);
        text += 2;
    }
    for (text += *text == '|'; *text && s.count < PROMPTS;) text = read_prompt(text, s.prompts[s.count++]);
    if (!s.count) read_prompt("ab", s.prompts[s.count++]);
    return s;
}

/* What came out, for comparing two runs. */
typedef struct story {
    size_t texts, most; /* how many sequences, and tokens of each, there may be */
    size_t tokens[TEXTS];
    bool over[TEXTS];
    uint64_t hash;
} story;

static int on_piece(void *ctx, size_t index, const char *text, size_t size, int token, int last)
{
    story *s = ctx;
    demand(index < s->texts && !s->over[index] && token >= -1);
    s->tokens[index]++;
    demand(s->tokens[index] <= s->most + 1); /* what was held back comes without a token */
    s->over[index] = last != 0;
    for (size_t i = 0; i < size; i++) s->hash = (s->hash ^ (uint8_t)text[i]) * 0x100000001b3u;
    s->hash = (s->hash ^ index ^ (uint64_t)token << 8) * 0x100000001b3u;
    return 0;
}

static hone_generator *fuzzed;
static void on_timer(int number)
{
    (void)number;
    if (fuzzed) hone_generator_cancel(fuzzed);
}

static hone_status tell(hone_generator *g, const settings *s, bool from_ids, story *out)
{
    const char *texts[PROMPTS];
    uint32_t ids[PROMPTS][LONGEST];
    const uint32_t *lists[PROMPTS];
    size_t lengths[PROMPTS];
    for (size_t i = 0; i < s->count; i++) {
        texts[i] = s->prompts[i];
        lists[i] = ids[i];
        lengths[i] = strlen(s->prompts[i]);
        for (size_t k = 0; k < lengths[i]; k++) ids[i][k] = (uint8_t)s->prompts[i][k] % 32;
    }
    *out = (story){.texts = s->count * (s->run.sequences ? s->run.sequences : 1), .most = s->run.tokens};
    fuzz_timer(200000);
    signal(SIGVTALRM, on_timer);
    hone_status status = from_ids ? hone_generator_run_ids(g, lists, lengths, s->count, &s->run, on_piece, out)
                                  : hone_generator_run(g, texts, s->count, &s->run, on_piece, out);
    fuzz_timer(0);
    demand_message(status);
    return status;
}

static void generate(const hone_model *m, const settings *s)
{
    story first, again;
    hone_status status = hone_generator_create(m, &s->generator, &fuzzed);
    demand((status == HONE_OK) == (fuzzed != NULL));
    demand_message(status);
    for (int from_ids = 0; fuzzed && from_ids < 2; from_ids++)
        if (tell(fuzzed, s, from_ids, &first) == HONE_OK && tell(fuzzed, s, from_ids, &again) == HONE_OK)
            demand(first.hash == again.hash);
    hone_generator *last = fuzzed;
    fuzzed = NULL;
    hone_generator_destroy(last);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hone__model *graph;
    hone_model *m;
    if (hone__onnx_parse(data, size, "fuzz", &graph) != HONE_OK) return 0;
    if (hone__graph_infer(graph->graph) != HONE_OK) {
        hone__model_destroy(graph);
        return 0;
    }
    demand(hone__api_wrap(graph, &m) == HONE_OK);
    const char *text = hone_model_metadata(m, "fuzz");
    settings s = read_settings(text ? text : "");
    generate(m, &s);
    hone_model_destroy(m);
    return 0;
}
