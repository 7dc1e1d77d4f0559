// Compiled once per instruction set with NBEDEX_KERNEL_ISA naming it. No standard-library code may be instantiated
// here: an inline function compiled for AVX-512 could be the copy the linker keeps for every caller.
#include "kernels/kernels.hpp"

namespace nbedex::kernels::NBEDEX_KERNEL_ISA {
namespace {

// Vectors of 16, 8, … floats, which the compiler splits or not as the instruction set has them.
template <std::size_t Lanes>
struct Vector {
    typedef float type __attribute__((vector_size(Lanes * sizeof(float))));
};
using Vector16 = Vector<16>::type;

template <class V>
inline V load(const float* from) {
    V value;
    __builtin_memcpy(&value, from, sizeof(V));
    return value;
}

inline float largest(const Vector16& v) {
    const auto low8 = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7);
    const auto high8 = __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    const auto best8 = low8 > high8 ? low8 : high8;
    const auto low4 = __builtin_shufflevector(best8, best8, 0, 1, 2, 3);
    const auto high4 = __builtin_shufflevector(best8, best8, 4, 5, 6, 7);
    const auto best4 = low4 > high4 ? low4 : high4;
    const float left = best4[0] > best4[1] ? best4[0] : best4[1];
    const float right = best4[2] > best4[3] ? best4[2] : best4[3];
    return left > right ? left : right;
}

template <std::size_t N>
inline float largest(const Vector16 (&sum)[N]) {
    Vector16 best = sum[0];
    for (std::size_t i = 1; i < N; ++i) best = best > sum[i] ? best : sum[i];
    return largest(best);
}

/// sum += weight * values, lane by lane.
template <std::size_t N>
inline void add_spot(Vector16 (&sum)[N], float weight, const float* values) {
    for (std::size_t i = 0; i < N; ++i) sum[i] += weight * load<Vector16>(values + 16 * i);
}

constexpr std::size_t block = 64;  // rotations held in registers at a time

void correlate(const float* rows, std::size_t n_azimuths, const Spots& spots, float* out) {
    const std::size_t stride = 2 * n_azimuths;
    std::size_t phi = 0;
    for (; phi + block <= n_azimuths; phi += block) {
        Vector16 sum[block / 16] = {};
        for (std::size_t i = 0; i < spots.n; ++i)
            add_spot(sum, spots.weight[i], rows + spots.ring[i] * stride + spots.azimuth[i] + phi);
        __builtin_memcpy(out + phi, sum, sizeof(sum));
    }
    for (; phi < n_azimuths; ++phi) {
        float sum = 0;
        for (std::size_t i = 0; i < spots.n; ++i)
            sum += spots.weight[i] * rows[spots.ring[i] * stride + spots.azimuth[i] + phi];
        out[phi] = sum;
    }
}

void correlate_some(const float* rows, std::size_t n_azimuths, const Spots& spots, const std::uint32_t* azimuth,
                    const std::size_t* phi, float* out) {
    const std::size_t stride = 2 * n_azimuths;
    using Run = Vector<exact_lanes>::type;
    Run sum[exact_runs] = {};
    for (std::size_t i = 0; i < spots.n; ++i) {
        const float* at = rows + spots.ring[i] * stride + azimuth[spots.azimuth[i]];
        for (std::size_t run = 0; run < exact_runs; ++run) sum[run] += spots.weight[i] * load<Run>(at + phi[run]);
    }
    __builtin_memcpy(out, sum, sizeof(sum));
}

void ring_sums(const float* ring_maximum, const Spots& spots, float* prefix) {
    float total = 0;
    std::size_t j = 0;
    prefix[0] = 0;
    for (std::size_t first = 0; first < spots.n; first += group) {
        const std::size_t last = first + group < spots.n ? first + group : spots.n;
        float even = 0, odd = 0;
        std::size_t i = first;
        for (; i + 1 < last; i += 2) {
            even += spots.weight[i] * ring_maximum[spots.ring[i]];
            odd += spots.weight[i + 1] * ring_maximum[spots.ring[i + 1]];
        }
        if (i < last) even += spots.weight[i] * ring_maximum[spots.ring[i]];
        total += even + odd;
        prefix[++j] = total;
    }
}

void coarse_bounds(const BlockTable& table, const std::uint32_t* mirrored_start, const Spots& spots, float* best) {
    Vector16 sum[2] = {}, mirrored[2] = {};
    const auto add = [&](std::size_t i, std::size_t parity) {
        const float* ring = table.values + spots.ring[i] * table.ring_stride;
        sum[parity] += spots.weight[i] * load<Vector16>(ring + table.start[spots.azimuth[i]]);
        mirrored[parity] += spots.weight[i] * load<Vector16>(ring + mirrored_start[spots.azimuth[i]]);
    };
    std::size_t i = 0;
    for (; i + 1 < spots.n; i += 2) {
        add(i, 0);
        add(i + 1, 1);
    }
    if (i < spots.n) add(i, 0);
    best[0] = largest(sum[0] + sum[1]);
    best[1] = largest(mirrored[0] + mirrored[1]);
}

float fine_bound(const BlockTable& table, const Spots& spots, const float* sums, float cut, float* lanes) {
    Vector16 sum[fine_lanes / 16] = {};
    const std::size_t n_groups = (spots.n + group - 1) / group;
    for (std::size_t j = 0; j < n_groups; ++j) {
        const std::size_t last = (j + 1) * group < spots.n ? (j + 1) * group : spots.n;
        for (std::size_t i = j * group; i < last; ++i)
            add_spot(sum, spots.weight[i], table.values + spots.ring[i] * table.ring_stride + table.start[spots.azimuth[i]]);
        if (largest(sum) + (sums[n_groups] - sums[j + 1]) < cut) return -__builtin_inff();
    }
    __builtin_memcpy(lanes, sum, sizeof(sum));
    return largest(sum);
}

#define NBEDEX_TEXT_OF(x) #x
#define NBEDEX_TEXT(x) NBEDEX_TEXT_OF(x)

}  // namespace

extern const Kernels kernels{NBEDEX_TEXT(NBEDEX_KERNEL_ISA), correlate, correlate_some, ring_sums, coarse_bounds, fine_bound};

}  // namespace nbedex::kernels::NBEDEX_KERNEL_ISA
