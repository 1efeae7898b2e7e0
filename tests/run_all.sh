#!/bin/sh
# What `make test-all` adds to `make test`: live frameworks, threads under TSan, every allocation failing, fuzzing.
set -eu
python=build/peers-venv/bin/python
export HONE="$PWD/build/hone"
echo "== every allocation fails once"
HONE_TEST_ALL=1 build/tests/test_exec
echo "== 5,000 random graphs"
HONE_TEST_ALL=1 build/tests/test_random_graphs
echo "== random graphs against live ONNX Runtime"
$python tests/graphs/live_graphs.py
echo "== live Keras"
$python tests/import/live_keras.py
echo "== ONNX's node tests"
$python tests/onnx/make_cases.py build/onnx-cases
for least in node:1852 pytorch-converted:82 pytorch-operator:35 simple:21; do
    kind=${least%%:*}
    line=$(build/hone test build/onnx-cases/"$kind"/* | tail -n 1) || true # cases that are known to fail: docs/testing.md
    echo "$kind: $line"
    [ "${line%% *}" -ge "${least#*:}" ] || { echo "fewer than ${least#*:} pass"; exit 1; }
done
echo "== random one-node models against live ONNX Runtime"
$python tests/onnx/live_operators.py --seed 7 --cases 12
echo "== real models with their states against live ONNX Runtime"
$python tests/onnx/live_models.py || [ $? = 77 ] # without the models
echo "== models that ask for more than they earn"
$python tests/onnx/live_hostile.py
echo "== what ONNX Runtime's quantiser makes of real models"
$python tests/onnx/live_quantised.py || [ $? = 77 ] # without the models
echo "== tokenizers against the tokenizers package"
$python tests/text/live_tokenizers.py || [ $? = 77 ] # without the package
echo "== language models against transformers"
"${HONE_TRANSFORMERS_PYTHON:-$python}" tests/import/live_transformers.py --real || [ $? = 77 ] # without transformers
echo "== Whisper against openai-whisper"
if "$python" -c "import whisper" 2>/dev/null; then "$python" tests/tasks/live_whisper.py build/hone; else echo "skipped: no openai-whisper (make language-peers)"; fi
echo "== language models as optimum and onnxruntime-genai write them"
for p in "${HONE_OPTIMUM_PYTHON:-$python}" "${HONE_GENAI_PYTHON:-$python}"; do
    "$p" tests/import/live_onnx_folders.py || [ $? = 77 ] # without the packages
done
echo "== perplexity beside transformers"
"${HONE_TRANSFORMERS_PYTHON:-$python}" tests/tools/live_perplexity.py || [ $? = 77 ] # without transformers
echo "== memory that importing a gigabyte takes"
python3 tests/import/check_import_memory.py --gb 1
echo "== threads under ThreadSanitizer"
cmake --preset tsan -Wno-dev >/dev/null
cmake --build build-tsan -j 2 --target test_base test_exec test_api_threads
build-tsan/tests/test_base
build-tsan/tests/test_exec
build-tsan/tests/test_api_threads
echo "== aarch64 under qemu: the labels of x86-64"
sh tests/cross_arm.sh
echo "== fuzzing"
cmake --preset fuzz -Wno-dev >/dev/null
cmake --build build-fuzz -j 2
for target in build-fuzz/fuzz/fuzz_*; do
    name=${target##*/fuzz_}
    mkdir -p "build-fuzz/found/$name"
    "$target" -max_total_time="${FUZZ_SECONDS:-60}" -rss_limit_mb=2000 "build-fuzz/found/$name" "tests/fuzz/corpus/$name"
done
