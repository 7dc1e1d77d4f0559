#include "nbedex/spot_image.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "pixel_types.hpp"

namespace nbedex {
namespace {

constexpr double bins_per_width = 1.2;  ///< a spot's standard deviation is at least this many bins: none is narrower on cameras
constexpr int background_rounds = 6;
constexpr double reach = 3.0;           ///< standard deviations that a filter extends
constexpr float peak_over_noise = 4.0F, peak_units = 2.0F;
constexpr double least_level = 0.02;    ///< counts per bin below which a background cannot be told from none

}  // namespace

template <class T>
void SpotImage::read(const Frame<T>& frame, double center_row, double center_column, const SpotImageOptions& options) {
    const std::array<double, 4>& m = options.detector_from_sample;
    const double determinant = m[0] * m[3] - m[1] * m[2], per_k = std::sqrt(std::abs(determinant));
    bin_ = static_cast<std::size_t>(std::max(1.0, std::floor(options.spot_width * per_k / bins_per_width + 0.1)));
    const auto bin = static_cast<double>(bin_);
    sample_from_bins_ = {m[3] / determinant * bin, -m[1] / determinant * bin, -m[2] / determinant * bin, m[0] / determinant * bin};
    center_row_ = center_row;  // in pixels until cut_out() knows the bins
    center_column_ = center_column;
    cut_out(frame, options);
    per_ring_ = (options.k_max * 1.2) / static_cast<double>(rings - 1);
    find_background(options.k_min);
    filter(std::max(options.spot_width * per_k / bin, 0.5));
    find_peaks(options);
}

template <class T>
void SpotImage::cut_out(const Frame<T>& frame, const SpotImageOptions& options) {
    const std::array<double, 4>& m = options.detector_from_sample;
    const double margin = 4 * options.spot_width;
    const double high = (options.k_max + margin) * std::hypot(m[2], m[3]), wide = (options.k_max + margin) * std::hypot(m[0], m[1]);
    const auto from = [](double middle, double half) { return std::max<std::ptrdiff_t>(0, static_cast<std::ptrdiff_t>(std::floor(middle - half))); };
    const auto to = [](double middle, double half, std::ptrdiff_t size) {
        return std::min(size, static_cast<std::ptrdiff_t>(std::ceil(middle + half)) + 1);
    };
    first_row_ = from(center_row_, high);
    first_column_ = from(center_column_, wide);
    const auto bin = static_cast<std::ptrdiff_t>(bin_);
    const auto bins = [bin](std::ptrdiff_t first, std::ptrdiff_t end) {
        return static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, (end - first) / bin));
    };
    rows_ = bins(first_row_, to(center_row_, high, frame.rows));
    columns_ = bins(first_column_, to(center_column_, wide, frame.columns));
    const double half = 0.5 * static_cast<double>(bin - 1);
    center_row_ = (center_row_ - static_cast<double>(first_row_) - half) / static_cast<double>(bin);
    center_column_ = (center_column_ - static_cast<double>(first_column_) - half) / static_cast<double>(bin);

    image_.assign(rows_ * columns_, 0.0F);
    seen_.assign(rows_ * columns_, 1.0F);
    bool all_seen = true;
    for (std::size_t r = 0; r < rows_ * bin_; ++r) {
        const std::ptrdiff_t row = (first_row_ + static_cast<std::ptrdiff_t>(r)) * frame.columns + first_column_;
        float* const out = &image_[r / bin_ * columns_];
        float* const seen = &seen_[r / bin_ * columns_];
        for (std::size_t c = 0; c < columns_ * bin_; ++c) {
            const std::ptrdiff_t at = row + static_cast<std::ptrdiff_t>(c);
            const auto value = static_cast<float>(frame.data[at]);
            if ((frame.mask && frame.mask[at]) || !std::isfinite(value)) {
                seen[c / bin_] = 0;
                all_seen = false;
            } else {
                out[c / bin_] += value;
            }
        }
    }
    if (all_seen) seen_.clear();
}

double SpotImage::ring_at(double row, double column) const {
    const double x = column - center_column_, y = row - center_row_;
    const double kx = sample_from_bins_[0] * x + sample_from_bins_[1] * y, ky = sample_from_bins_[2] * x + sample_from_bins_[3] * y;
    return std::min(std::sqrt(kx * kx + ky * ky) / per_ring_, static_cast<double>(rings - 1));
}

