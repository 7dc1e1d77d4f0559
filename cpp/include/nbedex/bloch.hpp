// Dynamical diffraction: the intensities of all beams behind a parallel-sided crystal, for many orientations and thicknesses.
//
// The crystal is thicker than what kinematics allows, so the wave in it is the sum of plane waves phi_g that scatter into one
// another (De Graef, Introduction to Conventional TEM, section 6.5; Zuo & Spence, Advanced TEM, section 5.3):
//     d phi / dt = -2 pi i A phi,  phi(0) = the incident beam,  A_gg = s_g,  A_gh = q_{g-h} = gamma lambda F_{g-h} / (2 pi V).
// The sign of the exponent goes with structure factors written as sum f exp(+2 pi i g.r). s_g is positive inside the Ewald sphere,
// whose centre lies at +Z / lambda as in simulate.hpp: electrons travel towards -Z of the sample frame. High-energy forward
// scattering, entrance and exit face normal to Z, no absorption: intensities sum to 1.
#pragma once

#include <complex>
#include <cstdint>
#include <span>
#include <vector>

#include "nbedex/parallel.hpp"
#include "nbedex/rotation.hpp"

namespace nbedex {

/// What scatters: the lattice points up to twice the radius of the pattern, so that every pair of beams has its coupling.
struct Coupling {
    std::span<const std::int32_t> hkl;          ///< (n, 3)
    std::span<const std::complex<double>> q;    ///< (n,) 1/angstrom; q of -g must be the conjugate of q of g
};

/// Beams that may be excited.
struct BeamCandidates {
    std::span<const std::int32_t> hkl;  ///< (m, 3), without 0 0 0
    std::span<const double> g;          ///< (m, 3) crystal frame, 1/angstrom
};

struct BlochOptions {
    double wavelength = 0.0;            ///< angstrom
    double max_excitation_error = 0.0;  ///< 1/angstrom; beams farther from the Ewald sphere are left out
    double strong_excitation_error = 0.0;  ///< 1/angstrom; beams beyond it are weak: perturbations (Bethe potentials)
    std::vector<double> thickness;      ///< angstrom, not negative, ascending
};

/// The beams of all orientations, one after another: those of orientation t are [offset[t], offset[t+1]), the direct beam first,
/// the others in the order of the candidates.
struct DynamicalPatterns {
    std::vector<std::int64_t> offset;
    std::vector<std::int32_t> reflection;  ///< which candidate it is, -1: the direct beam
    std::vector<float> kx, ky;             ///< 1/angstrom, sample frame
    std::vector<float> intensity;          ///< (beams, thicknesses), share of the incident beam
};

class BlochCrystal {
public:
    /// Throws std::invalid_argument where two candidates differ by more than the coupling knows.
    BlochCrystal(const Coupling& coupling, const BeamCandidates& candidates);

    /// Beams are chosen for each orientation (sample to crystal) by excitation error alone, so that the choice depends neither on
    /// order nor on rounding of strengths. Results do not depend on the number of threads.
    [[nodiscard]] DynamicalPatterns patterns(std::span<const Quaternion> orientations, const BlochOptions& options, int threads,
                                             const Poll& poll) const;

    /// Whether all couplings are real, as they are with the origin on a centre of symmetry; that is cheaper.
    [[nodiscard]] bool is_real() const noexcept { return im_.empty(); }

    [[nodiscard]] std::size_t size() const noexcept { return index_.size(); }

private:
    std::vector<double> g_;
    std::vector<std::ptrdiff_t> index_;  ///< of each candidate; indices of differences are differences of indices
    std::ptrdiff_t origin_ = 0;          ///< index of 0 0 0 in the table
    std::vector<double> re_, im_;        ///< coupling by index, im_ empty where all are real

    template <bool complex_valued>
    friend class BlochSolver;
    friend class NearbyCrystal;
};

}  // namespace nbedex
