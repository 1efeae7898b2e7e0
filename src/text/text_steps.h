/* text_steps.h: steps that change text; only this room includes it. */
#ifndef HONE_TEXT_STEPS_H
#define HONE_TEXT_STEPS_H

#include "tokenizer_parts.h"

/* The first place in [text, end) where `what`, which is not empty, stands; NULL: none. */
const char *hone__step_find(const hone__step_text *what, const char *text, const char *end);

/* Appends the text with `to` for every `from`, which is not empty. */
hone_status hone__step_replace(const hone__step_text *from, const char *to, size_t to_size, const char *text,
                               size_t size, hone__text *out);

/* True where the steps make no byte longer than HONE__STEP_GROWTH. */
bool hone__steps_are_bounded(const hone__step_list *list);

/* Normalises *text, which then lies in `work` unless nothing had to be done. work: zero-initialised, reused. */
hone_status hone__normalize(const hone__tokenizer *t, hone__text work[2], const char **text, size_t *size);

#endif
