#!/bin/sh
# docs/operators.md says what the table of operators, the sources and the stored cases say today.
set -eu
source=${SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
exec python3 "$source/docs/make_operators.py" --check --list "${BUILD:-build}/tests/list_operators"
