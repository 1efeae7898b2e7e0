/* fuzz_hugging_face.c: a folder with config.json, generation_config.json and weights. The first byte says what the
 * weights are, the second how to import; the parts that follow are those of fuzz_parts.h:
 *   s  model.safetensors as it is
 *   h  the header of one, with the zeros behind it that its largest number asks for
 *   i  model.safetensors.index.json and the headers of a.safetensors and b.safetensors */
#include <stddef.h>
#include <stdint.h>

#include "fuzz_parts.h"
#include "fuzz_run.h"
#include "tools/import/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_ZEROS = 1 << 16, PARTS = 5 };

/* The largest number in a header that is not too large: where its last tensor ends, if it is a right one. */
static size_t largest_number(fuzz_part header)
{
    size_t most = 0, n = 0;
    for (size_t i = 0; i < header.size; i++) {
        uint8_t c = header.data[i];
        n = c >= '0' && c <= '9' ? 10 * n + (c - '0') : 0;
        if (n > MOST_ZEROS) n = 0;
        if (n > most) most = n;
    }
    return most;
}

static void put_weights(fuzz_folder *folder, const char *name, fuzz_part header)
{
    size_t size = 8 + header.size + largest_number(header);
    uint8_t *file = calloc(size, 1);
    demand(file != NULL);
    for (int i = 0; i < 8; i++) file[i] = (uint8_t)((uint64_t)header.size >> 8 * i);
    if (header.size) memcpy(file + 8, header.data, header.size);
    fuzz_folder_put(folder, name, (fuzz_part){file, size});
    free(file);
}

static void fill(fuzz_folder *folder, uint8_t kind, const fuzz_part *parts)
{
    fuzz_folder_put(folder, "config.json", parts[0]);
    if (parts[1].size) fuzz_folder_put(folder, "generation_config.json", parts[1]);
    if (kind == 'i') {
        fuzz_folder_put(folder, "model.safetensors.index.json", parts[2]);
        put_weights(folder, "a.safetensors", parts[3]);
        put_weights(folder, "b.safetensors", parts[4]);
    } else if (kind == 'h')
        put_weights(folder, "model.safetensors", parts[2]);
    else
        fuzz_folder_put(folder, "model.safetensors", parts[2]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_part parts[PARTS];
    fuzz_folder folder;
    hone__import_report report;
    hone__model *m;
    if (size < 2) return 0;
    hone__import_options options = {.no_cache = data[1] & 1, .precision = (hone_precision)((data[1] >> 1) % 5)};
    fuzz_split(data + 2, size - 2, parts, data[0] == 'i' ? PARTS : 3);
    fuzz_folder_open(&folder);
    fill(&folder, data[0], parts);
    hone_status status = hone__import_hugging_face(folder.path, &options, &m, &report);
    fuzz_folder_close(&folder);
    demand((status == HONE_OK) == (m != NULL));
    demand_message(status);
    if (m) {
        demand(hone__graph_verify(m->graph) == HONE_OK);
        (void)fuzz_run(m);
    }
    hone__model_destroy(m);
    return 0;
}
