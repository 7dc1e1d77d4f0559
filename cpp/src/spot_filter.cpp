#include "nbedex/spot_filter.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <type_traits>

#include "kernels/kernels_of.hpp"
#include "pixel_types.hpp"

namespace nbedex {

SpotFilter::SpotFilter(std::span<const float> quadrant, std::size_t reach, std::span<const Filled> filled, std::ptrdiff_t rows,
                       std::ptrdiff_t columns)
    : quadrant_(quadrant.begin(), quadrant.end()), reach_(reach), filled_(filled.begin(), filled.end()), rows_(rows), columns_(columns) {
    if (quadrant.size() != (reach + 1) * (reach + 1)) throw std::invalid_argument("a quadrant must have (reach + 1)^2 values");
    const auto within = [n = rows * columns](std::int64_t pixel) { return pixel >= 0 && pixel < n; };
    if (!std::ranges::all_of(filled_, [&](const Filled& f) { return within(f.pixel) && within(f.source); }) ||
        !std::ranges::is_sorted(filled_, {}, &Filled::pixel))
        throw std::invalid_argument("filled pixels must lie in the frame, in order");
    for (std::ptrdiff_t row = 0; row <= rows; ++row)
        first_.push_back(static_cast<std::size_t>(std::ranges::lower_bound(filled_, row * columns, {}, &Filled::pixel) - filled_.begin()));
}

template <class T>
void SpotFilter::widen(const Frame<T>& frame, std::ptrdiff_t row, float* to) const {
    const T* from = frame.data + row * columns_;
    float* middle = to + reach_;
    const auto to_floats = kernels::of<T>().to_floats;
    to_floats(from, static_cast<std::size_t>(columns_), middle);
    for (std::size_t i = first_[static_cast<std::size_t>(row)]; i < first_[static_cast<std::size_t>(row) + 1]; ++i)
        to_floats(frame.data + filled_[i].source, 1, middle + (filled_[i].pixel - row * columns_));
    std::fill_n(to, reach_, middle[0]);
    std::fill_n(middle + columns_, reach_, middle[columns_ - 1]);
}

SpotFilter::Columns SpotFilter::columns_within(const Circle& circle, std::ptrdiff_t row) const {
    constexpr std::ptrdiff_t at_once = 16;  // a kernel that takes so many does the last few one by one
    const double off = static_cast<double>(row) - circle.row, squared = circle.radius * circle.radius - off * off;
    if (!(squared >= 0)) return {0, 0};
    const double half = std::sqrt(squared), n = static_cast<double>(columns_);
    const auto first = static_cast<std::ptrdiff_t>(std::clamp(std::floor(circle.column - half), 0.0, n));
    const auto last = static_cast<std::ptrdiff_t>(std::clamp(std::ceil(circle.column + half) + 1, 0.0, n));
    if (first >= last) return {0, 0};
    const std::ptrdiff_t wanted = std::min(columns_, (last - first + at_once - 1) / at_once * at_once);
    const std::ptrdiff_t begin = std::min(first, columns_ - wanted);
    return {begin, begin + wanted};
}

template <class T>
Frame<float> SpotFilter::operator()(const Frame<T>& frame, const Circle& within, Scratch& scratch) const {
    if (frame.rows != rows_ || frame.columns != columns_) throw std::invalid_argument("the spot filter was made for frames of another size");
    const std::size_t n_rows = 2 * reach_ + 1, width = static_cast<std::size_t>(columns_) + 2 * reach_;
    const auto reach = static_cast<std::ptrdiff_t>(reach_);
    scratch.rows.resize(n_rows * width);
    scratch.folded.resize(reach_ * width);
    scratch.filtered.resize(static_cast<std::size_t>(rows_ * columns_));
    const auto place = [&](std::ptrdiff_t row) { return scratch.rows.data() + static_cast<std::size_t>(row) % n_rows * width; };
    std::vector<const float*> around(n_rows);
    std::ptrdiff_t widened = 0;  // rows before it are there, if they are still needed
    for (std::ptrdiff_t row = 0; row < rows_; ++row) {
        const auto [begin, end] = columns_within(within, row);
        if (begin == end) continue;
        widened = std::max(widened, row - reach);
        for (; widened <= std::min(row + reach, rows_ - 1); ++widened) widen(frame, widened, place(widened));
        for (std::ptrdiff_t d = -reach; d <= reach; ++d)
            around[static_cast<std::size_t>(d + reach)] = place(std::clamp<std::ptrdiff_t>(row + d, 0, rows_ - 1)) + begin;
        float* to = scratch.filtered.data() + row * columns_;
        kernels::active().values->filter_row({quadrant_.data(), reach_}, around.data(), static_cast<std::size_t>(end - begin),
                                             scratch.folded.data(), to + begin);
        if constexpr (std::is_floating_point_v<T>)
            for (std::ptrdiff_t c = begin; c < end; ++c)
                if (!std::isfinite(frame.data[row * columns_ + c])) to[c] = std::numeric_limits<float>::quiet_NaN();
    }
    return {scratch.filtered.data(), rows_, columns_, frame.mask};
}

#define NBEDEX_INSTANTIATE(T) template Frame<float> SpotFilter::operator()(const Frame<T>&, const Circle&, Scratch&) const;
NBEDEX_FOR_EACH_PIXEL_TYPE(NBEDEX_INSTANTIATE)
#undef NBEDEX_INSTANTIATE

}  // namespace nbedex
