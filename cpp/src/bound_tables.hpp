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

/// A pattern rounded up to whole multiples of unit(), at most 126.
class RoundedPattern {
public:
    RoundedPattern(std::size_t n_rings, std::size_t n_azimuths)
        : n_azimuths_(n_azimuths), values_(n_rings * n_azimuths), ring_maxima_((n_rings + 3) / 4 * 4, 0) {}

    void load(const NormalisedPattern& pattern) {
        unit_ = unit_of(std::max(pattern.largest(), 1e-30F), most_whole);
        per_unit_ = 1 / double{unit_};
        for (std::size_t ring = 0; ring < pattern.n_rings(); ++ring)
            ring_maxima_[ring] = kernels::active().tables->rounded_up(pattern.ring(ring), n_azimuths_, 1 / unit_, values_.data() + ring * n_azimuths_);
    }

    [[nodiscard]] const std::uint8_t* ring(std::size_t r) const noexcept { return values_.data() + r * n_azimuths_; }
    /// Maximum of each ring, then zeros up to a multiple of four.
    [[nodiscard]] const std::uint8_t* ring_maxima() const noexcept { return ring_maxima_.data(); }
    [[nodiscard]] std::size_t n_rings() const noexcept { return values_.size() / n_azimuths_; }
    [[nodiscard]] std::size_t n_azimuths() const noexcept { return n_azimuths_; }
    [[nodiscard]] float unit() const noexcept { return unit_; }
    [[nodiscard]] double per_unit() const noexcept { return per_unit_; }

private:
    std::size_t n_azimuths_;
    float unit_ = 1;
    double per_unit_ = 1;
    std::vector<std::uint8_t> values_, ring_maxima_;
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

/// One row of a table: values[bins[j]] for j = 0 … n - 1, then from the beginning again to fill `width`.
inline void fill_row(const std::uint8_t* __restrict values, const std::uint16_t* __restrict bins, std::size_t n, std::size_t width,
                     std::uint8_t* __restrict row) {
    for (std::size_t j = 0; j < n; ++j) row[j] = values[bins[j]];
    for (std::size_t j = n; j < width; ++j) row[j] = row[j - n];
}

/// Which rings of a table hold nothing: sparse patterns leave many empty, and those need not be filled again and again.
class EmptyRings {
public:
    explicit EmptyRings(std::size_t n_rings) : empty_(n_rings, 1) {}

    /// Whether ring r must be filled: it holds something, or else is set to zero here if it did before.
    [[nodiscard]] bool to_fill(const RoundedPattern& pattern, std::size_t r, std::uint8_t* ring, std::size_t size) {
        const bool empty = pattern.ring_maxima()[r] == 0;
        if (empty && !empty_[r]) std::fill_n(ring, size, std::uint8_t{0});
        empty_[r] = empty;
        return !empty;
    }

private:
    std::vector<std::uint8_t> empty_;
};

/// Maxima over sectors of rotations (12 degrees), for the pattern and for its mirror image.
class SectorMaxima {
public:
    SectorMaxima(std::size_t n_rings, std::size_t n_azimuths)
        : layout_(n_rings, n_azimuths), direct_(layout_.size(), 0), mirrored_(layout_.size(), 0), maximum_(n_azimuths), empty_(n_rings), again_(n_rings) {
        for (std::size_t row = 0; row < layout_.rows(); ++row)
            for (std::size_t j = 0; j < layout_.n_sectors(); ++j) {
                const std::size_t first = row * layout_.step() + j * layout_.length(), last = first + layout_.window() - 1;
                bins_.push_back(static_cast<std::uint16_t>(first));
                // The mirrored ring's bins first … last are the ring's bins -last … -first. A window is shorter than the ring.
                mirrored_bins_.push_back(static_cast<std::uint16_t>((2 * n_azimuths - last) % n_azimuths));
            }
    }

    void load(const RoundedPattern& pattern) {
        const std::size_t n = pattern.n_azimuths();
        const std::size_t size = layout_.rows() * SectorLayout::width;
        for (std::size_t ring = 0; ring < pattern.n_rings(); ++ring) {
            std::uint8_t *direct = direct_.data() + layout_.place(ring, 0), *mirrored = mirrored_.data() + layout_.place(ring, 0);
            const bool fill_direct = empty_.to_fill(pattern, ring, direct, size), fill_mirrored = again_.to_fill(pattern, ring, mirrored, size);
            if (!fill_direct || !fill_mirrored) continue;
            kernels::active().tables->halved(pattern.ring(ring), n, maximum_.ring());
            maximum_.slide(layout_.window());
            for (std::size_t row = 0; row < layout_.rows(); ++row) {
                const std::size_t first = row * layout_.n_sectors(), to = row * SectorLayout::width;
                fill_row(maximum_.data(), bins_.data() + first, layout_.n_sectors(), SectorLayout::width, direct + to);
                fill_row(maximum_.data(), mirrored_bins_.data() + first, layout_.n_sectors(), SectorLayout::width, mirrored + to);
            }
        }
    }

