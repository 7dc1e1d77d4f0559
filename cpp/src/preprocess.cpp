#include "nbedex/preprocess.hpp"

#include <algorithm>
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

void remove_ring_background(const PolarGrid& grid, float sigma, std::span<float> polar) {
    const kernels::ValueKernels& kernel = *kernels::active().values;
    const auto n_azimuths = static_cast<std::size_t>(grid.n_azimuths);
    std::vector<float> with_data;
    for (std::size_t first = 0; first < grid.size(); first += n_azimuths) {
        const std::span<float> ring = polar.subspan(first, n_azimuths);
        kernels::PowerSums sums = kernel.power_sums(ring.data(), n_azimuths);
        std::size_t used = n_azimuths;
        if (std::isnan(sums.first)) {  // bins without data are left out
            with_data.clear();
            std::ranges::copy_if(ring, std::back_inserter(with_data), [](float v) { return !std::isnan(v); });
            used = with_data.size();
            sums = kernel.power_sums(with_data.data(), used);
        }
        const double n = std::max(1.0, static_cast<double>(used)), mean = sums.first / n;
        const double variance = std::max(0.0, sums.second / n - mean * mean);
        kernel.subtract_and_clip(ring.data(), n_azimuths, static_cast<float>(mean + sigma * std::sqrt(variance)));
    }
}

void apply_exponent(float exponent, std::span<float> polar) {
    const kernels::ValueKernels& kernel = *kernels::active().values;
    if (exponent == 0.5F || exponent == 0.25F) {
        kernel.root(polar.data(), polar.size());
        if (exponent == 0.25F) kernel.root(polar.data(), polar.size());
    } else {
        for (float& value : polar) value = value > 0 ? (exponent == 1.0F ? value : std::pow(value, exponent)) : 0.0F;
    }
}

double skewness(std::span<const float> values) {
    const auto n = static_cast<double>(values.size());
    const kernels::PowerSums sums = kernels::active().values->power_sums(values.data(), values.size());
    const double mean = sums.first / n;
    const double squares = sums.second - n * mean * mean;
    const double cubes = sums.third - 3 * mean * sums.second + 2 * n * mean * mean * mean;
    const bool flat = !(squares > 1e-12 * sums.second);  // what rounding leaves of equal values
    return flat ? 0.0 : cubes / (squares * std::sqrt(squares));
}

FrameStatus finish_pattern(const PolarGrid& grid, const Preprocessing& options, std::span<float> polar, std::span<float> peaks) {
    FrameStatus status = FrameStatus::ok;
    const auto finish = [&](float sigma, std::span<float> pattern) {
        if (options.remove_background) remove_ring_background(grid, sigma, pattern);
        apply_exponent(options.exponent, pattern);
        const std::size_t above = kernels::active().values->count_positive(pattern.data(), pattern.size());
        if (above < fewest_bins) status = above == 0 ? FrameStatus::blank : FrameStatus::low_signal;
    };
    std::ranges::copy(polar.first(peaks.size()), peaks.begin());
    if (!peaks.empty()) finish(options.peak_sigma, peaks);
    finish(options.background_sigma, polar);
    return status;
}

template <class T>
FrameStatus prepare_pattern(const PolarSampler& sampler, const Frame<T>& frame, double center_row, double center_column,
                            const Preprocessing& options, std::span<float> polar, std::span<float> peaks) {
    FrameStatus status = check_frame(frame, options);
    if (status == FrameStatus::ok) {
        sampler.unwrap(frame, center_row, center_column, polar);
        status = finish_pattern(sampler.grid(), options, polar, peaks);
    }
    if (status != FrameStatus::ok) {
        std::ranges::fill(polar, 0.0F);
        std::ranges::fill(peaks, 0.0F);
    }
    return status;
}

#define NBEDEX_INSTANTIATE(T)                                                   \
    template FrameStatus check_frame(const Frame<T>&, const Preprocessing&);    \
    template FrameStatus prepare_pattern(const PolarSampler&, const Frame<T>&, double, double, const Preprocessing&, \
                                         std::span<float>, std::span<float>);
NBEDEX_FOR_EACH_PIXEL_TYPE(NBEDEX_INSTANTIATE)
#undef NBEDEX_INSTANTIATE

}  // namespace nbedex
