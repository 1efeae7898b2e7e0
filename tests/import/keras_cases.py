"""Small Keras models, one per layer and setting, with fixed weights and inputs. `cases(keras)` works with Keras 3 and with
tf_keras; make_cases.py stores some of them, live_keras.py compares all of them."""
import numpy as np


# Texts that tell what Keras does with case, punctuation, white space, what it does not know, and nothing at all.
KNOWN = ["The cat sat!", " ", "", "THE\tmat,the  cat", "\u00c9t\u00e9 \u00e9t\u00e9 \u00e0\u00a0b", "cat\nsat\rb; b..", "dog", "the", "cat", "sat", "#$% '-_", "a-b (the) cat sat the cat sat"]


def randomize(model, rng):
    """Weights that hide nothing: no zeros in biases, statistics away from 0 and 1."""
    out = []
    for w in model.get_weights():
        if w.dtype.kind != "f":
            out.append(w)
            continue
        v = rng.standard_normal(w.shape).astype(w.dtype)
        scale = 1.0 / np.sqrt(max(np.prod(w.shape[:-1]), 1)) if w.ndim > 1 else 0.3
        out.append(v * scale)
    model.set_weights(out)
    for layer in flat_layers(model):
        for name in ("moving_variance", "variance"):
            v = getattr(layer, name, None)
            if v is not None and hasattr(v, "assign"):
                v.assign(0.5 + rng.random(v.shape).astype("float32"))


def flat_layers(model):
    for layer in getattr(model, "layers", []):
        yield layer
        yield from flat_layers(layer)
        if hasattr(layer, "layer"):
            yield layer.layer
            yield from flat_layers(layer.layer)


def single(K, layer, shape, dtype="float32", batch=None):
    x = K.Input(shape, dtype=dtype, name="x", batch_size=batch)
    return K.Model(x, layer(x))


