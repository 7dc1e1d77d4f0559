// Non-negative numbers as whole numbers up to 127, rounded up: what bounds are added from.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nbedex {

/// A little less than 127, so that the largest value of a list, in units of itself / this, is still rounded to 127 at most.
inline constexpr float largest_rounded = 126.9F;

/// A whole number n with value <= n * unit, for unit = (largest value) / largest_rounded and per_unit = 1 / unit; 0 for what is not
/// positive. One millionth is added before rounding, which is more than the arithmetic can lose.
[[nodiscard]] inline std::uint8_t rounded_up(float value, float per_unit) {
    const float scaled = value * per_unit * 1.000001F;
    const float within = scaled > 126.5F ? 126.5F : scaled < 0 ? 0.0F : scaled;
    return static_cast<std::uint8_t>(static_cast<std::int32_t>(within) + (within > 0));
}

/// The same for n values; the arrays don't overlap.
inline void round_up(const float* __restrict values, std::size_t n, float per_unit, std::uint8_t* __restrict out) {
    for (std::size_t i = 0; i < n; ++i) out[i] = rounded_up(values[i], per_unit);
}

}  // namespace nbedex
