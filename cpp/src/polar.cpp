#include "nbedex/polar.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>

#include "pixel_types.hpp"

namespace nbedex {

PolarSampler::PolarSampler(const PolarGrid& grid, const std::array<double, 4>& m) : grid_(grid) {
    if (grid.n_rings < 1 || grid.n_azimuths < 4 || !(grid.k_min >= 0) || !(grid.k_max > grid.k_min))
        throw std::invalid_argument("polar grid needs at least 1 ring, 4 azimuths and 0 <= k_min < k_max");
    const double pixels_per_k = std::sqrt(std::abs(m[0] * m[3] - m[1] * m[2]));
    const double turn = 2 * std::numbers::pi / grid.n_azimuths;
    const int across = std::max(1, static_cast<int>(std::ceil(grid.ring_width() * pixels_per_k)));
    for (int ring = 0; ring < grid.n_rings; ++ring) {
        const double outer = grid.k_min + (ring + 1) * grid.ring_width();
        const int along = std::max(1, static_cast<int>(std::ceil(outer * pixels_per_k * turn)));
        samples_per_bin_.push_back(across * along);
        first_.push_back(column_.size());
        for (int azimuth = 0; azimuth < grid.n_azimuths; ++azimuth) {
            for (int i = 0; i < across; ++i) {
                for (int j = 0; j < along; ++j) {
                    const double k = grid.k_min + (ring + (i + 0.5) / across) * grid.ring_width();
                    const double angle = (azimuth + (j + 0.5) / along - 0.5) * turn;
                    const double kx = k * std::cos(angle), ky = k * std::sin(angle);
                    column_.push_back(static_cast<float>(m[0] * kx + m[1] * ky));
                    row_.push_back(static_cast<float>(m[2] * kx + m[3] * ky));
                }
            }
        }
    }
}

namespace {

/// Bilinear samples of one frame, gathered into a mean; masked and non-finite pixels carry no weight.
template <class T, bool Masked>
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

    [[nodiscard]] float take() {
        const float mean = weight_ > 0 ? sum_ / weight_ : std::numeric_limits<float>::quiet_NaN();
        sum_ = weight_ = 0;
        return mean;
    }

private:
    void pixel(std::ptrdiff_t at, float weight) {
        const float value = static_cast<float>(frame_.data[at]);
        if constexpr (Masked) {
            if ((frame_.mask && frame_.mask[at]) || !std::isfinite(value)) return;
        }
        sum_ += weight * value;
        weight_ += weight;
    }

    const Frame<T>& frame_;
    float last_column_, last_row_;
    float sum_ = 0, weight_ = 0;
};

}  // namespace

template <class T>
void PolarSampler::unwrap(const Frame<T>& frame, double center_row, double center_column, std::span<float> out) const {
    const auto run = [&]<bool Masked>() {
        BinMean<T, Masked> bin(frame);
        const auto row0 = static_cast<float>(center_row), column0 = static_cast<float>(center_column);
        const auto n_azimuths = static_cast<std::size_t>(grid_.n_azimuths);
        for (std::size_t ring = 0; ring < samples_per_bin_.size(); ++ring) {
            const auto n = static_cast<std::size_t>(samples_per_bin_[ring]);
            std::size_t sample = first_[ring];
            for (std::size_t azimuth = 0; azimuth < n_azimuths; ++azimuth) {
                for (const std::size_t end = sample + n; sample < end; ++sample)
                    bin.add(column0 + column_[sample], row0 + row_[sample]);
                out[ring * n_azimuths + azimuth] = bin.take();
            }
        }
    };
    // Integer frames without a mask need no test per pixel.
    if (frame.mask || std::is_floating_point_v<T>)
        run.template operator()<true>();
    else
        run.template operator()<false>();
}

#define NBEDEX_INSTANTIATE(T) template void PolarSampler::unwrap(const Frame<T>&, double, double, std::span<float>) const;
NBEDEX_FOR_EACH_PIXEL_TYPE(NBEDEX_INSTANTIATE)
#undef NBEDEX_INSTANTIATE

}  // namespace nbedex
