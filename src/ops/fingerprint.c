/* fingerprint.c: FarmHash's Fingerprint64 and SipHash-2-4. */
#include "fingerprint.h"

static const uint64_t K0 = 0xc3a5c85c97cb3127u, K1 = 0xb492b66fbe98f273u, K2 = 0x9ae16a3b2f90404fu;

typedef struct pair {
    uint64_t a, b;
} pair;

static uint64_t word32(const uint8_t *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
}
static uint64_t word(const uint8_t *p) { return word32(p) | word32(p + 4) << 32; }
static uint64_t right(uint64_t v, int n) { return v >> n | v << (64 - n); }
static uint64_t left(uint64_t v, int n) { return right(v, 64 - n); }
static uint64_t folded(uint64_t v) { return v ^ v >> 47; }
static uint64_t mixed(uint64_t u, uint64_t v, uint64_t by) { return folded((v ^ folded((u ^ v) * by)) * by) * by; }

static uint64_t upto16(const uint8_t *s, size_t n)
{
    uint64_t by = K2 + n * 2;
    if (n >= 8) {
        uint64_t a = word(s) + K2, b = word(s + n - 8);
        return mixed(right(b, 37) * by + a, (right(a, 25) + b) * by, by);
    }
    if (n >= 4) return mixed(n + (word32(s) << 3), word32(s + n - 4), by);
    if (!n) return K2;
    uint64_t y = s[0] + ((uint64_t)s[n >> 1] << 8), z = n + ((uint64_t)s[n - 1] << 2);
    return folded(y * K2 ^ z * K0) * K2;
}

static uint64_t upto32(const uint8_t *s, size_t n)
{
    uint64_t by = K2 + n * 2, a = word(s) * K1, b = word(s + 8), c = word(s + n - 8) * by, d = word(s + n - 16) * K2;
    return mixed(right(a + b, 43) + right(c, 30) + d, a + right(b + K2, 18) + c, by);
}

static uint64_t upto64(const uint8_t *s, size_t n)
{
    uint64_t by = K2 + n * 2, a = word(s) * K2, b = word(s + 8), c = word(s + n - 8) * by, d = word(s + n - 16) * K2;
    uint64_t y = right(a + b, 43) + right(c, 30) + d, z = mixed(y, a + right(b + K2, 18) + c, by);
    uint64_t e = word(s + 16) * by, f = word(s + 24), g = (y + word(s + n - 32)) * by, h = (z + word(s + n - 24)) * by;
    return mixed(right(e + f, 43) + right(g, 30) + h, e + right(f + a, 18) + g, by);
}

/* 32 bytes and two seeds to two words. */
static pair weak(const uint8_t *s, uint64_t a, uint64_t b)
{
    uint64_t w = word(s), x = word(s + 8), y = word(s + 16), z = word(s + 24);
    a += w;
    b = right(b + a + z, 21);
    uint64_t c = a;
    a += x + y;
    return (pair){a + z, b + right(a, 44) + c};
}

uint64_t hone__fingerprint64(const void *data, size_t n)
{
    const uint8_t *s = data;
    if (n <= 16) return upto16(s, n);
    if (n <= 32) return upto32(s, n);
    if (n <= 64) return upto64(s, n);
    uint64_t x = 81 * K2 + word(s), y = 81 * K1 + 113, z = folded(y * K2 + 113) * K2, t;
    pair v = {0, 0}, w = {0, 0};
    const uint8_t *end = s + (n - 1) / 64 * 64, *last = s + n - 64;
    for (; s != end; s += 64) {
        x = right(x + y + v.a + word(s + 8), 37) * K1 ^ w.b;
        y = right(y + v.b + word(s + 48), 42) * K1 + v.a + word(s + 40);
        z = right(z + w.a, 33) * K1;
        v = weak(s, v.b * K1, x + w.a);
        w = weak(s + 32, z + w.b, y + word(s + 16));
        t = z, z = x, x = t;
    }
    uint64_t by = K1 + ((z & 0xff) << 1);
    w.a += (n - 1) & 63, v.a += w.a, w.a += v.a;
    x = right(x + y + v.a + word(last + 8), 37) * by ^ w.b * 9;
    y = right(y + v.b + word(last + 48), 42) * by + v.a * 9 + word(last + 40);
    z = right(z + w.a, 33) * by;
    v = weak(last, v.b * by, x + w.a);
    w = weak(last + 32, z + w.b, y + word(last + 16));
    t = z, z = x, x = t;
    return mixed(mixed(v.a, w.a, by) + folded(y) * K0 + z, mixed(v.b, w.b, by) + x, by);
}

uint64_t hone__fingerprint_joined(uint64_t a, uint64_t b)
{
    const uint64_t by = 0xc6a4a7935bd1e995u;
    uint64_t r = (a ^ by ^ folded(b * by) * by) * by;
    return folded(folded(r) * by);
}

static void sip_rounds(uint64_t v[4], int n)
{
    while (n--) {
        v[0] += v[1], v[2] += v[3];
        v[1] = left(v[1], 13) ^ v[0], v[3] = left(v[3], 16) ^ v[2];
        v[0] = left(v[0], 32);
        v[2] += v[1], v[0] += v[3];
        v[1] = left(v[1], 17) ^ v[2], v[3] = left(v[3], 21) ^ v[0];
        v[2] = left(v[2], 32);
    }
}

uint64_t hone__siphash(const uint64_t key[2], const void *data, size_t n)
{
    const uint8_t *s = data;
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du, key[0] ^ 0x6c7967656e657261u,
                     key[1] ^ 0x7465646279746573u},
             tail = (uint64_t)n << 56;
    for (size_t i = 0; i + 8 <= n; i += 8) {
        v[3] ^= word(s + i);
        sip_rounds(v, 2);
        v[0] ^= word(s + i);
    }
    for (size_t i = n & ~(size_t)7; i < n; i++) tail |= (uint64_t)s[i] << 8 * (i & 7);
    v[3] ^= tail;
    sip_rounds(v, 2);
    v[0] ^= tail;
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
