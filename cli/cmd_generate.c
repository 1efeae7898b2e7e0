/* cmd_generate.c: text from a language model. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cli.h"
#include "folder.h"
#include "text/unicode.h"

typedef struct settings {
    text_list prompts, stops, bad_words;
    const char *file, *suppress, *begin_suppress;
    hone_tokens suppressed, begin_suppressed; /* what these two say */
    int64_t min_tokens, forced_first, forced_last;
    int64_t tokens, force, top_k, no_repeat, seed, context, lookup, beams, sequences;
    int early;
    double length_penalty, temperature, top_p, min_p, typical_p, repetition, presence, frequency;
    uint64_t max_memory;
    bool print_tokens, stream;
    int cache;
} settings;

typedef struct reply {
    hone__text text;
    int *tokens;
    size_t count, room;
} reply;

typedef struct printer {
    const settings *o;
    reply *replies;
    bool direct; /* pieces are printed when they come */
    bool full;   /* a text ended because the context was full */
    double first, start;
    size_t made;
    hone_status failed;
} printer;

static hone_generator *running;
static volatile sig_atomic_t asked; /* Ctrl-C: what was made is printed, then the process ends by the signal */

static void on_signal(int number)
{
    asked = number;
    if (running) hone_generator_cancel(running);
}

static const char *file_name(const settings *o) { return strcmp(o->file, "-") ? o->file : "standard input"; }

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static hone_status keep(reply *r, const char *text, size_t size, int token)
{
    HONE__TRY(hone__text_append(&r->text, text, size));
    HONE__TRY(hone__grow(&r->tokens, &r->room, r->count, sizeof *r->tokens));
    r->tokens[r->count++] = token;
    return HONE_OK;
}

static int on_piece(void *ctx, size_t index, const char *text, size_t size, int token, int last)
{
    printer *p = ctx;
    p->full |= last == 2;
    if (!p->made++) p->first = now();
    p->failed = keep(&p->replies[index], text, size, token);
    if (p->direct && p->o->print_tokens)
        printf("%s%d", p->replies[index].count > 1 ? " " : "", token);
    else if (p->direct)
        fwrite(text, 1, size, stdout);
    return p->failed != HONE_OK || (p->direct && !flush_output());
}

static void print_replies(printer *p, size_t count)
{
    if (common.json) printf("[");
    for (size_t i = 0; i < count; i++) {
        reply *r = &p->replies[i];
        if (common.json) {
            printf("%s{\"text\": ", i ? ", " : "");
            hone_status ended = hone__text_append(&r->text, "", 1);
            if (ended != HONE_OK) p->failed = ended;
            print_json_string(ended == HONE_OK ? r->text.data : "");
            printf(", \"tokens\": [");
            for (size_t k = 0; k < r->count; k++) printf("%s%d", k ? ", " : "", r->tokens[k]);
            printf("]}");
        } else if (!p->direct && p->o->print_tokens) {
            for (size_t k = 0; k < r->count; k++) printf("%s%d", k ? " " : "", r->tokens[k]);
            printf("\n");
        } else if (!p->direct) {
            fwrite(r->text.data ? r->text.data : "", 1, r->text.size, stdout);
            printf("\n");
        }
    }
    printf(common.json ? "]\n" : p->direct ? "\n" : "");
}

static void print_speed(const printer *p, double created, size_t prompts)
{
    double end = now();
    if (common.quiet || common.json || !p->made) return;
    fprintf(stderr, "ready in %.0f ms, first token after %.0f ms", created * 1e3, (p->first - p->start) * 1e3);
    if (p->made > prompts && p->o->beams <= 1)
        fprintf(stderr, ", then %.2f ms a token",
                (end - p->first) * 1e3 / ((double)(p->made - prompts) / (double)prompts));
    fprintf(stderr, "%s\n", p->full ? "; the context is full" : "");
}

