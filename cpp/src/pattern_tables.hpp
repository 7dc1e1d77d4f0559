// Everything that a search needs of one pattern, made once for all phases.
#pragma once

#include <cstddef>
#include <span>

#include "bound_tables.hpp"
#include "half_sectors.hpp"
#include "pattern.hpp"

namespace nbedex {

class PatternTables {
public:
    explicit PatternTables(const TemplateSet& any)
        : pattern(any),
          rounded(static_cast<std::size_t>(any.n_rings), static_cast<std::size_t>(any.n_azimuths)),
          sectors(static_cast<std::size_t>(any.n_rings), static_cast<std::size_t>(any.n_azimuths)),
          unions_(static_cast<std::size_t>(any.n_rings), static_cast<std::size_t>(any.n_azimuths)),
          pairs_(static_cast<std::size_t>(any.n_rings), static_cast<std::size_t>(any.n_azimuths)),
          halves_(static_cast<std::size_t>(any.n_rings), static_cast<std::size_t>(any.n_azimuths)) {}

    [[nodiscard]] bool load(std::span<const float> polar, const PowerSums& sums) {
        unions_loaded_ = pairs_loaded_ = halves_loaded_ = false;
        n_asked_ = n_looked_ = n_left_ = 0;
        if (!pattern.load(polar, sums)) return false;
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

    /// Whether it pays to bound halves of sectors of one more image: not for the first, as the table must be made, nor where most halves are left, as in
    /// noise.
    [[nodiscard]] bool halves_pay() noexcept {
        constexpr std::size_t first = 256, tried = 32;
        return ++n_asked_ > first && (n_looked_ < tried || 2 * n_left_ <= n_looked_ * halves_.size());
    }
    const HalfSectorMaxima& halves() {
        if (!halves_loaded_) halves_.load(rounded);
        halves_loaded_ = true;
        return halves_;
    }
    /// How many halves were left of an image.
    void left(int halves) noexcept {
        ++n_looked_;
        n_left_ += static_cast<std::size_t>(halves);
    }

    NormalisedPattern pattern;
    RoundedPattern rounded;
    SectorMaxima sectors;

private:
    UnionMaxima unions_;
    PairMaxima pairs_;
    HalfSectorMaxima halves_;
    bool unions_loaded_ = false, pairs_loaded_ = false, halves_loaded_ = false;
    std::size_t n_asked_ = 0, n_looked_ = 0, n_left_ = 0;
};

}  // namespace nbedex
