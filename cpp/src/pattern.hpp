// One polar pattern made ready for correlation: unit zero-mean norm, every row stored twice so that no azimuth wraps.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace nbedex {

class NormalisedPattern {
public:
    NormalisedPattern(std::size_t n_rings, std::size_t n_azimuths)
        : n_rings_(n_rings), n_azimuths_(n_azimuths), rows_(2 * n_rings * n_azimuths) {}

    /// False if the pattern has no contrast; then it can't be matched.
    [[nodiscard]] bool load(std::span<const float> pattern) {
        double sum = 0, squares = 0;
        for (const float value : pattern) sum += value;
        const double mean = sum / static_cast<double>(pattern.size());
        for (const float value : pattern) squares += (value - mean) * (value - mean);
        if (!(squares > 0) || !std::isfinite(squares)) return false;
        const double norm = std::sqrt(squares);
        const auto per_norm = static_cast<float>(1 / norm);
        mean_ = static_cast<float>(mean / norm);
        largest_ = 0;
        for (std::size_t ring = 0; ring < n_rings_; ++ring) {
            const float* from = pattern.data() + ring * n_azimuths_;
            float* to = rows_.data() + ring * 2 * n_azimuths_;
            for (std::size_t i = 0; i < n_azimuths_; ++i) to[i] = to[i + n_azimuths_] = from[i] * per_norm;
            for (std::size_t i = 0; i < n_azimuths_; ++i) largest_ = std::max(largest_, std::abs(to[i]));
        }
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