static hone_status generate(const hone_model *m, const settings *o, const char *const *prompts, size_t count,
                            printer *p)
{
    hone_generator_options g = HONE_GENERATOR_OPTIONS_INIT;
    hone_generate_options w = HONE_GENERATE_OPTIONS_INIT;
    double begin = now();
    g.threads = (int)common.threads;
    g.max_memory = (size_t)o->max_memory;
    g.batch = (size_t)(o->beams > 1 ? o->beams : o->sequences * (int64_t)count);
    g.context = (size_t)o->context;
    g.cache = cache_types[o->cache];
    w.tokens = (size_t)(o->force ? o->force : o->tokens);
    w.force = o->force > 0;
    w.temperature = (float)o->temperature, w.top_k = (int)o->top_k;
    w.top_p = (float)o->top_p, w.min_p = (float)o->min_p, w.typical_p = (float)o->typical_p;
    w.repetition_penalty = (float)o->repetition, w.presence_penalty = (float)o->presence;
    w.frequency_penalty = (float)o->frequency;
    w.no_repeat_ngram = (size_t)o->no_repeat, w.lookup = (size_t)o->lookup, w.seed = (uint32_t)o->seed;
    w.beams = (size_t)o->beams, w.sequences = (size_t)o->sequences;
    w.length_penalty = (float)o->length_penalty, w.early_stopping = o->early;
    w.stops = o->stops.items, w.stop_count = o->stops.count;
    w.bad_words = o->bad_words.items, w.bad_word_count = o->bad_words.count;
    w.suppress = o->suppressed, w.begin_suppress = o->begin_suppressed;
    w.forced_first = (int)o->forced_first, w.forced_last = (int)o->forced_last;
    w.min_tokens = (size_t)o->min_tokens;
    hone_generator *made;
    HONE__TRY(hone_generator_create(m, &g, &made));
    double created = now() - begin;
    running = made;
    void (*before)(int) = signal(SIGINT, on_signal);
    p->start = now();
    hone_status s = hone_generator_run(made, prompts, count, &w, on_piece, p);
    signal(SIGINT, before);
    running = NULL;
    bool closed = ferror(stdout); /* whoever reads has enough (head), or the disk is full: main says which */
    if (!closed && (s == HONE_OK || s == HONE_E_CANCELLED)) { /* what was made is not lost */
        print_replies(p, count * (size_t)o->sequences);
        print_speed(p, created, count);
    }
    hone_generator_destroy(made);
    return p->failed != HONE_OK ? p->failed : s;
}

static hone_status check_prompts(const settings *o, const char *const *prompts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hone_status s = check_utf8(prompts[i], strlen(prompts[i]));
        if (s != HONE_OK) return o->file ? hone__at(s, "%s", file_name(o)) : hone__at(s, "prompt %zu", i);
    }
    return HONE_OK;
}

static int run(const char *path, const settings *o, const char *const *prompts, size_t count)
{
    hone_model *m;
    hone_status s = check_prompts(o, prompts, count);
    if (s == HONE_OK) s = open_model(path, &m);
    if (s != HONE_OK) return report_failure(s);
    size_t texts = count * (size_t)o->sequences;
    printer p = {.o = o, .replies = calloc(texts, sizeof *p.replies)};
    p.direct = texts == 1 && !common.json;
    s = p.replies ? generate(m, o, prompts, count, &p) : hone__out_of_memory(texts * sizeof *p.replies);
    bool cancelled = s == HONE_E_CANCELLED;
    if (s != HONE_OK) s = o->file ? hone__at(s, "%s, %s", file_name(o), path) : hone__at(s, "%s", path);
    for (size_t i = 0; p.replies && i < texts; i++) {
        hone__free(p.replies[i].text.data);
        hone__free(p.replies[i].tokens);
    }
    free(p.replies);
    hone_model_destroy(m);
    if (cancelled) return EXIT_FAILED;
    return s == HONE_OK ? EXIT_DONE : report_failure(s);
}

/* The whole of a file is the prompt. */
static int run_file(const char *path, const settings *o)
{
    enum { MOST = 64 << 20 };
    uint8_t *data;
    size_t size;
    hone_status s = hone__file_read(o->file, MOST, &data, &size);
    if (s != HONE_OK) return report_failure(s);
    char *text = hone__strndup((const char *)data, size);
    if (!text) s = hone__out_of_memory(size);
    if (s == HONE_OK && strlen(text) != size)
        s = hone__fail(HONE_E_FORMAT, "%s: holds a 0 byte: no text", file_name(o));
    int code = s == HONE_OK ? run(path, o, (const char *const[]){text}, 1) : report_failure(s);
    hone__free(text);
    hone__free(data);
    return code;
}