    [[nodiscard]] kernels::SectorTable table() const { return {direct_.data(), mirrored_.data()}; }

private:
    SectorLayout layout_;
    std::vector<std::uint8_t> direct_, mirrored_;
    std::vector<std::uint16_t> bins_, mirrored_bins_;  // where the values of a ring's rows are maxima from
    SlidingMaximum maximum_;
    EmptyRings empty_, again_;
};

/// Number of blocks of rotations: as many as fit the lanes and divide the azimuths.
[[nodiscard]] inline std::size_t blocks_of(std::size_t n_azimuths) {
    std::size_t n = kernels::block_lanes - 1;
    while (n_azimuths % n != 0) --n;
    return n;
}

/// Maxima over blocks of rotations. Row `residue` of a ring holds, for j = 0, 1, …, the maximum over
/// the bins residue + j * length … residue + (j + 1) * length - 1 (modulo the azimuths), so that a spot at azimuth
/// j * length + residue finds those of block b at j + b.
class BlockMaxima {
public:
    /// There are `parts` times blocks_of(n_azimuths) blocks, which must divide the azimuths; each part fits the lanes.
    BlockMaxima(std::size_t n_rings, std::size_t n_azimuths, std::size_t parts)
        : parts_(parts),
          per_part_(blocks_of(n_azimuths)),
          length_(n_azimuths / (parts * per_part_)),
          // from the last block in the last part all lanes are read
          width_((2 * parts * per_part_ - per_part_ - 1 + 2 * kernels::block_lanes - 1) / kernels::block_lanes * kernels::block_lanes),
          values_(n_rings * length_ * width_, 0),
          start_(n_azimuths),
          mirrored_start_(n_azimuths),
          maximum_(n_azimuths),
          empty_(n_rings) {
        for (std::size_t ring = 0; ring < n_rings; ++ring)
            ring_start_.push_back(static_cast<std::uint32_t>(ring * length_ * width_));
        for (std::size_t residue = 0; residue < length_; ++residue)
            for (std::size_t j = 0; j < parts_ * per_part_; ++j) bins_.push_back(static_cast<std::uint16_t>(residue + j * length_));
        for (std::size_t a = 0; a < n_azimuths; ++a) {
            start_[a] = start_of(a);
            mirrored_start_[a] = start_of((n_azimuths - a) % n_azimuths);
        }
    }

    void load(const RoundedPattern& pattern) {
        for (std::size_t ring = 0; ring < pattern.n_rings(); ++ring) {
            if (!empty_.to_fill(pattern, ring, values_.data() + ring_start_[ring], length_ * width_)) continue;
            std::copy_n(pattern.ring(ring), pattern.n_azimuths(), maximum_.ring());
            maximum_.slide(length_);
            for (std::size_t residue = 0; residue < length_; ++residue)
                fill_row(maximum_.data(), bins_.data() + residue * parts_ * per_part_, parts_ * per_part_, width_,
                         values_.data() + ring_start_[ring] + residue * width_);
        }
    }

    /// Table whose lanes are the blocks of one part: block part * per_part() + lane.
    [[nodiscard]] kernels::BlockTable table(bool mirrored, std::size_t part) const {
        return {values_.data() + part * per_part_, ring_start_.data(), mirrored ? mirrored_start_.data() : start_.data()};
    }
    [[nodiscard]] std::size_t parts() const noexcept { return parts_; }
    [[nodiscard]] std::size_t per_part() const noexcept { return per_part_; }
    [[nodiscard]] std::size_t length() const noexcept { return length_; }

private:
    [[nodiscard]] std::uint32_t start_of(std::size_t azimuth) const {
        return static_cast<std::uint32_t>(azimuth % length_ * width_ + azimuth / length_);
    }

    std::size_t parts_, per_part_, length_, width_;
    std::vector<std::uint8_t> values_;
    std::vector<std::uint32_t> ring_start_, start_, mirrored_start_;
    std::vector<std::uint16_t> bins_;  // where the values of a ring's rows are maxima from
    SlidingMaximum maximum_;
    EmptyRings empty_;
};

}  // namespace nbedex
