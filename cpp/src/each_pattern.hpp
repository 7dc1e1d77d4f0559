// Runs a matcher, which owns the scratch of one thread, over many patterns.
#pragma once

#include <span>
#include <vector>

#include "nbedex/match.hpp"

namespace nbedex {

/// Calls match(pattern, candidates, mirror_score, half_turn_score) of one Matcher per thread for every pattern; returns the matchers.
template <class Matcher>
std::vector<Matcher> match_each_pattern(const TemplateSet& templates, std::span<const float> patterns, std::ptrdiff_t n_patterns,
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
    return matchers;
}

}  // namespace nbedex
