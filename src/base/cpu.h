/* cpu.h: which instruction tier this process uses. */
#ifndef HONE_BASE_CPU_H
#define HONE_BASE_CPU_H

#include <stdbool.h>

#include "status.h"

/* In rising order within each architecture. A tier includes all below it, but not every CPU with AVX-512 has the VEX
 * form of HONE__AVXVNNI: hone__cpu_has. */
typedef enum hone__tier {
    HONE__SCALAR = 0,
    HONE__AVX2,       /* AVX2 + FMA + F16C */
    HONE__AVXVNNI,    /* + VEX VPDPBUSD */
    HONE__AVX512VNNI, /* AVX-512 F/BW/VL/DQ/VNNI */
    HONE__AVX512BF16, /* + VDPBF16PS */
    HONE__NEON = 16,
    HONE__NEON_DOTPROD,
    HONE__NEON_I8MM,
    HONE__WASM_SIMD128 = 32
} hone__tier;

/* Whether the CPU has this tier, whatever HONE_ISA says. */
bool hone__cpu_has(hone__tier tier);

/* The best tier of this CPU, capped by HONE_ISA: the best that it has of those not above that. Cheap after the first
 * call. An unknown HONE_ISA counts as unset here: hone__cpu_check reports it. */
hone__tier hone__cpu_tier(void);

/* HONE_E_ARGUMENT when HONE_ISA names no known tier. */
hone_status hone__cpu_check(void);

const char *hone__tier_name(hone__tier tier);

/* "AMD EPYC 9B14" or the like, cleaned; "unknown CPU" where the system does not say. Static. */
const char *hone__cpu_name(void);

#endif
