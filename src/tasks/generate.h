/* generate.h: text from a language model, token by token. */
#ifndef HONE_TASKS_GENERATE_H
#define HONE_TASKS_GENERATE_H

#include "decode/beam.h"
#include "decode/sampler.h"
#include "tasks/decoder.h"

#define HONE__KEY_DECODER "hone.decoder" /* metadata: key=value lines: context, eos (one or more), bos, pad, vocab */

enum { HONE__ENDS = 32 /* most tokens that end a text */ };

/* What a model says about itself; -1 or 0 where it does not. */
typedef struct hone__decoder_facts {
    int64_t context, bos, pad;
    int32_t eos[HONE__ENDS];
    size_t eos_count;
} hone__decoder_facts;
/* HONE_E_FORMAT, HONE_E_LIMIT: ends that are no tokens, too many of them. */
hone_status hone__decoder_facts_read(const hone__model *model, hone__decoder_facts *out);

/* One token more of sequence `index`, and whether to go on. last: 0: more follows; 1: it ends here; 2: so it does,
 * because the context is full. */
typedef enum hone__go_on { HONE__GO_ON, HONE__END_SEQUENCE, HONE__END_ALL } hone__go_on;
typedef hone__go_on (*hone__token_fn)(void *ctx, size_t index, int32_t token, int last);

typedef struct hone__generate_options {
    hone__sampling sampling; /* its `ends` are where sequences end; its `most` is set here */
    size_t tokens;           /* new ones, at most */
    bool force;              /* all of them, whatever they are */
    int32_t pad;             /* any token */
    size_t lookup;    /* greedy, one sequence: tokens guessed at a time from what stands before, at most 15; 0: none */
    size_t beams;     /* over 1: search instead of a choice at a time; so many sequences must fit the decoder */
    size_t sequences; /* of beams, how many are given out, the best first, when the search has ended */
    float length_penalty;
    hone__early early;
    hone__token_fn on_token; /* of prompt i's sequence k: index i * sequences + k */
    void *ctx;
} hone__generate_options;
#define HONE__GENERATE_OPTIONS_INIT \
    ((hone__generate_options){.sampling = HONE__SAMPLING_INIT, .sequences = 1, .length_penalty = 1})

/* prompts[i]: lengths[i] tokens, at least one. HONE_E_LIMIT where a prompt does not fit the decoder; a sequence that
 * reaches its capacity ends there. HONE_E_CANCELLED when on_token ended all. */
hone_status hone__generate(hone__decoder *decoder, const int32_t *const *prompts, const size_t *lengths, size_t count,
                           const hone__generate_options *options);

#endif
