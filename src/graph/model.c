/* model.c: the model as a container: arena, opsets, metadata, symbols, constants. */
#include <string.h>

#include "graph.h"

#define GROW(m, list) hone__grow(&(m)->list##s, &(m)->list##_capacity, (m)->list##_count, sizeof *(m)->list##s)

/* Lists whose elements begin with their text. */
static const char *text_at(const void *list, size_t size, size_t i)
{
    return *(const char *const *)((const char *)list + i * size);
}

static uint32_t *index_slot(const hone__index *x, const void *list, size_t size, const char *text)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (const char *s = text; *s; s++) h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    size_t i = (h ^ h >> 29) & (x->size - 1);
    while (x->slots[i] && strcmp(text_at(list, size, x->slots[i] - 1), text) != 0) i = (i + 1) & (x->size - 1);
    return &x->slots[i];
}

/* Where text stands in the list of `count`; `count` itself: nowhere. */
static size_t index_find(const hone__index *x, const void *list, size_t size, size_t count, const char *text)
{
    uint32_t at = x->size ? *index_slot(x, list, size, text) : 0;
    return at ? at - 1 : count;
}

/* Room for one entry more, before it is put into the list. */
static hone_status index_reserve(hone__index *x, const void *list, size_t size, size_t count)
{
    if (2 * count < x->size) return HONE_OK;
    if (count > UINT32_MAX / 4) return hone__fail(HONE_E_LIMIT, "more than %zu names", count);
    hone__index bigger = {.size = x->size ? 2 * x->size : 16};
    if (!(bigger.slots = hone__calloc(bigger.size, sizeof *bigger.slots))) return hone__out_of_memory(bigger.size);
    for (size_t i = 0; i < count; i++) *index_slot(&bigger, list, size, text_at(list, size, i)) = (uint32_t)i + 1;
    hone__free(x->slots);
    *x = bigger;
    return HONE_OK;
}

hone_status hone__model_new(hone__model **out)
{
    *out = NULL;
    hone__model *m = hone__calloc(1, sizeof *m);
    if (!m) return hone__out_of_memory(sizeof *m);
    m->ir_version = 10;
    m->producer = "hone";
    m->producer_version = "";
    m->doc = "";
    hone_status s = hone__graph_new(m, NULL, &m->graph);
    if (s == HONE_OK) s = hone__model_set_opset(m, "", 21);
    if (s != HONE_OK) {
        hone__model_destroy(m);
        return s;
    }
    *out = m;
    return HONE_OK;
}

static void release_uses(hone__graph *g)
{
    for (hone__value *v = g->values; v; v = v->next) {
        hone__free(v->uses);
        v->uses = NULL;
    }
}

void hone__model_destroy(hone__model *m)
{
    if (!m) return;
    for (size_t i = 0; i < m->tensor_count; i++) hone__tensor_release(m->tensors[i]);
    for (size_t i = 0; i < m->owned_count; i++) {
        hone__graph *g = m->owned[i];
        release_uses(g);
        hone__free(g->inputs);
        hone__free(g->outputs);
    }
    hone__free(m->tensors);
    hone__free(m->owned);
    hone__free(m->opsets);
    hone__free(m->metadata);
    hone__free(m->symbols);
    hone__free(m->metadata_index.slots);
    hone__free(m->symbol_index.slots);
    hone__free(m->opset_index.slots);
    hone__arena_free(&m->arena);
    hone__free(m);
}

hone_status hone__model_set_metadata(hone__model *m, const char *key, const char *text)
{
    const char *copy = hone__arena_strndup(&m->arena, text, strlen(text));
    if (!copy) return hone__out_of_memory(strlen(text));
    size_t at = index_find(&m->metadata_index, m->metadata, sizeof *m->metadata, m->metadata_count, key);
    if (at < m->metadata_count) {
        m->metadata[at].text = copy;
        return HONE_OK;
    }
    HONE__TRY(index_reserve(&m->metadata_index, m->metadata, sizeof *m->metadata, m->metadata_count));
    HONE__TRY(hone__grow(&m->metadata, &m->metadata_capacity, m->metadata_count, sizeof *m->metadata));
    const char *k = hone__arena_strndup(&m->arena, key, strlen(key));
    if (!k) return hone__out_of_memory(strlen(key));
    *index_slot(&m->metadata_index, m->metadata, sizeof *m->metadata, k) = (uint32_t)m->metadata_count + 1;
    m->metadata[m->metadata_count++] = (hone__entry){k, copy};
    return HONE_OK;
}

