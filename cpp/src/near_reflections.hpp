// The reflections that some orientation near a given one can excite, what the pattern shows at their places, and the score of refinement.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/kernels.hpp"
#include "nbedex/kinematic_model.hpp"
#include "nbedex/power_sums.hpp"

namespace nbedex {

/// One polar pattern with what its values are measured by. The values stay where they are.
class MeasuredPattern {
public:
    /// False if the pattern has no contrast; then it can't be matched.
    [[nodiscard]] bool load(std::span<const float> pattern, const PowerSums& sums) {
        const auto n = static_cast<double>(pattern.size());
        mean_ = sums.first / n;
        const double squares = sums.second - n * mean_ * mean_;
        if (!(squares > 1e-12 * sums.second) || !std::isfinite(squares)) return false;  // or only what rounding leaves of equal values
        norm_ = std::sqrt(squares);
        values_ = pattern;
        return true;
    }

    [[nodiscard]] std::span<const float> values() const noexcept { return values_; }

    /// Zero-mean normalised correlation with weights in some of the bins.
    [[nodiscard]] double correlation(const kernels::RockingSums& sums) const {
        const double norm = weight_norm(sums);
        return norm > 0 ? (sums.correlation - mean_ * sums.weight) / (norm_ * norm) : 0.0;
    }
    /// What a sum of weights times values has to be divided by.
    [[nodiscard]] double norm(const kernels::RockingSums& sums) const { return norm_ * weight_norm(sums); }

private:
    [[nodiscard]] double weight_norm(const kernels::RockingSums& sums) const {
        const double total = sums.weight, squares = sums.square - total * total / static_cast<double>(values_.size());
        return squares > 0 ? std::sqrt(squares) : 0.0;
    }

    std::span<const float> values_;
    double mean_ = 0, norm_ = 1;
};

[[nodiscard]] inline std::size_t padded(std::size_t n) {
    return (n + kernels::rocking_lanes - 1) / kernels::rocking_lanes * kernels::rocking_lanes;
}

/// Some of a crystal's pairs of reflections, in its own frame.
class ChosenPairs {
public:
    /// Those that lie nearer to the plane through the origin than `within`.
    void select(const RockingCurves& of, const std::vector<float>& within, const float* normal) {
        const std::size_t n = of.x.size();
        if (x_.size() < n + kernels::rocking_lanes)
            for (std::vector<float>* column : {&x_, &y_, &z_, &root_, &weight_, &opposite_}) column->resize(n + kernels::rocking_lanes);
        size_ = kernels::active().rocking->select(
            {of.x.data(), of.y.data(), of.z.data(), of.root.data(), of.weight.data(), of.opposite.data(), n}, within.data(), normal,
            {x_.data(), y_.data(), z_.data(), root_.data(), weight_.data(), opposite_.data()});
    }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// With those that are written beyond the last.
    [[nodiscard]] std::size_t room() const noexcept { return padded(size_) + kernels::rocking_lanes; }
    [[nodiscard]] kernels::Reciprocal pairs() const noexcept {
        return {x_.data(), y_.data(), z_.data(), root_.data(), weight_.data(), opposite_.data(), padded(size_)};
    }

private:
    std::vector<float> x_, y_, z_, root_, weight_, opposite_;
    std::size_t size_ = 0;
};

class NearReflections {
public:
    NearReflections(const MeasuredPattern& pattern, const KinematicModel& model)
        : pattern_(pattern), grid_(model.grid()), wavelength_(model.options().wavelength), kernels_(*kernels::active().rocking) {}

    /// Takes those that a rotation within reach (about each axis) can bring to the Ewald sphere.
    void select(const RockingCurves& curves, const Quaternion& orientation) {
        const std::array<double, 9> m = matrix(conjugate(orientation));
        const float normal[] = {static_cast<float>(m[6]), static_cast<float>(m[7]), static_cast<float>(m[8])};
        chosen_.select(curves, curves.reached_within, normal);
        near_.make_room(2 * chosen_.room());
        excited_.make_room(2 * chosen_.room());
        if (value_.size() < 2 * chosen_.room()) value_.resize(2 * chosen_.room());
    }

    /// Places and excitation errors at an orientation, of what a tilt by up to `tilt` radians excites; reflections outside the annulus
    /// are left out.
    void place(const Quaternion& orientation, double tilt) {
        const std::array<double, 9> m = matrix(conjugate(orientation));
        kernels::Placing how{{},
                             static_cast<float>(1 / wavelength_),
                             static_cast<float>(grid_.k_min),
                             static_cast<float>(1 / grid_.ring_width()),
                             static_cast<float>(grid_.n_rings),
                             static_cast<float>(tilt)};
        std::ranges::transform(m, how.rotation, [](double value) { return static_cast<float>(value); });
        const kernels::PlaceCounts counts = kernels_.place(chosen_.pairs(), how, near_.columns(), excited_.columns());
        near_.size = counts.near;
        excited_.size = counts.excited;
        for (Placed* placed : {&near_, &excited_}) kernels_.find_bins(rows(), placed->columns(), padded(placed->size), placed->bins());
    }

    /// For the crystal turned about the beam by first, first + 1, … bins, the sums of weights times values; without tilt.
    void turned(int first, std::span<float> sums) {
        std::array<float, kernels::turn_lanes> some;
        for (std::size_t done = 0; done < sums.size(); done += some.size()) {
            kernels_.turned_sums(rows(), excited_.bins(), excited_.weight.data(), first + static_cast<int>(done), excited_.size, some.data());
            std::copy_n(some.begin(), std::min(some.size(), sums.size() - done), sums.begin() + static_cast<std::ptrdiff_t>(done));
        }
    }

    /// Looks the pattern's values up with the crystal turned by `turn` bins about the beam.
    void look_up(double turn) { kernels_.look_up(rows(), near_.bins(), static_cast<float>(turn), padded(near_.size), value_.data()); }

    /// The sums of the score at tilts of (x, y) radians about sample X and Y, with the values looked up.
    void tilted(std::span<const float> x, float y, std::span<kernels::RockingSums> sums) const {
        kernels_.tilted_sums({near_.x.data(), near_.y.data(), near_.excitation.data(), near_.weight.data(), value_.data(), padded(near_.size)},
                             x.data(), y, x.size(), sums.data());
    }

private:
    /// Reflections at an orientation, column by column, and the bins that they fall into.
    struct Placed {
        std::vector<float> x, y, excitation, weight, row, down, azimuth;
        std::vector<std::uint32_t> upper, lower;
        std::size_t size = 0;

        void make_room(std::size_t n) {
            if (x.size() >= n) return;
            for (std::vector<float>* column : {&x, &y, &excitation, &weight, &row, &down, &azimuth}) column->resize(n);
            for (std::vector<std::uint32_t>* column : {&upper, &lower}) column->resize(n);
        }
        [[nodiscard]] kernels::PlaceColumns columns() { return {x.data(), y.data(), excitation.data(), weight.data(), row.data()}; }
        [[nodiscard]] kernels::BinColumns bins() { return {upper.data(), lower.data(), down.data(), azimuth.data()}; }
    };

    [[nodiscard]] kernels::PolarRows rows() const {
        return {pattern_.values().data(), static_cast<std::uint32_t>(grid_.n_rings), static_cast<std::uint32_t>(grid_.n_azimuths)};
    }

    const MeasuredPattern& pattern_;
    const PolarGrid& grid_;
    double wavelength_;
    const kernels::RockingKernels& kernels_;
    ChosenPairs chosen_;
    Placed near_, excited_;
    std::vector<float> value_;  // of the pattern at near_
};

}  // namespace nbedex
