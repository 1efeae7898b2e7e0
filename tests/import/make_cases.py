#!/usr/bin/env python3
"""Writes tests/reference/keras: small models saved by Keras 3 and tf_keras, with inputs and Keras's own outputs.

Usage: make_cases.py OUT [NAME ...]        (needs tensorflow, keras 3 and tf_keras); all of them where none is named
Per case NAME: NAME.keras or NAME.h5, and NAME.ref: little-endian records of
  u8 kind (0 input, 1 output), u8 name length, name, u8 ONNX type, u8 rank, i64 dims, data (a text: u8 length, UTF-8)."""
import os
import struct
import sys
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import numpy as np

import keras_cases

KERAS3 = """dense_3d_relu act_gelu act_selu act_mish act_hard_sigmoid act4_softmax relu_full prelu_shared act_object conv2d_same_2
conv2d_valid_3 conv1d_same_2 depthwise2d_same_2 separable2d_valid_1 conv2dt_same_2_3 conv2dt_valid_3_2 conv3d_same conv1d_causal
conv2d_groups conv1d_unknown_stride max2d_same_2 average2d_same_1 average3d_valid globalaverage1d_true globalmax2d_false
adaptiveaverage2d_(4, 4) batchnorm_4 batchnorm_axis2 layernorm_axes groupnorm_-1_3 unitnorm rmsnorm spectral reshape permute
zeropad2d crop3d upsample_bilinear upsample_bicubic concat_-1 dot_33 dot_22n average_3 lstm_seq lstm_backseq gru gru_before simplernn
bilstm_concat lstm_initial lstm_masked_False gru_masked_True stacked_cells td_conv convlstm2d_True embedding_float attention_concat
additive mha_causal mha_embed gqa einsum_dense rescaling_list resizing_down_nearest resizing_lanczos3 normalization discretization
category_multihot stft_log mel sequential_cnn residual_nested_shared squeeze_excite channels_mixed output_is_input op_item op_arith
op_split op_mean op_nn spectral_frozen.h5 op_average.h5 op_count op_norms.h5 op_normalize op_moments op_order op_order_unknown op_quantile
op_roll op_diff op_choose op_angles op_logadd op_constants.h5 op_tensordot op_einsum_dots op_normalizations op_attention op_joining op_broadcast
op_digits op_repeat lookup_mask bilstm_turned op_conv op_conv_given op_pools op_resize op_images between_convolutions_1d
between_convolutions_2d between_convolutions_3d cell_lstm cell_stacked text_lookup_invert text_lookup_adapted lookup_adapted
text_lookup_tf_idf text_vector_adapted text_vector_ngrams_length text_vector_whole_count text_classifier op_fourier op_fourier_back auto_contrast
op_frames op_frames_back clahe_grid hashing_salt text_hashing_mask text_lookup_spread_mask lookup_spread lookup_invert_mask crossing_int_int64""".replace("\n", " ")
TF_KERAS = """dense act_hard_sigmoid conv2d_same_2 depthwise_dilated_same conv2dt_same_2_3 average2d_same_1 batchnorm_3 concat_2 lstm
gru_elu bigru_sum lstm_masked_False mha embedding sequential_cnn residual_nested_shared tf_arith tf_item tf_concat tf_nn
thresholded normalization tf_norms tf_order tf_gather tf_products tf_backend tf_elements tf_moments tf_shapes tf_shapes_unknown tf_conv
tf_conv_transpose tf_pools
tf_images tf_old_resize batchnorm_axes bigru_turned gru_time_major bilstm_time_major bigru_masked_unroll lookup_one_hot cell_gru text_lookup_adapted text_vector_multi_hot normalization_shared.h5
local1d_1_channels_last local2d_2_channels_first local2d_3_channels_last""".replace("\n", " ")
TYPES = {"float32": 1, "uint8": 2, "int32": 6, "int64": 7, "string": 8, "bool": 9}


def split(text):
    """Names may hold a comma and a space inside brackets."""
    out, depth, word = [], 0, ""
    for ch in text + " ":
        depth += (ch == "(") - (ch == ")")
        if ch == " " and depth == 0:
            if word:
                out.append(word)
            word = ""
        else:
            word += ch
    return out


def record(kind, name, v):
    v = np.ascontiguousarray(v).reshape(np.shape(v))
    text = v.dtype.kind in "OSU"
    head = struct.pack("<BB", kind, len(name)) + name.encode() + struct.pack("<BB", TYPES["string" if text else v.dtype.name], v.ndim)
    words = [e if isinstance(e, bytes) else e.encode() for e in v.ravel().tolist()] if text else []
    return head + struct.pack(f"<{v.ndim}q", *v.shape) + (b"".join(bytes([len(w)]) + w for w in words) if text else v.tobytes())


def deflate(path):
    if not os.path.exists(path):
        return
    with zipfile.ZipFile(path) as z:
        members = [(n, z.read(n)) for n in z.namelist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in members:
            z.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def write(K, names, prefix, folder, only):
    table = dict(keras_cases.cases(K))
    table.update(keras_cases.op_cases(K))
    for i, name in enumerate(split(names)):
        name, h5, _ = name.partition(".h5")
        if only and name not in only:
            continue
        model, inputs, outputs = keras_cases.build(K, name, table[name])
        safe = prefix + "".join(ch if ch.isalnum() or ch in "_-" else "_" for ch in name)
        model.save(os.path.join(folder, safe + (".h5" if (i % 3 == 0 or h5 or name.startswith("tf_")) and not name.endswith("adapted") else ".keras")))
        if i % 3 == 1:  # archives may be packed, too
            deflate(os.path.join(folder, safe + ".keras"))
        with open(os.path.join(folder, safe + ".ref"), "wb") as f:
            for key, v in inputs.items():
                f.write(record(0, key, v))
            for v in outputs:
                f.write(record(1, "", v))
        print(safe, model.count_params())


def main():
    folder, only = sys.argv[1], sys.argv[2:]
    os.makedirs(folder, exist_ok=True)
    import keras
    write(keras, KERAS3, "k3_", folder, only)
    import tf_keras
    write(tf_keras, TF_KERAS, "k2_", folder, only)


if __name__ == "__main__":
    main()
