// Calls from Python into the core: the GIL, Ctrl-C, quaternions.
#pragma once

#include <pybind11/pybind11.h>

#include <vector>

#include "arrays.hpp"
#include "nbedex/parallel.hpp"
#include "nbedex/rotation.hpp"

namespace nbedex::bindings {

/// Releases the GIL around a core call and lets Ctrl-C through while it runs.
template <class F>
void run(F&& core_call) {
    const Poll poll = [] {
        const py::gil_scoped_acquire gil;
        return PyErr_CheckSignals() == 0;
    };
    try {
        const py::gil_scoped_release no_gil;
        core_call(poll);
    } catch (const Interrupted&) {
        throw py::error_already_set();  // the KeyboardInterrupt that PyErr_CheckSignals raised
    }
}

inline std::vector<Quaternion> quaternions(const py::array& array, const char* name) {
    const std::span<const double> values = view<double>(array, name, {any, 4});
    std::vector<Quaternion> out;
    for (std::size_t i = 0; i + 3 < values.size(); i += 4)
        out.push_back({values[i], values[i + 1], values[i + 2], values[i + 3]});
    return out;
}

/// The same without a copy.
inline std::span<const Quaternion> quaternion_view(const py::array& array, const char* name, std::initializer_list<py::ssize_t> shape) {
    static_assert(sizeof(Quaternion) == 4 * sizeof(double));
    const std::span<const double> values = view<double>(array, name, shape);
    return {reinterpret_cast<const Quaternion*>(values.data()), values.size() / 4};
}

/// Adds the functions for grains.
void bind_grains(py::module_& m);
void bind_refinement(py::module_& m);
void bind_rerank(py::module_& m);

}  // namespace nbedex::bindings
