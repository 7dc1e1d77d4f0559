// Where the sector maxima of a polar bin are kept: what templates and patterns must agree on.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.hpp"

namespace nbedex {

/// Rotations are cut into sectors of `length` bins. A ring has rows() rows; row r holds, for j = 0, 1, …, the maximum over the window()
/// bins from r * step + j * length on. A spot at azimuth a finds the maximum that holds for sector s at place(ring, a) + s: its row
/// is that of a rounded down to `step`, so windows are longer than sectors by step - 1. `step` is as small as 16-bit places allow.
class SectorLayout {
public:
    static constexpr std::size_t width = 2 * kernels::sector_lanes;  ///< bytes per row: no place needs to wrap

    SectorLayout(std::size_t n_rings, std::size_t n_azimuths) : n_rings_(n_rings), n_sectors_(kernels::sector_lanes) {
        while (n_azimuths % n_sectors_ != 0) --n_sectors_;
        length_ = n_azimuths / n_sectors_;
        while (step_ < length_ && (length_ % step_ != 0 || size() > limit)) ++step_;
    }

    /// Whether places fit 16 bits.
    [[nodiscard]] bool usable() const noexcept { return size() <= limit; }
    [[nodiscard]] std::size_t size() const noexcept { return nothing() + width; }
    /// A place where nothing is found, behind the last ring.
    [[nodiscard]] std::size_t nothing() const noexcept { return n_rings_ * rows() * width; }
    [[nodiscard]] std::size_t n_sectors() const noexcept { return n_sectors_; }
    [[nodiscard]] std::size_t length() const noexcept { return length_; }
    [[nodiscard]] std::size_t step() const noexcept { return step_; }
    [[nodiscard]] std::size_t rows() const noexcept { return length_ / step_; }
    [[nodiscard]] std::size_t window() const noexcept { return length_ + step_ - 1; }
    [[nodiscard]] std::size_t place(std::size_t ring, std::size_t azimuth) const noexcept {
        return (ring * rows() + azimuth % length_ / step_) * width + azimuth / length_;
    }

private:
    static constexpr std::size_t limit = 0x10000;
    std::size_t n_rings_, n_sectors_, length_ = 1, step_ = 1;
};

}  // namespace nbedex
