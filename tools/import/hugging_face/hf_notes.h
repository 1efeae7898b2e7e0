/* hf_notes.h: what generating text needs to know beside the graph, into a model's metadata. */
#ifndef HONE_IMPORT_HF_NOTES_H
#define HONE_IMPORT_HF_NOTES_H

#include <jansson.h>

#include "graph/graph.h"

typedef struct hone__hf_facts {
    int64_t context, vocab;            /* 0: not known */
    const char *model_type;            /* NULL: not known */
    const json_t *config, *generation; /* eos_token_id, bos_token_id, pad_token_id: in generation first; NULL: none */
} hone__hf_facts;

/* hone.decoder: lines of key=value (src/tasks/generate.h). */
hone_status hone__hf_note_decoder(hone__model *model, const hone__hf_facts *facts);
/* The folder's tokenizer; one of a kind that hone does not know is left out, with a word. */
hone_status hone__hf_note_tokenizer(hone__model *model, const char *folder);

#endif
