#include "nbedex/refine.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <numbers>
#include <stdexcept>

#include "kernels/kernels.hpp"
#include "pattern.hpp"
#include "rocking_curves.hpp"

namespace nbedex {
namespace {

constexpr double no_maximum = std::numeric_limits<double>::infinity();

struct Tilt {
    double x = 0, y = 0;  ///< radians, about sample X and Y
};

/// Vertex of the parabola through three equidistant values, in steps from the middle one, and its second derivative.
struct Vertex {
    double offset, curvature;
};

Vertex vertex(double before, double here, double after) {
    const double curvature = before - 2 * here + after;
    return {curvature < 0 ? std::clamp(0.5 * (before - after) / curvature, -0.5, 0.5) : 0.0, curvature};
}

/// The reflections of a crystal that some orientation near a given one can excite, and what the pattern shows at their places.
class NearReflections {
public:
    NearReflections(const NormalisedPattern& pattern, const PolarGrid& grid, const RefineOptions& options)
        : pattern_(pattern), grid_(grid), options_(options) {}

    /// Takes those that a rotation by up to `reach` (about each axis) can bring to the Ewald sphere.
    void select(const RockingCurves& curves, const Quaternion& orientation) {
        curves_ = &curves;
        chosen_.clear();
        const KinematicCrystal& crystal = *curves.crystal;
        const std::array<double, 9> m = matrix(conjugate(orientation));
        const auto zx = static_cast<float>(m[6]), zy = static_cast<float>(m[7]), zz = static_cast<float>(m[8]);
        const float *gx = crystal.component(0), *gy = crystal.component(1), *gz = crystal.component(2);
        const std::span<const float> length = crystal.length();
        // |s| <= limit + |tilt| |g|, |s - (-g_z)| <= wavelength g^2 / 2 (and a little for the sphere's fourth order)
        const float far = curves.widest;
        const auto slope = static_cast<float>(2 * options_.reach + 0.01), bend = static_cast<float>(0.51 * options_.wavelength);
        constexpr std::size_t run = 64;  // flags of a run are computed side by side
        std::uint8_t near[run];
        for (std::size_t first = 0; first < crystal.size(); first += run) {
            const std::size_t n = std::min(run, crystal.size() - first);
            for (std::size_t j = 0; j < n; ++j) {
                const std::size_t i = first + j;
                const float z = zx * gx[i] + zy * gy[i] + zz * gz[i];
                near[j] = std::abs(z) < far + length[i] * (slope + bend * length[i]);
            }
            for (std::size_t j = 0; j < n; ++j)
                if (near[j]) chosen_.push_back(first + j);
        }
    }

    /// Positions, excitation errors and weights at an orientation, of what is within `reach` of being excited; reflections
    /// outside the annulus are left out. Those excited without tilt come first.
    void place(const Quaternion& orientation, double reach) {
        clear();
        const std::array<double, 9> m = matrix(conjugate(orientation));
        const double radius = 1 / options_.wavelength;
        placed_.clear();
        for (const std::size_t i : chosen_) {
            const double* g = curves_->crystal->g().data() + 3 * i;
            const double x = m[0] * g[0] + m[1] * g[1] + m[2] * g[2], y = m[3] * g[0] + m[4] * g[1] + m[5] * g[2];
            const double z = m[6] * g[0] + m[7] * g[1] + m[8] * g[2];
            const double flat = x * x + y * y, r = std::sqrt(flat);
            const double ring = (r - grid_.k_min) / grid_.ring_width();
            if (!(ring >= 0 && ring < grid_.n_rings)) continue;
            const double s = flat / (radius + std::sqrt(radius * radius - flat)) - z;
            const double limit = curves_->limit[i];
            if (std::abs(s) > limit + 2 * reach * r) continue;
            placed_.push_back({i, static_cast<float>(x), static_cast<float>(y), static_cast<float>(s), static_cast<float>(ring - 0.5),
                               std::abs(s) < limit});
        }
        std::ranges::stable_partition(placed_, &Placed::excited);
        excited_ = static_cast<std::size_t>(std::ranges::count_if(placed_, &Placed::excited));
        const double per_radian = grid_.n_azimuths / (2 * std::numbers::pi);
        for (const Placed& spot : placed_) {
            x_.push_back(spot.x);
            y_.push_back(spot.y);
            excitation_.push_back(spot.excitation);
            sharpness_.push_back(curves_->sharpness[spot.reflection]);
            weight_.push_back(curves_->weight[spot.reflection]);
            azimuth_.push_back(static_cast<float>(std::atan2(double{spot.y}, double{spot.x}) * per_radian));
        }
        for (std::vector<float>* column : {&x_, &y_, &excitation_, &sharpness_, &weight_}) column->resize(padded(placed_.size()), 0.0F);
        value_.assign(x_.size(), 0.0F);
    }

