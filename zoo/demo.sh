#!/bin/sh
# The whole path on the bundled keyword classifier: import, optimise, label, evaluate, measure; then the same with the bundled
# language model, which goes on from a prompt.
set -eu
cd "$(dirname "$0")/.."
out=out/demo
hone=build/hone
zoo=zoo/keywords
mkdir -p "$out"
echo "== $zoo/keywords.h5, as Keras saved it, to ONNX: float32, int8 without data, int8 with calibration data"
for spec in fp32: int8: int8_static:--calibrate=$zoo/calibration; do
    name=${spec%%:*}
    $hone optimize $zoo/keywords.h5 --features $zoo/features.json --precision "${name%_static}" ${spec#*:} \
        -o "$out/keywords_$name.onnx" --report "$out/report_$name.json"
done
echo
echo "== the bundled clips, labelled by the int8 model"
$hone classify "$out/keywords_int8.onnx" $zoo/clips/* --top 2
echo
echo "== 220 clips of voices that it was not trained on"
for name in fp32 int8 int8_static; do
    printf '%-24s ' "keywords_$name.onnx"
    $hone eval "$out/keywords_$name.onnx" $zoo/test | tail -n 1
done
echo
peers=""
[ -x build/peers-venv/bin/python ] && peers="--peers keras,tflite,onnxruntime,openvino"
echo "== time and memory, each in fresh processes"
$hone bench $zoo/keywords.h5 "$out/keywords_fp32.onnx" "$out/keywords_int8.onnx" "$out/keywords_int8_static.onnx" \
    $peers --dataset $zoo/test -o "$out"
echo
nano=zoo/gpt2-nano
prompt="And the LORD said unto Moses,"
echo "== $nano, as Hugging Face publishes models, to ONNX in four precisions; how each goes on from a prompt"
for precision in fp32 bf16 int8 int4; do
    $hone optimize $nano --precision $precision -o "$out/gpt2-nano-$precision"
done
for precision in fp32 bf16 int8 int4; do
    printf '\n%s: %s' "$precision" "$prompt"
    $hone generate "$out/gpt2-nano-$precision" --prompt "$prompt" -n 40 -q
done
echo
echo "== its size, time per token and memory in fresh processes, and its perplexity on text that training never met"
$hone bench $nano --task generate --prompt "$prompt" -n 50 --precisions fp32,bf16,int8,int4 --dataset $nano/heldout.txt -q -o "$out/text"
