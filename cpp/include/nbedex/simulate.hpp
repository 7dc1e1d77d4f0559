// Kinematical spot patterns for many orientations of one crystal.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "nbedex/parallel.hpp"
#include "nbedex/rotation.hpp"

namespace nbedex {

/// Intensity against excitation error s, for a half-width w; equal to diffsims' shape_factor_models
/// (`sinc`, `sin2c` and `atanc` with their fifth zero at w), except that s = 0 gives 1 in all of them.
enum class ShapeFactor : std::uint8_t { binary, linear, lorentzian, sinc, sin2c, atanc };

struct Reflections {
    std::span<const double> g;             ///< (n, 3) crystal frame, 1/angstrom
    std::span<const double> intensity;     ///< (n,) |F|^2; 0 for absent ones that only double diffraction can excite
    std::span<const std::int32_t> hkl;     ///< (n, 3)
};

struct SimulationOptions {
    double wavelength = 0.0;             ///< angstrom
    double max_excitation_error = 0.0;   ///< 1/angstrom
    double shape_width = 0.0;            ///< 1/angstrom
    ShapeFactor shape = ShapeFactor::lorentzian;
    double precession_angle = 0.0;       ///< radians
    double minimum_intensity = 0.0;      ///< relative to the strongest spot of the pattern
    double double_diffraction = 0.0;     ///< share of the strongest pair's product given to absent reflections, 0: off
};

/// The spots of all patterns, one after another: those of pattern t are [offset[t], offset[t+1]).
struct SpotPatterns {
    std::vector<std::int64_t> offset;
    std::vector<float> kx, ky;             ///< 1/angstrom, sample frame
    std::vector<float> intensity;
    std::vector<std::int32_t> reflection;  ///< which reflection it is
};

/// Spots excited at each orientation (sample to crystal). g_sample = O^-1 g_crystal; the Ewald sphere's centre lies at
/// +Z / wavelength, so the excitation error is R - sqrt(R^2 - g_x^2 - g_y^2) - g_z with R = 1 / wavelength.
[[nodiscard]] SpotPatterns simulate_patterns(const Reflections& reflections, std::span<const Quaternion> orientations,
                                             const SimulationOptions& options, int threads, const Poll& poll);

}  // namespace nbedex
