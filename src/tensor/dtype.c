/* dtype.c: sizes and names of element types, and one element read or written as a double or int64. */
#include <math.h>
#include <string.h>

#include "tensor.h"

static const struct {
    const char *name;
    unsigned char bits;
    char kind; /* f float, i signed, u unsigned, b bool, s string, c complex */
} types[HONE_DTYPE_COUNT] = {
    [HONE_UNDEFINED] = {"undefined", 0, 0},
    [HONE_F32] = {"float32", 32, 'f'},
    [HONE_U8] = {"uint8", 8, 'u'},
    [HONE_I8] = {"int8", 8, 'i'},
    [HONE_U16] = {"uint16", 16, 'u'},
    [HONE_I16] = {"int16", 16, 'i'},
    [HONE_I32] = {"int32", 32, 'i'},
    [HONE_I64] = {"int64", 64, 'i'},
    [HONE_STRING] = {"string", sizeof(hone__string) * 8, 's'},
    [HONE_BOOL] = {"bool", 8, 'b'},
    [HONE_F16] = {"float16", 16, 'f'},
    [HONE_F64] = {"float64", 64, 'f'},
    [HONE_U32] = {"uint32", 32, 'u'},
    [HONE_U64] = {"uint64", 64, 'u'},
    [HONE_C64] = {"complex64", 64, 'c'},
    [HONE_C128] = {"complex128", 128, 'c'},
    [HONE_BF16] = {"bfloat16", 16, 'f'},
    [HONE_F8E4M3FN] = {"float8e4m3fn", 8, 'f'},
    [HONE_F8E4M3FNUZ] = {"float8e4m3fnuz", 8, 'f'},
    [HONE_F8E5M2] = {"float8e5m2", 8, 'f'},
    [HONE_F8E5M2FNUZ] = {"float8e5m2fnuz", 8, 'f'},
    [HONE_U4] = {"uint4", 4, 'u'},
    [HONE_I4] = {"int4", 4, 'i'},
    [HONE_F4E2M1] = {"float4e2m1", 4, 'f'},
    [HONE_F8E8M0] = {"float8e8m0", 8, 'f'},
    [HONE_U2] = {"uint2", 2, 'u'},
    [HONE_I2] = {"int2", 2, 'i'},
};

static bool known(hone_dtype d) { return d > 0 && d < HONE_DTYPE_COUNT; }
const char *hone_dtype_name(hone_dtype d) { return known(d) ? types[d].name : "undefined"; }
int hone__dtype_bits(hone_dtype d) { return known(d) ? types[d].bits : 0; }
bool hone__dtype_is_float(hone_dtype d) { return known(d) && types[d].kind == 'f'; }
bool hone__dtype_is_int(hone_dtype d) { return known(d) && (types[d].kind == 'i' || types[d].kind == 'u'); }
bool hone__dtype_is_signed(hone_dtype d) { return known(d) && (types[d].kind == 'i' || types[d].kind == 'f'); }

/* Small floats: 1 sign bit, `e` exponent bits, `m` mantissa bits. `fn`: no infinity, all ones is NaN; `uz`: no
 * negative zero, 0x80 is NaN, bias one larger. (OCP 8-bit floating point; ONNX's float8 page.) */
typedef struct minifloat {
    int e, m, bias;
    bool inf, uz, nan;
} minifloat;

static minifloat mini(hone_dtype d)
{
    switch (d) {
    case HONE_F16: return (minifloat){5, 10, 15, true, false, true};
    case HONE_F8E4M3FN: return (minifloat){4, 3, 7, false, false, true};
    case HONE_F8E4M3FNUZ: return (minifloat){4, 3, 8, false, true, true};
    case HONE_F8E5M2: return (minifloat){5, 2, 15, true, false, true};
    case HONE_F8E5M2FNUZ: return (minifloat){5, 2, 16, false, true, true};
    default: return (minifloat){2, 1, 1, false, false, false}; /* float4e2m1 */
    }
}

static double mini_decode(minifloat f, unsigned v)
{
    unsigned sign = v >> (f.e + f.m) & 1, exp = v >> f.m & ((1u << f.e) - 1), man = v & ((1u << f.m) - 1);
    unsigned top = (1u << f.e) - 1;
    if (f.uz && sign && !exp && !man) return NAN;
    if (f.inf && exp == top) return man ? NAN : sign ? -INFINITY : INFINITY;
    if (f.nan && !f.inf && !f.uz && exp == top && man == (1u << f.m) - 1) return NAN;
    double x = exp ? ldexp(1.0 + ldexp(man, -f.m), (int)exp - f.bias) : ldexp(man, 1 - f.bias - f.m);
    return sign ? -x : x;
}

