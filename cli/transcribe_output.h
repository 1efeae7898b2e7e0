/* transcribe_output.h: where the files of a transcript go. */
#ifndef HONE_CLI_TRANSCRIBE_OUTPUT_H
#define HONE_CLI_TRANSCRIBE_OUTPUT_H

#include "transcribe_settings.h"

/* Whether any file is asked for, and whether that is standard output. */
bool output_wanted(const transcribe_settings *s);
bool output_is_stream(const transcribe_settings *s);

/* No two files may have one name, and the folder is made where it is not there. Before the work. */
hone_status output_prepare(const transcribe_settings *s);
/* All formats of clip `index`. */
hone_status output_write(const transcribe_settings *s, size_t index, const hone__transcription *t);
/* Removes the folder where output_prepare made it and nothing is in it. */
void output_finish(const transcribe_settings *s);

#endif
