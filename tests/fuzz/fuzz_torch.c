/* fuzz_torch.c: files of torch.save: the zip reader, the pickle reader and the tensors over its storages, each made
 * dense. The first byte says what follows:
 *   z  a whole archive
 *   p  its data.pkl; storages "0" to "3" of STORAGE bytes stand beside it
 *   b  the same with the highest byte first */
#include "fuzz_weights.h"
#include "tests/import/torch_maker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STORAGES = 4, STORAGE = 256 };

static bytes archive_around(const uint8_t *pickle, size_t size, const char *order)
{
    static const uint8_t zeros[STORAGE];
    archive a = {0};
    char name[16];
    add_member(&a, "m/data.pkl", pickle, size);
    add_member(&a, "m/byteorder", order, strlen(order));
    for (int i = 0; i < STORAGES; i++) {
        snprintf(name, sizeof name, "m/data/%d", i);
        add_member(&a, name, zeros, sizeof zeros);
    }
    return finish(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    bytes file = {0};
    if (*data == 'p' || *data == 'b')
        file = archive_around(data + 1, size - 1, *data == 'b' ? "big" : "little");
    else
        file = (bytes){(uint8_t *)fuzz_exact((fuzz_part){data + 1, size - 1}), size - 1, size - 1};
    fuzz_read((fuzz_part){file.data, file.size}, hone__torch_read);
    free(file.data);
    return 0;
}
