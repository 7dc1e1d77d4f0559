// The inner loops between the raw frame and the polar pattern, one version per instruction set (sampling.cpp, values.cpp).
// All versions give the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "nbedex/frame.hpp"
#include "nbedex/power_sums.hpp"

namespace nbedex::kernels {

/// Where the samples of every polar bin lie. Bins of one ring have the same number of them; sample s of azimuth a is at
///     center + radius[s] * directions[direction[s] + {0, 1} * stride + a]     for {column, row}.
/// Such a product of two short tables stays in the first cache; two coordinates for each of some 120,000 samples would not.
struct Mesh {
    std::size_t n_rings, n_azimuths;
    std::size_t stride;              ///< azimuths with those that fill the last wedge
    const std::size_t* first;        ///< by ring: its first sample; one more at the end
    const float* share;              ///< by ring: of a sample in its bin
    const float* radius;             ///< by sample, 1/angstrom
    const std::uint32_t* direction;  ///< by sample: where its directions begin
    const float* directions;         ///< pixels per 1/angstrom
    std::size_t inside;              ///< samples, the innermost ones, that certainly lie in the frame
};

inline constexpr std::size_t widest_wedge = 16;  ///< the most azimuths computed side by side; stride is a multiple of it

/// Room for what `unwrap` makes of a frame: twice its bytes (none of pixels of 32 bits), and a byte for every pixel (none without mask).
struct FrameCopy {
    void* pairs;
    std::uint8_t* mask;
};

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

    /// to[i] = from[i], or zero if that is not finite.
    void (*to_floats)(const T* from, std::size_t n, float* to);

    /// out[ring * stride + azimuth] = mean of the bin's bilinear samples; NaN where one of them lies outside the frame
    /// or touches a masked or non-finite pixel. Returns whether there may be such bins. At most 2^31 - 1 pixels.
    bool (*unwrap)(const Mesh& mesh, const Frame<T>& frame, float center_row, float center_column, const FrameCopy& copy,
                   float* out);
};

/// Sums of powers in eight partial sums: element i belongs to partial sum i mod 8.
struct PartialSums {
    double first[8], second[8], third[8];

    [[nodiscard]] PowerSums total() const { return {total(first), total(second), total(third)}; }

private:
    static double total(const double (&part)[8]) {
        return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
    }
};

/// A kernel that looks the same in all four quadrants: at (down, right) of its middle quadrant[down * (reach + 1) + right].
struct FilterKernel {
    const float* quadrant;
    std::size_t reach;
};

/// Kernels for values that lie side by side, of polar bins and of frames.
struct ValueKernels {
    PowerSums (*power_sums)(const float* values, std::size_t n);
    /// Bit i % 64 of bits[i / 64] says whether value i is positive; those beyond n are 0.
    void (*positive_bits)(const float* values, std::size_t n, std::uint64_t* bits);

    /// to[i] = max(0, from[i] - level), of NaN 0, and of that the square root `roots` times, at most twice. Adds the powers of
    /// `to` to `sums`; returns how many of `to` are positive.
    std::size_t (*raise)(const float* from, std::size_t n, float level, int roots, float* to, PartialSums& sums);

    /// n sum(z^2) / sum(z)^2 over the n positive z = (values[i] - mean) * per_deviation; 0 if there are none.
    double (*contrast)(const float* values, std::size_t n, float mean, float per_deviation);

    /// One row of a frame correlated with a kernel; what is negative becomes zero. rows: 2 reach + 1 of them, n + 2 reach values each.
    /// `folded`: room for reach (n + 2 reach) values.
    void (*filter_row)(const FilterKernel& kernel, const float* const* rows, std::size_t n, float* folded, float* to);
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
