/* eval_corpus.c: a folder or a table as pairs of a clip and a text. */
#include "eval_corpus.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "text/unicode.h"

enum { MAX_TEXT = 64 << 20, COLUMNS = 64 };

static hone_status add(corpus *c, const char *path, const char *text, size_t size)
{
    HONE__TRY(hone__grow(&c->rows, &c->room, c->count, sizeof *c->rows));
    corpus_row *r = &c->rows[c->count++];
    *r = (corpus_row){hone__strndup(path, strlen(path)), hone__strndup(text, size)};
    return r->path && r->text ? HONE_OK : hone__out_of_memory(size);
}

void corpus_free(corpus *c)
{
    for (size_t i = 0; i < c->count; i++) {
        hone__free(c->rows[i].path);
        hone__free(c->rows[i].text);
    }
    hone__free(c->rows);
    *c = (corpus){0};
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n > m && !strcasecmp(text + n - m, end);
}

/* Whether `name` may be the clip of the text `stem`.txt. */
static bool is_clip_of(const char *name, const char *stem, size_t n)
{
    static const char *const others[] = {".txt", ".json", ".srt", ".vtt", ".tsv", ".csv", ".lrc", ".npy", ".md"};
    const char *dot = strrchr(name, '.');
    if (!dot || (size_t)(dot - name) != n || strncmp(name, stem, n)) return false;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!strcasecmp(dot, others[i])) return false;
    return true;
}

static hone_status add_file(corpus *c, const char *folder, const char *clip, const char *text)
{
    char path[PATH_MAX], from[PATH_MAX];
    uint8_t *data;
    size_t size;
    if (snprintf(path, sizeof path, "%s/%s", folder, clip) >= PATH_MAX ||
        snprintf(from, sizeof from, "%s/%s", folder, text) >= PATH_MAX)
        return hone__fail(HONE_E_LIMIT, "%.100s: the name is too long", folder);
    HONE__TRY(hone__file_read(from, MAX_TEXT, &data, &size));
    hone_status s = add(c, path, (const char *)data, size);
    hone__free(data);
    return s;
}

static int not_hidden(const struct dirent *d) { return d->d_name[0] != '.'; }

static hone_status read_folder(const char *folder, corpus *c)
{
    struct dirent **names;
    int n = scandir(folder, &names, not_hidden, alphasort);
    hone_status s = HONE_OK;
    if (n < 0) return hone__fail(HONE_E_IO, "%s: %s", folder, strerror(errno));
    for (int i = 0; i < n && s == HONE_OK; i++) {
        const char *text = names[i]->d_name;
        if (!ends_with(text, ".txt")) continue;
        for (int k = 0; k < n && s == HONE_OK; k++)
            if (is_clip_of(names[k]->d_name, text, strlen(text) - 4)) s = add_file(c, folder, names[k]->d_name, text);
    }
    for (int i = 0; i < n; i++) free(names[i]);
    free(names);
    if (s == HONE_OK && !c->count)
        return hone__fail(HONE_E_ARGUMENT, "%s: holds no clip with a .txt of its name beside it", folder);
    return s;
}

typedef struct table {
    const char *path, *at, *end;
    char separator;
    size_t line;
    hone__text text; /* fields of a line, each with a NUL behind it */
    size_t fields[COLUMNS], count;
} table;

static hone_status put(table *t, char c) { return hone__text_append(&t->text, &c, 1); }

/* A field of a CSV in quotes: two quotes inside are one. */
static hone_status quoted(table *t)
{
    size_t begun = t->line;
    for (t->at++; t->at < t->end; t->at++) {
        if (*t->at == '"') {
            if (t->at + 1 == t->end || t->at[1] != '"') {
                t->at++;
                return HONE_OK;
            }
            t->at++;
        }
        t->line += *t->at == '\n';
        HONE__TRY(put(t, *t->at));
    }
    return hone__fail(HONE_E_FORMAT, "%s: line %zu: a quote does not end", t->path, begun);
}

