/* speech_tokens.c: the tokens that steer a transcript, found by their texts, and those that are no speech, as
 * openai-whisper's tokenizer.py lists them. */
#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "speech.h"

static int32_t id_of(const hone__tokenizer *t, const char *text) { return (int32_t)hone__tokenizer_id(t, text); }

/* Special tokens <|xx|> and <|xxx|> of lower-case letters behind the start. */
static void find_languages(const hone__tokenizer *t, hone__speech_tokens *out)
{
    size_t size = hone__tokenizer_size(t);
    for (size_t id = (size_t)out->start + 1; id < size && out->language_count < HONE__SPEECH_LANGUAGES; id++) {
        size_t n;
        const char *text = hone__tokenizer_bytes(t, (uint32_t)id, &n);
        if (!text || n < 6 || n > 7 || memcmp(text, "<|", 2) || memcmp(text + n - 2, "|>", 2)) break;
        for (size_t i = 2; i < n - 2; i++)
            if (!islower((unsigned char)text[i])) return;
        memcpy(out->languages[out->language_count].code, text + 2, n - 4);
        out->languages[out->language_count++].id = (int32_t)id;
    }
}

static hone_status add(hone__speech_tokens *out, size_t *room, int64_t id)
{
    if (id < 0) return HONE_OK;
    for (size_t i = 0; i < out->suppressed_count; i++)
        if (out->suppressed[i] == id) return HONE_OK;
    HONE__TRY(hone__grow(&out->suppressed, room, out->suppressed_count, sizeof *out->suppressed));
    out->suppressed[out->suppressed_count++] = (int32_t)id;
    return HONE_OK;
}

/* The first token of `text`, where it is its only one, or `any`. */
static hone_status add_text(const hone__tokenizer *t, hone__speech_tokens *out, size_t *room, hone__token_list *list,
                            const char *text, size_t n, bool any)
{
    list->count = 0;
    HONE__TRY(hone__tokenizer_encode(t, text, n, false, list));
    return list->count == 1 || (any && list->count) ? add(out, room, list->ids[0]) : HONE_OK;
}

/* Words of `words`, by themselves and behind a space. */
static hone_status add_words(const hone__tokenizer *t, hone__speech_tokens *out, size_t *room, hone__token_list *list,
                             const char *words, bool any)
{
    char spaced[16] = " ";
    for (const char *at = words; *at;) {
        size_t n = strcspn(at, " ");
        memcpy(spaced + 1, at, n);
        HONE__TRY(add_text(t, out, room, list, at, n, any));
        HONE__TRY(add_text(t, out, room, list, spaced, n + 1, any));
        at += n + (at[n] == ' ');
    }
    return HONE_OK;
}

static hone_status find_suppressed(const hone__tokenizer *t, hone__speech_tokens *out)
{
    static const char symbols[] =
        "\" # ( ) * + / : ; < = > @ [ \\ ] ^ _ ` { | } ~ 「 」 『 』 << >> <<< >>> -- --- -( -[ (' "
        "(\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪";
    const int32_t steering[] = {out->transcribe,    out->translate,   out->start,
                                out->start_of_prev, out->start_of_lm, out->no_speech};
    hone__token_list list = {0};
    size_t room = 0;
    hone_status s = add_text(t, out, &room, &list, " -", 2, true);
    if (s == HONE_OK) s = add_text(t, out, &room, &list, " '", 2, true);
    if (s == HONE_OK) s = add_words(t, out, &room, &list, symbols, false);
    if (s == HONE_OK) s = add_words(t, out, &room, &list, "♩ ♪ ♫ ♬ ♭ ♮ ♯", true);
    for (size_t i = 0; s == HONE_OK && i < sizeof steering / sizeof *steering; i++) s = add(out, &room, steering[i]);
    list.count = 0;
    if (s == HONE_OK) s = hone__tokenizer_encode(t, " ", 1, false, &list);
    for (size_t i = 0; s == HONE_OK && i < list.count && i < 4; i++)
        out->blank[out->blank_count++] = (int32_t)list.ids[i];
    hone__token_list_free(&list);
    return s;
}

hone_status hone__speech_tokens_read(const hone__tokenizer *t, hone__speech_tokens *out)
{
    *out = (hone__speech_tokens){.end = id_of(t, "<|endoftext|>"),
                                 .start = id_of(t, "<|startoftranscript|>"),
                                 .transcribe = id_of(t, "<|transcribe|>"),
                                 .translate = id_of(t, "<|translate|>"),
                                 .start_of_lm = id_of(t, "<|startoflm|>"),
                                 .start_of_prev = id_of(t, "<|startofprev|>"),
                                 .no_speech = id_of(t, "<|nospeech|>"),
                                 .no_timestamps = id_of(t, "<|notimestamps|>"),
                                 .first_timestamp = id_of(t, "<|0.00|>")};
    if (out->no_speech < 0) out->no_speech = id_of(t, "<|nocaptions|>"); /* as older folders call it */
    if (out->first_timestamp < 0 && out->no_timestamps >= 0) out->first_timestamp = out->no_timestamps + 1;
    if (out->end < 0 || out->start < 0 || out->first_timestamp < 0)
        return hone__fail(HONE_E_FORMAT,
                          "the tokenizer has no <|endoftext|>, <|startoftranscript|> or timestamps: it is "
                          "not one of Whisper");
    find_languages(t, out);
    /* English-only vocabularies list the languages, too, but lack one token of text: everything stands one lower */
    out->multilingual = out->end != 50256 && out->language_count > 1;
    hone_status s = find_suppressed(t, out);
    if (s != HONE_OK) hone__speech_tokens_free(out);
    return s;
}

void hone__speech_tokens_free(hone__speech_tokens *t)
{
    hone__free(t->suppressed);
    *t = (hone__speech_tokens){0};
}
