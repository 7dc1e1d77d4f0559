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
          rounded(n_rings(any), n_azimuths(any)),
          sectors(n_rings(any), n_azimuths(any)),
          blocks(n_rings(any), n_azimuths(any), 1),
          single_(n_rings(any), n_azimuths(any), blocks.length()) {}

    [[nodiscard]] bool load(std::span<const float> polar) {
        single_loaded_ = false;
        if (!pattern.load(polar)) return false;
        rounded.load(pattern);
        sectors.load(rounded);
        blocks.load(rounded);
        return true;
    }

    /// Blocks of a single rotation, which few patterns need.
    const BlockMaxima& single_rotations() {
        if (!single_loaded_) single_.load(rounded);
        single_loaded_ = true;
        return single_;
    }

    static std::size_t n_rings(const TemplateSet& t) { return static_cast<std::size_t>(t.n_rings); }
    static std::size_t n_azimuths(const TemplateSet& t) { return static_cast<std::size_t>(t.n_azimuths); }

    NormalisedPattern pattern;
    RoundedPattern rounded;
    SectorMaxima sectors;
    BlockMaxima blocks;

private:
    BlockMaxima single_;
    bool single_loaded_ = false;
};

}  // namespace nbedex
