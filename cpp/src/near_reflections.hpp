// The reflections that some orientation near a given one can excite, what the pattern shows at their places, and the score of refinement.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/kernels.hpp"
#include "nbedex/refine.hpp"
#include "pattern.hpp"
#include "rocking_curves.hpp"

namespace nbedex {

struct Tilt {
    double x = 0, y = 0;  ///< radians, about sample X and Y
};

class NearReflections {
public:
    NearReflections(const NormalisedPattern& pattern, const PolarGrid& grid, const RefineOptions& options)
        : pattern_(pattern), grid_(grid), options_(options), kernels_(*kernels::active().rocking) {}

    /// Takes those that a rotation by up to `reach` (about each axis) can bring to the Ewald sphere.
    void select(const RockingCurves& curves, const Quaternion& orientation) {
        const KinematicCrystal& crystal = *curves.crystal;
        const std::array<double, 9> m = matrix(conjugate(orientation));
        const float normal[] = {static_cast<float>(m[6]), static_cast<float>(m[7]), static_cast<float>(m[8])};
        // |s| <= limit + |tilt| |g|, |s - (-g_z)| <= wavelength g^2 / 2 (and a little for the sphere's fourth order)
        const auto slope = static_cast<float>(2 * options_.reach + 0.01), bend = static_cast<float>(0.51 * options_.wavelength);
        const float *gx = crystal.component(0), *gy = crystal.component(1), *gz = crystal.component(2);
        flags_.resize(crystal.size());
        kernels_.near_plane({gx, gy, gz, crystal.size()}, crystal.length().data(), normal, curves.widest, slope, bend, flags_.data());
        for (std::vector<float>* column : {&chosen_.x, &chosen_.y, &chosen_.z, &chosen_.limit, &chosen_.sharpness, &chosen_.weight}) column->clear();
        for (std::size_t i = 0; i < crystal.size(); ++i) {
            if (!flags_[i]) continue;
            chosen_.x.push_back(gx[i]);
            chosen_.y.push_back(gy[i]);
            chosen_.z.push_back(gz[i]);
            chosen_.limit.push_back(curves.limit[i]);
            chosen_.sharpness.push_back(curves.sharpness[i]);
            chosen_.weight.push_back(curves.weight[i]);
        }
        for (std::vector<float>* column : {&all_x_, &all_y_, &all_excitation_, &all_row_}) column->resize(chosen_.x.size());
        for (std::vector<float>* column : {&x_, &y_, &excitation_, &sharpness_, &weight_, &value_, &azimuth_, &down_})
            column->resize(padded(chosen_.x.size()));
        upper_.resize(x_.size());
        lower_.resize(x_.size());
    }

    /// Positions, excitation errors and weights at an orientation, of what is within `reach` of being excited; reflections
    /// outside the annulus are left out. Those excited without tilt come first.
    void place(const Quaternion& orientation, double reach) {
        const std::array<double, 9> m = matrix(conjugate(orientation));
        kernels::Placing how{{},
                             static_cast<float>(1 / options_.wavelength),
                             static_cast<float>(grid_.k_min),
                             static_cast<float>(1 / grid_.ring_width()),
                             static_cast<float>(grid_.n_rings),
                             static_cast<float>(2 * reach)};
        std::ranges::transform(m, how.rotation, [](double value) { return static_cast<float>(value); });
        const std::size_t n = chosen_.x.size();
        flags_.resize(n);
        kernels_.place({chosen_.x.data(), chosen_.y.data(), chosen_.z.data(), n}, chosen_.limit.data(), how,
                       {all_x_.data(), all_y_.data(), all_excitation_.data(), all_row_.data(), flags_.data()});
        size_ = 0;
        keep(kernels::is_near | kernels::is_excited);
        excited_ = size_;
        keep(kernels::is_near);
        for (std::vector<float>* column : {&x_, &y_, &excitation_, &sharpness_, &weight_, &value_})
            std::fill(column->begin() + static_cast<std::ptrdiff_t>(size_), column->begin() + static_cast<std::ptrdiff_t>(padded(size_)), 0.0F);
        kernels_.azimuths(x_.data(), y_.data(), size_, static_cast<float>(grid_.n_azimuths), azimuth_.data());
    }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// How many are excited without tilt.
    [[nodiscard]] std::size_t excited() const noexcept { return excited_; }

    /// Looks the pattern's values at the first n reflections up with the crystal turned by `turn` bins about the beam, between bins linearly.
    void look_up(double turn, std::size_t n) {
        kernels_.look_up({pattern_.rows(), static_cast<std::uint32_t>(grid_.n_azimuths)}, upper_.data(), lower_.data(), down_.data(), azimuth_.data(),
                         static_cast<float>(turn), n, value_.data());
    }

    /// Zero-mean normalised correlation of the first n reflections with the crystal tilted.
    [[nodiscard]] double score(const Tilt& tilt, std::size_t n) const {
        const kernels::RockingSpots spots{x_.data(),      y_.data(),     excitation_.data(), sharpness_.data(),
                                          weight_.data(), value_.data(), padded(n)};
        const kernels::RockingSums sums = kernels_.sums(spots, static_cast<float>(tilt.x), static_cast<float>(tilt.y));
        const double total = sums.weight, squares = sums.square - total * total / static_cast<double>(grid_.size());
        return squares > 0 ? (sums.correlation - double{pattern_.mean()} * total) / std::sqrt(squares) : 0.0;
    }

private:
    /// Appends the chosen reflections of a state.
    void keep(int state) {
        const auto n_rings = static_cast<std::ptrdiff_t>(grid_.n_rings), stride = 2 * static_cast<std::ptrdiff_t>(grid_.n_azimuths);
        for (std::size_t i = 0; i < flags_.size(); ++i) {
            if (flags_[i] != state) continue;
            const std::size_t to = size_++;
            x_[to] = all_x_[i];
            y_[to] = all_y_[i];
            excitation_[to] = all_excitation_[i];
            sharpness_[to] = chosen_.sharpness[i];
            weight_[to] = chosen_.weight[i];
            const float row = all_row_[i];  // at least -0.5
            const std::ptrdiff_t r = static_cast<std::ptrdiff_t>(row + 1) - 1;
            down_[to] = row - static_cast<float>(r);
            upper_[to] = static_cast<std::uint32_t>(std::max<std::ptrdiff_t>(r, 0) * stride);
            lower_[to] = static_cast<std::uint32_t>(std::min(r + 1, n_rings - 1) * stride);
        }
    }

    /// Filled up to whole sets of lanes; what is beyond n then has no weight without tilt, or none at all.
    [[nodiscard]] static std::size_t padded(std::size_t n) {
        return (n + kernels::rocking_lanes - 1) / kernels::rocking_lanes * kernels::rocking_lanes;
    }

    const NormalisedPattern& pattern_;
    const PolarGrid& grid_;
    const RefineOptions& options_;
    const kernels::RockingKernels& kernels_;
    struct {
        std::vector<float> x, y, z, limit, sharpness, weight;
    } chosen_;  // of the crystal's reflections; x, y, z in its own frame
    std::vector<float> all_x_, all_y_, all_excitation_, all_row_;  // of those, at an orientation
    std::vector<std::int32_t> flags_;
    std::vector<float> x_, y_, excitation_, sharpness_, weight_, value_, azimuth_, down_;  // of those that count there
    std::vector<std::uint32_t> upper_, lower_;
    std::size_t size_ = 0, excited_ = 0;
};

}  // namespace nbedex
