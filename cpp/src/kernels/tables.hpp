// The inner loops that make a pattern ready for bounds and exact scores, one version per instruction set (tables.cpp).
#pragma once

#include <cstddef>
#include <cstdint>

namespace nbedex::kernels {

/// Half a turn has n_sectors <= 32 sectors of `length` bins; each has length / step rows, of maxima over length + step - 1 bins.
struct SectorShape {
    std::size_t n_sectors, length, step;
};

inline constexpr std::size_t column_bytes = 128;

struct TableKernels {
    /// to[i] = to[n + i] = from[i] * factor; returns the largest of them, without sign.
    float (*scaled_twice)(const float* from, std::size_t n, float factor, float* to);

    /// The rows of a ring in a table of sector maxima (src/sector_layout.hpp). columns[e * column_bytes + j] is bin j * length + e of the ring, for
    /// j = 0 … column_bytes / 2, beyond the end of the ring from its beginning again.
    void (*sector_rows)(const std::uint8_t* columns, const SectorShape& shape, std::uint8_t* both, std::uint8_t* alone);
};

}  // namespace nbedex::kernels
