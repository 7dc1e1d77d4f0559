#include "nbedex/templates.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <stdexcept>

#include "rounded.hpp"
#include "kernels/kernels.hpp"
#include "sector_layout.hpp"
#include "template_groups.hpp"

namespace nbedex {
namespace {

struct BinnedSpot {
    std::uint32_t bin;
    double weight;
};

/// Spots of one template by bin, merged where they share one.
void bin_spots(const SpotList& spots, std::size_t first, std::size_t last, const PolarGrid& grid,
               std::vector<BinnedSpot>& binned) {
    binned.clear();
    const double per_radian = grid.n_azimuths / (2 * std::numbers::pi);
    for (std::size_t i = first; i < last; ++i) {
        const double kx = spots.kx[i], ky = spots.ky[i];
        const double place = std::floor((std::hypot(kx, ky) - grid.k_min) / grid.ring_width());
        // also where it is no number, which no int can hold
        if (!(place >= 0 && place < grid.n_rings) || !(spots.intensity[i] > 0)) continue;
        const auto ring = static_cast<int>(place);
        const auto turn = static_cast<int>(std::lround(std::atan2(ky, kx) * per_radian));
        const int azimuth = (turn % grid.n_azimuths + grid.n_azimuths) % grid.n_azimuths;
        binned.push_back({static_cast<std::uint32_t>(ring * grid.n_azimuths + azimuth), spots.intensity[i]});
    }
    std::ranges::stable_sort(binned, {}, &BinnedSpot::bin);
    std::size_t kept = 0;
    for (const BinnedSpot& spot : binned) {
        if (kept > 0 && binned[kept - 1].bin == spot.bin)
            binned[kept - 1].weight += spot.weight;
        else
            binned[kept++] = spot;
    }
    binned.resize(kept);
}

/// Twice what n additions in single precision can lose, and a little more.
double rounding_of(std::size_t n) { return 2 * (static_cast<double>(n) + 8) * 0x1p-24; }

constexpr auto none = static_cast<std::size_t>(-1);

/// For each spot of a template, by its place in the list, the one half a turn further.
std::vector<std::size_t> opposites(const TemplateSet& templates, std::size_t first, std::size_t last) {
    const auto n = static_cast<std::size_t>(templates.n_azimuths);
    std::vector<std::size_t> bins(last - first), order(last - first), found(last - first, none);
    for (std::size_t i = first; i < last; ++i) bins[i - first] = templates.ring[i] * n + templates.azimuth[i];
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, {}, [&](std::size_t i) { return bins[i]; });
    for (std::size_t i = 0; i < bins.size(); ++i) {
        const std::size_t bin = bins[i] / n * n + (bins[i] % n + n / 2) % n;
        const auto at = std::ranges::lower_bound(order, bin, {}, [&](std::size_t j) { return bins[j]; });
        if (at != order.end() && bins[*at] == bin) found[i] = *at;
    }
    return found;
}

GroupedSpots grouped_spots(const TemplateSet& templates) {
    GroupedSpots out;
    const auto layout = SectorLayout::of_templates(static_cast<std::size_t>(templates.n_rings), static_cast<std::size_t>(templates.n_azimuths));
    if (!layout.usable()) return out;
    const RotationLayout rotations(static_cast<std::size_t>(templates.n_rings), static_cast<std::size_t>(templates.n_azimuths));
    out.offset.push_back(0);
    for (std::size_t t = 0; t + 1 < templates.offset.size(); ++t) {
        const auto first = static_cast<std::size_t>(templates.offset[t]), last = static_cast<std::size_t>(templates.offset[t + 1]);
        const float unit = first < last ? unit_of(templates.weight[first], most_weight) : 1.0F;
        out.unit.push_back(unit);
        out.per_unit.push_back(1 / unit);
        out.sum_per_unit.push_back(templates.weight_sum[t] / unit);
        out.largest_sum = std::max(out.largest_sum, templates.weight_sum[t]);
        out.largest_rounding = std::max(out.largest_rounding, static_cast<float>(templates.rounding[t]));
        const std::vector<std::size_t> opposite = opposites(templates, first, last);
        for (std::size_t i = first; i < last; ++i) {
            const std::size_t other = opposite[i - first];
            if (other < i - first) continue;  // the heavier of a pair counts for both
            if (out.place.size() % 2 == 0) out.weight.push_back(rounded_up(templates.weight[i], 1 / unit, most_weight));
            out.place.push_back(static_cast<std::uint16_t>(layout.place(templates.ring[i], templates.azimuth[i], other == none)));
            out.rotation_place.push_back(static_cast<std::uint32_t>(rotations.place(templates.ring[i], templates.azimuth[i], other == none)));
        }
        out.place.resize((out.place.size() + 7) / 8 * 8, static_cast<std::uint16_t>(layout.nothing()));
        out.rotation_place.resize(out.place.size(), static_cast<std::uint32_t>(rotations.nothing()));
        out.weight.resize(out.place.size() / 2, 0);
        out.offset.push_back(static_cast<std::int64_t>(out.place.size()));
    }
    return out;
}

RingSums ring_sums(const TemplateSet& templates) {
    constexpr std::size_t lanes = kernels::ring_lanes;
    const auto n = static_cast<std::size_t>(templates.size()), n_rings = static_cast<std::size_t>(templates.n_rings);
    RingSums out;
    out.n_groups = (n + lanes - 1) / lanes;
    out.n_quads = (n_rings + 3) / 4;
    out.sums.resize(out.n_groups * out.n_quads * lanes * 4, 0);
    std::vector<float> sums(n_rings);
    for (std::size_t t = 0; t < n; ++t) {
        std::ranges::fill(sums, 0.0F);
        const auto first = static_cast<std::size_t>(templates.offset[t]), last = static_cast<std::size_t>(templates.offset[t + 1]);
        for (std::size_t i = first; i < last; ++i) sums[templates.ring[i]] += templates.weight[i];
        const float unit = first < last ? unit_of(std::ranges::max(sums), most_whole) : 1.0F;
        out.unit.push_back(unit);
        out.per_unit.push_back(1 / unit);
        out.sum_per_unit.push_back(templates.weight_sum[t] / unit);
        for (std::size_t ring = 0; ring < n_rings; ++ring)
            out.sums[((t / lanes * out.n_quads + ring / 4) * lanes + t % lanes) * 4 + ring % 4] = rounded_up(sums[ring], 1 / unit, most_whole);
    }
    return out;
}

}  // namespace

