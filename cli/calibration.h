/* calibration.h: sample data for static int8, from files. */
#ifndef HONE_CLI_CALIBRATION_H
#define HONE_CLI_CALIBRATION_H

#include "cli.h"

typedef struct calibration_files calibration_files;

/* path: a folder (two levels deep) or one file. .npy, .npz and .pb files hold inputs; anything else is sound, for which
 * the model must carry its front end. At most `limit` files, evenly spread. */
hone_status calibration_open(const char *path, const hone_model *model, size_t limit, calibration_files **out);
void calibration_close(calibration_files *files); /* NULL is fine */
size_t calibration_count(const calibration_files *files);
bool calibration_used(const calibration_files *files); /* anybody has asked for a sample */

/* hone_calibration.sample */
hone_status calibration_sample(void *ctx, size_t index, hone_tensor *in, int *end);

#endif
