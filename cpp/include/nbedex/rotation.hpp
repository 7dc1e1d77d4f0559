// Unit quaternions (w, x, y, z) for rotations that take sample vectors to crystal vectors.
#pragma once

#include <array>
#include <cmath>

namespace nbedex {

struct Quaternion {
    double w, x, y, z;
};

[[nodiscard]] constexpr Quaternion operator*(const Quaternion& a, const Quaternion& b) noexcept {
    return {a.w * b.w - a.x * b.x - a.y * b.y - a.z * b.z, a.w * b.x + a.x * b.w + a.y * b.z - a.z * b.y,
            a.w * b.y - a.x * b.z + a.y * b.w + a.z * b.x, a.w * b.z + a.x * b.y - a.y * b.x + a.z * b.w};
}

[[nodiscard]] constexpr Quaternion conjugate(const Quaternion& q) noexcept { return {q.w, -q.x, -q.y, -q.z}; }

/// Row-major matrix of v -> q v q*.
[[nodiscard]] constexpr std::array<double, 9> matrix(const Quaternion& q) noexcept {
    return {1 - 2 * (q.y * q.y + q.z * q.z), 2 * (q.x * q.y - q.w * q.z),     2 * (q.x * q.z + q.w * q.y),
            2 * (q.x * q.y + q.w * q.z),     1 - 2 * (q.x * q.x + q.z * q.z), 2 * (q.y * q.z - q.w * q.x),
            2 * (q.x * q.z - q.w * q.y),     2 * (q.y * q.z + q.w * q.x),     1 - 2 * (q.x * q.x + q.y * q.y)};
}

/// Half a turn about the sample's Y axis. The mirror image (x, -y) of a pattern taken at orientation O is, because
/// kinematical intensities obey Friedel's law, the pattern at O * half_turn_y: (x, y, z) -> -(x, y, z) by
/// Friedel, then (-x, -y, -z) -> (x, -y, z) by the half turn, with the excitation error unchanged.
inline constexpr Quaternion half_turn_y{0.0, 0.0, 1.0, 0.0};
inline constexpr Quaternion half_turn_z{0.0, 0.0, 0.0, 1.0};  ///< about the beam

/// Orientation of a crystal whose pattern is the template's, mirrored first if `mirrored`, then turned by `azimuth`
/// (radians, from X towards Y): the crystal turns with the pattern, so O = O_t [R_y(pi)] R_z(-azimuth).
[[nodiscard]] inline Quaternion matched_orientation(const Quaternion& of_template, bool mirrored, double azimuth) {
    const Quaternion base = mirrored ? of_template * half_turn_y : of_template;
    return base * Quaternion{std::cos(azimuth / 2), 0.0, 0.0, -std::sin(azimuth / 2)};
}

}  // namespace nbedex
