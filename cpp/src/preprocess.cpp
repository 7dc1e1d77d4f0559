#include "nbedex/preprocess.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/kernels_of.hpp"
#include "pixel_types.hpp"

namespace nbedex {
namespace {

template <class T>
std::ptrdiff_t usable_pixels(const Frame<T>& frame) {
    const std::ptrdiff_t n = frame.rows * frame.columns;
    return frame.mask ? std::count(frame.mask, frame.mask + n, 0) : n;
}

/// Number of usable pixels of at least `level`.
template <class T>
std::ptrdiff_t saturated_pixels(const Frame<T>& frame, double level) {
    if (std::is_integral_v<T> && level <= static_cast<double>(std::numeric_limits<T>::lowest()))
        return usable_pixels(frame);
    auto value = static_cast<T>(level);  // fits: some pixel is at least as large
    if (static_cast<double>(value) < level) {  // a level between two values that pixels can have
        if constexpr (std::is_integral_v<T>) ++value;
        else value = std::nextafter(value, std::numeric_limits<T>::infinity());
    }
    return kernels::of<T>().count_from(frame, value);
}

}  // namespace

template <class T>
FrameStatus check_frame(const Frame<T>& frame, const Preprocessing& options) {
    const std::ptrdiff_t used = usable_pixels(frame);
    const auto range = kernels::of<T>().range(frame);
    const auto more_than = [used](std::ptrdiff_t count, double share) {
        return used > 0 && static_cast<double>(count) / static_cast<double>(used) > share;
    };
    if (more_than(range.non_finite, options.max_non_finite)) return FrameStatus::non_finite;
    if (options.saturation > 0 && static_cast<double>(range.high) >= options.saturation &&
        more_than(saturated_pixels(frame, options.saturation), options.max_saturated))
        return FrameStatus::saturated;
    return range.high > range.low ? FrameStatus::ok : FrameStatus::blank;
}

PowerSums power_sums(std::span<const float> values) { return kernels::active().values->power_sums(values.data(), values.size()); }

namespace {

struct RingStatistics {
    double mean, deviation;
};

/// Of the bins with data; `with_data` is room for them.
RingStatistics statistics(std::span<const float> ring, std::vector<float>& with_data) {
    PowerSums sums = power_sums(ring);
    std::size_t used = ring.size();
    if (std::isnan(sums.first)) {
        with_data.clear();
        std::ranges::copy_if(ring, std::back_inserter(with_data), [](float v) { return !std::isnan(v); });
        used = with_data.size();
        sums = power_sums(with_data);
    }
    const double n = std::max(1.0, static_cast<double>(used)), mean = sums.first / n;
    return {mean, std::sqrt(std::max(0.0, sums.second / n - mean * mean))};
}

/// A pattern that is made ring by ring.
class Pattern {
public:
    Pattern(float exponent, std::span<float> out) : exponent_(exponent), out_(out) {}

    /// The next ring, with `level` taken off.
    void add(std::span<const float> ring, float level) {
        const std::span<float> to = out_.subspan(filled_, ring.size());
        filled_ += ring.size();
        const int roots = exponent_ == 0.25F ? 2 : exponent_ == 0.5F ? 1 : 0;
        std::size_t positive = kernels::active().values->raise(ring.data(), ring.size(), level, roots, to.data(), sums_);
        if (roots == 0 && exponent_ != 1.0F) {
            for (float& value : to) value = value > 0 ? std::pow(value, exponent_) : 0.0F;
            positive = static_cast<std::size_t>(std::ranges::count_if(to, [](float v) { return v > 0; }));
        }
        positive_ += positive;
        summed_ &= ring.size() % 8 == 0 && (roots > 0 || exponent_ == 1.0F);
    }

    [[nodiscard]] FrameStatus status() const {
        return positive_ >= fewest_bins ? FrameStatus::ok : positive_ == 0 ? FrameStatus::blank : FrameStatus::low_signal;
    }

    /// Partial sums know no rings.
    [[nodiscard]] PowerSums sums() const { return summed_ ? sums_.total() : power_sums(out_); }

private:
    float exponent_;
    std::span<float> out_;
    std::size_t filled_ = 0, positive_ = 0;
    kernels::PartialSums sums_{};
    bool summed_ = true;
};

/// Contrast of the spots of a pattern, from below until all its rings were seen.
class SpotContrast {
public:
    explicit SpotContrast(int n_rings) : n_(std::clamp(n_rings, 1, contrast_rings)) {}

