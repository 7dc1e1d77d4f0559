// The inner loops between the raw frame and the polar pattern, one version per instruction set (sampling.cpp, values.cpp).
// All versions give the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "nbedex/frame.hpp"

namespace nbedex::kernels {

/// Where the samples of every polar bin lie. Those of ring r and azimuth a are, for every i < across and j < along[r], at
///     center + radius[r * across + i] * direction[r][(2 j + {0, 1}) * stride + a]     for {column, row}.
/// Such a product of two short tables stays in the first cache; two coordinates for each of some 66,000 samples would not.
struct Mesh {
    std::size_t n_rings, n_azimuths;
    std::size_t across;             ///< samples of a bin along the radius
    std::size_t stride;             ///< azimuths with those that fill the last wedge
    std::size_t samples;            ///< in all bins of one azimuth
    const std::uint32_t* along;     ///< by ring: samples of a bin along the arc
    const float* radius;            ///< 1/angstrom
    const float* const* direction;  ///< by ring, pixels per 1/angstrom
};

inline constexpr std::size_t widest_wedge = 8;  ///< the most azimuths computed side by side; stride is a multiple of it
inline constexpr std::size_t scratch_words = 3 * widest_wedge;  ///< per sample of an azimuth

/// Least and largest of the usable pixels that are finite, and how many are not. low > high: there are none.
template <class T>
struct PixelRange {
    T low, high;
    std::ptrdiff_t non_finite;
};

/// Kernels for frames of one pixel type.
template <class T>
struct FrameKernels {
    PixelRange<T> (*range)(const Frame<T>& frame);

    /// Number of usable pixels of at least this value.
    std::ptrdiff_t (*count_from)(const Frame<T>& frame, T value);

    /// out[ring * n_azimuths + azimuth] = mean of the bin's bilinear samples; NaN where one of them lies outside the frame
    /// or touches a masked or non-finite pixel. Returns whether there may be such bins. At most 2^31 - 1 pixels.
    bool (*unwrap)(const Mesh& mesh, const Frame<T>& frame, float center_row, float center_column, std::uint32_t* scratch,
                   float* out);
};

/// Sums of powers, in double precision and eight partial sums: element i belongs to partial sum i mod 8.
struct PowerSums {
    double first, second, third;
};

/// Kernels for the values of polar bins.
struct ValueKernels {
    PowerSums (*power_sums)(const float* values, std::size_t n);
    std::size_t (*count_positive)(const float* values, std::size_t n);
    /// Bit i % 64 of bits[i / 64] says whether value i is positive; those beyond n are 0.
    void (*positive_bits)(const float* values, std::size_t n, std::uint64_t* bits);
    void (*subtract_and_clip)(float* values, std::size_t n, float level);  ///< max(0, value - level); NaN becomes 0
    void (*root)(float* values, std::size_t n);                            ///< square root, of negative values 0
};

struct FrameKernelTable {
    FrameKernels<std::uint8_t> u8;
    FrameKernels<std::uint16_t> u16;
    FrameKernels<std::uint32_t> u32;
    FrameKernels<std::int8_t> i8;
    FrameKernels<std::int16_t> i16;
    FrameKernels<std::int32_t> i32;
    FrameKernels<float> f32;
};

}  // namespace nbedex::kernels
