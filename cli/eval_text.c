/* eval_text.c: reads a text, checks it, and prints how well the model foresees it. */
#include "eval_text.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "folder.h"
#include "tools/measure/perplexity.h"

enum { MAX_TEXT = 1 << 30 };

static void on_tokens(void *ctx, size_t done, size_t total)
{
    (void)ctx;
    progress("tokens", done, total);
}

/* Opens the model and makes ids of the text by its tokenizer, with what it expects around a text. */
static hone_status open_all(const char *path, const char *text, size_t size, hone_model **m, uint32_t **ids,
                            size_t *count)
{
    hone_tokenizer *t;
    HONE__TRY(open_model(path, m));
    hone_status s = hone_tokenizer_create(*m, &t);
    if (s == HONE_OK) s = hone_tokenizer_encode(t, text, size, 1, ids, count);
    hone_tokenizer_destroy(t);
    return s == HONE_OK ? s : hone__at(s, "%s: no language model for texts", path);
}

static void print_result(const hone__perplexity *p, size_t bytes)
{
    double value = exp(p->nll / (double)p->scored), bits = p->nll / log(2) / (double)bytes;
    if (common.json)
        printf("{\"metric\": \"perplexity\", \"value\": %.6f, \"nll\": %.6f, \"bits_per_byte\": %.6f, \"bytes\": %zu, "
               "\"tokens\": %zu, \"scored\": %zu, \"windows\": %zu, \"context\": %zu, \"stride\": %zu}\n",
               value, p->nll, bits, bytes, p->tokens, p->scored, p->windows, p->context, p->stride);
    else
        printf("perplexity %.4f, %.4f bits per byte (%zu bytes, %zu tokens, %zu scored, %zu windows of %zu, stride "
               "%zu)\n",
               value, bits, bytes, p->tokens, p->scored, p->windows, p->context, p->stride);
}

int eval_text(const char *model, const char *text, const text_settings *settings)
{
    hone_model *m = NULL;
    uint8_t *data = NULL;
    uint32_t *ids = NULL;
    size_t size = 0, count = 0;
    hone__perplexity p;
    const hone__perplexity_options o = {.threads = (int)common.threads,
                                        .context = (size_t)settings->context,
                                        .stride = (size_t)settings->stride,
                                        .cache = cache_types[settings->cache],
                                        .progress = on_tokens};
    hone_status s = hone__file_read(text, MAX_TEXT, &data, &size);
    if (s == HONE_OK) s = size ? check_utf8((const char *)data, size) : hone__fail(HONE_E_ARGUMENT, "holds no text");
    if (s != HONE_OK && data) s = hone__at(s, "%s", strcmp(text, "-") ? text : "standard input");
    if (s == HONE_OK) s = open_all(model, (const char *)data, size, &m, &ids, &count);
    if (s == HONE_OK && (s = hone__perplexity_measure(m, ids, count, &o, &p)) != HONE_OK) s = hone__at(s, "%s", model);
    if (s == HONE_OK) print_result(&p, size);
    hone_tokenizer_free(ids);
    hone_model_destroy(m);
    hone__free(data);
    return s == HONE_OK ? EXIT_DONE : report_failure(s);
}
