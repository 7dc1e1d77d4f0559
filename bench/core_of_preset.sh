# For scripts that source it, from the top folder: builds the core with a preset of CMakePresets.json, and has Python import it.
#
#   core_of_preset PRESET    PYTHON names an interpreter with nbedex's dependencies, pybind11, pytest and hypothesis; BUILD the folder
#
# Sets python, build and core_tests, and exports PYTHONPATH.

core_tests="tests/unit/test_core_beam.py tests/unit/test_core_preprocess.py tests/unit/test_match_oracle.py
  tests/unit/test_refine.py tests/unit/test_coincidence.py tests/unit/test_frame_file.py
  tests/unit/test_bloch.py tests/unit/test_polar_unwrapping.py tests/unit/test_simulation_oracle.py tests/unit/test_spot_filter.py
  tests/property/test_search_identity.py tests/property/test_group_bounds.py tests/property/test_unwrap_mesh.py
  tests/faults/test_core_threads.py"

core_of_preset() {
  python=${PYTHON:-python3}
  build=${BUILD:-build/$1}
  mkdir -p "$build"
  cmake --preset "$1" -B "$build" -DPython_EXECUTABLE="$(command -v "$python")" -DSKBUILD_PROJECT_VERSION="$1" \
    -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)" > "$build/configure.log" || return
  cmake --build "$build" > "$build/build.log" || { tail -40 "$build/build.log" >&2; return 1; }
  local package=$build/package
  rm -rf "$package" && mkdir -p "$package"
  cp -r python templates "$package"
  rm -f "$package"/python/nbedex/_core*.so
  cp "$build"/_core*.so "$package/python/nbedex/"
  PYTHONPATH=$(cd "$package" && pwd)/python
  export PYTHONPATH PYTHONDONTWRITEBYTECODE=1
  # an editable installation of nbedex would go before PYTHONPATH, and be tested instead
  "$python" -c "import sys, importlib.util as u; sys.exit(not u.find_spec('nbedex').origin.startswith('$(realpath "$package")'))" ||
    { echo "$python imports another nbedex than that in $package: name one without" >&2; exit 2; }
}
