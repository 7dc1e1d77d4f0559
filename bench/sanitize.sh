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
python=${PYTHON:-python3}
build=${BUILD:-build/$kind}
here=$PWD
mkdir -p "$build"
report=$(cd "$build" && pwd)/report # in files: pytest would swallow what a process says as it ends
rm -f "$report".*

# kernels with AVX-512 included: all instruction sets of the machine run
core="tests/unit/test_core_beam.py tests/unit/test_core_preprocess.py tests/unit/test_match_oracle.py
  tests/unit/test_refine.py tests/unit/test_coincidence.py tests/unit/test_frame_file.py
  tests/unit/test_bloch.py tests/unit/test_polar_unwrapping.py tests/unit/test_simulation_oracle.py
  tests/property/test_search_identity.py tests/property/test_group_bounds.py tests/property/test_unwrap_mesh.py
  tests/faults/test_core_threads.py"
case $kind in
  asan)
    tests="$core tests/faults/test_match_processes.py tests/faults/test_core_sizes.py"
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

cmake --preset "$kind" -B "$build" -DPython_EXECUTABLE="$(command -v "$python")" -DSKBUILD_PROJECT_VERSION=sanitized \
  -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)" > "$build/configure.log"
cmake --build "$build" > "$build/build.log" || { tail -40 "$build/build.log" >&2; exit 1; }
package=$build/package
rm -rf "$package" && mkdir -p "$package"
cp -r python templates "$package"
rm -f "$package"/python/nbedex/_core*.so
cp "$build"/_core*.so "$package/python/nbedex/"
export PYTHONPATH=$(cd "$package" && pwd)/python PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=1
cd "$here"
# an editable installation of nbedex would go before PYTHONPATH, and be tested instead
"$python" -c "import sys, importlib.util as u; sys.exit(not u.find_spec('nbedex').origin.startswith('$(realpath "$package")'))" ||
  { echo "$python imports another nbedex than that in $package: name one without" >&2; exit 2; }
# setarch: this TSan can't place its shadow memory where the kernel randomises addresses with more than 28 bits
# shellcheck disable=SC2086
LD_PRELOAD="$runtime" setarch -R "$python" -m pytest -q -p no:cacheprovider -p no:faulthandler --capture=sys --timeout 1800 $tests "${@:2}" ||
  failed=$?
for file in "$report".*; do
  [ -e "$file" ] && { cat "$file" >&2; failed=1; }
done
exit "${failed:-0}"
