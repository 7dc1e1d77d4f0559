// The spots of several templates in one list that bounds all of them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "nbedex/templates.hpp"

namespace nbedex {

/// Collects the spots of templates, each turned by a whole number of bins. A spot of the union stands for those of its ring in a few neighbouring azimuths, no more
/// than a row of a table of sector maxima does, and for those half a turn further. What it finds there bounds what the spots of a template find in any pattern
/// P >= 0: let u and v be the sums of the template's weights there and half a turn further. If P has at most D and D' there, then
///     u D + v D' <= max(u, v) (D + D'),    and    u D + v D' <= max(u, v) max(D, D') if one of u and v is zero,
/// in either order of D and D'. The first is used if any template has both; the weight is the largest of all templates.
class SpotUnion {
public:
    struct Spot {
        std::uint16_t ring, azimuth, extent;  ///< bins azimuth … azimuth + extent, azimuth < half
        bool alone;                           ///< no template has both
        float weight;
    };

    /// Rows of the table begin at multiples of `step` bins and stand for `span` of them.
    SpotUnion(const TemplateSet& templates, std::size_t step, std::size_t span)
        : templates_(templates),
          step_(step),
          span_(span),
          half_(static_cast<std::size_t>(templates.n_azimuths) / 2),
          at_(static_cast<std::size_t>(templates.n_rings) * half_, none) {}

    void clear() {
        for (const Spot& spot : spots_)
            for (std::size_t e = 0; e <= spot.extent; ++e) at_[bin(spot.ring, spot.azimuth + e)] = none;
        spots_.clear();
        sums_.clear();
    }

    /// How many spots a template, turned, would add.
    [[nodiscard]] std::size_t cost(std::int32_t template_id, std::size_t turn) const {
        std::size_t n = 0;
        for_spots(template_id, turn, [&](std::uint16_t ring, std::size_t azimuth, float) { n += find(ring, azimuth % half_).spot == none; });
        return n;
    }

    void add(std::int32_t template_id, std::size_t turn) {
        for_spots(template_id, turn, [&](std::uint16_t ring, std::size_t azimuth, float weight) {
            const std::size_t folded = azimuth % half_;
            const Found found = find(ring, folded);
            const std::size_t spot = found.spot == none ? add_spot(ring, folded) : std::size_t{found.spot};
            if (found.spot != none) extend(spot, found);
            // beyond the end of the half turn, the other half begins
            sums_[spot][(azimuth / half_ + (folded < spots_[spot].azimuth)) % 2] += double{weight};
            touched_.push_back(spot);
        });
        for (const std::size_t number : touched_) {
            Spot& spot = spots_[number];
            auto& [here, further] = sums_[number];
            if (here > 0 && further > 0) spot.alone = false;
            spot.weight = std::max(spot.weight, static_cast<float>(std::max(here, further)));
            here = further = 0;
        }
        touched_.clear();
    }

    [[nodiscard]] std::span<const Spot> spots() const noexcept { return spots_; }

private:
    static constexpr auto none = static_cast<std::uint32_t>(-1);
    /// A spot of the union, and the bins it would have to stand for.
    struct Found {
        std::uint32_t spot = none;
        std::size_t azimuth = 0, extent = 0;
    };

    /// Calls f(ring, azimuth, weight) for the spots of a template, turned.
    template <class F>
    void for_spots(std::int32_t template_id, std::size_t turn, F&& f) const {
        const auto t = static_cast<std::size_t>(template_id);
        const auto first = static_cast<std::size_t>(templates_.offset[t]), last = static_cast<std::size_t>(templates_.offset[t + 1]);
        for (std::size_t i = first; i < last; ++i) {
            const std::size_t azimuth = templates_.azimuth[i] + turn;
            f(templates_.ring[i], azimuth < 2 * half_ ? azimuth : azimuth - 2 * half_, templates_.weight[i]);
        }
    }

    /// The spot that has an azimuth < half, or could have it, too.
    [[nodiscard]] Found find(std::uint16_t ring, std::size_t azimuth) const {
        for (std::size_t near = 0; near < 2 * span_ - 1; ++near) {  // 0, 1, -1, 2, -2, …
            const std::size_t away = (near + 1) / 2;
            const std::uint32_t number = at_[bin(ring, near % 2 != 0 ? azimuth + away : azimuth + half_ - away)];
            if (number == none) continue;
            const Spot& spot = spots_[number];
            const std::size_t ahead = (azimuth + half_ - spot.azimuth) % half_;
            if (ahead <= spot.extent) return {number, spot.azimuth, spot.extent};
            if (fits(spot.azimuth, ahead)) return {number, spot.azimuth, ahead};
            if (fits(azimuth, half_ - ahead + spot.extent)) return {number, azimuth, half_ - ahead + spot.extent};
        }
        return {};
    }

    /// Whether a row of the table stands for all of these bins.
    [[nodiscard]] bool fits(std::size_t azimuth, std::size_t extent) const noexcept { return azimuth % step_ + extent < span_; }

    std::size_t add_spot(std::uint16_t ring, std::size_t azimuth) {
        at_[bin(ring, azimuth)] = static_cast<std::uint32_t>(spots_.size());
        spots_.push_back({ring, static_cast<std::uint16_t>(azimuth), 0, true, 0.0F});
        sums_.push_back({0, 0});
        return spots_.size() - 1;
    }

    void extend(std::size_t number, const Found& to) {
        Spot& spot = spots_[number];
        if (to.azimuth > spot.azimuth) std::swap(sums_[number][0], sums_[number][1]);  // begins in the other half now
        spot.azimuth = static_cast<std::uint16_t>(to.azimuth);
        spot.extent = static_cast<std::uint16_t>(to.extent);
        for (std::size_t e = 0; e <= to.extent; ++e) {
            std::uint32_t& at = at_[bin(spot.ring, to.azimuth + e)];
            if (at == none) at = static_cast<std::uint32_t>(number);
        }
    }

    [[nodiscard]] std::size_t bin(std::uint16_t ring, std::size_t azimuth) const noexcept { return ring * half_ + azimuth % half_; }

    const TemplateSet& templates_;
    std::size_t step_, span_, half_;
    std::vector<std::uint32_t> at_;  // spot of the union by ring and azimuth, for those that a spot has
    std::vector<Spot> spots_;
    std::vector<std::array<double, 2>> sums_;  // of the weights, at a spot, of the template that is being added: there and half a turn further
    std::vector<std::size_t> touched_;
};

}  // namespace nbedex
