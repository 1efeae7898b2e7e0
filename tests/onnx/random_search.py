"""Random cases of com.microsoft's operators that search for tokens: tiny decoders with random weights in their graphs."""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from case_writer import MICROSOFT, Refused, answers_of, one_node

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT32
HEADS, SIZE = 2, 4
WIDTH = HEADS * SIZE


class Body:
    """A graph that is being written: nodes by what they compute."""

    def __init__(self, d, name):
        self.d, self.name, self.nodes, self.weights, self.inputs, self.outputs, self.count = d, name, [], [], [], [], 0

    def op(self, op, *inputs, outputs=1, to=None, domain="", **attributes):
        self.count += 1
        names = to or [f"{self.name}_{self.count}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, domain=domain, **attributes))
        return names[0] if len(names) == 1 else names

    def weight(self, *shape, scale=1.0):
        return self.constant((self.d.floats(*shape) * scale).astype(np.float32))

    def constant(self, array):
        self.weights.append(numpy_helper.from_array(np.asarray(array), f"{self.name}_w{len(self.weights)}"))
        return self.weights[-1].name

    def input(self, name, kind, *shape):
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name, *shape):
        self.outputs.append(helper.make_tensor_value_info(name, FLOAT, shape))
        return name

    def graph(self):
        return helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.weights)


def gpt(d, vocab, layers):
    """input_ids, position_ids, attention_mask, past_i -> logits, present_i."""
    b = Body(d, "decoder")
    ids, places, mask = b.input("input_ids", INT, "b", "s"), b.input("position_ids", INT, "b", "s"), b.input("attention_mask", INT, "b", "t")
    words = b.weight(vocab, WIDTH)
    x = b.op("Add", b.op("Gather", words, ids), b.op("Gather", b.weight(64, WIDTH, scale=0.5), places))
    b.output("logits", "b", "s", vocab)
    for i in range(layers):
        b.input(f"past_{i}", FLOAT, 2, "b", HEADS, "p", SIZE)
        b.output(f"present_{i}", 2, "b", HEADS, "t", SIZE)
        y, _ = b.op("Attention", x, b.weight(WIDTH, 3 * WIDTH, scale=0.5), b.weight(3 * WIDTH), mask, f"past_{i}", to=[f"y{i}", f"present_{i}"], domain=MICROSOFT,
                    num_heads=HEADS, unidirectional=1)
        x = b.op("Add", x, y)
    b.op("MatMul", x, b.weight(WIDTH, vocab), to=["logits"])
    return b.graph()


