// Runs a matcher, which owns the scratch of one thread, over many patterns.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "phase_matches.hpp"

namespace nbedex {

/// Calls match(pattern, its sums, levels, matches of all phases) of one Matcher per thread for every pattern; returns the matchers.
template <class Matcher>
std::vector<std::unique_ptr<Matcher>> match_each_pattern(Phases phases, const Patterns& patterns, const MatchOptions& options, const Poll& poll,
                                                         std::span<const MatchOutput> out) {
    const TemplateSet& any = *phases.front();
    const auto pattern_size = static_cast<std::size_t>(any.n_rings) * static_cast<std::size_t>(any.n_azimuths);
    const auto n_best = static_cast<std::size_t>(options.n_best);
    std::vector<std::unique_ptr<Matcher>> matchers(static_cast<std::size_t>(threads_for(patterns.n, options.threads)));
    parallel_for(patterns.n, options.threads, poll, [&](std::ptrdiff_t item, int thread) {
        const auto p = static_cast<std::size_t>(item);
        std::unique_ptr<Matcher>& matcher = matchers[static_cast<std::size_t>(thread)];
        if (!matcher) matcher = std::make_unique<Matcher>(phases, options);  // by its own thread: near its memory
        std::vector<PhaseMatches> matches;
        for (const MatchOutput& phase : out)
            matches.push_back({phase.candidates.subspan(p * n_best, n_best), phase.mirror_score[p], phase.half_turn_score[p]});
        for (const PhaseMatches& phase : matches) phase.clear();
        const Levels levels(patterns, p, phases.size());
        const std::span<const float> pattern = patterns.values.subspan(p * pattern_size, pattern_size);
        matcher->match(pattern, patterns.sums.empty() ? power_sums(pattern) : patterns.sums[p], levels, matches);
        keep_rivals(options, levels, matches);
    });
    std::erase(matchers, nullptr);
    return matchers;
}

}  // namespace nbedex
