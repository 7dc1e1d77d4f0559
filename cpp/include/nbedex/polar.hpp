// Polar unwrapping: mean intensity of a pattern over bins of (|k|, azimuth) around the direct beam.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "nbedex/frame.hpp"

namespace nbedex {

/// Bins of the used annulus. Ring i covers k_min + [i, i+1) * ring_width(); azimuth j is centred on j * 2 pi / n_azimuths
/// (half-open: no azimuth is counted twice), measured from sample X towards sample Y.
struct PolarGrid {
    int n_rings = 0;
    int n_azimuths = 0;
    double k_min = 0.0;  ///< 1/angstrom
    double k_max = 0.0;  ///< 1/angstrom

    [[nodiscard]] double ring_width() const noexcept { return (k_max - k_min) / n_rings; }
    [[nodiscard]] std::size_t size() const noexcept {
        return static_cast<std::size_t>(n_rings) * static_cast<std::size_t>(n_azimuths);
    }
};

/// Where to sample the detector for every polar bin, relative to the direct beam, for detectors of any shape. Each bin is averaged over a mesh of
/// bilinear samples at most one pixel apart in either direction, so that bins larger than a pixel are area means and
/// bins smaller than one are interpolated.
class PolarSampler {
public:
    /// detector_from_sample: row-major 2x2 matrix from k = (kx, ky) in 1/angstrom to (column, row) offsets in pixels.
    PolarSampler(const PolarGrid& grid, const std::array<double, 4>& detector_from_sample);

    [[nodiscard]] const PolarGrid& grid() const noexcept { return grid_; }

    /// Mean intensity of each bin, out[ring * n_azimuths + azimuth]; NaN where a bin has no usable pixel.
    /// center_row, center_column: the direct beam in pixels, (0, 0) being the middle of the first pixel.
    template <class T>
    void unwrap(const Frame<T>& frame, double center_row, double center_column, std::span<float> out) const;

private:
    /// The mean of one bin sample by sample: the definition, and the way for bins with pixels that do not count.
    template <class T>
    [[nodiscard]] float mean_of_bin(const Frame<T>& frame, float center_row, float center_column, std::size_t ring,
                                    std::size_t azimuth) const;

    // A sample lies at radius times direction: see kernels/frames.hpp.
    PolarGrid grid_;
    std::size_t across_, stride_, samples_ = 0;
    std::vector<std::uint32_t> along_;            // by ring
    std::vector<float> radius_;                   // by ring and sample across
    std::vector<std::vector<float>> directions_;  // by number of samples along the arc
};

}  // namespace nbedex
