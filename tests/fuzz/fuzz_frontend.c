/* fuzz_frontend.c: any text as a description of features; what is accepted prints, reads back, and runs where it is
 * small. */
#include <stddef.h>
#include <stdint.h>

#include "audio/frontend.h"
#include "fuzz_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void reads_back(const hone__frontend_config *config)
{
    static char first[1 << 15], second[1 << 15];
    hone__frontend_config again;
    size_t needed, twice;
    hone__frontend_print(config, first, sizeof first, &needed);
    demand(needed <= sizeof first && needed == strlen(first) + 1);
    demand(hone__frontend_parse(first, needed - 1, &again) == HONE_OK);
    hone__frontend_print(&again, second, sizeof second, &twice);
    demand(needed == twice && !memcmp(first, second, needed));
}

static void run(const hone__frontend_config *config)
{
    hone__frontend *f;
    demand(hone__frontend_create(config, &f) == HONE_OK);
    int64_t dims[3], values = 1;
    int rank;
    hone__frontend_shape(config, dims, &rank);
    for (int i = 0; i < rank; i++) values *= dims[i];
    demand(values == (int64_t)hone__frontend_values(f));
    size_t n = (size_t)config->clip_samples / 2 + 1;
    float *pcm = malloc(n * sizeof *pcm), *out = malloc((size_t)values * sizeof *out);
    for (size_t i = 0; pcm && i < n; i++) pcm[i] = (float)(i % 17) / 17 - 0.5f;
    if (pcm && out) demand(hone__frontend_run(f, pcm, n, out) == HONE_OK);
    free(pcm);
    free(out);
    hone__frontend_destroy(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hone__frontend_config config;
    if (hone__frontend_parse((const char *)data, size, &config) != HONE_OK) return 0;
    reads_back(&config);
    size_t frames = config.kind == HONE__FEATURE_RAW ? 1 : hone__stft_frames(&config.stft, (size_t)config.clip_samples);
    if (config.clip_samples <= 1 << 16 && config.stft.fft_length <= 1 << 12 &&
        frames * ((size_t)config.stft.fft_length * 2 + (size_t)config.mels * 16) <= 1 << 18)
        run(&config);
    return 0;
}
