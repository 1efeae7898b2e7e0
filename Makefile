# The two commands of the README are `make demo` and `make test`; everything else is CMake underneath.
BUILD ?= build
J := $(shell nproc 2>/dev/null || echo 2)
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

all: deps
	@cmake --preset release -Wno-dev >/dev/null
	@cmake --build build -j $(J)

deps:
	@sh cmake/install-packages.sh

.PHONY: all deps
