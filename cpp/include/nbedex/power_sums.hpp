// Sums of powers of a pattern's values: all that its mean, norm and skewness are computed from.
#pragma once

#include <span>

namespace nbedex {

/// Sums of first, second and third powers.
struct PowerSums {
    double first, second, third;
};

/// Of values of which none is NaN; the same bits on all instruction sets, and those that preparation finds on its way (preprocess.hpp).
[[nodiscard]] PowerSums power_sums(std::span<const float> values);

}  // namespace nbedex
