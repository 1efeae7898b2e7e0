/* normalise.h: text as openai-whisper makes it alike before word error rates are counted (whisper/normalizers). */
#ifndef HONE_MEASURE_NORMALISE_H
#define HONE_MEASURE_NORMALISE_H

#include "text/unicode.h"

/* Both append UTF-8 to `out`. Bytes that are no UTF-8 count as U+FFFD. HONE_E_MEMORY is the only error. */

/* BasicTextNormalizer: lower case, nothing in brackets, compatibility forms (NFKC); marks, symbols and punctuation are
 * spaces. */
hone_status hone__normalise_basic(const char *text, size_t size, hone__text *out);

/* EnglishTextNormalizer: likewise without diacritics (NFKD), contractions and titles in full, numbers in digits
 * ("two point five million dollars" is "$2500000"), American spelling. */
hone_status hone__normalise_english(const char *text, size_t size, hone__text *out);

/* Its parts: EnglishNumberNormalizer and EnglishSpellingNormalizer. */
hone_status hone__normalise_numbers(const char *text, size_t size, hone__text *out);
hone_status hone__normalise_spelling(const char *text, size_t size, hone__text *out);

#endif
