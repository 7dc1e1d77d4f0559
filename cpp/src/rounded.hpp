// Non-negative numbers as small whole numbers, rounded up: what bounds are added from.
#pragma once

#include <cstdint>

namespace nbedex {

inline constexpr int most_whole = 126;  ///< of values
inline constexpr int most_weight = 64;  ///< of what values are multiplied by, two of which may have been added: 2 * 2 * 126 * 64 fits 16 bits with a sign

/// The unit in which the largest value of a list becomes `most`.
[[nodiscard]] inline float unit_of(float largest, int most) { return largest / (static_cast<float>(most) - 0.1F); }

/// A whole number n <= most with value <= n * unit, for unit = unit_of(a value at least as large, most) and per_unit = 1 / unit; 0 for
/// what is not positive, or no number. One millionth is added before rounding, which is more than the arithmetic can lose. Static: kernels are compiled
/// for several instruction sets, and each must keep its own copy.
[[nodiscard]] static inline std::uint8_t rounded_up(float value, float per_unit, int most) {
    const float scaled = value * per_unit * 1.000001F, limit = static_cast<float>(most) - 0.5F;
    const float within = scaled > 0 ? (scaled < limit ? scaled : limit) : 0.0F;  // 0 also for what is no number
    return static_cast<std::uint8_t>(static_cast<std::int32_t>(within) + (within > 0));
}

}  // namespace nbedex
