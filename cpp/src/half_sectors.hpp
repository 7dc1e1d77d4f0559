// Upper bounds of a pattern over halves of sectors of rotations: the finer level for images that whole sectors do not settle.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "bound_tables.hpp"

namespace nbedex {

/// What spots find in halves of sectors, and in those half a turn further, as SectorMaxima has it of whole sectors: a spot with place p in the table of
/// sectors finds what holds for half f at 2 p + f, as rows have twice as many bytes and begin with the same bins.
class HalfSectorMaxima {
public:
    HalfSectorMaxima(std::size_t n_rings, std::size_t n_azimuths)
        : layout_(SectorLayout::of_templates(n_rings, n_azimuths)),
          direct_(layout_.n_rows() * row_bytes),
          mirrored_(direct_.size()),
          most_(layout_.rows()) {
        std::vector<std::vector<Lane>> lanes(n_azimuths);
        for (std::size_t half = 0; half < size(); ++half)
            for (std::size_t row = 0; row < layout_.rows(); ++row)
                for (const bool turned : {false, true})
                    for (std::size_t i = 0; i < window(); ++i)
                        lanes[(layout_.first_of_half(half) + row * layout_.step() + turned * layout_.half() + i) % n_azimuths].push_back(
                            {static_cast<std::uint16_t>(row), static_cast<std::uint16_t>(turned * most_halves + half)});
        for (const std::vector<Lane>& of_bin : lanes) {
            lanes_.insert(lanes_.end(), of_bin.begin(), of_bin.end());
            first_lane_.push_back(lanes_.size());
        }
    }

    void load(const RoundedPattern& pattern) {
        for (std::size_t ring = 0; ring < pattern.n_rings(); ++ring) {
            load(pattern, ring, false, direct_.data());
            load(pattern, ring, true, mirrored_.data());
        }
    }

    [[nodiscard]] std::size_t size() const noexcept { return 2 * layout_.n_sectors(); }
    /// A bit for every lane that is a half of its own.
    [[nodiscard]] std::uint64_t lanes() const noexcept { return ~std::uint64_t{0} >> (most_halves - size()); }
    [[nodiscard]] const std::uint8_t* rows(bool mirrored) const noexcept { return (mirrored ? mirrored_ : direct_).data(); }

private:
    static constexpr std::size_t most_halves = 2 * kernels::sector_lanes, row_bytes = 2 * SectorLayout::row_bytes;

    /// Where a bin counts: a row, and in it a half or, further on, one whose half turn it lies in.
    struct Lane {
        std::uint16_t row, at;
    };

    /// Bins that spots of a row may find in the larger half of a sector.
    [[nodiscard]] std::size_t window() const noexcept { return (layout_.length() + 1) / 2 + layout_.step() - 1; }

    void load(const RoundedPattern& pattern, std::size_t ring, bool mirrored, std::uint8_t* table) {
        std::ranges::fill(most_, Row{});
        for (const std::uint16_t a : pattern.not_zero(ring)) {
            const std::size_t bin = mirrored ? pattern.mirrored(a) : a;
            const std::uint8_t value = pattern.value(ring, a);
            for (std::size_t i = first_lane_[bin]; i < first_lane_[bin + 1]; ++i) {
                std::uint8_t& most = most_[lanes_[i].row][lanes_[i].at];
                most = std::max(most, value);
            }
        }
        for (std::size_t row = 0; row < layout_.rows(); ++row) {
            const std::uint8_t *one = most_[row].data(), *other = one + most_halves;
            std::array<std::uint8_t, most_halves> both, alone;
            for (std::size_t half = 0; half < most_halves; ++half) {
                both[half] = static_cast<std::uint8_t>((one[half] + other[half] + 1) / 2);
                alone[half] = static_cast<std::uint8_t>((std::max(one[half], other[half]) + 1) / 2);
            }
            fill(table + (layout_.first_row(ring, false) + row) * row_bytes, both.data());
            fill(table + (layout_.first_row(ring, true) + row) * row_bytes, alone.data());
        }
    }

    /// Again and again, so that no place wraps.
    void fill(std::uint8_t* row, const std::uint8_t* halves) const {
        for (std::size_t i = 0; i < row_bytes; i += size()) std::copy_n(halves, std::min(size(), row_bytes - i), row + i);
    }

    using Row = std::array<std::uint8_t, 2 * most_halves>;
    SectorLayout layout_;
    std::vector<std::uint8_t> direct_, mirrored_;
    std::vector<Row> most_;                   // of a ring
    std::vector<Lane> lanes_;                 // of all bins, one after the other
    std::vector<std::size_t> first_lane_{0};  // of each bin
};

}  // namespace nbedex
