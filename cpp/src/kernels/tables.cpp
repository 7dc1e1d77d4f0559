// Making a pattern ready. Compiled once per instruction set, like kernels.cpp: no standard-library code may be instantiated here.
#include "kernels/tables.hpp"

#include "kernels/kernels.hpp"

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

typedef std::uint8_t Bytes __attribute__((vector_size(32)));  // 32 sectors

inline Bytes load(const std::uint8_t* from) {
    Bytes value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}

inline Bytes larger(Bytes a, Bytes b) { return a > b ? a : b; }

/// (a + b) / 2, rounded up.
inline Bytes mean_of(Bytes a, Bytes b) { return (a | b) - ((a ^ b) >> 1); }

/// 32 sectors, of which those beyond n repeat the first ones, and then the same from sector n on.
inline void store_twice(Bytes sectors, std::size_t n, std::uint8_t* row) {
    __builtin_memcpy(row, &sectors, sizeof sectors);
    __builtin_memcpy(row + n, &sectors, sizeof sectors);
}

void sector_rows(const std::uint8_t* columns, const SectorShape& given, std::uint8_t* both, std::uint8_t* alone) {
    const SectorShape shape = given;
    const std::size_t half_turn = shape.n_sectors * shape.bytes;
    for (std::size_t first = 0; first < shape.length; first += shape.step, both += 64, alone += 64) {
        Bytes here = {}, further = {};
        const auto look_at = [&](const std::uint8_t* column) {
            here = larger(here, load(column));
            further = larger(further, load(column + half_turn));
        };
        for (std::size_t e = first; e < shape.length; ++e) look_at(columns + e * column_bytes);
        for (std::size_t e = 0; e + 1 < first + shape.span; ++e) look_at(columns + e * column_bytes + shape.bytes);
        store_twice(mean_of(here, further), half_turn, both);
        store_twice(mean_of(larger(here, further), Bytes{}), half_turn, alone);
    }
}

}  // namespace

extern const TableKernels table_kernels{scaled_twice, sector_rows};

}  // namespace nbedex::kernels::NBEDEX_KERNEL_ISA
