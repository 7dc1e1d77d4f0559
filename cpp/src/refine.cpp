#include "nbedex/refine.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <numbers>
#include <stdexcept>

#include "near_reflections.hpp"

namespace nbedex {
namespace {

constexpr double no_maximum = std::numeric_limits<double>::infinity();

/// Vertex of the parabola through three equidistant values, in steps from the middle one, and its second derivative.
struct Vertex {
    double offset, curvature;
};

Vertex vertex(double before, double here, double after) {
    const double curvature = before - 2 * here + after;
    return {curvature < 0 ? std::clamp(0.5 * (before - after) / curvature, -0.5, 0.5) : 0.0, curvature};
}

/// Looks for the best orientation near a given one. Scratch memory of one thread.
class Refiner {
public:
    Refiner(const PolarGrid& grid, const RefineOptions& options)
        : pattern_(grid.n_rings, grid.n_azimuths), grid_(grid), options_(options), near_(pattern_, grid_, options_) {}

    [[nodiscard]] bool load(std::span<const float> pattern) { return pattern_.load(pattern); }

    Refined refine(const RockingCurves& curves, Quaternion orientation) {
        near_.select(curves, orientation);
        // Twice: turn about the beam, tilt, turn, tilt; the second time near the first answer, at a quarter of the step.
        double spread = 0;
        for (const double reach : {options_.reach, options_.reach / 4}) {
            near_.place(orientation, reach);
            const Vertex turn = best_turn(reach);
            near_.look_up(turn.offset, near_.size());
            const Tilt tilt = best_tilt(reach, spread);
            const double bin = 2 * std::numbers::pi / grid_.n_azimuths;
            spread += turn.curvature < 0 ? -bin * bin / turn.curvature : no_maximum;
            orientation = moved(orientation, tilt, turn.offset * bin);
        }
        near_.place(orientation, 0.0);
        near_.look_up(0.0, near_.size());
        return {orientation, static_cast<float>(near_.score({}, near_.size())), static_cast<float>(spread)};
    }

private:
    /// The turn about the beam (bins) of the highest score within reach, and the second derivative there (per bin^2).
    Vertex best_turn(double reach) {
        constexpr int half = 4;
        const double bins = reach * grid_.n_azimuths / (2 * std::numbers::pi), step = std::max(bins, 0.25) / half;
        std::array<double, 2 * half + 1> scores;
        for (int i = -half; i <= half; ++i) {
            near_.look_up(i * step, near_.excited());
            scores[static_cast<std::size_t>(i + half)] = near_.score({}, near_.excited());
        }
        const std::ptrdiff_t best = std::clamp<std::ptrdiff_t>(std::ranges::max_element(scores) - scores.begin(), 1, 2 * half - 1);
        const auto at = static_cast<std::size_t>(best);
        const Vertex fine = vertex(scores[at - 1], scores[at], scores[at + 1]);
        return {(static_cast<double>(best - half) + fine.offset) * step, fine.curvature / (step * step)};
    }

    /// The tilt of the highest score within reach; `spread` becomes the trace of the inverse curvature there (radians^2).
    Tilt best_tilt(double reach, double& spread) {
        constexpr int half = 4, side = 2 * half + 1;
        const double step = reach / half;
        std::array<double, side * side> scores;
        for (int iy = -half; iy <= half; ++iy)
            for (int ix = -half; ix <= half; ++ix)
                scores[static_cast<std::size_t>((iy + half) * side + ix + half)] = near_.score({ix * step, iy * step}, near_.size());
        const std::ptrdiff_t best = std::ranges::max_element(scores) - scores.begin();
        const std::ptrdiff_t row = std::clamp<std::ptrdiff_t>(best / side, 1, side - 2), column = std::clamp<std::ptrdiff_t>(best % side, 1, side - 2);
        const auto at = [&](std::ptrdiff_t dy, std::ptrdiff_t dx) { return scores[static_cast<std::size_t>((row + dy) * side + column + dx)]; };
        const double xx = at(0, 1) - 2 * at(0, 0) + at(0, -1), yy = at(1, 0) - 2 * at(0, 0) + at(-1, 0);
        const double xy = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4;
        const double gx = (at(0, 1) - at(0, -1)) / 2, gy = (at(1, 0) - at(-1, 0)) / 2;
        const double determinant = xx * yy - xy * xy;
        Tilt offset;
        if (xx < 0 && determinant > 0) {
            offset = {std::clamp((xy * gy - yy * gx) / determinant, -1.0, 1.0), std::clamp((xy * gx - xx * gy) / determinant, -1.0, 1.0)};
            spread = -(xx + yy) / determinant * step * step;
        } else {
            spread = no_maximum;
        }
        return {(static_cast<double>(column - half) + offset.x) * step, (static_cast<double>(row - half) + offset.y) * step};
    }

