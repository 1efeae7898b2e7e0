/* folder.c: every file of a folder is written in a folder inside it, and all are renamed into place at the end. */
#define _GNU_SOURCE /* mkdtemp */
#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "onnx/onnx.h"
#include "tools/import/import.h"

static const char genai[] = "genai_config.json"; /* names the model's file: rewritten */

/* In the order in which they come into place: what tools look for beside a language model, the weights, and what a
 * reader looks for: the model, unless the last one names another. */
static const char *const names[] = {
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "preprocessor_config.json",
    "normalizer.json",
    "model.onnx_data",
    "encoder_model.onnx",
    "decoder_model.onnx",
    "decoder_with_past_model.onnx",
    "Whisper_encoder.onnx",
    "Whisper_cache_initializer.onnx",
    "Whisper_decoder.onnx",
    "model.onnx",
    genai,
};
enum { NAMES = sizeof names / sizeof *names, COMPANION_MAX = 256 << 20 };

/* The one folder that is being written. A signal handler reads this. */
static struct {
    char out[PATH_MAX], stage[PATH_MAX]; /* stage: inside out, "": none */
    int fd;                              /* of the stage */
    bool made;                           /* out was not there before */
} writing = {.fd = -1};

static bool is_folder(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

bool folder_wanted(const char *out)
{
    size_t n = strlen(out);
    return is_folder(out) || n < 5 || strcmp(out + n - 5, ".onnx");
}

static hone_status join(const char *folder, const char *name, char *out)
{
    size_t n = strlen(folder);
    const char *slash = n && folder[n - 1] == '/' ? "" : "/";
    if ((size_t)snprintf(out, PATH_MAX, "%s%s%s", folder, slash, name) < PATH_MAX) return HONE_OK;
    return hone__fail(HONE_E_LIMIT, "%.100s: the name is too long", folder);
}

hone_status folder_open(const char *out)
{
    struct stat st;
    if ((size_t)snprintf(writing.out, sizeof writing.out, "%s", out) >= sizeof writing.out)
        return hone__fail(HONE_E_LIMIT, "%.100s: the name is too long", out);
    if (!is_folder(out)) {
        if (!stat(out, &st))
            return hone__fail(HONE_E_IO, "%s: is no folder; a model from a folder goes into one, or into a FILE.onnx",
                              out);
        if (mkdir(out, 0777)) return hone__fail(HONE_E_IO, "%s: cannot make the folder: %s", out, strerror(errno));
        writing.made = true;
    }
    HONE__TRY(join(out, ".tmp-XXXXXX", writing.stage));
    if (!mkdtemp(writing.stage)) return hone__fail(HONE_E_IO, "%s: cannot write there: %s", out, strerror(errno));
    writing.fd = open(writing.stage, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return writing.fd >= 0 ? HONE_OK : hone__fail(HONE_E_IO, "%s: %s", writing.stage, strerror(errno));
}

void folder_remove_pending(void)
{
    for (size_t i = 0; i < NAMES && writing.fd >= 0; i++) unlinkat(writing.fd, names[i], 0);
    if (*writing.stage) rmdir(writing.stage);
    if (writing.made) rmdir(writing.out); /* where nothing is in it */
}

void folder_close(void)
{
    folder_remove_pending();
    if (writing.fd >= 0) close(writing.fd);
    writing.fd = -1;
    writing.made = false;
    *writing.stage = 0;
}

/* What `from` holds, under a name of the stage; nothing where `from` is not there. */
static hone_status copy(const char *from, const char *name)
{
    char to[PATH_MAX];
    uint8_t *data = NULL;
    char *text = NULL;
    size_t size = 0;
    hone__output o;
    if (access(from, F_OK)) return HONE_OK;
    HONE__TRY(join(writing.stage, name, to));
    if (name == genai)
        HONE__TRY(hone__import_genai_config(from, &text));
    else
        HONE__TRY(hone__file_read(from, COMPANION_MAX, &data, &size));
    hone_status s = hone__output_open(to, &o);
    if (s == HONE_OK) {
        s = text ? hone__output_write(&o, text, strlen(text)) : hone__output_write(&o, data, size);
        if (s == HONE_OK) s = hone__output_commit(&o);
        hone__output_abandon(&o);
    }
    hone__free(data);
    hone__free(text);
    return s;
}

static hone_status copy_companions(const char *source)
{
    char from[PATH_MAX], to[PATH_MAX];
    struct stat a, b;
    for (size_t i = 0; i < NAMES; i++) {
        if (strstr(names[i], ".onnx")) continue;
        HONE__TRY(join(source, names[i], from));
        HONE__TRY(join(writing.out, names[i], to));
        bool same = !stat(from, &a) && !stat(to, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
        if (!same || names[i] == genai) HONE__TRY(copy(from, names[i]));
    }
    return HONE_OK;
}

/* Whether everything can come into place: no folder lies there. */
static hone_status check_places(void)
{
    char to[PATH_MAX];
    for (size_t i = 0; i < NAMES; i++) {
        HONE__TRY(join(writing.out, names[i], to));
        if (is_folder(to)) return hone__fail(HONE_E_IO, "%s: is a directory", to);
    }
    return HONE_OK;
}

static hone_status place_all(void)
{
    char from[PATH_MAX], to[PATH_MAX];
    for (size_t i = 0; i < NAMES; i++) {
        HONE__TRY(join(writing.stage, names[i], from));
        HONE__TRY(join(writing.out, names[i], to));
        if (rename(from, to) && errno != ENOENT)
            return hone__fail(HONE_E_IO, "%s: cannot rename into place: %s", to, strerror(errno));
    }
    return HONE_OK;
}

/* The files of a layout, all weights in one beside them. */
static hone_status write_parts(const hone__layout_file *parts, size_t count, const char *data)
{
    char paths[HONE__LAYOUT_FILES][PATH_MAX];
    hone__onnx_file files[HONE__LAYOUT_FILES];
    for (size_t i = 0; i < count; i++) {
        HONE__TRY(join(writing.stage, parts[i].name, paths[i]));
        files[i] = (hone__onnx_file){parts[i].model, paths[i]};
    }
    return hone__onnx_write_files(files, count, data);
}

static hone_status write_model(hone__model *model, hone__layout_kind layout)
{
    char path[PATH_MAX], data[PATH_MAX];
    hone__layout_file parts[HONE__LAYOUT_FILES];
    size_t count;
    HONE__TRY(join(writing.stage, "model.onnx", path));
    HONE__TRY(join(writing.stage, "model.onnx_data", data));
    if (!hone__part_is_whole(model)) return hone__onnx_write(model, path, data);
    hone_status s = hone__layout_make(model, layout, "Whisper", parts, &count);
    if (s == HONE_OK) s = write_parts(parts, count, data);
    while (count) hone__model_destroy(parts[--count].model);
    return s;
}

hone_status folder_save(hone__model *model, hone__layout_kind layout, const char *source)
{
    HONE__TRY(check_places());
    HONE__TRY(copy_companions(source));
    HONE__TRY(write_model(model, layout));
    return place_all();
}

/* Of the files of an encoder and its decoders, and of their weights; 0 where the folder has no encoder. */
static size_t parts_bytes(const char *folder)
{
    char path[PATH_MAX];
    struct stat st;
    size_t sum = 0;
    bool encoder = false;
    for (size_t i = 0; i < NAMES; i++) {
        if (!strstr(names[i], ".onnx") || join(folder, names[i], path) != HONE_OK || stat(path, &st)) continue;
        sum += (size_t)st.st_size;
        encoder |= strstr(names[i], "encoder") != NULL;
    }
    return encoder ? sum : 0;
}

size_t folder_bytes(const char *folder)
{
    static const char *const ends[] = {"", "_data", ".data"};
    char file[PATH_MAX], path[PATH_MAX];
    struct stat st;
    size_t sum = parts_bytes(folder), found = 0;
    if (sum) return sum;
    if (hone__import_folder_file(folder, file) != HONE_OK || !*file) return 0;
    for (int i = 0; i < 3 && found < 2; i++)
        if ((size_t)snprintf(path, sizeof path, "%s%s", file, ends[i]) < sizeof path && !stat(path, &st))
            sum += (size_t)st.st_size, found++;
    return sum;
}

hone_status folder_model(const char *path, const char *missing, char *file)
{
    if (!is_folder(path)) {
        if ((size_t)snprintf(file, PATH_MAX, "%s", path) < PATH_MAX) return HONE_OK;
        return hone__fail(HONE_E_LIMIT, "%.100s: the name is too long", path);
    }
    HONE__TRY(hone__import_folder_file(path, file));
    return *file ? HONE_OK : hone__fail(HONE_E_IO, "%s: %s", path, missing);
}