static unsigned mini_encode(minifloat f, double x)
{
    unsigned sign = signbit(x) ? 1u << (f.e + f.m) : 0, top = (1u << f.e) - 1, mask = (1u << f.m) - 1;
    unsigned nan = f.uz ? 1u << (f.e + f.m) : top << f.m | mask;
    if (f.inf) nan = top << f.m | 1u << (f.m - 1);
    if (isnan(x)) return f.nan ? sign * !f.uz | nan : 0;
    unsigned largest = f.inf ? (top - 1) << f.m | mask : f.nan && !f.uz ? (top << f.m | mask) - 1 : top << f.m | mask;
    double a = fabs(x);
    if (isinf(a)) return f.inf ? sign | top << f.m : sign | largest;
    int exp;
    frexp(a, &exp);
    int scale = exp - 1 < 1 - f.bias ? 1 - f.bias : exp - 1; /* exponent of the unit in the last place is scale - m */
    double q = nearbyint(ldexp(a, f.m - scale));
    double limit = mini_decode(f, largest);
    double rounded = ldexp(q, scale - f.m);
    if (rounded > limit) return f.inf ? sign | top << f.m : sign | largest;
    if (q == 0) return f.uz ? 0 : sign;
    unsigned u = (unsigned)q;
    if (u >> (f.m + 1)) u >>= 1, scale++;
    unsigned bits = u >> f.m ? (unsigned)(scale + f.bias) << f.m | (u & mask) : u;
    return sign | bits;
}