def cases(K):
    """name -> function returning (model, [input shapes or arrays])"""
    L, v3 = K.layers, K.__version__[0] == "3"
    c = {}

    def add(name, layer, shape, **kw):
        c[name] = lambda: single(K, layer(), shape, **kw)

    def model(name):
        def wrap(fn):
            c[name] = fn
            return fn
        return wrap

    # dense and activations
    add("dense", lambda: L.Dense(5), (7,))
    add("dense_3d_relu", lambda: L.Dense(5, activation="relu", use_bias=False), (4, 7))
    names = ["elu", "softmax", "selu", "softplus", "softsign", "relu", "tanh", "sigmoid", "exponential", "hard_sigmoid",
             "linear", "swish", "gelu"]
    if v3:
        names += ["silu", "mish", "relu6", "leaky_relu", "log_softmax", "celu", "glu", "hard_silu", "hard_tanh",
                  "hard_shrink", "soft_shrink", "tanh_shrink", "squareplus", "sparse_plus", "sparse_sigmoid", "sparsemax",
                  "log_sigmoid"]
    for a in names:
        add("act_" + a, lambda a=a: L.Activation(a), (3, 8))
        add("act4_" + a, lambda a=a: L.Conv2D(8, 1, activation=a), (4, 3, 2))
    add("relu_full", lambda: L.ReLU(max_value=1.2, negative_slope=0.1, threshold=0.3), (9,))
    add("relu_max", lambda: L.ReLU(max_value=1.0), (9,))
    add("leaky", lambda: L.LeakyReLU(0.15), (9,))
    add("elu_layer", lambda: L.ELU(0.7), (9,))
    add("prelu", lambda: L.PReLU(), (4, 3))
    add("prelu_shared", lambda: L.PReLU(shared_axes=[1, 2]), (4, 3, 2))
    add("softmax_axis", lambda: L.Softmax(axis=1), (4, 3))
    add("softmax_axes", lambda: L.Softmax(axis=[1, 2]), (4, 3))
    add("act_object", lambda: L.Dense(4, activation=L.LeakyReLU(0.3)), (5,))
    if not v3:
        add("thresholded", lambda: L.ThresholdedReLU(0.4), (9,))

    # convolutions
    for pad in ("same", "valid"):
        for s in (1, 2, 3):
            add(f"conv2d_{pad}_{s}", lambda pad=pad, s=s: L.Conv2D(4, (3, 2), strides=s, padding=pad), (9, 8, 3))
            add(f"conv1d_{pad}_{s}", lambda pad=pad, s=s: L.Conv1D(4, 4, strides=s, padding=pad), (11, 3))
            add(f"depthwise2d_{pad}_{s}", lambda pad=pad, s=s: L.DepthwiseConv2D(3, strides=s, padding=pad, depth_multiplier=2), (9, 8, 3))
            add(f"separable2d_{pad}_{s}", lambda pad=pad, s=s: L.SeparableConv2D(5, 3, strides=s, padding=pad, depth_multiplier=2), (9, 8, 3))
            for k in (2, 3, 5):
                add(f"conv2dt_{pad}_{s}_{k}", lambda pad=pad, s=s, k=k: L.Conv2DTranspose(4, k, strides=s, padding=pad), (5, 4, 3))
            add(f"conv1dt_{pad}_{s}", lambda pad=pad, s=s: L.Conv1DTranspose(4, 3, strides=s, padding=pad), (5, 3))
        add(f"conv3d_{pad}", lambda pad=pad: L.Conv3D(4, (2, 3, 2), strides=(1, 2, 1), padding=pad, activation="relu"), (5, 6, 4, 2))
        add(f"conv3dt_{pad}", lambda pad=pad: L.Conv3DTranspose(4, (2, 3, 2), strides=(1, 2, 1), padding=pad), (3, 4, 2, 2))
        add(f"conv2d_dilated_{pad}", lambda pad=pad: L.Conv2D(4, 3, dilation_rate=2, padding=pad, use_bias=False), (9, 8, 3))
        add(f"depthwise_dilated_{pad}", lambda pad=pad: L.DepthwiseConv2D(3, dilation_rate=(2, 2), padding=pad), (9, 8, 3))
        add(f"separable1d_{pad}", lambda pad=pad: L.SeparableConv1D(5, 3, strides=2, padding=pad, activation="tanh"), (9, 3))
        if v3:
            add(f"depthwise1d_{pad}", lambda pad=pad: L.DepthwiseConv1D(3, strides=2, padding=pad), (9, 3))
    add("conv2dt_outpad", lambda: L.Conv2DTranspose(4, 3, strides=2, padding="same", output_padding=1), (5, 4, 3))
    add("conv2dt_outpad_valid", lambda: L.Conv2DTranspose(4, 3, strides=3, padding="valid", output_padding=1), (5, 4, 3))
    add("conv1d_causal", lambda: L.Conv1D(4, 3, padding="causal", dilation_rate=2), (9, 3))
    add("conv1d_causal_stride", lambda: L.Conv1D(4, 3, padding="causal", strides=2), (9, 3))
    add("conv2d_groups", lambda: L.Conv2D(6, 3, groups=3, padding="same"), (6, 6, 3))
    add("conv1d_unknown", lambda: L.Conv1D(4, 3, padding="same"), (None, 3))
    add("conv1d_unknown_stride", lambda: L.Conv1D(4, 3, padding="same", strides=2), (None, 3))
    add("conv2d_one_channel", lambda: L.Conv2D(4, 3, padding="same", activation="relu"), (8, 7, 1))
    add("conv2d_big", lambda: L.Conv2D(4, 5, strides=4, padding="same"), (3, 3, 2))

    # pooling
    for kind in ("Max", "Average"):
        for pad in ("same", "valid"):
            for s in (None, 1, 2):
                add(f"{kind}2d_{pad}_{s}".lower(), lambda kind=kind, pad=pad, s=s: getattr(L, kind + "Pooling2D")((3, 2), strides=s, padding=pad), (8, 7, 3))
            add(f"{kind}1d_{pad}".lower(), lambda kind=kind, pad=pad: getattr(L, kind + "Pooling1D")(3, strides=2, padding=pad), (8, 3))
            add(f"{kind}3d_{pad}".lower(), lambda kind=kind, pad=pad: getattr(L, kind + "Pooling3D")(2, padding=pad), (5, 6, 4, 2))
        for d, shape in ((1, (6, 3)), (2, (5, 4, 3)), (3, (3, 4, 2, 3))):
            for keep in (False, True):
                add(f"global{kind}{d}d_{keep}".lower(), lambda kind=kind, d=d, keep=keep: getattr(L, f"Global{kind}Pooling{d}D")(keepdims=keep), shape)
        if v3:
            for d, shape, size in ((1, (8, 3), 3), (2, (8, 6, 3), (4, 4)), (3, (4, 6, 4, 2), (2, 3, 2)), (2, (8, 6, 3), 2)):
                add(f"adaptive{kind}{d}d_{size}".lower(), lambda kind=kind, d=d, size=size: getattr(L, f"Adaptive{kind}Pooling{d}D")(size), shape)

    # normalisation
    for shape in ((7,), (5, 7), (5, 4, 7), (3, 5, 4, 7)):
        add(f"batchnorm_{len(shape)}", lambda: L.BatchNormalization(), shape)
        add(f"layernorm_{len(shape)}", lambda: L.LayerNormalization(), shape)
    add("batchnorm_axis1", lambda: L.BatchNormalization(axis=1), (5, 4, 7))
    add("batchnorm_axis2", lambda: L.BatchNormalization(axis=2), (5, 4, 7))
    if not v3:
        add("batchnorm_axes", lambda: L.BatchNormalization(axis=[1, 3]), (5, 4, 7))
        add("batchnorm_axes_plain", lambda: L.BatchNormalization(axis=[1, 2], scale=False), (5, 4))
    add("batchnorm_plain", lambda: L.BatchNormalization(center=False, scale=False, epsilon=0.01), (5, 4, 7))
    add("layernorm_axes", lambda: L.LayerNormalization(axis=[1, 2]), (5, 4, 7))
    add("layernorm_middle", lambda: L.LayerNormalization(axis=2), (5, 4, 7))
    add("layernorm_nocenter", lambda: L.LayerNormalization(center=False, epsilon=1e-5), (5, 7))
    add("layernorm_noscale", lambda: L.LayerNormalization(scale=False), (5, 7))
    add("unitnorm", lambda: L.UnitNormalization(), (5, 7))
    add("unitnorm_axes", lambda: L.UnitNormalization(axis=[1, 2]), (5, 7))
    for axis, shape in ((-1, (4, 5, 6)), (1, (6, 5)), (-1, (6,)), (-1, (5, 6))):
        add(f"groupnorm_{axis}_{len(shape)}", lambda axis=axis: L.GroupNormalization(3, axis=axis), shape)
    if v3:
        add("groupnorm_between", lambda: L.GroupNormalization(3, axis=2), (4, 6, 5))
        add("groupnorm_instance", lambda: L.GroupNormalization(-1), (4, 5, 6))
        add("rmsnorm", lambda: L.RMSNormalization(), (5, 7))
        add("rmsnorm_inside", lambda: L.RMSNormalization(axis=1), (6, 6))
        add("rmsnorm_axes", lambda: L.RMSNormalization(axis=[1, 2]), (5, 7))
        add("spectral", lambda: L.SpectralNormalization(L.Conv2D(3, 3)), (6, 6, 2))
        add("spectral_dense", lambda: L.SpectralNormalization(L.Dense(3)), (6,))
        add("spectral_frozen", lambda: L.SpectralNormalization(L.Dense(3), trainable=False), (6,))

    # shape
    add("flatten", lambda: L.Flatten(), (3, 4, 2))
    add("reshape", lambda: L.Reshape((4, -1)), (3, 4, 2))
    add("reshape_full", lambda: L.Reshape((6, 2, 2)), (3, 4, 2))
    add("permute", lambda: L.Permute((3, 1, 2)), (3, 4, 2))
    add("repeat", lambda: L.RepeatVector(3), (5,))
    for d, shape in ((1, (6, 3)), (2, (5, 6, 3)), (3, (4, 5, 6, 2))):
        p = ((1, 2),) * d if d > 1 else (1, 2)
        add(f"zeropad{d}d", lambda d=d, p=p: getattr(L, f"ZeroPadding{d}D")(p), shape)
        add(f"zeropad{d}d_one", lambda d=d: getattr(L, f"ZeroPadding{d}D")(2), shape)
        add(f"crop{d}d", lambda d=d, p=p: getattr(L, f"Cropping{d}D")(p), shape)
        add(f"crop{d}d_one", lambda d=d: getattr(L, f"Cropping{d}D")(1), shape)
        add(f"upsample{d}d", lambda d=d: getattr(L, f"UpSampling{d}D")(2), shape)
    for method in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"):
        add(f"upsample_{method}", lambda method=method: L.UpSampling2D((2, 3), interpolation=method), (5, 6, 3))
    add("crop_begin", lambda: L.Cropping2D(((1, 0), (0, 2))), (5, 6, 3))

    for kind in ("Max", "Average"):
        @model(f"pad_then_{kind}pool".lower())
        def make(kind=kind):
            x = K.Input((6, 5, 3), name="x")
            y = L.ZeroPadding2D(1)(L.Conv2D(3, 1)(x))
            return K.Model(x, [getattr(L, kind + "Pooling2D")(3, strides=2)(y), L.Conv2D(2, 3)(y)])

    # nothing at inference
    for name, layer in (("dropout", lambda: L.Dropout(0.5)), ("noise", lambda: L.GaussianNoise(1.0)), ("gdrop", lambda: L.GaussianDropout(0.5)),
                        ("spatialdrop", lambda: L.SpatialDropout1D(0.5)), ("regular", lambda: L.ActivityRegularization(0.1))):
        add(name, layer, (5, 3))
    add("random_flip", lambda: L.RandomFlip(), (5, 4, 3))
    add("random_rotation", lambda: L.RandomRotation(0.1), (5, 4, 3))

    # merging
    def merge(name, layer, *shapes):
        def make():
            xs = [K.Input(s, name=f"x{i}") for i, s in enumerate(shapes)]
            return K.Model(xs, layer()(xs))
        c[name] = make
    for m in ("Add", "Multiply", "Average", "Maximum", "Minimum"):
        merge(m.lower() + "_3", lambda m=m: getattr(L, m)(), (4, 3), (4, 3), (4, 3))
        merge(m.lower() + "_broadcast", lambda m=m: getattr(L, m)(), (4, 5, 3), (4, 1, 3))
        merge(m.lower() + "_rank", lambda m=m: getattr(L, m)(), (4, 3), (3,))
    merge("subtract", lambda: L.Subtract(), (4, 3), (4, 3))
    for axis in (1, 2, 3, -1):
        shapes = [[4, 5, 3], [4, 5, 3]]
        shapes[1][axis - 1 if axis > 0 else axis] += 2
        merge(f"concat_{axis}", lambda axis=axis: L.Concatenate(axis=axis), *[tuple(s) for s in shapes])
    merge("dot_22", lambda: L.Dot(1), (4,), (4,))
    merge("dot_22n", lambda: L.Dot(1, normalize=True), (4,), (4,))
    merge("dot_33", lambda: L.Dot((2, 1)), (4, 3), (3, 5))
    merge("dot_33b", lambda: L.Dot(2), (4, 3), (5, 3))
    merge("dot_32", lambda: L.Dot((2, 1)), (4, 3), (3,))
    merge("dot_23", lambda: L.Dot((1, 2), normalize=True), (3,), (4, 3))

    # recurrent
    for cell in ("LSTM", "GRU", "SimpleRNN"):
        cls = getattr(L, cell)
        low = cell.lower()
        add(low, lambda cls=cls: cls(5), (6, 4))
        add(low + "_seq", lambda cls=cls: cls(5, return_sequences=True, use_bias=False), (6, 4))
        add(low + "_back", lambda cls=cls: cls(5, go_backwards=True), (6, 4))
        add(low + "_backseq", lambda cls=cls: cls(5, go_backwards=True, return_sequences=True), (6, 4))
        add(low + "_state", lambda cls=cls: cls(5, return_state=True, return_sequences=True), (6, 4))
        add(low + "_stateful", lambda cls=cls: cls(5, stateful=True), (6, 4), batch=2)
        add(low + "_unroll", lambda cls=cls: cls(5, unroll=True), (6, 4))
        add(low + "_relu", lambda cls=cls: cls(5, activation="relu"), (6, 4))
        add(low + "_elu", lambda cls=cls: cls(5, activation="elu", return_sequences=True), (6, 4))
        add(low + "_unknown", lambda cls=cls: cls(5), (None, 4))
        for mode in ("concat", "sum", "mul", "ave", None):
            add(f"bi{low}_{mode}", lambda cls=cls, mode=mode: L.Bidirectional(cls(3, return_sequences=True), merge_mode=mode), (6, 4))
        add(f"bi{low}_last", lambda cls=cls: L.Bidirectional(cls(3)), (6, 4))
        add(f"bi{low}_state", lambda cls=cls: L.Bidirectional(cls(3, return_state=True)), (6, 4))

        @model(low + "_initial")
        def make(cls=cls, low=low):
            x, s = K.Input((6, 4), name="x"), [K.Input((5,), name=f"s{i}") for i in range(2 if low == "lstm" else 1)]
            return K.Model([x] + s, cls(5)(x, initial_state=s))

        for zero in (False, True):
            @model(f"{low}_masked_{zero}")
            def make(cls=cls, zero=zero):
                x = K.Input((6,), dtype="int32", name="x")
                y = L.Embedding(4, 3, mask_zero=True)(x)
                kw = {"zero_output_for_mask": True} if zero else {}
                a, b = cls(5, return_sequences=True, **kw)(y), cls(4)(y)
                return K.Model(x, [a, b, L.Bidirectional(cls(3, return_sequences=True))(y), L.Bidirectional(cls(3))(y)])

        for mode, kw in (("turned", {"return_sequences": True}), ("turned_last", {"return_state": True})):
            add(f"bi{low}_{mode}", lambda cls=cls, kw=kw: L.Bidirectional(cls(3, go_backwards=True, **kw), backward_layer=cls(3, **kw)), (6, 4))
        if not v3 and cell != "SimpleRNN":
            add(low + "_time_major", lambda cls=cls: cls(5, time_major=True, return_sequences=True), (6, 4), batch=3)
            add(f"bi{low}_time_major", lambda cls=cls: L.Bidirectional(cls(5, time_major=True, return_sequences=True)), (6, 4), batch=3)
        @model(f"bi{low}_masked_unroll")
        def make(cls=cls):
            x = K.Input((6,), dtype="int32", name="x")
            y = L.Embedding(4, 3, mask_zero=True)(x)
            return K.Model(x, [L.Bidirectional(cls(3, return_sequences=True, unroll=True))(y), L.Bidirectional(cls(3, unroll=True))(y)])

        add(low + "_cell", lambda cell=cell: L.RNN(getattr(L, cell + "Cell")(5), return_sequences=True), (6, 4))
    if "gru_seq" in c:
        add("gru_before", lambda: L.GRU(5, reset_after=False), (6, 4))
        add("gru_before_elu", lambda: L.GRU(5, reset_after=False, activation="elu"), (6, 4))
        add("lstm_hard", lambda: L.LSTM(5, recurrent_activation="hard_sigmoid"), (6, 4))
    add("stacked_cells", lambda: L.RNN(L.StackedRNNCells([L.LSTMCell(5), L.LSTMCell(4), L.GRUCell(3)])), (6, 4))
    for kind in ("Add", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"):
        @model(f"merge_masked_{kind}".lower())
        def make(kind=kind):
            a, b = K.Input((6,), dtype="int32", name="a"), K.Input((6,), dtype="int32", name="b")
            p, q = L.Embedding(4, 3, mask_zero=True)(a), L.Embedding(4, 3, mask_zero=True)(b)
            plain = L.Embedding(4, 3)(b)
            both, one = getattr(L, kind)()([p, q]), getattr(L, kind)()([p, plain])
            return K.Model([a, b], [both, one, L.GRU(2)(both), L.GRU(2)(one)])
    add("masking", lambda: L.Masking(0.0), (6, 4))

    @model("masking_lstm")
    def make():
        x = K.Input((6, 4), name="x")
        return K.Model(x, L.LSTM(3)(L.Masking(0.0)(x)))

    add("td_dense", lambda: L.TimeDistributed(L.Dense(3, activation="relu")), (5, 4))
    add("td_conv", lambda: L.TimeDistributed(L.Conv2D(3, 3, padding="same")), (2, 5, 4, 3))
    add("td_flatten", lambda: L.TimeDistributed(L.Flatten()), (2, 5, 4, 3))
    add("td_pool", lambda: L.TimeDistributed(L.GlobalAveragePooling2D()), (2, 5, 4, 3))
    add("td_unknown_inside", lambda: L.TimeDistributed(L.Conv1D(3, 3)), (5, None, 4))
    add("flatten_first_unknown", lambda: L.Flatten(data_format="channels_first"), (3, None, 4))
    add("center_crop_by_7_6", lambda: L.CenterCrop(7, 7), (6, 7, 2))
    add("td_unknown", lambda: L.TimeDistributed(L.Conv1D(3, 3)), (None, 5, 4))
    for d, shape in ((1, (4, 6, 3)), (2, (3, 6, 5, 2)), (3, (2, 4, 5, 4, 2))):
        for seq in (False, True):
            add(f"convlstm{d}d_{seq}", lambda d=d, seq=seq: getattr(L, f"ConvLSTM{d}D")(3, 3, padding="same" if seq else "valid", return_sequences=seq), shape)
    add("convlstm2d_stride", lambda: L.ConvLSTM2D(3, 3, strides=2, padding="same", go_backwards=True, return_sequences=True), (3, 6, 5, 2))

    # embedding
    add("embedding", lambda: L.Embedding(6, 4), (5,), dtype="int32")
    add("embedding_float", lambda: L.Embedding(6, 4), (5,))

    # attention
    def attend(name, layer, shapes, call=lambda l, xs: l(xs)):
        def make():
            xs = [K.Input(s, name=f"x{i}") for i, s in enumerate(shapes)]
            return K.Model(xs, call(layer(), xs))
        c[name] = make
    attend("attention", lambda: L.Attention(), [(4, 3), (5, 3)])
    attend("attention_scale", lambda: L.Attention(use_scale=True), [(4, 3), (5, 3)])
    attend("attention_kv", lambda: L.Attention(), [(4, 3), (5, 6), (5, 3)])
    attend("attention_concat", lambda: L.Attention(score_mode="concat"), [(4, 3), (5, 3)])
    attend("attention_concat_scale", lambda: L.Attention(score_mode="concat", use_scale=True), [(4, 3), (5, 3)])
    attend("attention_causal", lambda: L.Attention(), [(4, 3), (4, 3)], lambda l, xs: l(xs, use_causal_mask=True))
    attend("attention_scores", lambda: L.Attention(), [(4, 3), (5, 3)], lambda l, xs: l(xs, return_attention_scores=True))
    attend("additive", lambda: L.AdditiveAttention(), [(4, 3), (5, 3)])
    attend("additive_noscale", lambda: L.AdditiveAttention(use_scale=False), [(4, 3), (5, 3)])
    attend("mha", lambda: L.MultiHeadAttention(2, 3), [(4, 6), (5, 6)], lambda l, xs: l(*xs))
    attend("mha_self", lambda: L.MultiHeadAttention(2, 3, value_dim=5), [(4, 6)], lambda l, xs: l(xs[0], xs[0]))
    attend("mha_key", lambda: L.MultiHeadAttention(2, 3, use_bias=False, output_shape=7), [(4, 6), (5, 6), (5, 4)], lambda l, xs: l(xs[0], xs[1], xs[2]))
    attend("mha_causal", lambda: L.MultiHeadAttention(2, 3), [(4, 6)], lambda l, xs: l(xs[0], xs[0], use_causal_mask=True))
    attend("mha_scores", lambda: L.MultiHeadAttention(2, 3), [(4, 6), (5, 6)], lambda l, xs: l(*xs, return_attention_scores=True))

    @model("mha_mask")
    def make():
        x, m = K.Input((4, 6), name="x"), K.Input((4, 4), dtype="bool", name="m")
        return K.Model([x, m], L.MultiHeadAttention(2, 3)(x, x, attention_mask=m))

    @model("mha_embed")
    def make():
        x = K.Input((6,), dtype="int32", name="x")
        y = L.Embedding(4, 6, mask_zero=True)(x)
        y = L.MultiHeadAttention(2, 3)(y, y)
        return K.Model(x, L.GlobalAveragePooling1D()(y))

    @model("attention_embed")
    def make():
        x = K.Input((6,), dtype="int32", name="x")
        y = L.Embedding(4, 6, mask_zero=True)(x)
        return K.Model(x, L.Attention()([y, y]))
    if v3:
        attend("gqa", lambda: L.GroupQueryAttention(4, 6, 2), [(4, 6), (5, 6)], lambda l, xs: l(*xs))
        attend("gqa_causal", lambda: L.GroupQueryAttention(4, 4, 4, use_bias=False), [(4, 6)], lambda l, xs: l(xs[0], xs[0], use_causal_mask=True))
        attend("mha_gate", lambda: L.MultiHeadAttention(2, 3, use_gate=True), [(4, 6), (5, 6)], lambda l, xs: l(*xs))
    add("einsum_dense", lambda: L.EinsumDense("abc,cde->abde", output_shape=(None, 3, 4), bias_axes="de", activation="relu"), (5, 6))
    add("einsum_dots", lambda: L.EinsumDense("...x,xy->...y", output_shape=7, bias_axes="y"), (5, 6))
    add("einsum_bias_middle", lambda: L.EinsumDense("abc,cde->abde", output_shape=(None, 3, 4), bias_axes="d"), (5, 6))

    # preprocessing
    add("rescaling", lambda: L.Rescaling(1 / 255.0, offset=-0.5), (5, 4, 3))
    if v3:
        add("rescaling_list", lambda: L.Rescaling([0.1, 0.2, 0.3], offset=[1.0, 2.0, 3.0]), (5, 4, 3))
    for method in ("nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"):
        if v3 and method in ("area", "gaussian", "mitchellcubic"):
            continue
        add(f"resizing_{method}", lambda method=method: L.Resizing(7, 5, interpolation=method), (4, 9, 3))
        add(f"resizing_down_{method}", lambda method=method: L.Resizing(3, 4, interpolation=method), (8, 9, 3))
    if v3:
        add("resizing_antialias", lambda: L.Resizing(3, 4, antialias=True), (8, 9, 3))
        add("resizing_pad", lambda: L.Resizing(6, 6, pad_to_aspect_ratio=True), (4, 9, 3))
    add("resizing_crop", lambda: L.Resizing(6, 6, crop_to_aspect_ratio=True), (4, 9, 3))
    add("center_crop", lambda: L.CenterCrop(3, 4), (8, 9, 3))
    add("center_crop_up", lambda: L.CenterCrop(6, 12), (8, 9, 3))

    @model("normalization")
    def make():
        layer = L.Normalization(axis=-1)
        layer.adapt(np.random.default_rng(0).random((50, 4, 3)).astype("float32") * 3)
        return single(K, layer, (4, 3))
    add("normalization_given", lambda: L.Normalization(mean=2.0, variance=3.0, axis=None), (4, 3))
    add("normalization_invert", lambda: L.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 2.0, 4.0], invert=True), (4, 3))
    add("discretization", lambda: L.Discretization(bin_boundaries=[-0.5, 0.0, 0.7]), (6,))
    add("category_onehot", lambda: L.CategoryEncoding(num_tokens=5, output_mode="one_hot"), (1,), dtype="int32")
    add("category_multihot", lambda: L.CategoryEncoding(num_tokens=6, output_mode="multi_hot"), (4,), dtype="int32")
    add("category_count", lambda: L.CategoryEncoding(num_tokens=6, output_mode="count"), (4,), dtype="int32")
    add("lookup", lambda: L.IntegerLookup(vocabulary=[3, 1, 7]), (5,), dtype="int64")
    add("lookup_mask", lambda: L.IntegerLookup(vocabulary=[3, 1, 7], mask_token=0), (5,), dtype="int64")
    for mode in ("multi_hot", "count"):
        add("lookup_" + mode, lambda mode=mode: L.IntegerLookup(vocabulary=[3, 1, 7], output_mode=mode), (5,), dtype="int64")
    add("lookup_one_hot", lambda: L.IntegerLookup(vocabulary=[3, 1, 7], output_mode="one_hot", max_tokens=6, pad_to_max_tokens=True), (1,), dtype="int64")
    for name, kw in {"invert": {"invert": True}, "invert_mask": {"invert": True, "mask_token": 9, "oov_token": -7}, "invert_sharp": {"invert": True, "num_oov_indices": 0, "vocabulary": list(range(20, 30))},
                     "spread": {"num_oov_indices": 3}, "spread_mask": {"num_oov_indices": 4, "mask_token": 2}, "spread_count": {"num_oov_indices": 2, "output_mode": "count", "mask_token": 2},
                     "given_specials": {"vocabulary": [0, -1, 3, 1, 7], "mask_token": 0}}.items():
        add("lookup_" + name, lambda kw=kw: L.IntegerLookup(**{"vocabulary": [3, 1, 7], **kw}), (5,), dtype="int64")
    for name, kw in {"plain": {}, "salt": {"salt": [133, 137]}, "salt_one": {"salt": 1337}, "mask": {"mask_value": 2}, "one": {"num_bins": 1, "mask_value": 2}, "one_hot": {"output_mode": "one_hot"},
                     "multi_hot": {"output_mode": "multi_hot", "salt": [1, 2]}, "count": {"output_mode": "count", "mask_value": 3}}.items():
        add("hashing_" + name, lambda kw=kw: L.Hashing(**{"num_bins": 7, **kw}), (5,), dtype="int64")
    add("hashing_floats", lambda: L.Hashing(num_bins=100), (6,))
    for mode in ("int", "one_hot"):
        for dtype in ("string", "int64"):
            @model(f"crossing_{mode}_{dtype}")
            def make(mode=mode, dtype=dtype):
                xs = [K.Input((1,), dtype=dtype, name=n) for n in "ab"]
                return K.Model(xs, L.HashedCrossing(num_bins=1000 if mode == "int" else 9, output_mode=mode)(xs))
    if not v3:
        for i, kw in {1: {}, 2: {"padding": "same"}, 3: {"padding": "same", "use_bias": False}}.items():
            for order in ("channels_last", "channels_first") if i > 1 else ("channels_last",):
                add(f"local1d_{i}_{order}", lambda kw=kw, i=i, order=order: L.LocallyConnected1D(4, 3, strides=2 if i == 1 else 1, implementation=i, data_format=order, activation="tanh", **kw), (7, 5))
                add(f"local2d_{i}_{order}", lambda kw=kw, i=i, order=order: L.LocallyConnected2D(4, (3, 2), strides=(2, 1) if i == 1 else 1, implementation=i, data_format=order, **kw), (7, 5, 3))
        add("local_between", lambda: K.Sequential([L.Conv2D(4, 3), L.LocallyConnected2D(3, 2, implementation=2), L.MaxPooling2D(), L.Flatten(), L.Dense(2)]), (9, 9, 2))
    if v3:
        for name, kw in {"plain": {}, "unit": {"value_range": (-2, 2), "clip_limit": 0.0}, "grid": {"value_range": (-3, 3), "tile_grid_size": (3, 2), "clip_limit": 1.5}}.items():
            add("clahe_" + name, lambda kw=kw: L.ContrastLimitedAdaptiveHistogramEqualization(**{"value_range": (-2, 2), "tile_grid_size": (2, 2), **kw}), (7, 6, 3))
        add("max_boxes", lambda: L.MaxNumBoundingBoxes(3), (4, 4, 3))
        for mode in ("log", "magnitude", "psd", "real", "imag", "stft", "angle"):
            add(f"stft_{mode}", lambda mode=mode: L.STFTSpectrogram(mode=mode, frame_length=16, frame_step=8, fft_length=32), (100, 2))
        add("stft_pad", lambda: L.STFTSpectrogram(frame_length=16, frame_step=8, padding="same", window="hamming", expand_dims=True), (100, 1))
        add("mel", lambda: L.MelSpectrogram(fft_length=64, sequence_stride=32, sampling_rate=8000, num_mel_bins=10), (400,))
        add("mel_power", lambda: L.MelSpectrogram(fft_length=64, sequence_stride=32, sampling_rate=8000, num_mel_bins=10, power_to_db=False, mag_exp=1.0), (400,))
        add("auto_contrast", lambda: L.AutoContrast(value_range=(-2, 2)), (5, 4, 3))
        add("auto_contrast_255", lambda: L.AutoContrast(), (1, 2, 3))
        add("auto_contrast_flat", lambda: L.AutoContrast(), (1, 1, 3))
        add("reversible", lambda: L.ReversibleEmbedding(6, 4), (5,), dtype="int32")

    # texts
    words = ["the", "cat", "sat", "\u00c9t\u00e9", "mat", "b"]
    lookups = {"plain": {}, "mask": {"mask_token": "dog"}, "given_specials": {"vocabulary": ["[UNK]"] + words}, "spread": {"num_oov_indices": 3}, "spread_mask": {"num_oov_indices": 4, "mask_token": "dog"}, "spread_count": {"num_oov_indices": 2, "output_mode": "count"},
               "sharp": {"num_oov_indices": 0, "vocabulary": list(dict.fromkeys(words + KNOWN))},
               "multi_hot": {"output_mode": "multi_hot"}, "count_mask": {"output_mode": "count", "mask_token": "dog"}, "padded": {"output_mode": "multi_hot", "max_tokens": 11, "pad_to_max_tokens": True},
               "tf_idf": {"output_mode": "tf_idf", "idf_weights": [0.5, 0.7, 0.2, 1.5, 0.9, 0.4]}}
    for name, kw in lookups.items():
        add("text_lookup_" + name, lambda kw=kw: L.StringLookup(**{"vocabulary": words, **kw}), (3,), dtype="string")
    add("text_lookup_one_hot", lambda: L.StringLookup(vocabulary=words, output_mode="one_hot"), (1,), dtype="string")
    add("text_lookup_invert", lambda: L.StringLookup(vocabulary=words, invert=True, mask_token="-"), (5,), dtype="int64")

    for name, kw in {"plain": {}, "salt": {"salt": [-5, 2 ** 62]}, "mask": {"mask_value": "dog"}, "multi_hot": {"output_mode": "multi_hot"}}.items():
        add("text_hashing_" + name, lambda kw=kw: L.Hashing(**{"num_bins": 10, **kw}), (3,), dtype="string")

    def adapted(layer, data):
        layer.adapt(np.array(data))
        return layer
    add("text_lookup_adapted", lambda: adapted(L.StringLookup(mask_token="cat"), [["the"], ["cat"], ["sat"], ["the"]]), (3,), dtype="string")
    add("lookup_adapted", lambda: adapted(L.IntegerLookup(), [[3], [1], [1], [4]]), (5,), dtype="int64")
    vectors = {"int": {}, "length": {"output_sequence_length": 3}, "long": {"output_sequence_length": 40}, "lower": {"standardize": "lower"}, "strip": {"standardize": "strip_punctuation"},
               "as_is": {"standardize": None}, "multi_hot": {"output_mode": "multi_hot"}, "count": {"output_mode": "count"}, "padded": {"output_mode": "count", "max_tokens": 12, "pad_to_max_tokens": True},
               "tf_idf": {"output_mode": "tf_idf", "idf_weights": [0.5, 0.7, 0.2, 1.5, 0.9, 0.4]}, "ngrams": {"ngrams": 2, "vocabulary": words + ["the cat", "cat sat"]},
               "ngrams_length": {"ngrams": (3, 1), "vocabulary": words + ["the cat sat"], "output_sequence_length": 6}, "ngrams_count": {"ngrams": (2, 3), "output_mode": "count", "vocabulary": ["cat sat", "the cat sat", "the cat"]}}
    for name, kw in vectors.items():
        add("text_vector_" + name, lambda kw=kw: L.TextVectorization(**{"vocabulary": words, **kw}), (1,), dtype="string")
    add("text_vector_flat", lambda: L.TextVectorization(vocabulary=words), (), dtype="string")
    for name, kw in {"whole": {}, "whole_count": {"output_mode": "count"}, "whole_length": {"output_sequence_length": 2}, "whole_ngrams": {"ngrams": 2}, "whole_longer": {"output_sequence_length": 5}}.items():
        add("text_vector_" + name, lambda kw=kw: L.TextVectorization(vocabulary=words + ["the cat"], split=None, **kw), (3,), dtype="string")
    add("text_vector_adapted", lambda: adapted(L.TextVectorization(output_mode="tf_idf"), ["the cat", "The cat!", "a mat, the mat"]), (1,), dtype="string")

    @model("text_classifier")
    def make():
        x = K.Input((1,), dtype="string", name="x")
        ids = L.TextVectorization(vocabulary=words, output_sequence_length=8)(x)
        y = L.Bidirectional(L.LSTM(3))(L.Embedding(8, 4, mask_zero=True)(ids))
        return K.Model(x, L.Dense(2, activation="softmax")(y))

    # whole models
    @model("sequential_cnn")
    def make():
        return K.Sequential([K.Input((12, 10, 1)), L.Conv2D(6, 3, activation="relu"), L.BatchNormalization(), L.MaxPooling2D(), L.Conv2D(4, 3, padding="same"),
                             L.ReLU(), L.Dropout(0.3), L.Flatten(), L.Dense(8, activation="relu"), L.Dense(3, activation="softmax")])

    @model("residual_nested_shared")
    def make():
        block = K.Sequential([K.Input((6, 5, 4)), L.Conv2D(4, 3, padding="same"), L.BatchNormalization()], name="block")
        i = K.Input((6, 5, 4))
        inner = K.Model(i, L.Add()([block(i), i]), name="inner")
        x = K.Input((6, 5, 4), name="image")
        y = inner(inner(x))
        shared = L.Dense(3)
        a, b = shared(L.GlobalAveragePooling2D()(y)), shared(L.GlobalMaxPooling2D()(y))
        return K.Model(x, [L.Concatenate()([a, b]), a, y])

    @model("squeeze_excite")
    def make():
        x = K.Input((6, 5, 4), name="x")
        y = L.Conv2D(8, 3, activation="relu")(x)
        s = L.Dense(8, activation="sigmoid")(L.Reshape((1, 1, 8))(L.GlobalAveragePooling2D()(y)))
        y = L.Multiply()([y, s])
        return K.Model(x, L.Flatten()(y))

    for kind in ("lstm", "gru", "simple", "stacked"):  # cells as layers, unrolled by hand
        def cell(kind=kind):
            x, h, k = K.Input((4, 3), name="x"), K.Input((5,), name="h"), K.Input((5,), name="k")
            inner = {"lstm": lambda: L.LSTMCell(5), "gru": lambda: L.GRUCell(5), "simple": lambda: L.SimpleRNNCell(5, activation="relu"),
                     "stacked": lambda: L.StackedRNNCells([L.GRUCell(5), L.SimpleRNNCell(5)])}[kind]()
            states, outs = [h, k] if kind in ("lstm", "stacked") else [h], []
            for t in range(3):
                y, states = inner(L.Flatten()(L.Cropping1D((t, 3 - t))(x)), states)
                states = list(states) if isinstance(states, (list, tuple)) else [states]
                outs.append(y)
            return K.Model([x, h, k], [L.Concatenate()(outs), L.Add()(states + [k])])
        c[f"cell_{kind}"] = cell

    for nd, shape in ((1, (9, 4)), (2, (7, 6, 4)), (3, (4, 5, 3, 4))):  # layers over channels, between convolutions
        def between(nd=nd, shape=shape):
            x = K.Input(shape, name="x")
            conv = getattr(L, f"Conv{nd}D")
            y = conv(5, 3, padding="same")(x)
            z = L.LayerNormalization(epsilon=1e-6)(y)
            z = L.Dense(7, activation="gelu")(z)
            z = L.Dense(5, use_bias=False)(L.UnitNormalization()(z))
            y = L.Add()([L.LayerNormalization(center=False)(y), z])
            if v3:
                y = L.RMSNormalization()(y)
            y = L.LayerNormalization(scale=False)(conv(3, 2)(y))
            return K.Model(x, getattr(L, f"GlobalAveragePooling{nd}D")()(y))
        c[f"between_convolutions_{nd}d"] = between

    @model("normalization_shared")  # in a nested model that is called twice
    def make():
        layer, i, x = L.Normalization(), K.Input((5,)), K.Input((5,), name="x")
        layer.adapt(np.random.default_rng(1).standard_normal((20, 5)) * 2 + 1)
        inner = K.Model(i, L.Dense(5)(layer(i)))
        return K.Model(x, inner(inner(x)))

    @model("two_inputs_outputs")
    def make():
        a, b = K.Input((4,), name="a"), K.Input((6, 3), name="b")
        y = L.Concatenate()([L.Dense(3)(a), L.LSTM(3)(b)])
        return K.Model([a, b], [L.Dense(2, name="first")(y), L.Dense(1, name="second")(y)])

    @model("output_is_input")
    def make():
        x = K.Input((4,), name="x")
        return K.Model(x, [x, L.Dense(2)(x)])

    @model("td_model")
    def make():
        inner = K.Sequential([K.Input((6, 5, 2)), L.Conv2D(3, 3, activation="relu"), L.BatchNormalization(), L.Flatten(), L.Dense(4)], name="inner")
        x = K.Input((3, 6, 5, 2), name="x")
        return K.Model(x, L.LSTM(3)(L.TimeDistributed(inner)(x)))

    @model("nested_deep")
    def make():
        i = K.Input((5, 4))
        y = L.Bidirectional(L.GRU(3, return_sequences=True))(i)
        y = L.BatchNormalization(name="norm")(y)
        low = K.Model(i, [y, L.MultiHeadAttention(2, 3)(y, y)], name="low")
        j = K.Input((5, 4))
        a, b = low(j)
        b = L.BatchNormalization(name="norm")(b)
        frozen = L.Dense(4, name="frozen")
        frozen.trainable = False
        mid = K.Model(j, [frozen(a), b], name="mid")
        x = K.Input((5, 4), name="x")
        p, q = mid(x)
        r, t = mid(p)
        return K.Model(x, [L.Add()([q, t]), r])

    @model("nested_frozen")
    def make():
        base = K.Sequential([K.Input((6, 5, 2)), L.Conv2D(3, 3), L.BatchNormalization(), L.ReLU(), L.Conv2D(4, 2), L.BatchNormalization()], name="base")
        base.trainable = False
        x = K.Input((6, 5, 2), name="x")
        return K.Model(x, L.Dense(2)(L.GlobalAveragePooling2D()(base(x))))

    @model("dict_ends")
    def make():
        a, b = K.Input((4,), name="a"), K.Input((4,), name="b")
        return K.Model({"a": a, "b": b}, {"sum": L.Add()([a, b]), "dense": L.Dense(3)(b)})

    @model("sequential_nested")
    def make():
        return K.Sequential([K.Input((8, 6, 2)), K.Sequential([L.Conv2D(3, 3), L.ReLU()]), K.Sequential([L.Conv2D(3, 3), L.Flatten()]), L.Dense(2)])

    @model("same_layer_many_inputs")
    def make():
        x, y = K.Input((6, 3), name="x"), K.Input((6, 3), name="y")
        conv, lstm = L.Conv1D(4, 3, padding="same"), L.LSTM(3)
        return K.Model([x, y], L.Dot(-1)([lstm(conv(x)), lstm(conv(y))]))

    @model("channels_mixed")
    def make():
        x = K.Input((8, 6, 3), name="x")
        y = L.Conv2D(4, 3, padding="same")(x)
        z = L.Concatenate(axis=1)([y, y])
        z = L.ZeroPadding2D(1)(z)
        z = L.Permute((2, 1, 3))(z)
        return K.Model(x, [L.Flatten()(L.Concatenate()([y, L.Conv2D(2, 1)(y)])), L.LayerNormalization()(z)])
    return c


