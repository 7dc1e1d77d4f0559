// Refinement of matched orientations below the grid of the templates, by the kinematical pattern of the orientation itself.
//
// The score is the one of matching, sum w v / (|w| |v|) with zero means, but the weights follow the crystal continuously: those of
// kinematic_model.hpp. Tilting the crystal by t (radians, about sample X and Y) moves every reflection through the Ewald sphere by
// s -> s - (t_x g_y - t_y g_x) and on the detector by less than |g_z t|, a small part of a bin: so positions are looked up once, and
// a tilt costs three sums over some hundred reflections.
#pragma once

#include <cstdint>
#include <span>

#include "nbedex/kinematic_model.hpp"
#include "nbedex/parallel.hpp"
#include "nbedex/power_sums.hpp"

namespace nbedex {

/// Orientation and score of one candidate, and how sharp the maximum is.
struct Refined {
    Quaternion orientation{0, 0, 0, 0};
    float score = 0.0F;  ///< in [-1, 1]
    /// Inverse of minus the second derivatives of the score, added up over the three axes (radians^2); infinite where the score
    /// has no maximum. Times (1 - score^2) / N it is the variance of the orientation if N bins err independently.
    float spread = 0.0F;

    [[nodiscard]] bool found() const noexcept { return orientation.w != 0 || orientation.x != 0 || orientation.y != 0 || orientation.z != 0; }
};

/// Candidates of n patterns, k of each: of which crystal (-1: there is none) and where to begin. `sums` (n,) are the `power_sums` of the
/// patterns; none: they are computed.
struct RefineStart {
    std::span<const std::int16_t> crystal;
    std::span<const Quaternion> orientation;
    std::ptrdiff_t n, k;
    std::span<const PowerSums> sums = {};
};

/// Refines the candidates of each pattern (n, rings, azimuths). The output of those that are not there stays untouched. Every candidate is
/// refined on its own; those that end within distinct_angle of a better one of their crystal are set back to Refined{}. half_turn[p] becomes
/// the score of pattern p's best turned by 180 degrees about the beam and refined; left as it is where there is no candidate, or symmetry
/// makes the two equivalent. The best is that of the largest score over `levels` (n, crystals).
void refine(const KinematicModel& model, std::span<const float> patterns, const RefineStart& start, std::span<const double> levels,
            int threads, const Poll& poll, std::span<Refined> out, std::span<float> half_turn);

}  // namespace nbedex
