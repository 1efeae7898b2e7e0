/* gemm.c: plain matrix products. */
#include "kernels/gemm/gemm.h"

size_t hone__gemm_f32_scratch(const hone__gemm_f32_args *g, int threads)
{
    (void)g, (void)threads;
    return 0;
}

static void f32_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const hone__gemm_f32_args *g = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        float *c = g->c + i * g->c_rs;
        for (size_t j = 0; j < g->n; j++) {
            float sum = 0;
            for (size_t k = 0; k < g->k; k++) sum += g->a[i * g->a_rs + k * g->a_cs] * g->b[k * g->b_rs + j * g->b_cs];
            float v = g->alpha * sum;
            size_t ch = g->bias_per_row ? i : j;
            hone__epilogue_row(&g->ep, g->ep.bias ? g->ep.bias + ch : NULL, g->ep.slope ? g->ep.slope + ch : NULL, 0,
                               g->ep.residual ? g->ep.residual + i * g->c_rs + j : NULL, &v, 1);
            c[j] = v;
        }
    }
}

void hone__gemm_f32(const hone__gemm_f32_args *g, void *scratch, hone__pool *pool)
{
    (void)scratch;
    hone__pool_run(pool, g->m, 4, f32_rows, (void *)g);
}

size_t hone__gemm_i8_scratch(const hone__gemm_i8_args *g, int threads)
{
    (void)g, (void)threads;
    return 0;
}

static int32_t at(const void *p, int is_signed, size_t i)
{
    return is_signed ? ((const int8_t *)p)[i] : ((const uint8_t *)p)[i];
}

static void i8_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const hone__gemm_i8_args *g = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++)
        for (size_t j = 0; j < g->n; j++) {
            uint32_t sum = 0;
            int32_t az = g->a_zp ? g->a_zp[g->a_zp_per_row ? i : 0] : 0;
            int32_t bz = g->b_zp ? g->b_zp[g->b_zp_per_col ? j : 0] : 0;
            for (size_t k = 0; k < g->k; k++) {
                int32_t av = at(g->a, g->a_signed, i * g->a_rs + k * g->a_cs) - az;
                int32_t bv = at(g->b, g->b_signed, k * g->b_rs + j * g->b_cs) - bz;
                sum += (uint32_t)av * (uint32_t)bv;
            }
            if (g->c_i32) {
                g->c_i32[i * g->c_rs + j] = (int32_t)sum;
                continue;
            }
            float v = (float)(int32_t)sum;
            if (g->a_scale) v *= g->a_scale[g->a_scale_per_row ? i : 0];
            if (g->b_scale) v *= g->b_scale[g->b_scale_per_col ? j : 0];
            size_t ch = g->bias_per_row ? i : j;
            hone__epilogue_row(&g->ep, g->ep.bias ? g->ep.bias + ch : NULL, g->ep.slope ? g->ep.slope + ch : NULL, 0,
                               g->ep.residual ? g->ep.residual + i * g->c_rs + j : NULL, &v, 1);
            g->c_f32[i * g->c_rs + j] = v;
        }
}

void hone__gemm_i8(const hone__gemm_i8_args *g, void *scratch, hone__pool *pool)
{
    (void)scratch;
    hone__pool_run(pool, g->m, 4, i8_rows, (void *)g);
}