def op_cases(K):
    """keras.ops (Keras 3) or TensorFlow functions (tf_keras) between layers."""
    c = {}
    if K.__version__[0] == "3":
        o = K.ops

        def add(name, fn, *shapes, dtype="float32", batch=None):
            def make():
                xs = [K.Input(s, name=f"x{i}", dtype=dtype, batch_size=batch) for i, s in enumerate(shapes)]
                return K.Model(xs, fn(*xs))
            c["op_" + name] = make
        add("arith", lambda x: 3.0 - (x * 2.0 + 1) / 4.0 + x ** 2, (4, 3))
        add("arith2", lambda x, y: o.maximum(x, y) - o.minimum(x, 0.3) * y, (4, 3), (4, 3))
        for f in ("exp", "abs", "sqrt", "square", "sin", "cos", "tanh", "sign", "floor", "ceil", "log1p", "expm1", "erf", "rsqrt", "negative", "reciprocal"):
            add(f, lambda x, f=f: getattr(o, f)(o.abs(x) + 0.1), (4, 3))
        for f in ("mean", "sum", "max", "min", "prod", "var", "std", "logsumexp"):
            add(f, lambda x, f=f: [getattr(o, f)(x, axis=1), getattr(o, f)(x, axis=(1, 2), keepdims=True), getattr(o, f)(x, axis=-1)], (4, 3))
        add("conv_mean", lambda x: o.mean(K.layers.Conv2D(3, 1)(x), axis=(1, 2)), (4, 3, 2))
        add("conv_mean_c", lambda x: [o.mean(K.layers.Conv2D(3, 1)(x), axis=-1, keepdims=True), o.max(K.layers.Conv2D(3, 1)(x), axis=3)], (4, 3, 2))
        add("argmax", lambda x: o.argmax(x, axis=-1), (4, 3))
        add("shape", lambda x: o.transpose(o.reshape(x, (-1, 6, 2)), (0, 2, 1)), (4, 3))
        add("expand", lambda x: [o.expand_dims(x, 1), o.squeeze(o.expand_dims(x, -1), -1), o.swapaxes(x, 1, 2), o.moveaxis(x, 1, -1)], (4, 3))
        add("item", lambda x: [x[:, 1], x[:, 1:3], x[..., 0], x[:, ::2], x[:, None, -1], x[:, ::-1]], (4, 3))
        add("item_conv", lambda x: K.layers.Conv2D(3, 1)(x)[:, 1:, ::2, :2], (4, 3, 2))
        add("concat", lambda x, y: [o.concatenate([x, y], axis=1), o.stack([x, x], axis=1)], (4, 3), (2, 3))
        add("split", lambda x: o.split(x, 3, axis=-1) + o.split(x, [1, 2], axis=1), (4, 3))
        add("matmul", lambda x, y: x @ y, (4, 3), (3, 5))
        add("einsum", lambda x, y: o.einsum("bij,bjk->bki", x, y), (4, 3), (3, 5))
        add("where", lambda x, y: o.where(x > y, x, 0.5), (4, 3), (4, 3))
        add("clip", lambda x: o.clip(x, -0.4, 0.6), (4, 3))
        add("cast", lambda x: o.cast(x, "int32"), (4, 3))
        add("pad", lambda x: o.pad(x, [[0, 0], [1, 2], [0, 1]], constant_values=0.5), (4, 3))
        add("tile", lambda x: [o.tile(x, (1, 2, 1)), o.repeat(x, 2, axis=1), o.flip(x, axis=1)], (4, 3))
        add("nn", lambda x: [o.relu(x), o.softmax(x, axis=1), o.gelu(x), o.gelu(x, approximate=False), o.leaky_relu(x, 0.1), o.silu(x), o.elu(x, 0.5), o.relu6(x), o.sigmoid(x)], (4, 3))
        add("compare", lambda x, y: [x > y, o.equal(x, x), o.logical_and(x > 0, y > 0), o.not_equal(x, y), o.logical_not(x > y)], (4, 3), (4, 3))
        add("take", lambda x: o.cumsum(x, axis=1), (4, 3))
        add("onehot", lambda x: o.one_hot(x, 4), (4,), dtype="int32")
        add("like", lambda x: o.ones_like(x) + o.zeros_like(x), (4, 3))
        add("pool", lambda x: [o.max_pool(x, 2, padding="same"), o.average_pool(x, 2, strides=1)], (4, 3, 2))
        add("norm", lambda x: o.normalize(x, axis=-1), (4, 3))
        more_keras_ops(K, add)
    else:
        import tensorflow as tf

        def add(name, fn, *shapes, dtype="float32", batch=None):
            def make():
                xs = [K.Input(s, name=f"x{i}", dtype=dtype, batch_size=batch) for i, s in enumerate(shapes)]
                return K.Model(xs, fn(*xs))
            c["tf_" + name] = make
        add("arith", lambda x: 3.0 - (x * 2.0 + 1.0) / 4.0 + x ** 2, (4, 3))
        add("arith2", lambda x, y: tf.maximum(x, y) - tf.minimum(x, 0.3) * y, (4, 3), (4, 3))
        add("unary", lambda x: [tf.exp(x), tf.abs(x), tf.sqrt(tf.abs(x)), tf.square(x), tf.tanh(x), -x, tf.math.erf(x)], (4, 3))
        add("reduce", lambda x: [tf.reduce_mean(x, 1), tf.reduce_sum(x, [1, 2], keepdims=True), tf.reduce_max(x, -1)], (4, 3))
        add("shape", lambda x: tf.transpose(tf.reshape(x, [-1, 6, 2]), [0, 2, 1]), (4, 3))
        add("expand", lambda x: [tf.expand_dims(x, 1), tf.squeeze(tf.expand_dims(x, -1), -1)], (4, 3))
        add("item", lambda x: [x[:, 1], x[:, 1:3], x[..., 0], x[:, ::2], x[:, tf.newaxis, -1]], (4, 3))
        add("concat", lambda x, y: [tf.concat([x, y], 1), tf.stack([x, x], axis=1)], (4, 3), (2, 3))
        add("split", lambda x: tf.split(x, 3, axis=-1) + tf.split(x, [1, 3], axis=1), (4, 3))
        add("matmul", lambda x, y: tf.matmul(x, y, transpose_b=True), (4, 3), (5, 3))
        add("nn", lambda x: [tf.nn.relu(x), tf.nn.softmax(x, axis=1), tf.nn.gelu(x), tf.nn.leaky_relu(x, 0.1), tf.nn.silu(x), tf.sigmoid(x), tf.nn.relu6(x)], (4, 3))
        add("misc", lambda x: [tf.clip_by_value(x, -0.3, 0.4), tf.pad(x, [[0, 0], [1, 1], [0, 2]]), tf.tile(x, [1, 2, 1]), tf.cast(x, tf.int32)], (4, 3))
        more_tf_ops(K, add)
    return c


