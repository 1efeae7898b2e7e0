/* main.c: finds the verb. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "base/distance.h"
#include "base/file.h"
#include "base/utf8.h"
#include "cli.h"
#include "folder.h"
#include "tools/import/import.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *about;
} verbs[] = {
#define HONE_VERB(name, about) {#name, cmd_##name, about},
#include "verbs.def"
#undef HONE_VERB
};
enum { VERBS = sizeof verbs / sizeof *verbs };

static void overview(FILE *to)
{
    fprintf(to, "hone %s: trained models, small and fast on the device\n\nusage: hone VERB ...\n\n", hone_version());
    for (int i = 0; i < VERBS; i++) fprintf(to, "  %-12s%s\n", verbs[i].name, verbs[i].about);
    fprintf(to, "\nhone VERB --help tells more.\n");
}

int report_failure(hone_status status)
{
    fprintf(stderr, "hone: %s\n", hone_error_message());
    switch (status) {
    case HONE_OK: return EXIT_DONE;
    case HONE_E_FORMAT:
    case HONE_E_UNSUPPORTED:
    case HONE_E_ARGUMENT:
    case HONE_E_SHAPE: return EXIT_USAGE;
    default: return EXIT_FAILED;
    }
}

void progress(const char *what, size_t done, size_t total)
{
    static int terminal = -1;
    if (terminal < 0) terminal = isatty(STDERR_FILENO);
    if (!terminal || common.quiet) return;
    if (total)
        fprintf(stderr, "\r%s %zu/%zu (%zu %%)%s", what, done, total, done * 100 / total, done >= total ? "\n" : "");
    else
        fprintf(stderr, "\r%s %zu", what, done);
    fflush(stderr);
}

static bool is_called_keras(const char *path)
{
    static const char *const ends[] = {".h5", ".hdf5", ".keras"};
    size_t n = strlen(path);
    for (int i = 0; i < 3; i++)
        if (n > strlen(ends[i]) && !strcmp(path + n - strlen(ends[i]), ends[i])) return true;
    return false;
}

/* Text, and what stands behind it, as a word that a shell takes as it is: [size]. */
static void shell_word(const char *text, const char *behind, char *out, size_t size)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,:@%/";
    bool quote = !*text || text[strspn(text, plain)];
    size_t at = 0;
    if (quote) out[at++] = '\'';
    for (; *text && at + strlen(behind) + 6 < size; text++) {
        if (*text == '\'') at += (size_t)snprintf(out + at, size - at, "'\\'");
        out[at++] = *text;
    }
    snprintf(out + at, size - at, "%s%s", behind, quote ? "'" : "");
}

hone_status not_optimized(const char *path)
{
    char source[PATH_MAX], name[PATH_MAX], out[PATH_MAX];
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/') end--;
    size_t start = end;
    while (start && path[start - 1] != '/') start--;
    snprintf(name, sizeof name, "%.*s", (int)(end - start), path + start);
    if (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, "/")) snprintf(name, sizeof name, "model");
    shell_word(path, "", source, sizeof source);
    shell_word(name, "-int8", out, sizeof out);
    return hone__fail(HONE_E_ARGUMENT,
                      "%s: holds weights of Hugging Face and no model.onnx; make one, and use that: "
                      "hone optimize %s -o %s --precision int8",
                      path, source, out);
}

hone_status open_onnx(const char *path, hone_model **out)
{
    char file[PATH_MAX];
    *out = NULL;
    hone_status found = folder_model(path, "is a directory without model.onnx", file);
    if (found != HONE_OK) return hone__import_is_hugging_face(path) ? not_optimized(path) : found;
    hone_status s = hone_model_open(file, out);
    if (s == HONE_OK && strcmp(file, path)) {
        s = hone__import_folder_notes((*out)->graph, path, file);
        if (s == HONE_OK) return s;
        hone_model_destroy(*out);
        *out = NULL;
    }
    if (s == HONE_E_FORMAT && is_called_keras(path) && strstr(hone_error_message(), "not an ONNX model"))
        s = hone__fail(s, "%s: is called like a Keras model, but is neither HDF5 nor an archive", path);
    return s;
}

hone_status open_model(const char *path, hone_model **out)
{
    hone__model *graph;
    *out = NULL;
    if (!hone__import_is_keras(path)) return open_onnx(path, out);
    hone_status s = hone__import_keras(path, NULL, &graph, NULL);
    return s == HONE_OK ? hone__api_wrap(graph, out) : s;
}

