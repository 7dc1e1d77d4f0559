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
          sectors(static_cast<std::size_t>(any.n_rings), static_cast<std::size_t>(any.n_azimuths)),
          unions_(static_cast<std::size_t>(any.n_rings), static_cast<std::size_t>(any.n_azimuths)),
          pairs_(static_cast<std::size_t>(any.n_rings), static_cast<std::size_t>(any.n_azimuths)) {}

    [[nodiscard]] bool load(std::span<const float> polar) {
        pairs_loaded_ = unions_loaded_ = false;
        if (!pattern.load(polar)) return false;
        rounded.load(pattern);
        sectors.load(rounded);
        return true;
    }

    /// Few patterns need them.
    const PairMaxima& pairs() {
        if (!pairs_loaded_) pairs_.load(rounded);
        pairs_loaded_ = true;
        return pairs_;
    }

    /// Only of use where there are groups of templates.
    const UnionMaxima& unions() {
        if (!unions_loaded_) unions_.load(rounded);
        unions_loaded_ = true;
        return unions_;
    }

    NormalisedPattern pattern;
    RoundedPattern rounded;
    SectorMaxima sectors;

private:
    UnionMaxima unions_;
    PairMaxima pairs_;
    bool unions_loaded_ = false, pairs_loaded_ = false;
};

}  // namespace nbedex
