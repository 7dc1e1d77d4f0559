// Sums of products of small whole numbers, side by side in many lanes: what bounds are added up with, in the instructions of
// NBEDEX_KERNEL_ISA. Only for kernels.cpp.
#pragma once

#include "kernels/kernels.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace nbedex::kernels::NBEDEX_KERNEL_ISA {
namespace {

/// Adds to each 32-bit lane the products of its four bytes, which are at most 127.
#if defined(__AVX512BW__)
inline void multiply_add(__m512i& sum, __m512i values, __m512i weights) {
#if defined(__AVX512VNNI__)
    sum = _mm512_dpbusd_epi32(sum, values, weights);
#else
    const __m512i pairs = _mm512_maddubs_epi16(values, weights);  // 2 * 127 * 127 fits 16 bits
    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
#endif
}
#elif defined(__AVX2__)
inline void multiply_add(__m256i& sum, __m256i values, __m256i weights) {
    const __m256i pairs = _mm256_maddubs_epi16(values, weights);  // 2 * 127 * 127 fits 16 bits
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
#endif

// Sums of 32 or 64 lanes in whole numbers, of values up to 252 and weights up to 64. Spots are added four at a time, their bytes interleaved within 128 bits. 256 bits at
// a time, also where there are registers of 512: two halves in one must first be put together.
#if defined(__AVX2__)

/// 32 values of one spot, or two times as many.
template <std::size_t Halves>
struct HalfLanes {
    __m256i half[Halves];
};

inline __m256i half_at(const std::uint8_t* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }

/// The sums of two times 32 values of one list, and of two times 32 at the same places of another.
inline HalfLanes<2> two_added(const std::uint8_t* first, const std::uint8_t* second, std::size_t place, std::size_t other) {
    return {{_mm256_add_epi8(half_at(first + place), half_at(first + other)), _mm256_add_epi8(half_at(second + place), half_at(second + other))}};
}

/// The sums of 32 values from one place on, and of 32 from another.
inline HalfLanes<1> half_added(const std::uint8_t* first, const std::uint8_t* second) { return {{_mm256_add_epi8(half_at(first), half_at(second))}}; }

#if defined(__AVX512VNNI__)
/// Each 32-bit lane holds the four values of one lane, which one instruction multiplies by the four weights and adds: of the 16 lanes of 128 bits, quarter k has
/// lanes 4k … 4k + 3.
template <std::size_t Halves>
class LaneSums {
public:
    using Values = HalfLanes<Halves>;
    void add(const Values& a, const Values& b, const Values& c, const Values& d, const std::uint8_t* weights) {
        int four;
        __builtin_memcpy(&four, weights, 4);
        const __m256i w = _mm256_set1_epi32(four);
        for (std::size_t half = 0; half < Halves; ++half) {
            const __m256i ab0 = _mm256_unpacklo_epi8(a.half[half], b.half[half]);
            const __m256i ab1 = _mm256_unpackhi_epi8(a.half[half], b.half[half]);
            const __m256i cd0 = _mm256_unpacklo_epi8(c.half[half], d.half[half]);
            const __m256i cd1 = _mm256_unpackhi_epi8(c.half[half], d.half[half]);
            sum_[half][0] = _mm256_dpbusd_epi32(sum_[half][0], _mm256_unpacklo_epi16(ab0, cd0), w);
            sum_[half][1] = _mm256_dpbusd_epi32(sum_[half][1], _mm256_unpackhi_epi16(ab0, cd0), w);
            sum_[half][2] = _mm256_dpbusd_epi32(sum_[half][2], _mm256_unpacklo_epi16(ab1, cd1), w);
            sum_[half][3] = _mm256_dpbusd_epi32(sum_[half][3], _mm256_unpackhi_epi16(ab1, cd1), w);
        }
    }

    [[nodiscard]] std::int32_t largest() const { return largest_of(over_halves()); }
    [[nodiscard]] bool any_reaches(std::int32_t cut) const {
        return _mm256_movemask_epi8(_mm256_cmpgt_epi32(_mm256_set1_epi32(cut), over_halves())) != -1;
    }

    /// Largest of the first 32 lanes and of the others.
    void largest(std::int32_t (&halves)[Halves]) const {
        for (std::size_t half = 0; half < Halves; ++half) halves[half] = largest_of(over_quarters(half));
    }

    /// Bit by lane: its sum reaches `cut`.
    [[nodiscard]] std::uint64_t reaching(std::int32_t cut) const {
        const __m256i below = _mm256_set1_epi32(cut);
        std::uint64_t lanes = 0;
        for (std::size_t half = 0; half < Halves; ++half)
            for (std::size_t k = 0; k < 4; ++k) {
                const __m256i less = _mm256_cmpgt_epi32(below, sum_[half][k]);
                const std::uint64_t of_quarter = static_cast<std::uint64_t>(~_mm256_movemask_ps(_mm256_castsi256_ps(less)) & 0xFF);
                for (std::size_t part = 0; part < 2; ++part) lanes |= (of_quarter >> (4 * part) & 0xF) << (32 * half + 16 * part + 4 * k);
            }
        return lanes;
    }

private:
    static std::int32_t largest_of(__m256i eight) {
        __m128i four = _mm_max_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
        four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4E));
        four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0xB1));
        return _mm_cvtsi128_si32(four);
    }
    [[nodiscard]] __m256i over_quarters(std::size_t half) const {
        return _mm256_max_epi32(_mm256_max_epi32(sum_[half][0], sum_[half][1]), _mm256_max_epi32(sum_[half][2], sum_[half][3]));
    }
    [[nodiscard]] __m256i over_halves() const { return Halves == 1 ? over_quarters(0) : _mm256_max_epi32(over_quarters(0), over_quarters(Halves - 1)); }
    __m256i sum_[Halves][4] = {};
};
#else
/// As quarters that are rounded up, in 16 bits: without the instruction that multiplies and adds four at once these take two thirds of the instructions of sums in 32
/// bits, and all of them stay in registers. Four spots add at most three to what is summed.
template <std::size_t Halves>
class LaneSums {
public:
    using Values = HalfLanes<Halves>;
    void add(const Values& a, const Values& b, const Values& c, const Values& d, const std::uint8_t* weights) {
        const __m256i ab = two_of(weights), cd = two_of(weights + 2);
        for (std::size_t half = 0; half < Halves; ++half) {
            const __m256i ab0 = _mm256_maddubs_epi16(_mm256_unpacklo_epi8(a.half[half], b.half[half]), ab);  // 2 * 252 * 64 fits 16 bits
            const __m256i ab1 = _mm256_maddubs_epi16(_mm256_unpackhi_epi8(a.half[half], b.half[half]), ab);
            const __m256i cd0 = _mm256_maddubs_epi16(_mm256_unpacklo_epi8(c.half[half], d.half[half]), cd);
            const __m256i cd1 = _mm256_maddubs_epi16(_mm256_unpackhi_epi8(c.half[half], d.half[half]), cd);
            add_half(quarter_[half][0], _mm256_avg_epu16(ab0, cd0));
            add_half(quarter_[half][1], _mm256_avg_epu16(ab1, cd1));
        }
    }

