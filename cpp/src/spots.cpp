#include "nbedex/spots.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "rocking_curves.hpp"

namespace nbedex {
namespace {

constexpr double faintest = 0.01;       // of a pattern's strongest predicted spot
constexpr int neighbours = 3, bins = 3; // lit bins around a lit one, and of such within the radius, that make a peak

struct Spot {
    double x, y, strength;  ///< 1/angstrom, weight of the score
};

/// All reflections that count in the score at an orientation.
template <class Use>
void each_excited(const RockingCurves& of, const Quaternion& orientation, double sphere, const Use& use) {
    const std::array<double, 9> m = matrix(conjugate(orientation));
    for (std::size_t i = 0; i < of.weight.size(); ++i) {
        const double* g = of.crystal->g().data() + 3 * i;
        const double x = m[0] * g[0] + m[1] * g[1] + m[2] * g[2], y = m[3] * g[0] + m[4] * g[1] + m[5] * g[2];
        const double z = m[6] * g[0] + m[7] * g[1] + m[8] * g[2], flat = x * x + y * y;
        const double s = flat / (sphere + std::sqrt(sphere * sphere - flat)) - z;
        if (std::abs(s) < double{of.limit[i]}) use(Spot{x, y, of.weight[i] * std::exp(-double{of.sharpness[i]} * s * s)});
    }
}

/// All bins within `radius` of a place.
template <class Use>
void each_bin_near(const PolarGrid& grid, double x, double y, double radius, const Use& use) {
    const double width = grid.ring_width(), step = 2 * std::numbers::pi / grid.n_azimuths;
    const double r = std::hypot(x, y), azimuth = std::atan2(y, x);
    for (int ring = std::max(0, static_cast<int>(std::floor((r - radius - grid.k_min) / width))); ring < grid.n_rings; ++ring) {
        const double middle = grid.k_min + (ring + 0.5) * width, off = middle - r;
        if (off > radius) break;
        if (off < -radius) continue;
        // chord of the circle of `radius` about the place at this ring, as an angle
        const double half = std::sqrt(radius * radius - off * off) / middle;
        const auto last = static_cast<int>(std::floor((azimuth + half) / step));
        for (auto a = static_cast<int>(std::ceil((azimuth - half) / step)); a <= last; ++a)
            use(static_cast<std::size_t>(ring * grid.n_azimuths + (a % grid.n_azimuths + grid.n_azimuths) % grid.n_azimuths));
    }
}

/// Lit bins (1) that have enough lit neighbours; single electrons seldom have.
void keep_solid(const PolarGrid& grid, std::span<const float> peaks, std::vector<std::uint8_t>& solid) {
    const int n = grid.n_azimuths;
    const auto lit = [&](int ring, int a) { return peaks[static_cast<std::size_t>(ring * n + (a + n) % n)] > 0; };
    solid.assign(grid.size(), 0);
    for (int ring = 0; ring < grid.n_rings; ++ring)
        for (int a = 0; a < n; ++a) {
            if (!lit(ring, a)) continue;
            int near = -1;  // the bin itself
            for (int other = std::max(ring - 1, 0); other <= std::min(ring + 1, grid.n_rings - 1); ++other)
                for (int d = -1; d <= 1; ++d) near += lit(other, a + d);
            solid[static_cast<std::size_t>(ring * n + a)] = near >= neighbours;
        }
}

/// Where a spot would meet a peak: how many solid bins lie within the radius of every bin.
void count_near(const PolarGrid& grid, std::span<const std::uint8_t> solid, double radius, std::vector<int>& near) {
    near.assign(grid.size(), 0);
    for (int ring = 0; ring < grid.n_rings; ++ring)
        for (int a = 0; a < grid.n_azimuths; ++a) {
            if (!solid[static_cast<std::size_t>(ring * grid.n_azimuths + a)]) continue;
            const double r = grid.k_min + (ring + 0.5) * grid.ring_width(), angle = 2 * std::numbers::pi * a / grid.n_azimuths;
            each_bin_near(grid, r * std::cos(angle), r * std::sin(angle), radius, [&](std::size_t bin) { ++near[bin]; });
        }
}

SpotsMet count(const PolarGrid& grid, const std::vector<int>& near, const std::vector<Spot>& spots, double radius) {
    const std::size_t n = static_cast<std::size_t>(grid.n_azimuths);
    const double step = 2 * std::numbers::pi / grid.n_azimuths;
    SpotsMet found;
    for (const Spot& spot : spots) {
        const bool opposite = std::ranges::any_of(
            spots, [&](const Spot& other) { return std::hypot(spot.x + other.x, spot.y + other.y) < radius; });
        const double counts = opposite ? 0.5 : 1.0;
        const auto ring = static_cast<std::size_t>((std::hypot(spot.x, spot.y) - grid.k_min) / grid.ring_width());
        const auto a = static_cast<int>(std::lround(std::atan2(spot.y, spot.x) / step)) + grid.n_azimuths;
        const std::span<const int> row(near.data() + ring * n, n);
        found.predicted += counts;
        if (row[static_cast<std::size_t>(a) % n] >= bins) found.met += counts;
        found.chance += counts * static_cast<double>(std::ranges::count_if(row, [](int c) { return c >= bins; })) / double(n);
    }
    if (found.predicted > 0) found.chance /= found.predicted;
    return found;
}

}  // namespace

void mark_spots(std::span<const KinematicCrystal* const> crystals, const PolarGrid& grid, std::span<const std::int16_t> crystal,
                std::span<const Quaternion> orientation, double radius, const RefineOptions& options, const Poll& poll,
                std::span<std::uint8_t> mask) {
    std::vector<RockingCurves> curves;
    for (const KinematicCrystal* each : crystals) curves.emplace_back(*each, options);
    parallel_for(static_cast<std::ptrdiff_t>(crystal.size()), options.threads, poll, [&](std::ptrdiff_t item, int) {
        const auto p = static_cast<std::size_t>(item);
        if (crystal[p] < 0) return;
        std::uint8_t* marked = mask.data() + p * grid.size();
        each_excited(curves[static_cast<std::size_t>(crystal[p])], orientation[p], 1 / options.wavelength, [&](const Spot& spot) {
            each_bin_near(grid, spot.x, spot.y, radius, [&](std::size_t bin) { marked[bin] = 1; });
        });
    });
}

void count_spots_met(std::span<const KinematicCrystal* const> crystals, const PolarGrid& grid, std::span<const float> peaks,
                     std::span<const std::int16_t> crystal, std::span<const Quaternion> orientation, double radius,
                     const RefineOptions& options, const Poll& poll, std::span<SpotsMet> out) {
    std::vector<RockingCurves> curves;
    for (const KinematicCrystal* each : crystals) curves.emplace_back(*each, options);
    parallel_for(static_cast<std::ptrdiff_t>(crystal.size()), options.threads, poll, [&](std::ptrdiff_t item, int) {
        const auto p = static_cast<std::size_t>(item);
        if (crystal[p] < 0) return;
        const RockingCurves& of = curves[static_cast<std::size_t>(crystal[p])];
        std::vector<Spot> spots;
        double strongest = 0;
        each_excited(of, orientation[p], 1 / options.wavelength, [&](const Spot& spot) {
            const double k = std::hypot(spot.x, spot.y);
            if (k < grid.k_min || k >= grid.k_max - 1e-9) return;
            spots.push_back(spot);
            strongest = std::max(strongest, spot.strength);
        });
        const double least = strongest * std::pow(faintest, of.crystal->exponent());
        std::erase_if(spots, [&](const Spot& spot) { return spot.strength < least; });
        std::vector<std::uint8_t> solid;
        std::vector<int> near;
        keep_solid(grid, peaks.subspan(p * grid.size(), grid.size()), solid);
        count_near(grid, solid, radius, near);
        out[p] = count(grid, near, spots, radius);
    });
}

}  // namespace nbedex
