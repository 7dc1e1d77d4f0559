// Upper bounds of the scores of one phase's images; the formulas are in docs/theory.md.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "pattern_tables.hpp"
#include "scorer.hpp"

namespace nbedex {

/// Bounds of the pattern that the tables and the scorer hold.
class UpperBounds {
public:
    static constexpr std::ptrdiff_t sector_group = 8;  ///< templates bounded together: neighbours on the grid of zone axes

    UpperBounds(const TemplateSet& templates, PatternTables& tables, const Scorer& scorer)
        : templates_(templates), tables_(tables), scorer_(scorer) {}

    /// Computes ring bounds, of every `stride`-th group of templates.
    void compute_rings(std::size_t stride) {
        const RingSums& rings = templates_.rings;
        const std::size_t group_size = rings.n_quads * kernels::ring_lanes * 4;
        rings_.resize(rings.n_groups * kernels::ring_lanes);
        for (std::size_t g = 0; g < rings.n_groups; g += stride)
            scorer_.kernels().ring_bounds(rings.sums.data() + g * group_size, rings.n_quads, tables_.rounded.ring_maxima(),
                                          rings_.data() + g * kernels::ring_lanes);
    }

    /// Ring bound of both images of a template, as computed last.
    [[nodiscard]] float ring(std::ptrdiff_t template_id) const {
        const auto t = static_cast<std::size_t>(template_id);
        return score_bound(template_id, rings_[t], double{templates_.rings.unit[t]} * double{tables_.rounded.unit()});
    }

    /// Which of the n <= sector_group templates from `first` on can reach a score by their ring bounds, a bit for each.
    [[nodiscard]] std::uint32_t rings_reaching(std::ptrdiff_t first, std::ptrdiff_t n, float wanted) const {
        const RingSums& all = templates_.rings;
        std::int32_t cut[sector_group];
        cuts(first, n, wanted, all.per_unit, all.sum_per_unit, 1, cut);
        std::uint32_t reaching = 0;
        for (std::ptrdiff_t t = 0; t < n; ++t)
            reaching |= std::uint32_t{rings_[static_cast<std::size_t>(first + t)] >= cut[t]} << t;
        return reaching;
    }

    /// Sector bounds of those of the sector_group templates from `first` on whose bits are set: calls f(image, bound, sectors) for the images
    /// that can reach a score, with a bit set in `sectors` for each in which they can.
    template <class F>
    void sectors(std::ptrdiff_t first, std::uint32_t templates, float wanted, F&& f) const {
        const GroupedSpots& all = templates_.grouped;
        std::int32_t cut[sector_group];
        kernels::SectorBounds bounds[sector_group];
        cuts(first, std::min(sector_group, templates_.size() - first), wanted, all.per_unit, all.sum_per_unit, 2, cut);
        std::uint32_t reaching = scorer_.kernels().sector_bounds(tables_.sectors.table(), {all.offset.data(), all.place.data(), all.weight.data()},
                                                                 static_cast<std::size_t>(first), templates, cut, bounds);
        for (; reaching != 0; reaching &= reaching - 1) {
            const int t = std::countr_zero(reaching);
            const std::ptrdiff_t id = first + t;
            if (scorer_.spots(id).n == 0) continue;  // without spots: no candidate
            const double unit = double{all.unit[static_cast<std::size_t>(id)]} * 2 * double{tables_.rounded.unit()};
            for (const int mirrored : {0, 1}) {
                const std::int32_t bound = bounds[t].largest[mirrored];
                if (bound >= cut[t])
                    f(static_cast<std::int32_t>(2 * id + mirrored), score_bound(id, bound, unit), bounds[t].reaching[mirrored] & tables_.sectors.lanes());
            }
        }
    }

    /// The sectors in which an image can reach a score, a bit for each.
    [[nodiscard]] std::uint32_t sectors_reaching(float wanted, std::int32_t number) const {
        std::uint32_t found = 0;
        const std::ptrdiff_t first = number / 2 / sector_group * sector_group;
        sectors(first, std::uint32_t{1} << (number / 2 - first), wanted, [&](std::int32_t image, float, std::uint32_t reaching) {
            if (image == number) found = reaching;
        });
        return found;
    }

    /// Adds to `found` the rotations in some sectors, and half a turn further, in which an image can reach a score, as azimuths in the pattern or its mirror image.
    /// Returns how many windows of them were bounded.
    std::ptrdiff_t rotations_reaching(float wanted, std::ptrdiff_t number, std::uint32_t sectors, std::vector<std::size_t>& found) {
        const Image image(number);
        const GroupedSpots& all = templates_.grouped;
        std::int32_t cut;
        cuts(image.template_id, 1, wanted, all.per_unit, all.sum_per_unit, 2, &cut);
        open_windows(sectors);
        const std::uint8_t* rows = tables_.rotations.rows(image.mirrored);
        for (std::size_t i = 0; i < windows_.size(); i += 2) {  // two cost little more than one
            const bool two = i + 1 < windows_.size();
            const std::uint64_t reaching =
                scorer_.kernels().rotations(rows + windows_[i], rows + windows_[i + two], {all.offset.data(), all.rotation_place.data(), all.weight.data()},
                                            static_cast<std::size_t>(image.template_id), cut);
            if (reaching == 0) continue;
            add_rotations(windows_[i], static_cast<std::uint32_t>(reaching), found);
            if (two) add_rotations(windows_[i + 1], static_cast<std::uint32_t>(reaching >> 32), found);
        }
        return std::ssize(windows_);
    }

