// Everything that a search needs of one pattern, made once for all phases.
#pragma once

#include <cstddef>
#include <span>

#include "bound_tables.hpp"
#include "half_sectors.hpp"
#include "pattern.hpp"

namespace nbedex {

/// A table that not every pattern needs: made when it is first asked for.
template <class Table>
class MadeOnDemand {
public:
    MadeOnDemand(std::size_t n_rings, std::size_t n_azimuths) : table_(n_rings, n_azimuths) {}

    void forget() noexcept { made_ = false; }
    const Table& of(const RoundedPattern& pattern) {
        if (!made_) table_.load(pattern);
        made_ = true;
        return table_;
    }

private:
    Table table_;
    bool made_ = false;
};

class PatternTables {
public:
    explicit PatternTables(const TemplateSet& any) : PatternTables(any, static_cast<std::size_t>(any.n_rings), static_cast<std::size_t>(any.n_azimuths)) {}

    [[nodiscard]] bool load(std::span<const float> polar, const PowerSums& sums) {
        pairs_.forget();
        groups_.forget();
        halves_.forget();
        n_asked_ = n_looked_ = n_left_ = 0;
        if (!pattern.load(polar, sums)) return false;
        rounded.load(pattern);
        sectors.load(rounded);
        return true;
    }

    const PairMaxima& pairs() { return pairs_.of(rounded); }
    /// Only of use where there are groups of templates.
    const GroupMaxima& groups() { return groups_.of(rounded); }
    const HalfSectorMaxima& halves() { return halves_.of(rounded); }

    /// Whether it pays to bound halves of sectors of one more image: not for the first, as the table must be made, nor where most halves are left, as in
    /// noise.
    [[nodiscard]] bool halves_pay() noexcept {
        constexpr std::size_t first = 256, tried = 32;
        return ++n_asked_ > first && (n_looked_ < tried || n_left_ <= n_looked_ * sectors.layout().n_sectors());
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
    PatternTables(const TemplateSet& any, std::size_t n_rings, std::size_t n_azimuths)
        : pattern(any),
          rounded(n_rings, n_azimuths),
          sectors(n_rings, n_azimuths),
          pairs_(n_rings, n_azimuths),
          groups_(n_rings, n_azimuths),
          halves_(n_rings, n_azimuths) {}

    MadeOnDemand<PairMaxima> pairs_;
    MadeOnDemand<GroupMaxima> groups_;
    MadeOnDemand<HalfSectorMaxima> halves_;
    std::size_t n_asked_ = 0, n_looked_ = 0, n_left_ = 0;
};

}  // namespace nbedex
