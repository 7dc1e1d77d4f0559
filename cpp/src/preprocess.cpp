#include "nbedex/preprocess.hpp"

#include <algorithm>
#include <cmath>

#include "pixel_types.hpp"

namespace nbedex {

template <class T>
FrameStatus check_frame(const Frame<T>& frame, const Preprocessing& options) {
    const std::ptrdiff_t n = frame.rows * frame.columns;
    std::ptrdiff_t used = 0, non_finite = 0, saturated = 0;
    T low{}, high{};
    bool any = false;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        if (frame.mask && frame.mask[i]) continue;
        ++used;
        const T value = frame.data[i];
        if constexpr (std::is_floating_point_v<T>) {
            if (!std::isfinite(value)) {
                ++non_finite;
                continue;
            }
        }
        low = any ? std::min(low, value) : value;
        high = any ? std::max(high, value) : value;
        any = true;
        if (options.saturation > 0 && static_cast<double>(value) >= options.saturation) ++saturated;
    }
    const auto share = [used](std::ptrdiff_t count) { return static_cast<double>(count) / static_cast<double>(used); };
    if (used > 0 && share(non_finite) > options.max_non_finite) return FrameStatus::non_finite;
    if (used > 0 && share(saturated) > options.max_saturated) return FrameStatus::saturated;
    return any && high > low ? FrameStatus::ok : FrameStatus::blank;
}

void remove_ring_background(const PolarGrid& grid, float sigma, std::span<float> polar) {
    const auto n_azimuths = static_cast<std::size_t>(grid.n_azimuths);
    for (std::size_t first = 0; first < grid.size(); first += n_azimuths) {
        const std::span<float> ring = polar.subspan(first, n_azimuths);
        double sum = 0, squares = 0;
        std::size_t used = 0;
        for (const float value : ring) {
            if (std::isnan(value)) continue;
            sum += value;
            squares += static_cast<double>(value) * value;
            ++used;
        }
        const double mean = used ? sum / static_cast<double>(used) : 0.0;
        const double variance = used ? std::max(0.0, squares / static_cast<double>(used) - mean * mean) : 0.0;
        const auto level = static_cast<float>(mean + sigma * std::sqrt(variance));
        for (float& value : ring) value = value > level ? value - level : 0.0F;  // NaN fails the comparison
    }
}

void apply_exponent(float exponent, std::span<float> polar) {
    const auto raise = [&](auto&& power) {
        for (float& value : polar) value = value > 0 ? power(value) : 0.0F;
    };
    if (exponent == 1.0F)
        raise([](float v) { return v; });
    else if (exponent == 0.5F)
        raise([](float v) { return std::sqrt(v); });
    else if (exponent == 0.25F)
        raise([](float v) { return std::sqrt(std::sqrt(v)); });
    else
        raise([exponent](float v) { return std::pow(v, exponent); });
}

template <class T>
FrameStatus prepare_pattern(const PolarSampler& sampler, const Frame<T>& frame, double center_row, double center_column,
                            const Preprocessing& options, std::span<float> polar) {
    FrameStatus status = check_frame(frame, options);
    if (status == FrameStatus::ok) {
        sampler.unwrap(frame, center_row, center_column, polar);
        if (options.remove_background) remove_ring_background(sampler.grid(), options.background_sigma, polar);
        apply_exponent(options.exponent, polar);
        const auto above = std::ranges::count_if(polar, [](float v) { return v > 0.0F; });
        if (above < fewest_bins) status = above == 0 ? FrameStatus::blank : FrameStatus::low_signal;
    }
    if (status != FrameStatus::ok) std::ranges::fill(polar, 0.0F);
    return status;
}

#define NBEDEX_INSTANTIATE(T)                                                   \
    template FrameStatus check_frame(const Frame<T>&, const Preprocessing&);    \
    template FrameStatus prepare_pattern(const PolarSampler&, const Frame<T>&, double, double, const Preprocessing&, \
                                         std::span<float>);
NBEDEX_FOR_EACH_PIXEL_TYPE(NBEDEX_INSTANTIATE)
#undef NBEDEX_INSTANTIATE

}  // namespace nbedex
