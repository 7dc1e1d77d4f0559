// Compiled once per instruction set with NBEDEX_KERNEL_ISA naming it. No standard-library code may be instantiated
// here: an inline function compiled for AVX-512 could be the copy the linker keeps for every caller.
#include "kernels/kernels.hpp"

#include "kernels/lane_sums.hpp"
#include "kernels/pixels.hpp"

namespace nbedex::kernels::NBEDEX_KERNEL_ISA {
namespace {

typedef float Floats __attribute__((vector_size(register_bytes)));  // wider ones the compiler would keep in memory
constexpr std::size_t float_lanes = register_bytes / sizeof(float);

/// sum += weight * values, lane by lane.
template <std::size_t N>
inline void add_spot(Floats (&sum)[N], float weight, const float* values) {
    for (std::size_t i = 0; i < N; ++i) sum[i] += weight * load<Floats>(values + float_lanes * i);
}

constexpr std::size_t block = 64;  // rotations held in registers at a time

void correlate(const float* rows, std::size_t n_azimuths, const Spots& spots, float* out) {
    const std::size_t stride = 2 * n_azimuths;
    std::size_t phi = 0;
    for (; phi + block <= n_azimuths; phi += block) {
        Floats sum[block / float_lanes] = {};
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

typedef float Run __attribute__((vector_size(exact_lanes * sizeof(float))));

void correlate_some(const float* rows, std::size_t n_azimuths, const Spots& spots, const std::uint32_t* azimuth,
                    const std::size_t* phi, float* out) {
    const std::size_t stride = 2 * n_azimuths;
    Run sum[exact_runs] = {};
    for (std::size_t i = 0; i < spots.n; ++i) {
        const float* at = rows + spots.ring[i] * stride + azimuth[spots.azimuth[i]];
        for (std::size_t run = 0; run < exact_runs; ++run) sum[run] += spots.weight[i] * load<Run>(at + phi[run]);
    }
    __builtin_memcpy(out, sum, sizeof(sum));
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

/// Adds what the spots of one list find, two at a time.
template <class Sums, class Place, class Two>
inline void add_list(Sums& sums, const BoundSpots<Place>& spots, std::size_t list, Two&& two) {
    const auto end = static_cast<std::size_t>(spots.offset[list + 1]);
    for (auto i = static_cast<std::size_t>(spots.offset[list]); i < end; i += 8) {
        const Place* place = spots.place + i;
        sums.add(two(place[0], place[1]), two(place[2], place[3]), two(place[4], place[5]), two(place[6], place[7]), spots.weight + i / 2);
    }
}

/// Sums of 64 values for a template: of spots with place p, 32 from first[p] on, and 32 from second[p] on.
template <class Place>
inline LaneSums<2> sums_of(const std::uint8_t* first, const std::uint8_t* second, const BoundSpots<Place>& spots, std::size_t template_id) {
    LaneSums<2> sums;
    add_list(sums, spots, template_id, [=](std::size_t place, std::size_t other) { return two_added(first, second, place, other); });
    return sums;
}

std::uint32_t sector_bounds(const SectorTable& given_table, const SectorSpots& given_spots, std::size_t first, std::uint32_t templates,
                            const std::int32_t* cut, SectorBounds* bounds) {
    const SectorTable table = given_table;  // copies stay in registers; what is given by reference might overlap `bounds`
    const SectorSpots spots = given_spots;
    std::uint32_t reaching = 0;
    for (; templates != 0; templates &= templates - 1) {
        const auto t = static_cast<std::size_t>(__builtin_ctz(templates));
        const LaneSums<2> sums = sums_of(table.direct, table.mirrored, spots, first + t);
        if (!sums.any_reaches(cut[t])) continue;
        reaching |= std::uint32_t{1} << t;
        sums.largest(bounds[t].largest);
        const std::uint64_t lanes = sums.reaching(cut[t]);
        bounds[t].reaching[0] = static_cast<std::uint32_t>(lanes);
        bounds[t].reaching[1] = static_cast<std::uint32_t>(lanes >> 32);
    }
    return reaching;
}

void union_bounds(const std::uint8_t* table, const SectorSpots& given, std::size_t first, std::uint32_t groups, std::int32_t* bounds) {
    const SectorSpots spots = given;
    for (; groups != 0; groups &= groups - 1) {
        const auto g = static_cast<std::size_t>(__builtin_ctz(groups));
        LaneSums<1> sums;
        add_list(sums, spots, first + g, [&](std::size_t place, std::size_t other) { return half_added(table + 2 * place, table + 2 * other); });
        bounds[g] = sums.largest();
    }
}

std::uint64_t rotations(const std::uint8_t* first, const std::uint8_t* second, const RotationSpots& given, std::size_t template_id, std::int32_t cut) {
    const RotationSpots spots = given;
    return sums_of(first, second, spots, template_id).reaching(cut);
}

#define NBEDEX_TEXT_OF(x) #x
#define NBEDEX_TEXT(x) NBEDEX_TEXT_OF(x)

}  // namespace

extern const Kernels kernels{NBEDEX_TEXT(NBEDEX_KERNEL_ISA), correlate, correlate_some, ring_bounds, sector_bounds, union_bounds, rotations,
                             &frame_kernels, &value_kernels, &table_kernels, &rocking_kernels, &wave_kernels};

}  // namespace nbedex::kernels::NBEDEX_KERNEL_ISA