class Pair:
    """An encoder and a decoder like T5's, or Whisper's, over the same weights. Each layer attends to the tokens so far, then to the encoder."""

    def __init__(self, d, vocab, layers, whisper=False):
        self.d, self.vocab, self.layers, self.whisper = d, vocab, layers, whisper
        self.words = (d.floats(vocab, WIDTH) * 1.5).astype(np.float32)
        self.matrices = [[(d.floats(WIDTH, WIDTH) * 0.6).astype(np.float32) for _ in range(6)] for _ in range(layers)]
        self.out = d.floats(WIDTH, vocab)

    def states(self, b, hidden, weights):
        """[b, t, WIDTH] -> keys and values [b, HEADS, t, SIZE]"""
        shape = b.constant(np.array([0, 0, HEADS, SIZE], np.int64))
        return [b.op("Transpose", b.op("Reshape", b.op("MatMul", hidden, b.constant(w)), shape), perm=[0, 2, 1, 3]) for w in weights]

    def decode(self, b, ids, mask, cross, past):
        x = b.op("Gather", b.constant(self.words), ids)
        for i, (q, k, v, own, _, _) in enumerate(self.matrices):
            inputs = [b.op("MatMul", x, b.constant(w)) for w in (q, k, v)]
            names = [f"present_key_self_{i}", f"present_value_self_{i}"]
            y, _, _ = b.op("MultiHeadAttention", *inputs, *(["", "", ""] + past(i) if past else []), to=[f"y{i}", *names], domain=MICROSOFT, num_heads=HEADS,
                           unidirectional=1)
            x = b.op("Add", x, y)
            y = b.op("MultiHeadAttention", b.op("MatMul", x, b.constant(own)), *cross(i), *(["", mask] if mask else []), domain=MICROSOFT, num_heads=HEADS)
            x = b.op("Add", x, y)
        return b.op("MatMul", x, b.constant(self.out), to=["logits"])

    def declare(self, b, cross):
        for which in ("self", "cross") if cross else ("self",):
            for i in range(self.layers):
                for part in ("key", "value"):
                    b.output(f"present_{part}_{which}_{i}", "b", HEADS, f"{which}_t", SIZE)

    def encoder(self, old=True):
        b, d = Body(self.d, "encoder"), self.d
        if self.whisper:
            features = b.input("encoder_input_ids", FLOAT, "b", WIDTH, "e")
            hidden, mask = b.op("Tanh", b.op("Transpose", features, perm=[0, 2, 1])), None
        else:
            ids, mask = b.input("encoder_input_ids", INT, "b", "e"), b.input("encoder_attention_mask", INT, "b", "e")
            hidden = b.op("Tanh", b.op("Gather", b.constant(d.floats(self.vocab, WIDTH)), ids))
        cross = []
        for i, weights in enumerate(self.matrices):
            states = self.states(b, hidden, weights[4:])
            cross.append([b.op("Identity", v, to=[f"present_{part}_cross_{i}"]) for v, part in zip(states, ("key", "value"))])
        if old:
            first = b.input("decoder_input_ids", INT, "b", "s")
            b.output("logits", "b", "s", self.vocab)
            b.output(b.op("Identity", hidden, to=["encoder_hidden_states"]), "b", "e", WIDTH)
            self.decode(b, first, mask, lambda i: cross[i], None)
            self.declare(b, True)
        else:
            for i in range(self.layers):
                for name in cross[i]:
                    b.output(name, "b", HEADS, "e", SIZE)
        return b.graph()

    def decoder(self, whole, hidden):
        b = Body(self.d, "decoder")
        ids = b.input("input_ids", INT, "b", "s" if whole else 1)
        mask = None if self.whisper else b.input("encoder_attention_mask", INT, "b", "e")
        if hidden:
            b.input("encoder_hidden_states", FLOAT, "b", "e", WIDTH)
        names = {which: [[b.input(f"past_{part}_{which}_{i}", FLOAT, "b", HEADS, f"{which}_p", SIZE) for part in ("key", "value")] for i in range(self.layers)]
                 for which in ("self", "cross")}
        if whole:  # of all tokens only the newest is new
            ids = b.op("Slice", ids, *[b.constant(np.array([v], np.int64)) for v in (-1, 1 << 30, 1)])
        b.output("logits", "b", 1, self.vocab)
        self.decode(b, ids, mask, lambda i: names["cross"][i], lambda i: names["self"][i])
        self.declare(b, False)
        return b.graph()


def shaken(d, attributes):
    """The same graphs with weights a little off."""
    copies = dict(attributes)
    for key in ("encoder", "decoder"):
        if key not in attributes:
            continue
        copies[key] = type(attributes[key])()
        copies[key].CopyFrom(attributes[key])
        for weight in copies[key].initializer:
            array = numpy_helper.to_array(weight)
            if array.dtype == np.float32:
                weight.CopyFrom(numpy_helper.from_array((array * (1 + 1e-5 * d.floats(*array.shape))).astype(np.float32), weight.name))
    return copies


def search(d, op, inputs, outputs, batch, **attributes):
    """Writes the case, unless a tie decides it. Whether an entry can still improve ONNX Runtime 1.31 judges by the scores of another one: its answers for
    each entry alone, then."""
    def ask(values, attributes):
        return one_node(op, values, outputs, domain=MICROSOFT, declared={1: FLOAT, 2: FLOAT}, **attributes)

    def answer(attributes):
        if "BeamSearch" not in op or attributes["early_stopping"]:
            return answers_of(*ask(inputs, attributes))
        each = [answers_of(*ask([v[i:i + 1] if k in (0, 8, 9, 10) and v is not None else v for k, v in enumerate(inputs)], attributes)) for i in range(batch)]
        return [np.concatenate(parts, axis=int(i == 2)) for i, parts in enumerate(zip(*each))]
    answers = answer(attributes)
    if not np.array_equal(answers[0], answer(shaken(d, attributes))[0]):
        raise Refused("rounding decides")
    d.write(op, *ask(inputs, attributes), answers, name=d.name)


