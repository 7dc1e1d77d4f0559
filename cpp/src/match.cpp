#include "nbedex/match.hpp"

#include <algorithm>
#include <vector>

#include "each_pattern.hpp"
#include "scorer.hpp"

namespace nbedex {
namespace {

/// Exhaustive search of the templates of one phase.
class ExhaustivePhase {
public:
    ExhaustivePhase(const TemplateSet& templates, const MatchOptions& options, const NormalisedPattern& pattern)
        : templates_(templates),
          options_(options),
          scorer_(templates, pattern),
          best_(static_cast<std::size_t>(scorer_.n_images())) {}

    void match(const PhaseMatches& out) {
        chosen_.clear();
        for (std::ptrdiff_t image = 0; image < scorer_.n_images(); ++image) find_best(image);
        for (Candidate& candidate : out.candidates) {
            const auto winner = std::ranges::max_element(best_, {}, &Best::score);  // first of equals: lowest image
            if (winner == best_.end() || winner->azimuth < 0) break;
            candidate = scorer_.describe(winner - best_.begin(), winner->azimuth);
            exclude(candidate);
        }
        if (chosen_.empty()) return;
        out.mirror_score = scorer_.mirror_score(out.candidates.front(), chosen_.front());
        out.half_turn_score = scorer_.half_turn_score(out.candidates.front(), chosen_.front());
    }

private:
    struct Best {
        float score = -infinity;
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

/// Matches one pattern at a time; owns the scratch of one thread.
class ExhaustiveMatcher {
public:
    ExhaustiveMatcher(Phases phases, const MatchOptions& options) : pattern_(*phases.front()) {
        for (const TemplateSet* templates : phases) phases_.emplace_back(*templates, options, pattern_);
    }

    void match(std::span<const float> pattern, const PowerSums& sums, const Levels&, std::span<const PhaseMatches> out) {
        if (!pattern_.load(pattern, sums)) return;
        for (std::size_t i = 0; i < phases_.size(); ++i) phases_[i].match(out[i]);
    }

private:
    NormalisedPattern pattern_;
    std::vector<ExhaustivePhase> phases_;
};

}  // namespace

void match_exhaustive(Phases phases, const Patterns& patterns, const MatchOptions& options, const Poll& poll,
                      std::span<const MatchOutput> out) {
    match_each_pattern<ExhaustiveMatcher>(phases, patterns, options, poll, out);
}

std::string active_isa() { return kernels::active().name; }

}  // namespace nbedex
