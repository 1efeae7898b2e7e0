/* ops.c: finds an operator's descriptor by name. */
#include <pthread.h>
#include <string.h>

#include "base/distance.h"
#include "op.h"

static const hone__op *const rows[] = {
#define HONE_OP(row) &hone__op_##row,
#include "ops.def"
#undef HONE_OP
};
enum { COUNT = sizeof rows / sizeof *rows, SLOTS = 1024 };

static const hone__op *slots[SLOTS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static unsigned hash(const char *domain, const char *name)
{
    unsigned h = 2166136261u;
    for (; *domain; domain++) h = (h ^ (unsigned char)*domain) * 16777619u;
    for (; *name; name++) h = (h ^ (unsigned char)*name) * 16777619u;
    return h;
}

static void fill(void)
{
    _Static_assert(COUNT * 2 < SLOTS, "the table of operators needs more slots");
    for (size_t i = 0; i < COUNT; i++) {
        unsigned at = hash(rows[i]->domain, rows[i]->name) % SLOTS;
        while (slots[at]) at = (at + 1) % SLOTS;
        slots[at] = rows[i];
    }
}

const hone__op *hone__op_find(const char *domain, const char *name)
{
    pthread_once(&once, fill);
    for (unsigned at = hash(domain, name) % SLOTS; slots[at]; at = (at + 1) % SLOTS)
        if (!strcmp(slots[at]->name, name) && !strcmp(slots[at]->domain, domain)) return slots[at];
    return NULL;
}

size_t hone__op_count(void) { return COUNT; }
const hone__op *hone__op_at(size_t i) { return rows[i]; }

static bool knows_domain(const char *domain)
{
    for (size_t i = 0; i < COUNT; i++)
        if (!strcmp(rows[i]->domain, domain) && strcmp(domain, "hone")) return true;
    return false;
}

hone_status hone__op_unknown(const hone__node *node)
{
    const hone__op *near = NULL;
    size_t best = strlen(node->op) / 3 + 1;
    if (best > 4) best = 4;
    for (size_t i = 0; i < COUNT; i++) {
        size_t d = hone__edit_distance(node->op, rows[i]->name);
        if (d < best && strcmp(rows[i]->domain, "hone")) best = d, near = rows[i];
    }
    const char *domain = *node->domain ? node->domain : "ai.onnx";
    if (!near && !knows_domain(node->domain))
        return hone__fail(HONE_E_UNSUPPORTED,
                          "operator '%s' of domain '%s' is not known (ai.onnx, ai.onnx.ml and com.microsoft are)",
                          node->op, domain);
    if (near)
        return hone__fail(HONE_E_UNSUPPORTED,
                          "operator '%s' of domain '%s' is not known (the nearest known one is '%s' of '%s')", node->op,
                          domain, near->name, *near->domain ? near->domain : "ai.onnx");
    return hone__fail(HONE_E_UNSUPPORTED, "operator '%s' of domain '%s' is not known", node->op, domain);
}
