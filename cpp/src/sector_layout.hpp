// Where the sector maxima of a polar bin are kept: what templates and patterns must agree on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "kernels/kernels.hpp"

namespace nbedex {

/// Half a turn is cut into sectors of `length` bins; a sector stands for the rotations in it and for those half a turn further. A ring has
/// two sets of rows() rows: for two spots that lie half a turn apart, and for a spot alone. Row r holds, for j = 0, 1, …, what such spots find
/// in the window() bins from r * step + j * length on and in those half a turn further. Spots at azimuth a find what holds for sector s `bytes` * s bytes
/// from `bytes` * place(ring, a) on: their row is that of a rounded down to `step`, and stands for span() azimuths, so windows are longer than sectors by
/// span - 1. `step` is as small as 16-bit places allow.
class SectorLayout {
public:
    static constexpr std::size_t row_bytes = 2 * kernels::sector_lanes;  ///< all sectors, and those from any of them on: no place needs to wrap

    /// For the spots of single templates; the pattern and its mirror image have tables of their own.
    static SectorLayout of_templates(std::size_t n_rings, std::size_t n_azimuths) { return {n_rings, n_azimuths, 1, 0, n_azimuths}; }
    /// For the spots of groups of templates: half as many sectors, each twice as long, and what a spot finds in the pattern lies beside what it finds in its
    /// mirror image. The last azimuth of a row is the first of the next row, so that two spots in neighbouring bins always share one.
    static SectorLayout of_groups(std::size_t n_rings, std::size_t n_azimuths) { return {n_rings, n_azimuths, 2, 1, 6}; }

    /// Whether there are half turns, and places fit 16 bits.
    [[nodiscard]] bool usable() const noexcept { return even_ && 2 * n_sectors_ * bytes_ > kernels::sector_lanes && fits(); }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::size_t n_rows() const noexcept { return 2 * n_rings_ * rows() + 1; }
    /// A place where nothing is found: the last row, behind the last ring.
    [[nodiscard]] std::size_t nothing() const noexcept { return 2 * n_rings_ * rows() * (row_bytes / bytes_); }
    [[nodiscard]] std::size_t n_sectors() const noexcept { return n_sectors_; }
    [[nodiscard]] std::size_t length() const noexcept { return length_; }
    [[nodiscard]] std::size_t half() const noexcept { return half_; }
    [[nodiscard]] std::size_t step() const noexcept { return step_; }
    [[nodiscard]] std::size_t span() const noexcept { return step_ + shared_; }
    [[nodiscard]] std::size_t rows() const noexcept { return length_ / step_; }
    [[nodiscard]] std::size_t window() const noexcept { return length_ + span() - 1; }
    [[nodiscard]] std::size_t first_row(std::size_t ring, bool alone) const noexcept { return (2 * ring + alone) * rows(); }
    [[nodiscard]] std::size_t place(std::size_t ring, std::size_t azimuth, bool alone) const noexcept {
        const std::size_t a = azimuth % half_;
        return (first_row(ring, alone) + a % length_ / step_) * (row_bytes / bytes_) + a / length_;
    }

private:
    SectorLayout(std::size_t n_rings, std::size_t n_azimuths, std::size_t bytes, std::size_t shared, std::size_t most_rows)
        : n_rings_(n_rings), half_(n_azimuths / 2), n_sectors_(kernels::sector_lanes / bytes), bytes_(bytes), shared_(shared), even_(n_azimuths % 2 == 0) {
        while (half_ % n_sectors_ != 0) --n_sectors_;
        length_ = half_ / n_sectors_;
        while (step_ < length_ && (length_ % step_ != 0 || rows() > most_rows || !fits())) ++step_;
    }
    [[nodiscard]] bool fits() const noexcept { return nothing() <= std::numeric_limits<std::uint16_t>::max(); }

    std::size_t n_rings_, half_, n_sectors_, bytes_, shared_, length_ = 1, step_ = 1;
    bool even_;
};

/// Where single rotations find the same: a ring has a row for two spots that lie half a turn apart, and one for a spot alone. A spot at azimuth a finds what holds for rotation
/// r, and that half a turn further, r bytes from place(ring, a) on.
class RotationLayout {
public:
    RotationLayout(std::size_t n_rings, std::size_t n_azimuths)
        : n_rings_(n_rings), half_(n_azimuths / 2), row_bytes_((n_azimuths + kernels::sector_lanes + 63) / 64 * 64) {}

    [[nodiscard]] std::size_t half() const noexcept { return half_; }
    /// For every azimuth and every rotation of half a turn, and the other lanes of its window.
    [[nodiscard]] std::size_t row_bytes() const noexcept { return row_bytes_; }
    [[nodiscard]] std::size_t size() const noexcept { return nothing() + row_bytes_; }
    /// A place where nothing is found: the last row, behind the last ring.
    [[nodiscard]] std::size_t nothing() const noexcept { return 2 * n_rings_ * row_bytes_; }
    [[nodiscard]] std::size_t place(std::size_t ring, std::size_t azimuth, bool alone) const noexcept {
        return (2 * ring + alone) * row_bytes_ + azimuth % half_;
    }

private:
    std::size_t n_rings_, half_, row_bytes_;
};

/// A row is a line of the cache, so that no load touches two.
struct alignas(SectorLayout::row_bytes) SectorRow {
    std::uint8_t values[SectorLayout::row_bytes] = {};
};

}  // namespace nbedex
