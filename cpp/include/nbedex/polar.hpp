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

/// Values of polar bins: bin (ring, azimuth) is data[ring * stride + azimuth].
struct Bins {
    const float* data;
    std::size_t stride;
};

/// Where to sample the detector for every polar bin, relative to the direct beam, for detectors of any shape. Each bin is averaged over a mesh of
/// bilinear samples, at most one pixel apart in either direction if nothing else is said, so that bins larger than a pixel are
/// area means and bins smaller than one are interpolated.
class PolarSampler {
public:
    /// detector_from_sample: row-major 2x2 matrix from k = (kx, ky) in 1/angstrom to (column, row) offsets in pixels.
    /// spacing: of the samples, at most, pixels.
    PolarSampler(const PolarGrid& grid, const std::array<double, 4>& detector_from_sample, double spacing = 1.0);

    [[nodiscard]] const PolarGrid& grid() const noexcept { return grid_; }

    /// No pixel that a sample needs lies farther from the direct beam than this, pixels.
    [[nodiscard]] double reach() const noexcept { return reach_pixels_; }

    /// Room for a frame on its way; one for each thread, for any number of frames.
    struct Scratch {
        std::vector<std::uint64_t> pixels;
        std::vector<std::uint8_t> mask;
        std::vector<float> bins;
    };

    /// Mean intensity of each bin, in scratch; NaN where a bin has no usable pixel.
    /// center_row, center_column: the direct beam in pixels, (0, 0) being the middle of the first pixel.
    template <class T>
    [[nodiscard]] Bins unwrap(const Frame<T>& frame, double center_row, double center_column, Scratch& scratch) const;

private:
    /// The mean of one bin sample by sample: the definition, and the way for bins with pixels that do not count.
    template <class T>
    [[nodiscard]] float mean_of_bin(const Frame<T>& frame, float center_row, float center_column, std::size_t ring,
                                    std::size_t azimuth) const;

    /// Samples, the innermost ones, that certainly lie in the frame.
    [[nodiscard]] std::size_t inside(std::ptrdiff_t rows, std::ptrdiff_t columns, float center_row, float center_column) const;

    // See kernels/frames.hpp.
    PolarGrid grid_;
    std::size_t stride_;
    std::vector<std::size_t> first_{0};
    std::vector<float> share_;              // by ring
    std::vector<float> radius_;             // by sample
    std::vector<std::uint32_t> direction_;  // by sample
    std::vector<float> directions_;
    double reach_pixels_ = 0;
    std::vector<std::array<float, 2>> reach_;  // by sample: columns and rows from the centre, at most, of it and those before
};

}  // namespace nbedex
