// Compiled once per instruction set with NBEDEX_KERNEL_ISA naming it. No standard-library code may be instantiated
// here: an inline function compiled for AVX-512 could be the copy the linker keeps for every caller.
#include "kernels/correlate.hpp"

namespace nbedex::kernels::NBEDEX_KERNEL_ISA {

namespace {

constexpr std::size_t block = 64;  // rotations held in registers at a time

void correlate_block(const float* rows, std::size_t stride, const std::uint16_t* ring, const std::uint16_t* start,
                     const float* weight, std::size_t n_spots, float* out) {
    float sum[block] = {};
    for (std::size_t i = 0; i < n_spots; ++i) {
        const float* pattern = rows + ring[i] * stride + start[i];
        const float w = weight[i];
        for (std::size_t lane = 0; lane < block; ++lane) sum[lane] += w * pattern[lane];
    }
    for (std::size_t lane = 0; lane < block; ++lane) out[lane] = sum[lane];
}

}  // namespace

void correlate(const float* rows, std::size_t n_azimuths, const std::uint16_t* ring, const std::uint16_t* start,
               const float* weight, std::size_t n_spots, float* out) {
    const std::size_t stride = 2 * n_azimuths;
    std::size_t phi = 0;
    for (; phi + block <= n_azimuths; phi += block)
        correlate_block(rows + phi, stride, ring, start, weight, n_spots, out + phi);
    for (; phi < n_azimuths; ++phi) {
        float sum = 0;
        for (std::size_t i = 0; i < n_spots; ++i) sum += weight[i] * rows[ring[i] * stride + start[i] + phi];
        out[phi] = sum;
    }
}

}  // namespace nbedex::kernels::NBEDEX_KERNEL_ISA
