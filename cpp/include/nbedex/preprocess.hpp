// From a raw frame to the polar pattern that is matched: checks, unwrapping, background, exponent.
#pragma once

#include <cstdint>
#include <span>

#include "nbedex/polar.hpp"
#include "nbedex/power_sums.hpp"
#include "nbedex/spot_filter.hpp"

namespace nbedex {

/// Why a pattern can't be matched. The numbers are those of the result file.
enum class FrameStatus : std::uint8_t { ok = 0, blank = 1, saturated = 2, non_finite = 3, low_signal = 4, no_spots = 8 };

struct Preprocessing {
    bool remove_background = true;
    float background_sigma = 0.0F;  ///< standard deviations of a ring taken off with its mean
    float peak_sigma = 0.0F;        ///< the same for the sparser pattern that is searched
    float exponent = 0.25F;         ///< intensity exponent, > 0
    double saturation = 0.0;        ///< value at which the detector saturates, 0: unknown
    double max_saturated = 0.02;    ///< share of saturated pixels beyond which a frame is given up
    double max_non_finite = 0.01;   ///< share of NaN or infinite pixels beyond which a frame is given up
    double min_contrast = 0.0;      ///< contrast of spots below which a pattern is noise
};

/// Checks the usable pixels of a raw frame: too many saturated or non-finite, or no contrast at all.
template <class T>
[[nodiscard]] FrameStatus check_frame(const Frame<T>& frame, const Preprocessing& options);

/// Fewer bins than this above the background are not a pattern.
inline constexpr std::size_t fewest_bins = 8;

/// As many rings as the contrast of spots is the mean over.
inline constexpr int contrast_rings = 8;

/// What a frame was made into, besides the patterns themselves: to the last bit the `power_sums` of each, 0 where there is none.
struct Prepared {
    FrameStatus status = FrameStatus::ok;
    PowerSums sums{}, peak_sums{};
};

/// From bins to patterns: takes mean + sigma * standard deviation of each ring off that ring, clips at zero, and raises what is
/// left to `exponent` (1, 1/2 and 1/4 by square roots, which are exact). Bins without data (NaN) become zero, that is, background.
/// `polar` with background_sigma, `peaks` with peak_sigma, or left alone if it is empty. Both are all zero unless the status is ok, which it
/// is not where spots have too little contrast: the mean, over the contrast_rings rings that have most, of n sum(x^2) / sum(x)^2, x the n
/// values above the mean of a ring, each less that mean.
[[nodiscard]] Prepared finish_pattern(const PolarGrid& grid, const Preprocessing& options, Bins bins, std::span<float> polar,
                                      std::span<float> peaks);

/// Room for a frame on its way; one for each thread.
struct PrepareScratch {
    SpotFilter::Scratch filter;
    PolarSampler::Scratch bins;
};

/// Mean intensity of each bin of a frame, filtered first if there is a filter.
template <class T>
[[nodiscard]] Bins unwrap_filtered(const PolarSampler& sampler, const SpotFilter* filter, const Frame<T>& frame, double center_row,
                                   double center_column, PrepareScratch& scratch);

/// All of the above in order. The checks are made on the frame as it is.
template <class T>
[[nodiscard]] Prepared prepare_pattern(const PolarSampler& sampler, const SpotFilter* filter, const Frame<T>& frame, double center_row,
                                       double center_column, const Preprocessing& options, PrepareScratch& scratch,
                                       std::span<float> polar, std::span<float> peaks);

}  // namespace nbedex
