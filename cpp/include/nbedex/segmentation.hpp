// Grains: which pixels of an orientation map belong together. docs/decisions/segmentation.md says why it is done so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nbedex/disorientation.hpp"

namespace nbedex {

/// Phase and orientation of every pixel, row by row. `phase` < 0: not indexed.
struct OrientationGrid {
    std::ptrdiff_t rows, columns;
    std::span<const std::int16_t> phase;
    std::span<const Quaternion> orientation;
    std::span<const Disorientation> symmetry;  // of every phase
    [[nodiscard]] std::ptrdiff_t size() const noexcept { return rows * columns; }
};

using Labels = std::span<std::int32_t>;

/// Joins neighbouring pixels of one phase in order of increasing disorientation, ties in reading order, as long as the
/// mean orientations of what would be joined differ by at most `threshold` (radians). Labels are numbered by first pixel
/// in reading order, -1 where not indexed; returns how many.
std::int32_t join_pixels(const OrientationGrid& grid, double threshold, Labels label, int threads, const Poll& poll);

/// The same with regions for pixels, again and again, until all neighbouring regions of one phase have means that differ by
/// more than `threshold`. Pixels not in `own` are part of their region but say nothing of its mean; `phase_of` gives the
/// phase of every region, < 0 for those without. Labels are renumbered; returns how many.
std::int32_t join_regions(const OrientationGrid& grid, std::span<const std::uint8_t> own,
                          std::span<const std::int16_t> phase_of, double threshold, Labels label, const Poll& poll);

/// Gives pixels of -1 to the regions around them, one ring of pixels at a time: to that one of the four neighbours'
/// regions which most of the eight neighbours belong to, the lowest label in a tie.
void fill_from_around(std::ptrdiff_t rows, std::ptrdiff_t columns, Labels label);

/// Numbers regions from 0 by their first pixel in reading order, negative labels stay -1; returns how many.
std::int32_t number_by_first_pixel(Labels label);

}  // namespace nbedex
