/* classify.h: a clip of sound to one probability per label. */
#ifndef HONE_TASKS_CLASSIFY_H
#define HONE_TASKS_CLASSIFY_H

#include "audio/frontend.h"
#include "exec/session.h"

#define HONE__KEY_FEATURES "hone.features" /* metadata: the front end's parameters, key=value lines */
#define HONE__KEY_LABELS "hone.labels"     /* metadata: one label per line, in the order of the outputs */

typedef struct hone__classifier hone__classifier;

/* The model needs one float input, a first output of [batch, classes], and HONE__KEY_FEATURES. */
hone_status hone__classifier_create(const hone__model *model, const hone__session_options *options,
                                    hone__classifier **out);
void hone__classifier_destroy(hone__classifier *classifier);
const hone__frontend_config *hone__classifier_frontend(const hone__classifier *classifier);
size_t hone__classifier_classes(const hone__classifier *classifier);
const char *hone__classifier_label(const hone__classifier *classifier, size_t index);

/* pcm: mono at the front end's rate, 1 <= n <= clip_samples. out: [classes], sums to 1 for exclusive classes. */
hone_status hone__classifier_run(hone__classifier *classifier, const float *pcm, size_t n, float *out);

#endif