def fixed(*shape):
    """A constant that hides nothing."""
    return np.sin(np.arange(1, np.prod(shape) + 1, dtype="float32") * 0.7).reshape(shape)


def more_keras_ops(K, add):
    o, L, img = K.ops, K.layers, (6, 5, 3)
    add("average", lambda x: [o.average(x, axis=1), o.average(x), o.average(x, axis=1, weights=fixed(4)), o.average(x, axis=-1, weights=o.abs(x) + 0.1),
                              o.average(x, axis=2, weights=fixed(3))], (4, 3))
    add("count", lambda x: [o.count_nonzero(o.relu(x), axis=1), o.count_nonzero(x > 0), o.isfinite(x), o.isinf(x), o.isnan(x)], (4, 3))
    add("norms", lambda x: [o.norm(x, axis=-1), o.norm(x, ord=1, axis=1, keepdims=True), o.norm(x, ord=3, axis=1), o.norm(x, ord=float("inf"), axis=2),
                            o.norm(x, ord=float("-inf"), axis=2), o.norm(x, ord=0, axis=2), o.norm(x, ord="fro", axis=(1, 2)),
                            o.norm(x, ord=1, axis=(1, 2)), o.norm(x, ord=float("inf"), axis=(2, 1)), o.norm(x, ord=-1, axis=(2, 1), keepdims=True)], (4, 3))
    add("normalize", lambda x: [o.normalize(x, axis=1, order=1), o.normalize(x, order=3), o.normalize(x, axis=(1, 2))], (4, 3))
    add("moments", lambda x: list(o.moments(x, axes=[1])) + list(o.moments(x, axes=[1, 2], keepdims=True)), (4, 3))
    add("order", lambda x: [o.sort(x), o.sort(x, axis=1), o.argsort(x, axis=1), o.top_k(x, 2)[0], o.top_k(x, 3)[1], o.sort(x, axis=None)], (4, 3))
    add("order_unknown", lambda x: [o.sort(x, axis=1), o.roll(x, 2, axis=1), o.diff(x, axis=1)], (None, 3))
    add("repeat", lambda x: [o.repeat(x, 2, axis=1), o.repeat(x, 3, axis=2), o.repeat(x, [1, 0, 2], axis=2), o.repeat(x, 2, axis=0), o.repeat(x, 2)], (None, 3))
    add("fourier", lambda x: list(o.fft((x, x * 0.3))) + list(o.fft2((x, x + 1))) + list(o.ifft2((x, x - 0.5))) + list(o.rfft(x)) + list(o.rfft(x, fft_length=4)) + list(o.rfft(x, fft_length=9)), (5, 7))
    add("frames", lambda x: list(o.stft(x, 8, 3, 8)) + list(o.stft(x, 7, 4, 16, window="hamming", center=False)) + list(o.stft(x[:, 0], 12, 5, 12, window=None)), (3, 40))
    add("frames_back", lambda x: [o.istft(o.stft(x, 8, 2, 8), 8, 2, 8), o.istft(o.stft(x, 10, 3, 16, window="hamming"), 10, 3, 16, window="hamming", length=30), o.istft((x[..., :9], x[..., 3:12]), 16, 4, 16, window=None, center=False)], (3, 40))
    add("fourier_back", lambda x: [o.irfft((x, x * 0.3)), o.irfft((x, x + 1), fft_length=7), o.irfft((x, x), fft_length=16), o.irfft((x, x), fft_length=2), o.irfft(o.rfft(x)), o.irfft(o.rfft(x), fft_length=5)], (3, 5))
    add("quantile", lambda x: [o.median(x, axis=1), o.quantile(x, 0.3, axis=2, keepdims=True), o.quantile(x, 0.8, axis=1), o.median(x, axis=(1, 2))], (4, 3))
    add("roll", lambda x: [o.roll(x, 1, axis=1), o.roll(x, -5, axis=2), o.roll(x, (1, 2), axis=(1, 2)), o.roll(x, 2)], (4, 3))
    add("diff", lambda x: [o.diff(x), o.diff(x, n=2, axis=1), o.tril(x), o.triu(x, 1), o.tril(x, -1), o.flip(x), o.rot90(x, axes=(1, 2)), o.rot90(x, k=3, axes=(1, 2))], (4, 3))
    add("choose", lambda x: [o.take(x, [0, 2, 0], axis=1), o.take(x, np.array([[0, -1]]), axis=2), o.take(x, 1, axis=1), o.take(x, [3, 1]),
                             o.take_along_axis(x, o.argsort(x, axis=1), axis=1), o.slice(x, (0, 1, 0), (1, 2, 2))], (4, 3))
    add("angles", lambda x, y: [o.arctan2(x, y), o.arctan2(o.sign(x), o.floor(y)), o.arcsinh(x), o.arccosh(o.abs(x) + 1.1), o.arctanh(o.tanh(x) * 0.9), o.arcsin(o.tanh(x)),
                                o.hypot(x, y)], (4, 3), (4, 3))
    add("logadd", lambda x, y: [o.logaddexp(x, y), o.logaddexp2(x, y * 0.5), o.nan_to_num(o.log(x), nan=0.3, neginf=-2), o.nan_to_num(x / o.relu(y), posinf=7.0, neginf=-9.0),
                                o.isclose(x, x + 1e-7), o.trunc(x * 3), o.cbrt(x), o.exp2(x), o.sinc(x), o.deg2rad(x), o.round(x, 2), o.fmod(x, 0.7), o.heaviside(o.round(x), y)], (4, 3), (4, 3))
    add("constants", lambda x: [x + fixed(3), x * fixed(4, 1), o.where(x > 0, fixed(4, 3), x), o.maximum(x, fixed(4, 3))], (4, 3))
    add("tensordot", lambda x: [o.tensordot(x, fixed(3, 2), axes=1), o.tensordot(x, x, axes=[[1, 2], [1, 2]]), o.dot(x, fixed(3, 2)), o.dot(x, fixed(3)), o.matmul(x, fixed(3)),
                                o.tensordot(x, fixed(2, 4), axes=[[1], [1]]), o.inner(x, fixed(5, 3)), o.outer(x, fixed(4)), x @ fixed(3, 6), o.dot(x, fixed(5, 3, 2))], (4, 3))
    add("einsum_dots", lambda x, y: [o.einsum("...i,...i->...", x, x), o.einsum("b...j,bjk->b...k", x, y), o.einsum("bij,bjk", x, y), o.einsum("bij,jk->bki", x, fixed(3, 2)),
                                     o.einsum("...ij->...ji", x)], (4, 3), (3, 5))
    add("normalizations", lambda x: [o.layer_normalization(x, fixed(3), fixed(3) + 1, axis=-1), o.layer_normalization(x), o.layer_normalization(x, axis=(1, 2)), o.rms_normalization(x, fixed(3)),
                                     o.batch_normalization(x, fixed(3), fixed(3) ** 2 + 0.1, axis=-1, offset=fixed(3) * 2, scale=fixed(3) + 2), o.batch_normalization(x, fixed(4), fixed(4) ** 2 + 0.1, axis=1, scale=fixed(4), offset=fixed(4))], (4, 3))
    add("attention", lambda q, k: [o.dot_product_attention(q, k, k), o.dot_product_attention(q, q, q, is_causal=True), o.dot_product_attention(q, k, k, bias=fixed(4, 5, 6), scale=0.3),
                                   o.dot_product_attention(q, k[:, :, :2], k[:, :, 1:3], mask=fixed(1, 1, 5, 6) > -0.5)], (5, 4, 3), (6, 4, 3))
    add("joining", lambda x: [o.append(x, x * 2, axis=1), o.append(x, x), o.hstack([x, x]), o.vstack([x, x]), o.dstack([x, x]), o.select([x > 0.5, x < -0.5], [x, -x], 0.1),
                              o.full_like(x, 2.5), o.cumprod(x, axis=1), o.convert_to_tensor(x), o.saturate_cast(x * 200, "uint8"), o.ptp(x, axis=1)], (4, 3))
    add("broadcast", lambda x: o.broadcast_to(o.expand_dims(x, 1), (2, 5, 4, 3)), (4, 3), batch=2)
    add("digits", lambda x: [o.digitize(x, np.array([-0.5, 0.0, 0.7])), o.multi_hot(o.cast(o.clip(x, 0, 3), "int32"), 5), o.argmax(x), o.cumsum(x)], (6,))
    add("conv", lambda x: [o.conv(x, fixed(3, 2, 3, 4), strides=2, padding="same"), o.conv(x, fixed(2, 2, 3, 2), dilation_rate=2),
                           o.depthwise_conv(x, fixed(3, 3, 3, 2)), o.separable_conv(x, fixed(3, 3, 3, 2), fixed(1, 1, 6, 4), padding="same")], img)
    add("conv_given", lambda x, k: o.conv(x, o.reshape(k, (3, 3, 3, 2)), padding="same"), img, (54,), batch=1)
    add("pools", lambda x: [o.max_pool(x, 2), o.max_pool(x, (3, 2), strides=1, padding="same"), o.average_pool(x, 2, strides=(2, 1), padding="same"),
                            o.adaptive_average_pool(x, (2, 3)), o.adaptive_max_pool(x, (3, 2))], img)
    add("resize", lambda x: [o.image.resize(x, (3, 4)), o.image.resize(x, (9, 8), interpolation="nearest"), o.image.resize(x, (4, 4), interpolation="bicubic", antialias=True),
                             o.image.resize(x, (4, 4), crop_to_aspect_ratio=True), o.image.resize(x, (8, 7), pad_to_aspect_ratio=True, fill_value=0.5)], img)
    add("images", lambda x: [o.image.rgb_to_grayscale(x), o.image.pad_images(x, 1, 2, target_height=9, target_width=10), o.image.crop_images(x, 1, 1, target_height=3, target_width=2),
                             o.space_to_depth(x[:, :, :4], 2), o.depth_to_space(o.concatenate([x, x[..., :1]], axis=-1), 2)], img)
    add("mask_ends", lambda x: o.concatenate([L.Masking(0.0)(x), L.Masking(0.0)(x)], axis=1), (4, 3))


