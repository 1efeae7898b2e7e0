#!/usr/bin/env python3
"""Writes cases with ONNX Runtime's answers: recurrent operators in random settings, and operators of com.microsoft, for
which the `onnx` package has no cases.

Usage: make_runtime_cases.py OUT [--seed N]
Each becomes OUT/runtime/<operator>_<n>/ in ONNX's test layout, with a tolerance relative to its largest value."""
import argparse
import itertools

import numpy as np
import onnxruntime

from case_writer import MICROSOFT, Writer

ACTIVATIONS = {"Relu": 0, "Tanh": 0, "Sigmoid": 0, "Softsign": 0, "LeakyRelu": 1, "ThresholdedRelu": 1, "Elu": 1,
               "ScaledTanh": 2, "HardSigmoid": 2, "Affine": 2}


def recurrent(w):
    gates, kinds = {"LSTM": 4, "GRU": 3, "RNN": 1}, {"LSTM": 3, "GRU": 2, "RNN": 1}
    for op, direction, variant in itertools.product(gates, ("forward", "reverse", "bidirectional"), range(4)):
        steps, batch, size, hidden = (int(v) for v in w.random.integers(1, (8, 5, 7, 12)))
        d, g = 2 if direction == "bidirectional" else 1, gates[op]
        a = {"hidden_size": hidden, "direction": direction}
        if variant == 1:
            a["clip"] = 0.6
        if variant >= 2:
            names = [str(v) for v in w.random.choice(list(ACTIVATIONS), kinds[op] * d)]
            a["activations"] = names
            alpha = [float(v) for v in w.random.uniform(0.1, 0.6, sum(ACTIVATIONS[n] > 0 for n in names))]
            beta = [float(v) for v in w.random.uniform(0.1, 0.6, sum(ACTIVATIONS[n] > 1 for n in names))]
            a.update({k: v for k, v in (("activation_alpha", alpha), ("activation_beta", beta)) if v})
        if op == "GRU" and variant % 2:
            a["linear_before_reset"] = 1
        lengths = w.random.integers(1, steps + 1, batch).astype(np.int32) if variant % 2 else None
        inputs = [w.floats(steps, batch, size), w.floats(d, g * hidden, size) * 0.5, w.floats(d, g * hidden, hidden) * 0.3,
                  w.floats(d, 2 * g * hidden) if variant else None, lengths, w.floats(d, batch, hidden) if variant > 1 else None]
        if op == "LSTM":
            inputs += [w.floats(d, batch, hidden) if variant > 1 else None, w.floats(d, 3 * hidden) if variant == 3 else None]
        w.add(op, inputs, 3 if op == "LSTM" else 2, constant=(1, 2, 3, 7), **a)


def products(w):
    for ta, tb in itertools.product((0, 1), (0, 1)):
        a, b = w.floats(2, 3, *((5, 4) if ta else (4, 5))), w.floats(3, *((6, 5) if tb else (5, 6)))
        w.add("FusedMatMul", [a, b], domain=MICROSOFT, alpha=0.5, transA=ta, transB=tb)
    for dtype in (np.uint8, np.int8):
        low, high = (0, 256) if dtype == np.uint8 else (-64, 64) # no sum of two products that 16 bits do not hold
        def draw(*shape, low=low, high=high, dtype=dtype):
            return w.random.integers(low, high, shape).astype(dtype)
        b, x = draw(16, 12), w.random.integers(0, 256, (5, 16)).astype(np.uint8)
        w.add("DynamicQuantizeMatMul", [w.floats(2, 5, 16), b, w.scales(12), draw(12), w.floats(12)], domain=MICROSOFT, constant=(1, 2, 3, 4))
        w.add("DynamicQuantizeMatMul", [w.floats(7, 16), b, np.float32(0.02)], domain=MICROSOFT, constant=(1, 2))
        w.add("MatMulIntegerToFloat", [x, b, np.float32(0.03), w.scales(12), np.uint8(120), draw(12), w.floats(12)], domain=MICROSOFT, constant=(1, 3, 5, 6))
        c = w.random.integers(-500, 500, 12).astype(np.int32)
        w.add("QGemm", [x, np.float32(0.03), np.uint8(120), b, w.scales(12), np.zeros(12, dtype), c, np.float32(0.3), np.uint8(130)], domain=MICROSOFT, constant=range(1, 9))
        w.add("QGemm", [x.T, np.float32(0.03), np.uint8(120), draw(12, 16), np.float32(0.01), dtype(5)], domain=MICROSOFT, transA=1, transB=1, constant=range(1, 6))
        quantised(w, draw, dtype(draw(1)[0]), dtype(draw(1)[0]))
    for name, parameters in (("Relu", []), ("LeakyRelu", [0.2]), ("Clip", [-0.5, 0.5]), ("Sigmoid", []), ("Tanh", []), ("HardSigmoid", [0.3, 0.4])):
        a = {"activation_params": parameters} if parameters else {}
        w.add("FusedConv", [w.floats(1, 4, 7, 7), w.floats(5, 4, 3, 3), w.floats(5)], domain=MICROSOFT, pads=[1] * 4, constant=(1, 2), activation=name, **a)
    w.add("FusedConv", [w.floats(1, 4, 7, 7), w.floats(5, 4, 3, 3), w.floats(5), w.floats(1, 5, 7, 7)], domain=MICROSOFT, pads=[1] * 4, constant=(1, 2), activation="Relu")