/// Mean and variance of each ring of |k| without what stands out; neighbouring rings are taken together.
void SpotImage::find_background(double k_min) {
    ring_.resize(image_.size());
    for (std::size_t r = 0; r < rows_; ++r)
        for (std::size_t c = 0; c < columns_; ++c)
            ring_[r * columns_ + c] = static_cast<std::uint16_t>(ring_at(static_cast<double>(r), static_cast<double>(c)) + 0.5);
    std::array<double, rings> n{}, sum{}, squares{};
    std::vector<float> limit(rings, std::numeric_limits<float>::infinity());
    level_.assign(rings, 0.0F);
    variance_.assign(rings, 0.0F);
    for (int round = 0; round < background_rounds; ++round) {
        n.fill(0);
        sum.fill(0);
        squares.fill(0);
        for (std::size_t i = 0; i < image_.size(); ++i) {
            const double value = image_[i];
            const std::size_t ring = ring_[i];
            if (!(image_[i] <= limit[ring]) || (!seen_.empty() && seen_[i] == 0)) continue;
            n[ring] += 1;
            sum[ring] += value;
            squares[ring] += value * value;
        }
        double all = 0, all_variance = 0;
        for (std::size_t ring = 0; ring < rings; ++ring) {
            double count = 0, total = 0, total_squares = 0;
            for (std::size_t near = ring < 2 ? 0 : ring - 2; near < std::min(rings, ring + 3); ++near) {
                count += n[near];
                total += sum[near];
                total_squares += squares[near];
            }
            const double mean = count > 0 ? total / count : 0.0;
            const double variance = count > 0 ? std::max(0.0, total_squares / count - mean * mean) : 0.0;
            level_[ring] = static_cast<float>(mean);
            variance_[ring] = static_cast<float>(variance);
            if (static_cast<double>(ring) * per_ring_ < k_min) continue;  // the direct beam
            all += n[ring] * mean;
            all_variance += n[ring] * variance;
        }
        // What one count is: 1 where pixels are electrons.
        unit_ = all > 0 && all_variance > 0 ? all_variance / all : 1.0;
        for (std::size_t ring = 0; ring < rings; ++ring)
            limit[ring] = static_cast<float>(level_[ring] + 3 * std::sqrt(static_cast<double>(variance_[ring])) + unit_);
    }
}

void SpotImage::blur(std::vector<float>& image, const std::vector<float>& weight) {
    const std::size_t half = weight.size() / 2;
    scratch_.assign(image.size(), 0.0F);
    for (std::size_t r = 0; r < rows_; ++r) {
        const float* __restrict const in = &image[r * columns_];
        float* __restrict const out = &scratch_[r * columns_];
        for (std::size_t j = 0; j < weight.size(); ++j) {
            const std::size_t first = half > j ? half - j : 0, end = std::min(columns_, columns_ + half - j);
            for (std::size_t c = first; c < end; ++c) out[c] += weight[j] * in[c + j - half];
        }
    }
    image.assign(image.size(), 0.0F);
    for (std::size_t r = 0; r < rows_; ++r) {
        float* __restrict const out = &image[r * columns_];
        for (std::size_t j = 0; j < weight.size(); ++j) {
            if (r + j < half || r + j - half >= rows_) continue;
            const float* __restrict const in = &scratch_[(r + j - half) * columns_];
            for (std::size_t c = 0; c < columns_; ++c) out[c] += weight[j] * in[c];
        }
    }
}

/// The filter that finds a Gaussian spot best is its own shape; times its area the result is the counts in it.
void SpotImage::filter(double sigma) {
    for (std::size_t i = 0; i < image_.size(); ++i)
        image_[i] = seen_.empty() || seen_[i] != 0 ? image_[i] - level_[ring_[i]] : 0.0F;
    const auto half = static_cast<std::ptrdiff_t>(std::ceil(reach * sigma));
    std::vector<float> weight;
    double sum = 0, squares = 0;
    for (std::ptrdiff_t j = -half; j <= half; ++j) {
        const double w = std::exp(-0.5 * static_cast<double>(j * j) / (sigma * sigma));
        weight.push_back(static_cast<float>(w));
        sum += w;
    }
    for (float& w : weight) {
        w = static_cast<float>(w / sum);
        squares += static_cast<double>(w) * w;
    }
    area_ = 1 / (squares * squares);
    blur(image_, weight);
    for (float& value : image_) value *= static_cast<float>(area_);
    if (!seen_.empty()) blur(seen_, weight);
}

