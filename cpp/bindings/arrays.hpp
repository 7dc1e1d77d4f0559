// The only checks of dtype, shape, strides and alignment between Python and the core. Nothing is cast or copied silently.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace nbedex::bindings {

namespace py = pybind11;

inline constexpr py::ssize_t any = -1;

inline std::string shape_text(std::initializer_list<py::ssize_t> shape) {
    std::string text = "(";
    for (const py::ssize_t n : shape) {
        if (text.size() > 1) text += ", ";
        text += n == any ? std::string("any") : std::to_string(n);
    }
    return text + (shape.size() == 1 ? ",)" : ")");
}

inline std::string shape_text(const py::array& array) {
    return py::str(array.attr("shape")).cast<std::string>();
}

/// Throws ValueError unless the array has this shape (any: free), is C-contiguous and aligned.
inline void require_layout(const py::array& array, const char* name, std::initializer_list<py::ssize_t> shape) {
    bool fits = array.ndim() == static_cast<py::ssize_t>(shape.size());
    if (fits) {
        py::ssize_t axis = 0;
        for (const py::ssize_t n : shape) {
            fits = fits && (n == any || array.shape(axis) == n);
            ++axis;
        }
    }
    if (!fits)
        throw py::value_error(std::string(name) + " must have shape " + shape_text(shape) + ", got " + shape_text(array));
    const bool contiguous = (array.flags() & py::array::c_style) != 0;
    const bool aligned = (array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0;
    if (!contiguous || !aligned)
        throw py::value_error(std::string(name) + " must be C-contiguous and aligned; numpy.require(x, None, ['C', 'A']) makes it so");
}

/// Read-only view of an array that must already have dtype T.
template <class T>
[[nodiscard]] std::span<const T> view(const py::array& array, const char* name, std::initializer_list<py::ssize_t> shape) {
    if (!py::isinstance<py::array_t<T>>(array))
        throw py::type_error(std::string(name) + " must have dtype " + py::str(py::dtype::of<T>()).cast<std::string>() +
                             ", got " + py::str(array.dtype()).cast<std::string>());
    require_layout(array, name, shape);
    return {static_cast<const T*>(array.data()), static_cast<std::size_t>(array.size())};
}

/// A new array and the span over it.
template <class T>
struct NewArray {
    py::array_t<T> array;
    std::span<T> span;
    explicit NewArray(const std::vector<py::ssize_t>& shape)
        : array(shape), span(array.mutable_data(), static_cast<std::size_t>(array.size())) {}
};

template <class T>
[[nodiscard]] py::array_t<T> copy_out(const std::vector<T>& values) {
    return py::array_t<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

/// Calls f.operator()<T>() for the detector's type of pixels.
template <class F>
void dispatch_pixels(const py::dtype& dtype, F&& f) {
    const auto attempt = [&]<class T>() {
        if (!dtype.is(py::dtype::of<T>()) && !dtype.equal(py::dtype::of<T>())) return false;
        f.template operator()<T>();
        return true;
    };
    const bool done = attempt.template operator()<std::uint16_t>() || attempt.template operator()<std::uint8_t>() ||
                      attempt.template operator()<float>() || attempt.template operator()<std::uint32_t>() ||
                      attempt.template operator()<std::int16_t>() || attempt.template operator()<std::int32_t>() ||
                      attempt.template operator()<std::int8_t>();
    if (!done)
        throw py::type_error("frames must be 8, 16 or 32 bit integers or float32 in native byte order, got " +
                             py::str(dtype).cast<std::string>());
}

/// Calls f with a typed pointer to frames (n, rows, columns) of any supported detector dtype.
template <class F>
void dispatch_frames(const py::array& frames, F&& f) {
    require_layout(frames, "frames", {any, any, any});
    if (frames.shape(1) < 2 || frames.shape(2) < 2)
        throw py::value_error("frames must be at least 2 pixels high and wide, got " + shape_text(frames));
    dispatch_pixels(frames.dtype(), [&]<class T>() { f(static_cast<const T*>(frames.data())); });
}

}  // namespace nbedex::bindings
