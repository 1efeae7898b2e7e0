#!/bin/sh
# The installed tree serves a program through pkg-config, and one through find_package.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$BUILD" --prefix "$work/tree" >/dev/null
pc=$(dirname "$(find "$work/tree" -name hone.pc)")
cc "$SOURCE/examples/run_model.c" $(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs --static hone) -o "$work/run_model"
"$work/tree/bin/hone" optimize "$SOURCE/zoo/keywords/keywords.keras" -o "$work/model.onnx" -q
[ "$("$work/run_model" "$work/model.onnx" | wc -l)" = 22 ]
mkdir "$work/user"
cat > "$work/user/CMakeLists.txt" <<EOF
cmake_minimum_required(VERSION 3.20)
project(user C)
find_package(hone REQUIRED)
add_executable(run_model $SOURCE/examples/run_model.c)
target_link_libraries(run_model PRIVATE hone::hone)
EOF
cmake -S "$work/user" -B "$work/user/build" -DCMAKE_PREFIX_PATH="$work/tree" >/dev/null
cmake --build "$work/user/build" >/dev/null
[ "$("$work/user/build/run_model" "$work/model.onnx" | wc -l)" = 22 ]
cc "$SOURCE/examples/stream_states.c" $(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs --static hone) -o "$work/stream_states"
[ "$(seq 4 | "$work/stream_states" "$SOURCE/tests/fuzz/corpus/onnx/running_sum.onnx" x y sum next_sum 2>/dev/null | tr '\n' ' ')" = "1 3 6 10 " ]
echo "all run"
