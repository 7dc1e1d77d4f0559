// Upper bounds of a pattern over blocks of rotations.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/kernels.hpp"
#include "pattern.hpp"

namespace nbedex {

/// Number of blocks of rotations: as many as fit the lanes and divide the azimuths.
[[nodiscard]] inline std::size_t blocks_of(std::size_t n_azimuths, std::size_t lanes) {
    std::size_t n = lanes - 1;
    while (n_azimuths % n != 0) --n;
    return n;
}

/// Block maxima of one pattern. Row `residue` of a ring holds, for j = 0, 1, …, the maximum over the bins
/// residue * grain + j * length … + length + grain - 2, so that a spot at azimuth a, with j = a / length and residue =
/// (a % length) / grain, finds those of block b at j + b.
class BlockMaxima {
public:
    BlockMaxima(std::size_t n_rings, std::size_t n_azimuths, std::size_t lanes, std::size_t grain)
        : n_azimuths_(n_azimuths),
          n_blocks_(blocks_of(n_azimuths, lanes)),
          length_(n_azimuths / n_blocks_),
          grain_(length_ % grain == 0 ? grain : 1),
          width_(2 * lanes),
          values_(n_rings * (length_ / grain_) * width_, 0.0F),
          start_(n_azimuths),
          mirrored_start_(n_azimuths),
          window_(2 * n_azimuths) {
        for (std::size_t a = 0; a < n_azimuths; ++a) {
            start_[a] = static_cast<std::uint32_t>((a % length_) / grain_ * width_ + a / length_);
            const std::size_t opposite = (n_azimuths - a) % n_azimuths;
            mirrored_start_[a] = static_cast<std::uint32_t>((opposite % length_) / grain_ * width_ + opposite / length_);
        }
    }

    void load(const NormalisedPattern& pattern) {
        for (std::size_t ring = 0; ring < pattern.n_rings(); ++ring) {
            const float* row = pattern.ring(ring);
            const std::size_t reach = length_ + grain_ - 1;
            // Sliding maximum over `reach` bins by doubling: windows of 1, 2, 4, … bins, then two that overlap.
            std::copy_n(row, 2 * n_azimuths_, window_.begin());
            std::size_t covered = 1;
            for (; 2 * covered <= reach; covered *= 2)
                for (std::size_t i = 0; i + covered < window_.size(); ++i) window_[i] = std::max(window_[i], window_[i + covered]);
            const std::size_t rest = reach - covered;
            for (std::size_t i = 0; i < n_azimuths_; ++i) window_[i] = std::max(window_[i], window_[i + rest]);
            for (std::size_t residue = 0; residue < length_ / grain_; ++residue) {
                float* to = values_.data() + (ring * (length_ / grain_) + residue) * width_;
                for (std::size_t j = 0, at = residue * grain_; j < width_; ++j) {
                    to[j] = window_[at];
                    at += length_;
                    if (at >= n_azimuths_) at -= n_azimuths_;
                }
            }
        }
    }

    [[nodiscard]] kernels::BlockTable table(bool mirrored) const {
        return {values_.data(), length_ / grain_ * width_, mirrored ? mirrored_start_.data() : start_.data()};
    }
    [[nodiscard]] std::size_t n_blocks() const noexcept { return n_blocks_; }
    [[nodiscard]] std::size_t length() const noexcept { return length_; }

private:
    std::size_t n_azimuths_, n_blocks_, length_, grain_, width_;
    std::vector<float> values_;
    std::vector<std::uint32_t> start_, mirrored_start_;
    std::vector<float> window_;
};

}  // namespace nbedex
