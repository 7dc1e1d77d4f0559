#include "nbedex/polar.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>
#include <stdexcept>

#include "kernels/kernels_of.hpp"
#include "pixel_types.hpp"

namespace nbedex {
namespace {

/// Samples at most one spacing apart over this many spacings; a little more than one may be one that was rounded.
std::uint32_t samples_over(double spacings) { return std::max(1U, static_cast<std::uint32_t>(std::ceil(spacings - 1e-6))); }

/// Directions of `along` samples in each azimuth bin, in pixels per 1/angstrom: columns, then rows, of the first samples of
/// all azimuths, then of the second ones, ...
std::vector<float> directions(const PolarGrid& grid, const std::array<double, 4>& m, std::uint32_t along, std::size_t stride) {
    std::vector<float> out(2 * along * stride, 0.0F);
    for (std::uint32_t j = 0; j < along; ++j) {
        for (int azimuth = 0; azimuth < grid.n_azimuths; ++azimuth) {
            const double angle = (azimuth + (j + 0.5) / along - 0.5) * 2 * std::numbers::pi / grid.n_azimuths;
            const std::size_t at = 2 * j * stride + static_cast<std::size_t>(azimuth);
            out[at] = static_cast<float>(m[0] * std::cos(angle) + m[1] * std::sin(angle));
            out[at + stride] = static_cast<float>(m[2] * std::cos(angle) + m[3] * std::sin(angle));
        }
    }
    return out;
}

}  // namespace

PolarSampler::PolarSampler(const PolarGrid& grid, const std::array<double, 4>& m, double spacing) : grid_(grid) {
    if (grid.n_rings < 1 || grid.n_azimuths < 4 || !(grid.k_min >= 0) || !(grid.k_max > grid.k_min))
        throw std::invalid_argument("polar grid needs at least 1 ring, 4 azimuths and 0 <= k_min < k_max");
    if (!(spacing > 0)) throw std::invalid_argument("samples need a positive spacing");
    const double spacings_per_k = std::sqrt(std::abs(m[0] * m[3] - m[1] * m[2])) / spacing;
    const double turn = 2 * std::numbers::pi / grid.n_azimuths;
    constexpr std::size_t wedge = kernels::widest_wedge;
    const std::uint32_t across = samples_over(grid.ring_width() * spacings_per_k);
    stride_ = (static_cast<std::size_t>(grid.n_azimuths) + wedge - 1) / wedge * wedge;
    std::map<std::uint32_t, std::size_t> tables;  // where the directions of a number of samples along the arc begin
    for (int ring = 0; ring < grid.n_rings; ++ring) {
        const std::uint32_t along = samples_over((grid.k_min + (ring + 1) * grid.ring_width()) * spacings_per_k * turn);
        const auto [table, is_new] = tables.try_emplace(along, directions_.size());
        if (is_new) std::ranges::copy(directions(grid, m, along, stride_), std::back_inserter(directions_));
        for (std::uint32_t i = 0; i < across; ++i) {
            const double part = (i + 0.5) / across;
            const auto radius = static_cast<float>(grid.k_min + (ring + part) * grid.ring_width());
            for (std::uint32_t j = 0; j < along; ++j) {
                radius_.push_back(radius);
                direction_.push_back(static_cast<std::uint32_t>(table->second + 2 * j * stride_));
            }
        }
        share_.push_back(1.0F / static_cast<float>(radius_.size() - first_.back()));
        first_.push_back(radius_.size());
    }
    for (std::size_t s = 0; s < radius_.size(); ++s) {
        std::array<float, 2> reach = reach_.empty() ? std::array<float, 2>{} : reach_.back();
        for (std::size_t i = 0; i < 2 * stride_; ++i)
            reach[i / stride_] = std::max(reach[i / stride_], std::abs(radius_[s] * directions_[direction_[s] + i]));
        reach_.push_back(reach);
    }
    // The circle of k_max becomes an ellipse; a sample's four pixels are less than one away from it either way, rounding is a thousandth.
    const double squares = m[0] * m[0] + m[1] * m[1] + m[2] * m[2] + m[3] * m[3], area = m[0] * m[3] - m[1] * m[2];
    const double longest = std::sqrt((squares + std::sqrt(std::max(0.0, squares * squares - 4 * area * area))) / 2);
    reach_pixels_ = grid.k_max * longest + std::numbers::sqrt2 + 0.01;
}

namespace {

/// Mean of bilinear samples of one frame; pixels that are masked or not finite carry no weight.
template <class T>
class BinMean {
public:
    explicit BinMean(const Frame<T>& frame)
        : frame_(frame),
          last_column_(static_cast<float>(frame.columns - 1)),
          last_row_(static_cast<float>(frame.rows - 1)) {}

