/* api_classify.c: hone_classifier over tasks. */
#include "api.h"
#include "tasks/classify.h"

struct hone_classifier {
    hone__classifier *task;
};

hone_status hone_classifier_create(const hone_model *model, const hone_session_options *options, hone_classifier **out)
{
    *out = NULL;
    hone_classifier *c = hone__calloc(1, sizeof *c);
    if (!c) return hone__out_of_memory(sizeof *c);
    hone__session_options o = {0};
    if (options)
        o = (hone__session_options){.threads = options->threads,
                                    .max_memory = options->max_memory,
                                    .plain = options->plain != 0,
                                    .profile = options->profile != 0};
    hone_status s = hone__classifier_create(model->graph, &o, &c->task);
    if (s != HONE_OK) {
        hone__free(c);
        return s;
    }
    *out = c;
    return HONE_OK;
}

void hone_classifier_destroy(hone_classifier *c)
{
    if (!c) return;
    hone__classifier_destroy(c->task);
    hone__free(c);
}

int hone_classifier_sample_rate(const hone_classifier *c) { return hone__classifier_frontend(c->task)->sample_rate; }
size_t hone_classifier_window(const hone_classifier *c)
{
    return (size_t)hone__classifier_frontend(c->task)->clip_samples;
}
size_t hone_classifier_classes(const hone_classifier *c) { return hone__classifier_classes(c->task); }
const char *hone_classifier_label(const hone_classifier *c, size_t i) { return hone__classifier_label(c->task, i); }
hone_status hone_classifier_run(hone_classifier *c, const float *pcm, size_t n, float *out)
{
    if (!n || n > hone_classifier_window(c))
        return hone__fail(HONE_E_ARGUMENT, "%zu samples, expected 1 to %zu", n, hone_classifier_window(c));
    return hone__classifier_run(c->task, pcm, n, out);
}
