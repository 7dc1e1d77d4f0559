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

template <std::size_t Lanes>
inline float largest(const typename Vector<Lanes>::type& v) {
    if constexpr (Lanes == 2) {
        return v[0] > v[1] ? v[0] : v[1];
    } else {
        using Half = typename Vector<Lanes / 2>::type;
        const auto* values = reinterpret_cast<const float*>(&v);
        const Half low = load<Half>(values), high = load<Half>(values + Lanes / 2);
        return largest<Lanes / 2>(low > high ? low : high);
    }
}

template <std::size_t N>
inline float largest(const Vector16 (&sum)[N]) {
    Vector16 best = sum[0];
    for (std::size_t i = 1; i < N; ++i) best = best > sum[i] ? best : sum[i];
    return largest<16>(best);
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
                    std::size_t phi, float* out) {
    const std::size_t stride = 2 * n_azimuths;
    using Some = Vector<exact_lanes>::type;
    Some sum = {};
    for (std::size_t i = 0; i < spots.n; ++i)
        sum += spots.weight[i] * load<Some>(rows + spots.ring[i] * stride + azimuth[spots.azimuth[i]] + phi);
    __builtin_memcpy(out, &sum, sizeof(sum));
}

void ring_sums(const float* ring_maximum, const Spots& spots, float* prefix) {
    float sum = 0;
    std::size_t j = 0;
    prefix[0] = 0;
    for (std::size_t first = 0; first < spots.n; first += group) {
        const std::size_t last = first + group < spots.n ? first + group : spots.n;
        for (std::size_t i = first; i < last; ++i) sum += spots.weight[i] * ring_maximum[spots.ring[i]];
        prefix[++j] = sum;
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
    best[0] = largest<coarse_lanes>(sum[0] + sum[1]);
    best[1] = largest<coarse_lanes>(mirrored[0] + mirrored[1]);
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
