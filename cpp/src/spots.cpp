#include "nbedex/spots.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <numbers>
#include <vector>

#include "rocking_curves.hpp"

namespace nbedex {
namespace {

constexpr double faintest = 0.01;       // of a pattern's strongest predicted spot
constexpr double least_judged = 8;      // spots: fewer are met by chance too easily
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
        const double z = m[6] * g[0] + m[7] * g[1] + m[8] * g[2], length = double{of.crystal->length()[i]};
        if (std::abs(z) > double{of.widest} + 0.51 * length * length / sphere) continue;  // |s + z| <= g^2 / (2 sphere), and a little
        const double x = m[0] * g[0] + m[1] * g[1] + m[2] * g[2], y = m[3] * g[0] + m[4] * g[1] + m[5] * g[2], flat = x * x + y * y;
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

/// Lit bins that have enough lit neighbours; single electrons seldom have. Scratch of one thread.
class Peaks {
public:
    Peaks(const PolarGrid& grid, double radius) : grid_(grid), n_(static_cast<std::size_t>(grid.n_azimuths)) {
        // Half of the chord of the circle about a bin at every ring near it, in whole bins.
        const double width = grid.ring_width(), step = 2 * std::numbers::pi / grid.n_azimuths;
        reach_ = static_cast<int>(radius / width);
        for (int ring = 0; ring < grid.n_rings; ++ring)
            for (int d = -reach_; d <= reach_; ++d) {
                const double middle = grid.k_min + (ring + d + 0.5) * width, off = d * width;
                const bool there = ring + d >= 0 && ring + d < grid.n_rings && std::abs(off) <= radius;
                chord_.push_back(there ? std::min(static_cast<int>(std::sqrt(radius * radius - off * off) / middle / step), grid.n_azimuths / 2 - 1) : -1);
            }
        lit_.resize(grid.size());
        near_.resize(grid.size());
        share_.resize(static_cast<std::size_t>(grid.n_rings));
    }

    /// How many solid bins lie within the radius of every bin.
    void load(std::span<const float> peaks) {
        for (std::size_t i = 0; i < peaks.size(); ++i) lit_[i] = peaks[i] > 0;
        std::ranges::fill(near_, std::uint16_t{0});
        std::ranges::fill(share_, -1.0);
        for (int ring = 0; ring < grid_.n_rings; ++ring) {
            const std::uint8_t* row = lit_.data() + static_cast<std::size_t>(ring) * n_;
            for (std::size_t a = 0; a < n_; ++a)
                if (row[a] && is_solid(ring, a)) add(ring, a);
        }
    }

    /// Whether a spot in this bin meets a peak.
    [[nodiscard]] bool met(std::size_t ring, std::size_t azimuth) const { return near_[ring * n_ + azimuth] >= bins; }

    /// Share of a ring's bins in which a spot would.
    [[nodiscard]] double share(std::size_t ring) {
        if (share_[ring] < 0) {
            const auto row = near_.begin() + static_cast<std::ptrdiff_t>(ring * n_);
            share_[ring] = static_cast<double>(std::count_if(row, row + static_cast<std::ptrdiff_t>(n_), [](int c) { return c >= bins; })) / static_cast<double>(n_);
        }
        return share_[ring];
    }

private:
    [[nodiscard]] bool is_solid(int ring, std::size_t a) const {
        const std::size_t left = a == 0 ? n_ - 1 : a - 1, right = a + 1 == n_ ? 0 : a + 1;
        int near = -1;  // the bin itself
        for (int other = std::max(ring - 1, 0); other <= std::min(ring + 1, grid_.n_rings - 1); ++other) {
            const std::uint8_t* row = lit_.data() + static_cast<std::size_t>(other) * n_;
            near += row[left] + row[a] + row[right];
        }
        return near >= neighbours;
    }

    void add(int ring, std::size_t azimuth) {
        const auto n = static_cast<int>(n_), a = static_cast<int>(azimuth);
        for (int d = -reach_; d <= reach_; ++d) {
            const int half = chord_[static_cast<std::size_t>(ring * (2 * reach_ + 1) + d + reach_)];
            if (half < 0) continue;
            std::uint16_t* row = near_.data() + static_cast<std::size_t>(ring + d) * n_;
            for (int at = a - half; at <= a + half; ++at) ++row[at < 0 ? at + n : at >= n ? at - n : at];
        }
    }

    const PolarGrid& grid_;
    std::size_t n_;
    int reach_ = 0;
    std::vector<int> chord_;
    std::vector<std::uint8_t> lit_;
    std::vector<std::uint16_t> near_;
    std::vector<double> share_;
};

/// Chernoff's bound of the probability that `met` or more of `predicted` spots meet a peak, of which each does by chance with `share`.
double chance_bound(double predicted, double met, double share) {
    const double p = met / predicted;
    if (!(p > share)) return 1.0;
    const auto times_log = [](double a, double b) { return a > 0 ? a * std::log(a / b) : 0.0; };
    return std::exp(-predicted * (times_log(p, share) + times_log(1 - p, 1 - share)));
}

/// `spots`: the strongest first.
SpotsMet count(const PolarGrid& grid, Peaks& peaks, const std::vector<Spot>& spots, double radius) {
    const auto n = static_cast<std::size_t>(grid.n_azimuths);
    const double step = 2 * std::numbers::pi / grid.n_azimuths;
    SpotsMet found;
    double expected = 0;
    for (const Spot& spot : spots) {
        const bool opposite = std::ranges::any_of(spots, [&](const Spot& other) {
            const double x = spot.x + other.x, y = spot.y + other.y;
            return x * x + y * y < radius * radius;
        });
        const double counts = opposite ? 0.5 : 1.0;
        const auto ring = static_cast<std::size_t>((std::hypot(spot.x, spot.y) - grid.k_min) / grid.ring_width());
        const auto a = static_cast<int>(std::lround(std::atan2(spot.y, spot.x) / step)) + grid.n_azimuths;
        found.predicted += counts;
        if (peaks.met(ring, static_cast<std::size_t>(a) % n)) found.met += counts;
        expected += counts * peaks.share(ring);
        if (found.predicted >= least_judged)
            found.chance = std::min(found.chance, chance_bound(found.predicted, found.met, expected / found.predicted));
    }
    if (found.predicted > 0 && found.predicted < least_judged) found.chance = chance_bound(found.predicted, found.met, expected / found.predicted);
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
    const auto n = static_cast<std::ptrdiff_t>(crystal.size());
    std::vector<std::unique_ptr<Peaks>> scratch(static_cast<std::size_t>(threads_for(n, options.threads)));
    parallel_for(n, options.threads, poll, [&](std::ptrdiff_t item, int thread) {
        const auto p = static_cast<std::size_t>(item);
        if (crystal[p] < 0) return;
        std::unique_ptr<Peaks>& found = scratch[static_cast<std::size_t>(thread)];
        if (!found) found = std::make_unique<Peaks>(grid, radius);
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
        std::ranges::stable_sort(spots, std::greater<>{}, &Spot::strength);
        found->load(peaks.subspan(p * grid.size(), grid.size()));
        out[p] = count(grid, *found, spots, radius);
    });
}

}  // namespace nbedex
