// Refinement of matched orientations below the grid of the templates, by the kinematical pattern of the orientation itself.
//
// The score is the one of matching, sum w v / (|w| |v|) with zero means, but the weights follow the crystal continuously:
//     w = (|F|^2 L)^T exp(-T s^2 / (2 sigma^2)),   sigma^2 = width^2 + (g phi)^2 / 2,   L = width / sigma,
// s the excitation error, phi the precession angle, T the template exponent; weights below e^-2.3 = 0.1 of their largest are left
// out. Tilting the crystal by t (radians, about sample X and Y) moves every reflection through the Ewald sphere by
// s -> s - (t_x g_y - t_y g_x) and on the detector by less than |g_z t|, a small part of a bin: so positions are looked up once, and
// a tilt costs three sums over some hundred reflections.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nbedex/parallel.hpp"
#include "nbedex/polar.hpp"
#include "nbedex/rotation.hpp"

namespace nbedex {

/// The reflections of one phase.
class KinematicCrystal {
public:
    /// g: (n, 3) crystal frame, 1/angstrom. intensity: (n,) |F|^2.
    /// symmetry: proper rotations of the Laue group.
    KinematicCrystal(std::span<const double> g, std::span<const double> intensity, double template_exponent,
                     std::vector<Quaternion> symmetry);

    [[nodiscard]] std::size_t size() const noexcept { return weight_.size(); }
    [[nodiscard]] double exponent() const noexcept { return exponent_; }
    [[nodiscard]] std::span<const double> g() const noexcept { return g_; }
    [[nodiscard]] std::span<const float> weight() const noexcept { return weight_; }  ///< |F|^(2T)
    [[nodiscard]] std::span<const float> length() const noexcept { return length_; }  ///< |g|
    [[nodiscard]] std::span<const Quaternion> symmetry() const noexcept { return symmetry_; }
    /// The same vectors, component by component: (3, n).
    [[nodiscard]] const float* component(std::size_t axis) const noexcept { return components_.data() + axis * size(); }

private:
    double exponent_;
    std::vector<double> g_;
    std::vector<float> components_, weight_, length_;
    std::vector<Quaternion> symmetry_;
};

struct RefineOptions {
    double wavelength = 0.0;        ///< angstrom
    double excitation_width = 0.0;  ///< 1/angstrom, `width` above
    double precession_angle = 0.0;  ///< radians
    double reach = 0.0;             ///< radians: how far an orientation may move, about each axis
    double distinct_angle = 0.0;    ///< radians: of refined candidates of a crystal that are nearer, only the best stays
    int threads = 0;                ///< 0: all available
};

/// Orientation and score of one candidate, and how sharp the maximum is.
struct Refined {
    Quaternion orientation{0, 0, 0, 0};
    float score = 0.0F;  ///< in [-1, 1]
    /// Inverse of minus the second derivatives of the score, added up over the three axes (radians^2); infinite where the score
    /// has no maximum. Times (1 - score^2) / N it is the variance of the orientation if N bins err independently.
    float spread = 0.0F;
};

/// Refines n_candidates orientations of each pattern (n_patterns, rings, azimuths) on `grid`. crystal[i] says which crystal
/// candidate i is of, in `crystals`; -1: there is none, its output stays untouched. Every candidate is refined on its own; those that
/// end within distinct_angle of a better one of their crystal are set back to Refined{}. half_turn[p] becomes the score of pattern p's best
/// turned by 180 degrees about the beam and refined; left as it is where there is no candidate.
void refine(std::span<const KinematicCrystal* const> crystals, std::span<const float> patterns, std::ptrdiff_t n_patterns,
            const PolarGrid& grid, std::span<const std::int16_t> crystal, std::span<const Quaternion> orientation,
            std::ptrdiff_t n_candidates, const RefineOptions& options, const Poll& poll, std::span<Refined> out,
            std::span<float> half_turn);

}  // namespace nbedex