    [[nodiscard]] std::int32_t largest() const { return four_times(_mm256_max_epu16(over_quarters(0), over_quarters(Halves - 1))); }
    [[nodiscard]] bool any_reaches(std::int32_t cut) const {
        const __m256i most = _mm256_max_epu16(over_quarters(0), over_quarters(Halves - 1));
        return _mm256_movemask_epi8(at_least(most, quarter_of(cut))) != 0;
    }

    /// Largest of the first 32 lanes and of the others.
    void largest(std::int32_t (&halves)[Halves]) const {
        for (std::size_t half = 0; half < Halves; ++half) halves[half] = four_times(over_quarters(half));
    }

    /// Bit by lane: its sum reaches `cut`.
    [[nodiscard]] std::uint64_t reaching(std::int32_t cut) const {
        const __m256i least = quarter_of(cut);
        std::uint64_t lanes = 0;
        for (std::size_t half = 0; half < Halves; ++half) {
            const __m256i both = _mm256_packs_epi16(at_least(quarter_[half][0], least), at_least(quarter_[half][1], least));
            lanes |= std::uint64_t{static_cast<std::uint32_t>(_mm256_movemask_epi8(both))} << (32 * half);
        }
        return lanes;
    }

private:
    static constexpr std::int32_t full = 0xFFFF;  // beyond which sums do not grow: it may stand for anything

    static __m256i two_of(const std::uint8_t* weights) {
        std::int16_t two;
        __builtin_memcpy(&two, weights, sizeof two);
        return _mm256_set1_epi16(two);
    }
    static void add_half(__m256i& sum, __m256i half) { sum = _mm256_adds_epu16(sum, _mm256_avg_epu16(half, _mm256_setzero_si256())); }
    static __m256i at_least(__m256i sums, __m256i least) { return _mm256_cmpeq_epi16(_mm256_max_epu16(sums, least), sums); }
    static __m256i quarter_of(std::int32_t cut) {
        const std::int32_t quarter = (cut >> 2) + (cut % 4 != 0);
        return _mm256_set1_epi16(static_cast<std::int16_t>(quarter < full ? quarter : full));
    }
    static std::int32_t four_times(__m256i sixteen) {
        const __m128i eight = _mm_max_epu16(_mm256_castsi256_si128(sixteen), _mm256_extracti128_si256(sixteen, 1));
        const std::int32_t most = full - (_mm_cvtsi128_si32(_mm_minpos_epu16(_mm_xor_si128(eight, _mm_set1_epi16(-1)))) & full);
        return most < full ? 4 * most : std::int32_t{1} << 30;
    }
    [[nodiscard]] __m256i over_quarters(std::size_t half) const { return _mm256_max_epu16(quarter_[half][0], quarter_[half][1]); }
    __m256i quarter_[Halves][2] = {};  // lanes 8k … of every 128 bits
};
#endif

