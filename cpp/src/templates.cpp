#include "nbedex/templates.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>

#include "rounded.hpp"
#include "kernels/kernels.hpp"
#include "sector_layout.hpp"

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
        const auto ring = static_cast<int>(std::floor((std::hypot(kx, ky) - grid.k_min) / grid.ring_width()));
        if (ring < 0 || ring >= grid.n_rings || !(spots.intensity[i] > 0)) continue;
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

RoundedSpots rounded_spots(const TemplateSet& templates) {
    RoundedSpots out;
    out.offset.push_back(0);
    for (std::size_t t = 0; t + 1 < templates.offset.size(); ++t) {
        const auto first = static_cast<std::size_t>(templates.offset[t]);
        const auto last = static_cast<std::size_t>(templates.offset[t + 1]);
        const float unit = first < last ? templates.weight[first] / largest_rounded : 1.0F;  // heaviest first
        out.unit.push_back(unit);
        out.per_unit.push_back(1 / double{unit});
        out.rounding.push_back(2 * (static_cast<double>(last - first) + 8) * 0x1p-24);  // twice and a little more than can be
        for (std::size_t i = first; i < last; ++i) {
            out.ring.push_back(templates.ring[i]);
            out.azimuth.push_back(templates.azimuth[i]);
            out.weight.push_back(rounded_up(templates.weight[i], 1 / unit));
        }
        while (out.weight.size() % 4 != 0) {
            out.ring.push_back(0);
            out.azimuth.push_back(0);
            out.weight.push_back(0);
        }
        out.offset.push_back(static_cast<std::int64_t>(out.weight.size()));
    }
    const SectorLayout layout(static_cast<std::size_t>(templates.n_rings), static_cast<std::size_t>(templates.n_azimuths));
    if (layout.usable())
        for (std::size_t i = 0; i < out.ring.size(); ++i)
            out.place.push_back(static_cast<std::uint16_t>(layout.place(out.ring[i], out.azimuth[i])));
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
        const float unit = first < last ? std::ranges::max(sums) / largest_rounded : 1.0F;
        out.unit.push_back(unit);
        for (std::size_t ring = 0; ring < n_rings; ++ring)
            out.sums[((t / lanes * out.n_quads + ring / 4) * lanes + t % lanes) * 4 + ring % 4] = rounded_up(sums[ring], 1 / unit);
    }
    return out;
}

}  // namespace

TemplateSet pack_templates(const SpotList& spots, const PolarGrid& grid, float exponent,
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
        double sum = 0, squares = 0;
        for (BinnedSpot& spot : binned) {
            spot.weight = std::pow(spot.weight, static_cast<double>(exponent));
            sum += spot.weight;
            squares += spot.weight * spot.weight;
        }
        std::ranges::stable_sort(binned, std::greater<>(), &BinnedSpot::weight);
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
        out.offset.push_back(static_cast<std::int64_t>(out.weight.size()));
    }
    out.rounded = rounded_spots(out);
    out.rings = ring_sums(out);
    return out;
}

}  // namespace nbedex
