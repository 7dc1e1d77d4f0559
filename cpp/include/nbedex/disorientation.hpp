// The least rotation between two crystals, over all symmetric equivalents of both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nbedex/parallel.hpp"
#include "nbedex/rotation.hpp"

namespace nbedex {

/// Angle of a rotation in radians, [0, pi], exact also for the smallest angles.
[[nodiscard]] double rotation_angle(const Quaternion& q) noexcept;

/// The equivalents of a misorientation M = O2 O1^-1 from a crystal with the proper rotations S1 to one with S2 are S2 M S1.
/// The scalar part of a product doesn't change under cyclic exchange: that of S2 M S1 is that of (S1 S2) M, so one pass
/// over the distinct products S1 S2 finds the least angle; for equal groups these are the group itself.
class Disorientation {
public:
    /// `exchange`: M and its inverse are equivalent, as for two grains of one phase.
    Disorientation(std::vector<Quaternion> first, std::vector<Quaternion> second, bool exchange);

    /// For two crystals of one phase.
    explicit Disorientation(const std::vector<Quaternion>& symmetry) : Disorientation(symmetry, symmetry, true) {}

    /// Which product S1 S2 gives the least angle with M, and the scalar part it gives.
    struct Best {
        std::size_t product;
        double scalar;
    };
    [[nodiscard]] Best best(const Quaternion& m) const noexcept;

    /// For equal groups the products are the group's elements.
    [[nodiscard]] const Quaternion& product(std::size_t i) const noexcept { return products_[i]; }

    /// Least angle over all equivalents, radians.
    [[nodiscard]] double angle(const Quaternion& m) const noexcept;

    /// The equivalent of least angle with its axis in reduced form: of all axes that symmetry offers, the one with the
    /// largest z, then the largest x, then the largest y; scalar part not negative.
    [[nodiscard]] Quaternion reduced(const Quaternion& m) const;

private:
    struct Way {
        std::uint16_t first, second;
    };
    std::vector<Quaternion> first_, second_;
    std::vector<Quaternion> products_;
    std::vector<std::vector<Way>> ways_;  // how each product comes about, for the axes
    bool exchange_;
};

/// Angles and reduced rotations (empty: not wanted) of pairs of orientations.
void disorientations(const Disorientation& zone, std::span<const Quaternion> first, std::span<const Quaternion> second,
                     std::span<double> angle, std::span<Quaternion> reduced, int threads, const Poll& poll);

}  // namespace nbedex
