// What regions of a map are like: size, outline, contacts; mean orientation, its error, and how pixels stray from it.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "nbedex/segmentation.hpp"

namespace nbedex {

/// Sums over the pixels of one region, exact.
struct RegionShape {
    std::int64_t count = 0, row = 0, column = 0, row_row = 0, column_column = 0, row_column = 0;
    /// Crossings of its outline by lines along rows, columns, and the two diagonals; the map's edge is outline.
    std::array<std::int64_t, 4> crossings{};
    std::int64_t first_row = 0, first_column = 0, last_row = 0, last_column = 0;
};

/// Shapes of regions 0 … n-1; every label must lie in that range.
[[nodiscard]] std::vector<RegionShape> region_shapes(std::ptrdiff_t rows, std::ptrdiff_t columns,
                                                     std::span<const std::int32_t> label, std::int32_t n);

/// Pairs of regions that share an edge of a pixel, smaller number first, sorted.
[[nodiscard]] std::vector<std::pair<std::int32_t, std::int32_t>> region_contacts(std::ptrdiff_t rows, std::ptrdiff_t columns,
                                                                                 std::span<const std::int32_t> label);

struct MeanOrientation {
    Quaternion mean{0, 0, 0, 0};
    double spread = 0;           ///< mean angle between pixels and mean, radians
    double variance = 0;         ///< of a pixel's deviation, per axis, radians^2
    double variance_of_mean = 0; ///< per axis, radians^2; correlation of neighbouring pixels considered; < 0: too few pixels
};

/// Mean orientation of every region over its pixels in `own`. `phase_of` < 0: region without orientation, left as it is.
[[nodiscard]] std::vector<MeanOrientation> mean_orientations(const OrientationGrid& grid, std::span<const std::uint8_t> own,
                                                             std::span<const std::int16_t> phase_of,
                                                             std::span<const std::int32_t> label, int threads, const Poll& poll);

/// Angle (radians) between each pixel in `own` and the mean of its region; NaN elsewhere.
void deviations(const OrientationGrid& grid, std::span<const std::uint8_t> own, std::span<const Quaternion> mean,
                std::span<const std::int32_t> label, std::span<float> angle, int threads, const Poll& poll);

/// Mean angle (radians) between each pixel in `own` and those within `radius` of it along rows and columns (city block
/// distance) that are in `own` and the same region, or all of its phase where `label` is empty; pairs that differ by more
/// than `largest` don't count. NaN where there are none.
void kernel_averages(const OrientationGrid& grid, std::span<const std::uint8_t> own, std::span<const std::int32_t> label,
                     int radius, double largest, std::span<float> angle, int threads, const Poll& poll);

}  // namespace nbedex
