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

class RunningSums {
public:
    RunningSums() = default;
    explicit RunningSums(const PartialSums& so_far) {
        __builtin_memcpy(first_, so_far.first, sizeof first_);
        __builtin_memcpy(second_, so_far.second, sizeof second_);
        __builtin_memcpy(third_, so_far.third, sizeof third_);
    }

    /// Eight values.
    void add(const float* values) {
        for (std::size_t v = 0; v < vectors; ++v) {
            const Doubles x = __builtin_convertvector(load<Singles>(values + v * double_lanes), Doubles), square = x * x;
            first_[v] += x;
            second_[v] += square;
            third_[v] += square * x;
        }
    }

    [[nodiscard]] PartialSums sums() const {
        PartialSums all;
        __builtin_memcpy(all.first, first_, sizeof first_);
        __builtin_memcpy(all.second, second_, sizeof second_);
        __builtin_memcpy(all.third, third_, sizeof third_);
        return all;
    }

private:
    static constexpr std::size_t vectors = parts / double_lanes;
    Doubles first_[vectors] = {}, second_[vectors] = {}, third_[vectors] = {};
};

PowerSums power_sums(const float* values, std::size_t n) {
    RunningSums sums;
    const std::size_t whole = n - n % parts;
    for (std::size_t i = 0; i < whole; i += parts) sums.add(values + i);
    float rest[parts] = {};
    for (std::size_t i = whole; i < n; ++i) rest[i - whole] = values[i];
    sums.add(rest);
    return sums.sums().total();
}

typedef float Eight __attribute__((vector_size(parts * 4)));
typedef std::int32_t EightFlags __attribute__((vector_size(parts * 4)));

