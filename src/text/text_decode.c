/* text_decode.c: ids to text, in one go and token by token. Where the tokens are bytes, their bytes make the text;
 * where they are characters, steps turn each token into its part of the text. */
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "text_steps.h"

_Static_assert(sizeof((hone__text_stream *)0)->done / sizeof(size_t) == HONE__STEPS, "a count for each step");

const char *hone__tokenizer_bytes(const hone__tokenizer *t, uint32_t id, size_t *size)
{
    *size = id < t->vocabulary ? t->sizes[id] : 0;
    if (id < t->vocabulary && t->shown && t->shown[id].size) {
        *size = t->shown[id].size;
        return t->text.data + t->shown[id].start;
    }
    return *size ? t->text.data + t->starts[id] : NULL;
}

/* How many bytes at the end of [p, p + size) may be the beginning of a longer character. */
static size_t unfinished(const uint8_t *p, size_t size)
{
    for (size_t n = 1; n <= 3 && n <= size; n++) {
        uint8_t lead = p[size - n];
        if (lead >> 6 == 2) continue;
        size_t whole = lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 1;
        return whole > n ? n : 0;
    }
    return 0;
}

/* All but an unfinished character, which waits for its end. */
static hone_status put_bytes(hone__text_stream *stream, const char *bytes, size_t size, hone__text *out)
{
    size_t start = out->size;
    HONE__TRY(hone__text_append(out, stream->held.data, stream->held.size));
    HONE__TRY(hone__text_append(out, bytes, size));
    size_t wait = unfinished((const uint8_t *)out->data + start, out->size - start);
    stream->held.size = 0;
    HONE__TRY(hone__text_append(&stream->held, out->data + out->size - wait, wait));
    out->size -= wait;
    return HONE_OK;
}

/* Without text 0 at the beginning, at most `argument` times in a token. *done: how often that was, or SIZE_MAX when
 * another text has come. */
static void strip(const hone__bpe_step *step, size_t *done, const char **text, size_t *size)
{
    const hone__step_text *what = &step->texts[0];
    while (*size && *done < step->argument) {
        bool found = *size >= what->size && !memcmp(*text, what->bytes, what->size);
        *done = found ? *done + 1 : SIZE_MAX;
        *text += found ? what->size : 0;
        *size -= found ? what->size : 0;
    }
}

/* Sends a piece through the steps [from, to) and appends it. */
static hone_status send(hone__text_stream *stream, const hone__tokenizer *t, size_t from, size_t to, const char *text,
                        size_t size, hone__text *out)
{
    hone__text work[2] = {{0}};
    hone_status status = HONE_OK;
    bool fused = false; /* what comes belongs to the piece before */
    for (size_t i = 0; i < from; i++) fused |= t->decode.items[i].kind == HONE__STEP_FUSE;
    for (size_t i = from; i < to && status == HONE_OK; i++) {
        const hone__bpe_step *step = &t->decode.items[i];
        hone__text *next = text == work[0].data ? &work[1] : &work[0];
        size_t *done = &stream->done[i];
        bool first = fused || !*done;
        next->size = 0;
        if (step->kind == HONE__STEP_FUSE) fused = true;
        if (step->kind == HONE__STEP_STRIP) {
            if (!fused) *done = 0;
            strip(step, done, &text, &size);
        }
        if (step->kind != HONE__STEP_REPLACE && step->kind != HONE__STEP_METASPACE) continue;
        if (step->kind == HONE__STEP_REPLACE)
            status = hone__step_replace(&step->texts[0], step->texts[1].bytes, step->texts[1].size, text, size, next);
        else
            status = hone__step_replace(&step->texts[0], " ", !first || !(step->argument & ~(unsigned)HONE__META_SPLIT),
                                        text, size, next);
        *done = 1;
        text = next->data ? next->data : "";
        size = next->size;
    }
    if (status == HONE_OK) status = hone__text_append(out, text, size);
    hone__free(work[0].data);
    hone__free(work[1].data);
    return status;
}

