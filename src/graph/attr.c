/* attr.c: attributes of nodes. */
#include <string.h>

#include "graph.h"

const hone__attr *hone__node_attr(const hone__node *n, const char *name)
{
    for (int i = 0; i < n->attr_count; i++)
        if (!strcmp(n->attrs[i].name, name)) return &n->attrs[i];
    return NULL;
}

int64_t hone__node_int(const hone__node *n, const char *name, int64_t otherwise)
{
    const hone__attr *a = hone__node_attr(n, name);
    return a && a->kind == HONE__ATTR_INT ? a->i : otherwise;
}

float hone__node_float(const hone__node *n, const char *name, float otherwise)
{
    const hone__attr *a = hone__node_attr(n, name);
    return a && a->kind == HONE__ATTR_FLOAT ? a->f : otherwise;
}

const char *hone__node_string(const hone__node *n, const char *name, const char *otherwise)
{
    const hone__attr *a = hone__node_attr(n, name);
    return a && a->kind == HONE__ATTR_STRING ? a->s.data : otherwise;
}

const int64_t *hone__node_ints(const hone__node *n, const char *name, size_t *count)
{
    const hone__attr *a = hone__node_attr(n, name);
    bool there = a && a->kind == HONE__ATTR_INTS;
    *count = there ? a->count : 0;
    return there ? a->ints : NULL;
}

static void *copy_list(hone__arena *arena, const void *list, size_t count, size_t size)
{
    void *p = hone__arena_alloc(arena, count * size + 1);
    if (p && count) memcpy(p, list, count * size);
    return p;
}

static hone_status copy_attr(hone__arena *arena, const hone__attr *from, hone__attr *to)
{
    *to = *from;
    bool ok = (to->name = hone__arena_strndup(arena, from->name, strlen(from->name))) != NULL;
    switch (from->kind) {
    case HONE__ATTR_REF:
    case HONE__ATTR_STRING:
        ok = ok && (to->s.data = hone__arena_strndup(arena, from->s.data ? from->s.data : "", from->s.size));
        break;
    case HONE__ATTR_INTS: ok = ok && (to->ints = copy_list(arena, from->ints, from->count, sizeof *to->ints)); break;
    case HONE__ATTR_FLOATS:
        ok = ok && (to->floats = copy_list(arena, from->floats, from->count, sizeof *to->floats));
        break;
    case HONE__ATTR_STRINGS:
        ok = ok && (to->strings = copy_list(arena, from->strings, from->count, sizeof *to->strings));
        for (size_t i = 0; ok && i < from->count; i++)
            ok = (to->strings[i].data = hone__arena_strndup(arena, from->strings[i].data, from->strings[i].size));
        break;
    case HONE__ATTR_TYPE: ok = ok && (to->type = copy_list(arena, from->type, 1, sizeof *to->type)); break;
    default: break;
    }
    return ok ? HONE_OK : hone__out_of_memory(from->count);
}

enum { ATTRS_MAX = 256 }; /* they are searched one by one */

hone_status hone__node_set_attr(hone__node *n, const hone__attr *attr)
{
    hone__arena *arena = &n->graph->model->arena;
    hone__attr copy;
    HONE__TRY(copy_attr(arena, attr, &copy));
    for (int i = 0; i < n->attr_count; i++)
        if (!strcmp(n->attrs[i].name, attr->name)) {
            n->attrs[i] = copy;
            return HONE_OK;
        }
    if (n->attr_count == ATTRS_MAX) return hone__fail(HONE_E_LIMIT, "a node with more than %d attributes", ATTRS_MAX);
    /* lists grow by four: most nodes have few attributes and never change them */
    if (n->attr_count % 4 == 0) {
        size_t bytes = ((size_t)n->attr_count + 4) * sizeof copy;
        hone__attr *grown = hone__arena_alloc(arena, bytes);
        if (!grown) return hone__out_of_memory(bytes);
        if (n->attr_count) memcpy(grown, n->attrs, (size_t)n->attr_count * sizeof copy);
        n->attrs = grown;
    }
    n->attrs[n->attr_count++] = copy;
    return HONE_OK;
}

hone_status hone__node_set_int(hone__node *n, const char *name, int64_t v)
{
    return hone__node_set_attr(n, &(hone__attr){.name = name, .kind = HONE__ATTR_INT, .i = v});
}

hone_status hone__node_set_float(hone__node *n, const char *name, float v)
{
    return hone__node_set_attr(n, &(hone__attr){.name = name, .kind = HONE__ATTR_FLOAT, .f = v});
}

hone_status hone__node_set_string(hone__node *n, const char *name, const char *v)
{
    return hone__node_set_attr(n, &(hone__attr){.name = name, .kind = HONE__ATTR_STRING, .s = {v, strlen(v)}});
}

hone_status hone__node_set_ints(hone__node *n, const char *name, const int64_t *v, size_t count)
{
    hone__attr a = {.name = name, .kind = HONE__ATTR_INTS, .ints = (int64_t *)(uintptr_t)v, .count = count};
    return hone__node_set_attr(n, &a);
}

void hone__node_drop_attr(hone__node *n, const char *name)
{
    for (int i = 0; i < n->attr_count; i++)
        if (!strcmp(n->attrs[i].name, name)) {
            memmove(n->attrs + i, n->attrs + i + 1, (size_t)(n->attr_count - i - 1) * sizeof *n->attrs);
            n->attr_count--;
            return;
        }
}