    void add(float column, float row) {
        if (!(column >= 0 && column <= last_column_ && row >= 0 && row <= last_row_)) return;
        const auto c = std::min(static_cast<std::ptrdiff_t>(column), frame_.columns - 2);
        const auto r = std::min(static_cast<std::ptrdiff_t>(row), frame_.rows - 2);
        const float fc = column - static_cast<float>(c), fr = row - static_cast<float>(r);
        const std::ptrdiff_t at = r * frame_.columns + c;
        pixel(at, (1 - fc) * (1 - fr));
        pixel(at + 1, fc * (1 - fr));
        pixel(at + frame_.columns, (1 - fc) * fr);
        pixel(at + frame_.columns + 1, fc * fr);
    }

    [[nodiscard]] float value() const {
        return weight_ > 0 ? static_cast<float>(sum_ / weight_) : std::numeric_limits<float>::quiet_NaN();
    }

private:
    void pixel(std::ptrdiff_t at, float weight) {
        const auto value = static_cast<double>(frame_.data[at]);
        if ((frame_.mask && frame_.mask[at]) || !std::isfinite(value)) return;
        sum_ += weight * value;
        weight_ += weight;
    }

    const Frame<T>& frame_;
    float last_column_, last_row_;
    double sum_ = 0, weight_ = 0;  // single precision could overflow
};

}  // namespace

template <class T>
float PolarSampler::mean_of_bin(const Frame<T>& frame, float center_row, float center_column, std::size_t ring,
                                std::size_t azimuth) const {
    BinMean<T> mean(frame);
    for (std::size_t s = first_[ring]; s < first_[ring + 1]; ++s) {
        const float* direction = directions_.data() + direction_[s] + azimuth;
        mean.add(center_column + radius_[s] * direction[0], center_row + radius_[s] * direction[stride_]);
    }
    return mean.value();
}

std::size_t PolarSampler::inside(std::ptrdiff_t rows, std::ptrdiff_t columns, float center_row, float center_column) const {
    const auto within = [](float center, float reach, std::ptrdiff_t n) {
        return center - reach >= 0 && center + reach < static_cast<float>(n - 1);
    };
    const auto out = std::ranges::find_if_not(reach_, [&](const std::array<float, 2>& reach) {
        return within(center_column, reach[0], columns) && within(center_row, reach[1], rows);
    });
    return static_cast<std::size_t>(out - reach_.begin());
}

template <class T>
Bins PolarSampler::unwrap(const Frame<T>& frame, double center_row, double center_column, Scratch& scratch) const {
    if (frame.rows > std::numeric_limits<std::int32_t>::max() / frame.columns)
        throw std::invalid_argument("frames must have less than 2^31 pixels");
    const auto row = static_cast<float>(center_row), column = static_cast<float>(center_column);
    const std::size_t n_rings = share_.size(), n_azimuths = static_cast<std::size_t>(grid_.n_azimuths);
    const auto n_pixels = static_cast<std::size_t>(frame.rows * frame.columns);
    const kernels::Mesh mesh{n_rings, n_azimuths, stride_, first_.data(), share_.data(), radius_.data(), direction_.data(),
                             directions_.data(), inside(frame.rows, frame.columns, row, column)};
    if (sizeof(T) < 4) scratch.pixels.resize(std::max(scratch.pixels.size(), n_pixels * sizeof(T) / 4 + 1));
    if (frame.mask) scratch.mask.resize(std::max(scratch.mask.size(), n_pixels));
    scratch.bins.resize(n_rings * stride_);
    float* bins = scratch.bins.data();
    if (kernels::of<T>().unwrap(mesh, frame, row, column, {scratch.pixels.data(), scratch.mask.data()}, bins)) {
        // The kernel left NaN in bins near pixels that do not count.
        for (std::size_t ring = 0; ring < n_rings; ++ring)
            for (std::size_t azimuth = 0; azimuth < n_azimuths; ++azimuth)
                if (float& bin = bins[ring * stride_ + azimuth]; std::isnan(bin)) bin = mean_of_bin(frame, row, column, ring, azimuth);
    }
    return {bins, stride_};
}

#define NBEDEX_INSTANTIATE(T) template Bins PolarSampler::unwrap(const Frame<T>&, double, double, Scratch&) const;
NBEDEX_FOR_EACH_PIXEL_TYPE(NBEDEX_INSTANTIATE)
#undef NBEDEX_INSTANTIATE

}  // namespace nbedex
