"""Random cases of ai.onnx.ml's operators. Features lie apart from thresholds, and classes are not told by ties."""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from case_writer import ML, answers_of

F32 = np.float32
WORDS = ["", "cat", "dog", "Hund", "Katze", "été", "x" * 30, "1", "0", "猫"]
POSTS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")


def table(d, columns, dtypes=(F32, F32, np.float64, np.int64, np.int32), rows=None):
    dtype = d.pick(*dtypes)
    rows = rows if rows is not None else d.pick(0, 1, 1, 2, 5, 33) if d.maybe(0.9) else None
    shape = (columns,) if rows is None else (rows, columns)
    x = d.floats(*shape) if np.dtype(dtype).kind == "f" else d.ints(-5, 6, shape)
    return x.astype(dtype)


def words(d, n):
    return [WORDS[i] for i in d.random.permutation(len(WORDS))[:n]]


def labels_of(d, n, ints="classlabels_ints"):
    if d.maybe():
        return {"classlabels_strings": words(d, n)}
    return {ints: [int(v) for v in d.random.permutation(20)[:n] - 5]}


def extract(d):
    shape = [d.size(1, 4) for _ in range(d.size(0, 2))] + [d.size(1, 7)]
    dtype = d.pick(F32, np.float64, np.int64, np.int32, object)
    x = np.array([d.pick(*WORDS) for _ in range(int(np.prod(shape)))], dtype=object).reshape(shape) if dtype is object else (d.floats(*shape) * 9).astype(dtype)
    d.add("ArrayFeatureExtractor", [x, d.ints(0, shape[-1], d.pick((d.size(1, 5),), (1, d.size(1, 5))), np.int64)], domain=ML)


def binarizer(d):
    a = {"threshold": float(d.pick(0.0, 0.5, -1.0, 2.0))} if d.maybe(0.8) else {}
    d.add("Binarizer", [table(d, d.size(1, 6), (F32,))], domain=ML, **a)


def category_mapper(d):
    n = d.size(1, 8)
    a = {"cats_strings": words(d, n), "cats_int64s": [int(v) for v in d.random.permutation(20)[:n] - 5]}
    if d.maybe():
        a.update(default_int64=-7, default_string="nothing")
    shape = [d.size(0, 4) for _ in range(d.size(0, 2))]
    count = int(np.prod(shape))
    x = np.array([d.pick(*WORDS) for _ in range(count)], dtype=object).reshape(shape) if d.maybe() else d.ints(-6, 16, shape, np.int64)
    d.add("CategoryMapper", [x], domain=ML, **a)


def feature_vectorizer(d):
    rows = d.pick(0, 1, 3, 5)
    inputs = [table(d, d.size(1, 5), rows=rows) for _ in range(d.size(1, 4))]
    dtype = inputs[0].dtype
    sizes = [v.shape[-1] for v in inputs]
    if d.maybe(0.4):
        sizes = [max(1, s + d.size(-2, 2)) for s in sizes]
    d.add("FeatureVectorizer", [v.astype(dtype) for v in inputs], domain=ML, inputdimensions=sizes)


def imputer(d):
    columns = d.size(1, 5)
    x = table(d, columns, (F32, np.int64), rows=d.pick(1, 3, 6))
    n = d.pick(1, columns)
    if x.dtype.kind == "f":
        missing = d.pick(float("nan"), 1.5)
        x[d.random.random(x.shape) < 0.3] = missing
        a = {"imputed_value_floats": d.floats(n).tolist(), "replaced_value_float": missing}
    else:
        a = {"imputed_value_int64s": [int(v) for v in d.ints(-9, 9, n)], "replaced_value_int64": int(d.size(-5, 5))}
    d.add("Imputer", [x], domain=ML, **a)


KEYS = {"strings": str, "int64s": int, "floats": float}


def keys_of(d, kind, n):
    if kind == "strings":
        return words(d, n)
    if kind == "int64s":
        return [int(v) for v in d.random.permutation(20)[:n] - 5]
    return [float(v) for v in d.random.permutation(20)[:n] * 0.25 - 1] + [float("nan")] * d.pick(0, 0, 1)


