#include "nbedex/spots.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <numbers>
#include <vector>

#include "kernels/kernels.hpp"
#include "near_reflections.hpp"
#include "peaks.hpp"

namespace nbedex {
namespace {

constexpr double faintest = 0.01;    // of a pattern's strongest predicted spot
constexpr double least_judged = 8;  // spots: fewer are met by chance too easily

struct Spot {
    double x, y, strength;  ///< 1/angstrom, weight of the score
    [[nodiscard]] double length() const { return std::sqrt(x * x + y * y); }
};

/// The reflections that count in the score at an orientation. Scratch of one thread.
class ExcitedSpots {
public:
    explicit ExcitedSpots(const KinematicModel& model) : sphere_(1 / model.options().wavelength) {}

    const std::vector<Spot>& find(const RockingCurves& of, const Quaternion& orientation) {
        const std::array<double, 9> m = matrix(conjugate(orientation));
        const float normal[] = {static_cast<float>(m[6]), static_cast<float>(m[7]), static_cast<float>(m[8])};
        chosen_.select(of, of.excited_within, normal);
        const kernels::Reciprocal pairs = chosen_.pairs();
        spots_.clear();
        for (std::size_t i = 0; i < chosen_.size(); ++i) {
            const double gx = double{pairs.x[i]}, gy = double{pairs.y[i]}, gz = double{pairs.z[i]};
            const double x = m[0] * gx + m[1] * gy + m[2] * gz, y = m[3] * gx + m[4] * gy + m[5] * gz, z = m[6] * gx + m[7] * gy + m[8] * gz;
            const double flat = x * x + y * y, bend = flat / (sphere_ + std::sqrt(sphere_ * sphere_ - flat)), root = double{pairs.root[i]};
            const auto add = [&](double sign, float weight) {
                const double far = root * (bend - sign * z), u = far * far;
                if (u < double{kernels::rocking_cutoff} && weight > 0) spots_.push_back({sign * x, sign * y, double{weight} * std::exp(-u)});
            };
            add(1, pairs.weight[i]);
            add(-1, pairs.opposite[i]);
        }
        return spots_;
    }

private:
    double sphere_;
    ChosenPairs chosen_;
    std::vector<Spot> spots_;
};

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

/// Whether a spot lies within `radius` of another's place on the opposite side.
bool is_paired(const std::vector<Spot>& spots, const Spot& spot, double radius) {
    return std::ranges::any_of(spots, [&](const Spot& other) {
        const double x = spot.x + other.x, y = spot.y + other.y;
        return x * x + y * y < radius * radius;
    });
}

/// Logarithm of Chernoff's bound of the probability that `met` or more of `predicted` spots meet a peak, of which each does by chance with
/// `share`.
double log_chance_bound(double predicted, double met, double share) {
    const double p = met / predicted;
    if (!(p > share)) return 0.0;
    const auto times_log = [](double a, double b) { return a > 0 ? a * std::log(a / b) : 0.0; };
    return -predicted * (times_log(p, share) + times_log(1 - p, 1 - share));
}

/// `spots`: the strongest first.
SpotsMet count(const PolarGrid& grid, Peaks& peaks, const std::vector<Spot>& spots, double radius, double enough) {
    const auto n = static_cast<std::size_t>(grid.n_azimuths);
    const double step = 2 * std::numbers::pi / grid.n_azimuths;
    const double log_enough = enough > 0 ? std::log(enough) - 1e-9 : -std::numeric_limits<double>::infinity();
    SpotsMet found;
    double expected = 0, log_chance = 0;
    for (const Spot& spot : spots) {
        const double counts = is_paired(spots, spot, radius) ? 0.5 : 1.0;
        const auto ring = static_cast<std::size_t>((spot.length() - grid.k_min) / grid.ring_width());
        const auto a = static_cast<int>(std::lround(std::atan2(spot.y, spot.x) / step)) + grid.n_azimuths;
        found.predicted += counts;
        if (peaks.met(ring, static_cast<std::size_t>(a) % n)) found.met += counts;
        expected += counts * peaks.share(ring);
        if (found.predicted >= least_judged)
            log_chance = std::min(log_chance, log_chance_bound(found.predicted, found.met, expected / found.predicted));
        if (log_chance <= log_enough) break;
    }
    if (found.predicted > 0 && found.predicted < least_judged)
        log_chance = log_chance_bound(found.predicted, found.met, expected / found.predicted);
    found.chance = std::exp(log_chance);
    return found;
}

}  // namespace

void mark_spots(const KinematicModel& model, const Answers& answers, double radius, int threads, const Poll& poll, std::span<std::uint8_t> mask) {
    const auto n = static_cast<std::ptrdiff_t>(answers.crystal.size());
    std::vector<ExcitedSpots> excited(static_cast<std::size_t>(threads_for(n, threads)), ExcitedSpots(model));
    parallel_for(n, threads, poll, [&](std::ptrdiff_t item, int thread) {
        const auto p = static_cast<std::size_t>(item);
        if (answers.crystal[p] < 0) return;
        std::uint8_t* marked = mask.data() + p * model.grid().size();
        const RockingCurves& of = model.curves()[static_cast<std::size_t>(answers.crystal[p])];
        for (const Spot& spot : excited[static_cast<std::size_t>(thread)].find(of, answers.orientation[p]))
            each_bin_near(model.grid(), spot.x, spot.y, radius, [&](std::size_t bin) { marked[bin] = 1; });
    });
}

void count_spots_met(const KinematicModel& model, std::span<const float> peaks, const Answers& answers, double radius, double enough, int threads,
                     const Poll& poll, std::span<SpotsMet> out) {
    const PolarGrid& grid = model.grid();
    const auto n = static_cast<std::ptrdiff_t>(answers.crystal.size());
    std::vector<ExcitedSpots> excited(static_cast<std::size_t>(threads_for(n, threads)), ExcitedSpots(model));
    std::vector<std::unique_ptr<Peaks>> scratch(excited.size());
    parallel_for(n, threads, poll, [&](std::ptrdiff_t item, int thread) {
        const auto p = static_cast<std::size_t>(item);
        if (answers.crystal[p] < 0) return;
        const auto of = static_cast<std::size_t>(answers.crystal[p]);
        std::unique_ptr<Peaks>& found = scratch[static_cast<std::size_t>(thread)];
        if (!found) found = std::make_unique<Peaks>(grid, radius);
        std::vector<Spot> spots = excited[static_cast<std::size_t>(thread)].find(model.curves()[of], answers.orientation[p]);
        std::erase_if(spots, [&](const Spot& spot) {
            const double k = spot.length();
            return k < grid.k_min || k >= grid.k_max - 1e-9;
        });
        double strongest = 0;
        for (const Spot& spot : spots) strongest = std::max(strongest, spot.strength);
        const double least = strongest * std::pow(faintest, model.crystals()[of].exponent());
        std::erase_if(spots, [&](const Spot& spot) { return spot.strength < least; });
        std::ranges::stable_sort(spots, std::greater<>{}, &Spot::strength);
        found->load(peaks.subspan(p * grid.size(), grid.size()));
        out[p] = count(grid, *found, spots, radius, enough);
    });
}

}  // namespace nbedex
