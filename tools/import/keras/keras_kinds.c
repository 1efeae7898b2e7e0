/* keras_kinds.c: the tables of layers and operations, searched by class name. */
#include <string.h>

#include "keras.h"

static const klayer_kind layers[] = {
#define KERAS_LAYER(name, fn, variant, flags) {name, hone__klayer_##fn, variant, flags},
#include "layers.def"
#undef KERAS_LAYER
};

static const klayer_kind ops[] = {
#define KERAS_OP(name, fn, variant) {name, hone__kop_##fn, variant, 0},
#include "ops.def"
#undef KERAS_OP
};

static const klayer_kind *find(const klayer_kind *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].name, name) == 0) return &list[i];
    return NULL;
}

const klayer_kind *hone__klayer_kind_find(const char *name)
{
    return find(layers, sizeof layers / sizeof *layers, name);
}
const klayer_kind *hone__kop_kind_find(const char *name) { return find(ops, sizeof ops / sizeof *ops, name); }
