// Making a pattern ready. Compiled once per instruction set, like kernels.cpp: no standard-library code may be instantiated here.
#include "kernels/tables.hpp"

#include "kernels/kernels.hpp"
#include "rounded.hpp"

namespace nbedex::kernels::NBEDEX_KERNEL_ISA {
namespace {

float scaled_twice(const float* __restrict from, std::size_t n, float factor, float* __restrict to) {
    float* __restrict again = to + n;
    std::int32_t largest = 0;  // numbers that are not negative are ordered like their bits
    for (std::size_t i = 0; i < n; ++i) {
        const float value = from[i] * factor;
        to[i] = value;
        again[i] = value;
        std::int32_t bits;
        __builtin_memcpy(&bits, &value, sizeof bits);
        bits &= 0x7FFFFFFF;
        largest = bits > largest ? bits : largest;
    }
    float result;
    __builtin_memcpy(&result, &largest, sizeof result);
    return result;
}

std::uint8_t round_all_up(const float* __restrict values, std::size_t n, float per_unit, std::uint8_t* __restrict out) {
    std::int32_t largest = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const std::int32_t whole = rounded_up(values[i], per_unit, most_whole);
        out[i] = static_cast<std::uint8_t>(whole);
        largest = whole > largest ? whole : largest;
    }
    return static_cast<std::uint8_t>(largest);
}

void halved(const std::uint8_t* __restrict values, std::size_t n, std::uint8_t* __restrict out) {
    for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<std::uint8_t>(values[i] - values[i] / 2);
}

void larger(const std::uint8_t* __restrict from, std::size_t by, std::size_t n, std::uint8_t* __restrict to) {
    const std::uint8_t* __restrict other = from + by;
    for (std::size_t i = 0; i < n; ++i) to[i] = from[i] > other[i] ? from[i] : other[i];
}

}  // namespace

extern const TableKernels table_kernels{scaled_twice, round_all_up, halved, larger};

}  // namespace nbedex::kernels::NBEDEX_KERNEL_ISA