void hone__model_drop_metadata(hone__model *m)
{
    m->metadata_count = 0;
    hone__free(m->metadata_index.slots);
    m->metadata_index = (hone__index){0};
}

const char *hone__model_metadata(const hone__model *m, const char *key)
{
    size_t at = index_find(&m->metadata_index, m->metadata, sizeof *m->metadata, m->metadata_count, key);
    return at < m->metadata_count ? m->metadata[at].text : NULL;
}

hone_status hone__model_set_opset(hone__model *m, const char *domain, int64_t version)
{
    size_t at = index_find(&m->opset_index, m->opsets, sizeof *m->opsets, m->opset_count, domain);
    if (at < m->opset_count) {
        m->opsets[at].version = version;
        return HONE_OK;
    }
    HONE__TRY(index_reserve(&m->opset_index, m->opsets, sizeof *m->opsets, m->opset_count));
    HONE__TRY(GROW(m, opset));
    const char *d = hone__arena_strndup(&m->arena, domain, strlen(domain));
    if (!d) return hone__out_of_memory(strlen(domain));
    *index_slot(&m->opset_index, m->opsets, sizeof *m->opsets, d) = (uint32_t)m->opset_count + 1;
    m->opsets[m->opset_count++] = (hone__opset){d, version};
    return HONE_OK;
}

int64_t hone__model_opset(const hone__model *m, const char *domain)
{
    size_t at = index_find(&m->opset_index, m->opsets, sizeof *m->opsets, m->opset_count, domain);
    return at < m->opset_count ? m->opsets[at].version : 0;
}

hone_status hone__symbol(hone__model *m, const char *name, int64_t *dim)
{
    *dim = -1;
    if (!name[0]) return HONE_OK;
    size_t at = index_find(&m->symbol_index, m->symbols, sizeof *m->symbols, m->symbol_count, name);
    if (at < m->symbol_count) {
        *dim = -2 - (int64_t)at;
        return HONE_OK;
    }
    HONE__TRY(index_reserve(&m->symbol_index, m->symbols, sizeof *m->symbols, m->symbol_count));
    HONE__TRY(GROW(m, symbol));
    const char *copy = hone__arena_strndup(&m->arena, name, strlen(name));
    if (!copy) return hone__out_of_memory(strlen(name));
    *dim = -2 - (int64_t)m->symbol_count;
    *index_slot(&m->symbol_index, m->symbols, sizeof *m->symbols, copy) = (uint32_t)m->symbol_count + 1;
    m->symbols[m->symbol_count++] = copy;
    return HONE_OK;
}

const char *hone__symbol_name(const hone__model *m, int64_t dim)
{
    int64_t i = -2 - dim;
    return i >= 0 && (size_t)i < m->symbol_count ? m->symbols[i] : "?";
}

hone_status hone__graph_new(hone__model *m, hone__node *owner, hone__graph **out)
{
    *out = NULL;
    hone__graph *g = hone__arena_zalloc(&m->arena, sizeof *g);
    if (!g) return hone__out_of_memory(sizeof *g);
    g->model = m;
    g->owner = owner;
    g->name = "";
    HONE__TRY(hone__grow(&m->owned, &m->owned_capacity, m->owned_count, sizeof *m->owned));
    m->owned[m->owned_count++] = g;
    *out = g;
    return HONE_OK;
}

static hone_status hold_tensor(hone__model *m, const hone__tensor *tensor, hone__tensor **out)
{
    hone__tensor *copy = hone__arena_alloc(&m->arena, sizeof *copy);
    hone_status s = copy ? GROW(m, tensor) : hone__out_of_memory(sizeof *copy);
    if (s != HONE_OK) return s;
    *copy = *tensor;
    m->tensors[m->tensor_count++] = copy;
    *out = copy;
    return HONE_OK;
}

hone_status hone__model_hold(hone__model *m, hone__tensor *tensor, hone__tensor **out)
{
    *out = NULL;
    hone_status s = hold_tensor(m, tensor, out);
    if (s != HONE_OK) hone__tensor_release(tensor);
    *tensor = (hone__tensor){0};
    return s;
}
