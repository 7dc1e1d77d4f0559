#include "nbedex/refine.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <numbers>
#include <vector>

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

/// Tilts are tried on a square grid; scores lie row by row, (x, y) from its middle in steps.
constexpr std::ptrdiff_t half = 2, side = 2 * half + 1;
using TiltScores = std::array<double, side * side>;

/// A paraboloid's gradient at (x, y), and its second derivatives; it stands for the score up to `farthest` from there along each axis.
struct Paraboloid {
    double x, y, farthest, gx, gy, xx, yy, xy;

    [[nodiscard]] double determinant() const { return xx * yy - xy * xy; }
    [[nodiscard]] bool has_maximum() const { return xx < 0 && determinant() > 0; }
    /// Where it is highest; (x, y) if there is no maximum.
    [[nodiscard]] std::array<double, 2> highest() const {
        if (!has_maximum()) return {x, y};
        return {x + std::clamp((xy * gy - yy * gx) / determinant(), -farthest, farthest),
                y + std::clamp((xy * gx - xx * gy) / determinant(), -farthest, farthest)};
    }
    /// Trace of minus the inverse of the second derivatives, for steps of this size.
    [[nodiscard]] double spread(double step) const { return has_maximum() ? -(xx + yy) / determinant() * step * step : no_maximum; }
};

/// Through the highest score, or the nearest one to it that has neighbours all around, and these.
Paraboloid about_highest(const TiltScores& scores) {
    const std::ptrdiff_t highest = std::ranges::max_element(scores) - scores.begin();
    const std::ptrdiff_t row = std::clamp<std::ptrdiff_t>(highest / side, 1, side - 2), column = std::clamp<std::ptrdiff_t>(highest % side, 1, side - 2);
    const auto at = [&](std::ptrdiff_t dx, std::ptrdiff_t dy) { return scores[static_cast<std::size_t>((row + dy) * side + column + dx)]; };
    return {static_cast<double>(column - half),
            static_cast<double>(row - half),
            1.0,
            (at(1, 0) - at(-1, 0)) / 2,
            (at(0, 1) - at(0, -1)) / 2,
            at(1, 0) - 2 * at(0, 0) + at(-1, 0),
            at(0, 1) - 2 * at(0, 0) + at(0, -1),
            (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4};
}

/// Of least squares to all scores: sums with 1, x, y, x^2 - 2, y^2 - 2 and x y, which are orthogonal on this grid.
Paraboloid fitted(const TiltScores& scores) {
    static_assert(side == 5);
    Paraboloid sums{};
    sums.farthest = half;
    for (std::ptrdiff_t i = 0; i < side * side; ++i) {
        const auto x = static_cast<double>(i % side - half), y = static_cast<double>(i / side - half);
        const double score = scores[static_cast<std::size_t>(i)];
        sums.gx += x * score / 50;
        sums.gy += y * score / 50;
        sums.xx += (x * x - 2) * score / 35;
        sums.yy += (y * y - 2) * score / 35;
        sums.xy += x * y * score / 100;
    }
    return sums;
}

/// Of the crystal about sample X and Y, radians.
struct Tilt {
    float x, y;
};

/// Looks for the best orientation near a given one. Scratch memory of one thread.
class Refiner {
public:
    explicit Refiner(const KinematicModel& model)
        : reach_(model.options().reach), bin_(2 * std::numbers::pi / model.grid().n_azimuths), near_(pattern_, model) {}

    [[nodiscard]] bool load(std::span<const float> pattern, const PowerSums& sums) { return pattern_.load(pattern, sums); }

    Refined refine(const RockingCurves& curves, const Quaternion& start) {
        near_.select(curves, start);
        // The score has small steps, where reflections come into reach: a fit to all scores near the maximum does not see them.
        const Look coarse = look(start, reach_, about_highest);
        const Quaternion near = moved(start, coarse);
        const Look fine = look(near, reach_ / 5, fitted);
        return {moved(near, fine), static_cast<float>(score(fine.tilt)), static_cast<float>(fine.spread)};
    }

private:
    /// Where the score is highest near an orientation.
    struct Look {
        Tilt tilt;
        double turn;    ///< about the beam, radians
        double spread;  ///< trace of the inverse curvature, radians^2
    };

    /// Turns about the beam, then tilts, within reach.
    Look look(const Quaternion& orientation, double reach, Paraboloid (*surface)(const TiltScores&)) {
        near_.place(orientation, std::numbers::sqrt2 * reach);
        const Vertex turn = best_turn(reach);
        near_.look_up(turn.offset);
        const double step = reach / static_cast<double>(half);
        std::array<float, side> tilts;
        for (std::ptrdiff_t i = 0; i < side; ++i) tilts[static_cast<std::size_t>(i)] = static_cast<float>(static_cast<double>(i - half) * step);
        std::array<kernels::RockingSums, side * side> sums;
        for (std::size_t row = 0; row < tilts.size(); ++row) near_.tilted(tilts, tilts[row], std::span(sums).subspan(row * tilts.size(), tilts.size()));
        TiltScores scores;
        std::ranges::transform(sums, scores.begin(), [&](const kernels::RockingSums& each) { return pattern_.correlation(each); });
        Paraboloid of = surface(scores);
        if (!of.has_maximum()) of = about_highest(scores);
        const std::array<double, 2> highest = of.highest();
        const double norm = pattern_.norm(sums[sums.size() / 2]);
        return {{static_cast<float>(highest[0] * step), static_cast<float>(highest[1] * step)},
                turn.offset * bin_,
                of.spread(step) + (turn.curvature < 0 ? -bin_ * bin_ * norm / turn.curvature : no_maximum)};
    }

    /// The turn about the beam (bins) that correlates best within `reach`: the vertex through the best of whole bins and its neighbours
    /// (finer steps are less exact, since the pattern is linear between bins), and the second derivative (per bin^2, not normalised).
    Vertex best_turn(double reach) {
        const int most = std::max(1, static_cast<int>(std::ceil(reach / bin_)));
        sums_.resize(static_cast<std::size_t>(2 * most + 1));
        near_.turned(-most, sums_);
        const std::ptrdiff_t best = std::clamp<std::ptrdiff_t>(std::ranges::max_element(sums_) - sums_.begin(), 1, 2 * most - 1);
        const auto at = static_cast<std::size_t>(best);
        const Vertex fine = vertex(double{sums_[at - 1]}, double{sums_[at]}, double{sums_[at + 1]});
        return {static_cast<double>(best - most) + fine.offset, fine.curvature};
    }

    [[nodiscard]] double score(const Tilt& tilt) const {
        kernels::RockingSums sums;
        near_.tilted({&tilt.x, 1}, tilt.y, {&sums, 1});
        return pattern_.correlation(sums);
    }

    /// The crystal tilted, then turned about the beam: a rotation of the sample vectors the other way, before the orientation.
    static Quaternion moved(const Quaternion& orientation, const Look& by) {
        const Tilt& tilt = by.tilt;
        const double angle = std::hypot(tilt.x, tilt.y), f = angle > 0 ? std::sin(angle / 2) / angle : 0.5;
        const Quaternion tilted = orientation * Quaternion{std::cos(angle / 2), -f * double{tilt.x}, -f * double{tilt.y}, 0.0};
        const Quaternion q = tilted * Quaternion{std::cos(by.turn / 2), 0.0, 0.0, -std::sin(by.turn / 2)};
        const double per_norm = (q.w < 0 ? -1.0 : 1.0) / std::sqrt(q.w * q.w + q.x * q.x + q.y * q.y + q.z * q.z);
        return {q.w * per_norm, q.x * per_norm, q.y * per_norm, q.z * per_norm};
    }

    double reach_, bin_;  // radians
    MeasuredPattern pattern_;
    NearReflections near_;
    std::vector<float> sums_;
};

/// Sets back what lies within the distinct angle of a better candidate of the same crystal; of equals the first is the better one.
void keep_distinct(const KinematicModel& model, std::span<const std::int16_t> crystal, std::span<Refined> found) {
    const double near = std::cos(model.options().distinct_angle / 2);
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < found.size(); ++i)
        if (crystal[i] >= 0) order.push_back(i);
    std::ranges::stable_sort(order, std::greater<>(), [&](std::size_t i) { return found[i].score; });
    std::vector<std::size_t> kept;
    for (const std::size_t i : order) {
        const bool again = std::ranges::any_of(kept, [&](std::size_t better) {
            return crystal[better] == crystal[i] && model.crystals()[static_cast<std::size_t>(crystal[i])].are_near(
                                                        found[i].orientation, found[better].orientation, near);
        });
        if (again) found[i] = Refined{};
        else kept.push_back(i);
    }
}

}  // namespace

