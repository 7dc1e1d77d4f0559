#include "template_groups.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numbers>
#include <span>
#include <utility>
#include <vector>

#include "rounded.hpp"
#include "sector_layout.hpp"
#include "spot_union.hpp"

namespace nbedex {
namespace {

using Direction = std::array<double, 3>;

/// Where the beam runs in the crystal.
Direction beam(const Quaternion& orientation) {
    const std::array<double, 9> m = matrix(orientation);
    return {m[2], m[5], m[8]};
}

double distance(const Direction& a, const Direction& b) { return std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]); }

/// The templates in small cubes of directions, to find those near another.
class Neighbours {
public:
    explicit Neighbours(const TemplateSet& templates) {
        for (const Quaternion& q : templates.orientation) beams_.push_back(beam(q));
        side_ = 1.5 * spacing();
        for (std::size_t t = 0; t < beams_.size(); ++t) cubes_.emplace_back(key(cube(beams_[t])), static_cast<std::int32_t>(t));
        std::ranges::sort(cubes_);
    }

    /// Templates nearer than the side of a cube, and some more.
    void find(std::int32_t template_id, std::vector<std::int32_t>& found) const {
        found.clear();
        const std::array<std::int64_t, 3> middle = cube(beams_[static_cast<std::size_t>(template_id)]);
        for (std::int64_t x = middle[0] - 1; x <= middle[0] + 1; ++x)
            for (std::int64_t y = middle[1] - 1; y <= middle[1] + 1; ++y) {
                const auto from = std::ranges::lower_bound(cubes_, std::pair{key({x, y, middle[2] - 1}), std::int32_t{0}});
                for (auto at = from; at != cubes_.end() && at->first <= key({x, y, middle[2] + 1}); ++at) found.push_back(at->second);
            }
    }

private:
    static constexpr std::int64_t most_cubes = 1 << 20;

    /// Median distance from some of the templates to their nearest.
    [[nodiscard]] double spacing() const {
        constexpr std::size_t some = 64;
        std::vector<double> nearest;
        for (std::size_t t = 0; t < beams_.size(); t += std::max<std::size_t>(1, beams_.size() / some)) {
            double least = 2;
            for (std::size_t other = 0; other < beams_.size(); ++other)
                if (other != t) least = std::min(least, distance(beams_[t], beams_[other]));
            nearest.push_back(least);
        }
        if (nearest.empty()) return 2;
        std::ranges::nth_element(nearest, nearest.begin() + std::ssize(nearest) / 2);
        return std::max(nearest[nearest.size() / 2], 8.0 / most_cubes);
    }

    [[nodiscard]] std::array<std::int64_t, 3> cube(const Direction& direction) const {
        std::array<std::int64_t, 3> at{};
        for (std::size_t i = 0; i < 3; ++i) at[i] = static_cast<std::int64_t>((direction[i] + 1) / side_) + 1;
        return at;
    }
    [[nodiscard]] static std::int64_t key(const std::array<std::int64_t, 3>& cube) { return (cube[0] * most_cubes + cube[1]) * most_cubes + cube[2]; }

    std::vector<Direction> beams_;
    double side_ = 1;
    std::vector<std::pair<std::int64_t, std::int32_t>> cubes_;  // key and template, sorted
};

/// Bins by which template `other` must be turned for its spots to meet those of `first`.
std::size_t turn_between(const TemplateSet& templates, std::int32_t first, std::int32_t other) {
    const Quaternion r = conjugate(templates.orientation[static_cast<std::size_t>(other)]) * templates.orientation[static_cast<std::size_t>(first)];
    const double turn = -2 * std::atan2(r.z, r.w) / (2 * std::numbers::pi) * templates.n_azimuths;
    const auto bins = static_cast<std::int64_t>(std::llround(turn)) % templates.n_azimuths;
    return static_cast<std::size_t>(bins + (bins < 0 ? templates.n_azimuths : 0));
}

/// Chooses groups and makes their lists.
class Grouping {
public:
    Grouping(const TemplateSet& templates, const SectorLayout& layout)
        : templates_(templates),
          layout_(layout),
          near_(templates),
          together_(templates, layout.step(), layout.span()),
          left_(static_cast<std::size_t>(templates.size())) {
        for (std::size_t t = 0; t < left_.size(); ++t) left_[t] = templates.offset[t] < templates.offset[t + 1] && std::isfinite(templates.weight_sum[t]);
        out_.first_member.push_back(0);
        out_.offset.push_back(0);
    }

