#!/bin/sh
# Builds the library for aarch64 and compares outputs under qemu with those of this machine's scalar tier: equal to the
# printed digit. Needs gcc-aarch64-linux-gnu and qemu-user (installed by `make test-all`).
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake -S . -B "$work/arm" -DHONE_TOOLS=OFF -DHONE_TESTS=OFF -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
    -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DCMAKE_CXX_COMPILER=c++ >/dev/null
cmake --build "$work/arm" -j 2 >/dev/null
aarch64-linux-gnu-gcc -static -Iinclude examples/run_model.c "$work/arm/lib/libhone.a" -lm -lpthread -o "$work/arm_run"
cc -Iinclude examples/run_model.c build/lib/libhone.a -lm -lpthread -o "$work/own_run"
for precision in fp32 int8 int4; do
    build/hone optimize zoo/keywords/keywords.keras -p $precision -o "$work/model.onnx" -q
    qemu-aarch64 "$work/arm_run" "$work/model.onnx" >"$work/arm.txt"
    HONE_ISA=scalar "$work/own_run" "$work/model.onnx" >"$work/own.txt"
    cmp "$work/arm.txt" "$work/own.txt"
    echo "$precision: equal"
done
