// The inner loops, one version per instruction set (kernels.cpp is compiled once for each).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/frames.hpp"
#include "kernels/rocking.hpp"
#include "kernels/tables.hpp"
#include "kernels/waves.hpp"

namespace nbedex::kernels {

/// Spots of one template: polar bins and weights, heaviest first.
struct Spots {
    const std::uint16_t* ring;
    const std::uint16_t* azimuth;
    const float* weight;
    std::size_t n;
};

/// The spots of many templates by where each finds what it adds to bounds: those of template t are [offset[t], offset[t + 1]), a multiple of
/// eight. Two of them share a weight, 0 … 64, that is at least as large as theirs: weight[i / 2]. A spot may stand for two, half a turn apart.
template <class Place>
struct BoundSpots {
    const std::int64_t* offset;
    const Place* place;
    const std::uint8_t* weight;
};
using SectorSpots = BoundSpots<std::uint16_t>;
using RotationSpots = BoundSpots<std::uint32_t>;

/// Maxima of the pattern over sectors of rotations, 0 … 126, rounded up: the value of a spot for sector s is direct[place + s],
/// in the mirrored pattern mirrored[place + s].
struct SectorTable {
    const std::uint8_t* direct;
    const std::uint8_t* mirrored;
};

/// What sector bounds tell of a template's image and of its mirror image.
struct SectorBounds {
    std::int32_t largest[2];
    std::uint32_t reaching[2];  ///< bit s: the bound of sector s reaches the cut
};

inline constexpr std::size_t ring_lanes = 16;  ///< templates whose ring bounds are computed together
inline constexpr std::size_t sector_lanes = 32;
inline constexpr std::size_t exact_lanes = 8;
inline constexpr std::size_t exact_runs = 4;  ///< sums side by side: one alone would wait for its own additions

/// Every version adds the same numbers in the same order in every lane, without FMA, and so gives the same bits; but bounds may be a little larger than the sums
/// they are said to be (LaneSums in lane_sums.hpp).
struct Kernels {
    const char* name;

    /// out[phi] = sum_i weight[i] * rows[ring[i] * 2A + azimuth[i] + phi] for phi = 0 … A-1, added in the order of i; rows
    /// are stored twice in a row, so that no index wraps.
    void (*correlate)(const float* rows, std::size_t n_azimuths, const Spots& spots, float* out);

    /// The same for exact_runs runs of exact_lanes bins, each from its phi on, with `azimuth` given by a table (identity or mirror).
    void (*correlate_some)(const float* rows, std::size_t n_azimuths, const Spots& spots, const std::uint32_t* azimuth,
                           const std::size_t* phi, float* out);

    /// bounds[lane] = sum over rings 4 q + j of sums[(16 q + lane) 4 + j] * maxima[4 q + j], for ring_lanes templates.
    void (*ring_bounds)(const std::uint8_t* sums, std::size_t n_quads, const std::uint8_t* maxima, std::int32_t* bounds);

    /// Bounds over the sectors: sum_i weight[i / 2] * (table value of spot i), of those of the templates first, first + 1, … whose bits are set,
    /// and of their mirror images. Returns the bits of those that reach cut[t], and writes bounds[t] of these.
    std::uint32_t (*sector_bounds)(const SectorTable& table, const SectorSpots& spots, std::size_t first, std::uint32_t templates,
                                   const std::int32_t* cut, SectorBounds* bounds);

    /// The same for groups of templates: spot i finds table[2 place[i] + lane] in lane 0 … sector_lanes - 1, half of the lanes for the images and half for their
    /// mirror images. Writes the largest lane of those of the groups first, first + 1, … whose bits are set: bounds[0], bounds[1], ….
    void (*union_bounds)(const std::uint8_t* table, const SectorSpots& spots, std::size_t first, std::uint32_t groups, std::int32_t* bounds);

    /// The same for one of the templates and single rotations, two windows of sector_lanes of them: bit r of the lower half says whether
    /// sum_i weight[i / 2] * first[place[i] + r] reaches the cut, bit r of the upper half the same of `second`.
    std::uint64_t (*rotations)(const std::uint8_t* first, const std::uint8_t* second, const RotationSpots& spots, std::size_t template_id, std::int32_t cut);

    const FrameKernelTable* frames;  ///< see frames.hpp
    const ValueKernels* values;
    const TableKernels* tables;  ///< see tables.hpp
    const RockingKernels* rocking;  ///< see rocking.hpp
    const WaveKernels* waves;  ///< see waves.hpp
};

#define NBEDEX_DECLARE_KERNELS(isa)                   \
    namespace isa {                                   \
    extern const Kernels kernels;                     \
    extern const FrameKernelTable frame_kernels;      \
    extern const ValueKernels value_kernels;          \
    extern const TableKernels table_kernels;          \
    extern const RockingKernels rocking_kernels;      \
    extern const WaveKernels wave_kernels;            \
    }
NBEDEX_DECLARE_KERNELS(baseline)
NBEDEX_DECLARE_KERNELS(avx2)
NBEDEX_DECLARE_KERNELS(avx512)
NBEDEX_DECLARE_KERNELS(avx512vnni)
#undef NBEDEX_DECLARE_KERNELS

/// The version for this machine; NBEDEX_ISA=baseline|avx2|avx512|avx512vnni forces one.
[[nodiscard]] const Kernels& active();

}  // namespace nbedex::kernels
