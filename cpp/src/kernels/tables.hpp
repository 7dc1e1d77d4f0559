// The inner loops that make a pattern ready for bounds and exact scores, one version per instruction set (tables.cpp).
#pragma once

#include <cstddef>
#include <cstdint>

namespace nbedex::kernels {

struct TableKernels {
    /// to[i] = to[n + i] = from[i] * factor; returns the largest of them, without sign.
    float (*scaled_twice)(const float* from, std::size_t n, float factor, float* to);

    /// out[i] = rounded_up(values[i], per_unit, most_whole) (src/rounded.hpp); returns the largest.
    std::uint8_t (*rounded_up)(const float* values, std::size_t n, float per_unit, std::uint8_t* out);

    /// out[i] = values[i] / 2, rounded up.
    void (*halved)(const std::uint8_t* values, std::size_t n, std::uint8_t* out);

    /// to[i] = max(from[i], from[i + by]) for i < n.
    void (*larger)(const std::uint8_t* from, std::size_t by, std::size_t n, std::uint8_t* to);
};

}  // namespace nbedex::kernels