/* Numbers with commas between them. out->ids: free() them. */
static hone_status read_ids(const char *option, const char *text, hone_tokens *out)
{
    if (!text) return HONE_OK;
    uint32_t *ids = malloc((strlen(text) / 2 + 1) * sizeof *ids);
    if (!ids) return hone__out_of_memory(strlen(text));
    out->ids = ids;
    for (const char *at = text;; at++) {
        char *after;
        long long id = *at >= '0' && *at <= '9' ? strtoll(at, &after, 10) : -1;
        if (id < 0 || id > INT32_MAX || (*after && *after != ','))
            return hone__fail(HONE_E_ARGUMENT, "%s: %s is no list of tokens such as 3,17", option, text);
        ids[out->count++] = (uint32_t)id;
        at = after;
        if (!*at) return HONE_OK;
    }
}

static int run_any(const char *path, settings *o)
{
    hone_status s = read_ids("--suppress-tokens", o->suppress, &o->suppressed);
    if (s == HONE_OK) s = read_ids("--begin-suppress-tokens", o->begin_suppress, &o->begin_suppressed);
    int code = s != HONE_OK ? report_failure(s)
               : o->file    ? run_file(path, o)
                            : run(path, o, o->prompts.items, o->prompts.count);
    free((void *)(uintptr_t)o->suppressed.ids);
    free((void *)(uintptr_t)o->begin_suppressed.ids);
    return code;
}

/* After Ctrl-C the command ends by the signal, once what was made is out. */
static int ended(int code)
{
    if (asked) {
        (void)flush_output();
        signal(asked, SIG_DFL);
        raise(asked);
    }
    return code;
}

