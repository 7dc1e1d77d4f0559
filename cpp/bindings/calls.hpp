// Calls from Python into the core: the GIL, Ctrl-C, quaternions.
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "arrays.hpp"
#include "nbedex/parallel.hpp"
#include "nbedex/power_sums.hpp"
#include "nbedex/rotation.hpp"

namespace nbedex::bindings {

/// A wish to stop, which calls see that are made from threads that watch it: Ctrl-C shows on Python's main thread only.
class Stop {
public:
    void set() { *flag_ = true; }
    /// Calls made from now on by this thread stop when it is set; no longer those of another that it watched before.
    void watch() const { of_thread() = flag_; }
    [[nodiscard]] static bool asked() { return of_thread() && *of_thread(); }

private:
    using Flag = std::shared_ptr<std::atomic<bool>>;
    static Flag& of_thread() {
        static thread_local Flag flag;
        return flag;
    }
    Flag flag_ = std::make_shared<std::atomic<bool>>(false);
};

/// Releases the GIL around a core call and lets Ctrl-C through while it runs.
template <class F>
void run(F&& core_call) {
    const Poll poll = [] {
        if (Stop::asked()) return false;
        const py::gil_scoped_acquire gil;
        return PyErr_CheckSignals() == 0;
    };
    try {
        const py::gil_scoped_release no_gil;
        core_call(poll);
    } catch (const Interrupted&) {
        if (!PyErr_Occurred()) PyErr_SetNone(PyExc_KeyboardInterrupt);  // else PyErr_CheckSignals raised one
        throw py::error_already_set();
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

/// Power sums of n patterns (n, 3); empty where none are given.
inline std::span<const PowerSums> sums_view(const std::optional<py::array>& array, py::ssize_t n) {
    static_assert(sizeof(PowerSums) == 3 * sizeof(double));
    if (!array) return {};
    const std::span<const double> values = view<double>(*array, "sums", {n, 3});
    return {reinterpret_cast<const PowerSums*>(values.data()), values.size() / 3};
}

/// Adds the functions for grains.
void bind_grains(py::module_& m);
void bind_refinement(py::module_& m);
void bind_rerank(py::module_& m);

}  // namespace nbedex::bindings
