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

/// Spots with weights 0 … 126, rounded up; n is a multiple of four.
struct RoundedSpots {
    const std::uint16_t* ring;
    const std::uint16_t* azimuth;
    const std::uint8_t* weight;
    std::size_t n;
};

/// The spots of many templates by where each finds its sector maxima: those of template t are [offset[t], offset[t + 1]), a multiple of
/// sixteen. Four of them share a weight, 0 … 64, that is at least as large as theirs: weight[i / 4].
struct SectorSpots {
    const std::int64_t* offset;
    const std::uint16_t* place;
    const std::uint8_t* weight;
};

/// Maxima of the pattern over sectors of rotations, 0 … 63, rounded up: the value of a spot for sector s is direct[place + s],
/// in the mirrored pattern mirrored[place + s].
struct SectorTable {
    const std::uint8_t* direct;
    const std::uint8_t* mirrored;
};

/// Maxima of the pattern over blocks of rotations, 0 … 126, rounded up: the value of spot (ring, azimuth) for block b is
/// values[ring_start[ring] + start[azimuth] + b].
struct BlockTable {
    const std::uint8_t* values;
    const std::uint32_t* ring_start;
    const std::uint32_t* start;
};

inline constexpr std::size_t ring_lanes = 16;  ///< templates whose ring bounds are computed together
inline constexpr std::size_t sector_lanes = 32;
inline constexpr std::size_t block_lanes = 64;
inline constexpr std::size_t exact_lanes = 8;
inline constexpr std::size_t exact_runs = 4;  ///< sums side by side: one alone would wait for its own additions
inline constexpr std::size_t group = 32;      ///< spots between two looks at whether to give up

/// What the spots not yet added can add at most: rest[g * exact_runs + run] after g + 1 groups. No `rest`: never give up.
struct Prospect {
    const float* rest = nullptr;
    float needed = 0;
};

/// Every version adds the same numbers in the same order in every lane, without FMA, and so gives the same bits.
struct Kernels {
    const char* name;

    /// out[phi] = sum_i weight[i] * rows[ring[i] * 2A + azimuth[i] + phi] for phi = 0 … A-1, added in the order of i; rows
    /// are stored twice in a row, so that no index wraps.
    void (*correlate)(const float* rows, std::size_t n_azimuths, const Spots& spots, float* out);

    /// The same for exact_runs runs of exact_lanes bins, each from its phi on, with `azimuth` given by a table (identity or mirror).
    /// Looks every `group` spots whether any run can still reach what is needed; if not, gives up and returns false.
    bool (*correlate_some)(const float* rows, std::size_t n_azimuths, const Spots& spots, const std::uint32_t* azimuth,
                           const std::size_t* phi, const Prospect& prospect, float* out);

    /// bounds[lane] = sum over rings 4 q + j of sums[(16 q + lane) 4 + j] * maxima[4 q + j], for ring_lanes templates.
    void (*ring_bounds)(const std::uint8_t* sums, std::size_t n_quads, const std::uint8_t* maxima, std::int32_t* bounds);

    /// For n templates from `first` on, the largest over the sectors of sum_i weight[i / 4] * (table value of spot i): of the
    /// template and of its mirror image. Anything below it where neither reaches cut[t].
    void (*sector_bounds)(const SectorTable& table, const SectorSpots& spots, std::size_t first, std::size_t n, const std::int32_t* cut,
                          std::int32_t (*largest)[2]);

    /// lanes[b] = sum_i weight[i] * (table value of spot i for block b); returns the largest. If `partial` is given, the sums over the
    /// first `group`, 2 `group`, … spots are stored there, one set of block_lanes after the other.
    std::int32_t (*block_bounds)(const BlockTable& table, const RoundedSpots& spots, std::int32_t* lanes,
                                 std::int32_t* partial);

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