def options(d, low, vocab, batch, most):
    """min_length, repetition_penalty, vocab_mask, prefix_vocab_mask"""
    mask = d.ints(0, 4, vocab).clip(0, 1) if d.maybe(0.25) else None
    prefix = d.ints(0, 4, (batch, vocab)).clip(0, 1) if d.maybe(0.25) else None
    for m in (mask, prefix):
        if m is not None:
            m[..., -4:] = 1
    return (np.int32(d.size(low, most - 1)) if d.maybe(0.4) else np.int32(0), np.float32(d.pick(1.2, 0.8, 2.0)) if d.maybe(0.5) else None, mask, prefix)


def prompt(d, vocab, pad):
    """Tokens with padding on the left, and the mask that a caller may give."""
    batch, length = d.size(1, 3), d.size(1, 5)
    ids = d.ints(0, vocab, (batch, length))
    for row in ids:
        row[:d.size(0, length - 1)] = pad
    return batch, length, ids, (ids != pad).astype(np.int32) if d.maybe(0.3) else None


def prompted(d, **attributes):
    vocab, layers = d.pick(8, 12, 30), d.size(1, 2)
    pad, eos = d.size(0, vocab - 1), d.size(0, vocab - 1)
    batch, length, ids, mask = prompt(d, vocab, pad)
    a = {"eos_token_id": eos, "pad_token_id": pad, "decoder": gpt(d, vocab, layers), "no_repeat_ngram_size": d.pick(0, 0, 1, 2, 3), **attributes}
    return vocab, batch, length, ids, mask, a


def greedy(d):
    vocab, batch, length, ids, mask, a = prompted(d)
    most = length + d.size(1, 12)
    low, penalty, allowed, prefix = options(d, length, vocab, batch, most)
    search(d, "GreedySearch", [ids, np.int32(most), low, penalty, allowed, prefix, mask], 1, batch, **a)


def sampling(d):
    vocab, batch, length, ids, mask, a = prompted(d)
    most = length + d.size(1, 12)
    a["no_repeat_ngram_size"] = d.pick(0, 0, 2, 3)  # what is drawn once all tokens are banned means nothing
    low, penalty, allowed, prefix = options(d, length, vocab, batch, most)
    a.update(top_p=d.pick(0.3, 0.7, 0.95), temperature=d.pick(0.5, 1.0, 2.0), custom=d.size(0, 1), min_tokens_to_keep=d.size(0, 3))
    if d.maybe(0.3):
        a["filter_value"] = -50.0
    search(d, "Sampling", [ids, np.int32(most), low, penalty, allowed, prefix, mask, None, np.int32(d.size(0, 1000)) if d.maybe(0.8) else None], 1, batch, **a)


def sampling_present(d):
    """A penalty on tokens that are there: ONNX Runtime 1.31 takes it all from the first token, so its answer is that of a decoder which subtracts it."""
    vocab, layers, size, most = 12, 1, d.size(1, 4), d.size(6, 14)
    there, penalty, decoder = d.ints(0, 2, (1, vocab)), d.pick(0.5, -1.0, 4.0), gpt(d, vocab, layers)
    ids, seed = d.ints(0, vocab, (1, size)), np.int32(d.size(0, 1000))
    a = {"eos_token_id": 1, "pad_token_id": 0, "top_p": 0.8, "min_tokens_to_keep": 1}
    less = type(decoder)()
    less.CopyFrom(decoder)
    less.node[-1].output[0] = "raw"
    less.initializer.append(numpy_helper.from_array((there * np.float32(penalty)).astype(np.float32), "cost"))
    less.node.append(helper.make_node("Sub", ["raw", "cost"], ["logits"]))
    answers = answers_of(*one_node("Sampling", [ids, np.int32(most), *[None] * 6, seed], domain=MICROSOFT, decoder=less, **a))
    inputs = [ids, np.int32(most), *[None] * 5, there, seed]
    d.write("Sampling", *one_node("Sampling", inputs, domain=MICROSOFT, decoder=decoder, presence_penalty=penalty, **a), answers, name=d.name)


def beam_numbers(d, length, vocab, batch):
    most, beams = length + d.size(2, 12), d.size(1, 4)
    low, penalty, allowed, prefix = options(d, length, vocab, batch, most)
    return most, beams, [np.int32(most), low, np.int32(beams), np.int32(d.size(1, beams)), np.float32(d.pick(1.0, 0.0, 2.0, -1.0)), penalty, allowed, prefix]


def beam_gpt(d):
    vocab, batch, length, ids, mask, a = prompted(d, early_stopping=d.size(0, 1))
    _, _, numbers = beam_numbers(d, length, vocab, batch)
    if d.maybe(0.3):  # without an end all scores are set
        numbers[1], a["eos_token_id"] = np.int32(0), vocab
    search(d, "BeamSearch", [ids, *numbers, mask], 3 if a["eos_token_id"] == vocab else d.size(1, 2), batch, **a)


