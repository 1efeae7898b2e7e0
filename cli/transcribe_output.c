/* transcribe_output.c: names as openai-whisper and whisper.cpp give them. */
#include "transcribe_output.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool folder_is_new;

static size_t wanted(const transcribe_settings *s)
{
    size_t n = 0;
    for (int i = 0; i < HONE__TRANSCRIPT_FORMATS; i++) n += s->formats[i];
    return n;
}

bool output_wanted(const transcribe_settings *s) { return wanted(s) > 0; }
bool output_is_stream(const transcribe_settings *s) { return s->bases.count && !strcmp(s->bases.items[0], "-"); }

/* The name of a file without its folder and its end; "stdin" for standard input. */
static void stem(const char *path, char *out, size_t size)
{
    const char *name = strrchr(path, '/');
    name = !strcmp(path, "-") ? "stdin" : name ? name + 1 : path;
    const char *dot = strrchr(name, '.');
    snprintf(out, size, "%.*s", (int)(dot && dot > name ? (size_t)(dot - name) : strlen(name)), name);
}

static hone_status name_of(const transcribe_settings *s, size_t index, hone__transcript_format f, char path[PATH_MAX])
{
    const char *clip = s->clips.items[index], *end = hone__transcript_extension(f);
    char name[NAME_MAX + 1];
    int n;
    stem(clip, name, sizeof name);
    if (index < s->bases.count)
        n = snprintf(path, PATH_MAX, "%s%s", s->bases.items[index], end);
    else if (s->folder)
        n = snprintf(path, PATH_MAX, "%s/%s%s", s->folder, name, end);
    else if (f >= HONE__TRANSCRIPT_TXT_CPP && strcmp(clip, "-"))
        n = snprintf(path, PATH_MAX, "%s%s", clip, end);
    else
        n = snprintf(path, PATH_MAX, "%s%s", name, end);
    return n < PATH_MAX ? HONE_OK : hone__fail(HONE_E_LIMIT, "%.100s: the name is too long", clip);
}

/* Whether an earlier file has this name. */
static hone_status check_new(const transcribe_settings *s, size_t index, int format, const char *path)
{
    char other[PATH_MAX];
    for (size_t i = 0; i <= index; i++)
        for (int f = 0; f < (i < index ? HONE__TRANSCRIPT_FORMATS : format); f++) {
            if (!s->formats[f]) continue;
            HONE__TRY(name_of(s, i, (hone__transcript_format)f, other));
            if (strcmp(path, other)) continue;
            if (i == index) return hone__fail(HONE_E_ARGUMENT, "%s: two formats would go there", path);
            return hone__fail(HONE_E_ARGUMENT, "%s: the texts of %s and of %s would go there", path, s->clips.items[i],
                              s->clips.items[index]);
        }
    return HONE_OK;
}

hone_status output_prepare(const transcribe_settings *s)
{
    char path[PATH_MAX];
    if (output_is_stream(s))
        return wanted(s) == 1 ? HONE_OK
                              : hone__fail(HONE_E_ARGUMENT, "one format can go to standard output, not %zu", wanted(s));
    for (size_t i = 0; i < s->clips.count; i++)
        for (int f = 0; f < HONE__TRANSCRIPT_FORMATS; f++) {
            if (!s->formats[f]) continue;
            HONE__TRY(name_of(s, i, (hone__transcript_format)f, path));
            HONE__TRY(check_new(s, i, f, path));
        }
    if (!s->folder || !wanted(s)) return HONE_OK;
    folder_is_new = !mkdir(s->folder, 0777);
    struct stat st;
    if (!folder_is_new && errno != EEXIST)
        return hone__fail(HONE_E_IO, "%s: cannot make the folder: %s", s->folder, strerror(errno));
    if (!folder_is_new && (stat(s->folder, &st) || !S_ISDIR(st.st_mode)))
        return hone__fail(HONE_E_IO, "%s: is no folder", s->folder);
    return HONE_OK;
}

hone_status output_write(const transcribe_settings *s, size_t index, const hone__transcription *t)
{
    char path[PATH_MAX];
    for (int i = 0; i < HONE__TRANSCRIPT_FORMATS; i++) {
        hone__transcript_format f = (hone__transcript_format)i;
        if (!s->formats[i]) continue;
        if (output_is_stream(s)) {
            hone__transcription_write(t, f, stdout);
            continue;
        }
        HONE__TRY(name_of(s, index, f, path));
        HONE__TRY(hone__transcription_save(t, f, path));
    }
    return HONE_OK;
}

void output_finish(const transcribe_settings *s)
{
    if (folder_is_new) rmdir(s->folder);
}
