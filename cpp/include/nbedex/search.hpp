// The same answer as match_exhaustive, bit for bit, by branch and bound.
//
// The score of an image (a template or its mirror image) at rotation phi is S(phi) = sum_i w_i P[r_i, theta_i + phi] - z, w_i >= 0.
//
// Block bound. Rotations are cut into B blocks of A / B bins (60 of 6 degrees). With D[r][s] = max of ring r over the bins s … s + A/B - 1,
// S(phi) <= sum_i w_i D[r_i][theta_i + b A/B] - z for every phi of block b. Weights and maxima are rounded up to whole numbers
// up to 127, of which one vector holds those of one spot for all blocks.
//
// Giving up early. After some spots, the rest can add at most sum_i w_i m[r_i], with m[r] the maximum of ring r.
//
// Threshold. T is a lower bound of the k-th best *distinct* score: among the scores seen, the k-th best of a set whose orientations are
// pairwise more than 2 delta apart. Each of the first k - 1 winners excludes orientations within delta of itself, hence
// at most one of that set; so one of the k is left for the k-th place, and the k-th winner scores at least as much. Everything that scores T or more
// is seen exactly, therefore the greedy choice among what was seen is that among all.
//
// Rounding. Bounds are sums of whole numbers, so exact; the factors were rounded up. The exact score is a float sum: it may exceed the
// sum of its terms by n 2^-24 of the sum of their magnitudes, a little more is added to bounds.
#pragma once

#include "nbedex/match.hpp"

namespace nbedex {

/// How much of the work was done, over all patterns of a call; for benchmarks.
struct SearchStatistics {
    std::int64_t images = 0;        ///< templates and mirror images
    std::int64_t past_sectors = 0;  ///< images that the sector bound did not settle
    std::int64_t past_blocks = 0;   ///< images that the block bound did not settle either
    std::int64_t exact_blocks = 0;  ///< blocks scored exactly
    std::int64_t hits = 0;          ///< rotations that scored at least the final threshold

    SearchStatistics& operator+=(const SearchStatistics& other) noexcept;
};

/// See match_exhaustive for arguments and results.
SearchStatistics match_pruned(Phases phases, std::span<const float> patterns, std::ptrdiff_t n_patterns,
                              const MatchOptions& options, const Poll& poll, std::span<const MatchOutput> out);

/// Whether the polar grid can be cut into sectors and blocks; otherwise match_pruned falls back on match_exhaustive.
[[nodiscard]] bool can_prune(const TemplateSet& templates) noexcept;

}  // namespace nbedex
