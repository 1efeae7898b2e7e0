/* speech.h: Whisper models: a window of sound in, tokens out, chosen as openai-whisper's decoding.py does it. */
#ifndef HONE_TASKS_SPEECH_H
#define HONE_TASKS_SPEECH_H

#include "decode/speech_rules.h"
#include "tasks/decoder.h"
#include "tasks/encoder.h"
#include "text/tokenizer.h"

enum { HONE__SPEECH_LANGUAGES = 128 };

/* Ids of the tokens that steer a transcript; -1 where the vocabulary lacks one. */
typedef struct hone__speech_tokens {
    int32_t end, start, transcribe, translate, start_of_lm, start_of_prev, no_speech, no_timestamps, first_timestamp;
    bool multilingual;
    size_t language_count;
    struct {
        char code[8];
        int32_t id;
    } languages[HONE__SPEECH_LANGUAGES];
    int32_t *suppressed; /* those above that never come, and what is no speech: symbols, notes, brackets */
    size_t suppressed_count;
    int32_t blank[4]; /* of a lone space */
    size_t blank_count;
} hone__speech_tokens;

/* HONE_E_FORMAT where the tokenizer is not Whisper's. */
hone_status hone__speech_tokens_read(const hone__tokenizer *tokenizer, hone__speech_tokens *out);
void hone__speech_tokens_free(hone__speech_tokens *tokens);

typedef struct hone__speech hone__speech;

typedef struct hone__speech_options {
    hone__session_options session;
    size_t group;     /* most sequences of a window side by side: beams or draws */
    hone_dtype cache; /* of keys and values */
} hone__speech_options;

/* encoder, first, next: the parts of passes/parts.h (`first` may be HONE__PART_CROSS); the tokenizer and notes are in
 * the encoder's metadata. All may be destroyed afterwards. */
hone_status hone__speech_create(const hone__model *encoder, const hone__model *first, const hone__model *next,
                                const hone__speech_options *options, hone__speech **out);
void hone__speech_destroy(hone__speech *speech); /* NULL is fine */
const hone__speech_tokens *hone__speech_tokens_of(const hone__speech *speech);
const hone__tokenizer *hone__speech_tokenizer(const hone__speech *speech);
size_t hone__speech_mels(const hone__speech *speech);
size_t hone__speech_frames(const hone__speech *speech);  /* of a whole window: 3000 */
size_t hone__speech_context(const hone__speech *speech); /* tokens: 448 */

/* features: [mels, frames] log-mel, frames even and at most hone__speech_frames. What follows is about this window. */
hone_status hone__speech_encode(hone__speech *speech, const float *features, size_t frames);

/* probabilities: [language_count]. *best: the likeliest; 0 where the model knows one language. */
hone_status hone__speech_language(hone__speech *speech, float *probabilities, size_t *best);

typedef struct hone__speech_request {
    size_t language; /* index */
    bool translate, timestamps;
    float temperature;
    size_t best_of;        /* draws, with a temperature; at least 1 */
    size_t beams;          /* without one; 1: the best token always */
    float patience;        /* of beams */
    float length_penalty;  /* below 0: rank by the mean */
    const int32_t *prompt; /* what was said before; the last context / 2 - 1 count */
    size_t prompt_count;
    const int32_t *suppressed; /* instead of the tokens' own list; NULL: that */
    size_t suppressed_count;
    bool suppress_blank;
    int32_t most_initial; /* first timestamp at most, in steps of 20 ms; -1: any */
    size_t most;          /* new tokens; 0: context / 2 */
    bool force;           /* so many, whatever they are */
    uint32_t seed;
} hone__speech_request;
#define HONE__SPEECH_REQUEST_INIT                   \
    ((hone__speech_request){.timestamps = true,     \
                            .best_of = 1,           \
                            .beams = 1,             \
                            .patience = 1,          \
                            .length_penalty = -1,   \
                            .suppress_blank = true, \
                            .most_initial = 50})

typedef struct hone__speech_reply {
    const int32_t *ids; /* until the next call; without the end */
    size_t count;
    double mean;      /* mean of logarithms of probabilities, of the end, too */
    double no_speech; /* probability; 0 where the model has no token for it */
} hone__speech_reply;

hone_status hone__speech_decode(hone__speech *speech, const hone__speech_request *request, hone__speech_reply *out);

#endif
