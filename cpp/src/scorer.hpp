// Exact scores of single images against one pattern: what both searches share.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "kernels/kernels.hpp"
#include "neighbourhood.hpp"
#include "pattern.hpp"
#include "phase_matches.hpp"

namespace nbedex {

class Scorer {
public:
    /// The pattern may be loaded anew between calls; it must outlive the scorer.
    Scorer(const TemplateSet& templates, const NormalisedPattern& pattern)
        : templates_(templates), kernels_(kernels::active()), pattern_(pattern), scores_(pattern.n_azimuths()) {
        for (std::size_t a = 0, n = pattern.n_azimuths(); a < n; ++a) {
            azimuth_[0].push_back(static_cast<std::uint32_t>(a));
            azimuth_[1].push_back(static_cast<std::uint32_t>((n - a) % n));
        }
    }

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

    /// The same scores of the exact_lanes bins from each of exact_runs azimuths on, the zero-mean shift not yet taken off.
    void correlate_some(const Image& image, const std::size_t (&from)[kernels::exact_runs],
                        float (&sums)[kernels::exact_runs * kernels::exact_lanes]) const {
        kernels_.correlate_some(pattern_.rows(), pattern_.n_azimuths(), spots(image.template_id), azimuth_[image.mirrored].data(), from, sums);
    }

    /// The last azimuth from which a run may be read; later ones would pass the end of the second copy of a ring.
    [[nodiscard]] std::size_t last_start() const noexcept { return pattern_.n_azimuths() - kernels::exact_lanes; }

    /// Calls f(azimuth, score) for some bins of an image; bins that follow each other closely are quickest.
    template <class F>
    void score_bins(const Image& image, std::span<const std::size_t> bins, F&& f) const {
        constexpr std::size_t n_runs = kernels::exact_runs, n_lanes = kernels::exact_lanes;
        const float shift = zero_mean(image.template_id);
        float sums[n_runs * n_lanes];
        for (std::size_t done = 0, next = 0; done < bins.size(); done = next) {
            std::size_t from[n_runs] = {}, end[n_runs];  // run r holds the bins up to number end[r]
            for (std::size_t run = 0; run < n_runs; ++run) {
                if (next < bins.size()) from[run] = std::min(bins[next], last_start());
                while (next < bins.size() && bins[next] - from[run] < n_lanes) ++next;  // also false for a bin before the run
                end[run] = next;
            }
            correlate_some(image, from, sums);
            for (std::size_t run = 0, i = done; run < n_runs; ++run)
                for (; i < end[run]; ++i) f(static_cast<std::int32_t>(bins[i]), sums[run * n_lanes + bins[i] - from[run]] - shift);
        }
    }

    /// The candidate at one bin of an image, with the parabola through its neighbours.
    [[nodiscard]] Candidate describe(std::ptrdiff_t image_number, std::int32_t azimuth) const {
        const Image image(image_number);
        const std::size_t n = pattern_.n_azimuths(), here = static_cast<std::size_t>(azimuth);
        const std::size_t bins[] = {(here + n - 1) % n, here, (here + 1) % n};
        float score[3];
        std::size_t found = 0;
        score_bins(image, bins, [&](std::int32_t, float value) { score[found++] = value; });
        const float curvature = score[0] - 2 * score[1] + score[2];
        const float offset = curvature < 0 ? std::clamp(0.5F * (score[0] - score[2]) / curvature, -0.5F, 0.5F) : 0.0F;
        return {static_cast<std::int32_t>(image.template_id), static_cast<std::uint8_t>(image.mirrored), azimuth, score[1], offset};
    }

    /// Best score of the winner's template in the other mirror image, outside `near`; NaN if there is none.
    [[nodiscard]] float mirror_score(const Candidate& winner, const Neighbourhood& near) {
        const Image other(image_number(winner) ^ 1);
        const std::span<const float> scores = correlate(other);
        float best = not_a_number;
        for (std::size_t phi = 0; phi < scores.size(); ++phi)
            if (!(scores[phi] <= best) && !near.contains(other, static_cast<std::int32_t>(phi))) best = scores[phi];
        return best;
    }

    /// Best score within two bins of the winner turned by 180 degrees, outside `near`; NaN if that is all inside.
    [[nodiscard]] float half_turn_score(const Candidate& winner, const Neighbourhood& near) const {
        const Image image(image_number(winner));
        const std::size_t n = pattern_.n_azimuths();
        std::size_t bins[5];
        for (std::size_t i = 0; i < 5; ++i) bins[i] = (static_cast<std::size_t>(winner.azimuth) + n / 2 + n + i - 2) % n;
        float best = not_a_number;
        score_bins(image, bins, [&](std::int32_t azimuth, float score) {
            if (!near.contains(image, azimuth)) best = std::fmax(best, score);
        });
        return best;
    }

private:
    /// Azimuths of the mirrored template.
    const std::uint16_t* mirrored(const kernels::Spots& list) {
        start_.resize(list.n);
        for (std::size_t i = 0; i < list.n; ++i) start_[i] = static_cast<std::uint16_t>(azimuth_[1][list.azimuth[i]]);
        return start_.data();
    }

    const TemplateSet& templates_;
    const kernels::Kernels& kernels_;
    const NormalisedPattern& pattern_;
    std::vector<float> scores_;
    std::vector<std::uint16_t> start_;
    std::vector<std::uint32_t> azimuth_[2];  // as it is, mirrored
};

}  // namespace nbedex
