/* eval_text.h: the perplexity of a language model on a text. */
#ifndef HONE_CLI_EVAL_TEXT_H
#define HONE_CLI_EVAL_TEXT_H

#include "cli.h"

typedef struct text_settings {
    int64_t context, stride; /* 0: the model's context; the context */
    int cache;               /* index into cache_types */
} text_settings;

/* Prints the perplexity of the model at `model`, a file or folder with its tokenizer, on the text in `text`, a file or
 * "-"; returns the exit code. */
int eval_text(const char *model, const char *text, const text_settings *settings);

#endif
