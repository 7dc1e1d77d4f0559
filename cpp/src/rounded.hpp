// Non-negative numbers as whole numbers up to 127, rounded up: what bounds are added from.
#pragma once

#include <algorithm>
#include <cstdint>

namespace nbedex {

/// A little less than 127, so that the largest value of a list, in units of itself / this, is still rounded to 127 at most.
inline constexpr float largest_rounded = 126.9F;

/// A whole number n with value <= n * unit, for unit = (largest value) / largest_rounded and per_unit = 1 / unit; 0 for what is not
/// positive. One millionth is added before rounding, which is more than the arithmetic can lose.
[[nodiscard]] inline std::uint8_t rounded_up(float value, float per_unit) {
    const auto whole = static_cast<std::int32_t>(value * per_unit * 1.000001F) + 1;
    return static_cast<std::uint8_t>(value > 0 ? std::min(127, whole) : 0);
}

}  // namespace nbedex
