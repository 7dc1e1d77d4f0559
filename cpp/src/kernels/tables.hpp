// The inner loops that make a pattern ready for bounds and exact scores, one version per instruction set (tables.cpp).
#pragma once

#include <cstddef>
#include <cstdint>

namespace nbedex::kernels {

/// Half a turn has n_sectors sectors of `length` bins, each of which takes `bytes` bytes, all of them at most 32; each has length / step rows, of maxima
/// over length + span - 1 bins, span <= step + 1.
struct SectorShape {
    std::size_t n_sectors, length, step, span, bytes;
};

inline constexpr std::size_t column_bytes = 128;

struct TableKernels {
    /// to[i] = to[n + i] = from[i] * factor; returns the largest of them, without sign.
    float (*scaled_twice)(const float* from, std::size_t n, float factor, float* to);

    /// The rows of a ring in a table of sector maxima (src/sector_layout.hpp). The bytes from columns[e * column_bytes + bytes * j] on are bin
    /// j * length + e of the ring, for bytes * j = 0 … column_bytes / 2, beyond the end of the ring from its beginning again.
    void (*sector_rows)(const std::uint8_t* columns, const SectorShape& shape, std::uint8_t* both, std::uint8_t* alone);
};

}  // namespace nbedex::kernels
