// The same answer as match_exhaustive, bit for bit, by branch and bound.
//
// The score of an image (a template or its mirror image) at rotation phi is S(phi) = sum_i w_i P[r_i, theta_i + phi] - z, w_i >= 0.
//
// Block bound. Rotations are cut into B blocks of A / B bins. With D[r][s] = max of ring r over the bins s … s + A/B - 1,
// S(phi) <= sum_i w_i D[r_i][theta_i + b A/B] - z for every phi of block b. For each spot the B values lie side by side in memory, so
// that one vector operation serves all blocks. Coarse blocks (24 degrees) are tried first, then fine ones (6 degrees), then
// the rotations themselves.
//
// Giving up early. After some spots, the rest can add at most sum_i w_i m[r_i], with m[r] the maximum of ring r.
//
// Threshold. T is a lower bound of the k-th best *distinct* score: among the scores seen, the k-th best of a set whose orientations are
// pairwise more than 2 delta apart. Each of the first k - 1 winners excludes orientations within delta of itself, hence
// at most one of that set; so one of the k is left for the k-th place, and the k-th winner scores at least as much. Everything that scores T or more
// is seen exactly, therefore the greedy choice among what was seen is that among all.
//
// Rounding. Fine bounds are summed in the order of the exact sums from factors that are never smaller, and rounding is monotone, so
// the computed bound is never below the computed score: no slack is needed. Coarse bounds and the early test mix sums of
// different order; they are given the slack 2 (n + 4) 2^-24 (sum_i w_i max|P| + |T| + |z|).
#pragma once

#include "nbedex/match.hpp"

namespace nbedex {

/// How much of the work was done, over all patterns of a call; for benchmarks.
struct SearchStatistics {
    std::int64_t images = 0;         ///< templates and mirror images
    std::int64_t past_coarse = 0;    ///< images that the coarse bound did not settle
    std::int64_t past_fine = 0;      ///< images that the fine bound did not settle
    std::int64_t exact_blocks = 0;   ///< fine blocks scored exactly
    std::int64_t hits = 0;           ///< rotations that scored at least the threshold of their time
};

/// See match_exhaustive for arguments and results.
SearchStatistics match_pruned(const TemplateSet& templates, std::span<const float> patterns, std::ptrdiff_t n_patterns,
                              const MatchOptions& options, const Poll& poll, const MatchOutput& out);

/// Whether the azimuth bins can be cut into blocks; otherwise match_pruned falls back on match_exhaustive.
[[nodiscard]] bool can_prune(int n_azimuths) noexcept;

}  // namespace nbedex
