/* hf_import.h: from a configuration and a checkpoint to a model, for every source that has both. */
#ifndef HONE_IMPORT_HF_IMPORT_H
#define HONE_IMPORT_HF_IMPORT_H

#include <jansson.h>

#include "tools/import/hugging_face/checkpoint.h"
#include "tools/import/import.h"

typedef struct hone__hf_source {
    const char *path;         /* of the configuration, for messages */
    const char *format;       /* for the report */
    json_t *root;             /* what config.json says */
    const json_t *generation; /* generation_config.json; NULL: there is none */
    const char *tokenizer;    /* folder or file; NULL: none */
} hone__hf_source;

/* The family of root's model_type builds its graph over the checkpoint, which may be closed afterwards. */
hone_status hone__hf_build(const hone__hf_source *source, hone__checkpoint *weights,
                           const hone__import_options *options, hone__model **out, hone__import_report *report);

#endif
