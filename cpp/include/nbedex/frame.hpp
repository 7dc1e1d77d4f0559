// One detector frame, as the core sees it: a pointer into the caller's array, never a copy.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nbedex {

/// Row-major pixels with an optional mask (non-zero: pixel not to be used). At least 2 x 2 pixels.
template <class T>
struct Frame {
    const T* data;
    std::ptrdiff_t rows, columns;
    const std::uint8_t* mask = nullptr;
};

}  // namespace nbedex
