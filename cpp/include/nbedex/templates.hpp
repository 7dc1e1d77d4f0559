// The templates of one phase, packed for correlation with polar patterns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nbedex/polar.hpp"
#include "nbedex/rotation.hpp"

namespace nbedex {

/// The spots of a template set as bounds look at them: two that lie half a turn apart have one place and the weight of the heavier. Two places that follow each
/// other are given the weight of the heavier, a whole number 1 … 64, rounded up: a weight is at most weight * unit of its template. Each list is filled up to a
/// multiple of eight places with such where nothing is found. Empty if places of sector maxima don't fit 16 bits.
struct GroupedSpots {
    std::vector<std::int64_t> offset;            ///< of places
    std::vector<std::uint16_t> place;            ///< of sector maxima (src/sector_layout.hpp)
    std::vector<std::uint32_t> rotation_place;   ///< of the same spots: of single rotations (src/sector_layout.hpp)
    std::vector<std::uint8_t> weight;            ///< of two places
    std::vector<float> unit;                     ///< by template
    std::vector<float> per_unit;                 ///< 1 / unit
    std::vector<float> sum_per_unit;             ///< sum of the template's weights / unit
    float largest_sum = 0, largest_rounding = 0;  ///< over all templates: of the sums of weights, and of TemplateSet::rounding
};

/// Groups of neighbouring templates, each turned until its spots meet those of the others, and for each group one list of places that holds the
/// spots of all of them: for bounds that hold for the whole group (how, is in src/spot_union.hpp). Laid out like GroupedSpots. Templates without
/// spots are in no group. Empty if groups would not be worth their work, or places don't fit 16 bits.
struct TemplateGroups {
    std::vector<std::int64_t> first_member;   ///< by group, and the end of the last one
    std::vector<std::int32_t> member;         ///< templates, group by group
    std::vector<std::int64_t> offset;         ///< of places
    std::vector<std::uint16_t> place;         ///< of sector maxima for groups (src/sector_layout.hpp)
    std::vector<std::uint8_t> weight;         ///< of two places
    std::vector<float> per_unit;              ///< 1 / unit, by group
    std::vector<float> least_sum_per_unit, largest_sum_per_unit;  ///< over the group's templates: sum of the template's weights / unit

    [[nodiscard]] std::ptrdiff_t size() const noexcept { return static_cast<std::ptrdiff_t>(per_unit.size()); }
};

/// Sums of a template's weights by ring, as whole numbers 0 … 126, rounded up, for upper bounds: a sum is at most its value here * unit of
/// the template. Four rings of sixteen templates lie together: value of ring 4 q + j of template 16 g + lane at
/// ((g * n_quads + q) * 16 + lane) * 4 + j.
struct RingSums {
    std::size_t n_groups = 0, n_quads = 0;
    std::vector<std::uint8_t> sums;
    std::vector<float> unit;          ///< by template
    std::vector<float> per_unit;      ///< 1 / unit
    std::vector<float> sum_per_unit;  ///< sum of the template's weights / unit
};

/// Spots of template t are [offset[t], offset[t+1]), heaviest first. With N bins in the annulus, w the exponentiated
/// intensity summed per bin, weight = w / sqrt(sum w^2 - (sum w)^2 / N), so that for a pattern P of unit
/// zero-mean norm and mean mu, the zero-mean normalised correlation is sum_i weight_i P_i - mu * weight_sum.
struct TemplateSet {
    int n_rings = 0, n_azimuths = 0;
    std::vector<std::int64_t> offset;
    std::vector<std::uint16_t> ring, azimuth;
    std::vector<float> weight;
    std::vector<float> weight_sum;         ///< by template
    std::vector<Quaternion> orientation;   ///< by template, sample to crystal
    std::vector<Quaternion> symmetry;      ///< proper rotations of the Laue group, identity first
    std::vector<double> rounding;          ///< by template: how much an exact score may exceed the sum of its terms, relative to their size
    GroupedSpots grouped;
    RingSums rings;
    TemplateGroups groups;

    [[nodiscard]] std::ptrdiff_t size() const noexcept { return static_cast<std::ptrdiff_t>(orientation.size()); }
};

/// Spots as simulated, by template: polar coordinates in 1/angstrom and radians.
struct SpotList {
    std::span<const std::int64_t> offset;
    std::span<const float> kx, ky;
    std::span<const float> intensity;
};

/// Bins the spots (those outside the annulus are dropped, those that share a bin are added), raises them to `exponent`, keeps the
/// `max_spots` heaviest of each template (0: all) and normalises. A template without a spot in the annulus keeps its number and no spots; it scores zero.
[[nodiscard]] TemplateSet pack_templates(const SpotList& spots, const PolarGrid& grid, float exponent, std::size_t max_spots,
                                         std::span<const Quaternion> orientation, std::span<const Quaternion> symmetry);

}  // namespace nbedex