def paired(d, whisper, old=True):
    vocab, layers = d.pick(8, 12, 30), d.size(1, 2)
    pair = Pair(d, vocab, layers, whisper)
    whole = old and d.maybe(0.3)
    return vocab, {"eos_token_id": d.size(0, vocab - 1), "pad_token_id": d.size(0, vocab - 1), "no_repeat_ngram_size": d.pick(0, 0, 1, 2, 3),
                   "early_stopping": d.size(0, 1), "encoder": pair.encoder(old), "decoder": pair.decoder(whole, old and d.maybe()), "decoder_start_token_id": d.size(0, vocab - 1)}


def beam_pair(d, old=True):
    vocab, a = paired(d, False, old)
    batch, length, ids, mask = prompt(d, vocab, a["pad_token_id"])
    _, _, numbers = beam_numbers(d, 1, vocab, batch)
    if d.maybe(0.3):
        numbers[1], a["eos_token_id"] = np.int32(0), vocab
    search(d, "BeamSearch", [ids, *numbers, mask], 3 if a["eos_token_id"] == vocab else d.size(1, 2), batch, model_type=1, **a)


def beam_pair_new(d):
    """An encoder that makes only the states of the attention on it."""
    beam_pair(d, False)


def beam_whisper(d):
    vocab, a = paired(d, True)
    processor = None
    if vocab > 8 and d.maybe(0.4):  # text, then the end of it, special tokens, timestamps
        end, processor = vocab - 1 - d.size(6, 9), np.int32(1)
        a.update(eos_token_id=end, decoder_start_token_id=end + 1, translate_token_id=end + 2, transcribe_token_id=end + 3, start_of_lm_token_id=end + 4,
                 no_timestamps_token_id=end + 5, beginning_timestamp_token_id=end + 6)
    batch, length = d.size(1, 3), d.size(1, 6)
    ids = d.ints(0, vocab, (batch, d.size(1, 4))) if d.maybe(0.7) else None
    _, _, numbers = beam_numbers(d, 1 if ids is None else ids.shape[1], vocab, batch)
    temperature = np.float32(d.pick(0.5, 2.0)) if d.maybe(0.3) else None
    if processor is None and d.maybe(0.3):
        numbers[1], a["eos_token_id"] = np.int32(0), vocab
    search(d, "WhisperBeamSearch", [d.floats(batch, WIDTH, length), *numbers, None, ids, processor, None, None, temperature],
           3 if a["eos_token_id"] == vocab else d.size(1, 2), batch, model_type=2, **a)


def beam_whisper_silence(d):
    """How likely the first token is silence, which ONNX Runtime's CPU provider leaves unset: the softmax of its encoder's logits."""
    vocab, a = paired(d, True)
    batch, start = d.size(1, 3), a["decoder_start_token_id"]
    features, first = d.floats(batch, WIDTH, d.size(1, 6)), np.full((batch, 1), start, np.int32)
    numbers = [np.int32(6), np.int32(0), np.int32(2), np.int32(1), np.float32(1)]
    answers = answers_of(*one_node("WhisperBeamSearch", [features, *numbers], domain=MICROSOFT, **{**a, "early_stopping": 1}))
    encoder = helper.make_model(a["encoder"], opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)], ir_version=10)
    logits = answers_of(encoder, {"encoder_input_ids": features, "decoder_input_ids": first})[0][:, -1].astype(np.float64)
    shares, silence = np.exp(logits - logits.max(-1, keepdims=True)), d.size(0, vocab - 1)
    answers.append((shares[:, silence] / shares.sum(-1)).astype(np.float32))
    a.update(early_stopping=1, no_speech_token_id=silence)
    d.write("WhisperBeamSearch", *one_node("WhisperBeamSearch", [features, *numbers], [1, 0, 0, 0, 1], domain=MICROSOFT, declared={4: FLOAT}, **a), answers, name=d.name)


GENERATORS = {"GreedySearch": greedy, "Sampling": sampling, "Sampling with what is present": sampling_present, "BeamSearch": beam_gpt, "BeamSearch of a pair": beam_pair,
              "BeamSearch of a pair, new": beam_pair_new, "WhisperBeamSearch": beam_whisper, "WhisperBeamSearch with silence": beam_whisper_silence}
