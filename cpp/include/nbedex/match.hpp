// Exhaustive matching: every template, both mirror images, all in-plane angles. Slow and obviously right: it stays as
// the reference that any faster search must equal.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "nbedex/parallel.hpp"
#include "nbedex/power_sums.hpp"
#include "nbedex/templates.hpp"

namespace nbedex {

struct MatchOptions {
    int n_best = 5;               ///< orientations wanted per phase
    double distinct_angle = 0.0;  ///< radians; two of them differ by more than this, symmetry considered
    float rival_share = 0.0F;     ///< of the pattern's best over all phases: what is worth less is no rival; 0: all are
    int threads = 0;              ///< 0: all available
};

/// One orientation: template, mirror and in-plane bin, with its zero-mean normalised correlation.
struct Candidate {
    std::int32_t template_id = -1;  ///< -1: there was no further distinct orientation
    std::uint8_t mirrored = 0;
    std::int32_t azimuth = 0;       ///< in-plane bin by which the template's pattern is turned
    float score = 0.0F;             ///< in [-1, 1]
    float azimuth_offset = 0.0F;    ///< vertex of the parabola through the neighbouring bins, in bins, [-0.5, 0.5]
};

/// Results of one phase for patterns x n_best candidates, written into the caller's arrays.
struct MatchOutput {
    std::span<Candidate> candidates;        ///< (n_patterns, n_best), best first
    std::span<float> mirror_score;          ///< (n_patterns,) best distinct score of the winner's template, other mirror image
    std::span<float> half_turn_score;       ///< (n_patterns,) score of the winner turned by 180 degrees about the beam
};

/// Packed templates of the phases that compete, all on the same polar grid.
using Phases = std::span<const TemplateSet* const>;

/// Polar patterns (n, rings, azimuths), and what phases compete by: a score of a phase is worth score / level, level (n, phases), above
/// zero. No levels: scores compete as they are. `sums` (n,) are the `power_sums` of the patterns; none: they are computed.
struct Patterns {
    std::span<const float> values;
    std::ptrdiff_t n = 0;
    std::span<const float> level = {};
    std::span<const PowerSums> sums = {};
};

/// The n best distinct orientations of every phase for each polar pattern, greedily: the best of
/// all; then the best of those farther than distinct_angle from it; and so on. Ties go to the lower template, then
/// the unmirrored, then the lower bin. Candidates worth less than rival_share of the best of all phases are dropped. A pattern without contrast
/// gets no candidates. mirror_score and half_turn_score are NaN where that rival is symmetrically equivalent to the
/// winner or within distinct_angle of it, or the phase has no winner. One output per phase.
void match_exhaustive(Phases phases, const Patterns& patterns, const MatchOptions& options, const Poll& poll,
                      std::span<const MatchOutput> out);

/// Instruction set of the kernels in use.
[[nodiscard]] std::string active_isa();

}  // namespace nbedex
