/* added.c: looks for the texts of added tokens: at the first place where one begins, the longest. */
#include <string.h>

#include "tokenizer_parts.h"

/* Of the sorted items [*low, *high), those whose byte `depth` is c. All are longer than `depth` but those at *low. */
static void narrow(const hone__tokenizer *t, const added_set *set, size_t *low, size_t *high, size_t depth, uint8_t c)
{
    for (int side = 0; side < 2; side++) { /* the first not below c, then the first above */
        size_t a = *low, b = *high;
        while (a < b) {
            size_t mid = (a + b) / 2;
            const added_token *k = &t->added[set->items[mid]];
            int byte = k->size > depth ? (uint8_t)k->bytes[depth] : -1;
            if (byte < c || (side && byte == c))
                a = mid + 1;
            else
                b = mid;
        }
        *(side ? high : low) = a;
    }
}

static const added_token *longest_at(const hone__tokenizer *t, const added_set *set, const char *text, size_t size)
{
    size_t low = 0, high = set->count;
    const added_token *best = NULL;
    for (size_t depth = 0; depth < size && low < high; depth++) {
        narrow(t, set, &low, &high, depth, (uint8_t)text[depth]);
        if (low < high && t->added[set->items[low]].size == depth + 1) best = &t->added[set->items[low]];
    }
    return best;
}

const added_token *hone__added_find(const hone__tokenizer *t, const added_set *set, const char *text, size_t size,
                                    size_t from, size_t *at)
{
    if (!set->count) return NULL;
    for (size_t i = from; i < size; i++) {
        if (!set->starts[(uint8_t)text[i]]) continue;
        const added_token *k = longest_at(t, set, text + i, size - i);
        if (!k) continue;
        *at = i;
        return k;
    }
    return NULL;
}