static double bf16_decode(uint16_t v)
{
    uint32_t u = (uint32_t)v << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static uint16_t bf16_encode(double x)
{
    float f = (float)x;
    uint32_t u;
    memcpy(&u, &f, 4);
    if (f != f) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static unsigned sub_byte(const void *data, size_t i, int bits)
{
    size_t at = i * (size_t)bits;
    return ((const uint8_t *)data)[at / 8] >> (at % 8) & ((1u << bits) - 1);
}

#define LOAD(T, i) (*(const T *)memcpy(&(T){0}, (const char *)data + (i) * sizeof(T), sizeof(T)))

double hone__element_f64(hone_dtype d, const void *data, size_t i)
{
    switch (d) {
    case HONE_F32: return LOAD(float, i);
    case HONE_F64: return LOAD(double, i);
    case HONE_C64: return LOAD(float, 2 * i);
    case HONE_C128: return LOAD(double, 2 * i);
    case HONE_U64: return (double)LOAD(uint64_t, i);
    case HONE_F16: return mini_decode(mini(d), LOAD(uint16_t, i));
    case HONE_BF16: return bf16_decode(LOAD(uint16_t, i));
    case HONE_F8E4M3FN:
    case HONE_F8E4M3FNUZ:
    case HONE_F8E5M2:
    case HONE_F8E5M2FNUZ: return mini_decode(mini(d), LOAD(uint8_t, i));
    case HONE_F8E8M0: {
        uint8_t v = LOAD(uint8_t, i);
        return v == 255 ? NAN : ldexp(1.0, (int)v - 127);
    }
    case HONE_F4E2M1: return mini_decode(mini(d), sub_byte(data, i, 4));
    default: return (double)hone__element_i64(d, data, i);
    }
}

static int64_t saturate_i64(double v)
{
    if (v != v) return 0;
    if (v >= 9223372036854775808.0) return INT64_MAX;
    return v < -9223372036854775808.0 ? INT64_MIN : (int64_t)v;
}

int64_t hone__element_i64(hone_dtype d, const void *data, size_t i)
{
    switch (d) {
    case HONE_U8: return LOAD(uint8_t, i);
    case HONE_I8: return LOAD(int8_t, i);
    case HONE_U16: return LOAD(uint16_t, i);
    case HONE_I16: return LOAD(int16_t, i);
    case HONE_I32: return LOAD(int32_t, i);
    case HONE_U32: return LOAD(uint32_t, i);
    case HONE_I64: return LOAD(int64_t, i);
    case HONE_U64: return (int64_t)LOAD(uint64_t, i);
    case HONE_BOOL: return LOAD(uint8_t, i) != 0;
    case HONE_U4: return sub_byte(data, i, 4);
    case HONE_I4: return (int)(sub_byte(data, i, 4) ^ 8) - 8;
    case HONE_U2: return sub_byte(data, i, 2);
    case HONE_I2: return (int)(sub_byte(data, i, 2) ^ 2) - 2;
    case HONE_STRING:
    case HONE_UNDEFINED: return 0;
    default: return saturate_i64(hone__element_f64(d, data, i));
    }
}

static void set_sub_byte(void *data, size_t i, int bits, unsigned v)
{
    size_t at = i * (size_t)bits;
    uint8_t *p = (uint8_t *)data + at / 8;
    unsigned mask = ((1u << bits) - 1) << (at % 8);
    *p = (uint8_t)((*p & ~mask) | (v << (at % 8) & mask));
}

#define STORE(T, i, v) memcpy((char *)data + (i) * sizeof(T), &(T){(T)(v)}, sizeof(T))

static int64_t clamp(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

void hone__element_set_i64(hone_dtype d, void *data, size_t i, int64_t v)
{
    switch (d) {
    case HONE_U8: STORE(uint8_t, i, clamp(v, 0, 255)); break;
    case HONE_I8: STORE(int8_t, i, clamp(v, -128, 127)); break;
    case HONE_U16: STORE(uint16_t, i, clamp(v, 0, 65535)); break;
    case HONE_I16: STORE(int16_t, i, clamp(v, -32768, 32767)); break;
    case HONE_I32: STORE(int32_t, i, clamp(v, INT32_MIN, INT32_MAX)); break;
    case HONE_U32: STORE(uint32_t, i, clamp(v, 0, UINT32_MAX)); break;
    case HONE_I64: STORE(int64_t, i, v); break;
    case HONE_U64: STORE(uint64_t, i, v); break;
    case HONE_BOOL: STORE(uint8_t, i, v != 0); break;
    case HONE_U4: set_sub_byte(data, i, 4, (unsigned)clamp(v, 0, 15)); break;
    case HONE_I4: set_sub_byte(data, i, 4, (unsigned)clamp(v, -8, 7)); break;
    case HONE_U2: set_sub_byte(data, i, 2, (unsigned)clamp(v, 0, 3)); break;
    case HONE_I2: set_sub_byte(data, i, 2, (unsigned)clamp(v, -2, 1)); break;
    case HONE_STRING:
    case HONE_UNDEFINED: break;
    default: hone__element_set_f64(d, data, i, (double)v); break;
    }
}

static unsigned e8m0_encode(double v)
{
    if (isnan(v)) return 255;
    if (v <= 0) return 0;
    int exp;
    double f = frexp(v, &exp);
    int e = exp - 1 + (f > 0.75 ? 1 : 0) + 127;
    return (unsigned)(e < 0 ? 0 : e > 254 ? 254 : e);
}

void hone__element_set_f64(hone_dtype d, void *data, size_t i, double v)
{
    switch (d) {
    case HONE_F32: STORE(float, i, v); break;
    case HONE_F64: STORE(double, i, v); break;
    case HONE_C64: STORE(float, 2 * i, v), STORE(float, 2 * i + 1, 0); break;
    case HONE_C128: STORE(double, 2 * i, v), STORE(double, 2 * i + 1, 0); break;
    case HONE_F16: STORE(uint16_t, i, mini_encode(mini(d), v)); break;
    case HONE_BF16: STORE(uint16_t, i, bf16_encode(v)); break;
    case HONE_F8E4M3FN:
    case HONE_F8E4M3FNUZ:
    case HONE_F8E5M2:
    case HONE_F8E5M2FNUZ: STORE(uint8_t, i, mini_encode(mini(d), v)); break;
    case HONE_F8E8M0: STORE(uint8_t, i, e8m0_encode(v)); break;
    case HONE_F4E2M1: set_sub_byte(data, i, 4, mini_encode(mini(d), v)); break;
    case HONE_BOOL: STORE(uint8_t, i, v != 0); break;
    case HONE_U64:
        STORE(uint64_t, i, v != v || v <= 0 ? 0 : v >= 18446744073709551616.0 ? UINT64_MAX : (uint64_t)v);
        break;
    default: hone__element_set_i64(d, data, i, saturate_i64(nearbyint(v))); break;
    }
}
