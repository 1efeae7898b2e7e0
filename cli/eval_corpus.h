/* eval_corpus.h: clips with what is said in them. */
#ifndef HONE_CLI_EVAL_CORPUS_H
#define HONE_CLI_EVAL_CORPUS_H

#include "cli.h"

typedef struct corpus_row {
    char *path, *text;
} corpus_row;

typedef struct corpus {
    corpus_row *rows;
    size_t count, room;
} corpus;

/* path: a folder of clips, each with a .txt of its name beside it; or a manifest, .tsv or .csv (RFC 4180), whose
 * columns are a path, relative to its folder, and a text: the first two, or those that a first line names (path, file,
 * audio, file_name, audio_filepath; text, sentence, transcript, transcription). Errors name the file and the line. */
hone_status corpus_read(const char *path, corpus *out);
void corpus_free(corpus *c);

#endif
