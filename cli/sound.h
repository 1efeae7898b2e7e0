/* sound.h: what classify and eval share: a model that labels windows of a sound file. */
#ifndef HONE_CLI_SOUND_H
#define HONE_CLI_SOUND_H

#include "cli.h"

typedef struct labeller {
    hone_model *model;
    hone_classifier *classifier;
    size_t classes, window;
    int rate;
    float *scores; /* of the last window */
} labeller;

hone_status labeller_open(const char *path, labeller *l);
void labeller_close(labeller *l);
/* "label" or "#3" where the model has no labels. */
const char *labeller_name(const labeller *l, size_t i, char *text, size_t size);

/* Called per window: where it begins, in seconds, and how long it is. l->scores holds its probabilities. Returns false
 * to stop. */
typedef bool (*window_fn)(void *ctx, const labeller *l, double start, double seconds);
/* hop: seconds between windows; 0: one window length. */
hone_status labeller_file(labeller *l, const char *path, double hop, window_fn fn, void *ctx);

#endif
