// A frame made ready for reading how many counts lie in a spot at a given place: background off, filtered with the shape of a spot.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nbedex/frame.hpp"

namespace nbedex {

struct SpotImageOptions {
    std::array<double, 4> detector_from_sample{};  ///< k in 1/angstrom to (column, row) offsets in pixels
    double k_min = 0, k_max = 0;                   ///< 1/angstrom: where spots are looked for
    double spot_width = 0;                         ///< standard deviation of a spot, 1/angstrom
};

/// A local maximum that noise does not explain.
struct Peak {
    float row, column;  ///< pixels
    float counts;
};

class SpotImage {
public:
    /// Keeps its memory from frame to frame.
    template <class T>
    void read(const Frame<T>& frame, double center_row, double center_column, const SpotImageOptions& options);

    /// Counts of a spot with its middle here, above the background; zero outside.
    [[nodiscard]] float counts(double row, double column) const;
    /// Standard deviation of `counts` where there is only background.
    [[nodiscard]] float noise(double row, double column) const;
    /// Whether the camera sees a spot here: neither its edge nor pixels that must not be used are too near.
    [[nodiscard]] bool sees(double row, double column) const;

    [[nodiscard]] const std::vector<Peak>& peaks() const noexcept { return peaks_; }

private:
    static constexpr std::size_t rings = 256;

    template <class T>
    void cut_out(const Frame<T>& frame, const SpotImageOptions& options);
    void find_background(double k_min);
    void filter(double sigma);
    void find_peaks(const SpotImageOptions& options);
    void blur(std::vector<float>& image, const std::vector<float>& weight);
    [[nodiscard]] float interpolate(const std::vector<float>& image, double row, double column) const;
    [[nodiscard]] double ring_at(double row, double column) const;

    std::size_t bin_ = 1, rows_ = 0, columns_ = 0;    // of the part cut out, in bins of bin_ x bin_ pixels
    std::ptrdiff_t first_row_ = 0, first_column_ = 0;  // its first pixel
    double center_row_ = 0, center_column_ = 0;        // in bins
    std::array<double, 4> sample_from_bins_{};         // (column, row) offsets in bins to k
    double per_ring_ = 1, area_ = 1, unit_ = 1;
    std::vector<float> image_, seen_, scratch_;  // seen_: empty where everything is
    std::vector<float> level_, variance_;        // background by ring
    std::vector<std::uint16_t> ring_;            // of each bin
    std::vector<Peak> peaks_;
};

}  // namespace nbedex
