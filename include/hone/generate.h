/* generate.h: text from language models. */
#ifndef HONE_GENERATE_H
#define HONE_GENERATE_H

#include <stdint.h>

#include "hone/session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Text to token ids and back, as the model's own tokenizer does it (metadata `hone.tokenizer`). Threads may share it.
 */
typedef struct hone_tokenizer hone_tokenizer;
hone_status hone_tokenizer_create(const hone_model *model, hone_tokenizer **out); /* the model may go afterwards */
void hone_tokenizer_destroy(hone_tokenizer *tokenizer);                           /* NULL is fine */
/* *ids: [*count], freed by hone_tokenizer_free. special: with what the model expects around a text. */
hone_status hone_tokenizer_encode(const hone_tokenizer *tokenizer, const char *text, size_t size, int special,
                                  uint32_t **ids, size_t *count);
/* *text: *size bytes and a 0 behind them, freed by hone_tokenizer_free. skip_special: without special tokens. */
hone_status hone_tokenizer_decode(const hone_tokenizer *tokenizer, const uint32_t *ids, size_t count, int skip_special,
                                  char **text, size_t *size);
void hone_tokenizer_free(void *ids_or_text);

typedef struct hone_generator_options {
    int threads;       /* as in hone_session_options */
    size_t max_memory; /* bytes for keys and values, and again for activations; 0: no limit */
    size_t batch;      /* most texts side by side, or beams; 0: 1 */
    size_t context;    /* most tokens, prompt and text; 0: what the model can */
    hone_dtype cache;  /* keys and values: HONE_F32, HONE_F16 or HONE_I8 (a scale per token and head); 0: HONE_F16 */
} hone_generator_options;
#define HONE_GENERATOR_OPTIONS_INIT {0, 0, 0, 0, HONE_UNDEFINED}

typedef struct hone_tokens {
    const uint32_t *ids;
    size_t count;
} hone_tokens;

/* The rules for tokens are those of transformers, which are named here, and come in its order. */
typedef struct hone_generate_options {
    size_t tokens;     /* new ones, at most */
    int force;         /* so many, whatever they are */
    float temperature; /* 0: the most likely token, always */
    int top_k;         /* 0: all */
    float top_p, min_p, typical_p;
    float repetition_penalty, presence_penalty, frequency_penalty;
    size_t no_repeat_ngram; /* runs of so many tokens come once; 0: as often as they like */
    size_t lookup;          /* most likely token, one prompt: tokens guessed at a time from what stands before, <= 15 */
    size_t beams;           /* over 1: beam search, no temperature; the generator's batch must hold so many */
    float length_penalty;   /* of beams: scores are divided by length^length_penalty */
    int early_stopping; /* of beams, as in transformers: 0: when none is likely to improve, 1: when enough are found,
                           2: when none can */
    size_t sequences;   /* texts per prompt: draws, or the best beams; 0: 1 */
    uint32_t seed;
    const char *const *stops; /* strings that end a text, and are not part of it */
    size_t stop_count;
    size_t min_tokens; /* new ones before the text may end (min_new_tokens) */
    /* bad_words_ids: texts that do not come, as the tokens of each by itself and behind a space, but of one that begins
     * with a space as it stands (other tokens may still spell it); and likewise tokens. What ends a text may come. */
    const char *const *bad_words;
    size_t bad_word_count;
    const hone_tokens *bad_ids;
    size_t bad_id_count;
    hone_tokens suppress;       /* tokens that never come (suppress_tokens) */
    hone_tokens begin_suppress; /* that do not come first, or right behind forced_first (begin_suppress_tokens) */
    int forced_first;           /* the first token, of any prompt (forced_bos_token_id); -1: any */
    int forced_last; /* the last one where `tokens` or the context end the text (forced_eos_token_id); -1: any */
} hone_generate_options;
#define HONE_GENERATE_OPTIONS_INIT \
    {128, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, NULL, 0, 0, NULL, 0, NULL, 0, {NULL, 0}, {NULL, 0}, -1, -1}

typedef struct hone_generator hone_generator;
/* HONE_E_UNSUPPORTED for models that are no decoders with a cache. The model may be destroyed afterwards. */
hone_status hone_generator_create(const hone_model *model, const hone_generator_options *options, hone_generator **out);
void hone_generator_destroy(hone_generator *generator); /* NULL is fine */
size_t hone_generator_context(const hone_generator *generator);

/* A piece of text `index` (prompt i's sequence k: i * sequences + k), whole UTF-8 characters (perhaps none), with the
 * token that it ends with. last: 0: more follows; 1: the text ends here; 2: so it does, because the context is full.
 * Not 0 ends all. */
typedef int (*hone_piece_fn)(void *ctx, size_t index, const char *text, size_t size, int token, int last);

/* prompts[i]: UTF-8 text. HONE_E_LIMIT where one does not fit the context; a text that reaches it ends there.
 * HONE_E_ARGUMENT names an option that is out of its range, has a token outside of the vocabulary or an empty text.
 * HONE_E_CANCELLED where fn or hone_generator_cancel ended it. A text does not depend on those beside it, nor on
 * `lookup`; but for models whose positions turn slower the longer the longest text is (rope_type dynamic), as those of
 * transformers do. */
hone_status hone_generator_run(hone_generator *generator, const char *const *prompts, size_t count,
                               const hone_generate_options *options, hone_piece_fn fn, void *ctx);
/* The same from token ids: prompts[i] has lengths[i] of them; the model needs no tokenizer then, and pieces are empty
 * without one. */
hone_status hone_generator_run_ids(hone_generator *generator, const uint32_t *const *prompts, const size_t *lengths,
                                   size_t count, const hone_generate_options *options, hone_piece_fn fn, void *ctx);
/* Makes the current or next run end with HONE_E_CANCELLED; from any thread or signal handler. */
void hone_generator_cancel(hone_generator *generator);

#ifdef __cplusplus
}
#endif
#endif