def encoded(d, kind):
    shape = [d.size(1, 5) for _ in range(d.size(0, 2))]
    if kind == "strings":
        return np.array([d.pick(*WORDS) for _ in range(int(np.prod(shape)))], dtype=object).reshape(shape)
    if kind == "int64s":
        return d.ints(-6, 16, shape, np.int64)
    x = np.asarray(d.ints(-5, 18, shape) * 0.25, F32)
    return np.where(d.random.random(shape) < 0.2, F32("nan"), x).astype(F32)


def label_encoder(d):
    """Version 2: two lists of attributes."""
    kind, other = d.pick(*KEYS), d.pick(*KEYS)
    keys, opset = keys_of(d, kind, d.size(1, 8)), d.pick(2, 3, 4)
    if opset < 4:
        keys = [k for k in keys if k == k]  # (ONNX Runtime finds a NaN since version 4 only)
    values = [d.pick(*WORDS) if other == "strings" else KEYS[other](v) for v in d.ints(-9, 9, len(keys))]
    a = {f"keys_{kind}": keys, f"values_{other}": values}
    if d.maybe():
        a.update(default_int64=-3, default_string="nothing", default_float=2.5)
    d.add("LabelEncoder", [encoded(d, kind)], domain=ML, ml_opset=opset, **a)


def label_encoder_tensors(d):
    """Version 4: two tensors, more types."""
    pairs = [(np.float64, np.float64), (np.float64, object), (object, np.float64), (np.int64, np.float64), (np.float64, np.int64), (object, np.int16),
             (object, object), (np.int64, np.int64), (object, np.int64), (np.int64, object)]
    from_type, to_type = d.pick(*pairs)
    n = d.size(1, 8)

    def values(dtype, n):
        if dtype is object:
            return np.array(words(d, n), dtype=object)
        return (d.random.permutation(20)[:n] - 5).astype(dtype)

    keys, to = values(from_type, n), values(to_type, n)
    shape = (d.size(1, 6),)
    x = np.array([d.pick(*WORDS) for _ in range(shape[0])], dtype=object) if from_type is object else d.ints(-6, 16, shape).astype(from_type)
    other = np.array(["none"], object) if to_type is object else np.array([7], to_type)
    d.add("LabelEncoder", [x], domain=ML, ml_opset=4, keys_tensor=numpy_helper.from_array(keys), values_tensor=numpy_helper.from_array(to),
          default_tensor=numpy_helper.from_array(other))


def label_encoder_1(d):
    strings = d.maybe()
    x = encoded(d, "strings" if strings else "int64s")
    a = {"classes_strings": words(d, d.size(1, 8))}
    if d.maybe():
        a.update(default_int64=-3, default_string="nothing")
    d.add("LabelEncoder", [x], domain=ML, ml_opset=1, **a)


def normalizer(d):
    d.add("Normalizer", [table(d, d.size(1, 6), rows=d.pick(0, 1, 4, None))], domain=ML, norm=d.pick("MAX", "L1", "L2"))


def one_hot(d):
    n = d.size(1, 8)
    if d.maybe(0.3):
        x = np.array([d.pick(*WORDS) for _ in range(d.size(0, 6))], dtype=object)
        a = {"cats_strings": words(d, n)}
    else:
        shape = [d.size(0 if d.maybe(0.1) else 1, 4) for _ in range(d.size(1, 3))]
        x = d.ints(-3, 9, shape).astype(d.pick(np.int64, F32, np.float64))
        a = {"cats_int64s": [int(v) for v in d.random.permutation(12)[:n] - 3]}
    d.add("OneHotEncoder", [x], domain=ML, **a)


def scaler(d):
    columns = d.size(1, 6)
    n = d.pick(1, columns)
    d.add("Scaler", [table(d, columns)], domain=ML, offset=d.floats(n).tolist(), scale=d.floats(n).tolist())


