// Compiled once per instruction set with NBEDEX_KERNEL_ISA naming it. No standard-library code may be instantiated
// here: an inline function compiled for AVX-512 could be the copy the linker keeps for every caller.
#include "kernels/kernels.hpp"

#include "kernels/lane_sums.hpp"

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

using Run = Vector<exact_lanes>::type;

/// Whether any bin of any run reaches `needed` if all that is left is added.
inline bool promising(const Run (&sum)[exact_runs], const float* rest, float needed) {
    auto any = sum[0] + rest[0] >= needed;
    for (std::size_t run = 1; run < exact_runs; ++run) any |= sum[run] + rest[run] >= needed;
    std::uint64_t bits[sizeof(any) / sizeof(std::uint64_t)], all = 0;
    __builtin_memcpy(bits, &any, sizeof(any));
    for (const std::uint64_t part : bits) all |= part;
    return all != 0;
}

bool correlate_some(const float* rows, std::size_t n_azimuths, const Spots& spots, const std::uint32_t* azimuth,
                    const std::size_t* phi, const Prospect& prospect, float* out) {
    const std::size_t stride = 2 * n_azimuths;
    Run sum[exact_runs] = {};
    for (std::size_t first = 0; first < spots.n; first += group) {
        const std::size_t last = first + group < spots.n ? first + group : spots.n;
        for (std::size_t i = first; i < last; ++i) {
            const float* at = rows + spots.ring[i] * stride + azimuth[spots.azimuth[i]];
            for (std::size_t run = 0; run < exact_runs; ++run) sum[run] += spots.weight[i] * load<Run>(at + phi[run]);
        }
        if (prospect.rest && last < spots.n && !promising(sum, prospect.rest + first / group * exact_runs, prospect.needed))
            return false;
    }
    __builtin_memcpy(out, sum, sizeof(sum));
    return true;
}

void ring_bounds(const std::uint8_t* sums, std::size_t n_quads, const std::uint8_t* maxima, std::int32_t* bounds) {
    SixteenSums of_templates;
    for (std::size_t q = 0; q < n_quads; ++q, sums += 4 * ring_lanes) {
        int four;
        __builtin_memcpy(&four, maxima + 4 * q, 4);
        of_templates.add(sums, four);
    }
    of_templates.store(bounds);
}

void sector_bounds(const SectorTable& given_table, const SectorSpots& given_spots, std::size_t first, std::size_t n, const std::int32_t* cut,
                   std::int32_t (*largest)[2]) {
    const SectorTable table = given_table;  // copies stay in registers; what is given by reference might overlap `largest`
    const SectorSpots spots = given_spots;
    for (std::size_t t = 0; t < n; ++t) {
        LaneSums sums;
        for (std::int64_t i = spots.offset[first + t]; i < spots.offset[first + t + 1]; i += 16) {
            FourAdded group[4];
            for (std::size_t k = 0; k < 4; ++k) group[k].load(table.direct, table.mirrored, spots.place + i + 4 * k);
            sums.add(group[0].lanes(), group[1].lanes(), group[2].lanes(), group[3].lanes(), spots.weight + i / 4);
        }
        if (sums.any_reaches(cut[t])) sums.largest(largest[t]);
        else largest[t][0] = largest[t][1] = -1;
    }
}

std::int32_t block_bounds(const BlockTable& given_table, const RoundedSpots& given_spots, std::int32_t* lanes, std::int32_t* partial) {
    const BlockTable table = given_table;  // copies stay in registers; what is given by reference might overlap `partial`
    const RoundedSpots spots = given_spots;
    LaneSums sums;
    for (std::size_t i = 0; i < spots.n; i += 4) {
        if (partial && i > 0 && i % group == 0) sums.store(partial + (i / group - 1) * block_lanes);
        const auto spot = [&](std::size_t k) {
            return lanes_at(table.values + table.ring_start[spots.ring[i + k]] + table.start[spots.azimuth[i + k]]);
        };
        sums.add(spot(0), spot(1), spot(2), spot(3), spots.weight + i);
    }
    sums.store(lanes);
    return sums.largest();
}

#define NBEDEX_TEXT_OF(x) #x
#define NBEDEX_TEXT(x) NBEDEX_TEXT_OF(x)

}  // namespace

extern const Kernels kernels{NBEDEX_TEXT(NBEDEX_KERNEL_ISA), correlate, correlate_some, ring_bounds, sector_bounds, block_bounds,
                             &frame_kernels, &value_kernels, &table_kernels, &rocking_kernels, &wave_kernels};

}  // namespace nbedex::kernels::NBEDEX_KERNEL_ISA