void SpotImage::find_peaks(const SpotImageOptions& options) {
    peaks_.clear();
    constexpr std::size_t margin = 2;
    const auto at = [&](std::size_t r, std::size_t c) { return image_[r * columns_ + c]; };
    for (std::size_t r = margin; r + margin < rows_; ++r) {
        for (std::size_t c = margin; c + margin < columns_; ++c) {
            const float value = at(r, c);
            const std::size_t ring = ring_[r * columns_ + c];
            const double k = static_cast<double>(ring) * per_ring_;
            if (!(value > peak_units * unit_) || k < options.k_min || k >= options.k_max) continue;
            const double noise = std::sqrt(area_ * (static_cast<double>(variance_[ring]) + least_level * unit_ * unit_));
            if (!(value > peak_over_noise * noise + peak_units * unit_)) continue;
            bool highest = true;
            for (std::size_t i = r - margin; highest && i <= r + margin; ++i)
                for (std::size_t j = c - margin; j <= c + margin; ++j) {
                    const bool earlier = i < r || (i == r && j < c);  // the first of equals
                    if (at(i, j) > value || (earlier && at(i, j) == value)) highest = false;
                }
            if (!highest) continue;
            const auto vertex = [](float low, float middle, float high) {
                const float bend = 2 * middle - low - high;
                return bend > 0 ? std::clamp(0.5F * (high - low) / bend, -0.5F, 0.5F) : 0.0F;
            };
            const double row = static_cast<double>(r) + vertex(at(r - 1, c), value, at(r + 1, c));
            const double column = static_cast<double>(c) + vertex(at(r, c - 1), value, at(r, c + 1));
            const double half = 0.5 * static_cast<double>(bin_ - 1);
            peaks_.push_back({static_cast<float>(static_cast<double>(first_row_) + half + row * static_cast<double>(bin_)),
                              static_cast<float>(static_cast<double>(first_column_) + half + column * static_cast<double>(bin_)),
                              static_cast<float>(value / unit_)});
        }
    }
}

float SpotImage::interpolate(const std::vector<float>& image, double row, double column) const {
    const double half = 0.5 * static_cast<double>(bin_ - 1), bin = static_cast<double>(bin_);
    const double r = (row - static_cast<double>(first_row_) - half) / bin, c = (column - static_cast<double>(first_column_) - half) / bin;
    if (!(r >= 0 && c >= 0) || r >= static_cast<double>(rows_) - 1 || c >= static_cast<double>(columns_) - 1) return 0.0F;
    const auto low = static_cast<std::size_t>(r), left = static_cast<std::size_t>(c);
    const auto up = static_cast<float>(r - static_cast<double>(low)), right = static_cast<float>(c - static_cast<double>(left));
    const float* const at = &image[low * columns_ + left];
    return (1 - up) * ((1 - right) * at[0] + right * at[1]) + up * ((1 - right) * at[columns_] + right * at[columns_ + 1]);
}

float SpotImage::counts(double row, double column) const {
    const float value = interpolate(image_, row, column) / static_cast<float>(unit_);
    return seen_.empty() ? value : value / std::max(interpolate(seen_, row, column), 0.5F);
}

float SpotImage::noise(double row, double column) const {
    const double half = 0.5 * static_cast<double>(bin_ - 1), bin = static_cast<double>(bin_);
    const double ring = ring_at((row - static_cast<double>(first_row_) - half) / bin, (column - static_cast<double>(first_column_) - half) / bin);
    const double variance = variance_[static_cast<std::size_t>(ring + 0.5)] / (unit_ * unit_);
    return static_cast<float>(std::sqrt(area_ * (variance + least_level)));
}

bool SpotImage::sees(double row, double column) const {
    const double margin = 1.0 + static_cast<double>(bin_);
    const double bin = static_cast<double>(bin_);
    if (row < static_cast<double>(first_row_) + margin || column < static_cast<double>(first_column_) + margin ||
        row > static_cast<double>(first_row_) + static_cast<double>(rows_) * bin - 1 - margin ||
        column > static_cast<double>(first_column_) + static_cast<double>(columns_) * bin - 1 - margin)
        return false;
    return seen_.empty() || interpolate(seen_, row, column) >= 0.7F;
}

#define NBEDEX_INSTANTIATE(T) template void SpotImage::read(const Frame<T>&, double, double, const SpotImageOptions&);
NBEDEX_FOR_EACH_PIXEL_TYPE(NBEDEX_INSTANTIATE)
#undef NBEDEX_INSTANTIATE

}  // namespace nbedex