def linear_regressor(d):
    columns, targets = d.size(1, 7), d.size(1, 4)
    a = {"coefficients": d.floats(columns * targets).tolist(), "targets": targets, "post_transform": d.pick(*POSTS[:4])}
    if d.maybe():
        a["intercepts"] = d.floats(targets).tolist()
    d.add("LinearRegressor", [table(d, columns, (F32,))], domain=ML, **a)


def linear_classifier(d):
    columns, classes = d.size(1, 7), d.size(2, 5)
    scores = 1 if classes == 2 and d.maybe() else classes
    a = {"coefficients": d.floats(columns * scores).tolist(), "intercepts": d.floats(scores).tolist(), "post_transform": d.pick(*POSTS[:4]), **labels_of(d, classes)}
    d.add("LinearClassifier", [table(d, columns)], 2, domain=ML, **a)


def kernel_of(d):
    return {"kernel_type": d.pick("LINEAR", "POLY", "RBF", "SIGMOID"), "kernel_params": [0.25, 0.5, float(d.pick(2, 3))]}


def svm_regressor(d):
    columns, vectors = d.size(1, 6), d.size(0, 7)
    a = {"n_supports": vectors, "coefficients": d.floats(vectors or columns).tolist(), "rho": d.floats(1).tolist(), "one_class": d.size(0, 1), **kernel_of(d)}
    if vectors:
        a["support_vectors"] = d.floats(vectors * columns).tolist()
    d.add("SVMRegressor", [table(d, columns, (F32,))], domain=ML, **a)


def svm_classifier(d):
    columns, classes = d.size(1, 6), d.size(2, 5)
    per_class = [d.size(1, 3) for _ in range(classes)]
    vectors, pairs = sum(per_class), classes * (classes - 1) // 2
    a = {"vectors_per_class": per_class, "support_vectors": d.floats(vectors * columns).tolist(), "coefficients": d.floats((classes - 1) * vectors).tolist(),
         "rho": d.floats(pairs).tolist(), "post_transform": d.pick("NONE", "NONE", "LOGISTIC", "SOFTMAX"), **kernel_of(d), **labels_of(d, classes)}
    if d.maybe():
        a.update(prob_a=(-np.abs(d.floats(pairs))).tolist(), prob_b=d.floats(pairs).tolist())
    d.add("SVMClassifier", [table(d, columns)], 2, domain=ML, **a)


def svm_linear_classifier(d):
    columns, classes = d.size(1, 6), d.size(2, 5)
    a = {"coefficients": d.floats(columns * classes).tolist(), "rho": d.floats(1).tolist(), "post_transform": d.pick(*POSTS[:4]), **kernel_of(d), **labels_of(d, classes)}
    if d.maybe(0.3):
        a["coefficients"] = [abs(v) for v in a["coefficients"]]
    d.add("SVMClassifier", [table(d, columns)], 2, domain=ML, **a)


MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")


def grow(d, nodes, tree, depth, columns, modes):
    """Appends a random subtree in preorder; its first node's id."""
    at = sum(n["tree"] == tree for n in nodes)
    node = {"tree": tree, "id": at, "feature": 0, "mode": "LEAF", "value": 0.0, "yes": 0, "no": 0, "missing": d.size(0, 1)}
    nodes.append(node)
    if depth and (d.maybe(0.8) or not at):
        node.update(feature=d.size(0, columns - 1), mode=d.pick(*modes), value=float(d.size(-8, 8)) / 4)
        node["yes"] = grow(d, nodes, tree, depth - 1, columns, modes)
        node["no"] = grow(d, nodes, tree, depth - 1, columns, modes)
    return at


