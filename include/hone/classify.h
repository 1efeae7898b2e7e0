/* classify.h: sound to labels. */
#ifndef HONE_CLASSIFY_H
#define HONE_CLASSIFY_H

#include "hone/session.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hone_classifier hone_classifier;

/* The model carries its front end (metadata `hone.features`) and labels (`hone.labels`). */
hone_status hone_classifier_create(const hone_model *model, const hone_session_options *options, hone_classifier **out);
void hone_classifier_destroy(hone_classifier *classifier);          /* NULL is fine */
int hone_classifier_sample_rate(const hone_classifier *classifier); /* Hz */
size_t hone_classifier_window(const hone_classifier *classifier);   /* samples that one run looks at */
size_t hone_classifier_classes(const hone_classifier *classifier);
const char *hone_classifier_label(const hone_classifier *classifier, size_t index); /* "" when it has none */

/* pcm: mono, 1 to window samples at the sample rate; what is missing counts as silence. out: [classes] probabilities.
 */
hone_status hone_classifier_run(hone_classifier *classifier, const float *pcm, size_t n, float *out);

#ifdef __cplusplus
}
#endif
#endif
