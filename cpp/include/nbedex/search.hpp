// The same answer as match_exhaustive, bit for bit, by branch and bound. The proofs are in docs/theory.md; in short:
//
// The score of an image (a template or its mirror image) at rotation phi is S(phi) = sum_i w_i P[r_i, theta_i + phi] - z, w_i >= 0. With D the maximum of
// P over a range of bins, sum_i w_i D[r_i][theta_i + first phi of the range] - z bounds S for all rotations of the range.
//   1. Bounds of groups of neighbouring templates (GroupBounds): ranges of 12 degrees and those half a turn further; where templates are close, and
//      patterns such that it pays. Where they are not close, ring bounds (compute_rings): all rotations at once; where patterns are such that it pays.
//   2. Sector bound (sectors): ranges of 6 degrees and those half a turn further, of a template and its mirror image at once, in which two spots half a
//      turn apart cost as much as one. Settles nearly all images.
//   3. Bounds of single rotations and those half a turn further (rotations_reaching) in what is left, best image first.
//   4. Exact scores (score) of the rotations that are left.
// What is needed: the threshold T (DistinctThreshold), a lower bound of the k-th best distinct score of the phase, and the share of the best
// of all phases below which nothing is a rival.
#pragma once

#include "nbedex/match.hpp"

namespace nbedex {

/// How much of the work was done, over all patterns of a call; for benchmarks.
struct SearchStatistics {
    std::int64_t images = 0;        ///< templates and mirror images
    std::int64_t past_groups = 0;   ///< images whose sectors were bounded: neither ring bounds nor those of groups settled them
    std::int64_t past_sectors = 0;  ///< images that the sector bound did not settle
    std::int64_t windows = 0;       ///< windows of 32 rotations, and those half a turn further, that were bounded singly
    std::int64_t scored = 0;        ///< rotations scored exactly
    std::int64_t hits = 0;          ///< rotations that scored at least the final threshold

    SearchStatistics& operator+=(const SearchStatistics& other) noexcept;
};

/// See match_exhaustive for arguments and results.
SearchStatistics match_pruned(Phases phases, const Patterns& patterns, const MatchOptions& options, const Poll& poll,
                              std::span<const MatchOutput> out);

/// For tests: for each template, whether its group can have a score by the bound of the group; false for templates in no group.
void groups_reaching(const TemplateSet& templates, std::span<const float> pattern, std::span<const float> scores, std::span<bool> reach);

/// Whether the polar grid can be cut into sectors and blocks; otherwise match_pruned falls back on match_exhaustive.
[[nodiscard]] bool can_prune(const TemplateSet& templates) noexcept;

}  // namespace nbedex
