/* fingerprint.h: hashes of texts that other programs store the results of, so that every bit counts. */
#ifndef HONE_OPS_FINGERPRINT_H
#define HONE_OPS_FINGERPRINT_H

#include <stddef.h>
#include <stdint.h>

/* FarmHash's Fingerprint64, as TensorFlow's string_to_hash_bucket_fast and sparse_cross use it. */
uint64_t hone__fingerprint64(const void *data, size_t size);
/* Two fingerprints to one (TensorFlow's FingerprintCat64). */
uint64_t hone__fingerprint_joined(uint64_t a, uint64_t b);
/* SipHash-2-4 (Aumasson and Bernstein, 2012), as string_to_hash_bucket_strong uses it. */
uint64_t hone__siphash(const uint64_t key[2], const void *data, size_t size);

#endif
