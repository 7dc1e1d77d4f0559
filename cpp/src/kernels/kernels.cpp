// Compiled once per instruction set with NBEDEX_KERNEL_ISA naming it. No standard-library code may be instantiated
// here: an inline function compiled for AVX-512 could be the copy the linker keeps for every caller.
#include "kernels/kernels.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

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

void correlate_some(const float* rows, std::size_t n_azimuths, const Spots& spots, const std::uint32_t* azimuth,
                    const std::size_t* phi, float* out) {
    const std::size_t stride = 2 * n_azimuths;
    using Run = Vector<exact_lanes>::type;
    Run sum[exact_runs] = {};
    for (std::size_t i = 0; i < spots.n; ++i) {
        const float* at = rows + spots.ring[i] * stride + azimuth[spots.azimuth[i]];
        for (std::size_t run = 0; run < exact_runs; ++run) sum[run] += spots.weight[i] * load<Run>(at + phi[run]);
    }
    __builtin_memcpy(out, sum, sizeof(sum));
}

// Sums of 64 blocks in whole numbers. Four spots at a time: their bytes are interleaved, so that each 32-bit lane holds the
// four values of one block, which one instruction multiplies by the four weights and adds. Interleaving works within 128 bits:
// of the 16 blocks of such a part, quarter k holds blocks 4k … 4k + 3.
#if defined(__AVX512BW__)

class BlockSums {
public:
    void add(const std::uint8_t* const (&values)[4], const std::uint8_t* weights) {
        const __m512i a = _mm512_loadu_si512(values[0]), b = _mm512_loadu_si512(values[1]);
        const __m512i c = _mm512_loadu_si512(values[2]), d = _mm512_loadu_si512(values[3]);
        const __m512i ab0 = _mm512_unpacklo_epi8(a, b), ab1 = _mm512_unpackhi_epi8(a, b);
        const __m512i cd0 = _mm512_unpacklo_epi8(c, d), cd1 = _mm512_unpackhi_epi8(c, d);
        int four;
        __builtin_memcpy(&four, weights, 4);
        const __m512i w = _mm512_set1_epi32(four);
        multiply_add(sum_[0], _mm512_unpacklo_epi16(ab0, cd0), w);
        multiply_add(sum_[1], _mm512_unpackhi_epi16(ab0, cd0), w);
        multiply_add(sum_[2], _mm512_unpacklo_epi16(ab1, cd1), w);
        multiply_add(sum_[3], _mm512_unpackhi_epi16(ab1, cd1), w);
    }

    [[nodiscard]] std::int32_t largest() const {
        return _mm512_reduce_max_epi32(_mm512_max_epi32(_mm512_max_epi32(sum_[0], sum_[1]), _mm512_max_epi32(sum_[2], sum_[3])));
    }

    void store(std::int32_t* lanes) const {
        for (std::size_t k = 0; k < 4; ++k) {
            alignas(64) std::int32_t quarter[16];
            _mm512_store_si512(quarter, sum_[k]);
            for (std::size_t part = 0; part < 4; ++part) __builtin_memcpy(lanes + 16 * part + 4 * k, quarter + 4 * part, 16);
        }
    }

private:
    static void multiply_add(__m512i& sum, __m512i values, __m512i weights) {
#if defined(__AVX512VNNI__)
        sum = _mm512_dpbusd_epi32(sum, values, weights);
#else
        const __m512i pairs = _mm512_maddubs_epi16(values, weights);  // 2 * 127 * 127 fits 16 bits
        sum = _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
#endif
    }
    __m512i sum_[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
};

#elif defined(__AVX2__)

class BlockSums {
public:
    void add(const std::uint8_t* const (&values)[4], const std::uint8_t* weights) {
        int four;
        __builtin_memcpy(&four, weights, 4);
        const __m256i w = _mm256_set1_epi32(four);
        for (std::size_t half = 0; half < 2; ++half) {
            const __m256i a = load_bytes(values[0], half), b = load_bytes(values[1], half);
            const __m256i c = load_bytes(values[2], half), d = load_bytes(values[3], half);
            const __m256i ab0 = _mm256_unpacklo_epi8(a, b), ab1 = _mm256_unpackhi_epi8(a, b);
            const __m256i cd0 = _mm256_unpacklo_epi8(c, d), cd1 = _mm256_unpackhi_epi8(c, d);
            multiply_add(sum_[half][0], _mm256_unpacklo_epi16(ab0, cd0), w);
            multiply_add(sum_[half][1], _mm256_unpackhi_epi16(ab0, cd0), w);
            multiply_add(sum_[half][2], _mm256_unpacklo_epi16(ab1, cd1), w);
            multiply_add(sum_[half][3], _mm256_unpackhi_epi16(ab1, cd1), w);
        }
    }

