# `make demo` does the main job, `make test` tests everything; both install what they need. CMake does the building.
J := $(shell nproc 2>/dev/null || echo 2)
PREFIX ?= /usr/local
HONE := build/hone

all: deps
	@cmake --preset release -Wno-dev >build.log 2>&1 || { cat build.log; exit 1; }
	@cmake --build build -j $(J)
	@rm -f build.log

deps:
	@sh cmake/install-packages.sh

demo: all
	@sh zoo/demo.sh

# Release build, then everything again under AddressSanitizer and UndefinedBehaviorSanitizer.
test: all
	@ctest --test-dir build --output-on-failure -j $(J)
	@cmake --preset asan -Wno-dev >build.log 2>&1 || { cat build.log; exit 1; }
	@cmake --build build-asan -j $(J)
	@rm -f build.log
	@ASAN_OPTIONS=allocator_may_return_null=1 ctest --test-dir build-asan --output-on-failure -j $(J)

# Longer and live: frameworks from a private environment, threads under TSan, fuzzing, every allocation failing.
test-all: test peers
	@sh cmake/install-packages.sh all
	@sh tests/run_all.sh

peers: deps
	@test -x build/peers-venv/bin/python || python3 -m venv build/peers-venv
	@build/peers-venv/bin/pip install -q --upgrade pip
	@build/peers-venv/bin/pip install -q -r bench/peers/requirements.txt

# Peers for texts: gigabytes, and minutes of compiling.
language-peers: peers
	@build/peers-venv/bin/pip install -q -r bench/peers/requirements-language.txt

bench: all
	@build/bench/bench_roofline
	@build/bench/bench_kernels

install: all
	@cmake --install build --prefix $(PREFIX)

format:
	@git ls-files '*.c' '*.h' | xargs clang-format-19 -i

clean:
	@rm -rf build build-asan build-debug build-tsan build-fuzz

.PHONY: all deps demo test test-all peers language-peers bench install format clean
