/* folder.c: every file of a folder is written under a temporary name, and all are renamed at the end. */
#include "folder.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "onnx/onnx.h"
#include "tools/import/import.h"

static const char genai[] = "genai_config.json"; /* names the model's file: rewritten */

/* What tools look for beside a language model. */
static const char *const companions[] = {
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
    genai,
};
enum { COMPANIONS = sizeof companions / sizeof *companions, COMPANION_MAX = 256 << 20 };

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

/* Opens `to` and writes what `from` holds; *there stays false where `from` is not there. */
static hone_status copy(const char *from, const char *to, bool rewrite, hone__output *o, bool *there)
{
    uint8_t *data = NULL;
    char *text = NULL;
    size_t size = 0;
    *there = false;
    if (access(from, F_OK)) return HONE_OK;
    if (rewrite)
        HONE__TRY(hone__import_genai_config(from, &text));
    else
        HONE__TRY(hone__file_read(from, COMPANION_MAX, &data, &size));
    hone_status s = hone__output_open(to, o);
    *there = s == HONE_OK;
    if (s == HONE_OK) s = text ? hone__output_write(o, text, strlen(text)) : hone__output_write(o, data, size);
    hone__free(data);
    hone__free(text);
    return s;
}

typedef struct copies {
    hone__output files[COMPANIONS];
    bool open[COMPANIONS], placed[COMPANIONS]; /* placed: renamed, and new */
} copies;

static hone_status open_copies(copies *c, const char *out, const char *source)
{
    char from[PATH_MAX], to[PATH_MAX];
    struct stat a, b;
    for (size_t i = 0; i < COMPANIONS; i++) {
        HONE__TRY(join(source, companions[i], from));
        HONE__TRY(join(out, companions[i], to));
        bool rewrite = companions[i] == genai;
        if (!rewrite && !stat(from, &a) && !stat(to, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
            continue; /* in place */
        HONE__TRY(copy(from, to, rewrite, &c->files[i], &c->open[i]));
    }
    return HONE_OK;
}

/* Those in front of genai_config.json, or it alone. */
static hone_status commit_copies(copies *c, const char *out, bool last)
{
    char to[PATH_MAX];
    for (size_t i = 0; i < COMPANIONS; i++) {
        if (!c->open[i] || (companions[i] == genai) != last) continue;
        HONE__TRY(join(out, companions[i], to));
        bool fresh = access(to, F_OK) != 0;
        HONE__TRY(hone__output_commit(&c->files[i]));
        c->placed[i] = fresh;
    }
    return HONE_OK;
}

/* After a failure: what is new goes again. */
static void undo(const copies *c, const char *out, bool made)
{
    char to[PATH_MAX];
    for (size_t i = 0; i < COMPANIONS; i++)
        if (c->placed[i] && join(out, companions[i], to) == HONE_OK) unlink(to);
    if (made) rmdir(out);
}

hone_status folder_save(hone__model *model, const char *out, const char *source)
{
    char path[PATH_MAX], data[PATH_MAX];
    copies c = {0};
    HONE__TRY(join(out, "model.onnx", path));
    HONE__TRY(join(out, "model.onnx_data", data));
    bool made = !is_folder(out);
    if (made && mkdir(out, 0777)) return hone__fail(HONE_E_IO, "%s: cannot make the folder: %s", out, strerror(errno));
    hone_status s = open_copies(&c, out, source);
    if (s == HONE_OK) s = commit_copies(&c, out, false);
    if (s == HONE_OK) s = hone__onnx_write(model, path, data); /* it is what a reader looks for, */
    if (s == HONE_OK) s = commit_copies(&c, out, true);        /* unless this names another */
    for (size_t i = 0; i < COMPANIONS; i++)
        if (c.open[i]) hone__output_abandon(&c.files[i]);
    if (s != HONE_OK) undo(&c, out, made);
    return s;
}

size_t folder_bytes(const char *folder)
{
    static const char *const ends[] = {"", "_data", ".data"};
    char file[PATH_MAX], path[PATH_MAX];
    struct stat st;
    size_t sum = 0, found = 0;
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
