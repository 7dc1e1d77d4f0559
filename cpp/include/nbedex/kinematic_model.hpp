// The reflections of the phases, and how each is excited when its crystal is tilted: what refinement and the counting of spots compare
// patterns with. Made once, used for all patterns.
//
// With s the excitation error, phi the precession angle and T the template exponent, a reflection weighs
//     w = (|F|^2 L)^T exp(-T s^2 / (2 sigma^2)),   sigma^2 = width^2 + (g phi)^2 / 2,   L = width / sigma;
// weights below e^-2.3 = 0.1 of their largest are left out.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

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

    [[nodiscard]] std::size_t size() const noexcept { return intensity_.size(); }
    [[nodiscard]] double exponent() const noexcept { return exponent_; }
    [[nodiscard]] std::span<const double> g() const noexcept { return g_; }
    [[nodiscard]] std::span<const double> intensity() const noexcept { return intensity_; }
    [[nodiscard]] std::span<const Quaternion> symmetry() const noexcept { return symmetry_; }

    /// Whether two orientations differ by at most the angle 2 acos(cos_half), equivalents considered.
    [[nodiscard]] bool are_near(const Quaternion& a, const Quaternion& b, double cos_half) const;
    /// Whether they differ by half a turn about a crystal axis near the beam; see nbedex.maps.half_turned.
    [[nodiscard]] bool are_half_turned(const Quaternion& a, const Quaternion& b) const;

private:
    double exponent_;
    std::vector<double> g_, intensity_;
    std::vector<Quaternion> symmetry_;
};

struct RefineOptions {
    double wavelength = 0.0;        ///< angstrom
    double excitation_width = 0.0;  ///< 1/angstrom, `width` above
    double precession_angle = 0.0;  ///< radians
    double reach = 0.0;             ///< radians: how far an orientation may move, about each axis
    double distinct_angle = 0.0;    ///< radians: of refined candidates of a crystal that are nearer, only the best stays
};

/// The reflections of one crystal column by column, in its own frame, g and -g together; filled up to whole sets of lanes by such that are
/// never near.
struct RockingCurves {
    std::vector<float> x, y, z;           ///< g, 1/angstrom
    std::vector<float> root;              ///< u = (root s)^2; the weight falls by exp(-u)
    std::vector<float> weight, opposite;  ///< of g and -g on the Ewald sphere; 0: there is none
    /// How far from the plane through the origin a reflection can lie and be excited: at this orientation, and at one within reach.
    std::vector<float> excited_within, reached_within;

    RockingCurves(const KinematicCrystal& of, const RefineOptions& options);
};

class KinematicModel {
public:
    KinematicModel(std::vector<KinematicCrystal> crystals, const PolarGrid& grid, const RefineOptions& options);

    [[nodiscard]] std::span<const KinematicCrystal> crystals() const noexcept { return crystals_; }
    [[nodiscard]] std::span<const RockingCurves> curves() const noexcept { return curves_; }
    [[nodiscard]] const PolarGrid& grid() const noexcept { return grid_; }
    [[nodiscard]] const RefineOptions& options() const noexcept { return options_; }

private:
    std::vector<KinematicCrystal> crystals_;
    PolarGrid grid_;
    RefineOptions options_;
    std::vector<RockingCurves> curves_;
};

}  // namespace nbedex
