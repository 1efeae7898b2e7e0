#!/bin/sh
# Models of others beside ONNX Runtime, on 2 threads and on 1: bench/onnx.sh [OUT]     (needs `make peers`)
set -eu
cd "$(dirname "$0")/.."
out=${1:-bench-out/onnx}
python=${HONE_PEERS_PYTHON:-build/peers-venv/bin/python}
[ -x "$python" ] || { echo "no peers: make peers"; exit 1; }
mkdir -p "$out"
[ -f "$out/squeezenet.onnx" ] || "$python" bench/onnx_models.py ../shared/data/onnx "$out"
for model in "$out"/*.onnx; do
    name=$(basename "$model" .onnx)
    case $name in resnet50 | densenet121 | inception_* | vgg19) repeat=${REPEAT:-10} ;; *) repeat=${REPEAT:-300} ;; esac
    for threads in 2 1; do
        HONE_PEERS_PYTHON=$python HONE_PEER_QUANTIZE=0 build/hone bench "$model" --peers onnxruntime --threads $threads \
            --repeat "$repeat" -o "$out/$name-$threads" >/dev/null || echo "$name: failed"
    done
done
python3 bench/ratios.py "$out"
