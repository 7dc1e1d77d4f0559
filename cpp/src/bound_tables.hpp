// Upper bounds of a pattern over ranges of rotations, as whole numbers: what the bounds of nbedex/search.hpp are added from.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/kernels.hpp"
#include "pattern.hpp"
#include "rounded.hpp"
#include "sector_layout.hpp"

namespace nbedex {

/// A pattern and its mirror image, rounded up to whole multiples of unit(), at most 126. Beside the value of each bin stands that of the bin half a
/// turn further: who looks at one looks at the other. Every ring is stored twice in a row, so that no azimuth wraps.
class RoundedPattern {
public:
    RoundedPattern(std::size_t n_rings, std::size_t n_azimuths)
        : n_azimuths_(n_azimuths),
          direct_(4 * n_rings * n_azimuths),
          mirrored_(direct_.size()),
          ring_maxima_((n_rings + 3) / 4 * 4, 0),
          first_(n_rings + 1, 0),
          positive_((n_azimuths + 63) / 64) {}

    void load(const NormalisedPattern& pattern) {
        clear();
        unit_ = unit_of(std::max(pattern.largest(), 1e-30F), most_whole);
        per_unit_ = 1 / double{unit_};
        const float per_unit = 1 / unit_;
        not_zero_.clear();
        for (std::size_t r = 0; r < n_rings(); ++r) {
            const float* values = pattern.ring(r);
            find_positive(values);
            first_[r + 1] = not_zero_.size();
            std::uint8_t most = 0;
            for (const std::uint16_t a : not_zero(r)) {
                const std::uint8_t whole = rounded_up(values[a], per_unit, most_whole);
                put(r, a, whole);
                most = std::max(most, whole);
            }
            ring_maxima_[r] = most;
        }
    }

    /// The bins of ring r that are not zero: few, where patterns are sparse.
    [[nodiscard]] std::span<const std::uint16_t> not_zero(std::size_t r) const noexcept {
        return {not_zero_.data() + first_[r], first_[r + 1] - first_[r]};
    }

    [[nodiscard]] std::uint8_t value(std::size_t r, std::size_t a) const noexcept { return direct_[2 * (2 * n_azimuths_ * r + a)]; }
    /// Two values for each bin; ring r starts at rows(…) + r * 4 * n_azimuths().
    [[nodiscard]] const std::uint8_t* rows(bool mirrored) const noexcept { return (mirrored ? mirrored_ : direct_).data(); }
    /// Maximum of each ring, then zeros up to a multiple of four.
    [[nodiscard]] const std::uint8_t* ring_maxima() const noexcept { return ring_maxima_.data(); }
    [[nodiscard]] std::size_t n_rings() const noexcept { return first_.size() - 1; }
    [[nodiscard]] std::size_t n_azimuths() const noexcept { return n_azimuths_; }
    /// The bin of the mirror image that bin a is.
    [[nodiscard]] std::size_t mirrored(std::size_t a) const noexcept { return a > 0 ? n_azimuths_ - a : 0; }
    [[nodiscard]] float unit() const noexcept { return unit_; }
    [[nodiscard]] double per_unit() const noexcept { return per_unit_; }

private:
    /// Takes the last pattern out again.
    void clear() {
        for (std::size_t r = 0; r < n_rings(); ++r)
            for (const std::uint16_t a : not_zero(r)) put(r, a, 0);
    }

    void find_positive(const float* ring) {
        kernels::active().values->positive_bits(ring, n_azimuths_, positive_.data());
        for (std::size_t word = 0; word < positive_.size(); ++word)
            for (std::uint64_t bits = positive_[word]; bits != 0; bits &= bits - 1)
                not_zero_.push_back(static_cast<std::uint16_t>(64 * word + static_cast<std::size_t>(std::countr_zero(bits))));
    }

    void put(std::size_t r, std::size_t a, std::uint8_t value) {
        put(direct_.data() + 4 * n_azimuths_ * r, a, value);
        put(mirrored_.data() + 4 * n_azimuths_ * r, mirrored(a), value);
    }

    void put(std::uint8_t* ring, std::size_t a, std::uint8_t value) {
        const std::size_t half = n_azimuths_ / 2, before = a < half ? a + half : a - half;
        for (const std::size_t copy : {std::size_t{0}, n_azimuths_}) ring[2 * (a + copy)] = ring[2 * (before + copy) + 1] = value;
    }

    std::size_t n_azimuths_;
    float unit_ = 1;
    double per_unit_ = 1;
    std::vector<std::uint8_t> direct_, mirrored_, ring_maxima_;
    std::vector<std::uint16_t> not_zero_;
    std::vector<std::size_t> first_;        // of each ring in not_zero_
    std::vector<std::uint64_t> positive_;  // bins of a ring, a bit for each
};

/// What spots find in pairs of rotations: for an even bin, a ring has the maxima over the bins 0 and 1, 2 and 3, …, twice; for an odd bin those
/// over 1 and 2, 3 and 4, ….
class PairMaxima {
public:
    PairMaxima(std::size_t n_rings, std::size_t n_azimuths) : n_(n_rings * n_azimuths), values_(4 * n_) {}

