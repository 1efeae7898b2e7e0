/* hf_notes.c: see hf_notes.h. */
#include "hf_notes.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "text/tokenizer.h"
#include "tools/import/tokenizer/tokenizer_import.h"

enum { LINE = 512 };

/* "1,2" of a number or a list of numbers; false where it is neither. */
static bool tokens_text(const json_t *v, char *out, size_t size)
{
    size_t n = json_is_array(v) ? json_array_size(v) : 1, at = 0;
    for (size_t i = 0; i < n && at + 24 < size; i++) {
        const json_t *e = json_is_array(v) ? json_array_get(v, i) : v;
        if (!json_is_integer(e)) return false;
        at += (size_t)snprintf(out + at, size - at, "%s%lld", i ? "," : "", (long long)json_integer_value(e));
    }
    return n > 0;
}

hone_status hone__hf_note_decoder(hone__model *m, const hone__hf_facts *f)
{
    static const char *const names[] = {"eos", "bos", "pad"};
    char text[LINE * 4] = "", list[LINE];
    size_t at = 0;
    if (f->context > 0) at += (size_t)snprintf(text + at, LINE, "context=%lld\n", (long long)f->context);
    if (f->vocab > 0) at += (size_t)snprintf(text + at, LINE, "vocab=%lld\n", (long long)f->vocab);
    if (f->model_type) at += (size_t)snprintf(text + at, LINE, "model_type=%.100s\n", f->model_type);
    for (int i = 0; i < 3; i++) {
        char key[32];
        snprintf(key, sizeof key, "%s_token_id", names[i]);
        const json_t *v = json_object_get(f->generation, key);
        if (!v || json_is_null(v)) v = json_object_get(f->config, key);
        if (v && tokens_text(v, list, sizeof list) && at + LINE + 8 < sizeof text)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s=%s\n", names[i], list);
    }
    return hone__model_set_metadata(m, "hone.decoder", text);
}

hone_status hone__hf_note_tokenizer(hone__model *m, const char *folder)
{
    char *text;
    if (!hone__tokenizer_is_importable(folder)) return HONE_OK;
    hone_status s = hone__tokenizer_import(folder, &text);
    if (s == HONE_E_UNSUPPORTED) {
        hone__log(HONE_LOG_INFO, "the model gets no tokenizer: %s", hone_error_message());
        return HONE_OK;
    }
    if (s != HONE_OK) return s;
    s = hone__model_set_metadata(m, HONE__TOKENIZER_KEY, text);
    hone__free(text);
    return s;
}
