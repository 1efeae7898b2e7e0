/* op_ms_beam.h: the parts of BeamSearch, which runs a decoder alone or behind an encoder. */
#ifndef HONE_OPS_OP_MS_BEAM_H
#define HONE_OPS_OP_MS_BEAM_H

#include "search.h"

/* Grows the beams over a decoder like GPT-2's until they are done. */
hone_status hone__beam_decoder_only(hone__search *s, hone__beams *b, void **memory);

/* ids: the prompt, [batch, s->length]. memory: of the beams, the caller's to free. */
hone_status hone__beam_start(hone__search *s, hone__beams *b, const int32_t *ids, void **memory);
/* One more token for every beam. */
hone_status hone__beam_step(hone__search *s, hone__beams *b, const hone__tensor *logits);

#endif
