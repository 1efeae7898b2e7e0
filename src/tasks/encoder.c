/* encoder.c: one session encodes, one turns the result into keys and values, written where the decoder reads them. */
#include "encoder.h"

#include "base/alloc.h"
#include "base/log.h"
#include "passes/kv_cache.h"
#include "passes/parts.h"

struct hone__encoder {
    hone__session *encode, *store;
    hone__kv_store kv;
    hone__encoder_options options;
    hone__tensor *rooms;  /* [2 * layers], of the most inputs and rows */
    hone__tensor *caches; /* views of them, of the last run */
    hone__tensor hidden;
    const hone__tensor **in;
    size_t cache_count;
};

static hone_status make_rooms(hone__encoder *e, const hone__graph *g)
{
    size_t n = 2 * e->kv.layers;
    e->rooms = hone__calloc(n, sizeof *e->rooms);
    e->caches = hone__calloc(n, sizeof *e->caches);
    e->in = hone__calloc(n + 1, sizeof *e->in);
    if (!e->rooms || !e->caches || !e->in) return hone__out_of_memory(n * sizeof *e->rooms);
    for (; e->cache_count < n; e->cache_count++) {
        const hone__shape *s = &g->inputs[(size_t)e->kv.caches + e->cache_count]->shape;
        const int64_t dims[] = {(int64_t)e->options.batch, s->dims[1], (int64_t)e->options.rows, s->dims[3]};
        HONE__TRY(hone__tensor_new(e->options.cache, 4, dims, &e->rooms[e->cache_count]));
        e->in[(size_t)e->kv.caches + e->cache_count] = &e->caches[e->cache_count];
    }
    e->in[e->kv.hidden] = &e->hidden;
    return HONE_OK;
}

static hone_status make(hone__encoder *e, const hone__model *encoder, const hone__model *decoder)
{
    hone__model *m;
    if (!e->options.batch || !e->options.rows || e->options.batch > INT32_MAX || e->options.rows > INT32_MAX)
        return hone__fail(HONE_E_ARGUMENT, "%zu inputs of %zu rows", e->options.batch, e->options.rows);
    if (encoder->graph->input_count != 1 || encoder->graph->output_count != 1)
        return hone__fail(HONE_E_UNSUPPORTED, "an encoder of %zu inputs and %zu outputs, expected one each",
                          encoder->graph->input_count, encoder->graph->output_count);
    HONE__TRY(hone__session_create(encoder, &e->options.session, &e->encode));
    HONE__TRY(hone__part_cut(decoder, HONE__PART_CROSS, &m));
    hone_status s = hone__kv_store_apply(m, e->options.cache, &e->kv);
    if (s == HONE_OK) s = make_rooms(e, m->graph);
    if (s == HONE_OK) s = hone__session_create(m, &e->options.session, &e->store);
    hone__model_destroy(m);
    return s;
}

hone_status hone__encoder_create(const hone__model *encoder, const hone__model *decoder, const hone__encoder_options *o,
                                 hone__encoder **out)
{
    hone__encoder *e = *out = hone__calloc(1, sizeof *e);
    if (!e) return hone__out_of_memory(sizeof *e);
    e->options = *o;
    hone_status s = make(e, encoder, decoder);
    if (s == HONE_OK) return s;
    hone__encoder_destroy(e);
    *out = NULL;
    return s;
}

void hone__encoder_destroy(hone__encoder *e)
{
    if (!e) return;
    hone__session_destroy(e->encode);
    hone__session_destroy(e->store);
    for (size_t i = 0; i < e->cache_count; i++) hone__tensor_release(&e->rooms[i]);
    hone__free(e->rooms);
    hone__free(e->caches);
    hone__free(e->in);
    hone__free(e);
}

hone_status hone__encoder_run(hone__encoder *e, const hone__tensor *input)
{
    const hone__tensor *hidden, **out;
    HONE__TRY(hone__session_run(e->encode, &input, 1, &hidden, 1));
    if (hidden->rank != 3 || hidden->dims[0] > (int64_t)e->options.batch || hidden->dims[1] > (int64_t)e->options.rows)
        return hone__fail(HONE_E_LIMIT, "the input is larger than %zu of %zu rows", e->options.batch, e->options.rows);
    e->hidden = *hidden;
    for (size_t i = 0; i < e->cache_count; i++) {
        const int64_t dims[] = {hidden->dims[0], e->rooms[i].dims[1], hidden->dims[1], e->rooms[i].dims[3]};
        hone__view(&e->caches[i], e->options.cache, 4, dims, e->rooms[i].data);
    }
    out = hone__calloc(e->cache_count, sizeof *out);
    if (!out) return hone__out_of_memory(e->cache_count * sizeof *out);
    hone_status s = hone__session_run(e->store, e->in, e->cache_count + 1, out, e->cache_count);
    hone__free(out);
    hone__session_idle(e->encode);
    hone__session_idle(e->store);
    hone__log(HONE_LOG_DEBUG, "encoding holds %zu KB, keys and values %zu KB", hone__session_memory(e->encode) / 1024,
              hone__session_memory(e->store) / 1024);
    return s;
}

const hone__tensor *hone__encoder_caches(const hone__encoder *e, size_t *count)
{
    *count = e->cache_count;
    return e->caches;
}
