/* languages.h: the languages of Whisper: codes and English names. */
#ifndef HONE_TRANSCRIPT_LANGUAGES_H
#define HONE_TRANSCRIPT_LANGUAGES_H

/* The code of a language by its code, its English name or another name of it, in any case; NULL: there is none. */
const char *hone__language_code(const char *name);
/* The English name, lower case, of a code; the code itself where it has none. */
const char *hone__language_name(const char *code);
/* The name that is nearest to a word; never NULL. */
const char *hone__language_nearest(const char *word);

#endif