/* The next line that is not empty, as fields; count 0 at the end. */
static hone_status next_line(table *t)
{
    t->count = t->text.size = 0;
    while (t->at < t->end && (*t->at == '\n' || *t->at == '\r')) t->line += *t->at++ == '\n';
    if (t->at == t->end) return HONE_OK;
    for (;;) {
        if (t->count == COLUMNS)
            return hone__fail(HONE_E_LIMIT, "%s: line %zu: more than %d columns", t->path, t->line, COLUMNS);
        t->fields[t->count++] = t->text.size;
        if (t->separator == ',' && t->at < t->end && *t->at == '"') HONE__TRY(quoted(t));
        for (; t->at < t->end && *t->at != t->separator && *t->at != '\n'; t->at++)
            if (*t->at != '\r') HONE__TRY(put(t, *t->at));
        HONE__TRY(put(t, 0));
        if (t->at == t->end || *t->at == '\n') return HONE_OK;
        t->at++;
    }
}

static const char *field(const table *t, size_t i) { return t->text.data + t->fields[i]; }

static bool is_one_of(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (!strcasecmp(name, *list)) return true;
    return false;
}

/* Whether a line names the columns, and which those are. */
static bool find_columns(const table *t, size_t *path, size_t *text)
{
    static const char *const paths[] = {"path", "file", "audio", "file_name", "audio_filepath", NULL};
    static const char *const texts[] = {"text", "sentence", "transcript", "transcription", NULL};
    size_t p = t->count, x = t->count;
    for (size_t i = t->count; i-- > 0;) {
        if (is_one_of(field(t, i), paths)) p = i;
        if (is_one_of(field(t, i), texts)) x = i;
    }
    if (p == t->count || x == t->count) return false;
    *path = p;
    *text = x;
    return true;
}

static hone_status add_line(const table *t, size_t path, size_t text, corpus *c)
{
    char full[PATH_MAX];
    const char *slash = strrchr(t->path, '/');
    size_t most = path > text ? path : text;
    if (most >= t->count)
        return hone__fail(HONE_E_FORMAT, "%s: line %zu: has %zu columns, expected a path and a text", t->path, t->line,
                          t->count);
    const char *name = field(t, path);
    if (!*name) return hone__fail(HONE_E_FORMAT, "%s: line %zu: has no path", t->path, t->line);
    int folder = slash && *name != '/' ? (int)(slash - t->path) + 1 : 0;
    if (snprintf(full, sizeof full, "%.*s%s", folder, t->path, name) >= PATH_MAX)
        return hone__fail(HONE_E_LIMIT, "%s: line %zu: the name is too long", t->path, t->line);
    return add(c, full, field(t, text), strlen(field(t, text)));
}

static hone_status read_lines(table *t, corpus *c)
{
    size_t path = 0, text = 1;
    for (bool first = true;; first = false) {
        HONE__TRY(next_line(t));
        if (!t->count) break;
        if (first && find_columns(t, &path, &text)) continue;
        HONE__TRY(add_line(t, path, text, c));
    }
    return c->count ? HONE_OK : hone__fail(HONE_E_ARGUMENT, "%s: holds no lines of a path and a text", t->path);
}

static hone_status read_table(const char *path, corpus *c)
{
    uint8_t *data;
    size_t size;
    HONE__TRY(hone__file_read(path, MAX_TEXT, &data, &size));
    table t = {.path = path,
               .at = (const char *)data,
               .end = (const char *)data + size,
               .separator = ends_with(path, ".csv") ? ',' : '\t',
               .line = 1};
    hone_status s = HONE_OK;
    if (size && memchr(data, 0, size)) s = hone__fail(HONE_E_FORMAT, "%s: holds a 0 byte: no table", path);
    if (s == HONE_OK && size) s = check_utf8((const char *)data, size);
    if (s == HONE_E_FORMAT && strncmp(hone_error_message(), path, strlen(path))) s = hone__at(s, "%s", path);
    if (s == HONE_OK) s = read_lines(&t, c);
    hone__free(t.text.data);
    hone__free(data);
    return s;
}

hone_status corpus_read(const char *path, corpus *out)
{
    struct stat st;
    *out = (corpus){0};
    if (stat(path, &st)) return hone__fail(HONE_E_IO, "%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode)) return read_folder(path, out);
    if (ends_with(path, ".tsv") || ends_with(path, ".csv")) return read_table(path, out);
    return hone__fail(HONE_E_ARGUMENT, "%s: expected a folder of clips and .txt files, or a .tsv or .csv file", path);
}
