// Exact scores of single images against one pattern: what both searches share.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "kernels/kernels.hpp"
#include "neighbourhood.hpp"
#include "pattern.hpp"

namespace nbedex {

class Scorer {
public:
    explicit Scorer(const TemplateSet& templates)
        : templates_(templates),
          kernels_(kernels::active()),
          pattern_(static_cast<std::size_t>(templates.n_rings), static_cast<std::size_t>(templates.n_azimuths)),
          scores_(pattern_.n_azimuths()) {}

    [[nodiscard]] bool load(std::span<const float> pattern) { return pattern_.load(pattern); }
    [[nodiscard]] const NormalisedPattern& pattern() const noexcept { return pattern_; }
    [[nodiscard]] const kernels::Kernels& kernels() const noexcept { return kernels_; }
    [[nodiscard]] std::ptrdiff_t n_images() const noexcept { return 2 * templates_.size(); }

    [[nodiscard]] kernels::Spots spots(std::ptrdiff_t template_id) const {
        const auto t = static_cast<std::size_t>(template_id);
        const auto first = static_cast<std::size_t>(templates_.offset[t]);
        return {templates_.ring.data() + first, templates_.azimuth.data() + first, templates_.weight.data() + first,
                static_cast<std::size_t>(templates_.offset[t + 1]) - first};
    }

    /// What zero-mean normalisation takes off the scores of a template.
    [[nodiscard]] float zero_mean(std::ptrdiff_t template_id) const {
        return pattern_.mean() * templates_.weight_sum[static_cast<std::size_t>(template_id)];
    }

    /// Scores of all in-plane bins of an image; valid until the next call.
    std::span<const float> correlate(const Image& image) {
        kernels::Spots list = spots(image.template_id);
        if (image.mirrored) list.azimuth = mirrored(list);
        kernels_.correlate(pattern_.rows(), pattern_.n_azimuths(), list, scores_.data());
        const float shift = zero_mean(image.template_id);
        for (float& score : scores_) score -= shift;
        return scores_;
    }

    /// The candidate at one bin of an image, with the parabola through its neighbours.
    [[nodiscard]] Candidate describe(std::ptrdiff_t image_number, std::int32_t azimuth) {
        const Image image(image_number);
        const std::span<const float> scores = correlate(image);
        const std::size_t n = scores.size(), phi = static_cast<std::size_t>(azimuth);
        const float before = scores[(phi + n - 1) % n], here = scores[phi], after = scores[(phi + 1) % n];
        const float curvature = before - 2 * here + after;
        const float offset = curvature < 0 ? std::clamp(0.5F * (before - after) / curvature, -0.5F, 0.5F) : 0.0F;
        return {static_cast<std::int32_t>(image.template_id), static_cast<std::uint8_t>(image.mirrored), azimuth, here, offset};
    }

    /// Best score of the winner's template in the other mirror image, outside `near`; NaN if there is none.
    [[nodiscard]] float mirror_score(const Candidate& winner, const Neighbourhood& near) {
        const Image other(image_number(winner) ^ 1);
        const std::span<const float> scores = correlate(other);
        float best = std::numeric_limits<float>::quiet_NaN();
        for (std::size_t phi = 0; phi < scores.size(); ++phi)
            if (!(scores[phi] <= best) && !near.contains(other, static_cast<std::int32_t>(phi))) best = scores[phi];
        return best;
    }

    /// Best score within two bins of the winner turned by 180 degrees, outside `near`; NaN if that is all inside.
    [[nodiscard]] float half_turn_score(const Candidate& winner, const Neighbourhood& near) {
        const Image image(image_number(winner));
        const std::span<const float> scores = correlate(image);
        const auto n = static_cast<std::int32_t>(scores.size());
        float best = std::numeric_limits<float>::quiet_NaN();
        for (std::int32_t step = -2; step <= 2; ++step) {
            const std::int32_t azimuth = (winner.azimuth + n / 2 + step + n) % n;
            if (!near.contains(image, azimuth)) best = std::fmax(best, scores[static_cast<std::size_t>(azimuth)]);
        }
        return best;
    }

private:
    /// Azimuths of the mirrored template.
    const std::uint16_t* mirrored(const kernels::Spots& list) {
        start_.resize(list.n);
        for (std::size_t i = 0; i < list.n; ++i)
            start_[i] = static_cast<std::uint16_t>(list.azimuth[i] == 0 ? 0 : pattern_.n_azimuths() - list.azimuth[i]);
        return start_.data();
    }

    const TemplateSet& templates_;
    const kernels::Kernels& kernels_;
    NormalisedPattern pattern_;
    std::vector<float> scores_;
    std::vector<std::uint16_t> start_;
};

}  // namespace nbedex
