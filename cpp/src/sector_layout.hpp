// Where the sector maxima of a polar bin are kept: what templates and patterns must agree on.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.hpp"

namespace nbedex {

/// Half a turn is cut into sectors of `length` bins; a sector stands for the rotations in it and for those half a turn further. A ring has
/// two sets of rows() rows: for two spots that lie half a turn apart, and for a spot alone. Row r holds, for j = 0, 1, …, what such spots find
/// in the window() bins from r * step + j * length on and in those half a turn further. Spots at azimuth a find what holds for sector s at
/// place(ring, a) + s: their row is that of a rounded down to `step`, so windows are longer than sectors by step - 1. `step` is as small as
/// 16-bit places allow.
class SectorLayout {
public:
    static constexpr std::size_t width = 2 * kernels::sector_lanes;  ///< bytes per row: no place needs to wrap

    SectorLayout(std::size_t n_rings, std::size_t n_azimuths) : n_rings_(n_rings), half_(n_azimuths / 2), n_sectors_(kernels::sector_lanes) {
        while (half_ % n_sectors_ != 0) --n_sectors_;
        length_ = half_ / n_sectors_;
        while (step_ < length_ && (length_ % step_ != 0 || size() > limit)) ++step_;
        even_ = n_azimuths % 2 == 0;
    }

    /// Whether there are half turns, and places fit 16 bits.
    [[nodiscard]] bool usable() const noexcept { return even_ && n_sectors_ > kernels::sector_lanes / 2 && size() <= limit; }
    [[nodiscard]] std::size_t size() const noexcept { return nothing() + width; }
    /// A place where nothing is found, behind the last ring.
    [[nodiscard]] std::size_t nothing() const noexcept { return 2 * n_rings_ * rows() * width; }
    [[nodiscard]] std::size_t n_sectors() const noexcept { return n_sectors_; }
    [[nodiscard]] std::size_t length() const noexcept { return length_; }
    [[nodiscard]] std::size_t half() const noexcept { return half_; }
    [[nodiscard]] std::size_t step() const noexcept { return step_; }
    /// First rotation of a half of a sector, two for each; that of 2 n_sectors() is half a turn.
    [[nodiscard]] std::size_t first_of_half(std::size_t i) const noexcept { return i / 2 * length_ + i % 2 * (length_ / 2); }
    [[nodiscard]] std::size_t rows() const noexcept { return length_ / step_; }
    [[nodiscard]] std::size_t window() const noexcept { return length_ + step_ - 1; }
    [[nodiscard]] std::size_t first_row(std::size_t ring, bool alone) const noexcept { return (2 * ring + alone) * rows(); }
    [[nodiscard]] std::size_t place(std::size_t ring, std::size_t azimuth, bool alone) const noexcept {
        const std::size_t a = azimuth % half_;
        return (first_row(ring, alone) + a % length_ / step_) * width + a / length_;
    }

private:
    static constexpr std::size_t limit = 0x10000;
    std::size_t n_rings_, half_, n_sectors_, length_ = 1, step_ = 1;
    bool even_ = false;
};

/// The same for groups of templates: half as many sectors, each twice as long, and what a spot finds in the pattern lies beside what it finds in its mirror image:
/// sector s is bytes 2 s and 2 s + 1 from twice the place on. A row stands for the spots of span() azimuths, of which the last is the first of the
/// next row, so that two spots in neighbouring bins always share one.
class UnionLayout {
public:
    static constexpr std::size_t lanes = kernels::sector_lanes / 2;
    static constexpr std::size_t width = 4 * lanes;  ///< bytes per row: no place needs to wrap

    UnionLayout(std::size_t n_rings, std::size_t n_azimuths) : n_rings_(n_rings), half_(n_azimuths / 2), n_sectors_(lanes) {
        while (half_ % n_sectors_ != 0) --n_sectors_;
        length_ = half_ / n_sectors_;
        while (step_ < length_ && (length_ % step_ != 0 || length_ / step_ > most_rows || size() > limit)) ++step_;
        even_ = n_azimuths % 2 == 0;
    }

    /// Whether there are half turns, and places fit 16 bits.
    [[nodiscard]] bool usable() const noexcept { return even_ && n_sectors_ > lanes / 2 && size() <= limit; }
    [[nodiscard]] std::size_t n_rows() const noexcept { return 2 * n_rings_ * rows() + 1; }
    /// A place where nothing is found, behind the last ring.
    [[nodiscard]] std::size_t nothing() const noexcept { return 2 * n_rings_ * rows() * (width / 2); }
    [[nodiscard]] std::size_t n_sectors() const noexcept { return n_sectors_; }
    [[nodiscard]] std::size_t length() const noexcept { return length_; }
    [[nodiscard]] std::size_t half() const noexcept { return half_; }
    [[nodiscard]] std::size_t step() const noexcept { return step_; }
    [[nodiscard]] std::size_t span() const noexcept { return step_ + 1; }
    [[nodiscard]] std::size_t rows() const noexcept { return length_ / step_; }
    [[nodiscard]] std::size_t first_row(std::size_t ring, bool alone) const noexcept { return (2 * ring + alone) * rows(); }
    /// For spots at `azimuth` < half() and up to the end of its row's span.
    [[nodiscard]] std::size_t place(std::size_t ring, std::size_t azimuth, bool alone) const noexcept {
        return (first_row(ring, alone) + azimuth % length_ / step_) * (width / 2) + azimuth / length_;
    }

private:
    [[nodiscard]] std::size_t size() const noexcept { return nothing() + 1; }
    static constexpr std::size_t limit = 0x10000, most_rows = 6;
    std::size_t n_rings_, half_, n_sectors_, length_ = 1, step_ = 1;
    bool even_ = false;
};

}  // namespace nbedex
