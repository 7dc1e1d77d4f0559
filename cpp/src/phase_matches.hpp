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

/// Levels of the phases for one pattern (see Patterns); 1 where none are given.
class Levels {
public:
    Levels() = default;
    Levels(const Patterns& patterns, std::size_t pattern, std::size_t n_phases)
        : levels_(patterns.level.empty() ? std::span<const float>{} : patterns.level.subspan(pattern * n_phases, n_phases)) {}
    [[nodiscard]] float operator[](std::size_t phase) const noexcept { return levels_.empty() ? 1.0F : levels_[phase]; }

private:
    std::span<const float> levels_;
};

/// The score below which candidates of a phase are dropped, given the worth of the best of all phases. It rises with the best, so that a
/// limit from a lower best never drops what the final one would keep.
[[nodiscard]] inline float least_score(const MatchOptions& options, float best, float level) {
    return options.rival_share > 0 && best > 0 ? options.rival_share * best * level : -infinity;
}

/// Drops the candidates of all phases that are below the limit.
inline void keep_rivals(const MatchOptions& options, const Levels& levels, std::span<const PhaseMatches> phases) {
    float best = -infinity;
    for (std::size_t i = 0; i < phases.size(); ++i)
        if (phases[i].candidates.front().template_id >= 0) best = std::max(best, phases[i].candidates.front().score / levels[i]);
    for (std::size_t i = 0; i < phases.size(); ++i) {
        const PhaseMatches& phase = phases[i];
        const float limit = least_score(options, best, levels[i]);
        for (Candidate& candidate : phase.candidates)
            if (candidate.score < limit) candidate = Candidate{};
        if (phase.candidates.front().template_id < 0) phase.clear();
    }
}

}  // namespace nbedex
