// Brings out spots before a frame is unwrapped: what lies within a spot's radius of every pixel, above what is expected from around it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nbedex/frame.hpp"

namespace nbedex {

/// Correlates frames with a kernel that looks the same in all four quadrants, and sets what comes out negative to zero.
/// Beyond the frame its edge goes on; a pixel that does not count has the value of one that does, given in advance, and one
/// that is not finite counts as zero and comes out as NaN.
class SpotFilter {
public:
    /// Pixels of the frame, row-major, of which each gets the value of another one.
    struct Filled {
        std::int64_t pixel, source;
    };

    /// quadrant: (reach + 1)² values, row-major: kernel at (down, right) of its middle.
    /// filled: by pixel, in order; all of them within rows × columns.
    SpotFilter(std::span<const float> quadrant, std::size_t reach, std::span<const Filled> filled, std::ptrdiff_t rows,
               std::ptrdiff_t columns);

    /// Room for a frame on its way; one for each thread.
    struct Scratch {
        std::vector<float> rows, folded, filtered;
    };

    /// A circle, in pixels.
    struct Circle {
        double row, column, radius;
    };

    /// The filtered frame, in scratch, with the mask of the given one; pixels outside `within` are anything. Throws if the frame is
    /// not of the size said above.
    template <class T>
    [[nodiscard]] Frame<float> operator()(const Frame<T>& frame, const Circle& within, Scratch& scratch) const;

private:
    struct Columns {
        std::ptrdiff_t begin, end;
    };
    /// Those of a row that may lie within a circle.
    [[nodiscard]] Columns columns_within(const Circle& circle, std::ptrdiff_t row) const;

    /// Row `row` as floats, with `reach_` more on either side.
    template <class T>
    void widen(const Frame<T>& frame, std::ptrdiff_t row, float* to) const;

    std::vector<float> quadrant_;
    std::size_t reach_;
    std::vector<Filled> filled_;
    std::vector<std::size_t> first_;  // by row: its first in filled_; one more at the end
    std::ptrdiff_t rows_, columns_;
};

}  // namespace nbedex
