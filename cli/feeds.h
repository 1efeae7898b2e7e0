/* feeds.h: a model's inputs from the command line: -i NAME=FILE, -i FILE.npz, or seeded random numbers. */
#ifndef HONE_CLI_FEEDS_H
#define HONE_CLI_FEEDS_H

#include "cli.h"

typedef struct feeds feeds;

/* Every input from `specs`; where there is none and `random`, seeded numbers (symbolic sizes 1). Returns -1, or the
 * exit code after saying what is wrong. */
int feeds_open(const hone_model *model, const text_list *specs, bool random, feeds **out);
const hone_tensor *feeds_inputs(const feeds *f); /* of a model whose inputs are all tensors */
/* The same as values: an input that is a sequence takes the tensors of a .npz or a SequenceProto, an optional one may
 * be left out. */
const hone_value *feeds_values(const feeds *f);
void feeds_close(feeds *f); /* NULL is fine */

#endif
