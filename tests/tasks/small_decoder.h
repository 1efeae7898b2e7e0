/* small_decoder.h: a decoder of two layers with random weights, as families write theirs: rotary positions, heads in
 * groups, a mask that is causal with a window in the second layer, past keys and values in and out. */
#ifndef HONE_TESTS_SMALL_DECODER_H
#define HONE_TESTS_SMALL_DECODER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "exec/session.h"
#include "graph/builder.h"
#include "ops/eval.h"
#include "passes/kv_cache.h"

enum { VOCAB = 50, HEADS = 4, KV_HEADS = 2, HEAD = 8, WIDTH = HEADS * HEAD, LAYERS = 2, WINDOW = 5 };

#define EMIT(op, ...) hone__emit(b, op, "", HONE__INS(__VA_ARGS__), HONE__NO_ATTRS)

static uint32_t small_seed;

static hone__value *small_weights(hone__builder *b, const char *name, int64_t rows, int64_t columns)
{
    hone__tensor t;
    if (hone__tensor_new(HONE_F32, 2, (int64_t[]){rows, columns}, &t) != HONE_OK) return NULL;
    float *v = hone__tensor_write(&t);
    for (size_t i = 0; i < t.count; i++) {
        small_seed = small_seed * 1664525u + 1013904223u;
        v[i] = ((float)(small_seed >> 8) / 8388608.0f - 1) * 2 / sqrtf((float)rows);
    }
    return hone__emit_tensor(b, name, &t);
}

static hone__value *scalar_of(hone__builder *b, hone__value *x, int64_t axis)
{
    hone__value *d =
        hone__emit(b, "Shape", "", HONE__INS(x), HONE__ATTRS(hone__a_int("start", axis), hone__a_int("end", axis + 1)));
    return EMIT("Squeeze", d);
}

/* [B, 1, S, T]: keys up to the query's own, of these the last `window`, without padding. */
static hone__value *small_mask(hone__builder *b, hone__value *ids, hone__value *mask, int64_t window)
{
    const int64_t one_two[] = {1, 2}, last = -1;
    hone__value *t = scalar_of(b, mask, 1), *s = scalar_of(b, ids, 1), *one = hone__emit_scalar_i64(b, 1);
    hone__value *keys = EMIT("Range", hone__emit_scalar_i64(b, 0), t, one);
    hone__value *rows = EMIT("Unsqueeze", EMIT("Range", EMIT("Sub", t, s), t, one), hone__emit_i64(b, "", &last, 1));
    hone__value *seen = EMIT("LessOrEqual", keys, rows);
    if (window) seen = EMIT("And", seen, EMIT("Greater", keys, EMIT("Sub", rows, hone__emit_scalar_i64(b, window))));
    hone__value *real = hone__emit(b, "Cast", "", HONE__INS(mask), HONE__ATTRS(hone__a_int("to", HONE_BOOL)));
    return EMIT("And", EMIT("Unsqueeze", real, hone__emit_i64(b, "", one_two, 2)), seen);
}

static hone__value *small_layer(hone__builder *b, hone__value *x, hone__value *ids, hone__value *mask, hone__value *cos,
                                hone__value *sin, int layer, hone__value **present)
{
    char name[64];
    hone__value *qkv[3], *past[2], *out[3];
    int64_t batch, length;
    hone__model *m = b->graph->model;
    hone__symbol(m, "batch_size", &batch), hone__symbol(m, "past_sequence_length", &length);
    for (int i = 0; i < 3; i++) {
        qkv[i] = EMIT("MatMul", x, small_weights(b, "w", WIDTH, i ? KV_HEADS * HEAD : WIDTH));
        if (i < 2)
            qkv[i] = hone__emit(b, "RotaryEmbedding", "", HONE__INS(qkv[i], cos, sin),
                                HONE__ATTRS(hone__a_int("num_heads", i ? KV_HEADS : HEADS)));
    }
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "past_key_values.%d.%s", layer, i ? "value" : "key");
        past[i] = hone__emit_input(b, name, HONE_F32, 4, (int64_t[]){batch, KV_HEADS, length, HEAD});
    }
    hone__value *seen = small_mask(b, ids, mask, layer ? WINDOW : 0);
    hone__emit_multi(b, "Attention", "", HONE__INS(qkv[0], qkv[1], qkv[2], seen, past[0], past[1]),
                     HONE__ATTRS(hone__a_int("q_num_heads", HEADS), hone__a_int("kv_num_heads", KV_HEADS)), out, 3);
    present[0] = out[1], present[1] = out[2];
    x = EMIT("Add", x, EMIT("MatMul", out[0], small_weights(b, "o", WIDTH, WIDTH)));
    hone__value *up = EMIT("Tanh", EMIT("MatMul", x, small_weights(b, "up", WIDTH, 2 * WIDTH)));
    return EMIT("Add", x, EMIT("MatMul", up, small_weights(b, "down", 2 * WIDTH, WIDTH)));
}