    [[nodiscard]] std::int32_t largest() const {
        __m256i best = sum_[0][0];
        for (std::size_t half = 0; half < 2; ++half)
            for (std::size_t k = 0; k < 4; ++k) best = _mm256_max_epi32(best, sum_[half][k]);
        __m128i four = _mm_max_epi32(_mm256_castsi256_si128(best), _mm256_extracti128_si256(best, 1));
        four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4E));
        four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0xB1));
        return _mm_cvtsi128_si32(four);
    }

    void store(std::int32_t* lanes) const {
        for (std::size_t half = 0; half < 2; ++half) {
            for (std::size_t k = 0; k < 4; ++k) {
                alignas(32) std::int32_t quarter[8];
                _mm256_store_si256(reinterpret_cast<__m256i*>(quarter), sum_[half][k]);
                for (std::size_t part = 0; part < 2; ++part)
                    __builtin_memcpy(lanes + 32 * half + 16 * part + 4 * k, quarter + 4 * part, 16);
            }
        }
    }

private:
    static __m256i load_bytes(const std::uint8_t* from, std::size_t half) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 32 * half));
    }
    static void multiply_add(__m256i& sum, __m256i values, __m256i weights) {
        const __m256i pairs = _mm256_maddubs_epi16(values, weights);  // 2 * 127 * 127 fits 16 bits
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
    __m256i sum_[2][4] = {};
};

#else

class BlockSums {
public:
    void add(const std::uint8_t* const (&values)[4], const std::uint8_t* weights) {
        for (std::size_t k = 0; k < 4; ++k)
            for (std::size_t lane = 0; lane < block_lanes; ++lane) sum_[lane] += weights[k] * values[k][lane];
    }

    [[nodiscard]] std::int32_t largest() const {
        std::int32_t best = sum_[0];
        for (const std::int32_t sum : sum_) best = best > sum ? best : sum;
        return best;
    }

    void store(std::int32_t* lanes) const { __builtin_memcpy(lanes, sum_, sizeof(sum_)); }

private:
    std::int32_t sum_[block_lanes] = {};
};

#endif

void ring_sums(const std::uint8_t* ring_maximum, const RoundedSpots& spots, std::int32_t* prefix) {
    std::int32_t total = 0;
    std::size_t j = 0;
    prefix[0] = 0;
    for (std::size_t first = 0; first < spots.n; first += group) {
        const std::size_t last = first + group < spots.n ? first + group : spots.n;
        for (std::size_t i = first; i < last; ++i) total += spots.weight[i] * ring_maximum[spots.ring[i]];
        prefix[++j] = total;
    }
}

std::int32_t block_bound(const BlockTable& table, const RoundedSpots& spots, const std::int32_t* sums, std::int32_t cut,
                         std::int32_t* lanes) {
    BlockSums blocks;
    const std::size_t n_groups = (spots.n + group - 1) / group;
    for (std::size_t j = 0; j < n_groups; ++j) {
        const std::size_t last = (j + 1) * group < spots.n ? (j + 1) * group : spots.n;
        for (std::size_t i = j * group; i < last; i += 4) {
            const std::uint8_t* values[4];
            for (std::size_t k = 0; k < 4; ++k)
                values[k] = table.values + table.ring_start[spots.ring[i + k]] + table.start[spots.azimuth[i + k]];
            blocks.add(values, spots.weight + i);
        }
        if (blocks.largest() + (sums[n_groups] - sums[j + 1]) < cut) return -1;
    }
    blocks.store(lanes);
    return blocks.largest();
}

#define NBEDEX_TEXT_OF(x) #x
#define NBEDEX_TEXT(x) NBEDEX_TEXT_OF(x)

}  // namespace

extern const Kernels kernels{NBEDEX_TEXT(NBEDEX_KERNEL_ISA), correlate, correlate_some, ring_sums, block_bound};

}  // namespace nbedex::kernels::NBEDEX_KERNEL_ISA
