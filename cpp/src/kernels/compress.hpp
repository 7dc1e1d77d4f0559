// Vectors of floats, and columns that those lanes of them are appended to for which a flag is set, in the instructions of
// NBEDEX_KERNEL_ISA. Only for kernel sources.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/pixels.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace nbedex::kernels::NBEDEX_KERNEL_ISA {
namespace {

constexpr std::size_t lanes = register_bytes / sizeof(float);
typedef float Floats __attribute__((vector_size(register_bytes)));
typedef std::int32_t Flags __attribute__((vector_size(register_bytes)));  // 0 or -1

inline Floats magnitude(Floats x) { return (Floats)((Flags)x & 0x7FFFFFFF); }

inline Floats square_root(Floats x) {
    for (std::size_t i = 0; i < lanes; ++i) x[i] = __builtin_sqrtf(x[i]);  // one instruction
    return x;
}

/// One bit for each flag.
inline std::uint64_t bits_of(Flags flags) {
#if defined(__AVX512BW__)
    return _mm512_movepi32_mask((__m512i)flags);
#elif defined(__AVX2__)
    return static_cast<std::uint64_t>(_mm256_movemask_ps((__m256)flags));
#else
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < lanes; ++i) bits |= static_cast<std::uint64_t>(flags[i] & 1) << i;
    return bits;
#endif
}

#if defined(__AVX512BW__)
/// Which lanes are wanted, and the values of these side by side in the first lanes.
class Wanted {
public:
    explicit Wanted(Flags flags) : mask_(static_cast<__mmask16>(bits_of(flags))) {}
    [[nodiscard]] std::size_t count() const { return static_cast<std::size_t>(__builtin_popcount(mask_)); }
    [[nodiscard]] Floats together(Floats x) const { return (Floats)_mm512_maskz_compress_ps(mask_, (__m512)x); }

private:
    __mmask16 mask_;
};
#elif defined(__AVX2__)
/// The places of the set bits of every byte, in rising order.
struct SetBits {
    std::uint64_t places[256] = {};
    constexpr SetBits() {
        for (unsigned mask = 0; mask < 256; ++mask)
            for (unsigned bit = 0, n = 0; bit < 8; ++bit)
                if (mask >> bit & 1) places[mask] |= std::uint64_t{bit} << 8 * n++;
    }
};
constexpr SetBits set_bits;

class Wanted {
public:
    explicit Wanted(Flags flags) : mask_(static_cast<unsigned>(bits_of(flags))) {}
    [[nodiscard]] std::size_t count() const { return static_cast<std::size_t>(__builtin_popcount(mask_)); }
    [[nodiscard]] Floats together(Floats x) const {
        const __m256i places = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(set_bits.places[mask_])));
        return (Floats)_mm256_permutevar8x32_ps((__m256)x, places);
    }

private:
    unsigned mask_;
};
#endif

/// Several columns that lanes are appended to. Whole vectors are written, so each column needs room for that many more.
template <std::size_t n_columns>
class Appender {
public:
    struct Columns { float* at[n_columns]; };
    struct Values { Floats of[n_columns]; };

    explicit Appender(const Columns& columns) : columns_(columns) {}

#if defined(__AVX2__)
    void add(Flags flags, const Values& values) {
        const Wanted wanted(flags);
        if (const std::size_t count = wanted.count()) {
            for (std::size_t c = 0; c < n_columns; ++c) store(columns_.at[c] + size_, wanted.together(values.of[c]));
            size_ += count;
        }
    }
#else
    void add(Flags flags, const Values& values) {
        for (std::size_t i = 0; i < lanes; ++i)
            if (flags[i]) {
                for (std::size_t c = 0; c < n_columns; ++c) columns_.at[c][size_] = values.of[c][i];
                ++size_;
            }
    }
#endif

    /// Zeros up to a multiple of this; how many were appended.
    [[nodiscard]] std::size_t finish(std::size_t multiple) const {
        for (std::size_t i = size_; i % multiple != 0; ++i)
            for (std::size_t c = 0; c < n_columns; ++c) columns_.at[c][i] = 0;
        return size_;
    }

private:
    Columns columns_;
    std::size_t size_ = 0;
};

}  // namespace
}  // namespace nbedex::kernels::NBEDEX_KERNEL_ISA