void refine(const KinematicModel& model, std::span<const float> patterns, const RefineStart& start, std::span<const double> levels,
            int threads, const Poll& poll, std::span<Refined> out, std::span<float> half_turn) {
    const auto k = static_cast<std::size_t>(start.k);
    const std::size_t size = model.grid().size(), n_crystals = model.crystals().size();
    std::vector<std::unique_ptr<Refiner>> refiners(static_cast<std::size_t>(threads_for(start.n, threads)));
    parallel_for(start.n, threads, poll, [&](std::ptrdiff_t item, int thread) {
        const auto p = static_cast<std::size_t>(item);
        std::unique_ptr<Refiner>& refiner = refiners[static_cast<std::size_t>(thread)];
        if (!refiner) refiner = std::make_unique<Refiner>(model);
        const std::span<const float> pattern = patterns.subspan(p * size, size);
        if (!refiner->load(pattern, start.sums.empty() ? power_sums(pattern) : start.sums[p])) return;
        const std::span<const std::int16_t> crystal = start.crystal.subspan(p * k, k);
        const std::span<const Quaternion> orientation = start.orientation.subspan(p * k, k);
        const std::span<Refined> found = out.subspan(p * k, k);
        for (std::size_t i = 0; i < k; ++i)
            if (crystal[i] >= 0) found[i] = refiner->refine(model.curves()[static_cast<std::size_t>(crystal[i])], orientation[i]);
        keep_distinct(model, crystal, found);
        std::size_t best = k;
        double highest = -std::numeric_limits<double>::infinity();
        for (std::size_t i = 0; i < k; ++i) {
            if (!found[i].found()) continue;
            const double merit = double{found[i].score} / levels[p * n_crystals + static_cast<std::size_t>(crystal[i])];
            if (merit > highest) {
                highest = merit;
                best = i;
            }
        }
        if (best == k) return;
        const auto of = static_cast<std::size_t>(crystal[best]);
        const Quaternion turned = found[best].orientation * half_turn_z;
        const double near = std::cos(model.options().distinct_angle / 2);
        if (!model.crystals()[of].are_near(found[best].orientation, turned, near)) half_turn[p] = refiner->refine(model.curves()[of], turned).score;
    });
}

}  // namespace nbedex
