// Everything that a search needs of one pattern, made once for all phases.
#pragma once

#include <cstddef>
#include <span>

#include "bound_tables.hpp"
#include "pattern.hpp"

namespace nbedex {

class PatternTables {
public:
    explicit PatternTables(const TemplateSet& any) : PatternTables(any, static_cast<std::size_t>(any.n_rings), static_cast<std::size_t>(any.n_azimuths)) {}

    [[nodiscard]] bool load(std::span<const float> polar, const PowerSums& sums) {
        groups_made_ = false;
        if (!pattern.load(polar, sums)) return false;
        rounded.load(pattern);
        sectors.load(rounded);
        rotations.load(rounded);
        return true;
    }

    /// Only of use where there are groups of templates.
    const GroupMaxima& groups() {
        if (!groups_made_) groups_.load(rounded);
        groups_made_ = true;
        return groups_;
    }

    NormalisedPattern pattern;
    RoundedPattern rounded;
    SectorMaxima sectors;
    RotationValues rotations;

private:
    PatternTables(const TemplateSet& any, std::size_t n_rings, std::size_t n_azimuths)
        : pattern(any),
          rounded(n_rings, n_azimuths),
          sectors(n_rings, n_azimuths),
          rotations(n_rings, n_azimuths),
          groups_(n_rings, n_azimuths) {}

    GroupMaxima groups_;
    bool groups_made_ = false;  // not every pattern needs them
};

}  // namespace nbedex
