/* write_transcript.h: what the writers of formats share. */
#ifndef HONE_TRANSCRIPT_WRITE_TRANSCRIPT_H
#define HONE_TRANSCRIPT_WRITE_TRANSCRIPT_H

#include "transcript.h"

typedef void hone__transcript_writer(const hone__transcription *t, FILE *to);
hone__transcript_writer hone__write_txt, hone__write_vtt, hone__write_srt, hone__write_tsv;
hone__transcript_writer hone__write_txt_cpp, hone__write_vtt_cpp, hone__write_srt_cpp, hone__write_lrc, hone__write_csv;
hone__transcript_writer hone__write_json, hone__write_verbose_json, hone__write_json_cpp, hone__write_json_full;

/* Text without the spaces at both ends: where it begins and how long it is. */
const char *hone__stripped(const char *text, size_t *size);
/* [hh:]mm:ss<marker>mmm, rounded to the nearest millisecond, halves to even. */
void hone__write_time(FILE *to, double seconds, bool hours, char marker);
/* Milliseconds of a whole number of 10 ms, as whisper.cpp counts. */
long long hone__ms_cpp(double seconds);

#endif
