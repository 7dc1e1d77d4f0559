#include "nbedex/beam_center.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "pixel_types.hpp"

namespace nbedex {
namespace {

constexpr BeamCenter not_found{std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN(), 0.0};

template <class T>
class Pixels {
public:
    explicit Pixels(const Frame<T>& frame) : frame_(frame) {}

    [[nodiscard]] bool usable(std::ptrdiff_t r, std::ptrdiff_t c) const {
        if (r < 0 || c < 0 || r >= frame_.rows || c >= frame_.columns) return false;
        const std::ptrdiff_t at = r * frame_.columns + c;
        return !(frame_.mask && frame_.mask[at]) && std::isfinite(static_cast<double>(frame_.data[at]));
    }
    [[nodiscard]] double operator()(std::ptrdiff_t r, std::ptrdiff_t c) const {
        return static_cast<double>(frame_.data[r * frame_.columns + c]);
    }

private:
    const Frame<T>& frame_;
};

struct Window {
    std::ptrdiff_t row0, row1, column0, column1;  // half-open
};

template <class T>
Window window(const Frame<T>& frame, double row, double column, double radius) {
    const auto low = [](double v) { return static_cast<std::ptrdiff_t>(std::floor(std::max(0.0, v))); };
    const auto high = [](double v, std::ptrdiff_t n) {
        return std::clamp<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(std::ceil(v)) + 1, 0, n);
    };
    return {low(row - radius), high(row + radius, frame.rows), low(column - radius), high(column + radius, frame.columns)};
}

/// Position of the largest mean over boxes of half-width `half`, among boxes centred within the search circle.
template <class T>
bool brightest_box(const Frame<T>& frame, const BeamSearch& search, std::ptrdiff_t half, double& row, double& column) {
    const Pixels<T> pixels(frame);
    const Window w = window(frame, search.row, search.column, search.search_radius + static_cast<double>(half));
    const std::ptrdiff_t rows = w.row1 - w.row0, columns = w.column1 - w.column0;
    if (rows <= 0 || columns <= 0) return false;
    // Summed-area tables of intensity and of usable pixels.
    const auto stride = static_cast<std::size_t>(columns + 1);
    std::vector<double> sum(static_cast<std::size_t>(rows + 1) * stride, 0.0), count(sum.size(), 0.0);
    for (std::ptrdiff_t r = 0; r < rows; ++r) {
        for (std::ptrdiff_t c = 0; c < columns; ++c) {
            const std::size_t at = static_cast<std::size_t>(r + 1) * stride + static_cast<std::size_t>(c + 1);
            const bool ok = pixels.usable(w.row0 + r, w.column0 + c);
            sum[at] = (ok ? pixels(w.row0 + r, w.column0 + c) : 0.0) + sum[at - 1] + sum[at - stride] - sum[at - stride - 1];
            count[at] = (ok ? 1.0 : 0.0) + count[at - 1] + count[at - stride] - count[at - stride - 1];
        }
    }
    double best = -std::numeric_limits<double>::infinity();
    for (std::ptrdiff_t r = 0; r < rows; ++r) {
        for (std::ptrdiff_t c = 0; c < columns; ++c) {
            const double dr = static_cast<double>(w.row0 + r) - search.row;
            const double dc = static_cast<double>(w.column0 + c) - search.column;
            if (dr * dr + dc * dc > search.search_radius * search.search_radius) continue;
            const auto top = static_cast<std::size_t>(std::max<std::ptrdiff_t>(r - half, 0)) * stride;
            const auto bottom = static_cast<std::size_t>(std::min(r + half + 1, rows)) * stride;
            const auto left = static_cast<std::size_t>(std::max<std::ptrdiff_t>(c - half, 0));
            const auto right = static_cast<std::size_t>(std::min(c + half + 1, columns));
            const double n = count[bottom + right] - count[top + right] - count[bottom + left] + count[top + left];
            if (n < 0.5 * static_cast<double>((2 * half + 1) * (2 * half + 1)) || n < 1) continue;
            const double mean = (sum[bottom + right] - sum[top + right] - sum[bottom + left] + sum[top + left]) / n;
            if (mean > best) {
                best = mean;
                row = static_cast<double>(w.row0 + r);
                column = static_cast<double>(w.column0 + c);
            }
        }
    }
    return std::isfinite(best);
}

}  // namespace

template <class T>
BeamCenter find_beam(const Frame<T>& frame, const BeamSearch& search) {
    const auto half = std::max<std::ptrdiff_t>(1, static_cast<std::ptrdiff_t>(std::lround(search.beam_radius)));
    double row = 0, column = 0;
    if (!brightest_box(frame, search, half, row, column)) return not_found;

    const Pixels<T> pixels(frame);
    const double disk = std::max(1.5, 1.5 * search.beam_radius), surroundings = 2.5 * disk;
    std::vector<double> around;
    double contrast = 0;
    for (int pass = 0; pass < 3; ++pass) {
        // Height: the mean of the brightest quarter of the disk; ground: the median of the ring around it.
        const Window w = window(frame, row, column, surroundings);
        std::vector<double> inside;
        around.clear();
        for (std::ptrdiff_t r = w.row0; r < w.row1; ++r) {
            for (std::ptrdiff_t c = w.column0; c < w.column1; ++c) {
                if (!pixels.usable(r, c)) continue;
                const double distance = std::hypot(static_cast<double>(r) - row, static_cast<double>(c) - column);
                if (distance <= disk)
                    inside.push_back(pixels(r, c));
                else if (distance > disk + 1 && distance <= surroundings)
                    around.push_back(pixels(r, c));
            }
        }
        if (inside.empty() || around.empty()) return not_found;
        std::ranges::sort(inside, std::greater<>());
        const std::size_t top = std::max<std::size_t>(1, inside.size() / 4);
        double height = 0;
        for (std::size_t i = 0; i < top; ++i) height += inside[i] / static_cast<double>(top);
        const auto middle = around.begin() + static_cast<std::ptrdiff_t>(around.size() / 2);
        std::ranges::nth_element(around, middle);
        const double ground = *middle;
        if (!(height > ground)) return not_found;
        contrast = height > 0 ? (height - ground) / height : 0.0;

        const double threshold = 0.5 * (height + ground);
        double mass = 0, mass_row = 0, mass_column = 0;
        const Window core = window(frame, row, column, disk + 1);
        for (std::ptrdiff_t r = core.row0; r < core.row1; ++r) {
            for (std::ptrdiff_t c = core.column0; c < core.column1; ++c) {
                if (!pixels.usable(r, c)) continue;
                const double excess = std::min(pixels(r, c), height) - threshold;
                if (excess <= 0) continue;
                mass += excess;
                mass_row += excess * static_cast<double>(r);
                mass_column += excess * static_cast<double>(c);
            }
        }
        if (!(mass > 0)) return not_found;
        row = mass_row / mass;
        column = mass_column / mass;
    }
    return {row, column, contrast};
}

#define NBEDEX_INSTANTIATE(T) template BeamCenter find_beam(const Frame<T>&, const BeamSearch&);
NBEDEX_FOR_EACH_PIXEL_TYPE(NBEDEX_INSTANTIATE)
#undef NBEDEX_INSTANTIATE

}  // namespace nbedex
