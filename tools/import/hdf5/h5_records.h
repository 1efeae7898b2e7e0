/* h5_records.h: the catalogue between the confined child and its parent. Each record opens with a 64-bit kind; all
 * numbers are 64 bits in native order, texts are a length and bytes. */
#ifndef HONE_IMPORT_H5_RECORDS_H
#define HONE_IMPORT_H5_RECORDS_H

#include "h5.h"

enum {
    H5_RECORD_END = 0x484f4e4531ULL, /* the walk is complete */
    H5_RECORD_ERROR = 2,             /* text */
    H5_RECORD_DATASET = 3,           /* path, dtype, rank, dims, in_file, offset, bytes, stored */
    H5_RECORD_ATTRIBUTE = 4          /* owner, name, dtype, count, then texts or doubles */
};

/* Reads a catalogue (NULL data: nothing was written) and refers to both maps. image_size: of the file that it is about.
 */
hone_status hone__h5_take(hone__map *catalogue, hone__map *spill, const char *name, size_t image_size, hone__h5 **out);

#endif
