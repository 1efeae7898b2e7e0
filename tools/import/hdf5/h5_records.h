/* h5_records.h: the catalogue between the confined child and its parent. Each record opens with a 64-bit kind; all
 * numbers are 64 bits in native order, texts are a length and bytes. */
#ifndef HONE_IMPORT_H5_RECORDS_H
#define HONE_IMPORT_H5_RECORDS_H

enum {
    H5_RECORD_END = 0x484f4e4531ULL, /* the walk is complete */
    H5_RECORD_ERROR = 2,             /* text */
    H5_RECORD_DATASET = 3,           /* path, dtype, rank, dims, in_file, offset, bytes, stored */
    H5_RECORD_ATTRIBUTE = 4          /* owner, name, dtype, count, then texts or doubles */
};

#endif