    TemplateGroups groups() {
        for (std::int32_t t = 0; t < templates_.size(); ++t) {
            if (!left(t)) continue;
            collect(t);
            append();
        }
        return std::move(out_);
    }

private:
    [[nodiscard]] bool left(std::int32_t t) const { return left_[static_cast<std::size_t>(t)]; }

    /// A template and those of its neighbours that add least to its spots: as many as don't make them too many.
    void collect(std::int32_t first) {
        together_.clear();
        members_.clear();
        take({first, 0});
        const std::size_t alone = together_.spots().size();
        near_.find(first, candidates_);
        std::erase_if(candidates_, [&](std::int32_t t) { return !left(t); });
        std::ranges::sort(candidates_);
        while (members_.size() < most_members && !candidates_.empty()) {
            const Turned next = cheapest();
            if (static_cast<double>(together_.spots().size() + next.cost) > most_spots * static_cast<double>(alone)) break;
            take(next);
            std::erase(candidates_, next.template_id);
        }
        std::ranges::sort(members_);
    }

    /// A template, the bins by which it is turned, and how many spots it would add.
    struct Turned {
        std::int32_t template_id;
        std::size_t turn, cost = 0;
    };

    void take(const Turned& next) {
        together_.add(next.template_id, next.turn);
        members_.push_back(next.template_id);
        left_[static_cast<std::size_t>(next.template_id)] = false;
    }

    [[nodiscard]] Turned cheapest() const {
        const auto n = static_cast<std::size_t>(templates_.n_azimuths);
        Turned best{candidates_.front(), 0, static_cast<std::size_t>(-1)};
        for (const std::int32_t t : candidates_) {
            const std::size_t turn = turn_between(templates_, members_.front(), t);
            for (const std::size_t near : {turn, (turn + 1) % n, (turn + n - 1) % n})
                if (const std::size_t cost = together_.cost(t, near); cost < best.cost) best = {t, near, cost};
        }
        return best;
    }

    /// The spots of the group that was collected, heaviest first, two to a weight.
    void append() {
        spots_.assign(together_.spots().begin(), together_.spots().end());
        std::ranges::stable_sort(spots_, std::greater<>(), &SpotUnion::Spot::weight);
        const float unit = unit_of(spots_.front().weight, most_weight);
        for (const SpotUnion::Spot& spot : spots_) {
            if (out_.place.size() % 2 == 0) out_.weight.push_back(rounded_up(spot.weight, 1 / unit, most_weight));
            out_.place.push_back(static_cast<std::uint16_t>(layout_.place(spot.ring, spot.azimuth, spot.alone)));
        }
        out_.place.resize((out_.place.size() + 7) / 8 * 8, static_cast<std::uint16_t>(layout_.nothing()));
        out_.weight.resize(out_.place.size() / 2, 0);
        out_.offset.push_back(std::ssize(out_.place));
        const auto sum = [&](std::int32_t t) { return templates_.weight_sum[static_cast<std::size_t>(t)]; };
        const auto [least, largest] = std::ranges::minmax(members_, {}, sum);
        out_.member.insert(out_.member.end(), members_.begin(), members_.end());
        out_.first_member.push_back(std::ssize(out_.member));
        out_.per_unit.push_back(1 / unit);
        out_.least_sum_per_unit.push_back(sum(least) / unit);
        out_.largest_sum_per_unit.push_back(sum(largest) / unit);
    }

    static constexpr std::size_t most_members = 16;
    static constexpr double most_spots = 1.6;  ///< of a group, for each of its first template

    const TemplateSet& templates_;
    SectorLayout layout_;
    Neighbours near_;
    SpotUnion together_;
    std::vector<bool> left_;  // in no group yet; those without spots, or whose scores are no numbers, belong to none
    std::vector<std::int32_t> members_, candidates_;
    std::vector<SpotUnion::Spot> spots_;
    TemplateGroups out_;
};

}  // namespace

TemplateGroups group_templates(const TemplateSet& templates) {
    const auto layout = SectorLayout::of_groups(static_cast<std::size_t>(templates.n_rings), static_cast<std::size_t>(templates.n_azimuths));
    if (!layout.usable() || templates.grouped.offset.empty()) return {};
    TemplateGroups groups = Grouping(templates, layout).groups();
    // a place costs half of what it does in sector bounds; where groups are few and small, too little is settled
    if (3 * groups.place.size() > templates.grouped.place.size()) return {};
    return groups;
}

}  // namespace nbedex
