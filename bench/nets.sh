#!/bin/sh
# Three nets beside their peers, on 2 threads and on 1: bench/nets.sh [OUT]     (needs `make peers`)
# The audio classifier comes from bench/random_models.py; ResNet-8 and MobileNet are read from ../shared/data/keras.
set -eu
cd "$(dirname "$0")/.."
out=${1:-bench-out/nets}
python=${HONE_PEERS_PYTHON:-build/peers-venv/bin/python}
hone=build/hone
mkdir -p "$out"
[ -x "$python" ] || { echo "no peers: make peers"; exit 1; }
[ -f "$out/audio.h5" ] || $python bench/random_models.py "$out" 2>/dev/null
data=../shared/data/keras/mlcommons-tiny
for pair in resnet8:pretrainedResnet.h5 mobilenet:vww_96.h5; do
    if [ -f "$data/${pair#*:}" ]; then cp -n "$data/${pair#*:}" "$out/${pair%%:*}.h5" || true
    else echo "${pair%%:*} is skipped: $data/${pair#*:} is not there"; fi
done
for source in "$out"/audio.h5 "$out"/resnet8.h5 "$out"/mobilenet.h5; do
    [ -f "$source" ] || continue
    name=$(basename "$source" .h5)
    $python bench/samples.py "$source" "$out/$name-samples" 2>/dev/null
    $hone optimize "$source" -o "$out/$name.onnx" -q
    $hone optimize "$source" -p int8 -o "$out/$name-int8.onnx" -q
    $hone optimize "$source" -p int8 --calibrate "$out/$name-samples" -o "$out/$name-static.onnx" -q
    for threads in 2 1; do
        HONE_PEERS_PYTHON=$python $hone bench "$source" "$out/$name.onnx" "$out/$name-int8.onnx" "$out/$name-static.onnx" \
            --peers "${PEERS:-keras,tflite,onnxruntime,openvino}" --threads $threads --repeat "${REPEAT:-100}" -o "$out/$name-$threads" >/dev/null || echo "$name: some peers failed"
    done
done
python3 bench/ratios.py "$out"
