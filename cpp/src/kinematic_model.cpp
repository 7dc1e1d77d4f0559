#include "nbedex/kinematic_model.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <stdexcept>
#include <utility>

#include "kernels/kernels.hpp"

namespace nbedex {

KinematicCrystal::KinematicCrystal(std::span<const double> g, std::span<const double> intensity, double template_exponent,
                                   std::vector<Quaternion> symmetry)
    : exponent_(template_exponent), g_(g.begin(), g.end()), intensity_(intensity.begin(), intensity.end()), symmetry_(std::move(symmetry)) {
    if (g.size() != 3 * intensity.size()) throw std::invalid_argument("g must hold three components for every intensity");
    if (!(template_exponent > 0)) throw std::invalid_argument("the template exponent must be positive");
}

bool KinematicCrystal::are_near(const Quaternion& a, const Quaternion& b, double cos_half) const {
    const Quaternion m = a * conjugate(b);
    return std::ranges::any_of(symmetry_, [&](const Quaternion& s) { return std::abs((s * m).w) >= cos_half; });
}

bool KinematicCrystal::are_half_turned(const Quaternion& a, const Quaternion& b) const {
    constexpr double degree = std::numbers::pi / 180;
    static const double most_scalar = std::sin(3.0 / 2 * degree), least_cosine = std::cos(20.0 * degree);
    const Quaternion m = b * conjugate(a);
    const std::array<double, 9> rotation = matrix(a);
    const double x = rotation[2], y = rotation[5], z = rotation[8];  // crystal direction along the beam
    return std::ranges::any_of(symmetry_, [&](const Quaternion& s) {
        const Quaternion turn = s * m;
        return std::abs(turn.w) <= most_scalar &&
               std::abs(turn.x * x + turn.y * y + turn.z * z) >= least_cosine * std::sqrt(turn.x * turn.x + turn.y * turn.y + turn.z * turn.z);
    });
}

RockingCurves::RockingCurves(const KinematicCrystal& of, const RefineOptions& options) {
    const double variance = options.excitation_width * options.excitation_width;
    std::map<std::array<double, 3>, std::size_t> alone;  // reflections without an opposite so far, and their places in the columns
    for (std::size_t i = 0; i < of.size(); ++i) {
        const std::array<double, 3> g{of.g()[3 * i], of.g()[3 * i + 1], of.g()[3 * i + 2]};
        const double length = std::hypot(g[0], g[1], g[2]), swing = length * options.precession_angle, wider = variance + swing * swing / 2;
        const double sharpness = of.exponent() / (2 * wider), left = swing > 0 ? std::pow(variance / wider, of.exponent() / 2) : 1.0;
        const auto strength = static_cast<float>(std::pow(of.intensity()[i], of.exponent()) * left);
        if (const auto other = alone.find({-g[0], -g[1], -g[2]}); other != alone.end()) {
            opposite[other->second] = strength;
            alone.erase(other);
            continue;
        }
        alone.emplace(g, x.size());
        x.push_back(static_cast<float>(g[0]));
        y.push_back(static_cast<float>(g[1]));
        z.push_back(static_cast<float>(g[2]));
        root.push_back(static_cast<float>(std::sqrt(sharpness)));
        weight.push_back(strength);
        opposite.push_back(0.0F);
        // |s| <= limit + |tilt| |g|, |s - (-g_z)| <= wavelength g^2 / 2 (and a little for the sphere's fourth order)
        const double limit = std::sqrt(kernels::rocking_cutoff / sharpness), bend = 0.51 * options.wavelength * length * length;
        excited_within.push_back(static_cast<float>(limit + bend + 1e-6));
        reached_within.push_back(static_cast<float>(limit + bend + (2 * options.reach + 0.01) * length));
    }
    const std::size_t n = (x.size() + kernels::rocking_lanes - 1) / kernels::rocking_lanes * kernels::rocking_lanes;
    for (std::vector<float>* column : {&x, &y, &z, &root, &weight, &opposite}) column->resize(n, 0.0F);
    for (std::vector<float>* column : {&excited_within, &reached_within}) column->resize(n, -1.0F);
}

KinematicModel::KinematicModel(std::vector<KinematicCrystal> crystals, const PolarGrid& grid, const RefineOptions& options)
    : crystals_(std::move(crystals)), grid_(grid), options_(options) {
    for (const KinematicCrystal& crystal : crystals_) curves_.emplace_back(crystal, options_);
}

}  // namespace nbedex