def forest(d, columns, prefix, targets, lone=False, positive=False):
    nodes, weights = [], []
    modes = MODES if d.maybe(0.4) else [d.pick(*MODES[:4])]
    for tree in range(d.size(1, 6)):
        grow(d, nodes, tree, d.size(1, 4), columns, modes)
    for n in nodes:
        if n["mode"] == "LEAF":
            w = float(d.floats(1)[0])
            some = [d.size(0, targets - 1)] if lone is None else [0] if lone or targets == 1 else [t for t in range(targets)]
            weights += [(n["tree"], n["id"], t, (abs(w) if positive else w) * (1 + t)) for t in some]
    a = {"nodes_treeids": [n["tree"] for n in nodes], "nodes_nodeids": [n["id"] for n in nodes], "nodes_featureids": [n["feature"] for n in nodes],
         "nodes_modes": [n["mode"] for n in nodes], "nodes_values": [n["value"] for n in nodes], "nodes_truenodeids": [n["yes"] for n in nodes],
         "nodes_falsenodeids": [n["no"] for n in nodes]}
    if d.maybe():
        a["nodes_missing_value_tracks_true"] = [n["missing"] for n in nodes]
    names = "class" if prefix == "class" else "target"
    for i, key in enumerate(("treeids", "nodeids", "ids", "weights")):
        a[f"{names}_{key}"] = [w[i] for w in weights]
    return a


def rows_for_trees(d, columns, dtypes=(F32, F32, np.float64, np.int64, np.int32)):
    x = table(d, columns, dtypes, rows=d.pick(1, 2, 5, 40, 70))
    if x.dtype.kind == "f":
        x = (np.round(x * 4) / 4).astype(x.dtype)  # ties with thresholds, exactly
        x[d.random.random(x.shape) < 0.1] = np.nan
    return x


def tree_regressor(d):
    columns, targets = d.size(1, 5), d.pick(1, 1, 2, 3)
    a = forest(d, columns, "target", targets)
    a.update(n_targets=targets, aggregate_function=d.pick("SUM", "AVERAGE", "MIN", "MAX"), post_transform=d.pick("NONE", "NONE", "SOFTMAX", "LOGISTIC"))
    if d.maybe():
        a["base_values"] = d.floats(targets).tolist()
    x = rows_for_trees(d, columns, (F32, F32, np.float64))
    if x.dtype == np.float64:
        for name in ("nodes_values", "target_weights", "base_values"):
            if name in a:
                a[f"{name}_as_tensor"] = numpy_helper.from_array(np.array(a.pop(name), np.float64))
    d.add("TreeEnsembleRegressor", [x], domain=ML, ml_opset=3, **a)


def tree_classifier(d):
    columns, classes = d.size(1, 5), d.size(2, 5)
    lone = classes == 2 and d.maybe()
    a = forest(d, columns, "class", classes, lone or (None if classes > 2 and d.maybe() else False), d.maybe())
    # Scores of two classes are labelled by ONNX Runtime with 0 and 1, whatever the labels are: strings are told by place.
    labels = labels_of(d, classes, "classlabels_int64s") if classes > 2 or lone else {"classlabels_int64s": [0, 1]}
    a.update(post_transform=d.pick("NONE", "NONE", "SOFTMAX", "LOGISTIC"), **labels)
    if d.maybe() and not lone:
        a["base_values"] = d.floats(classes).tolist()
    d.add("TreeEnsembleClassifier", [rows_for_trees(d, columns)], 2, domain=ML, ml_opset=d.pick(1, 3), **a)


