/* sound.c: windows of a sound file through a classifier, in constant memory. */
#include "sound.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio/windows.h"
#include "tools/media/media.h"

enum { CHUNK = 16384 };

hone_status labeller_open(const char *path, labeller *l)
{
    *l = (labeller){0};
    hone_session_options o = {.threads = (int)common.threads};
    hone_status s = open_model(path, &l->model);
    if (s != HONE_OK) return s;
    s = hone_classifier_create(l->model, &o, &l->classifier);
    if (s != HONE_OK) {
        s = hone__at(s, "%s", path);
        labeller_close(l);
        return s;
    }
    l->classes = hone_classifier_classes(l->classifier);
    l->window = hone_classifier_window(l->classifier);
    l->rate = hone_classifier_sample_rate(l->classifier);
    l->scores = calloc(l->classes, sizeof *l->scores);
    return l->scores ? HONE_OK : HONE_E_MEMORY;
}

void labeller_close(labeller *l)
{
    hone_classifier_destroy(l->classifier);
    hone_model_destroy(l->model);
    free(l->scores);
    *l = (labeller){0};
}

const char *labeller_name(const labeller *l, size_t i, char *text, size_t size)
{
    const char *label = hone_classifier_label(l->classifier, i);
    if (*label) return label;
    snprintf(text, size, "#%zu", i);
    return text;
}

typedef struct walk {
    labeller *l;
    hone__windows *w;
    window_fn fn;
    void *ctx;
    bool stop;
} walk;

static hone_status drain(walk *k, bool end)
{
    const float *pcm;
    size_t n;
    uint64_t start;
    while (!k->stop && hone__windows_next(k->w, end, &pcm, &n, &start)) {
        hone_status s = hone_classifier_run(k->l->classifier, pcm, n, k->l->scores);
        if (s != HONE_OK) return s;
        k->stop = !k->fn(k->ctx, k->l, (double)start / k->l->rate, (double)n / k->l->rate);
    }
    return HONE_OK;
}

static hone_status feed(walk *k, hone__media *m, const char *path)
{
    static float pcm[CHUNK];
    size_t got, second = 0, total = 0;
    double seconds = hone__media_seconds(m);
    for (;;) {
        hone_status s = hone__media_read(m, pcm, CHUNK, &got);
        if (s != HONE_OK) return s;
        if (!got || k->stop) return drain(k, !k->stop);
        for (size_t used = 0; used < got && !k->stop;) {
            used += hone__windows_push(k->w, pcm + used, got - used);
            s = drain(k, false);
            if (s != HONE_OK) return s;
        }
        total += got;
        if (total / (size_t)k->l->rate / 10 != second && seconds > 20) {
            second = total / (size_t)k->l->rate / 10;
            progress(path, total / (size_t)k->l->rate, (size_t)seconds);
        }
    }
}

hone_status labeller_file(labeller *l, const char *path, double hop, window_fn fn, void *ctx)
{
    hone__media *m;
    walk k = {.l = l, .fn = fn, .ctx = ctx};
    size_t step = hop > 0 ? (size_t)(hop * l->rate + 0.5) : l->window;
    hone_status s = hone__media_open(path, l->rate, NULL, &m);
    if (s != HONE_OK) return s;
    s = hone__windows_create(l->window, step ? step : 1, &k.w);
    if (s == HONE_OK) {
        s = feed(&k, m, path);
        bool named = !strncmp(hone_error_message(), path, strlen(path)); /* the reader of the file does that itself */
        if (s != HONE_OK && !named) s = hone__at(s, "%s", path);
    }
    hone__windows_destroy(k.w);
    hone__media_close(m);
    return s;
}