    void add(std::span<const float> ring, const RingStatistics& of) {
        const double contrast = kernels::active().values->contrast(ring.data(), ring.size(), static_cast<float>(of.mean), static_cast<float>(1 / of.deviation));
        double& least = *std::min_element(most_.begin(), most_.begin() + n_);
        sum_ += std::max(0.0, contrast - least);
        least = std::max(least, contrast);
    }

    [[nodiscard]] bool below(double wanted) const { return sum_ < n_ * wanted; }

private:
    int n_;
    std::array<double, contrast_rings> most_{};
    double sum_ = 0;
};

}  // namespace

Prepared finish_pattern(const PolarGrid& grid, const Preprocessing& options, Bins bins, std::span<float> polar, std::span<float> peaks) {
    Pattern whole(options.exponent, polar), sparse(options.exponent, peaks);
    SpotContrast contrast(grid.n_rings);
    std::vector<float> with_data;
    for (int i = 0; i < grid.n_rings; ++i) {
        const std::span<const float> ring(bins.data + static_cast<std::size_t>(i) * bins.stride, static_cast<std::size_t>(grid.n_azimuths));
        const bool doubtful = contrast.below(options.min_contrast);  // a few rings with spots are enough
        const RingStatistics own = options.remove_background || doubtful ? statistics(ring, with_data) : RingStatistics{0, 0};
        if (doubtful) contrast.add(ring, own);
        const RingStatistics of = options.remove_background ? own : RingStatistics{0, 0};
        whole.add(ring, static_cast<float>(of.mean + options.background_sigma * of.deviation));
        if (!peaks.empty()) sparse.add(ring, static_cast<float>(of.mean + options.peak_sigma * of.deviation));
    }
    FrameStatus status = whole.status();
    if (status == FrameStatus::ok && !peaks.empty()) status = sparse.status();
    if (status == FrameStatus::ok && contrast.below(options.min_contrast)) status = FrameStatus::no_spots;
    if (status == FrameStatus::ok) return {status, whole.sums(), peaks.empty() ? PowerSums{} : sparse.sums()};
    std::ranges::fill(polar, 0.0F);
    std::ranges::fill(peaks, 0.0F);
    return {status};
}

template <class T>
Bins unwrap_filtered(const PolarSampler& sampler, const SpotFilter* filter, const Frame<T>& frame, double center_row, double center_column,
                     PrepareScratch& scratch) {
    if (!filter) return sampler.unwrap(frame, center_row, center_column, scratch.bins);
    const SpotFilter::Circle seen{center_row, center_column, sampler.reach()};
    return sampler.unwrap((*filter)(frame, seen, scratch.filter), center_row, center_column, scratch.bins);
}

template <class T>
Prepared prepare_pattern(const PolarSampler& sampler, const SpotFilter* filter, const Frame<T>& frame, double center_row,
                         double center_column, const Preprocessing& options, PrepareScratch& scratch, std::span<float> polar,
                         std::span<float> peaks) {
    const FrameStatus status = check_frame(frame, options);
    if (status == FrameStatus::ok)
        return finish_pattern(sampler.grid(), options, unwrap_filtered(sampler, filter, frame, center_row, center_column, scratch), polar,
                              peaks);
    std::ranges::fill(polar, 0.0F);
    std::ranges::fill(peaks, 0.0F);
    return {status};
}

#define NBEDEX_INSTANTIATE(T)                                                   \
    template FrameStatus check_frame(const Frame<T>&, const Preprocessing&);    \
    template Bins unwrap_filtered(const PolarSampler&, const SpotFilter*, const Frame<T>&, double, double, PrepareScratch&);          \
    template Prepared prepare_pattern(const PolarSampler&, const SpotFilter*, const Frame<T>&, double, double, const Preprocessing&, \
                                      PrepareScratch&, std::span<float>, std::span<float>);
NBEDEX_FOR_EACH_PIXEL_TYPE(NBEDEX_INSTANTIATE)
#undef NBEDEX_INSTANTIATE

}  // namespace nbedex
