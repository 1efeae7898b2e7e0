#!/bin/sh
# Installs the Debian packages that building and testing needs, only those that are missing. `all`: also what
# `make test-all` needs.
set -eu
need="gcc g++ cmake ninja-build pkg-config libhdf5-dev libzip-dev libjansson-dev libavformat-dev libavcodec-dev
libswresample-dev libavutil-dev libcairo2-dev libcmocka-dev python3 python3-venv"
[ "${1:-}" != all ] || need="$need clang-19 libclang-rt-19-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
libespeak-ng1 espeak-ng-data"
missing=""
for p in $need; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
sudo=""
[ "$(id -u)" = 0 ] || sudo=sudo
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
