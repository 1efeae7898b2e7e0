/* write_text.c: tokens to text while they come: what may be the beginning of a stop string waits. */
#include "write_text.h"

#include <string.h>

#include "base/alloc.h"

typedef struct writer {
    hone__text_stream stream;
    hone__text held; /* not given out yet */
} writer;

typedef struct job {
    const hone__write_options *o;
    const hone__tokenizer *t;
    writer *writers;
    hone_status failed;
} job;

/* Where the first of the stop strings begins in the text, or its size. */
static size_t find_stop(const job *j, const hone__text *text)
{
    size_t first = text->size;
    for (size_t i = 0; i < j->o->stop_count; i++) {
        size_t n = strlen(j->o->stops[i]);
        for (size_t at = 0; n && at + n <= text->size && at < first; at++)
            if (!memcmp(text->data + at, j->o->stops[i], n)) first = at;
    }
    return first;
}

/* How many bytes at the end may be the beginning of a stop string. */
static size_t beginning_of_stop(const job *j, const hone__text *text)
{
    size_t most = 0;
    for (size_t i = 0; i < j->o->stop_count; i++)
        for (size_t n = strlen(j->o->stops[i]); n-- > most;) {
            if (!n || n > text->size || memcmp(text->data + text->size - n, j->o->stops[i], n)) continue;
            most = n;
            break;
        }
    return most;
}

static hone__go_on on_token(void *ctx, size_t index, int32_t token, int last)
{
    job *j = ctx;
    writer *w = &j->writers[index];
    j->failed = hone__text_stream_put(&w->stream, j->t, (uint32_t)token, !j->o->special, &w->held);
    if (j->failed == HONE_OK && last) j->failed = hone__text_stream_end(&w->stream, &w->held);
    if (j->failed != HONE_OK) return HONE__END_ALL;
    size_t stop = find_stop(j, &w->held), give = stop;
    bool stopped = stop < w->held.size;
    if (!stopped && !last) give -= beginning_of_stop(j, &w->held);
    hone__go_on answer =
        j->o->on_piece(j->o->ctx, index, w->held.data ? w->held.data : "", give, token, stopped ? 1 : last);
    if (give) memmove(w->held.data, w->held.data + give, w->held.size - give);
    w->held.size -= give;
    return answer == HONE__GO_ON && stopped ? HONE__END_SEQUENCE : answer;
}

typedef struct words {
    hone__tokens *all;
    hone__token_list *lists; /* of which `count` are behind those that came as tokens */
    size_t given, count;
} words;

static hone_status add_word(words *w, const hone__tokenizer *t, const char *text, size_t size)
{
    hone__token_list *list = &w->lists[w->count];
    hone__tokens *word = &w->all[w->given + w->count++];
    HONE__TRY(hone__tokenizer_encode(t, text, size, false, list));
    word->ids = (const int32_t *)(const void *)list->ids; /* the same bits: the sampler knows what is too large */
    word->count = list->count;
    return HONE_OK;
}

static hone_status read_words(words *w, const hone__tokenizer *t, const hone__write_options *o)
{
    const hone__sampling *s = &o->generate.sampling;
    w->given = s->bad_word_count;
    w->lists = hone__calloc(2 * o->bad_word_count + 1, sizeof *w->lists);
    w->all = hone__calloc(w->given + 2 * o->bad_word_count + 1, sizeof *w->all);
    if (!w->lists || !w->all) return hone__out_of_memory((w->given + 2 * o->bad_word_count) * sizeof *w->all);
    if (w->given) memcpy(w->all, s->bad_words, w->given * sizeof *w->all);
    for (size_t i = 0; i < o->bad_word_count; i++) {
        const char *text = o->bad_words[i];
        hone__text spaced = {0};
        if (!*text) return hone__fail(HONE_E_ARGUMENT, "bad-words: text %zu is empty", i);
        HONE__TRY(add_word(w, t, text, strlen(text)));
        if (*text == ' ') continue;
        hone_status status = hone__text_append(&spaced, " ", 1);
        if (status == HONE_OK) status = hone__text_append(&spaced, text, strlen(text));
        if (status == HONE_OK) status = add_word(w, t, spaced.data, spaced.size);
        hone__free(spaced.data);
        HONE__TRY(status);
    }
    return HONE_OK;
}

static void free_words(words *w)
{
    for (size_t i = 0; i < w->count; i++) hone__token_list_free(&w->lists[i]);
    hone__free(w->lists);
    hone__free(w->all);
}

hone_status hone__write_text(hone__decoder *d, const hone__tokenizer *t, const int32_t *const *prompts,
                             const size_t *lengths, size_t count, const hone__write_options *o)
{
    job j = {.o = o, .t = t};
    hone__generate_options g = o->generate;
    size_t texts = g.beams > 1 ? count * g.sequences : count;
    j.writers = hone__calloc(texts + 1, sizeof *j.writers);
    if (!j.writers) return hone__out_of_memory(texts * sizeof *j.writers);
    g.on_token = on_token;
    g.ctx = &j;
    words w = {0};
    hone_status s = read_words(&w, t, o);
    g.sampling.bad_words = w.all;
    g.sampling.bad_word_count = w.given + w.count;
    if (s == HONE_OK) s = hone__generate(d, prompts, lengths, count, &g);
    free_words(&w);
    for (size_t i = 0; i < texts; i++) {
        hone__text_stream_free(&j.writers[i].stream);
        hone__free(j.writers[i].held.data);
    }
    hone__free(j.writers);
    return j.failed != HONE_OK ? j.failed : s;
}