inline bool any(EightFlags flags) {
#if defined(__AVX2__)
    return _mm256_movemask_ps((__m256)flags) != 0;
#else
    typedef std::uint64_t Pairs __attribute__((vector_size(parts * 4)));
    const auto pairs = (Pairs)flags;
    return ((pairs[0] | pairs[1]) | (pairs[2] | pairs[3])) != 0;
#endif
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

/// What becomes of the values of a ring, eight by eight; see ValueKernels::raise.
template <int roots>
class Raiser {
public:
    Raiser(float level, const PartialSums& so_far) : level_(level), sums_(so_far) {}

    Eight operator()(Eight values) {
        const Eight above = values - level_;
        positive_ -= above > 0;  // true is -1
        Eight raised = above > 0 ? above : Eight{};
        for (int i = 0; i < roots; ++i)
            for (std::size_t lane = 0; lane < parts; ++lane) raised[lane] = __builtin_sqrtf(raised[lane]);
        float kept[parts];
        store(kept, raised);
        sums_.add(kept);
        return raised;
    }

    /// Fewer than eight.
    void last(const float* from, std::size_t n, float* to) {
        float rest[parts];
        for (float& value : rest) value = __builtin_nanf("");
        __builtin_memcpy(rest, from, n * sizeof(float));
        const Eight raised = (*this)(load<Eight>(rest));
        __builtin_memcpy(to, &raised, n * sizeof(float));
    }

    [[nodiscard]] const RunningSums& sums() const { return sums_; }

    [[nodiscard]] std::size_t positive() const {
        std::int32_t count = 0;
        for (std::size_t lane = 0; lane < parts; ++lane) count += positive_[lane];
        return static_cast<std::size_t>(count);
    }

private:
    float level_;
    RunningSums sums_;
    EightFlags positive_ = {};
};

/// Lists first which eights are not all zero, in a sparse pattern one of ten, in the whole one two of three: roots cost more than all
/// else, and a branch for each would often be foreseen wrongly.
template <int roots>
std::size_t raise(const float* from, std::size_t n, float level, float* to, PartialSums& sums) {
    constexpr std::size_t most = 64;
    std::uint32_t found[most];
    Raiser<roots> raiser(level, sums);
    const std::size_t whole = n - n % parts;
    for (std::size_t first = 0; first < whole; first += most * parts) {
        const std::size_t end = whole - first < most * parts ? whole : first + most * parts;
        std::size_t n_found = 0;
        for (std::size_t i = first; i < end; i += parts) {
            found[n_found] = static_cast<std::uint32_t>(i);
            n_found += any(load<Eight>(from + i) > level);
            store(to + i, Eight{});
        }
        for (std::size_t j = 0; j < n_found; ++j) store(to + found[j], raiser(load<Eight>(from + found[j])));
    }
    if (whole < n) raiser.last(from + whole, n - whole, to + whole);
    sums = raiser.sums().sums();
    return raiser.positive();
}

std::size_t raise(const float* from, std::size_t n, float level, int roots, float* to, PartialSums& sums) {
    return (roots == 0 ? raise<0> : roots == 1 ? raise<1> : raise<2>)(from, n, level, to, sums);
}

/// Of values in units of their deviation, so that single precision holds their squares.
class PositiveSums {
public:
    void add(Eight z) {
        const EightFlags positive = z > 0;
        const Eight kept = positive ? z : Eight{};
        n_ -= positive;  // true is -1
        first_ += kept;
        second_ += kept * kept;
    }

    [[nodiscard]] double contrast() const {
        double n = 0, first = 0, second = 0;
        for (std::size_t lane = 0; lane < parts; ++lane) {
            n += n_[lane];
            first += static_cast<double>(first_[lane]);
            second += static_cast<double>(second_[lane]);
        }
        return n > 0 ? n * second / (first * first) : 0;
    }

private:
    EightFlags n_ = {};
    Eight first_ = {}, second_ = {};
};

double contrast(const float* values, std::size_t n, float mean, float per_deviation) {
    PositiveSums sums;
    const std::size_t whole = n - n % parts;
    for (std::size_t i = 0; i < whole; i += parts) sums.add((load<Eight>(values + i) - mean) * per_deviation);
    float rest[parts];
    for (float& value : rest) value = mean;
    __builtin_memcpy(rest, values + whole, (n - whole) * sizeof(float));
    sums.add((load<Eight>(rest) - mean) * per_deviation);
    return sums.contrast();
}

typedef float Wide __attribute__((vector_size(register_bytes)));
constexpr std::size_t wide_lanes = register_bytes / sizeof(float);

/// to[i …] = values of the row above, and of that below.
template <class Values>
inline void add_rows(const float* above, const float* below, std::size_t i, float* to) {
    store(to + i, load<Values>(above + i) + load<Values>(below + i));
}

/// to[i …], `n` times Values side by side, as one alone would wait for its own additions: from the row itself and the sums of those around it.
template <class Values, std::size_t n>
inline void correlate_folded(const FilterKernel& kernel, const float* row, const float* folded, std::size_t width, std::size_t i, float* to) {
    constexpr std::size_t each = sizeof(Values) / sizeof(float);
    Values sum[n] = {};
    const float* weight = kernel.quadrant;
    for (std::size_t down = 0; down <= kernel.reach; ++down) {
        const float* middle = (down == 0 ? row : folded + (down - 1) * width) + kernel.reach + i;
        const float own = *weight++;
        for (std::size_t v = 0; v < n; ++v) sum[v] += own * load<Values>(middle + v * each);
        for (std::size_t right = 1; right <= kernel.reach; ++right) {
            const float *left_one = middle - right, *right_one = middle + right, both = *weight++;
            for (std::size_t v = 0; v < n; ++v) sum[v] += both * (load<Values>(left_one + v * each) + load<Values>(right_one + v * each));
        }
    }
    for (std::size_t v = 0; v < n; ++v) store(to + i + v * each, sum[v] > 0 ? sum[v] : Values{});
}

/// Rows as far above as below are added first, and then columns as far left as right.
void filter_row(const FilterKernel& kernel, const float* const* rows, std::size_t n, float* folded, float* to) {
    const std::size_t reach = kernel.reach, width = n + 2 * reach;
    for (std::size_t down = 1; down <= reach; ++down) {
        const float *above = rows[reach - down], *below = rows[reach + down];
        float* sum = folded + (down - 1) * width;
        std::size_t i = 0;
        for (; i + wide_lanes <= width; i += wide_lanes) add_rows<Wide>(above, below, i, sum);
        for (; i < width; ++i) add_rows<float>(above, below, i, sum);
    }
    constexpr std::size_t together = 4;
    std::size_t i = 0;
    for (; i + together * wide_lanes <= n; i += together * wide_lanes) correlate_folded<Wide, together>(kernel, rows[reach], folded, width, i, to);
    for (; i + wide_lanes <= n; i += wide_lanes) correlate_folded<Wide, 1>(kernel, rows[reach], folded, width, i, to);
    for (; i < n; ++i) correlate_folded<float, 1>(kernel, rows[reach], folded, width, i, to);
}

}  // namespace

extern const ValueKernels value_kernels{power_sums, positive_bits, raise, contrast, filter_row};

}  // namespace nbedex::kernels::NBEDEX_KERNEL_ISA
