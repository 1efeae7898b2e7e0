/* hf_config.h: config.json and its kin. A wrong kind of value sticks as an error that names the file and the key. */
#ifndef HONE_IMPORT_HF_CONFIG_H
#define HONE_IMPORT_HF_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct hone__hf_config {
    const char *path; /* for messages; borrowed */
    json_t *root;     /* the object that is read; borrowed */
    hone_status status;
} hone__hf_config;

/* A JSON object from a file of at most 64 MB. json_decref frees. */
hone_status hone__hf_json(const char *path, json_t **out);

/* A member; `otherwise` where it is absent or null. After a failure, and for a value of another kind, `otherwise`. */
int64_t hone__hf_int(hone__hf_config *c, const char *key, int64_t otherwise, int64_t low, int64_t high);
int64_t hone__hf_size(hone__hf_config *c, const char *key); /* must be there: 1 to 2^24 */
double hone__hf_float(hone__hf_config *c, const char *key, double otherwise);
bool hone__hf_bool(hone__hf_config *c, const char *key, bool otherwise);
const char *hone__hf_text(hone__hf_config *c, const char *key, const char *otherwise);
bool hone__hf_has(const hone__hf_config *c, const char *key); /* there, be it null */

/* Sticks `status`, whose message stands already, with the file's name in front; returns it. */
hone_status hone__hf_fail(hone__hf_config *c, hone_status status);

#endif
