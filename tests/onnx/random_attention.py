"""Random cases of com.microsoft's attentions, rotary embeddings, and mixtures of experts."""
import numpy as np
from onnx import TensorProto

from case_writer import MICROSOFT, answers_in_place, answers_of, element_type, one_node

F32 = np.float32


def sizes(d):
    """batch, heads, size of a head, rows"""
    return d.size(1, 3), d.size(1, 3), d.pick(2, 4, 8, 16), d.size(1, 6)


def lengths(d, batch, most):
    return d.ints(1, most + 1, batch)


def attention(d):
    (batch, heads, size, s), inner = sizes(d), d.size(2, 20)
    width, a = heads * size, {"num_heads": heads, "unidirectional": d.size(0, 1)}
    past = d.pick(None, None, 0, 3)
    v_width = heads * d.pick(2, 4, 8) if past is None and d.maybe(0.3) else width
    if v_width != width or d.maybe(0.2):
        a["qkv_hidden_sizes"] = [width, width, v_width]
    total = s + (past or 0)
    masks = [None, d.ints(0, 2, (batch, total)), d.ints(0, 2, (batch, s, total)), lengths(d, batch, s), np.concatenate([lengths(d, batch, s), d.ints(0, 2, batch)])]
    if not a["unidirectional"]:
        masks.append(d.ints(0, 2, (batch, 1, total + 2, total + 2)))
    masks.append(d.ints(0, 2, (d.pick(1, batch), 1)))
    mask = d.pick(*masks)
    bias = d.floats(d.pick(1, batch), d.pick(1, heads), s, total) if past is None and d.maybe(0.3) else None
    if d.maybe(0.2):
        a["mask_filter_value"] = -5000.0
    if d.maybe(0.2):
        a["scale"] = 0.3
    inputs = [d.floats(batch, s, inner), d.floats(inner, 2 * width + v_width) * F32(0.3), d.floats(2 * width + v_width) if d.maybe(0.8) else None, mask,
              None if past is None else d.floats(2, batch, heads, past, size), bias]
    # ONNX Runtime 1.31 writes a cache of values that are not of the keys' size beside its place: not drawn.
    outputs = 2 if past is not None else [1] if v_width != width else d.pick([1], [1, 1])
    d.add("Attention", inputs, outputs, constant=(1, 2), **a)


