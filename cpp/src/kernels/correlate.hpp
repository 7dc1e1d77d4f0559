// The inner loop of exhaustive matching, one version per instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nbedex::kernels {

/// out[phi] = sum_i weight[i] * rows[ring[i] * 2A + start[i] + phi] for phi = 0 … A-1, added in the order of i, with the
/// rows of the pattern stored twice in a row so that no index wraps. Each phi is a sum of its own: every instruction
/// set adds the same numbers in the same order and gives the same bits (no FMA, see CMakeLists.txt).
using Correlate = void (*)(const float* rows, std::size_t n_azimuths, const std::uint16_t* ring, const std::uint16_t* start,
                           const float* weight, std::size_t n_spots, float* out);

namespace baseline { void correlate(const float*, std::size_t, const std::uint16_t*, const std::uint16_t*, const float*, std::size_t, float*); }
namespace avx2 { void correlate(const float*, std::size_t, const std::uint16_t*, const std::uint16_t*, const float*, std::size_t, float*); }
namespace avx512 { void correlate(const float*, std::size_t, const std::uint16_t*, const std::uint16_t*, const float*, std::size_t, float*); }

/// The version for this machine; NBEDEX_ISA=baseline|avx2|avx512 forces one.
[[nodiscard]] Correlate correlate();

/// Name of the version that `correlate()` returns.
[[nodiscard]] const char* active_isa();

}  // namespace nbedex::kernels
