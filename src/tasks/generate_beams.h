/* generate_beams.h: the loop over tokens of a beam search, prompt after prompt; what hone__generate does with `beams`.
 */
#ifndef HONE_TASKS_GENERATE_BEAMS_H
#define HONE_TASKS_GENERATE_BEAMS_H

#include "tasks/generate.h"

hone_status hone__generate_beams(hone__decoder *decoder, const int32_t *const *prompts, const size_t *lengths,
                                 size_t count, const hone__generate_options *options);

#endif
