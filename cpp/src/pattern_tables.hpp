// Everything that a search needs of one pattern, made once for all phases.
#pragma once

#include <cstddef>
#include <span>

#include "bound_tables.hpp"
#include "pattern.hpp"

namespace nbedex {

class PatternTables {
public:
    explicit PatternTables(const TemplateSet& any)
        : pattern(any),
          rounded(static_cast<std::size_t>(any.n_rings), static_cast<std::size_t>(any.n_azimuths)),
          sectors(static_cast<std::size_t>(any.n_rings), static_cast<std::size_t>(any.n_azimuths)) {}

    [[nodiscard]] bool load(std::span<const float> polar) {
        if (!pattern.load(polar)) return false;
        rounded.load(pattern);
        sectors.load(rounded);
        return true;
    }

    NormalisedPattern pattern;
    RoundedPattern rounded;
    SectorMaxima sectors;
};

}  // namespace nbedex
