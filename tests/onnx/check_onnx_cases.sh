#!/bin/sh
# Runs ONNX's own operator cases (tests/reference/onnx) on every instruction tier, with one and two threads.
set -eu
hone=${HONE:-build/hone}
source=${SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
archives=$source/tests/reference/onnx
[ -f "$archives/cases.tar.gz" ] || { echo "no $archives/cases.tar.gz"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for archive in "$archives"/*.tar.gz; do tar -xzf "$archive" -C "$folder"; done
tiers="scalar"
case $(uname -m) in x86_64 | amd64) tiers="scalar avx2" ;; esac
status=0
for tier in $tiers best; do
    for threads in 1 2; do
        if [ "$tier" = best ]; then unset HONE_ISA; else export HONE_ISA="$tier"; fi
        result=$("$hone" test --threads "$threads" "$folder"/*/* 2>&1) || status=1
        echo "$tier, $threads threads: $(echo "$result" | tail -n 1)"
        echo "$result" | sed '$d' | head -n 20
    done
done
exit $status
