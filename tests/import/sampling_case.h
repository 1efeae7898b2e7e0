/* sampling_case.h: settings of stored cases, in the names of transformers, as those of sampling. */
#ifndef HONE_TESTS_SAMPLING_CASE_H
#define HONE_TESTS_SAMPLING_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include "decode/sampler.h"

enum { LIST = 64, WORDS = 8, WORD = 8 };

/* What the settings point into. */
typedef struct case_lists {
    int32_t banned[LIST], begin_banned[LIST], ends[LIST], words[WORDS][WORD];
    hone__tokens bad_words[WORDS];
} case_lists;

static size_t list_of(const json_t *list, int32_t *to, size_t room)
{
    size_t n = json_array_size(list);
    assert_true(n <= room);
    for (size_t i = 0; i < n; i++) to[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return n;
}

static float number(const json_t *o, const char *key, double otherwise)
{
    const json_t *v = json_object_get(o, key);
    return (float)(v ? json_number_value(v) : otherwise);
}

static hone__tokens tokens_of(const json_t *list, int32_t *to, size_t room)
{
    return (hone__tokens){to, list_of(list, to, room)};
}

/* The rules among them. */
static hone__sampling rules_of(const json_t *o, case_lists *lists)
{
    hone__sampling s = HONE__SAMPLING_INIT;
    const json_t *words = json_object_get(o, "bad_words_ids");
    s.repetition = number(o, "repetition_penalty", 1);
    s.no_repeat = (size_t)number(o, "no_repeat_ngram_size", 0);
    s.least = (size_t)number(o, "min_new_tokens", 0);
    s.first = (int32_t)number(o, "forced_bos_token_id", -1);
    s.last = (int32_t)number(o, "forced_eos_token_id", -1);
    s.banned = tokens_of(json_object_get(o, "suppress_tokens"), lists->banned, LIST);
    s.begin_banned = tokens_of(json_object_get(o, "begin_suppress_tokens"), lists->begin_banned, LIST);
    s.end_count = list_of(json_object_get(o, "eos_token_id"), lists->ends, LIST), s.ends = lists->ends;
    s.bad_word_count = json_array_size(words), s.bad_words = lists->bad_words;
    assert_true(s.bad_word_count <= WORDS);
    for (size_t i = 0; i < s.bad_word_count; i++)
        lists->bad_words[i] = tokens_of(json_array_get(words, i), lists->words[i], WORD);
    return s;
}

#endif