TemplateSet pack_templates(const SpotList& spots, const PolarGrid& grid, float exponent, std::size_t max_spots,
                           std::span<const Quaternion> orientation, std::span<const Quaternion> symmetry) {
    constexpr int limit = std::numeric_limits<std::uint16_t>::max();
    if (grid.n_rings < 1 || grid.n_rings > limit || grid.n_azimuths < 4 || grid.n_azimuths > limit)
        throw std::invalid_argument("polar grid must have 1 to 65535 rings and 4 to 65535 azimuths");
    TemplateSet out;
    out.n_rings = grid.n_rings;
    out.n_azimuths = grid.n_azimuths;
    out.orientation.assign(orientation.begin(), orientation.end());
    out.symmetry.assign(symmetry.begin(), symmetry.end());
    out.offset.push_back(0);
    std::vector<BinnedSpot> binned;
    for (std::size_t t = 0; t < orientation.size(); ++t) {
        bin_spots(spots, static_cast<std::size_t>(spots.offset[t]), static_cast<std::size_t>(spots.offset[t + 1]), grid,
                  binned);
        for (BinnedSpot& spot : binned) spot.weight = std::pow(spot.weight, static_cast<double>(exponent));
        std::ranges::stable_sort(binned, std::greater<>(), &BinnedSpot::weight);
        if (max_spots > 0 && binned.size() > max_spots) binned.resize(max_spots);
        double sum = 0, squares = 0;
        for (const BinnedSpot& spot : binned) {
            sum += spot.weight;
            squares += spot.weight * spot.weight;
        }
        const double norm = std::sqrt(squares - sum * sum / static_cast<double>(grid.size()));
        float weight_sum = 0;
        for (const BinnedSpot& spot : binned) {
            const auto weight = static_cast<float>(spot.weight / norm);
            out.ring.push_back(static_cast<std::uint16_t>(spot.bin / static_cast<std::uint32_t>(grid.n_azimuths)));
            out.azimuth.push_back(static_cast<std::uint16_t>(spot.bin % static_cast<std::uint32_t>(grid.n_azimuths)));
            out.weight.push_back(weight);
            weight_sum += weight;
        }
        out.weight_sum.push_back(weight_sum);
        out.rounding.push_back(rounding_of(binned.size()));
        out.offset.push_back(static_cast<std::int64_t>(out.weight.size()));
    }
    out.grouped = grouped_spots(out);
    out.rings = ring_sums(out);
    out.groups = group_templates(out);
    return out;
}

}  // namespace nbedex