def attention_beyond(d):
    """Rotary embedding, and a cache with room for all, which ONNX Runtime's CPU provider refuses: its MultiHeadAttention's answer for turned queries and keys,
    and for the part of the cache that is held."""
    (batch, heads, size, s), inner = sizes(d), d.size(2, 20)
    size, width = max(size, 4), heads * max(size, 4)
    held, turned, shared = d.size(0, 5), d.pick(0, size, size // 2), d.maybe()
    room = held + s + d.size(0, 3) if shared else held
    x, w, bias, past = d.floats(batch, s, inner), d.floats(inner, 3 * width) * F32(0.3), d.floats(3 * width), d.floats(2, batch, heads, room, size)
    mask = d.pick(None, d.ints(0, 2, (batch, held + s)))
    a = {"num_heads": heads, "domain": MICROSOFT, "unidirectional": 1 if s > 1 and d.maybe() else 0}
    q, k, v = (part.reshape(batch, s, heads, size) for part in np.split(x.astype(np.float64) @ w + bias, 3, axis=-1))
    at = (np.arange(s) + held)[:, None, None] / 10000.0 ** (np.arange(0, turned, 2) / max(turned, 1))
    half = turned // 2
    for part in (q, k) if turned else ():
        low, high = part[..., :half].copy(), part[..., half:turned].copy()
        part[..., :half], part[..., half:turned] = low * np.cos(at) - high * np.sin(at), low * np.sin(at) + high * np.cos(at)
    inputs = [part.reshape(batch, s, width).astype(F32) for part in (q, k, v)] + [None, mask, None, past[0, :, :, :held], past[1, :, :, :held]]
    y, *present = answers_of(*one_node("MultiHeadAttention", inputs, 3, **a))
    cache = past.copy() if shared else np.zeros((2, batch, heads, held + s, size), F32)
    cache[:, :, :, :held + s] = np.stack(present)
    if turned:
        a.update(do_rotary=1, **({"rotary_embedding_dim": turned} if turned != size or d.maybe() else {}))
    if shared:
        a["past_present_share_buffer"] = 1
    inputs = [x, w, bias, mask, past, None, np.array([held], np.int32) if shared else None]
    d.write("Attention", *one_node("Attention", inputs, 2, constant=(1, 2), **a), [y, cache], name=d.name)


def multi_head(d):
    batch, heads, size, s = sizes(d)
    t = s if d.maybe() else d.size(1, 7)
    v_size = d.pick(2, 4, 8) if d.maybe(0.3) else size
    a = {"num_heads": heads}
    past = d.pick(None, None, 0, 3)
    total = t + (past or 0)
    form = d.pick("rows", "rows", "rows", "heads")  # packed ones: not on ONNX Runtime's CPU provider
    if form == "heads":
        past, total = None, t
        v_size = size
    if past is not None:
        v_size = size
    query = d.floats(batch, s, heads * size)
    key = {"rows": (batch, t, heads * size), "heads": (batch, heads, t, size)}[form]
    value = {"rows": (batch, t, heads * v_size), "heads": (batch, heads, t, v_size)}[form]
    bias = d.floats(2 * heads * size + heads * v_size) if d.maybe(0.4) else None
    masks = [None, None, d.ints(0, 2, (batch, total)), d.ints(0, 2, (batch, s, total)), lengths(d, batch, total)]
    masks.append(np.concatenate([lengths(d, batch, t), np.arange(batch + 1) * s, np.arange(batch + 1) * t]).astype(np.int32))
    mask = d.pick(*masks)
    extra = d.floats(d.pick(1, batch), d.pick(1, heads), s, total) if d.maybe(0.4) else None
    if d.maybe(0.3) and t <= s:  # of more keys than queries ONNX Runtime 1.31 shows the last query all
        a["unidirectional"] = 1
    if d.maybe(0.2):
        a["scale"] = 0.4
    if d.maybe(0.2):
        a["mask_filter_value"] = -3000.0
    inputs = [query, d.floats(*key), d.floats(*value), bias, mask, extra]
    if past is not None:
        inputs += [d.floats(batch, heads, past, size), d.floats(batch, heads, past, v_size)]
    # Without present_key ONNX Runtime 1.31 forgets past_key.
    outputs = d.pick([1, 1, 1], [1, 1, 1, 1]) if past is not None else d.pick([1], [1, 1, 1], [1, 1, 1, 1], [1, 0, 0, 1])
    d.add("MultiHeadAttention", inputs, outputs, constant=[3] if d.maybe() else [], declared={3: TensorProto.FLOAT}, **a)


def packed_multi_head(d):
    """Keys and values, or all three, in one input: ONNX Runtime's answer is that of the same values apart."""
    batch, heads, size, s = sizes(d)
    triple = d.maybe()
    t = s if triple else d.size(1, 7)
    q, k, v = d.floats(batch, s, heads, size), d.floats(batch, t, heads, size), d.floats(batch, t, heads, size)
    bias, mask = d.floats(3 * heads * size) if d.maybe() else None, d.ints(0, 2, (batch, t)) if d.maybe() else None
    query, outputs = q.reshape(batch, s, -1), d.pick(1, 3)
    apart = one_node("MultiHeadAttention", [query, k.reshape(batch, t, -1), v.reshape(batch, t, -1), bias, mask], outputs, domain=MICROSOFT, num_heads=heads)
    inputs = [np.stack([q, k, v], 3), None] if triple else [query, np.stack([k, v], 3)]
    d.write("MultiHeadAttention", *one_node("MultiHeadAttention", [*inputs, None, bias, mask], outputs, domain=MICROSOFT, num_heads=heads), answers_of(*apart),
            name=d.name)


def decoder_multi_head(d):
    """One row per sequence: self attention with a cache that beams may share, or cross attention."""
    batch, heads, size, _ = sizes(d)
    beams = d.pick(1, 1, 2, 3)
    rows, room, past = batch * beams, d.size(4, 9), d.size(0, 3)
    width, a = heads * size, {"num_heads": heads}
    if d.maybe(0.25):
        t = d.size(1, 6)
        inputs = [d.floats(rows, 1, width), d.floats(rows, heads, t, size), d.floats(rows, heads, t, size), d.ints(0, 2, (rows, t)) if d.maybe() else None]
        if d.maybe():
            inputs += [None, None, None, None, None, None, d.floats(3 * width)]
        d.add("DecoderMaskedMultiHeadAttention", inputs, [1], **a)
        return
    a["past_present_share_buffer"] = 1
    if d.maybe(0.2):
        a["scale"] = 0.4
    if d.maybe(0.3):
        a["output_qk"] = 1
    mask = d.ints(0, 2, (rows, past + 1)) if d.maybe(0.4) else None
    if mask is not None:
        mask[:, -1] = 1
    bias = d.floats(1, heads, 1, past + 1) if d.maybe(0.3) else None
    inputs = [d.floats(rows, 1, width), d.floats(rows, 1, width), d.floats(rows, 1, width), mask, bias, d.floats(rows, heads, room, size),
              d.floats(rows, heads, room, size), np.array([past], np.int32)]
    shared = beams > 1 or d.maybe(0.2)
    inputs += [np.array([beams], np.int32), d.ints(0, beams, (batch, beams, room))] if shared else [None, None]
    inputs.append(d.floats(3 * width) if d.maybe(0.4) else None)
    d.add("DecoderMaskedMultiHeadAttention", inputs, [1, 1, 1, 1] if a.get("output_qk") else [1, 1, 1], declared={3: TensorProto.FLOAT}, **a)


def angles(d, most, half):
    at = d.random.uniform(0, 6.28, (most, half)).astype(F32)
    return np.cos(at), np.sin(at)


def group_query(d):
    batch, groups, size, s = d.size(1, 3), d.size(1, 3), d.pick(16, 32), d.size(1, 6)
    per, a = d.size(1, 3), {}
    heads, dtype = per * groups, d.pick(F32, F32, F32, np.float16)
    a.update(num_heads=heads, kv_num_heads=groups)
    first = d.maybe()
    past = 0 if first else d.size(1, 6)
    if not first and batch > 1:
        s = 1
    total = past + s
    room = past if d.maybe() else total + d.size(0, 3)
    counts = np.full(batch, total, np.int32)
    if batch > 1:
        counts = d.ints(1 if first else s, total + 1, batch)
        counts[d.size(0, batch - 1)] = total
    packed = d.maybe(0.3)
    query = d.floats(batch, s, (heads + 2 * groups if packed else heads) * size)
    inputs = [query, None if packed else d.floats(batch, s, groups * size), None if packed else d.floats(batch, s, groups * size)]
    cache = first and d.maybe(0.7)
    inputs += [None, None] if cache else [d.floats(batch, groups, room, size), d.floats(batch, groups, room, size)]
    inputs += [counts - 1, np.int32(total) if d.maybe() else np.array([total], np.int32)]
    if d.maybe():
        a.update(do_rotary=1, rotary_interleaved=d.size(0, 1))
        most = max(total, room) + d.size(0, 3)
        inputs += angles(d, most, size // d.pick(2, 2, size // 8))
        # Of a first prompt ONNX Runtime 1.31 counts on from the very first position: only such positions are drawn there.
        at = d.size(0, most - s) + np.tile(np.arange(s), (batch, 1)) if first else d.ints(0, most - s + 1, (batch, s))
        inputs += [at.astype(np.int64) if d.maybe(0.3) else None]
    else:
        inputs += [None, None, None]
    inputs += [d.floats(d.pick(1, batch), d.pick(1, heads), s, total) if d.maybe(0.3) else None]
    inputs += [d.floats(heads) if d.maybe(0.2) else None]
    for name, value in (("local_window_size", d.size(1, 5)), ("softcap", 5.0), ("smooth_softmax", 1), ("scale", 0.4)):
        if d.maybe(0.25):
            a[name] = value
    if first and counts.min() < s:
        a.pop("local_window_size", None)  # what queries behind a sequence's end see through a window means nothing
    if a.get("smooth_softmax") and inputs[11] is not None:
        a.pop("smooth_softmax")
    if d.maybe(0.15):
        a["causal"] = 0
    outputs = [1, 1, 1]
    if d.maybe(0.3):
        a["qk_output"] = d.size(1, 2)
        outputs.append(1)
    inputs = [v.astype(dtype) if v is not None and v.dtype == F32 else v for v in inputs]
    d.add("GroupQueryAttention", inputs, outputs, constant=d.some(7, 8), declared={3: element_type(inputs[0])}, **a)


def group_query_norms(d):
    """Queries and keys normalised per head, which ONNX Runtime's CPU provider refuses: its answer for normalised ones."""
    batch, groups, per, size, s = d.size(1, 3), d.size(1, 3), d.size(1, 3), 16, d.size(1, 6)
    heads, eps = groups * per, d.pick(1e-6, 1e-3)
    q, k, v = d.floats(batch, s, heads, size), d.floats(batch, s, groups, size), d.floats(batch, s, groups * size)
    weights, more = [d.floats(size), d.floats(size)], [None, None, np.full(batch, s - 1, np.int32), np.int32(s)]
    a = {"num_heads": heads, "kv_num_heads": groups, "domain": MICROSOFT}

    def rows(x):
        return x.reshape(batch, s, -1)

    def normed(x, w):
        return rows((x / np.sqrt((x.astype(np.float64) ** 2).mean(-1, keepdims=True) + eps) * w).astype(F32))
    answers = answers_of(*one_node("GroupQueryAttention", [normed(q, weights[0]), normed(k, weights[1]), v, *more], 3, **a))
    model = one_node("GroupQueryAttention", [rows(q), rows(k), v, *more, *[None] * 7, *weights], 3, constant=(14, 15), qk_norm_epsilon=eps, **a)
    d.write("GroupQueryAttention", *model, answers, name=d.name)


def group_query_int(d):
    """The cache in 8 or 4 bits."""
    batch, groups, size, per = d.size(1, 2), d.size(1, 2), d.pick(8, 16), d.size(1, 2)
    past, kind, bits = d.size(1, 5), d.pick("PER_TENSOR", "PER_CHANNEL"), d.pick(8, 8, 4)
    heads, s = per * groups, 1 if batch > 1 else d.size(1, 3)
    at = [1] if kind == "PER_TENSOR" else [1, groups, 1, size]
    room = past + s + d.size(0, 2)
    cache = [d.ints(-128, 128, (batch, groups, room, size), np.int8) if bits == 8 else d.ints(0, 256, (batch, groups, room, size // 2), np.uint8) for _ in range(2)]
    inputs = [d.floats(batch, s, heads * size), d.floats(batch, s, groups * size), d.floats(batch, s, groups * size), *cache, np.full(batch, past + s - 1, np.int32),
              np.int32(past + s), None, None, None, None, None, d.scales(at), d.scales(at)]
    d.add("GroupQueryAttention", inputs, 3, num_heads=heads, kv_num_heads=groups, k_quant_type=kind, v_quant_type=kind, kv_cache_bit_width=bits)


def group_query_sliding(d):
    """A cache that holds a window of the newest keys."""
    batch, groups, size, per = d.size(1, 3), d.size(1, 2), 16, d.size(1, 2)
    window = d.size(1, 5)
    room, heads, first = window + d.size(0, 4), groups * per, d.maybe(0.4)
    s = d.size(1, 14) if first or batch == 1 else 1
    counts = np.full(batch, s, np.int32) if first else s + d.ints(1, 14, batch)
    total = int(counts.max())
    inputs = [d.floats(batch, s, heads * size), d.floats(batch, s, groups * size), d.floats(batch, s, groups * size),
              d.floats(batch, groups, room, size), d.floats(batch, groups, room, size), counts - 1, np.int32(total)]
    inputs += [*angles(d, total, size // 2)] if d.maybe() else [None, None]
    rotary = {"do_rotary": 1} if inputs[7] is not None else {}
    inputs += [None, d.floats(d.pick(1, batch), d.pick(1, heads), s, total) if d.maybe(0.3) else None]
    case = one_node("GroupQueryAttention", inputs, 3, domain=MICROSOFT, num_heads=heads, kv_num_heads=groups, sliding_window_cache=1, local_window_size=window,
                    **rotary)
    answers, stretch = answers_of(*case), room - window + 1
    for b, n in enumerate(counts):  # rows behind the kept ones are not specified
        for cache in answers[1:]:
            cache[b, :, n - stretch * max(-(-(n - room) // stretch), 0):] = 0
    d.write("GroupQueryAttention", *case, answers, name=d.name)


def rotary(d):
    batch, heads, size, s = sizes(d)
    size = max(size, 4)
    most, a, dtype = s + d.size(1, 5), {"interleaved": d.size(0, 1)}, d.pick(F32, F32, np.float16)
    turned = size
    if d.maybe(0.3):
        turned = size // 2
        a.update(rotary_embedding_dim=turned, num_heads=heads)
    elif d.maybe(0.3):
        a["num_heads"] = heads
    if turned != size or d.maybe():
        x = d.floats(batch, heads, s, size) if d.maybe() else d.floats(batch, s, heads * size)
    else:
        x = d.floats(batch, s, heads * size)
    at = d.pick(np.array([d.size(0, most - s)], np.int64), d.ints(0, most, (batch, s), np.int64))
    d.add("RotaryEmbedding", [x.astype(dtype), at, *[v.astype(dtype) for v in angles(d, most, turned // 2)]], constant=d.some(2, 3), **a)


def multi_rotary(d):
    batch, heads, size, s = sizes(d)
    size = max(size, 4)
    turned = size // 2 if size > 4 and d.maybe(0.3) else size
    half, most, dtype = turned // 2, d.size(1, 9), d.pick(F32, F32, np.float16)
    a = {"interleaved": d.size(0, 1), "mrope_layout": d.size(0, 1), "num_heads": heads}
    most = max(most, s)
    if turned != size:
        a.update(rotary_embedding_dim=turned)
    if a["mrope_layout"]:
        a["mrope_section"] = [half - 2 * (half // 3), half // 3, half // 3]
    else:
        first = d.size(0, half)
        second = d.size(0, half - first)
        a["mrope_section"] = [first, second, half - first - second]
    x = d.floats(batch, heads, s, size) if turned != size and d.maybe() else d.floats(batch, s, heads * size)
    d.add("MRotaryEmbedding", [x.astype(dtype), d.ints(0, most, (3, batch, s), np.int64), *[v.astype(dtype) for v in angles(d, most, half)]], constant=d.some(2, 3), **a)


def sparse_attention(d):
    batch, groups, per, size, block = d.size(1, 2), d.size(1, 2), d.size(1, 2), 16, 16
    heads, room, layouts = groups * per, d.pick(32, 48), d.size(1, 2)
    layouts = layouts if heads % layouts == 0 else 1
    blocks = room // block
    first = d.maybe()
    past = 0 if first else d.size(1, room - 1)
    s = d.size(1, room) if first else 1
    rows, cols = [], []
    for _ in range(layouts):
        pattern = np.tril(d.ints(0, 2, (blocks, blocks))) | np.eye(blocks, dtype=np.int32)
        rows.append(np.concatenate([[0], np.cumsum(pattern.sum(axis=1))]))
        cols.append(np.concatenate([np.nonzero(r)[0] for r in pattern]))
    width = max(len(c) for c in cols)
    cols = np.array([np.pad(c, (0, width - len(c)), constant_values=-1) for c in cols], np.int32)
    total = past + s
    packed = d.maybe(0.3)
    inputs = [d.floats(batch, s, (heads + 2 * groups if packed else heads) * size)] + ([None, None] if packed else [d.floats(batch, s, groups * size) for _ in range(2)])
    inputs += [d.floats(batch, groups, room, size), d.floats(batch, groups, room, size), np.array(rows, np.int32), cols, np.array([total], np.int32)]
    counts = np.full(batch, total, np.int32)
    if not first:
        counts[1:] = d.ints(s, total + 1, batch - 1)
    inputs.append(counts)
    a = {"num_heads": heads, "kv_num_heads": groups, "sparse_block_size": block}
    if d.maybe(0.4):
        a.update(do_rotary=1, rotary_interleaved=d.size(0, 1))
        inputs += angles(d, room, size // 2)
    # Of sequences of different lengths ONNX Runtime 1.31 reads the scores of shorter ones beside their place: each alone, then.
    each = [inputs] if counts.min() == total else [
        [v if v is None or k in (5, 6) or k > 8 else counts[b:b + 1] if k == 7 else v[b:b + 1] for k, v in enumerate(inputs)] for b in range(batch)]
    answers = [answers_in_place(*one_node("SparseAttention", part, 3, domain=MICROSOFT, **a), {"i3": "o1", "i4": "o2"}) for part in each]
    d.write("SparseAttention", *one_node("SparseAttention", inputs, 3, domain=MICROSOFT, **a), [np.concatenate(v) for v in zip(*answers)], name=d.name)


def experts(d):
    rows, hidden, inter, count = d.size(1, 6), d.pick(4, 8), d.pick(4, 8), d.size(2, 5)
    kind = d.pick("relu", "gelu", "silu", "identity", "swiglu")
    fused = 1 if kind == "swiglu" else 0
    wide = 2 * inter if kind == "swiglu" else inter
    a = {"activation_type": kind, "k": d.size(1, min(2, count)), "normalize_routing_weights": d.size(0, 1), "swiglu_fusion": fused}
    if kind == "swiglu" and d.maybe():
        a.update(activation_alpha=1.702, activation_beta=1.0, swiglu_limit=7.0)
    bias = d.maybe()
    shape = [rows, hidden] if d.maybe() else [1, rows, hidden]
    inputs = [d.floats(*shape), d.floats(rows, count), d.floats(count, wide, hidden), d.floats(count, wide) if bias else None, d.floats(count, hidden, inter),
              d.floats(count, hidden) if bias else None]
    d.add("MoE", inputs, constant=(2, 3, 4, 5), **a)


def experts_apart(d):
    """Gates and values one behind the other, or in two layers, which ONNX Runtime's CPU provider refuses: its answer for them interleaved."""
    rows, hidden, inter, count = d.size(1, 6), d.pick(4, 8), d.pick(4, 8), d.size(2, 5)
    x, router, gates, values = d.floats(rows, hidden), d.floats(rows, count), d.floats(count, inter, hidden), d.floats(count, inter, hidden)
    biases, second = [d.floats(count, inter), d.floats(count, inter)], [d.floats(count, hidden, inter), d.floats(count, hidden)]
    a = {"activation_type": "swiglu", "k": d.size(1, 2), "normalize_routing_weights": d.size(0, 1), "activation_alpha": 1.5, "activation_beta": 0.5, "domain": MICROSOFT}
    between = [np.stack([gates, values], 2).reshape(count, -1, hidden), np.stack(biases, 2).reshape(count, -1)]
    answers = answers_of(*one_node("MoE", [x, router, *between, *second], swiglu_fusion=1, **a))
    if d.maybe():
        model = one_node("MoE", [x, router, np.concatenate([gates, values], 1), np.concatenate(biases, 1), *second], swiglu_fusion=2, **a)
    else:
        model = one_node("MoE", [x, router, gates, biases[0], *second, values, biases[1]], swiglu_fusion=0, **a)
    d.write("MoE", *model, answers, name=d.name)


def quantised_experts(d):
    rows, hidden, inter, count, bits = d.size(1, 6), d.pick(32, 64), d.pick(32, 64), d.size(2, 4), d.pick(4, 8)
    kind = d.pick("relu", "gelu", "silu", "identity", "swiglu")
    wide, pack = (2 * inter if kind == "swiglu" else inter), 8 // bits
    a = {"activation_type": kind, "k": d.size(1, 2), "normalize_routing_weights": d.size(0, 1), "swiglu_fusion": int(kind == "swiglu"), "expert_weight_bits": bits}
    if kind == "swiglu" and d.maybe():
        a.update(activation_alpha=1.702, activation_beta=1.0, swiglu_limit=7.0)
    blocks = d.maybe(0.4)
    if blocks:
        a["block_size"] = 16
    at = [[count, wide, hidden // 16], [count, hidden, inter // 16]] if blocks else [[count, wide], [count, hidden]]
    bias, zeros = d.maybe(), d.maybe(0.4)
    zero_at = [[count, wide, -(-hidden // 16 // pack)], [count, hidden, -(-inter // 16 // pack)]] if blocks else [[count, wide // pack], [count, hidden // pack]]
    dtype = d.pick(F32, F32, np.float16)
    inputs = [d.floats(rows, hidden), d.floats(rows, count), d.ints(0, 256, (count, wide, hidden // pack), np.uint8), d.scales(at[0]) * F32(0.1),
              d.floats(count, wide) if bias else None, d.ints(0, 256, (count, hidden, inter // pack), np.uint8), d.scales(at[1]) * F32(0.1),
              d.floats(count, hidden) if bias else None, None, None, None]
    inputs += [d.ints(0, 256, z, np.uint8) if zeros else None for z in zero_at] + [None, np.abs(d.floats(rows, count)) + F32(0.1) if d.maybe(0.3) else None]
    case = one_node("QMoE", [v.astype(dtype) if v is not None and v.dtype == F32 else v for v in inputs], constant=range(2, 13), domain=MICROSOFT, **a)
    answers = answers_of(*case)
    # Of 8 bits in blocks ONNX Runtime 1.31 rounds the activations to bytes.
    d.write("QMoE", *case, answers, name=d.name, slack=0.02 * float(np.abs(answers[0].astype(F32)).max()) if blocks and bits == 8 else 0.0)


GENERATORS = {
    "Attention": attention, "Attention beyond": attention_beyond, "MultiHeadAttention": multi_head, "MultiHeadAttention of packed inputs": packed_multi_head, "DecoderMaskedMultiHeadAttention": decoder_multi_head,
    "GroupQueryAttention": group_query, "GroupQueryAttention with norms": group_query_norms,
    "GroupQueryAttention in bits": group_query_int, "GroupQueryAttention sliding": group_query_sliding, "RotaryEmbedding": rotary, "MRotaryEmbedding": multi_rotary,
    "MoE": experts, "MoE apart": experts_apart, "QMoE": quantised_experts, "SparseAttention": sparse_attention,
}