def more_tf_ops(K, add):
    import tensorflow as tf
    m, B, img = tf.math, K.backend, (6, 5, 3)
    add("norms", lambda x: [tf.norm(x, axis=-1), tf.norm(x, ord=1, axis=1), tf.norm(x, ord=np.inf, axis=2, keepdims=True), tf.norm(x), tf.norm(x, axis=[1, 2]), tf.norm(x, ord=1, axis=[1, 2]),
                            m.l2_normalize(x, axis=-1), m.l2_normalize(x, axis=[1, 2], epsilon=0.5)], (4, 3))
    add("order", lambda x: [tf.sort(x, direction="DESCENDING"), tf.sort(x, axis=1), tf.argsort(x), m.top_k(x, 2)[0], m.top_k(x, 2)[1], tf.roll(x, 1, 1), tf.roll(x, [1, 2], [1, 2])], (4, 3))
    add("gather", lambda x: [tf.gather(x, [0, 0], axis=-1), tf.gather(x, tf.constant([[0, 1]]), axis=1), tf.gather(x, tf.argsort(x, axis=1)[:, :, 0], axis=1, batch_dims=1), tf.gather(x, [1, 0]),
                             tf.gather_nd(x, [[0, 1], [1, 2]]), tf.nn.embedding_lookup(fixed(5, 3), tf.cast(tf.clip_by_value(x, 0, 4), tf.int32))], (4, 3))
    add("products", lambda x: [tf.tensordot(x, fixed(3, 2), axes=1), tf.tensordot(x, fixed(2, 4), axes=[[1], [1]]), tf.matmul(x, fixed(3, 2)), B.batch_dot(x, x, axes=(2, 2)), tf.linalg.matvec(x, x[:, 0])], (4, 3))
    add("backend", lambda x: [B.dot(x, B.constant(fixed(3, 2))), B.flatten(x), B.permute_dimensions(x, (0, 2, 1)), B.batch_flatten(x)], (4, 3))
    add("elements", lambda x: [m.atan2(x, tf.abs(x) - 0.3), m.divide_no_nan(x, tf.nn.relu(x)), tf.add_n([x, x * 2, x]), m.is_finite(x), m.asinh(x), m.erfc(x), tf.nn.crelu(x), tf.nn.bias_add(x, fixed(3)),
                               x + fixed(3), tf.constant(fixed(4, 3)) - x, m.cumsum(x, 1, exclusive=True, reverse=True), m.cumprod(x, 1), m.count_nonzero(tf.nn.relu(x), axis=1),
                               tf.linalg.band_part(x, -1, 0), tf.linalg.band_part(x, 1, 1), tf.zeros_like(tf.cast(x, tf.int32))], (4, 3))
    add("moments", lambda x: list(tf.nn.moments(x, axes=[1])) + [tf.nn.batch_normalization(x, fixed(3), fixed(3) ** 2 + 0.1, fixed(3), None, 1e-3), tf.where(x > 0, 1.0, 0.0)], (4, 3))
    add("shapes", lambda x: [tf.reshape(x, [tf.shape(x)[0], -1]), tf.reshape(x, [tf.shape(x)[0], 3, tf.shape(x)[1]]), tf.zeros([tf.shape(x)[0], 2]) + 1.0, tf.stack([tf.shape(x)[0], 2]),
                             tf.ones(tf.shape(x)), tf.fill([tf.shape(x)[0], 2], 0.7), tf.broadcast_to(x[:, :1], [tf.shape(x)[0], 5, 3]), tf.reshape(x, tf.stack([tf.shape(x)[0] * tf.shape(x)[1], 3])),
                             tf.slice(x, [0, 1, 0], [-1, 2, 2]), tf.reshape(x, (-1, x.shape[1] * 3)), x[:, :tf.shape(x)[1] - 1]], (4, 3))
    add("shapes_unknown", lambda x: [tf.reshape(x, [tf.shape(x)[0], tf.shape(x)[1], 3, 1]), tf.reshape(x, [-1, 3]), tf.shape(x)], (None, 3))
    add("conv", lambda x: [tf.nn.conv2d(x, fixed(3, 3, 3, 2), 2, "SAME"), tf.nn.conv2d(x, fixed(3, 2, 3, 2), [1, 2, 1, 1], "VALID"), tf.nn.depthwise_conv2d(x, fixed(3, 3, 3, 2), [1, 1, 1, 1], "VALID"),
                           B.conv2d(x, fixed(3, 3, 3, 2)), tf.nn.conv1d(x[:, 0], fixed(2, 3, 4), 1, "SAME"), tf.nn.separable_conv2d(x, fixed(3, 3, 3, 2), fixed(1, 1, 6, 4), [1, 1, 1, 1], "SAME")], img)
    add("conv_transpose", lambda x: [tf.nn.conv2d_transpose(x, fixed(3, 3, 2, 3), (2, 12, 10, 2), 2), tf.nn.conv2d_transpose(x, fixed(2, 3, 2, 3), (2, 12, 7, 2), [1, 2, 1, 1], "VALID"),
                                     tf.nn.conv1d_transpose(x[:, 0], fixed(2, 2, 3), (2, 10, 2), 2)], img, batch=2)
    add("pools", lambda x: [tf.nn.max_pool2d(x, 2, 2, "SAME"), tf.nn.avg_pool2d(x, 2, 1, "VALID"), tf.nn.max_pool(x, 2, 2, "SAME"), tf.nn.pool(x, [2, 2], "MAX", strides=[2, 2]), B.pool2d(x, (2, 2)),
                            tf.nn.avg_pool1d(x[:, 0], 2, 1, "SAME"), tf.nn.pool(x, [2, 2], "AVG")], img)
    add("images", lambda x: [tf.image.resize(x, (3, 3)), tf.image.resize(x, [12, 10], method="nearest"), B.resize_images(x, 2, 2, "channels_last"), B.spatial_2d_padding(x), tf.image.rgb_to_grayscale(x),
                             tf.image.flip_left_right(x), tf.image.flip_up_down(x), tf.image.pad_to_bounding_box(x, 1, 1, 9, 9), tf.image.crop_to_bounding_box(x, 1, 1, 3, 3), tf.image.per_image_standardization(x),
                             tf.nn.space_to_depth(x[:, :, :4], 2), tf.nn.depth_to_space(tf.concat([x, x[:, :, :, :1]], -1), 2), tf.image.rot90(x), tf.image.resize(x, [4, 4], method="lanczos3", antialias=True)], img)
    add("old_resize", lambda x: [tf.compat.v1.image.resize_bilinear(x, (12, 10), align_corners=True), tf.compat.v1.image.resize_bilinear(x, (9, 8)),
                                 tf.compat.v1.image.resize_nearest_neighbor(x, (12, 10)), tf.compat.v1.image.resize_bilinear(x, (12, 10), half_pixel_centers=True)], img)