hone_status check_utf8(const char *text, size_t size)
{
    for (const char *p = text, *end = text + size; p < end;) {
        size_t at = (size_t)(p - text);
        if (hone__utf8_take(&p, end) & HONE__UTF8_BAD) return hone__fail(HONE_E_FORMAT, "byte %zu is not UTF-8", at);
    }
    return HONE_OK;
}

/* Bytes of the UTF-8 character at p; 0: none is there (cut off, overlong, a surrogate, beyond U+10FFFF). */
static size_t utf8_length(const unsigned char *p)
{
    size_t n = *p < 0x80                 ? 1
               : *p >= 0xc2 && *p < 0xe0 ? 2
               : *p >= 0xe0 && *p < 0xf0 ? 3
               : *p >= 0xf0 && *p < 0xf5 ? 4
                                         : 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if (n == 3 && ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f))) return 0;
    if (n == 4 && ((*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))) return 0;
    return n;
}

void write_json_string(FILE *f, const char *text)
{
    putc('"', f);
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        size_t n = utf8_length(p);
        if (!n)
            fputs("\\ufffd", f);
        else if (*p == '"' || *p == '\\')
            fprintf(f, "\\%c", *p);
        else if (*p < 0x20)
            fprintf(f, "\\u%04x", *p);
        else
            fwrite(p, 1, n, f);
        p += n ? n : 1;
    }
    putc('"', f);
}

void print_json_string(const char *text) { write_json_string(stdout, text); }

char *utf8_copy(const char *text)
{
    char *copy = malloc(3 * strlen(text) + 1), *at = copy;
    for (const unsigned char *p = (const unsigned char *)text; copy && *p;) {
        size_t n = utf8_length(p);
        memcpy(at, n ? (const char *)p : "\xef\xbf\xbd", n ? n : 3);
        at += n ? n : 3;
        p += n ? n : 1;
    }
    if (copy) *at = 0;
    return copy;
}

void print_clean(const char *text)
{
    for (; *text; text++) putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
}

/* Ctrl-C leaves nothing half-written behind, and ends as the signal would have. */
static void on_signal(int number)
{
    hone__output_remove_pending();
    folder_remove_pending();
    signal(number, SIG_DFL);
    raise(number);
}

static int output_error; /* errno of the first flush of standard output that failed */

bool flush_output(void)
{
    errno = 0;
    if (!fflush(stdout) && !ferror(stdout)) return true;
    if (!output_error) output_error = errno;
    return false;
}

/* What was printed has arrived, or the command failed. Whoever closed the pipe (head) knows that. */
static int finish_output(int code)
{
    if (flush_output()) return code;
    if (output_error != EPIPE)
        fprintf(stderr, "hone: standard output: %s\n", output_error ? strerror(output_error) : "cannot write");
    return code ? code : EXIT_FAILED;
}

bool looks_like(const char *typed, const char *name)
{
    size_t n = strlen(typed);
    return hone__edit_distance(typed, name) <= (n < 3 ? 0 : n < 6 ? 2 : 3);
}

int main(int argc, char **argv)
{
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    signal(SIGHUP, on_signal);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a failed write, reported below */
    signal(SIGXFSZ, SIG_IGN); /* likewise a file over the limit */
    if (argc < 2) {
        overview(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        overview(stdout);
        return finish_output(EXIT_DONE);
    }
    if (!strcmp(argv[1], "--version")) {
        printf("hone %s (%s, %s)\n", hone_version(), hone_cpu_name(), hone_cpu_tier());
        return finish_output(EXIT_DONE);
    }
    int near = 0;
    for (int i = 0; i < VERBS; i++) {
        if (strcmp(argv[1], verbs[i].name)) {
            if (hone__edit_distance(argv[1], verbs[i].name) < hone__edit_distance(argv[1], verbs[near].name)) near = i;
            continue;
        }
        int code = verbs[i].run(argc - 1, argv + 1);
        options_free();
        return finish_output(code);
    }
    if (argv[1][0] == '-') return usage_failure("unknown option '%s'; there are --help and --version", argv[1]);
    if (looks_like(argv[1], verbs[near].name))
        return usage_failure("unknown verb '%s'; did you mean '%s'?", argv[1], verbs[near].name);
    return usage_failure("unknown verb '%s' (hone --help lists them)", argv[1]);
}
