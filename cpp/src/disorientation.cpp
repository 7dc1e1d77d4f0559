#include "nbedex/disorientation.hpp"

#include <algorithm>
#include <cmath>

namespace nbedex {
namespace {

constexpr double same = 1e-9;  // scalar parts and components of axes closer than this are equal but for rounding

double scalar_of_product(const Quaternion& a, const Quaternion& b) noexcept {
    return a.w * b.w - a.x * b.x - a.y * b.y - a.z * b.z;
}

/// Whether the axis of a stands before that of b: larger z, then larger x, then larger y.
bool axis_before(const Quaternion& a, const Quaternion& b) noexcept {
    if (std::abs(a.z - b.z) > same) return a.z > b.z;
    if (std::abs(a.x - b.x) > same) return a.x > b.x;
    return a.y > b.y + same;
}

Quaternion with_positive_scalar(const Quaternion& q) noexcept {
    return q.w < 0 ? Quaternion{-q.w, -q.x, -q.y, -q.z} : q;
}

}  // namespace

double rotation_angle(const Quaternion& q) noexcept {
    return 2 * std::atan2(std::sqrt(q.x * q.x + q.y * q.y + q.z * q.z), std::abs(q.w));
}

Disorientation::Disorientation(std::vector<Quaternion> first, std::vector<Quaternion> second, bool exchange)
    : first_(std::move(first)), second_(std::move(second)), exchange_(exchange) {
    for (std::size_t i = 0; i < first_.size(); ++i) {
        for (std::size_t j = 0; j < second_.size(); ++j) {
            const Quaternion p = first_[i] * second_[j];
            const auto known = std::find_if(products_.begin(), products_.end(), [&](const Quaternion& q) {
                return std::abs(scalar_of_product(conjugate(q), p)) > 1 - same;
            });
            const auto place = static_cast<std::size_t>(known - products_.begin());
            if (known == products_.end()) {
                products_.push_back(p);
                ways_.emplace_back();
            }
            ways_[place].push_back({static_cast<std::uint16_t>(i), static_cast<std::uint16_t>(j)});
        }
    }
}

Disorientation::Best Disorientation::best(const Quaternion& m) const noexcept {
    Best found{0, 0.0};
    double largest = -1;
    for (std::size_t i = 0; i < products_.size(); ++i) {
        const double scalar = scalar_of_product(products_[i], m);
        if (std::abs(scalar) > largest) {
            largest = std::abs(scalar);
            found = {i, scalar};
        }
    }
    return found;
}

double Disorientation::angle(const Quaternion& m) const noexcept { return rotation_angle(products_[best(m).product] * m); }

Quaternion Disorientation::reduced(const Quaternion& m) const {
    const double largest = std::abs(best(m).scalar);
    bool any = false;
    Quaternion chosen{1, 0, 0, 0};
    const auto offer = [&](const Quaternion& q) {
        if (!any || axis_before(q, chosen)) chosen = q;
        any = true;
    };
    for (std::size_t i = 0; i < products_.size(); ++i) {
        if (std::abs(scalar_of_product(products_[i], m)) < largest - same) continue;
        for (const Way& way : ways_[i]) {
            const Quaternion q = with_positive_scalar(second_[way.second] * m * first_[way.first]);
            offer(q);
            // the axis of half a turn has no sign, and exchanging equal crystals reverses any axis
            if (exchange_ || q.w <= same) offer({q.w, -q.x, -q.y, -q.z});
        }
    }
    return chosen;
}

void disorientations(const Disorientation& zone, std::span<const Quaternion> first, std::span<const Quaternion> second,
                     std::span<double> angle, std::span<Quaternion> reduced, int threads, const Poll& poll) {
    constexpr std::ptrdiff_t block = 4096;
    const auto n = static_cast<std::ptrdiff_t>(first.size());
    parallel_for((n + block - 1) / block, threads, poll, [&](std::ptrdiff_t b, int) {
        const auto end = static_cast<std::size_t>(std::min(n, (b + 1) * block));
        for (auto i = static_cast<std::size_t>(b * block); i < end; ++i) {
            const Quaternion m = second[i] * conjugate(first[i]);
            angle[i] = zone.angle(m);
            if (!reduced.empty()) reduced[i] = zone.reduced(m);
        }
    });
}

}  // namespace nbedex
