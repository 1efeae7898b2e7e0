/* cmd_eval.c: quality on a labelled set, a folder with one folder of sound files per label, on a text, or on speech. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "eval_speech.h"
#include "eval_text.h"
#include "sound.h"

typedef struct per_label {
    size_t right, total;
    size_t *as; /* what its clips were taken for: [classes] */
} per_label;

typedef struct evaluation {
    labeller l;
    per_label *labels;
    double *sum; /* probabilities summed over a clip's windows */
    size_t right, total;
} evaluation;

static bool add_window(void *ctx, const labeller *l, double start, double seconds)
{
    evaluation *e = ctx;
    (void)start;
    for (size_t i = 0; i < l->classes; i++) e->sum[i] += l->scores[i] * seconds;
    return true;
}

static int find_label(const labeller *l, const char *name)
{
    for (size_t i = 0; i < l->classes; i++)
        if (!strcmp(hone_classifier_label(l->classifier, i), name)) return (int)i;
    return -1;
}

static int not_hidden(const struct dirent *d) { return d->d_name[0] != '.'; }

static hone_status one_clip(evaluation *e, const char *path, size_t want)
{
    memset(e->sum, 0, e->l.classes * sizeof *e->sum);
    hone_status s = labeller_file(&e->l, path, 0, add_window, e);
    if (s != HONE_OK) return s;
    size_t best = 0;
    for (size_t i = 1; i < e->l.classes; i++)
        if (e->sum[i] > e->sum[best]) best = i;
    e->labels[want].total++;
    e->labels[want].as[best]++;
    e->labels[want].right += best == want;
    e->total++;
    e->right += best == want;
    return HONE_OK;
}

static hone_status one_folder(evaluation *e, const char *dir, size_t want)
{
    struct dirent **files;
    char path[8192];
    int n = scandir(dir, &files, not_hidden, alphasort);
    hone_status s = HONE_OK;
    if (n < 0) return hone__fail(HONE_E_IO, "%s: %s", dir, strerror(errno));
    for (int i = 0; i < n; i++) {
        if (s == HONE_OK && snprintf(path, sizeof path, "%s/%s", dir, files[i]->d_name) < (int)sizeof path)
            s = one_clip(e, path, want);
        free(files[i]);
    }
    free(files);
    return s;
}

static hone_status walk(evaluation *e, const char *dir)
{
    struct dirent **names;
    char path[8192];
    int n = scandir(dir, &names, not_hidden, alphasort);
    hone_status s = HONE_OK;
    if (n < 0) return hone__fail(HONE_E_IO, "%s: %s", dir, strerror(errno));
    for (int i = 0; i < n; i++) {
        struct stat st;
        bool folder = snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name) < (int)sizeof path &&
                      !stat(path, &st) && S_ISDIR(st.st_mode);
        int want = folder ? find_label(&e->l, names[i]->d_name) : -1;
        if (s == HONE_OK && folder && want < 0)
            s = hone__fail(HONE_E_ARGUMENT, "%s: the model has no label '%s'", dir, names[i]->d_name);
        if (s == HONE_OK && folder) s = one_folder(e, path, (size_t)want);
        progress("evaluating", (size_t)i + 1, (size_t)n);
        free(names[i]);
    }
    free(names);
    if (s == HONE_OK && !e->total) return hone__fail(HONE_E_ARGUMENT, "%s: holds no <label>/<clip> files", dir);
    return s;
}

static void print_result(const evaluation *e)
{
    char text[32];
    double accuracy = 100.0 * (double)e->right / (double)e->total;
    if (common.json) {
        printf("{\"metric\": \"accuracy\", \"value\": %.4f, \"right\": %zu, \"clips\": %zu, \"labels\": {",
               accuracy / 100, e->right, e->total);
        size_t printed = 0;
        for (size_t i = 0; i < e->l.classes; i++) {
            if (!e->labels[i].total) continue;
            printf("%s", printed++ ? ", " : "");
            print_json_string(labeller_name(&e->l, i, text, sizeof text));
            printf(": [%zu, %zu]", e->labels[i].right, e->labels[i].total);
        }
        printf("}}\n");
        return;
    }
    for (size_t i = 0; i < e->l.classes; i++) {
        const per_label *p = &e->labels[i];
        if (!p->total) continue;
        printf("%-16s %4zu / %zu", labeller_name(&e->l, i, text, sizeof text), p->right, p->total);
        for (size_t k = 0; k < e->l.classes; k++)
            if (k != i && p->as[k]) printf("  %zu as %s", p->as[k], labeller_name(&e->l, k, text, sizeof text));
        printf("\n");
    }
    printf("accuracy %.2f %% (%zu of %zu clips)\n", accuracy, e->right, e->total);
}

