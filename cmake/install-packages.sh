#!/bin/sh
# Installs the Debian packages that building and testing needs, only those that are missing.
set -eu
need="gcc g++ cmake ninja-build pkg-config libhdf5-dev libzip-dev libjansson-dev libavformat-dev libavcodec-dev
libswresample-dev libavutil-dev libcairo2-dev libcmocka-dev python3 python3-venv"
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
