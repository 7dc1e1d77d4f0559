// One polar pattern made ready for correlation: unit zero-mean norm, every row stored twice so that no azimuth wraps.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "nbedex/templates.hpp"

namespace nbedex {

class NormalisedPattern {
public:
    NormalisedPattern(int n_rings, int n_azimuths)
        : n_rings_(static_cast<std::size_t>(n_rings)),
          n_azimuths_(static_cast<std::size_t>(n_azimuths)),
          rows_(2 * n_rings_ * n_azimuths_) {}
    /// For patterns on the grid of some templates.
    explicit NormalisedPattern(const TemplateSet& templates) : NormalisedPattern(templates.n_rings, templates.n_azimuths) {}

    /// False if the pattern has no contrast; then it can't be matched.
    [[nodiscard]] bool load(std::span<const float> pattern) {
        const double mean = sum_over(pattern, [](double value) { return value; }) / static_cast<double>(pattern.size());
        const double squares = sum_over(pattern, [mean](double value) { return (value - mean) * (value - mean); });
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
    /// Sum of f(value) by eight partial sums, always the same ones, which the compiler can keep in vectors.
    template <class F>
    [[nodiscard]] static double sum_over(std::span<const float> values, F&& f) {
        constexpr std::size_t n_lanes = 8;
        double lanes[n_lanes] = {};
        std::size_t i = 0;
        for (; i + n_lanes <= values.size(); i += n_lanes)
            for (std::size_t lane = 0; lane < n_lanes; ++lane) lanes[lane] += f(double{values[i + lane]});
        for (; i < values.size(); ++i) lanes[i % n_lanes] += f(double{values[i]});
        return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
    }

    std::size_t n_rings_, n_azimuths_;
    float mean_ = 0, largest_ = 0;
    std::vector<float> rows_;
};

}  // namespace nbedex
