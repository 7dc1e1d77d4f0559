// What is found for one pattern in one phase, and which candidates are kept when all phases are known.
#pragma once

#include <algorithm>
#include <limits>
#include <span>

#include "nbedex/match.hpp"

namespace nbedex {

inline constexpr float infinity = std::numeric_limits<float>::infinity();
inline constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

/// One pattern's part of a MatchOutput.
struct PhaseMatches {
    std::span<Candidate> candidates;
    float& mirror_score;
    float& half_turn_score;

    void clear() const {
        std::ranges::fill(candidates, Candidate{});
        mirror_score = half_turn_score = not_a_number;
    }
};

/// The score below which candidates are dropped, given the best of all phases. It rises with the best, so that a limit from a
/// lower best never drops what the final one would keep.
[[nodiscard]] inline float least_score(const MatchOptions& options, float best) {
    return options.rival_share > 0 && best > 0 ? options.rival_share * best : -infinity;
}

/// Drops the candidates of all phases that are below the limit.
inline void keep_rivals(const MatchOptions& options, std::span<const PhaseMatches> phases) {
    float best = -infinity;
    for (const PhaseMatches& phase : phases)
        if (phase.candidates.front().template_id >= 0) best = std::max(best, phase.candidates.front().score);
    const float limit = least_score(options, best);
    for (const PhaseMatches& phase : phases) {
        for (Candidate& candidate : phase.candidates)
            if (candidate.score < limit) candidate = Candidate{};
        if (phase.candidates.front().template_id < 0) phase.clear();
    }
}

}  // namespace nbedex