#else

/// The sums of two times 32 values of one list, and of two times 32 at the same places of another.
struct TwoAdded {
    std::uint8_t sum[64];
    std::uint8_t operator[](std::size_t lane) const { return sum[lane]; }
};
inline TwoAdded two_added(const std::uint8_t* first, const std::uint8_t* second, std::size_t place, std::size_t other) {
    TwoAdded two;
    for (std::size_t lane = 0; lane < 32; ++lane) {
        two.sum[lane] = static_cast<std::uint8_t>(first[place + lane] + first[other + lane]);
        two.sum[32 + lane] = static_cast<std::uint8_t>(second[place + lane] + second[other + lane]);
    }
    return two;
}

/// The sums of 32 values from one place on, and of 32 from another.
struct HalfAdded {
    std::uint8_t sum[32];
    std::uint8_t operator[](std::size_t lane) const { return sum[lane]; }
};
inline HalfAdded half_added(const std::uint8_t* first, const std::uint8_t* second) {
    HalfAdded added;
    for (std::size_t lane = 0; lane < 32; ++lane) added.sum[lane] = static_cast<std::uint8_t>(first[lane] + second[lane]);
    return added;
}

/// Exact, in plain loops.
template <std::size_t Halves>
class LaneSums {
public:
    template <class Values>
    void add(const Values& a, const Values& b, const Values& c, const Values& d, const std::uint8_t* weights) {
        for (std::size_t lane = 0; lane < N; ++lane)
            sum_[lane] += weights[0] * a[lane] + weights[1] * b[lane] + weights[2] * c[lane] + weights[3] * d[lane];
    }

    [[nodiscard]] std::int32_t largest() const { return largest_from(0, N); }
    [[nodiscard]] bool any_reaches(std::int32_t cut) const { return largest() >= cut; }

    /// Largest of the first half of the lanes and of the others.
    void largest(std::int32_t (&halves)[2]) const {
        for (std::size_t half = 0; half < 2; ++half) halves[half] = largest_from(N / 2 * half, N / 2 * (half + 1));
    }

    /// Bit by lane: its sum reaches `cut`.
    [[nodiscard]] std::uint64_t reaching(std::int32_t cut) const {
        std::uint64_t lanes = 0;
        for (std::size_t lane = 0; lane < N; ++lane) lanes |= std::uint64_t{sum_[lane] >= cut} << lane;
        return lanes;
    }

private:
    static constexpr std::size_t N = Halves * sector_lanes;
    [[nodiscard]] std::int32_t largest_from(std::size_t first, std::size_t end) const {
        std::int32_t largest = sum_[first];
        for (std::size_t lane = first; lane < end; ++lane) largest = largest > sum_[lane] ? largest : sum_[lane];
        return largest;
    }
    std::int32_t sum_[N] = {};
};

#endif

/// Sums of sixteen 32-bit lanes.
#if defined(__AVX512BW__)
struct SixteenSums {
    __m512i sum = _mm512_setzero_si512();
    void add(const std::uint8_t* values, int four) { multiply_add(sum, _mm512_loadu_si512(values), _mm512_set1_epi32(four)); }
    void store(std::int32_t* to) const { _mm512_storeu_si512(to, sum); }
};
#elif defined(__AVX2__)
struct SixteenSums {
    __m256i sum[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    void add(const std::uint8_t* values, int four) {
        for (std::size_t half = 0; half < 2; ++half)
            multiply_add(sum[half], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values + 32 * half)), _mm256_set1_epi32(four));
    }
    void store(std::int32_t* to) const { __builtin_memcpy(to, sum, sizeof(sum)); }
};
#else
struct SixteenSums {
    std::int32_t sum[ring_lanes] = {};
    void add(const std::uint8_t* values, int four) {
        std::uint8_t weights[4];
        __builtin_memcpy(weights, &four, 4);
        for (std::size_t lane = 0; lane < ring_lanes; ++lane)
            for (std::size_t j = 0; j < 4; ++j) sum[lane] += weights[j] * values[4 * lane + j];
    }
    void store(std::int32_t* to) const { __builtin_memcpy(to, sum, sizeof(sum)); }
};
#endif

}  // namespace
}  // namespace nbedex::kernels::NBEDEX_KERNEL_ISA
