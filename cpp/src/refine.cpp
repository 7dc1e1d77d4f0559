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

constexpr std::ptrdiff_t half = 2, side = 2 * half + 1;  // tilts are tried on a square grid of `side` by as many within reach

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
    explicit Refiner(const KinematicModel& model)
        : model_(model), reach_(model.options().reach), bin_(2 * std::numbers::pi / model.grid().n_azimuths), near_(pattern_, model) {}

    [[nodiscard]] bool load(std::span<const float> pattern) { return pattern_.load(pattern); }

    Refined refine(const RockingCurves& curves, Quaternion orientation) {
        near_.select(curves, orientation);
        // Twice: turn about the beam, tilt, turn, tilt; the second time near the first answer, at a quarter of the reach.
        double spread = 0;
        Tilt tilt{};
        for (const double reach : {reach_, reach_ / 4}) {
            near_.place(orientation, std::numbers::sqrt2 * reach);
            const Vertex turn = best_turn(reach);
            near_.look_up(turn.offset);
            const Best best = best_tilt(reach);
            spread = best.spread + (turn.curvature < 0 ? -bin_ * bin_ * best.norm / turn.curvature : no_maximum);
            tilt = best.tilt;
            orientation = moved(orientation, tilt, turn.offset * bin_);
        }
        return {orientation, static_cast<float>(score(tilt)), static_cast<float>(spread)};
    }

private:
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

    struct Best {
        Tilt tilt;
        double spread;  ///< trace of the inverse curvature, radians^2
        double norm;    ///< what sums without tilt have to be divided by
    };

    /// The tilt of the highest score: the vertex of the paraboloid through the best of a grid and its neighbours.
    Best best_tilt(double reach) const {
        const double step = reach / static_cast<double>(half);
        std::array<Tilt, side * side> tilts;
        std::array<kernels::RockingSums, tilts.size()> sums;
        std::array<double, tilts.size()> scores;
        const auto tilt_at = [&](double column, double row) {
            return Tilt{static_cast<float>((column - static_cast<double>(half)) * step), static_cast<float>((row - static_cast<double>(half)) * step)};
        };
        for (std::ptrdiff_t i = 0; i < side * side; ++i)
            tilts[static_cast<std::size_t>(i)] = tilt_at(static_cast<double>(i % side), static_cast<double>(i / side));
        near_.tilted(tilts, sums);
        std::ranges::transform(sums, scores.begin(), [&](const kernels::RockingSums& each) { return pattern_.correlation(each); });
        const std::ptrdiff_t highest = std::ranges::max_element(scores) - scores.begin();
        const std::ptrdiff_t row = std::clamp<std::ptrdiff_t>(highest / side, 1, side - 2), column = std::clamp<std::ptrdiff_t>(highest % side, 1, side - 2);
        const auto at = [&](std::ptrdiff_t dy, std::ptrdiff_t dx) { return scores[static_cast<std::size_t>((row + dy) * side + column + dx)]; };
        const double xx = at(0, 1) - 2 * at(0, 0) + at(0, -1), yy = at(1, 0) - 2 * at(0, 0) + at(-1, 0);
        const double xy = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4;
        const double gx = (at(0, 1) - at(0, -1)) / 2, gy = (at(1, 0) - at(-1, 0)) / 2;
        const double determinant = xx * yy - xy * xy;
        const bool is_maximum = xx < 0 && determinant > 0;
        const double dx = is_maximum ? std::clamp((xy * gy - yy * gx) / determinant, -1.0, 1.0) : 0.0;
        const double dy = is_maximum ? std::clamp((xy * gx - xx * gy) / determinant, -1.0, 1.0) : 0.0;
        return {tilt_at(static_cast<double>(column) + dx, static_cast<double>(row) + dy),
                is_maximum ? -(xx + yy) / determinant * step * step : no_maximum, pattern_.norm(sums[sums.size() / 2])};
    }

    [[nodiscard]] double score(const Tilt& tilt) const {
        kernels::RockingSums sums;
        near_.tilted({&tilt, 1}, {&sums, 1});
        return pattern_.correlation(sums);
    }

    /// The crystal tilted, then turned about the beam: a rotation of the sample vectors the other way, before the orientation.
    static Quaternion moved(const Quaternion& orientation, const Tilt& tilt, double turn) {
        const double angle = std::hypot(tilt.x, tilt.y), f = angle > 0 ? std::sin(angle / 2) / angle : 0.5;
        const Quaternion tilted = orientation * Quaternion{std::cos(angle / 2), -f * double{tilt.x}, -f * double{tilt.y}, 0.0};
        const Quaternion q = tilted * Quaternion{std::cos(turn / 2), 0.0, 0.0, -std::sin(turn / 2)};
        const double per_norm = (q.w < 0 ? -1.0 : 1.0) / std::sqrt(q.w * q.w + q.x * q.x + q.y * q.y + q.z * q.z);
        return {q.w * per_norm, q.x * per_norm, q.y * per_norm, q.z * per_norm};
    }

    const KinematicModel& model_;
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
        if (!refiner->load(patterns.subspan(p * size, size))) return;
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