def make_inputs(model, name, rng):
    out = {}
    for t in model.inputs:
        shape = [3 if i == 0 and d is None else 7 if d is None else d for i, d in enumerate(t.shape)]
        dtype = t.dtype if isinstance(t.dtype, str) else t.dtype.name
        key = t.name.split(":")[0]
        if dtype == "string":
            out[key] = np.resize(np.array(KNOWN), [len(KNOWN)] + shape[1:])
            continue
        if dtype.startswith("int") or name.startswith("embedding_float"):
            v = rng.integers(0, 4, shape)
            if "masked" in name or "embed" in name:
                v[0, -2:] = 0
                v[1, 0] = 0
                v[2, 2:4] = 0
        elif dtype == "bool":
            v = rng.random(shape) > 0.3
            v[..., 0] = True
        else:
            v = rng.standard_normal(shape)
            if name.startswith("masking"):
                v[0, -2:] = 0
                v[1, 0] = 0
        out[key] = v.astype(dtype)
    return out


def build(K, name, make):
    import zlib
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    K.backend.clear_session() if hasattr(K.backend, "clear_session") else None
    K.utils.set_random_seed(zlib.crc32(name.encode()) % 100000)
    model = make()
    if not name.startswith(("normalization", "text_lookup", "text_vector")):
        randomize(model, rng)
    inputs = make_inputs(model, name, rng)
    values = list(inputs.values())
    for layer in flat_layers(model):
        if getattr(layer, "stateful", False) and hasattr(layer, "reset_state"):
            layer.reset_state()
    given = values
    if any(v.dtype.kind == "U" for v in values):
        import tensorflow as tf
        given = [tf.constant(v.tolist()) if v.dtype.kind == "U" else v for v in values]
    y = model(given if len(given) > 1 else given[0], training=False)
    flat = []

    def walk(v):
        if isinstance(v, dict):
            v = list(v.values())
        if isinstance(v, (list, tuple)):
            for e in v:
                walk(e)
        else:
            flat.append(np.array(v))
    walk(y)
    for layer in flat_layers(model):
        if getattr(layer, "stateful", False):
            for method in ("reset_state", "reset_states"):
                if hasattr(layer, method):
                    getattr(layer, method)()
                    break
    return model, inputs, flat


def relative_error(a, b):
    """max |a - b| / max |b|, over all elements"""
    if np.asarray(b).dtype.kind in "OSU":
        decoded = [e.decode() if isinstance(e, bytes) else e for e in np.asarray(b).ravel().tolist()]
        return 0.0 if np.shape(a) == np.shape(b) and np.asarray(a).ravel().tolist() == decoded else float("inf")
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        return float("inf")
    if a.size == 0:
        return 0.0
    return float(np.max(np.abs(a - b)) / max(np.max(np.abs(b)), 1e-30))
