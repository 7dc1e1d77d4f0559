// One candidate of re-ranking: its beams at an orientation, and what Bloch waves give at tilts near it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "fast_waves.hpp"
#include "nbedex/rerank.hpp"

namespace nbedex {

using Tilt = std::array<double, 2>;  ///< rotation vector in the plane of X and Y, radians

/// Turn of vectors by a rotation vector (x, y, 0).
[[nodiscard]] inline Quaternion turned_by(const Tilt& tilt) {
    const double half = 0.5 * std::hypot(tilt[0], tilt[1]), share = half > 0 ? 0.5 * std::sin(half) / half : 0.5;
    return {std::cos(half), share * tilt[0], share * tilt[1], 0.0};
}

/// What a crystal diffracts at one tilt and all thicknesses: strong beams first, as they are numbered there, then weak ones.
struct TiltedWaves {
    std::span<const std::uint32_t> strong, weak;
    std::span<const float> intensity;  ///< (beams, padded thicknesses)
    Depths depths;
};

class NearbyCrystal {
public:
    NearbyCrystal(const BlochCrystal& crystal, const Quaternion& orientation, const RerankOptions& options)
        : crystal_(crystal), orientation_(orientation) {
        const std::array<double, 9> m = matrix(conjugate(orientation));
        const double radius = 1 / options.wavelength;
        struct Found {
            double distance;
            std::size_t index;
            std::array<double, 3> g;
        };
        std::vector<Found> found;
        for (std::size_t i = 0; i < crystal.index_.size(); ++i) {
            const double* g = &crystal.g_[3 * i];
            const std::array<double, 3> at{m[0] * g[0] + m[1] * g[1] + m[2] * g[2], m[3] * g[0] + m[4] * g[1] + m[5] * g[2],
                                           m[6] * g[0] + m[7] * g[1] + m[8] * g[2]};
            const double k2 = at[0] * at[0] + at[1] * at[1];
            const double s = std::abs(at[2] - 0.5 * k2 / radius);
            const double most = std::max(options.fine.max_excitation_error, options.coarse.max_excitation_error);
            if (s <= 1.02 * most + 1.1 * options.reach * std::sqrt(k2)) found.push_back({s, i, at});
        }
        std::ranges::stable_sort(found, {}, &Found::distance);
        g_.push_back({0, 0, 0});
        reflection_.push_back(-1);
        index_.push_back(0);
        for (const Found& f : found) {
            g_.push_back(f.g);
            reflection_.push_back(static_cast<std::ptrdiff_t>(f.index));
            index_.push_back(crystal.index_[f.index]);
        }
    }

    /// Valid until the next call.
    [[nodiscard]] TiltedWaves simulate(const Tilt& tilt, const BeamChoice& choice, const Depths& depths, double wavelength, FastWaves& waves) {
        const std::array<double, 9> m = matrix(turned_by(tilt));
        const double radius = 1 / wavelength;
        error_.assign(g_.size(), 0.0);
        strong_.assign(1, 0);
        weak_.clear();
        for (std::size_t i = 1; i < g_.size(); ++i) {
            const auto& g = g_[i];
            const double x = m[0] * g[0] + m[1] * g[1] + m[2] * g[2], y = m[3] * g[0] + m[4] * g[1] + m[5] * g[2];
            const double z = m[6] * g[0] + m[7] * g[1] + m[8] * g[2], k2 = x * x + y * y;
            const double s = z - (radius - std::sqrt(radius * radius - k2));
            if (!(std::abs(s) <= choice.max_excitation_error)) continue;
            error_[i] = s;
            (std::abs(s) > choice.strong_excitation_error ? weak_ : strong_).push_back(static_cast<std::uint32_t>(i));
        }
        std::span<const float> intensity;
        if (crystal_.is_real()) intensity = waves.solve({crystal_.re_.data() + crystal_.origin_, index_}, strong_, weak_, error_, depths);
        else intensity = solve_complex(tilt, choice, depths, wavelength);
        return {strong_, weak_, intensity, depths};
    }

    [[nodiscard]] Quaternion orientation(const Tilt& tilt) const { return orientation_ * conjugate(turned_by(tilt)); }

    /// Beams (x, y, z) in the sample's frame before tilting, 1/angstrom; the first is the direct one.
    [[nodiscard]] const std::vector<std::array<double, 3>>& beams() const noexcept { return g_; }
    /// |q| of a beam's coupling to the direct one, 1/angstrom.
    [[nodiscard]] double coupling(std::size_t beam) const {
        const auto at = static_cast<std::size_t>(crystal_.origin_ + index_[beam]);
        return std::hypot(crystal_.re_[at], crystal_.is_real() ? 0.0 : crystal_.im_[at]);
    }

private:
    static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

    /// Crystals without a centre of symmetry: in full, the way single patterns are simulated.
    std::span<const float> solve_complex(const Tilt& tilt, const BeamChoice& choice, const Depths& depths, double wavelength) {
        BlochOptions options{wavelength, choice.max_excitation_error, choice.strong_excitation_error, {}};
        for (std::size_t t = 0; t < depths.count; ++t) options.thickness.push_back(depths.at(t));
        const Quaternion at = orientation_ * conjugate(turned_by(tilt));
        const DynamicalPatterns pattern = crystal_.patterns({&at, 1}, options, 1, {});
        const std::size_t columns = depths.padded();
        complex_.assign((strong_.size() + weak_.size()) * columns, 0.0F);
        std::vector<std::uint32_t> row_of(crystal_.size(), none);
        std::uint32_t row = 0;
        for (const auto* list : {&strong_, &weak_})
            for (const std::uint32_t beam : *list) {
                if (reflection_[beam] >= 0) row_of[static_cast<std::size_t>(reflection_[beam])] = row;
                ++row;
            }
        for (std::size_t i = 0; i < pattern.reflection.size(); ++i) {
            if (pattern.reflection[i] < 0) continue;
            const std::uint32_t to = row_of[static_cast<std::size_t>(pattern.reflection[i])];
            if (to == none) continue;  // on the rim of the choice, and rounded out of it here
            std::copy_n(&pattern.intensity[i * depths.count], depths.count, &complex_[to * columns]);
        }
        return complex_;
    }

    const BlochCrystal& crystal_;
    Quaternion orientation_;
    std::vector<std::array<double, 3>> g_;
    std::vector<std::ptrdiff_t> reflection_;
    std::vector<std::ptrdiff_t> index_;  // in the crystal's table of couplings
    std::vector<double> error_;
    std::vector<std::uint32_t> strong_, weak_;
    std::vector<float> complex_;
};

}  // namespace nbedex
