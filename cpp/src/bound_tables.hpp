// Upper bounds of a pattern over ranges of rotations, as whole numbers: what the bounds of nbedex/search.hpp are added from.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/kernels.hpp"
#include "pattern.hpp"
#include "rounded.hpp"
#include "sector_layout.hpp"

namespace nbedex {

/// A pattern and its mirror image, rounded up to whole multiples of unit(), at most 126. Every ring is stored twice in a row, so that no azimuth wraps.
class RoundedPattern {
public:
    RoundedPattern(std::size_t n_rings, std::size_t n_azimuths)
        : n_azimuths_(n_azimuths),
          direct_(2 * n_rings * n_azimuths + kernels::many_rotations),  // from the end of the last ring all lanes are read
          mirrored_(direct_.size()),
          ring_maxima_((n_rings + 3) / 4 * 4, 0) {}

    void load(const NormalisedPattern& pattern) {
        unit_ = unit_of(std::max(pattern.largest(), 1e-30F), most_whole);
        per_unit_ = 1 / double{unit_};
        for (std::size_t r = 0; r < pattern.n_rings(); ++r) {
            const std::size_t start = 2 * n_azimuths_ * r;
            std::uint8_t *direct = direct_.data() + start, *mirrored = mirrored_.data() + start;
            ring_maxima_[r] = kernels::active().tables->rounded_up(pattern.ring(r), n_azimuths_, 1 / unit_, direct);
            mirrored[0] = direct[0];
            std::reverse_copy(direct + 1, direct + n_azimuths_, mirrored + 1);
            for (std::uint8_t* of : {direct, mirrored}) std::copy_n(of, n_azimuths_, of + n_azimuths_);
        }
    }

    /// Ring r starts at rows(…) + r * 2 * n_azimuths().
    [[nodiscard]] const std::uint8_t* rows(bool mirrored) const noexcept { return (mirrored ? mirrored_ : direct_).data(); }
    [[nodiscard]] const std::uint8_t* ring(std::size_t r, bool mirrored) const noexcept { return rows(mirrored) + 2 * n_azimuths_ * r; }
    /// Maximum of each ring, then zeros up to a multiple of four.
    [[nodiscard]] const std::uint8_t* ring_maxima() const noexcept { return ring_maxima_.data(); }
    [[nodiscard]] std::size_t n_azimuths() const noexcept { return n_azimuths_; }
    [[nodiscard]] float unit() const noexcept { return unit_; }
    [[nodiscard]] double per_unit() const noexcept { return per_unit_; }

private:
    std::size_t n_azimuths_;
    float unit_ = 1;
    double per_unit_ = 1;
    std::vector<std::uint8_t> direct_, mirrored_, ring_maxima_;
};

/// Maxima over windows of a ring, taken as a circle.
class SlidingMaximum {
public:
    explicit SlidingMaximum(std::size_t n_azimuths) : n_(n_azimuths), window_(2 * n_azimuths), wider_(2 * n_azimuths) {}

    /// Where to put the n_azimuths bins of a ring before `slide`.
    [[nodiscard]] std::uint8_t* ring() noexcept { return window_.data(); }

    /// Afterwards data()[i], i = 0 … 2 n_azimuths - 1 - length, is the maximum over the bins i … i + length - 1; by windows of 1, 2, 4, …
    /// bins and then two that overlap.
    void slide(std::size_t length) {
        std::copy_n(window_.begin(), n_, window_.begin() + static_cast<std::ptrdiff_t>(n_));
        std::size_t covered = 1;
        for (; 2 * covered <= length; covered *= 2) widen(covered);
        if (covered < length) widen(length - covered);
    }

    [[nodiscard]] const std::uint8_t* data() const noexcept { return window_.data(); }

private:
    void widen(std::size_t by) {
        kernels::active().tables->larger(window_.data(), by, 2 * n_ - by, wider_.data());
        window_.swap(wider_);
    }

    std::size_t n_;
    std::vector<std::uint8_t> window_, wider_;
};

/// What spots find in sectors of rotations (6 degrees, and the same turned by half), for the pattern and for its mirror image: pairs of spots half a turn apart
/// the sum of two maxima, spots alone the larger one. In units of four times that of the pattern, so at most 63.
class SectorMaxima {
public:
    SectorMaxima(std::size_t n_rings, std::size_t n_azimuths)
        : layout_(n_rings, n_azimuths), n_rings_(n_rings), direct_(layout_.size() / SectorLayout::width), mirrored_(direct_.size()), maximum_(n_azimuths), both_(layout_.half()), larger_(layout_.half()) {
        const std::size_t half = layout_.half();
        for (std::size_t row = 0; row < layout_.rows(); ++row)
            for (std::size_t j = 0; j < layout_.n_sectors(); ++j) {
                const std::size_t first = row * layout_.step() + j * layout_.length(), last = first + layout_.window() - 1;
                bins_.push_back(static_cast<std::uint16_t>(first));
                // The mirrored ring's bins first … last are the ring's bins -last … -first. A window is shorter than the ring.
                mirrored_bins_.push_back(static_cast<std::uint16_t>((4 * half - last) % half));
            }
    }

    void load(const RoundedPattern& pattern) {
        const std::size_t half = layout_.half();
        for (std::size_t ring = 0; ring < n_rings_; ++ring) {
            std::copy_n(pattern.ring(ring, false), pattern.n_azimuths(), maximum_.ring());
            maximum_.slide(layout_.window());
            const std::uint8_t *one = maximum_.data(), *other = one + half;
            for (std::size_t a = 0; a < half; ++a) {
                both_[a] = static_cast<std::uint8_t>((one[a] + other[a] + 1) / 2);
                larger_[a] = static_cast<std::uint8_t>((std::max(one[a], other[a]) + 1) / 2);
            }
            for (const bool alone : {false, true})
                for (std::size_t row = 0; row < layout_.rows(); ++row) {
                    const std::size_t first = row * layout_.n_sectors(), to = layout_.first_row(ring, alone) + row;
                    fill_row((alone ? larger_ : both_).data(), bins_.data() + first, direct_[to].values);
                    fill_row((alone ? larger_ : both_).data(), mirrored_bins_.data() + first, mirrored_[to].values);
                }
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

    /// values[bins[j]] for each sector j, then from the beginning again.
    void fill_row(const std::uint8_t* __restrict values, const std::uint16_t* __restrict bins, std::uint8_t* __restrict row) const {
        const std::size_t n = layout_.n_sectors();
        for (std::size_t j = 0; j < n; ++j) row[j] = values[bins[j]];
        for (std::size_t j = n; j < SectorLayout::width; ++j) row[j] = row[j - n];
    }

    SectorLayout layout_;
    std::size_t n_rings_;
    std::vector<Row> direct_, mirrored_;  // and a last row where nothing is found
    std::vector<std::uint16_t> bins_, mirrored_bins_;  // where the values of a ring's rows are maxima from
    SlidingMaximum maximum_;
    std::vector<std::uint8_t> both_, larger_;
};

}  // namespace nbedex
