/* calibration.c: lists the files, turns each into the model's inputs. */
#define _DEFAULT_SOURCE
#include "calibration.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "audio/frontend.h"
#include "tasks/classify.h"
#include "tools/media/media.h"
#include "tools/tensorfile/tensorfile.h"

struct calibration_files {
    char **paths;
    size_t count, capacity;
    const hone_model *model;
    hone__frontend *frontend;
    float *features;
    hone__named_tensor *tensors;
    size_t tensor_count;
    bool used;
};

static hone_status add_path(calibration_files *f, const char *path)
{
    HONE__TRY(hone__grow(&f->paths, &f->capacity, f->count, sizeof *f->paths));
    f->paths[f->count] = hone__strndup(path, strlen(path));
    if (!f->paths[f->count]) return HONE_E_MEMORY;
    f->count++;
    return HONE_OK;
}

static int not_hidden(const struct dirent *d) { return d->d_name[0] != '.'; }

static hone_status list(calibration_files *f, const char *path, int depth)
{
    struct stat st;
    struct dirent **names;
    char child[8192];
    if (stat(path, &st)) return hone__fail(HONE_E_IO, "%s: %s", path, strerror(errno));
    if (!S_ISDIR(st.st_mode)) return add_path(f, path);
    if (depth > 2) return HONE_OK;
    int n = scandir(path, &names, not_hidden, alphasort);
    hone_status s = n < 0 ? hone__fail(HONE_E_IO, "%s: %s", path, strerror(errno)) : HONE_OK;
    for (int i = 0; i < n; i++) {
        if (s == HONE_OK && snprintf(child, sizeof child, "%s/%s", path, names[i]->d_name) < (int)sizeof child)
            s = list(f, child, depth + 1);
        free(names[i]);
    }
    if (n >= 0) free(names);
    return s;
}

static void thin_out(calibration_files *f, size_t limit)
{
    if (f->count <= limit) return;
    for (size_t i = 0; i < f->count; i++) {
        size_t to = (i * limit + f->count - 1) / f->count; /* the first that maps to `to` stays */
        if (to < limit && to * f->count / limit == i) {
            char *keep = f->paths[i];
            f->paths[i] = f->paths[to];
            f->paths[to] = keep;
        }
    }
    for (size_t i = limit; i < f->count; i++) hone__free(f->paths[i]);
    f->count = limit;
}

static hone_status open_frontend(calibration_files *f)
{
    const char *text = hone_model_metadata(f->model, HONE__KEY_FEATURES);
    hone__frontend_config c;
    if (!text) return HONE_OK;
    HONE__TRY(hone__frontend_parse(text, strlen(text), &c));
    HONE__TRY(hone__frontend_create(&c, &f->frontend));
    f->features = hone__malloc(hone__frontend_values(f->frontend) * sizeof(float));
    return f->features ? HONE_OK : HONE_E_MEMORY;
}

hone_status calibration_open(const char *path, const hone_model *model, size_t limit, calibration_files **out)
{
    *out = NULL;
    calibration_files *f = hone__calloc(1, sizeof *f);
    if (!f) return HONE_E_MEMORY;
    f->model = model;
    hone_status s = list(f, path, 0);
    if (s == HONE_OK) s = open_frontend(f);
    if (s == HONE_OK && !f->count) s = hone__fail(HONE_E_ARGUMENT, "%s: holds no files to calibrate with", path);
    if (s != HONE_OK) {
        calibration_close(f);
        return s;
    }
    thin_out(f, limit);
    *out = f;
    return HONE_OK;
}

void calibration_close(calibration_files *f)
{
    if (!f) return;
    for (size_t i = 0; i < f->count; i++) hone__free(f->paths[i]);
    hone__free(f->paths);
    hone__frontend_destroy(f->frontend);
    hone__free(f->features);
    hone__tensor_list_free(f->tensors, f->tensor_count);
    hone__free(f);
}

size_t calibration_count(const calibration_files *f) { return f->count; }

static bool is_tensor_file(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && (!strcmp(dot, ".npy") || !strcmp(dot, ".npz") || !strcmp(dot, ".pb"));
}

static void show(const hone__tensor *t, hone_tensor *out)
{
    *out = (hone_tensor){.dtype = t->dtype, .rank = t->rank, .data = (void *)(uintptr_t)t->data, .bytes = t->bytes};
    memcpy(out->dims, t->dims, sizeof out->dims);
}

static hone_status from_tensors(calibration_files *f, const char *path, hone_tensor *in)
{
    hone__tensor_list_free(f->tensors, f->tensor_count);
    f->tensors = NULL;
    f->tensor_count = 0;
    HONE__TRY(hone__tensorfile_read(path, 0, &f->tensors, &f->tensor_count));
    size_t inputs = hone_model_input_count(f->model);
    for (size_t i = 0; i < inputs; i++) {
        hone_value_info v;
        hone_model_input(f->model, i, &v);
        size_t k = 0;
        while (k < f->tensor_count && strcmp(f->tensors[k].name, v.name)) k++;
        if (k == f->tensor_count && inputs == 1 && f->tensor_count == 1) k = 0;
        if (k == f->tensor_count) return hone__fail(HONE_E_ARGUMENT, "%s: holds nothing for input '%s'", path, v.name);
        show(&f->tensors[k].tensor, &in[i]);
    }
    return HONE_OK;
}

static hone_status from_sound(calibration_files *f, const char *path, hone_tensor *in)
{
    if (!f->frontend)
        return hone__fail(HONE_E_ARGUMENT, "%s: is no tensor file, and the model has no --features", path);
    const hone__frontend_config *c = hone__frontend_config_of(f->frontend);
    float *pcm;
    size_t n;
    HONE__TRY(hone__media_read_all(path, c->sample_rate, NULL, &pcm, &n));
    hone_status s =
        hone__frontend_run(f->frontend, pcm, n < (size_t)c->clip_samples ? n : (size_t)c->clip_samples, f->features);
    hone__media_free(pcm);
    if (s != HONE_OK) return hone__at(s, "%s", path);
    int64_t dims[3];
    int rank;
    hone__frontend_shape(c, dims, &rank);
    in[0] = (hone_tensor){.dtype = HONE_F32,
                          .rank = rank + 1,
                          .dims = {1},
                          .data = f->features,
                          .bytes = hone__frontend_values(f->frontend) * sizeof(float)};
    memcpy(in[0].dims + 1, dims, (size_t)rank * sizeof *dims);
    return HONE_OK;
}

bool calibration_used(const calibration_files *f) { return f->used; }

hone_status calibration_sample(void *ctx, size_t index, hone_tensor *in, int *end)
{
    calibration_files *f = ctx;
    f->used = true;
    *end = index >= f->count;
    if (*end) return HONE_OK;
    progress("calibrating", index + 1, f->count);
    const char *path = f->paths[index];
    return is_tensor_file(path) ? from_tensors(f, path, in) : from_sound(f, path, in);
}
