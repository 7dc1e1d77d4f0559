#!/usr/bin/env bash
# The kernels for AVX-512 on a processor that has AVX2 only, driven by the tests of Python. See docs/decisions/instruction-sets.md.
# Their intrinsics are emulated by SIMDe (Debian: libsimde-dev).
#
# PYTHON names an interpreter with nbedex's dependencies, pybind11, pytest and hypothesis; BUILD the folder to build in.
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/core_of_preset.sh
core_of_preset avx512
export OPENBLAS_NUM_THREADS=1
tests="$core_tests tests/unit/test_rerank.py tests/faults/test_match_processes.py"
pytest() { "$python" -m pytest -q -p no:cacheprovider --timeout 1800 "$@" || failed=$?; }

# shellcheck disable=SC2086
pytest $tests -k every_instruction_set # in processes of their own, whose bits are compared
for isa in avx512 avx512vnni; do
  export NBEDEX_ISA=$isa
  echo "NBEDEX_ISA=$("$python" -c 'from nbedex import _core; print(_core.build_info()["isa"])')"
  # shellcheck disable=SC2086
  pytest $tests -k "not every_instruction_set"
done
exit "${failed:-0}"
