// One polar pattern made ready for correlation: unit zero-mean norm, every row stored twice so that no azimuth wraps.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "kernels/kernels.hpp"
#include "nbedex/power_sums.hpp"
#include "nbedex/templates.hpp"

namespace nbedex {

class NormalisedPattern {
public:
    NormalisedPattern(int n_rings, int n_azimuths)
        : n_rings_(static_cast<std::size_t>(n_rings)),
          n_azimuths_(static_cast<std::size_t>(n_azimuths)),
          rows_(2 * n_rings_ * n_azimuths_ + kernels::exact_lanes) {}  // a run of lanes may be longer than the last ring
    /// For patterns on the grid of some templates.
    explicit NormalisedPattern(const TemplateSet& templates) : NormalisedPattern(templates.n_rings, templates.n_azimuths) {}

    /// False if the pattern has no contrast; then it can't be matched.
    [[nodiscard]] bool load(std::span<const float> pattern, const PowerSums& sums) {
        const auto n = static_cast<double>(pattern.size());
        const double mean = sums.first / n, squares = sums.second - n * mean * mean;
        if (!(squares > 1e-12 * sums.second) || !std::isfinite(squares)) return false;  // or only what rounding leaves of equal values
        const double norm = std::sqrt(squares);
        const auto per_norm = static_cast<float>(1 / norm);
        mean_ = static_cast<float>(mean / norm);
        largest_ = 0;
        for (std::size_t ring = 0; ring < n_rings_; ++ring)
            largest_ = std::max(largest_, kernels::active().tables->scaled_twice(pattern.data() + ring * n_azimuths_, n_azimuths_, per_norm,
                                                                      rows_.data() + ring * 2 * n_azimuths_));
        return true;
    }

    /// Ring r starts at rows() + r * 2 * n_azimuths.
    [[nodiscard]] const float* rows() const noexcept { return rows_.data(); }
    [[nodiscard]] const float* ring(std::size_t r) const noexcept { return rows_.data() + r * 2 * n_azimuths_; }
    [[nodiscard]] std::size_t n_rings() const noexcept { return n_rings_; }
    [[nodiscard]] std::size_t n_azimuths() const noexcept { return n_azimuths_; }
    /// Mean over all bins, in units of the zero-mean norm.
    [[nodiscard]] float mean() const noexcept { return mean_; }
    /// Largest value, without sign.
    [[nodiscard]] float largest() const noexcept { return largest_; }

private:
    std::size_t n_rings_, n_azimuths_;
    float mean_ = 0, largest_ = 0;
    std::vector<float> rows_;
};

}  // namespace nbedex
