#!/usr/bin/env bash
# The C++ core under gcc's sanitizers, driven by the tests of Python. See docs/decisions/sanitizers.md.
#
#   bench/sanitize.sh asan    out-of-bounds and use-after-free, undefined behaviour, indices of containers
#   bench/sanitize.sh tsan    data races
#
# PYTHON names an interpreter with nbedex's dependencies, pybind11, pytest and hypothesis; BUILD the folder to build in.
set -euo pipefail
kind=${1:?asan or tsan}
cd "$(dirname "$0")/.."
. bench/core_of_preset.sh
report=$(mkdir -p "${BUILD:-build/$kind}" && cd "${BUILD:-build/$kind}" && pwd)/report # in files: pytest would swallow what a process says as it ends
rm -f "$report".*

case $kind in
  asan)
    tests="$core_tests tests/faults/test_match_processes.py tests/faults/test_core_sizes.py"
    runtime="$(g++ -print-file-name=libasan.so) $(g++ -print-file-name=libubsan.so)"
    # Python keeps what it allocates until it ends: leaks can't be told from that
    export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:log_path=$report
    export UBSAN_OPTIONS=print_stacktrace=1:log_path=$report
    ;;
  tsan)
    tests="tests/faults/test_core_threads.py"
    runtime=$(g++ -print-file-name=libtsan.so)
    export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:log_path=$report
    ;;
  *) echo "expected asan or tsan, got $kind" >&2; exit 2 ;;
esac

core_of_preset "$kind"
export OPENBLAS_NUM_THREADS=1
# setarch: this TSan can't place its shadow memory where the kernel randomises addresses with more than 28 bits
# shellcheck disable=SC2086
LD_PRELOAD="$runtime" setarch -R "$python" -m pytest -q -p no:cacheprovider -p no:faulthandler --capture=sys --timeout 1800 $tests "${@:2}" ||
  failed=$?
for file in "$report".*; do
  [ -e "$file" ] && { cat "$file" >&2; failed=1; }
done
exit "${failed:-0}"
