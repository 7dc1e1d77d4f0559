// Upper bounds of a pattern over ranges of rotations, as whole numbers: what the bounds of nbedex/search.hpp are added from.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "kernels/kernels.hpp"
#include "pattern.hpp"
#include "rounded.hpp"
#include "sector_layout.hpp"

namespace nbedex {

/// A pattern and its mirror image, rounded up to whole multiples of unit(), at most 126. Every ring is stored twice in a row, so that no
/// azimuth wraps.
class RoundedPattern {
public:
    RoundedPattern(std::size_t n_rings, std::size_t n_azimuths)
        : n_azimuths_(n_azimuths),
          direct_(2 * n_rings * n_azimuths + kernels::few_rotations),  // from the end of the last ring all lanes are read
          mirrored_(direct_.size()),
          ring_maxima_((n_rings + 3) / 4 * 4, 0),
          first_(n_rings + 1, 0) {}

    void load(const NormalisedPattern& pattern) {
        unit_ = unit_of(std::max(pattern.largest(), 1e-30F), most_whole);
        per_unit_ = 1 / double{unit_};
        std::ranges::fill(mirrored_, std::uint8_t{0});
        not_zero_.clear();
        for (std::size_t r = 0; r + 1 < first_.size(); ++r) {
            std::uint8_t* direct = direct_.data() + 2 * n_azimuths_ * r;
            std::uint8_t* mirrored = mirrored_.data() + 2 * n_azimuths_ * r;
            ring_maxima_[r] = kernels::active().tables->rounded_up(pattern.ring(r), n_azimuths_, 1 / unit_, direct);
            std::copy_n(direct, n_azimuths_, direct + n_azimuths_);
            find_not_zero(direct);
            first_[r + 1] = not_zero_.size();
            for (const std::uint16_t a : not_zero(r)) {
                const std::size_t opposite = n_azimuths_ - a;
                mirrored[opposite] = direct[a];
                mirrored[a == 0 ? 0 : opposite + n_azimuths_] = direct[a];
            }
        }
    }

    /// The bins of ring r that are not zero: few, where patterns are sparse.
    [[nodiscard]] std::span<const std::uint16_t> not_zero(std::size_t r) const noexcept {
        return {not_zero_.data() + first_[r], first_[r + 1] - first_[r]};
    }

    /// Ring r starts at rows(…) + r * 2 * n_azimuths().
    [[nodiscard]] const std::uint8_t* rows(bool mirrored) const noexcept { return (mirrored ? mirrored_ : direct_).data(); }
    [[nodiscard]] const std::uint8_t* ring(std::size_t r) const noexcept { return direct_.data() + 2 * n_azimuths_ * r; }
    /// Maximum of each ring, then zeros up to a multiple of four.
    [[nodiscard]] const std::uint8_t* ring_maxima() const noexcept { return ring_maxima_.data(); }
    [[nodiscard]] std::size_t n_azimuths() const noexcept { return n_azimuths_; }
    [[nodiscard]] float unit() const noexcept { return unit_; }
    [[nodiscard]] double per_unit() const noexcept { return per_unit_; }

private:
    void find_not_zero(const std::uint8_t* ring) {
        constexpr std::size_t together = 8;
        for (std::size_t first = 0; first < n_azimuths_; first += together) {
            std::uint64_t some;
            std::memcpy(&some, ring + first, sizeof some);  // the second copy follows
            if (some == 0) continue;
            for (std::size_t a = first; a < std::min(first + together, n_azimuths_); ++a)
                if (ring[a] != 0) not_zero_.push_back(static_cast<std::uint16_t>(a));
        }
    }

    std::size_t n_azimuths_;
    float unit_ = 1;
    double per_unit_ = 1;
    std::vector<std::uint8_t> direct_, mirrored_, ring_maxima_;
    std::vector<std::uint16_t> not_zero_;
    std::vector<std::size_t> first_;  // of each ring in not_zero_
};

/// What spots find in pairs of rotations: for an even bin, a ring has the maxima over the bins 0 and 1, 2 and 3, …, twice; for an odd bin those
/// over 1 and 2, 3 and 4, ….
class PairMaxima {
public:
    PairMaxima(std::size_t n_rings, std::size_t n_azimuths) : n_(n_rings * n_azimuths), values_(4 * n_) {}

    void load(const RoundedPattern& pattern) {
        for (const bool mirrored : {false, true}) {
            const std::uint8_t* rows = pattern.rows(mirrored);
            std::uint8_t *to_even = even_of(mirrored), *to_odd = to_even + n_;
            for (std::size_t pair = 0; pair < n_; ++pair) {
                const std::uint8_t middle = rows[2 * pair + 1];
                to_even[pair] = std::max(rows[2 * pair], middle);
                to_odd[pair] = std::max(middle, rows[2 * pair + 2]);
            }
        }
    }

