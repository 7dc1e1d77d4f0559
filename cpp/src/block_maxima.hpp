// Upper bounds of a pattern over blocks of rotations, as whole numbers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/kernels.hpp"
#include "pattern.hpp"
#include "rounded.hpp"

namespace nbedex {

/// Number of blocks of rotations: as many as fit the lanes and divide the azimuths.
[[nodiscard]] inline std::size_t blocks_of(std::size_t n_azimuths) {
    std::size_t n = kernels::block_lanes - 1;
    while (n_azimuths % n != 0) --n;
    return n;
}

/// Block maxima of one pattern, rounded up to multiples of unit(). Row `residue` of a ring holds, for j = 0, 1, …, the maximum over
/// the bins residue + j * length … residue + (j + 1) * length - 1 (modulo the azimuths), so that a spot at azimuth
/// j * length + residue finds those of block b at j + b.
class BlockMaxima {
public:
    BlockMaxima(std::size_t n_rings, std::size_t n_azimuths)
        : n_azimuths_(n_azimuths),
          n_blocks_(blocks_of(n_azimuths)),
          length_(n_azimuths / n_blocks_),
          values_(n_rings * length_ * width, 0),
          ring_maximum_(n_rings),
          start_(n_azimuths),
          mirrored_start_(n_azimuths),
          window_(2 * n_azimuths) {
        for (std::size_t ring = 0; ring < n_rings; ++ring)
            ring_start_.push_back(static_cast<std::uint32_t>(ring * length_ * width));
        for (std::size_t a = 0; a < n_azimuths; ++a) {
            start_[a] = start_of(a);
            mirrored_start_[a] = start_of((n_azimuths - a) % n_azimuths);
        }
    }

    void load(const NormalisedPattern& pattern) {
        unit_ = std::max(pattern.largest(), 1e-30F) / largest_rounded;
        const float per_unit = 1 / unit_;
        for (std::size_t ring = 0; ring < pattern.n_rings(); ++ring) {
            const float* row = pattern.ring(ring);
            for (std::size_t i = 0; i < 2 * n_azimuths_; ++i) window_[i] = rounded_up(row[i], per_unit);
            ring_maximum_[ring] = *std::max_element(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(n_azimuths_));
            slide();
            fill(values_.data() + ring_start_[ring]);
        }
    }

    [[nodiscard]] kernels::BlockTable table(bool mirrored) const {
        return {values_.data(), ring_start_.data(), mirrored ? mirrored_start_.data() : start_.data()};
    }
    [[nodiscard]] const std::uint8_t* ring_maximum() const noexcept { return ring_maximum_.data(); }
    [[nodiscard]] float unit() const noexcept { return unit_; }
    [[nodiscard]] std::size_t n_blocks() const noexcept { return n_blocks_; }
    [[nodiscard]] std::size_t length() const noexcept { return length_; }

private:
    static constexpr std::size_t width = 2 * kernels::block_lanes;

    [[nodiscard]] std::uint32_t start_of(std::size_t azimuth) const {
        return static_cast<std::uint32_t>(azimuth % length_ * width + azimuth / length_);
    }

    /// window_[i] becomes the maximum over the bins i … i + length - 1, by windows of 1, 2, 4, … bins and then two that overlap.
    void slide() {
        std::size_t covered = 1;
        const auto widen = [this](std::size_t by) {
            for (std::size_t i = 0; i + by < window_.size(); ++i) window_[i] = std::max(window_[i], window_[i + by]);
        };
        for (; 2 * covered <= length_; covered *= 2) widen(covered);
        if (covered < length_) widen(length_ - covered);
    }

    void fill(std::uint8_t* rows) const {
        for (std::size_t residue = 0; residue < length_; ++residue) {
            std::uint8_t* to = rows + residue * width;
            for (std::size_t j = 0; j < n_blocks_; ++j) to[j] = window_[residue + j * length_];
            for (std::size_t done = n_blocks_; done < width; done += n_blocks_)
                std::copy_n(to, std::min(n_blocks_, width - done), to + done);
        }
    }

    std::size_t n_azimuths_, n_blocks_, length_;
    float unit_ = 1;
    std::vector<std::uint8_t> values_, ring_maximum_;
    std::vector<std::uint32_t> ring_start_, start_, mirrored_start_;
    std::vector<std::uint8_t> window_;
};

}  // namespace nbedex
