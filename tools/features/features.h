/* features.h: how sound becomes a model's input, from JSON into the model's metadata. */
#ifndef HONE_TOOLS_FEATURES_H
#define HONE_TOOLS_FEATURES_H

#include "hone/model.h"

/* Reads the file, checks every parameter, stores `hone.features` and, if there are labels, `hone.labels`. */
hone_status hone__features_apply(hone_model *model, const char *json_path);

/* One label per line into `hone.labels`. */
hone_status hone__labels_apply(hone_model *model, const char *text_path);

#endif
