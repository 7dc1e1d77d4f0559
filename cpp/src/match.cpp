#include "nbedex/match.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "each_pattern.hpp"
#include "scorer.hpp"

namespace nbedex {
namespace {

/// Matches one pattern at a time; owns the scratch of one thread.
class ExhaustiveMatcher {
public:
    ExhaustiveMatcher(const TemplateSet& templates, const MatchOptions& options)
        : templates_(templates), options_(options), scorer_(templates), best_(static_cast<std::size_t>(scorer_.n_images())) {}

    void match(std::span<const float> pattern, std::span<Candidate> candidates, float& mirror_score,
               float& half_turn_score) {
        std::ranges::fill(candidates, Candidate{});
        mirror_score = half_turn_score = std::numeric_limits<float>::quiet_NaN();
        if (!scorer_.load(pattern)) return;
        chosen_.clear();
        for (std::ptrdiff_t image = 0; image < scorer_.n_images(); ++image) find_best(image);
        for (Candidate& candidate : candidates) {
            const auto winner = std::ranges::max_element(best_, {}, &Best::score);  // first of equals: lowest image
            if (winner == best_.end() || winner->azimuth < 0) break;
            candidate = scorer_.describe(winner - best_.begin(), winner->azimuth);
            exclude(candidate);
            if (chosen_.size() == 1) {
                mirror_score = scorer_.mirror_score(candidate, chosen_.front());
                half_turn_score = scorer_.half_turn_score(candidate, chosen_.front());
            }
        }
    }

private:
    struct Best {
        float score = -std::numeric_limits<float>::infinity();
        std::int32_t azimuth = -1;
    };

    [[nodiscard]] bool excluded(const Image& image, std::int32_t azimuth) const {
        return std::ranges::any_of(chosen_, [&](const Neighbourhood& n) { return n.contains(image, azimuth); });
    }

    /// Best in-plane angle of an image that is not near an orientation chosen before.
    void find_best(std::ptrdiff_t number) {
        const Image image(number);
        Best best;
        if (scorer_.spots(image.template_id).n > 0) {
            const std::span<const float> scores = scorer_.correlate(image);
            for (std::size_t phi = 0; phi < scores.size(); ++phi) {
                const auto azimuth = static_cast<std::int32_t>(phi);
                if (scores[phi] > best.score && !excluded(image, azimuth)) best = {scores[phi], azimuth};
            }
        }
        best_[static_cast<std::size_t>(number)] = best;
    }

    /// Adds the candidate to the chosen ones; images whose best angle is now too near look for another.
    void exclude(const Candidate& candidate) {
        chosen_.emplace_back(templates_, Image(image_number(candidate)), candidate.azimuth, options_.distinct_angle);
        for (std::ptrdiff_t image = 0; image < scorer_.n_images(); ++image) {
            const Best& best = best_[static_cast<std::size_t>(image)];
            if (best.azimuth >= 0 && chosen_.back().contains(Image(image), best.azimuth)) find_best(image);
        }
    }

    const TemplateSet& templates_;
    MatchOptions options_;
    Scorer scorer_;
    std::vector<Best> best_;  // by image
    std::vector<Neighbourhood> chosen_;
};

}  // namespace

void match_exhaustive(const TemplateSet& templates, std::span<const float> patterns, std::ptrdiff_t n_patterns,
                      const MatchOptions& options, const Poll& poll, const MatchOutput& out) {
    match_each_pattern<ExhaustiveMatcher>(templates, patterns, n_patterns, options, poll, out);
}

std::string active_isa() { return kernels::active().name; }

}  // namespace nbedex
