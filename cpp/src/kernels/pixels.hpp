// Loops over all pixels of a frame. Only for kernel sources, each of which gets its own copy for its instruction set.
#pragma once

#include "kernels/frames.hpp"

namespace nbedex::kernels::NBEDEX_KERNEL_ISA {
namespace {

template <class T>
constexpr bool is_float = T(0.5F) != T(0);

template <class To, class From>
inline To load(const From* from) {
    To value;
    __builtin_memcpy(&value, from, sizeof(To));
    return value;
}

template <class From, class To>
inline void store(To* to, const From& value) {
    __builtin_memcpy(to, &value, sizeof(From));
}

#if defined(__AVX512BW__)
constexpr std::size_t register_bytes = 64;
#elif defined(__AVX2__)
constexpr std::size_t register_bytes = 32;
#else
constexpr std::size_t register_bytes = 16;
#endif

template <class T>
constexpr T lowest() {
    if constexpr (is_float<T>) return -__FLT_MAX__;
    else if constexpr (T(-1) < T(0)) return static_cast<T>(std::uint64_t{1} << (8 * sizeof(T) - 1));
    else return 0;
}

template <class T>
constexpr T highest() {
    if constexpr (is_float<T>) return __FLT_MAX__;
    else return static_cast<T>(~lowest<T>());
}

template <class T>
class RangeFinder {
public:
    static constexpr std::size_t lanes = register_bytes / sizeof(T);
    typedef T Values __attribute__((vector_size(register_bytes)));
    typedef std::uint8_t Bytes __attribute__((vector_size(lanes)));

    void add(Values value, Bytes masked) {
        Flags usable = __builtin_convertvector(masked, Flags) == 0;
        if constexpr (is_float<T>) {
            const Flags finite = value - value == 0;
            non_finite_ -= usable & ~finite;  // true is -1
            usable &= finite;
        }
        low_ = (usable & (value < low_)) ? value : low_;
        high_ = (usable & (value > high_)) ? value : high_;
    }

    [[nodiscard]] PixelRange<T> result() const {
        PixelRange<T> all{low_[0], high_[0], 0};
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            all.low = low_[lane] < all.low ? low_[lane] : all.low;
            all.high = high_[lane] > all.high ? high_[lane] : all.high;
            all.non_finite += non_finite_[lane];
        }
        return all;
    }

private:
    typedef decltype(Values{} < Values{}) Flags;
    Values low_ = Values{} + highest<T>(), high_ = Values{} + lowest<T>();
    Flags non_finite_ = {};
};

template <class T>
PixelRange<T> range(const Frame<T>& frame) {
    typedef RangeFinder<T> Finder;
    const auto n = static_cast<std::size_t>(frame.rows * frame.columns);
    Finder finder;
    std::size_t i = 0;
    if (frame.mask)
        for (; i + Finder::lanes <= n; i += Finder::lanes)
            finder.add(load<typename Finder::Values>(frame.data + i), load<typename Finder::Bytes>(frame.mask + i));
    else
        for (; i + Finder::lanes <= n; i += Finder::lanes)
            finder.add(load<typename Finder::Values>(frame.data + i), typename Finder::Bytes{});
    if (i < n) {  // the rest, filled up with pixels that are not used
        typename Finder::Values values = {};
        typename Finder::Bytes masked = {};
        for (std::size_t lane = 0; lane < Finder::lanes; ++lane) {
            if (i + lane < n) values[lane] = frame.data[i + lane];
            masked[lane] = i + lane >= n || (frame.mask && frame.mask[i + lane]);
        }
        finder.add(values, masked);
    }
    return finder.result();
}

template <class T>
std::ptrdiff_t count_from(const Frame<T>& frame, T value) {
    const std::ptrdiff_t n = frame.rows * frame.columns;
    std::ptrdiff_t count = 0;
    if (frame.mask)
        for (std::ptrdiff_t i = 0; i < n; ++i) count += (frame.data[i] >= value) & (frame.mask[i] == 0);
    else
        for (std::ptrdiff_t i = 0; i < n; ++i) count += frame.data[i] >= value;
    return count;
}

template <class T>
void to_floats(const T* __restrict from, std::size_t n, float* __restrict to) {
    for (std::size_t i = 0; i < n; ++i) {
        const auto value = static_cast<float>(from[i]);
        if constexpr (is_float<T>) to[i] = value - value == 0 ? value : 0.0F;
        else to[i] = value;
    }
}

}  // namespace
}  // namespace nbedex::kernels::NBEDEX_KERNEL_ISA
