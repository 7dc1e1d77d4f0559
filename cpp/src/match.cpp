#include "nbedex/match.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/correlate.hpp"
#include "neighbourhood.hpp"
#include "pattern.hpp"

namespace nbedex {
namespace {

constexpr float nan_score = std::numeric_limits<float>::quiet_NaN();

/// Matches one pattern at a time; owns the scratch of one thread.
class Matcher {
public:
    Matcher(const TemplateSet& templates, const MatchOptions& options)
        : templates_(templates),
          options_(options),
          kernel_(kernels::correlate()),
          n_azimuths_(static_cast<std::size_t>(templates.n_azimuths)),
          pattern_(static_cast<std::size_t>(templates.n_rings), n_azimuths_),
          scores_(n_azimuths_),
          best_(2 * static_cast<std::size_t>(templates.size())) {}

    void match(std::span<const float> pattern, std::span<Candidate> candidates, float& mirror_score,
               float& half_turn_score) {
        std::ranges::fill(candidates, Candidate{});
        mirror_score = half_turn_score = nan_score;
        if (!pattern_.load(pattern)) return;
        chosen_.clear();
        for (std::ptrdiff_t image = 0; image < n_images(); ++image) find_best(image);
        for (Candidate& candidate : candidates) {
            const auto winner = std::ranges::max_element(best_, {}, &Best::score);  // first of equals: lowest image
            if (winner->azimuth < 0) break;
            candidate = describe(winner - best_.begin(), winner->azimuth);
            exclude(candidate);
            if (chosen_.size() == 1) {
                mirror_score = best_[static_cast<std::size_t>(image_number(candidate) ^ 1)].score;
                half_turn_score = half_turn(candidate);
            }
        }
        if (std::isinf(mirror_score)) mirror_score = nan_score;
    }

private:
    struct Best {
        float score = -std::numeric_limits<float>::infinity();
        std::int32_t azimuth = -1;
    };

    [[nodiscard]] std::ptrdiff_t n_images() const { return 2 * templates_.size(); }

    /// Scores of all in-plane angles of one image, into scores_.
    void correlate(const Image& image) {
        const auto t = static_cast<std::size_t>(image.template_id);
        const auto first = static_cast<std::size_t>(templates_.offset[t]);
        const std::size_t n = static_cast<std::size_t>(templates_.offset[t + 1]) - first;
        const std::uint16_t* start = templates_.azimuth.data() + first;
        if (image.mirrored) {
            start_.resize(n);
            for (std::size_t i = 0; i < n; ++i)
                start_[i] = static_cast<std::uint16_t>(start[i] == 0 ? 0 : n_azimuths_ - start[i]);
            start = start_.data();
        }
        kernel_(pattern_.rows(), n_azimuths_, templates_.ring.data() + first, start, templates_.weight.data() + first, n,
                scores_.data());
        const float zero_mean = pattern_.mean() * templates_.weight_sum[t];
        for (float& score : scores_) score -= zero_mean;
    }

    [[nodiscard]] bool excluded(const Image& image, std::int32_t azimuth) const {
        return std::ranges::any_of(chosen_, [&](const Neighbourhood& n) { return n.contains(image, azimuth); });
    }

    /// Best in-plane angle of an image that is not near an orientation chosen before.
    void find_best(std::ptrdiff_t number) {
        const Image image(number);
        Best best;
        const auto t = static_cast<std::size_t>(image.template_id);
        if (templates_.offset[t] < templates_.offset[t + 1]) {
            correlate(image);
            for (std::size_t phi = 0; phi < n_azimuths_; ++phi) {
                const auto azimuth = static_cast<std::int32_t>(phi);
                if (scores_[phi] > best.score && !excluded(image, azimuth)) best = {scores_[phi], azimuth};
            }
        }
        best_[static_cast<std::size_t>(number)] = best;
    }

    /// Adds the candidate to the chosen ones; images whose best angle is now too near look for another.
    void exclude(const Candidate& candidate) {
        chosen_.emplace_back(templates_, Image(image_number(candidate)), candidate.azimuth, options_.distinct_angle);
        for (std::ptrdiff_t image = 0; image < n_images(); ++image) {
            const Best& best = best_[static_cast<std::size_t>(image)];
            if (best.azimuth >= 0 && chosen_.back().contains(Image(image), best.azimuth)) find_best(image);
        }
    }

    [[nodiscard]] Candidate describe(std::ptrdiff_t number, std::int32_t azimuth) {
        const Image image(number);
        correlate(image);
        const auto phi = static_cast<std::size_t>(azimuth);
        const float before = scores_[(phi + n_azimuths_ - 1) % n_azimuths_], here = scores_[phi],
                    after = scores_[(phi + 1) % n_azimuths_];
        const float curvature = before - 2 * here + after;
        const float offset = curvature < 0 ? std::clamp(0.5F * (before - after) / curvature, -0.5F, 0.5F) : 0.0F;
        return {static_cast<std::int32_t>(image.template_id), static_cast<std::uint8_t>(image.mirrored), azimuth, here, offset};
    }

    /// Best score within two bins of the winner turned by 180 degrees; NaN if that is the same orientation.
    [[nodiscard]] float half_turn(const Candidate& winner) {
        const Image image(image_number(winner));
        correlate(image);
        float best = nan_score;
        const auto n = static_cast<std::int32_t>(n_azimuths_);
        for (std::int32_t step = -2; step <= 2; ++step) {
            const std::int32_t azimuth = (winner.azimuth + n / 2 + step + n) % n;
            if (!excluded(image, azimuth)) best = std::fmax(best, scores_[static_cast<std::size_t>(azimuth)]);
        }
        return best;
    }

    const TemplateSet& templates_;
    MatchOptions options_;
    kernels::Correlate kernel_;
    std::size_t n_azimuths_;
    NormalisedPattern pattern_;
    std::vector<float> scores_;          // (azimuths,) of the image last correlated
    std::vector<std::uint16_t> start_;   // azimuths of a mirrored template
    std::vector<Best> best_;             // by image
    std::vector<Neighbourhood> chosen_;
};

}  // namespace

void match_exhaustive(const TemplateSet& templates, std::span<const float> patterns, std::ptrdiff_t n_patterns,
                      const MatchOptions& options, const Poll& poll, const MatchOutput& out) {
    const auto pattern_size = static_cast<std::size_t>(templates.n_rings) * static_cast<std::size_t>(templates.n_azimuths);
    const auto n_best = static_cast<std::size_t>(options.n_best);
    std::vector<Matcher> matchers(static_cast<std::size_t>(threads_for(n_patterns, options.threads)),
                                  Matcher(templates, options));
    parallel_for(n_patterns, options.threads, poll, [&](std::ptrdiff_t item, int thread) {
        const auto p = static_cast<std::size_t>(item);
        matchers[static_cast<std::size_t>(thread)].match(patterns.subspan(p * pattern_size, pattern_size),
                                                         out.candidates.subspan(p * n_best, n_best), out.mirror_score[p],
                                                         out.half_turn_score[p]);
    });
}

std::string active_isa() { return kernels::active_isa(); }

}  // namespace nbedex