    [[nodiscard]] std::size_t size() const noexcept { return placed_.size(); }
    /// How many are excited without tilt.
    [[nodiscard]] std::size_t excited() const noexcept { return excited_; }

    /// Looks the pattern's values at the first n reflections up with the crystal turned by `turn` bins about the beam, between bins linearly.
    void look_up(double turn, std::size_t n) {
        const auto n_rings = static_cast<std::ptrdiff_t>(grid_.n_rings), n_azimuths = static_cast<std::ptrdiff_t>(grid_.n_azimuths);
        for (std::size_t i = 0; i < n; ++i) {
            const double azimuth = azimuth_[i] + turn, column = std::floor(azimuth);
            const float row = std::floor(placed_[i].ring);
            const auto right = static_cast<float>(azimuth - column), down = placed_[i].ring - row;
            const auto a = (static_cast<std::ptrdiff_t>(column) % n_azimuths + n_azimuths) % n_azimuths;  // rows hold two turns
            const auto r = static_cast<std::ptrdiff_t>(row);
            const float* upper = pattern_.ring(static_cast<std::size_t>(std::max<std::ptrdiff_t>(r, 0))) + a;
            const float* lower = pattern_.ring(static_cast<std::size_t>(std::min(r + 1, n_rings - 1))) + a;
            value_[i] = (1 - down) * ((1 - right) * upper[0] + right * upper[1]) + down * ((1 - right) * lower[0] + right * lower[1]);
        }
    }

    /// Zero-mean normalised correlation of the first n reflections with the crystal tilted.
    [[nodiscard]] double score(const Tilt& tilt, std::size_t n) const {
        const kernels::RockingSpots spots{x_.data(),      y_.data(),     excitation_.data(), sharpness_.data(),
                                          weight_.data(), value_.data(), padded(n)};
        const kernels::RockingSums sums =
            kernels::active().rocking->sums(spots, static_cast<float>(tilt.x), static_cast<float>(tilt.y));
        const double total = sums.weight, squares = sums.square - total * total / static_cast<double>(grid_.size());
        return squares > 0 ? (sums.correlation - double{pattern_.mean()} * total) / std::sqrt(squares) : 0.0;
    }

private:
    struct Placed {
        std::size_t reflection;
        float x, y, excitation, ring;
        bool excited;
    };

    /// Filled up to whole sets of lanes; what is beyond n then has no weight without tilt, or none at all.
    [[nodiscard]] static std::size_t padded(std::size_t n) {
        return (n + kernels::rocking_lanes - 1) / kernels::rocking_lanes * kernels::rocking_lanes;
    }

    void clear() {
        for (std::vector<float>* column : {&x_, &y_, &excitation_, &sharpness_, &weight_, &azimuth_}) column->clear();
    }

    const NormalisedPattern& pattern_;
    const PolarGrid& grid_;
    const RefineOptions& options_;
    const RockingCurves* curves_ = nullptr;
    std::vector<std::size_t> chosen_;
    std::vector<Placed> placed_;
    std::vector<float> x_, y_, excitation_, sharpness_, weight_, value_, azimuth_;
    std::size_t excited_ = 0;
};

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
            std::ptrdiff_t n_candidates, const RefineOptions& options, const Poll& poll, std::span<Refined> out) {
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
        keep_distinct(crystals, crystal.subspan(p * k, k), options.distinct_angle, out.subspan(p * k, k));
    });
}

}  // namespace nbedex
