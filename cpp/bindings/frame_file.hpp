// Frames that lie in a file, each read by the thread that needs it just before it does: they stay in its cache, and need no
// memory but a frame's for each thread.
#pragma once

#include <pybind11/numpy.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "arrays.hpp"

#if defined(__unix__) || defined(__APPLE__)
#define NBEDEX_HAS_PREAD
#include <unistd.h>
#endif

namespace nbedex::bindings {

#ifdef NBEDEX_HAS_PREAD
/// Whole frames, row-major, in native byte order, at given places of an open file.
class FrameFile {
public:
    FrameFile(int descriptor, const py::array& places, py::ssize_t rows, py::ssize_t columns, py::dtype dtype)
        : rows_(rows), columns_(columns), dtype_(std::move(dtype)), bytes_(static_cast<std::size_t>(rows * columns * dtype_.itemsize())) {
        const std::span<const std::int64_t> given = view<std::int64_t>(places, "places", {any});
        places_.assign(given.begin(), given.end());
        if (rows < 2 || columns < 2) throw py::value_error("frames must be at least 2 pixels high and wide");
        descriptor_ = ::dup(descriptor);  // the caller may close its own meanwhile, and the number then means another file
        if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "can't duplicate the file's descriptor");
    }
    FrameFile(const FrameFile&) = delete;
    FrameFile& operator=(const FrameFile&) = delete;
    ~FrameFile() { ::close(descriptor_); }

    [[nodiscard]] py::ssize_t size() const noexcept { return static_cast<py::ssize_t>(places_.size()); }
    [[nodiscard]] py::ssize_t rows() const noexcept { return rows_; }
    [[nodiscard]] py::ssize_t columns() const noexcept { return columns_; }
    [[nodiscard]] const py::dtype& dtype() const noexcept { return dtype_; }
    [[nodiscard]] std::size_t frame_bytes() const noexcept { return bytes_; }

    /// Reads frame i; throws where the file ends before it does, or can't be read.
    void read(std::size_t i, void* to) const {
        std::size_t done = 0;
        while (done < bytes_) {
            const auto got = ::pread(descriptor_, static_cast<char*>(to) + done, bytes_ - done, static_cast<off_t>(places_[i]) + static_cast<off_t>(done));
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) throw std::system_error(errno, std::generic_category(), "can't read a frame");
            if (got == 0) throw std::system_error(ENODATA, std::generic_category(), "the file ends within a frame");
            done += static_cast<std::size_t>(got);
        }
    }

    /// Frame i as an array.
    [[nodiscard]] py::array frame(py::ssize_t i) const {
        if (i < 0 || i >= size()) throw py::index_error();
        py::array out(dtype_, std::vector<py::ssize_t>{rows_, columns_});
        read(static_cast<std::size_t>(i), out.mutable_data());
        return out;
    }

private:
    py::ssize_t rows_, columns_;
    py::dtype dtype_;
    std::size_t bytes_;
    std::vector<std::int64_t> places_;
    int descriptor_;
};

/// Adds the class, and makes what the system says an OSError.
inline void bind_frame_file(py::module_& m) {
    py::register_exception_translator([](std::exception_ptr error) {
        try {
            if (error) std::rethrow_exception(error);
        } catch (const std::system_error& e) {
            py::set_error(PyExc_OSError, py::make_tuple(e.code().value(), e.what()));
        }
    });
    py::class_<FrameFile>(m, "FrameFile")
        .def(py::init<int, const py::array&, py::ssize_t, py::ssize_t, py::dtype>(), py::kw_only(), py::arg("descriptor"), py::arg("places"),
             py::arg("rows"), py::arg("columns"), py::arg("dtype"))
        .def("__len__", &FrameFile::size)
        .def("__getitem__", &FrameFile::frame, py::arg("index"));
}
#else
inline void bind_frame_file(py::module_&) {}
#endif

}  // namespace nbedex::bindings
