/* cmd_classify.c: labels for sound files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sound.h"

typedef struct print {
    const char *path;
    int64_t top;
    size_t printed;
} print;

static size_t best_except(const labeller *l, const size_t *taken, size_t count)
{
    size_t best = l->classes;
    for (size_t i = 0; i < l->classes; i++) {
        bool used = false;
        for (size_t k = 0; k < count; k++) used |= taken[k] == i;
        if (!used && (best == l->classes || l->scores[i] > l->scores[best])) best = i;
    }
    return best;
}

static void print_scores(const print *p, const labeller *l)
{
    char text[32];
    size_t n = (size_t)p->top < l->classes ? (size_t)p->top : l->classes, *taken = calloc(n + 1, sizeof *taken);
    for (size_t i = 0; taken && i < n; i++) {
        taken[i] = best_except(l, taken, i);
        const char *name = labeller_name(l, taken[i], text, sizeof text);
        if (common.json) {
            printf("%s{\"label\": ", i ? ", " : "");
            print_json_string(name);
            printf(", \"index\": %zu, \"probability\": %.6f}", taken[i], l->scores[taken[i]]);
        } else {
            printf(i ? "  " : "\t");
            print_clean(name);
            printf(" %.4f", l->scores[taken[i]]);
        }
    }
    free(taken);
}

static bool on_window(void *ctx, const labeller *l, double start, double seconds)
{
    print *p = ctx;
    if (common.json) {
        printf("%s{\"start\": %.3f, \"end\": %.3f, \"labels\": [", p->printed ? ", " : "", start, start + seconds);
        print_scores(p, l);
        printf("]}");
    } else {
        print_clean(p->path);
        printf("\t%.2f-%.2f", start, start + seconds);
        print_scores(p, l);
        printf("\n");
    }
    p->printed++;
    return !ferror(stdout);
}

int cmd_classify(int argc, char **argv)
{
    text_list rest = {0};
    int64_t top = 1;
    double hop = 0;
    const option_row rows[] = {
        {"top", 0, OPTION_INT, &top, "N", "how many labels per window (default 1)", 1, 100000, NULL},
        {"hop", 0, OPTION_FLOAT, &hop, "SECONDS", "from one window to the next (default: the window's length)", 0.001,
         86400, NULL},
        {0},
    };
    const verb_help help = {
        "classify MODEL CLIP...",
        "Labels sound files of any usual kind; - is standard input. A long file is read in windows: one line per\n"
        "window, with its start and end in seconds.",
        "  hone classify model_int8.onnx yes.wav no.flac --top 3\n"
        "  hone classify model_int8.onnx meeting.mp3 --hop 0.5\n  cat clip.wav | hone classify model_int8.onnx -\n"};
    int code = options_read(argc, argv, rows, &help, &rest);
    if (code >= 0) return code;
    if (rest.count < 2) return usage_failure("classify needs a model and at least one clip (hone classify --help)");
    labeller l;
    hone_status s = labeller_open(rest.items[0], &l);
    if (s != HONE_OK) return report_failure(s);
    code = EXIT_DONE;
    if (common.json) printf("[");
    for (size_t i = 1; i < rest.count; i++) {
        print p = {.path = rest.items[i], .top = top};
        if (common.json) {
            printf("%s{\"file\": ", i > 1 ? ", " : "");
            print_json_string(rest.items[i]);
            printf(", \"windows\": [");
        }
        s = labeller_file(&l, rest.items[i], hop, on_window, &p);
        if (common.json) {
            printf("]");
            if (s != HONE_OK) {
                printf(", \"error\": ");
                print_json_string(hone_error_message());
            }
            printf("}");
        }
        if (s != HONE_OK) {
            fflush(stdout);
            code = report_failure(s);
        }
    }
    if (common.json) printf("]\n");
    labeller_close(&l);
    return code;
}