static hone__model *small_decoder(void)
{
    hone__model *m;
    int64_t batch, length, total;
    const int64_t last = -1;
    assert_int_equal(hone__model_new(&m), HONE_OK);
    assert_int_equal(hone__model_set_opset(m, "", 23), HONE_OK);
    hone__builder builder = {.graph = m->graph}, *b = &builder;
    small_seed = 7;
    hone__symbol(m, "batch_size", &batch), hone__symbol(m, "sequence_length", &length);
    hone__symbol(m, "total_sequence_length", &total);
    hone__value *ids = hone__emit_input(b, "input_ids", HONE_I64, 2, (int64_t[]){batch, length}), *present[2 * LAYERS];
    hone__value *mask = hone__emit_input(b, "attention_mask", HONE_I64, 2, (int64_t[]){batch, total});
    hone__value *positions = hone__emit_input(b, "position_ids", HONE_I64, 2, (int64_t[]){batch, length});
    float turns[HEAD / 2];
    for (int i = 0; i < HEAD / 2; i++) turns[i] = 1 / powf(100, (float)i / (HEAD / 2));
    hone__value *at = hone__emit(b, "Cast", "", HONE__INS(positions), HONE__ATTRS(hone__a_int("to", HONE_F32)));
    hone__value *angle = EMIT("Mul", EMIT("Unsqueeze", at, hone__emit_i64(b, "", &last, 1)),
                              hone__emit_f32(b, "turns", turns, 1, (int64_t[]){HEAD / 2}));
    hone__value *cos = EMIT("Cos", angle), *sin = EMIT("Sin", angle);
    hone__value *x = EMIT("Gather", small_weights(b, "table", VOCAB, WIDTH), ids);
    for (int i = 0; i < LAYERS; i++) x = small_layer(b, x, ids, mask, cos, sin, i, present + 2 * i);
    hone__emit_output(b, "logits", EMIT("MatMul", x, small_weights(b, "head", WIDTH, VOCAB)));
    for (int i = 0; i < 2 * LAYERS; i++) {
        char name[64];
        snprintf(name, sizeof name, "present.%d.%s", i / 2, i % 2 ? "value" : "key");
        hone__emit_output(b, name, present[i]);
    }
    assert_int_equal(b->status, HONE_OK);
    assert_int_equal(hone__model_set_metadata(m, HONE__KEY_WINDOWS, "0 5"), HONE_OK);
    assert_int_equal(hone__graph_infer(m->graph), HONE_OK);
    assert_int_equal(hone__graph_name_all(m->graph), HONE_OK);
    assert_int_equal(hone__graph_verify(m->graph), HONE_OK);
    return m;
}

/* Scores [batch, n, VOCAB] of whole sequences, as the graph is written; the first first[b] tokens are padding. */
static inline void small_whole(const hone__model *m, const int64_t *ids, size_t batch, size_t n, const int64_t *first,
                               float *scores)
{
    hone__session *s;
    hone__session_options o = {.threads = 1, .plain = true};
    int64_t mask[256], positions[256];
    hone__tensor in[3 + 2 * LAYERS];
    const hone__tensor *list[3 + 2 * LAYERS], *out[1 + 2 * LAYERS];
    for (size_t i = 0; i < batch * n; i++) {
        int64_t at = (int64_t)(i % n) - (first ? first[i / n] : 0);
        mask[i] = at >= 0, positions[i] = at > 0 ? at : 0;
    }
    const void *data[] = {ids, mask, positions};
    for (size_t i = 0; i < 3 + 2 * LAYERS; i++) {
        in[i] = (hone__tensor){.dtype = i < 3 ? HONE_I64 : HONE_F32, .rank = i < 3 ? 2 : 4};
        in[i].dims[0] = (int64_t)batch;
        in[i].dims[1] = i < 3 ? (int64_t)n : KV_HEADS;
        if (i < 3)
            in[i].count = batch * n, in[i].bytes = in[i].count * 8, in[i].data = data[i];
        else
            in[i].dims[3] = HEAD, in[i].data = scores; /* nothing is there yet */
        list[i] = &in[i];
    }
    assert_int_equal(hone__session_create(m, &o, &s), HONE_OK);
    if (hone__session_run(s, list, 3 + 2 * LAYERS, out, 1 + 2 * LAYERS) != HONE_OK)
        fail_msg("%s", hone_error_message());
    memcpy(scores, out[0]->data, out[0]->bytes);
    hone__session_destroy(s);
}

#endif