def quantised(w, draw, z, y):
    f = np.float32
    w.add("QLinearAdd", [draw(2, 3, 4), f(0.05), z, draw(3, 4), f(0.02), y, f(0.06), z], domain=MICROSOFT, constant=(1, 2, 4, 5, 6, 7))
    w.add("QLinearMul", [draw(2, 3, 4), f(0.05), z, draw(2, 3, 4), f(0.02), y, f(0.5), z], domain=MICROSOFT, constant=(1, 2, 4, 5, 6, 7))
    w.add("QLinearSigmoid", [draw(4, 9), f(0.05), z, f(1 / 256), y], domain=MICROSOFT, constant=(1, 2, 3, 4))
    w.add("QLinearLeakyRelu", [draw(4, 9), f(0.05), z, f(0.04), y], domain=MICROSOFT, alpha=0.1, constant=(1, 2, 3, 4))
    for last in (0, 1):
        x = draw(2, 7, 8, 3) if last else draw(2, 3, 7, 8)
        w.add("QLinearAveragePool", [x, f(0.05), z, f(0.04), y], domain=MICROSOFT, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1],
              count_include_pad=last, channels_last=last, constant=(1, 2, 3, 4))
        w.add("QLinearGlobalAveragePool", [x, f(0.05), z, f(0.04), y], domain=MICROSOFT, channels_last=last, constant=(1, 2, 3, 4))
    w.add("QLinearConcat", [f(0.04), y, draw(2, 3, 4), f(0.05), z, draw(2, 5, 4), f(0.03), y], domain=MICROSOFT, axis=1, constant=(0, 1, 3, 4, 6, 7))


def transformers(w):
    for op, bias in (("BiasGelu", 1), ("FastGelu", 1), ("FastGelu", 0), ("QuickGelu", 0), ("Gelu", 0)):
        w.add(op, [w.floats(3, 4, 16)] + [w.floats(16)] * bias, domain=MICROSOFT)
    w.add("SkipLayerNormalization", [w.floats(2, 5, 16), w.floats(2, 5, 16), w.floats(16), w.floats(16), w.floats(16)], [1, 0, 0, 1], domain=MICROSOFT, epsilon=1e-5)
    w.add("SkipLayerNormalization", [w.floats(2, 5, 16), w.floats(5, 16), w.floats(16), w.floats(16)], domain=MICROSOFT, epsilon=1e-5)
    w.add("SkipSimplifiedLayerNormalization", [w.floats(2, 5, 16), w.floats(2, 5, 16), w.floats(16)], [1, 0, 0, 1], domain=MICROSOFT, epsilon=1e-5)
    ids, mask = w.random.integers(0, 20, (2, 6)).astype(np.int32), np.ones((2, 6), np.int32)
    mask[1, 4:] = 0
    tables = [w.floats(20, 16), w.floats(10, 16), w.floats(2, 16), w.floats(16), w.floats(16)]
    w.add("EmbedLayerNormalization", [ids, np.zeros((2, 6), np.int32), *tables, mask], 2, domain=MICROSOFT, constant=range(2, 7))
    w.add("EmbedLayerNormalization", [ids, None, *tables[:2], None, *tables[3:]], 2, domain=MICROSOFT, constant=range(2, 7))
    masks = (None, np.array([[1] * 5, [1, 1, 1, 0, 0]], np.int32), np.array([5, 3], np.int32), np.tril(np.ones((2, 5, 5), np.int32)))
    for causal, m in itertools.product((0, 1), masks):
        w.add("Attention", [w.floats(2, 5, 16), w.floats(16, 96) * 0.3, w.floats(96), m], domain=MICROSOFT, num_heads=4, unidirectional=causal, constant=(1, 2))
    w.add("Attention", [w.floats(2, 5, 16), w.floats(16, 96) * 0.3, w.floats(96), np.ones((2, 8), np.int32), w.floats(2, 2, 4, 3, 8)], 2,
          domain=MICROSOFT, num_heads=4, unidirectional=1, constant=(1, 2))
    for bits, zeros in itertools.product((4, 8), (0, 1)):
        data, z = w.random.integers(0, 256, (10, 64 * bits // 8)).astype(np.uint8), w.random.integers(0, 256, (10, 2 * bits // 8)).astype(np.uint8)
        w.add("GatherBlockQuantized", [data, w.random.integers(0, 10, (2, 3)), w.scales((10, 2)), z if zeros else None], domain=MICROSOFT, bits=bits,
              block_size=32, gather_axis=0, quantize_axis=1, constant=(0, 2, 3))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    onnxruntime.set_default_logger_severity(4)
    writer = Writer(args.out, seed=args.seed)
    recurrent(writer)
    products(writer)
    transformers(writer)
    print("runtime:", sum(n + 1 for n in writer.counts.values()), "cases")


if __name__ == "__main__":
    main()
