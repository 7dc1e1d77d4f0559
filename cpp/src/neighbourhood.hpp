// Which matches are near an orientation: the crystal's symmetry, mirror images and in-plane angles considered.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <vector>

#include "nbedex/match.hpp"

namespace nbedex {

/// A template or its mirror image, numbered 2 * template + mirrored.
struct Image {
    std::ptrdiff_t template_id;
    bool mirrored;
    explicit Image(std::ptrdiff_t number) : template_id(number / 2), mirrored(number % 2 != 0) {}
};

[[nodiscard]] inline std::ptrdiff_t image_number(const Candidate& c) {
    return 2 * std::ptrdiff_t{c.template_id} + c.mirrored;
}

/// In-plane angle of a bin, radians.
[[nodiscard]] inline double bin_angle(const TemplateSet& templates, std::int32_t azimuth) {
    return 2 * std::numbers::pi * azimuth / templates.n_azimuths;
}

/// The orientations within an angle of a chosen one. With O1 the chosen one, O2(phi) = Q R_z(-phi) and S a symmetry
/// rotation, the cosine of half the angle of S O2 O1^-1 is |u_w cos(phi/2) + u_z sin(phi/2)| with u = O1^-1 S Q (the scalar
/// part of a product is invariant under cyclic exchange).
class Neighbourhood {
public:
    Neighbourhood(const TemplateSet& templates, const Image& image, std::int32_t azimuth, double angle)
        : templates_(&templates), limit_(std::cos(angle / 2)) {
        const Quaternion chosen =
            matched_orientation(templates.orientation[static_cast<std::size_t>(image.template_id)], image.mirrored,
                                bin_angle(templates, azimuth));
        for (const Quaternion& s : templates.symmetry) equivalents_.push_back(conjugate(chosen) * s);
    }

    [[nodiscard]] bool contains(const Image& image, std::int32_t azimuth) const {
        const Quaternion& t = templates_->orientation[static_cast<std::size_t>(image.template_id)];
        const Quaternion q = image.mirrored ? t * half_turn_y : t;
        const double half = bin_angle(*templates_, azimuth) / 2;
        const double c = std::cos(half), s = std::sin(half);
        for (const Quaternion& e : equivalents_) {
            const double u_w = e.w * q.w - e.x * q.x - e.y * q.y - e.z * q.z;
            const double u_z = e.w * q.z + e.x * q.y - e.y * q.x + e.z * q.w;
            if (std::abs(u_w * c + u_z * s) >= limit_) return true;
        }
        return false;
    }

private:
    const TemplateSet* templates_;
    std::vector<Quaternion> equivalents_;
    double limit_;
};

}  // namespace nbedex
