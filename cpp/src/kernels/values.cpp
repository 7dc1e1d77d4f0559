// On the values of polar bins. Compiled once per instruction set, like kernels.cpp: no standard-library code may be
// instantiated here. Sums have eight partial sums on every instruction set, added up in one order.
#include "kernels/compress.hpp"
#include "kernels/frames.hpp"
#include "kernels/kernels.hpp"
#include "kernels/pixels.hpp"

namespace nbedex::kernels::NBEDEX_KERNEL_ISA {
namespace {

constexpr std::size_t parts = 8;

constexpr std::size_t double_lanes = register_bytes / sizeof(double);
typedef double Doubles __attribute__((vector_size(double_lanes * 8)));
typedef float Singles __attribute__((vector_size(double_lanes * 4)));

class PartialSums {
public:
    /// Eight values.
    void add(const float* values) {
        for (std::size_t v = 0; v < vectors; ++v) {
            const Doubles x = __builtin_convertvector(load<Singles>(values + v * double_lanes), Doubles), square = x * x;
            first_[v] += x;
            second_[v] += square;
            third_[v] += square * x;
        }
    }

    [[nodiscard]] PowerSums total() const { return {total(first_), total(second_), total(third_)}; }

private:
    static constexpr std::size_t vectors = parts / double_lanes;

    static double total(const Doubles (&sums)[vectors]) {
        double part[parts];
        __builtin_memcpy(part, sums, sizeof part);
        return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
    }

    Doubles first_[vectors] = {}, second_[vectors] = {}, third_[vectors] = {};
};

PowerSums power_sums(const float* values, std::size_t n) {
    PartialSums sums;
    const std::size_t whole = n - n % parts;
    for (std::size_t i = 0; i < whole; i += parts) sums.add(values + i);
    float rest[parts] = {};
    for (std::size_t i = whole; i < n; ++i) rest[i - whole] = values[i];
    sums.add(rest);
    return sums.total();
}

std::size_t count_positive(const float* values, std::size_t n) {
    std::uint32_t count = 0;
    for (std::size_t i = 0; i < n; ++i) count += values[i] > 0;
    return count;
}

void positive_bits(const float* values, std::size_t n, std::uint64_t* bits) {
    for (std::size_t word = 0; word < (n + 63) / 64; ++word) {
        const float* some = values + 64 * word;
        const std::size_t count = n - 64 * word < 64 ? n - 64 * word : 64;
        std::uint64_t found = 0;
        std::size_t i = 0;
        for (; i + lanes <= count; i += lanes) found |= bits_of(load<Floats>(some + i) > 0) << i;
        for (; i < count; ++i) found |= static_cast<std::uint64_t>(some[i] > 0) << i;
        bits[word] = found;
    }
}

void subtract_and_clip(float* values, std::size_t n, float level) {
    for (std::size_t i = 0; i < n; ++i) {
        const float above = values[i] - level;
        values[i] = above > 0 ? above : 0;
    }
}

void root(float* values, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) values[i] = __builtin_sqrtf(values[i] > 0 ? values[i] : 0);
}

}  // namespace

extern const ValueKernels value_kernels{power_sums, count_positive, positive_bits, subtract_and_clip, root};

}  // namespace nbedex::kernels::NBEDEX_KERNEL_ISA