static int eval_labels(const char *model, const char *dataset)
{
    evaluation e = {0};
    hone_status s = labeller_open(model, &e.l);
    if (s != HONE_OK) return report_failure(s);
    e.labels = calloc(e.l.classes, sizeof *e.labels);
    e.sum = calloc(e.l.classes, sizeof *e.sum);
    for (size_t i = 0; e.labels && i < e.l.classes; i++)
        if (!(e.labels[i].as = calloc(e.l.classes, sizeof(size_t)))) s = HONE_E_MEMORY;
    if (!e.labels || !e.sum || s != HONE_OK) return usage_failure("out of memory");
    s = walk(&e, dataset);
    if (s == HONE_OK) print_result(&e);
    int code = s == HONE_OK ? EXIT_DONE : report_failure(s);
    for (size_t i = 0; i < e.l.classes; i++) free(e.labels[i].as);
    free(e.labels);
    free(e.sum);
    labeller_close(&e.l);
    return code;
}

int cmd_eval(int argc, char **argv)
{
    text_list rest = {0};
    enum { ACCURACY, PERPLEXITY, WER, CER };
    int metric = ACCURACY;
    text_settings text = {0};
    speech_settings speech = {0};
    const option_row rows[] = {
        {"metric", 0, OPTION_CHOICE, &metric, NULL, "what to measure (default accuracy)", 0, 0,
         "accuracy|perplexity|wer|cer"},
        {"context", 'c', OPTION_INT, &text.context, "N", "perplexity: tokens of a window (default: the model's most)",
         2, 100000000, NULL},
        {"stride", 0, OPTION_INT, &text.stride, "N", "perplexity: tokens between windows (default: the context)", 1,
         100000000, NULL},
        {"cache", 0, OPTION_CHOICE, &text.cache, "TYPE", "keys and values: fp16 (default), fp32 or int8; not accuracy",
         0, 0, CACHE_NAMES},
        {"language", 'l', OPTION_TEXT, &speech.language, "LANG",
         "wer, cer: of the speech (default: found per clip); en: English rules", 0, 0, NULL},
        {"beam-size", 0, OPTION_INT, &speech.beams, "N", "wer, cer: beams (default 1: none)", 1, 64, NULL},
        {"audio-ctx", 0, OPTION_INT, &speech.audio_ctx, "N", "wer, cer: positions of the encoder for a window", 0, 1500,
         NULL},
        {"no-fallback", 0, OPTION_FLAG, &speech.no_fallback, NULL, "wer, cer: a text that looks wrong stays", 0, 0,
         NULL},
        {"force-tokens", 0, OPTION_INT, &speech.force, "N", "wer, cer: exactly N tokens per window", 1, 448, NULL},
        {0},
    };
    const verb_help help = {
        "eval MODEL DATASET [--metric accuracy|perplexity|wer|cer]",
        "Measures quality. For a classifier DATASET is a folder with one folder of sound files per label.\n\n"
        "For a language model (--metric perplexity) MODEL is a folder or an .onnx file with its tokenizer inside, "
        "made\n"
        "by hone optimize, and DATASET a file of UTF-8 text, - for standard input. The whole text becomes one row of\n"
        "tokens. Window i holds up to `context` of them from token i * stride on; the last window is the first that\n"
        "reaches the end. In each window those tokens are scored that no window before it has held, but never a\n"
        "window's first token, which has nothing before it. A token's score is -ln of the probability that the model\n"
        "gives it after the window's tokens before it, position 0 being the window's start. Perplexity is exp of the\n"
        "sum of scores divided by the number of scored tokens; bits per byte is that sum / ln 2 / bytes of text.\n\n"
        "For a Whisper model (--metric wer, word error rate, or cer, characters) DATASET is a folder of clips, each "
        "with\n"
        "a .txt of its name beside it, or a .tsv or .csv file of paths and texts. Both texts are normalised as\n"
        "openai-whisper does it before they are compared: English ones by its rules for English, others by its basic\n"
        "ones. The rate is substitutions + deletions + insertions over all clips by words of what was expected.",
        "  hone eval model_int8.onnx zoo/keywords/test\n"
        "  hone eval gpt2-int4 text.txt --metric perplexity\n"
        "  hone eval gpt2-int4 text.txt --metric perplexity --stride 512 --json\n"
        "  hone eval whisper-int8 clips --metric wer --language en\n"};
    int code = options_read(argc, argv, rows, &help, &rest);
    if (code >= 0) return code;
    if (rest.count != 2) return usage_failure("eval needs a model and a dataset (hone eval --help)");
    if (metric != PERPLEXITY && (text.context || text.stride))
        return usage_failure("--context and --stride are for --metric perplexity");
    speech.cache = text.cache;
    if (metric == WER || metric == CER) return eval_speech(rest.items[0], rest.items[1], metric == CER, &speech);
    if (speech.language || speech.beams || speech.audio_ctx || speech.no_fallback || speech.force)
        return usage_failure("--language, --beam-size, --audio-ctx, --no-fallback and --force-tokens are for --metric "
                             "wer and cer");
    if (metric == PERPLEXITY) return eval_text(rest.items[0], rest.items[1], &text);
    if (text.cache) return usage_failure("--cache is not for --metric accuracy");
    return eval_labels(rest.items[0], rest.items[1]);
}