    /// The crystal tilted, then turned about the beam: a rotation of the sample vectors the other way, before the orientation.
    static Quaternion moved(const Quaternion& orientation, const Tilt& tilt, double turn) {
        const double angle = std::hypot(tilt.x, tilt.y), f = angle > 0 ? std::sin(angle / 2) / angle : 0.5;
        const Quaternion tilted = orientation * Quaternion{std::cos(angle / 2), -f * tilt.x, -f * tilt.y, 0.0};
        const Quaternion q = tilted * Quaternion{std::cos(turn / 2), 0.0, 0.0, -std::sin(turn / 2)};
        const double per_norm = (q.w < 0 ? -1.0 : 1.0) / std::sqrt(q.w * q.w + q.x * q.x + q.y * q.y + q.z * q.z);
        return {q.w * per_norm, q.x * per_norm, q.y * per_norm, q.z * per_norm};
    }

    NormalisedPattern pattern_;
    PolarGrid grid_;
    RefineOptions options_;
    NearReflections near_;
};

/// Sets back what lies within `angle` of a better candidate of the same crystal; of equals the first is the better one.
void keep_distinct(std::span<const KinematicCrystal* const> crystals, std::span<const std::int16_t> crystal, double angle,
                   std::span<Refined> found) {
    const double near = std::cos(angle / 2);
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < found.size(); ++i)
        if (crystal[i] >= 0) order.push_back(i);
    std::ranges::stable_sort(order, std::greater<>(), [&](std::size_t i) { return found[i].score; });
    std::vector<std::size_t> kept;
    for (const std::size_t i : order) {
        const bool again = std::ranges::any_of(kept, [&](std::size_t better) {
            if (crystal[better] != crystal[i]) return false;
            const Quaternion m = found[i].orientation * conjugate(found[better].orientation);
            return std::ranges::any_of(crystals[static_cast<std::size_t>(crystal[i])]->symmetry(),
                                       [&](const Quaternion& s) { return std::abs((s * m).w) >= near; });
        });
        if (again) found[i] = Refined{};
        else kept.push_back(i);
    }
}

}  // namespace

KinematicCrystal::KinematicCrystal(std::span<const double> g, std::span<const double> intensity, double template_exponent,
                                   std::vector<Quaternion> symmetry)
    : exponent_(template_exponent), g_(g.begin(), g.end()), symmetry_(std::move(symmetry)) {
    const std::size_t n = intensity.size();
    if (g.size() != 3 * n) throw std::invalid_argument("g must hold three components for every intensity");
    if (!(template_exponent > 0)) throw std::invalid_argument("the template exponent must be positive");
    components_.resize(3 * n);
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t axis = 0; axis < 3; ++axis) components_[axis * n + i] = static_cast<float>(g[3 * i + axis]);
        weight_.push_back(static_cast<float>(std::pow(intensity[i], template_exponent)));
        length_.push_back(static_cast<float>(std::hypot(g[3 * i], g[3 * i + 1], g[3 * i + 2])));
    }
}

void refine(std::span<const KinematicCrystal* const> crystals, std::span<const float> patterns, std::ptrdiff_t n_patterns,
            const PolarGrid& grid, std::span<const std::int16_t> crystal, std::span<const Quaternion> orientation,
            std::ptrdiff_t n_candidates, const RefineOptions& options, const Poll& poll, std::span<Refined> out, std::span<float> half_turn) {
    const auto k = static_cast<std::size_t>(n_candidates);
    std::vector<RockingCurves> curves;
    for (const KinematicCrystal* each : crystals) curves.emplace_back(*each, options);
    std::vector<std::unique_ptr<Refiner>> refiners(static_cast<std::size_t>(threads_for(n_patterns, options.threads)));
    parallel_for(n_patterns, options.threads, poll, [&](std::ptrdiff_t item, int thread) {
        const auto p = static_cast<std::size_t>(item);
        std::unique_ptr<Refiner>& refiner = refiners[static_cast<std::size_t>(thread)];
        if (!refiner) refiner = std::make_unique<Refiner>(grid, options);
        if (!refiner->load(patterns.subspan(p * grid.size(), grid.size()))) return;
        for (std::size_t i = p * k; i < (p + 1) * k; ++i)
            if (crystal[i] >= 0) out[i] = refiner->refine(curves[static_cast<std::size_t>(crystal[i])], orientation[i]);
        const std::span<Refined> refined = out.subspan(p * k, k);
        keep_distinct(crystals, crystal.subspan(p * k, k), options.distinct_angle, refined);
        const auto found = [](const Refined& each) { return each.orientation.w != 0 || each.orientation.x != 0 || each.orientation.y != 0 || each.orientation.z != 0; };
        const auto best = static_cast<std::size_t>(
            std::ranges::max_element(refined, {}, [&](const Refined& each) { return found(each) ? each.score : -2.0F; }) - refined.begin());
        if (found(refined[best]))
            half_turn[p] = refiner->refine(curves[static_cast<std::size_t>(crystal[p * k + best])], refined[best].orientation * half_turn_z).score;
    });
}

}  // namespace nbedex