    /// Ring r starts at r * n_azimuths.
    [[nodiscard]] const std::uint8_t* even(bool mirrored) const noexcept { return values_.data() + (mirrored ? 2 * n_ : 0); }
    [[nodiscard]] const std::uint8_t* odd(bool mirrored) const noexcept { return even(mirrored) + n_; }

private:
    std::uint8_t* even_of(bool mirrored) noexcept { return values_.data() + (mirrored ? 2 * n_ : 0); }
    std::size_t n_;
    std::vector<std::uint8_t> values_;
};

/// What spots find in sectors of rotations (6 degrees, and those half a turn further), for the pattern and for its mirror image: two spots half a
/// turn apart the sum of two maxima, a spot alone the larger of them. In units of twice that of the pattern, so at most 126.
class SectorMaxima {
public:
    SectorMaxima(std::size_t n_rings, std::size_t n_azimuths)
        : layout_(n_rings, n_azimuths),
          n_rings_(n_rings),
          direct_(layout_.size() / SectorLayout::width),
          mirrored_(direct_.size()),
          columns_(layout_.length() * kernels::column_bytes) {
        for (std::size_t a = 0; a < n_azimuths; ++a)
            column_.push_back(static_cast<std::uint16_t>(a % layout_.length() * kernels::column_bytes + a / layout_.length()));
    }

    void load(const RoundedPattern& pattern) {
        for (std::size_t ring = 0; ring < n_rings_; ++ring) {
            load(pattern, ring, false, direct_);
            load(pattern, ring, true, mirrored_);
        }
    }

    [[nodiscard]] const SectorLayout& layout() const noexcept { return layout_; }
    /// A bit for every lane that is a sector of its own; those beyond repeat the first ones.
    [[nodiscard]] std::uint32_t lanes() const noexcept { return static_cast<std::uint32_t>((std::uint64_t{1} << layout_.n_sectors()) - 1); }
    [[nodiscard]] kernels::SectorTable table() const { return {direct_.front().values, mirrored_.front().values}; }

private:
    /// A row is a line of the cache, so that no load touches two.
    struct alignas(SectorLayout::width) Row {
        std::uint8_t values[SectorLayout::width] = {};
    };

    void load(const RoundedPattern& pattern, std::size_t ring, bool mirrored, std::vector<Row>& rows) {
        const std::size_t n = pattern.n_azimuths(), n_columns = 2 * layout_.n_sectors();
        std::ranges::fill(columns_, std::uint8_t{0});
        for (const std::uint16_t a : pattern.not_zero(ring)) {
            const std::size_t at = column_[mirrored && a > 0 ? n - a : a];
            columns_[at] = columns_[at + n_columns] = pattern.ring(ring)[a];
        }
        kernels::active().tables->sector_rows(columns_.data(), {layout_.n_sectors(), layout_.length(), layout_.step(), layout_.step(), 1},
                                              rows[layout_.first_row(ring, false)].values, rows[layout_.first_row(ring, true)].values);
    }

    SectorLayout layout_;
    std::size_t n_rings_;
    std::vector<Row> direct_, mirrored_;  // and a last row where nothing is found
    std::vector<std::uint8_t> columns_;   // of a ring, for sector_rows
    std::vector<std::uint16_t> column_;   // of a bin
};

/// The same for groups of templates, of the pattern and its mirror image side by side.
class UnionMaxima {
public:
    UnionMaxima(std::size_t n_rings, std::size_t n_azimuths)
        : layout_(n_rings, n_azimuths),
          n_rings_(n_rings),
          rows_(layout_.n_rows()),
          columns_(layout_.length() * kernels::column_bytes) {
        for (std::size_t a = 0; a < n_azimuths; ++a)
            column_.push_back(static_cast<std::uint16_t>(a % layout_.length() * kernels::column_bytes + 2 * (a / layout_.length())));
    }

    void load(const RoundedPattern& pattern) {
        const std::size_t n = pattern.n_azimuths(), turn = 4 * layout_.n_sectors();  // bytes
        for (std::size_t ring = 0; ring < n_rings_; ++ring) {
            std::ranges::fill(columns_, std::uint8_t{0});
            for (const std::uint16_t a : pattern.not_zero(ring)) {
                const std::size_t at = column_[a], mirrored = column_[a > 0 ? n - a : a] + std::size_t{1};
                columns_[at] = columns_[at + turn] = columns_[mirrored] = columns_[mirrored + turn] = pattern.ring(ring)[a];
            }
            kernels::active().tables->sector_rows(columns_.data(), {layout_.n_sectors(), layout_.length(), layout_.step(), layout_.span(), 2},
                                                  rows_[layout_.first_row(ring, false)].values, rows_[layout_.first_row(ring, true)].values);
        }
    }

    [[nodiscard]] const std::uint8_t* table() const { return rows_.front().values; }

private:
    struct alignas(UnionLayout::width) Row {
        std::uint8_t values[UnionLayout::width] = {};
    };

    UnionLayout layout_;
    std::size_t n_rings_;
    std::vector<Row> rows_;               // and a last one where nothing is found
    std::vector<std::uint8_t> columns_;   // of a ring, for sector_rows
    std::vector<std::uint16_t> column_;   // of a bin
};

}  // namespace nbedex
