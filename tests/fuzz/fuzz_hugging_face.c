/* fuzz_hugging_face.c: a folder with config.json, generation_config.json and weights. The first byte says what the
 * weights are, the second how to import; the parts that follow are those of fuzz_parts.h:
 *   s  model.safetensors as it is
 *   h  the header of one, with the zeros behind it that its largest number asks for
 *   i  model.safetensors.index.json and the headers of a.safetensors and b.safetensors
 *   b  pytorch_model.bin as it is */
#include <stddef.h>
#include <stdint.h>

#include "fuzz_run.h"
#include "fuzz_weights.h"
#include "tools/import/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PARTS = 5 };

static void put_weights(fuzz_folder *folder, const char *name, fuzz_part header)
{
    fuzz_part file = fuzz_safetensors(header);
    fuzz_folder_put(folder, name, file);
    free((uint8_t *)(uintptr_t)file.data);
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
    else if (kind == 'b')
        fuzz_folder_put(folder, "pytorch_model.bin", parts[2]);
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
    fuzz_verdict(status);
    if (m) {
        demand(hone__graph_verify(m->graph) == HONE_OK);
        fuzz_verdict(fuzz_run(m));
    }
    hone__model_destroy(m);
    return 0;
}