def tree_ensemble(d):
    """Version 5: branches and leaves apart; sets of members."""
    columns, targets, dtype = d.size(1, 5), d.size(1, 3), d.pick(F32, F32, np.float64)
    branches, leaves, roots, sets = [], [], [], []

    def grow_5(depth):
        if not depth or (d.maybe(0.2) and branches):
            leaves.append((float(d.floats(1)[0]), d.size(0, targets - 1)))
            return len(leaves) - 1, 1
        at, mode = len(branches), d.pick(*range(7))
        branches.append({"feature": d.size(0, columns - 1), "mode": mode, "split": float(d.size(-8, 8)) / 4})
        if mode == 6:
            sets.extend([float(d.size(-2, 2)) for _ in range(d.size(1, 4))] + [float("nan")])  # (ONNX Runtime takes integers only)
        for side in ("yes", "no"):
            branches[at][side], branches[at][side + "_leaf"] = grow_5(depth - 1)
        return at, 0

    for _ in range(d.size(1, 5)):
        roots.append(len(branches))
        depth = d.size(1, 4)
        while grow_5(depth)[1]:
            leaves.pop()

    def tensor(values, dtype=dtype):
        return numpy_helper.from_array(np.array(values, dtype))

    a = {"n_targets": targets, "tree_roots": roots, "nodes_featureids": [b["feature"] for b in branches], "nodes_modes": tensor([b["mode"] for b in branches], np.uint8),
         "nodes_splits": tensor([b["split"] for b in branches]), "nodes_truenodeids": [b["yes"] for b in branches], "nodes_falsenodeids": [b["no"] for b in branches],
         "nodes_trueleafs": [b["yes_leaf"] for b in branches], "nodes_falseleafs": [b["no_leaf"] for b in branches],
         "leaf_targetids": [t for _, t in leaves], "leaf_weights": tensor([w for w, _ in leaves]),
         "aggregate_function": d.size(0, 3), "post_transform": 0}  # (ONNX Runtime takes 1 for LOGISTIC, 2 for SOFTMAX)
    if sets:
        a["membership_values"] = tensor(sets)
    if d.maybe():
        a["nodes_missing_value_tracks_true"] = [d.size(0, 1) for _ in branches]
    x = table(d, columns, (dtype,), rows=d.pick(1, 2, 5, 40))
    step = 1 if sets else 4  # (ONNX Runtime cuts values off before it looks for them in a set)
    x = (np.round(x * step) / step).astype(dtype)
    x[d.random.random(x.shape) < 0.1] = np.nan
    d.add("TreeEnsemble", [x], domain=ML, **a)


def zip_map(d):
    """As converters end classifiers: what is a list of maps elsewhere is a table here, columns in the order of labels."""
    columns, classes = d.size(1, 6), d.size(2, 5)
    labels = labels_of(d, classes)
    keys = labels.get("classlabels_strings") or labels["classlabels_ints"]
    strings = isinstance(keys[0], str)
    nodes = [helper.make_node("LinearClassifier", ["x"], ["label", "scores"], domain=ML, coefficients=d.floats(columns * classes).tolist(),
                              intercepts=d.floats(classes).tolist(), post_transform="SOFTMAX", **labels),
             helper.make_node("ZipMap", ["scores"], ["maps"], domain=ML, **{"classlabels_strings" if strings else "classlabels_int64s": keys})]
    key = TensorProto.STRING if strings else TensorProto.INT64
    maps = helper.make_sequence_type_proto(helper.make_map_type_proto(key, helper.make_tensor_type_proto(TensorProto.FLOAT, [])))
    graph = helper.make_graph(nodes, "zip", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, columns])],
                              [helper.make_tensor_value_info("label", key, [None]), helper.make_value_info("maps", maps)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15), helper.make_opsetid(ML, 1)], ir_version=8)
    feeds = {"x": d.floats(d.pick(1, 2, 7), columns)}
    label, rows = answers_of(model, feeds)
    d.write("ZipMap", model, feeds, [label, np.array([[row[k] for k in keys] for row in rows], F32)], True, d.name)


GENERATORS = {
    "ArrayFeatureExtractor": extract,
    "Binarizer": binarizer,
    "CategoryMapper": category_mapper,
    "FeatureVectorizer": feature_vectorizer,
    "Imputer": imputer,
    "LabelEncoder": label_encoder,
    "LabelEncoder 4": label_encoder_tensors,
    "LabelEncoder 1": label_encoder_1,
    "LinearClassifier": linear_classifier,
    "LinearRegressor": linear_regressor,
    "Normalizer": normalizer,
    "OneHotEncoder": one_hot,
    "SVMClassifier": svm_classifier,
    "SVMClassifier linear": svm_linear_classifier,
    "SVMRegressor": svm_regressor,
    "Scaler": scaler,
    "TreeEnsemble": tree_ensemble,
    "TreeEnsembleClassifier": tree_classifier,
    "TreeEnsembleRegressor": tree_regressor,
    "ZipMap": zip_map,
}