    void load(const RoundedPattern& pattern) {
        std::ranges::fill(values_, std::uint8_t{0});
        const std::size_t n = pattern.n_azimuths();
        for (std::size_t r = 0; r < pattern.n_rings(); ++r)
            for (const std::uint16_t a : pattern.not_zero(r))
                for (const bool mirrored : {false, true})
                    for (const std::size_t copy : {std::size_t{0}, n}) put(mirrored, r * n, copy + (mirrored ? pattern.mirrored(a) : a), pattern.value(r, a));
    }

    /// Ring r starts at r * n_azimuths.
    [[nodiscard]] const std::uint8_t* even(bool mirrored) const noexcept { return values_.data() + (mirrored ? 2 * n_ : 0); }
    [[nodiscard]] const std::uint8_t* odd(bool mirrored) const noexcept { return even(mirrored) + n_; }

private:
    void put(bool mirrored, std::size_t ring, std::size_t bin, std::uint8_t value) {
        std::uint8_t *even = values_.data() + (mirrored ? 2 * n_ : 0) + ring, *odd = even + n_;
        even[bin / 2] = std::max(even[bin / 2], value);
        if (bin > 0) odd[(bin - 1) / 2] = std::max(odd[(bin - 1) / 2], value);
    }

    std::size_t n_;
    std::vector<std::uint8_t> values_;
};

/// The bins of a ring in columns, those of a sector one below the other, of which rows of sector maxima are made.
class RingColumns {
public:
    explicit RingColumns(const SectorLayout& layout) : layout_(layout), values_(layout.length() * kernels::column_bytes) {
        for (std::size_t a = 0; a < 2 * layout.half(); ++a)
            at_.push_back(static_cast<std::uint16_t>(a % layout.length() * kernels::column_bytes + layout.bytes() * (a / layout.length())));
    }

    void clear() { std::ranges::fill(values_, std::uint8_t{0}); }
    /// `byte`: which of those of a sector.
    void put(std::size_t azimuth, std::uint8_t value, std::size_t byte = 0) {
        const std::size_t at = at_[azimuth] + byte, turn = 2 * layout_.n_sectors() * layout_.bytes();
        values_[at] = values_[at + turn] = value;
    }
    /// The rows of a ring in a table.
    void make_rows(std::size_t ring, std::vector<SectorRow>& table) const {
        kernels::active().tables->sector_rows(values_.data(), {layout_.n_sectors(), layout_.length(), layout_.step(), layout_.span(), layout_.bytes()},
                                              table[layout_.first_row(ring, false)].values, table[layout_.first_row(ring, true)].values);
    }

private:
    SectorLayout layout_;
    std::vector<std::uint8_t> values_;
    std::vector<std::uint16_t> at_;  // of a bin
};

/// What spots find in sectors of rotations (6 degrees, and those half a turn further), for the pattern and for its mirror image: two spots half a
/// turn apart the sum of two maxima, a spot alone the larger of them. In units of twice that of the pattern, so at most 126.
class SectorMaxima {
public:
    SectorMaxima(std::size_t n_rings, std::size_t n_azimuths)
        : layout_(SectorLayout::of_templates(n_rings, n_azimuths)), columns_(layout_), direct_(layout_.n_rows()), mirrored_(layout_.n_rows()) {}

    void load(const RoundedPattern& pattern) {
        for (std::size_t ring = 0; ring < pattern.n_rings(); ++ring)
            for (const bool mirrored : {false, true}) {
                columns_.clear();
                for (const std::uint16_t a : pattern.not_zero(ring)) columns_.put(mirrored ? pattern.mirrored(a) : a, pattern.value(ring, a));
                columns_.make_rows(ring, mirrored ? mirrored_ : direct_);
            }
    }

    [[nodiscard]] const SectorLayout& layout() const noexcept { return layout_; }
    /// A bit for every lane that is a sector of its own; those beyond repeat the first ones.
    [[nodiscard]] std::uint32_t lanes() const noexcept { return static_cast<std::uint32_t>((std::uint64_t{1} << layout_.n_sectors()) - 1); }
    [[nodiscard]] kernels::SectorTable table() const { return {direct_.front().values, mirrored_.front().values}; }

private:
    SectorLayout layout_;
    RingColumns columns_;
    std::vector<SectorRow> direct_, mirrored_;
};

/// The same for groups of templates, of the pattern and its mirror image side by side.
class GroupMaxima {
public:
    GroupMaxima(std::size_t n_rings, std::size_t n_azimuths)
        : columns_(SectorLayout::of_groups(n_rings, n_azimuths)), rows_(SectorLayout::of_groups(n_rings, n_azimuths).n_rows()) {}

    void load(const RoundedPattern& pattern) {
        for (std::size_t ring = 0; ring < pattern.n_rings(); ++ring) {
            columns_.clear();
            for (const std::uint16_t a : pattern.not_zero(ring)) {
                columns_.put(a, pattern.value(ring, a), 0);
                columns_.put(pattern.mirrored(a), pattern.value(ring, a), 1);
            }
            columns_.make_rows(ring, rows_);
        }
    }

    [[nodiscard]] const std::uint8_t* table() const { return rows_.front().values; }

private:
    RingColumns columns_;
    std::vector<SectorRow> rows_;
};

}  // namespace nbedex