    /// The least bounds in whole numbers with which n templates, or groups of them, from `first` on can reach a score, given what one in whole numbers is worth:
    /// `values` times that of the pattern, and 1 / per_unit of the template or group. Like cut_of in single precision, with the largest rounding of all
    /// templates; what single precision may lose, five roundings of 2^-24, is taken off.
    void cuts(std::ptrdiff_t first, std::ptrdiff_t n, float wanted, const std::vector<float>& per_unit, const std::vector<float>& sum_per_unit,
              int values, std::int32_t* cut) const {
        const GroupedSpots& all = templates_.grouped;
        const float mean = tables_.pattern.mean(), per_value = static_cast<float>(tables_.rounded.per_unit() / values);
        const float rounding = all.largest_rounding * (all.largest_sum * (tables_.pattern.largest() + std::abs(mean)) + 1);
        const float least = (wanted - rounding) * per_value, zero = mean * per_value;
        for (std::ptrdiff_t t = 0; t < n; ++t) {
            const auto of = static_cast<std::size_t>(first + t);
            const float score = least * per_unit[of], shift = zero * sum_per_unit[of];
            const float whole = score + shift - 5e-7F * (std::abs(score) + std::abs(shift)) - 1;
            cut[t] = static_cast<std::int32_t>(whole > 0 ? (whole < 1e9F ? whole : 1e9F) : 0.0F);
        }
    }

    /// More than the exact score of a template can exceed the sum of its terms by rounding.
    [[nodiscard]] double rounding(std::ptrdiff_t template_id) const {
        const auto t = static_cast<std::size_t>(template_id);
        const double terms = double{templates_.weight_sum[t]} * double{tables_.pattern.largest()};
        return templates_.rounding[t] * (terms + 1 + std::abs(double{scorer_.zero_mean(template_id)}));
    }

    /// Images of a tier lie far apart in memory; what is asked for in time is there when it is needed.
    void fetch(std::int32_t image) const {
        const GroupedSpots& all = templates_.grouped;
        const auto t = static_cast<std::size_t>(image / 2), first = static_cast<std::size_t>(all.offset[t]), n = static_cast<std::size_t>(all.offset[t + 1]) - first;
        const auto fetch_lines = [](const auto* from, std::size_t length) {
            const auto* bytes = reinterpret_cast<const char*>(from);
            for (std::size_t at = 0; at < length * sizeof(*from); at += 64) __builtin_prefetch(bytes + at);
        };
        fetch_lines(all.rotation_place.data() + first, n);
        fetch_lines(all.weight.data() + first / 2, n / 2);
    }

private:
    /// Upper bound of a score from a bound in whole numbers, each worth `unit`.
    [[nodiscard]] float score_bound(std::ptrdiff_t template_id, std::int32_t bound, double unit) const {
        return static_cast<float>(bound * unit - double{scorer_.zero_mean(template_id)} + rounding(template_id));
    }

    static constexpr std::size_t window = kernels::sector_lanes;  // rotations bounded together

    /// Sets windows_ to the first rotations of windows that hold all of some sectors: as many whole ones as fit, beginning with one that is wanted.
    void open_windows(std::uint32_t sectors) {
        const std::size_t length = tables_.sectors.layout().length();
        const std::uint64_t together = (std::uint64_t{1} << std::max<std::size_t>(1, window / length)) - 1;
        windows_.clear();
        for (sectors &= tables_.sectors.lanes(); sectors != 0;) {
            const int first = std::countr_zero(sectors);
            for (std::size_t r = 0; r < length; r += window) windows_.push_back(static_cast<std::size_t>(first) * length + r);
            sectors &= static_cast<std::uint32_t>(~(together << first));
        }
    }

    /// Those of a window whose bits are set, and those half a turn further. What begins a sector that is not whole comes with the next window.
    void add_rotations(std::size_t first, std::uint32_t lanes, std::vector<std::size_t>& found) const {
        const std::size_t half = tables_.rotations.layout().half(), length = tables_.sectors.layout().length();
        const std::size_t end = std::min(half, first + (length < window ? window / length * length : window));
        for (const std::size_t turn : {std::size_t{0}, half})
            for (std::uint32_t left = lanes; left != 0; left &= left - 1) {
                const std::size_t rotation = first + static_cast<std::size_t>(std::countr_zero(left));
                if (rotation < end) found.push_back(rotation + turn);
            }
    }

    const TemplateSet& templates_;
    PatternTables& tables_;
    const Scorer& scorer_;
    std::vector<std::int32_t> rings_;  // ring bounds by template, in whole numbers
    std::vector<std::size_t> windows_;  // of rotations: the first of each
};

}  // namespace nbedex
