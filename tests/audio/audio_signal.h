/* audio_signal.h: the test signal, made from integers exactly as reference/make_audio_reference.py makes it. */
#ifndef HONE_TESTS_AUDIO_AUDIO_SIGNAL_H
#define HONE_TESTS_AUDIO_AUDIO_SIGNAL_H

#include <stddef.h>
#include <stdint.h>

static void make_signal(float *out, size_t n)
{
    uint32_t seed = 12345, phase = 0, step = 300;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        int noise = (int)(seed >> 16) - 32768;
        phase = (phase + step) & 0xffff;
        step += 1 + (uint32_t)(i & 1);
        int triangle = phase < 32768 ? (int)phase - 16384 : 49152 - (int)phase;
        int envelope = 256 - (int)(i * 3 & 255);
        out[i] = (float)((triangle * envelope >> 8) + (noise >> 6)) / 32768;
    }
}

#endif