/* The bytes that wait are over: their text, or U+FFFD for each. */
static hone_status end_bytes(hone__text_stream *stream, const hone__tokenizer *t, hone__text *out)
{
    hone__text *held = &stream->held;
    bool good = true;
    if (!held->size) return HONE_OK;
    const char *p = held->data, *end = p + held->size;
    while (p < end) good &= hone__utf8_take(&p, end) < HONE__UTF8_BAD;
    for (size_t i = 0; i < (good ? 1 : held->size); i++)
        HONE__TRY(send(stream, t, t->bytes_step + 1, t->decode.count, good ? held->data : "\xef\xbf\xbd",
                       good ? held->size : 3, out));
    held->size = 0;
    return HONE_OK;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that a token like <0x0A> stands for, in letters of either case; -1: none. */
static int byte_in(const char *text, size_t size)
{
    if (size != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>') return -1;
    int high = text[3] == '+' ? 0 : hex(text[3]), low = hex(text[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static hone_status put_token(hone__text_stream *stream, const hone__tokenizer *t, const char *bytes, size_t size,
                             hone__text *out)
{
    if (t->bytes_step == t->decode.count) return send(stream, t, 0, t->decode.count, bytes, size, out);
    hone__text piece = {0};
    hone_status status = send(stream, t, 0, t->bytes_step, bytes, size, &piece);
    int byte = byte_in(piece.data, piece.size);
    uint8_t value = (uint8_t)byte;
    if (status == HONE_OK && byte >= 0) status = hone__text_append(&stream->held, &value, 1);
    if (status == HONE_OK && byte < 0) status = end_bytes(stream, t, out);
    if (status == HONE_OK && byte < 0)
        status = send(stream, t, t->bytes_step + 1, t->decode.count, piece.data ? piece.data : "", piece.size, out);
    hone__free(piece.data);
    return status;
}

hone_status hone__text_stream_put(hone__text_stream *stream, const hone__tokenizer *t, uint32_t id, bool skip_special,
                                  hone__text *out)
{
    size_t size, start = out->size;
    const char *bytes = hone__tokenizer_bytes(t, id, &size);
    if (!size || (skip_special && hone__tokenizer_is_special(t, id))) return HONE_OK;
    stream->tokenizer = t;
    hone_status status =
        t->flags & HONE__BPE_CHARACTERS ? put_token(stream, t, bytes, size, out) : put_bytes(stream, bytes, size, out);
    if (status != HONE_OK) out->size = start;
    return status;
}

hone_status hone__text_stream_end(hone__text_stream *stream, hone__text *out)
{
    const hone__tokenizer *t = stream->tokenizer;
    hone_status status = t && t->flags & HONE__BPE_CHARACTERS
                             ? end_bytes(stream, t, out)
                             : hone__text_append(out, stream->held.data, stream->held.size);
    hone__text_stream_free(stream);
    return status;
}

void hone__text_stream_free(hone__text_stream *stream)
{
    hone__free(stream->held.data);
    *stream = (hone__text_stream){0};
}

static hone_status decode_characters(const hone__tokenizer *t, const uint32_t *ids, size_t count, bool skip_special,
                                     hone__text *out)
{
    hone__text_stream stream = {0};
    hone_status status = HONE_OK;
    for (size_t i = 0; i < count && status == HONE_OK; i++)
        status = hone__text_stream_put(&stream, t, ids[i], skip_special, out);
    if (status == HONE_OK) return hone__text_stream_end(&stream, out);
    hone__text_stream_free(&stream);
    return status;
}

hone_status hone__tokenizer_decode(const hone__tokenizer *t, const uint32_t *ids, size_t count, bool skip_special,
                                   hone__text *out)
{
    if (t->flags & HONE__BPE_CHARACTERS) return decode_characters(t, ids, count, skip_special, out);
    for (size_t i = 0; i < count; i++) {
        size_t size;
        const char *bytes = hone__tokenizer_bytes(t, ids[i], &size);
        if (skip_special && hone__tokenizer_is_special(t, ids[i])) continue;
        HONE__TRY(hone__text_append(out, bytes, size));
    }
    return HONE_OK;
}
