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

    /// The halves of sectors in which an image can reach a score, a bit for each.
    [[nodiscard]] std::uint64_t halves_reaching(float wanted, std::int32_t number) {
        const Image image(number);
        const GroupedSpots& all = templates_.grouped;
        const HalfSectorMaxima& halves = tables_.halves();
        std::int32_t cut;
        cuts(image.template_id, 1, wanted, all.per_unit, all.sum_per_unit, 2, &cut);
        const std::uint64_t found = halves.lanes() & scorer_.kernels().half_sectors(
            halves.rows(image.mirrored), {all.offset.data(), all.place.data(), all.weight.data()}, static_cast<std::size_t>(image.template_id), cut);
        tables_.left(std::popcount(found));
        return found;
    }

    /// Those of some sectors.
    [[nodiscard]] std::uint64_t halves_of(std::uint32_t sectors) const {
        std::uint64_t halves = 0;
        for (sectors &= tables_.sectors.lanes(); sectors != 0; sectors &= sectors - 1) halves |= std::uint64_t{3} << (2 * std::countr_zero(sectors));
        return halves;
    }

    /// Looks for single rotations in which an image can reach a score, and adds them to `found`, as azimuths in the rows of
    /// RoundedPattern: those of some halves of sectors
    void rotations_reaching(float wanted, std::ptrdiff_t number, std::uint64_t halves, std::vector<std::size_t>& found) {
        const SectorLayout& layout = tables_.sectors.layout();
        const Rotations rotations = rotations_of(number, wanted);
        few_.clear();
        for (; halves != 0; halves &= halves + (halves & -halves)) {  // together as far as they follow each other
            const auto one = static_cast<std::size_t>(std::countr_zero(halves)), others = one + static_cast<std::size_t>(std::countr_one(halves >> one));
            for (std::size_t first = layout.first_of_half(one), end = layout.first_of_half(others); first < end; first += kernels::few_rotations)
                few_.push_back({first, std::min(kernels::few_rotations, end - first)});
        }
        look_at_few(rotations, found);
    }

    /// or all, pairs of them first.
    void rotations_reaching(float wanted, std::ptrdiff_t number, std::vector<std::size_t>& found) {
        constexpr std::size_t lanes = kernels::many_pairs;
        const Rotations rotations = rotations_of(number, wanted);
        const bool mirrored = Image(number).mirrored;
        const PairMaxima& table = tables_.pairs();
        const std::size_t half = tables_.rounded.n_azimuths() / 2;  // as many as there are pairs
        firsts_.clear();
        for (std::size_t first = 0; first < half; first += lanes) {
            const std::size_t from = std::min(first, half - lanes);  // later ones would pass the end of the second copy of a ring
            std::uint64_t pairs = scorer_.kernels().pairs(table.even(mirrored) + from, table.odd(mirrored) + from, rotations.spots, rotations.cut);
            for (pairs &= ~std::uint64_t{0} << (first - from); pairs != 0; pairs &= pairs - 1)
                firsts_.push_back(2 * (from + static_cast<std::size_t>(std::countr_zero(pairs))) % half);  // of it and the one half a turn further
        }
        std::ranges::sort(firsts_);
        few_.clear();
        std::size_t next = 0;
        for (const std::size_t first : firsts_) {
            if (first + 2 <= next) continue;
            const std::size_t from = std::max(first, next);
            next = std::min(first + 2, half);
            few_.push_back({from, next - from});
        }
        look_at_few(rotations, found);
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
        return templates_.rounded.rounding[t] * (terms + 1 + std::abs(double{scorer_.zero_mean(template_id)}));
    }

    /// Images of a tier lie far apart in memory; what is asked for in time is there when it is needed.
    void fetch(std::int32_t image) const {
        const kernels::RoundedSpots list = spots(image / 2);
        const auto fetch_lines = [](const auto* from, std::size_t n) {
            const auto* first = reinterpret_cast<const char*>(from);
            for (std::size_t at = 0; at < n * sizeof(*from); at += 64) __builtin_prefetch(first + at);
        };
        fetch_lines(list.place, list.n);
        fetch_lines(list.weight, list.n);
    }

private:
    [[nodiscard]] kernels::RoundedSpots spots(std::ptrdiff_t template_id) const {
        const auto t = static_cast<std::size_t>(template_id);
        const RoundedSpots& all = templates_.rounded;
        const auto first = static_cast<std::size_t>(all.offset[t]);
        return {all.place.data() + first, all.weight.data() + first,
                static_cast<std::size_t>(all.offset[t + 1]) - first};
    }

    /// Upper bound of a score from a bound in whole numbers, each worth `unit`.
    [[nodiscard]] float score_bound(std::ptrdiff_t template_id, std::int32_t bound, double unit) const {
        return static_cast<float>(bound * unit - double{scorer_.zero_mean(template_id)} + rounding(template_id));
    }

    /// The least bound of a rotation in whole numbers with which a template can reach a score.
    [[nodiscard]] std::int32_t cut_of(std::ptrdiff_t template_id, float wanted) const {
        const double sum = double{wanted} + double{scorer_.zero_mean(template_id)} - rounding(template_id);
        const double least = sum * templates_.rounded.per_unit[static_cast<std::size_t>(template_id)] * tables_.rounded.per_unit();
        return least > 0 ? static_cast<std::int32_t>(std::min(least, 2e9)) : 0;
    }

    /// What single rotations of an image are looked at with.
    struct Rotations {
        kernels::RoundedSpots spots;
        const std::uint8_t* rows;
        std::int32_t cut;
    };
    [[nodiscard]] Rotations rotations_of(std::ptrdiff_t number, float wanted) const {
        const Image image(number);
        return {spots(image.template_id), tables_.rounded.rows(image.mirrored), cut_of(image.template_id, wanted)};
    }

    /// n <= few_rotations of them from `first` on, and those half a turn further.
    struct Few {
        std::size_t first, n;
    };

    /// Adds those of few_ that reach the cut: two few at a time are bounded as fast as one.
    void look_at_few(const Rotations& rotations, std::vector<std::size_t>& found) const {
        const std::size_t half = tables_.rounded.n_azimuths() / 2;
        const auto add = [&](const Few& few, std::uint32_t reaching) {
            for (std::size_t turned = 0; turned < 2; ++turned)
                for (std::size_t i = 0; i < few.n; ++i)
                    if (reaching >> (2 * i + turned) & 1) found.push_back(few.first + i + turned * half);
        };
        for (std::size_t i = 0; i < few_.size(); i += 2) {
            const Few one = few_[i], other = i + 1 < few_.size() ? few_[i + 1] : Few{one.first, 0};
            const std::uint32_t reaching =
                scorer_.kernels().rotations(rotations.rows + 2 * one.first, rotations.rows + 2 * other.first, rotations.spots, rotations.cut);
            if (reaching == 0) continue;
            add(one, reaching & 0xFFFF);
            add(other, reaching >> 16);
        }
    }

    const TemplateSet& templates_;
    PatternTables& tables_;
    const Scorer& scorer_;
    std::vector<std::int32_t> rings_;  // ring bounds by template, in whole numbers
    std::vector<Few> few_;             // rotations that are looked at
    std::vector<std::size_t> firsts_;  // first rotations of pairs that reach what is wanted, or do so half a turn further
};

}  // namespace nbedex
