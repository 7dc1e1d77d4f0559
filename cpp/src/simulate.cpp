#include "nbedex/simulate.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <unordered_map>

namespace nbedex {
namespace {

using std::numbers::pi;

/// Unprecessed shape factor at excitation error s.
double shape_factor(ShapeFactor model, double s, double width) {
    constexpr double zeros = 5.0;  // diffsims' minima_number
    const double x = pi * zeros / width * s;
    switch (model) {
        case ShapeFactor::binary: return 1.0;
        case ShapeFactor::linear: return std::max(0.0, 1.0 - std::abs(s) / width);
        case ShapeFactor::lorentzian: {  // Palatinus et al., Acta Cryst. B75 (2019) 512, eq. 6, with sigma = pi / width
            const double sigma_s = pi / width * s;
            return 1.0 / (sigma_s * sigma_s + 1.0);
        }
        case ShapeFactor::sinc: return x == 0 ? 1.0 : std::abs(std::sin(x) / x);
        case ShapeFactor::sin2c: return x == 0 ? 1.0 : (std::sin(x) / x) * (std::sin(x) / x);
        case ShapeFactor::atanc: return x == 0 ? 1.0 : std::atan(x) / x;
    }
    return 0.0;
}

/// Shape factor averaged over the beam's revolution. Closed form for the Lorentzian (Palatinus 2019, eq. 10, scaled by
/// width / 2 so that no precession gives the unprecessed factor), the trapezoidal rule over one turn otherwise (eq. 8), which
/// converges exponentially for a periodic integrand.
double precessed_shape_factor(ShapeFactor model, double s, double r, double angle, double width) {
    if (model == ShapeFactor::lorentzian) {
        const double sigma = pi / width;
        const double u = sigma * sigma * (r * r * angle * angle - s * s) + 1;
        const double z = std::sqrt(u * u + 4 * sigma * sigma * s * s);
        return 0.5 * std::sqrt(2 * (u + z) / (z * z));
    }
    constexpr int steps = 256;
    double sum = 0;
    for (int i = 0; i < steps; ++i) sum += shape_factor(model, s + r * angle * std::cos(2 * pi * i / steps), width);
    return sum / steps;
}

struct Spot {
    double kx, ky, intensity, shape;
    std::int32_t reflection;
};

/// Whether a reflection comes near enough to the Ewald sphere, at any time of the precession.
bool excited(double r, double z, double s, const SimulationOptions& options) {
    if (options.precession_angle == 0) return std::abs(s) < options.max_excitation_error;
    const double radius = 1 / options.wavelength;
    const double center_z = radius * std::cos(options.precession_angle);
    const double center_r = radius * std::sin(options.precession_angle);
    const double upper = center_z - std::sqrt(radius * radius - (r + center_r) * (r + center_r));
    const double lower = center_z - std::sqrt(radius * radius - (r - center_r) * (r - center_r));
    return z - options.max_excitation_error <= upper && z + options.max_excitation_error >= lower;
}

/// No reflection farther than this from the plane through the origin normal to the beam can be excited.
double height_limit(const Reflections& all, const SimulationOptions& options) {
    double g_max = 0;
    for (std::size_t i = 0; i < all.intensity.size(); ++i)
        g_max = std::max(g_max, std::hypot(all.g[3 * i], all.g[3 * i + 1], all.g[3 * i + 2]));
    return options.max_excitation_error + g_max * std::sin(options.precession_angle) + g_max * g_max * options.wavelength;
}

void excite(const Reflections& all, const Quaternion& orientation, const SimulationOptions& options, double limit,
            std::vector<Spot>& spots) {
    spots.clear();
    const std::array<double, 9> m = matrix(conjugate(orientation));  // crystal to sample
    const double radius = 1 / options.wavelength;
    const std::size_t n = all.intensity.size();
    for (std::size_t i = 0; i < n; ++i) {
        const double* g = &all.g[3 * i];
        const double z = m[6] * g[0] + m[7] * g[1] + m[8] * g[2];
        if (std::abs(z) > limit) continue;
        const double x = m[0] * g[0] + m[1] * g[1] + m[2] * g[2];
        const double y = m[3] * g[0] + m[4] * g[1] + m[5] * g[2];
        const double r = std::hypot(x, y);
        const double s = radius - std::sqrt(radius * radius - r * r) - z;
        if (!excited(r, z, s, options)) continue;
        const double shape = options.precession_angle == 0
                                 ? shape_factor(options.shape, s, options.shape_width)
                                 : precessed_shape_factor(options.shape, s, r, options.precession_angle, options.shape_width);
        spots.push_back({x, y, all.intensity[i] * shape, shape, static_cast<std::int32_t>(i)});
    }
}

[[nodiscard]] std::int64_t hkl_key(std::int64_t h, std::int64_t k, std::int64_t l) {
    constexpr std::int64_t offset = 1 << 20;
    return ((h + offset) << 42) | ((k + offset) << 21) | (l + offset);
}

/// Gives reflections that are absent by a glide plane or screw axis the intensity that a beam diffracted twice
/// brings there: the sum over pairs g1 + g2 = g of I(g1) I(g2), scaled so that the strongest possible pair
/// (two beams as strong as the pattern's strongest) counts `double_diffraction` of that strongest beam.
void add_double_diffraction(const Reflections& all, double share, std::vector<Spot>& spots) {
    double strongest = 0;
    std::unordered_map<std::int64_t, double> intensity;
    for (const Spot& spot : spots) {
        if (spot.intensity <= 0) continue;
        const std::int32_t* h = &all.hkl[3 * static_cast<std::size_t>(spot.reflection)];
        intensity.emplace(hkl_key(h[0], h[1], h[2]), spot.intensity);
        strongest = std::max(strongest, spot.intensity);
    }
    if (strongest <= 0) return;
    for (Spot& target : spots) {
        if (target.intensity > 0) continue;
        const std::int32_t* h = &all.hkl[3 * static_cast<std::size_t>(target.reflection)];
        double sum = 0;
        for (const Spot& first : spots) {
            const std::int32_t* h1 = &all.hkl[3 * static_cast<std::size_t>(first.reflection)];
            const auto second = intensity.find(hkl_key(h[0] - h1[0], h[1] - h1[1], h[2] - h1[2]));
            const auto self = intensity.find(hkl_key(h1[0], h1[1], h1[2]));
            if (second != intensity.end() && self != intensity.end()) sum += self->second * second->second;
        }
        target.intensity = share * target.shape * sum / strongest;
    }
}

}  // namespace

SpotPatterns simulate_patterns(const Reflections& reflections, std::span<const Quaternion> orientations,
                               const SimulationOptions& options, int threads, const Poll& poll) {
    // Runs of orientations, so that each thread appends to vectors of its own and the order stays that of the input.
    constexpr std::size_t run = 64;
    const std::size_t n = orientations.size();
    const std::size_t n_runs = (n + run - 1) / run;
    const double limit = height_limit(reflections, options);
    std::vector<SpotPatterns> parts(n_runs);
    parallel_for(static_cast<std::ptrdiff_t>(n_runs), threads, poll, [&](std::ptrdiff_t item, int) {
        const std::size_t first = static_cast<std::size_t>(item) * run, last = std::min(n, first + run);
        SpotPatterns& part = parts[static_cast<std::size_t>(item)];
        std::vector<Spot> spots;
        for (std::size_t t = first; t < last; ++t) {
            excite(reflections, orientations[t], options, limit, spots);
            if (options.double_diffraction > 0) add_double_diffraction(reflections, options.double_diffraction, spots);
            double strongest = 0;
            for (const Spot& spot : spots) strongest = std::max(strongest, spot.intensity);
            for (const Spot& spot : spots) {
                if (!(spot.intensity > strongest * options.minimum_intensity)) continue;
                part.kx.push_back(static_cast<float>(spot.kx));
                part.ky.push_back(static_cast<float>(spot.ky));
                part.intensity.push_back(static_cast<float>(spot.intensity));
                part.reflection.push_back(spot.reflection);
            }
            part.offset.push_back(static_cast<std::int64_t>(part.kx.size()));
        }
    });

    SpotPatterns out;
    out.offset.push_back(0);
    for (SpotPatterns& part : parts) {
        const auto base = static_cast<std::int64_t>(out.kx.size());
        for (const std::int64_t end : part.offset) out.offset.push_back(base + end);
        out.kx.insert(out.kx.end(), part.kx.begin(), part.kx.end());
        out.ky.insert(out.ky.end(), part.ky.begin(), part.ky.end());
        out.intensity.insert(out.intensity.end(), part.intensity.begin(), part.intensity.end());
        out.reflection.insert(out.reflection.end(), part.reflection.begin(), part.reflection.end());
        part = {};
    }
    return out;
}

}  // namespace nbedex
