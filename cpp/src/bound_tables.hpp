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

/// The positive bins of a pattern, rounded up to whole multiples of unit(), at most 126.
class RoundedPattern {
public:
    struct Bin {
        std::uint16_t azimuth;
        std::uint8_t value;
    };

    RoundedPattern(std::size_t n_rings, std::size_t n_azimuths)
        : n_azimuths_(n_azimuths), ring_maxima_((n_rings + 3) / 4 * 4, 0), first_(n_rings + 1, 0), positive_((n_azimuths + 63) / 64) {}

    void load(const NormalisedPattern& pattern) {
        unit_ = unit_of(std::max(pattern.largest(), 1e-30F), most_whole);
        per_unit_ = 1 / double{unit_};
        const float per_unit = 1 / unit_;
        bins_.clear();
        for (std::size_t r = 0; r < n_rings(); ++r) {
            const float* values = pattern.ring(r);
            ring_maxima_[r] = 0;
            for_positive(values, [&](std::size_t a) {
                bins_.push_back({static_cast<std::uint16_t>(a), rounded_up(values[a], per_unit, most_whole)});
                ring_maxima_[r] = std::max(ring_maxima_[r], bins_.back().value);
            });
            first_[r + 1] = bins_.size();
        }
    }

    /// Those of ring r by rising azimuth: few, where patterns are sparse.
    [[nodiscard]] std::span<const Bin> bins(std::size_t r) const noexcept { return {bins_.data() + first_[r], first_[r + 1] - first_[r]}; }
    /// Maximum of each ring, then zeros up to a multiple of four.
    [[nodiscard]] const std::uint8_t* ring_maxima() const noexcept { return ring_maxima_.data(); }
    [[nodiscard]] std::size_t n_rings() const noexcept { return first_.size() - 1; }
    /// The bin of the mirror image that bin a is.
    [[nodiscard]] std::size_t mirrored(std::size_t a) const noexcept { return a > 0 ? n_azimuths_ - a : 0; }
    [[nodiscard]] float unit() const noexcept { return unit_; }
    [[nodiscard]] double per_unit() const noexcept { return per_unit_; }

private:
    template <class F>
    void for_positive(const float* ring, F&& f) {
        kernels::active().values->positive_bits(ring, n_azimuths_, positive_.data());
        for (std::size_t word = 0; word < positive_.size(); ++word)
            for (std::uint64_t bits = positive_[word]; bits != 0; bits &= bits - 1) f(64 * word + static_cast<std::size_t>(std::countr_zero(bits)));
    }

    std::size_t n_azimuths_;
    float unit_ = 1;
    double per_unit_ = 1;
    std::vector<std::uint8_t> ring_maxima_;
    std::vector<Bin> bins_;
    std::vector<std::size_t> first_;       // of each ring in bins_
    std::vector<std::uint64_t> positive_;  // bins of a ring, a bit for each
};

/// What spots find in single rotations, for the pattern and for its mirror image, in units of twice that of the pattern: two spots half a turn apart the sum of two bins, a
/// spot alone the larger of them. So it holds for a rotation and for that half a turn further.
class RotationValues {
public:
    RotationValues(std::size_t n_rings, std::size_t n_azimuths)
        : layout_(n_rings, n_azimuths), direct_(layout_.size()), mirrored_(layout_.size()), ring_(n_azimuths) {}

    void load(const RoundedPattern& pattern) {
        for (const Filled& last : filled_) put(last, 0, 0);
        filled_.clear();
        const std::size_t half = layout_.half();
        for (std::size_t r = 0; r < pattern.n_rings(); ++r) {
            for (const auto& [azimuth, value] : pattern.bins(r)) ring_[azimuth] = value;
            for (const auto& [azimuth, value] : pattern.bins(r)) {
                const std::size_t first = azimuth < half ? azimuth : azimuth - half;
                if (first != azimuth && ring_[first] > 0) continue;  // the first of the two stood for both
                const int a = ring_[first], b = ring_[first + half];
                filled_.push_back({layout_.place(r, 0, false), first});
                put(filled_.back(), static_cast<std::uint8_t>((a + b + 1) / 2), static_cast<std::uint8_t>((std::max(a, b) + 1) / 2));
            }
            for (const auto& [azimuth, value] : pattern.bins(r)) ring_[azimuth] = 0;
        }
    }

    [[nodiscard]] const RotationLayout& layout() const noexcept { return layout_; }
    [[nodiscard]] const std::uint8_t* rows(bool mirrored) const noexcept { return (mirrored ? mirrored_ : direct_).data(); }

private:
    /// Two bins half a turn apart: where the rows of their ring begin, and the first of them.
    struct Filled {
        std::size_t rows, first;
    };

    void put(const Filled& at, std::uint8_t both, std::uint8_t alone) {
        put(direct_.data() + at.rows, at.first, both, alone);
        put(mirrored_.data() + at.rows, at.first > 0 ? layout_.half() - at.first : 0, both, alone);
    }

    /// Again and again, so that no rotation wraps.
    void put(std::uint8_t* rows, std::size_t at, std::uint8_t both, std::uint8_t alone) const {
        for (; at < layout_.row_bytes(); at += layout_.half()) {
            rows[at] = both;
            rows[at + layout_.row_bytes()] = alone;
        }
    }

    RotationLayout layout_;
    std::vector<std::uint8_t> direct_, mirrored_;
    std::vector<std::uint8_t> ring_;  // bins of the ring that is loaded
    std::vector<Filled> filled_;
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
                for (const auto& [azimuth, value] : pattern.bins(ring)) columns_.put(mirrored ? pattern.mirrored(azimuth) : azimuth, value);
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
            for (const auto& [azimuth, value] : pattern.bins(ring)) {
                columns_.put(azimuth, value, 0);
                columns_.put(pattern.mirrored(azimuth), value, 1);
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