int cmd_generate(int argc, char **argv)
{
    text_list rest = {0};
    settings o = {.tokens = 128,
                  .top_p = 1,
                  .typical_p = 1,
                  .repetition = 1,
                  .sequences = 1,
                  .length_penalty = 1,
                  .forced_first = -1,
                  .forced_last = -1};
    const option_row rows[] = {
        {"prompt", 'p', OPTION_LIST, &o.prompts, "TEXT", "what the text goes on from; several: side by side", 0, 0,
         NULL},
        {"file", 'f', OPTION_TEXT, &o.file, "FILE", "a prompt from a file, - for standard input", 0, 0, NULL},
        {"tokens", 'n', OPTION_INT, &o.tokens, "N", "new tokens, at most (default 128)", 1, 100000000, NULL},
        {"force-tokens", 0, OPTION_INT, &o.force, "N", "exactly N new tokens, whatever they are", 1, 100000000, NULL},
        {"temperature", 0, OPTION_FLOAT, &o.temperature, "T", "0: the most likely token, always (default)", 0, 1e6,
         NULL},
        {"top-k", 0, OPTION_INT, &o.top_k, "K", "draw from the K most likely tokens", 0, 100000000, NULL},
        {"top-p", 0, OPTION_FLOAT, &o.top_p, "P", "draw from those that together reach P", 0, 1, NULL},
        {"min-p", 0, OPTION_FLOAT, &o.min_p, "P", "draw from those with P of the best one's probability", 0, 1, NULL},
        {"typical-p", 0, OPTION_FLOAT, &o.typical_p, "P", "draw from the most typical ones that reach P", 0, 1, NULL},
        {"repetition-penalty", 0, OPTION_FLOAT, &o.repetition, "X", "scores of what was there are divided by X", 1e-3,
         1e3, NULL},
        {"presence-penalty", 0, OPTION_FLOAT, &o.presence, "X", "subtracted from tokens that came", -1e3, 1e3, NULL},
        {"frequency-penalty", 0, OPTION_FLOAT, &o.frequency, "X", "likewise, for each time", -1e3, 1e3, NULL},
        {"no-repeat-ngram", 0, OPTION_INT, &o.no_repeat, "N", "runs of N tokens come once", 0, 1000, NULL},
        {"beams", 0, OPTION_INT, &o.beams, "N", "search with N beams instead of a token at a time", 1, 1024, NULL},
        {"length-penalty", 0, OPTION_FLOAT, &o.length_penalty, "X", "of beams: over 0 favours long texts (default 1)",
         -100, 100, NULL},
        {"early-stopping", 0, OPTION_CHOICE, &o.early, NULL, "beams end: likely (default), full, never", 0, 0,
         "likely|full|never"},
        {"sequences", 0, OPTION_INT, &o.sequences, "N", "texts per prompt: draws, or the best beams", 1, 1024, NULL},
        {"min-tokens", 0, OPTION_INT, &o.min_tokens, "N", "new tokens before the text may end", 0, 100000000, NULL},
        {"bad-words", 0, OPTION_LIST, &o.bad_words, "TEXT",
         "does not come, by itself or behind a space; may be repeated", 0, 0, NULL},
        {"suppress-tokens", 0, OPTION_TEXT, &o.suppress, "IDS", "tokens that never come, such as 3,17", 0, 0, NULL},
        {"begin-suppress-tokens", 0, OPTION_TEXT, &o.begin_suppress, "IDS", "tokens that do not come first", 0, 0,
         NULL},
        {"forced-first", 0, OPTION_INT, &o.forced_first, "ID", "the first new token", 0, INT32_MAX, NULL},
        {"forced-last", 0, OPTION_INT, &o.forced_last, "ID",
         "the last token of texts that reach -n or the context's end", 0, INT32_MAX, NULL},
        {"stop", 0, OPTION_LIST, &o.stops, "TEXT", "ends the text, and is not part of it", 0, 0, NULL},
        {"seed", 0, OPTION_INT, &o.seed, "N", "of the draws (default 0)", 0, 4294967295.0, NULL},
        {"lookup", 0, OPTION_INT, &o.lookup, "N",
         "guess N tokens at a time from what stands before: the same text, sooner", 0, 15, NULL},
        {"context", 'c', OPTION_INT, &o.context, "N",
         "most tokens of prompt and text (default: as many as the model can)", 1, 100000000, NULL},
        {"cache", 0, OPTION_CHOICE, &o.cache, "TYPE", "keys and values: fp16 (default), fp32 or int8", 0, 0,
         CACHE_NAMES},
        {"max-memory", 0, OPTION_SIZE, &o.max_memory, "SIZE", "limit for activations and caches, such as 500M", 0, 0,
         NULL},
        {"print-tokens", 0, OPTION_FLAG, &o.print_tokens, NULL, "ids instead of text", 0, 0, NULL},
        {"stream", 0, OPTION_FLAG, &o.stream, NULL, "print while it is made (one prompt: always)", 0, 0, NULL},
        {0},
    };
    const verb_help help = {
        "generate MODEL -p PROMPT [-n TOKENS]",
        "Goes on from a prompt. MODEL is an ONNX file or a folder with one: made by hone optimize from a\n"
        "Hugging Face folder, or, slower, as optimum and onnxruntime-genai made it.\n"
        "Without --temperature nothing is drawn: the most likely token comes, always. Of the model's\n"
        "generation_config.json the eos_token_id counts; how to draw and search is said here alone.\n"
        "--bad-words bans the tokens of TEXT and of TEXT behind a space, where one begins with a space as it\n"
        "stands, as bad_words_ids of transformers does: other tokens may still spell it.",
        "  hone generate gpt2-int4 -p \"Explain 5G technology in simple terms.\" -n 50\n"
        "  hone generate model -p \"Once\" --temperature 0.8 --top-p 0.95 --seed 7\n"
        "  echo \"Dear Sir,\" | hone generate model -f - --stop \"\\n\\n\"\n"};
    int code = options_read(argc, argv, rows, &help, &rest);
    if (code >= 0) return code;
    if (rest.count != 1) return usage_failure("generate needs one model (hone generate --help)");
    if (!o.prompts.count == !o.file)
        return usage_failure("generate needs --prompt or --file, one of them (hone generate --help)");
    return ended(run_any(rest.items[0], &o));
}
