/* read_value.c: files of one value each, as ONNX's test data are: TensorProto, SequenceProto, OptionalProto. */
#include "read.h"
#include "tensor/list.h"

/* SequenceProto: elem_type 2, tensors 3, sparse 4, sequences 5, maps 6, optionals 7 */
static hone_status read_sequence(hone__reader *r, hone__span s, hone__tensor *out)
{
    hone__field f;
    bool bad = false;
    hone__span whole = s;
    hone__list *list;
    hone_status st = hone__list_new(NULL, &list);
    hone_dtype dtype = HONE_UNDEFINED;
    while (st == HONE_OK && hone__wire_next(&s, &f, &bad)) {
        hone__tensor item;
        if (f.number >= 4 && f.number <= 7) st = hone__fail(HONE_E_UNSUPPORTED, "a sequence of what is not a tensor");
        if (f.number != 3 || f.type != 2) continue;
        st = hone__read_tensor(r, f.span, &item, NULL);
        if (st != HONE_OK) break;
        if (!list->used) dtype = item.dtype;
        st = hone__list_push(list, &item);
    }
    if (st == HONE_OK && bad) st = hone__read_bad(r, whole.p, "a sequence");
    if (st != HONE_OK)
        hone__list_unref(list);
    else
        *out = hone__list_value(list, dtype);
    return st;
}

/* OptionalProto: elem_type 2 (1 a tensor, 3 a sequence, 0 nothing), tensor 3, sequence 5 */
static hone_status read_optional(hone__reader *r, hone__span s, hone__tensor *out)
{
    hone__field f;
    bool bad = false;
    hone__span whole = s, tensor = {NULL, NULL}, sequence = {NULL, NULL};
    uint64_t type = 0;
    while (hone__wire_next(&s, &f, &bad)) {
        if (f.number == 2) type = f.value;
        if (f.number == 3 && f.type == 2) tensor = f.span;
        if (f.number == 5 && f.type == 2) sequence = f.span;
    }
    if (bad) return hone__read_bad(r, whole.p, "an optional");
    *out = (hone__tensor){.kind = HONE_KIND_NONE};
    if (type == 1 && tensor.p) return hone__read_tensor(r, tensor, out, NULL);
    if (type == 3 && sequence.p) return read_sequence(r, sequence, out);
    if (type == 0 || type == 1 || type == 3) return HONE_OK;
    return hone__fail(HONE_E_UNSUPPORTED, "an optional of type %llu", (unsigned long long)type);
}

hone_status hone__onnx_read_value(hone__map *map, const char *path, unsigned wrap, hone__tensor *out, const char **name,
                                  hone__model **holder)
{
    hone__reader r = {.name = path};
    *holder = NULL;
    *name = "";
    HONE__TRY(hone__blob_map(map, 0, map->size, &r.file));
    hone_status s = hone__model_new(&r.model);
    hone__span all = {r.file->data, r.file->data + r.file->size};
    r.start = r.file->data;
    if (s == HONE_OK)
        s = wrap & HONE__OF_OPTIONAL   ? read_optional(&r, all, out)
            : wrap & HONE__OF_SEQUENCE ? read_sequence(&r, all, out)
                                       : hone__read_tensor(&r, all, out, name);
    hone__blob_unref(r.file);
    if (s != HONE_OK) {
        hone__model_destroy(r.model);
        return hone__at(s, "%s", path);
    }
    *holder = r.model;
    return HONE_OK;
}
