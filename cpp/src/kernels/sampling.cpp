// From frame to polar bins. Compiled once per instruction set, like kernels.cpp: no standard-library code may be
// instantiated here. Every azimuth is a lane of its own, so the width of vectors does not change a bit of the result.
#include <utility>

#include "kernels/frames.hpp"
#include "kernels/kernels.hpp"
#include "kernels/pixels.hpp"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "pixels side by side are read as one little-endian number");

namespace nbedex::kernels::NBEDEX_KERNEL_ISA {
namespace {

// Azimuths side by side.
#if defined(__AVX512BW__)
constexpr std::size_t wedge = 16;
#elif defined(__AVX2__)
constexpr std::size_t wedge = 8;
#else
constexpr std::size_t wedge = 4;
#endif
static_assert(wedge <= widest_wedge);

typedef float Floats __attribute__((vector_size(wedge * 4)));
typedef std::int32_t Ints __attribute__((vector_size(wedge * 4)));
typedef std::uint32_t Words __attribute__((vector_size(wedge * 4)));
typedef std::uint64_t HalfLongs __attribute__((vector_size(wedge * 4)));  // half the lanes

inline Floats to_float(Ints x) { return __builtin_convertvector(x, Floats); }
inline Ints to_int(Floats x) { return __builtin_convertvector(x, Ints); }
inline Floats nan() { return Floats{} + __builtin_nanf(""); }

// ---- Where ----------------------------------------------------------------------------------------------------------

/// 0 … limit, whatever x is: also where it is NaN.
inline Floats clamped(Floats x, float limit) {
    const Floats zero = {}, most = zero + limit;
    x = x < most ? x : most;
    return x > zero ? x : zero;
}

/// A sample in every lane: the top left one of its four pixels, and how far to its right and below it the sample lies.
struct Sample {
    alignas(wedge * 4) std::uint32_t pixel[wedge];
    alignas(wedge * 4) float right[wedge], down[wedge];
};

/// Finds the samples of the azimuths from `azimuth` on.
class Locator {
public:
    template <class T>
    Locator(const Mesh& mesh, const Frame<T>& frame, float center_row, float center_column)
        : mesh_(mesh), center_row_(center_row), center_column_(center_column), columns_(static_cast<std::int32_t>(frame.columns)),
          last_column_(static_cast<float>(frame.columns - 2)), last_row_(static_cast<float>(frame.rows - 2)) {}

    /// Those from `first` on, before `last`.
    void locate(std::size_t azimuth, std::size_t first, std::size_t last, Sample* to) const {
        const std::size_t inside = last < mesh_.inside ? last : mesh_.inside < first ? first : mesh_.inside;
        locate<true>(azimuth, first, inside, to);
        locate<false>(azimuth, inside, last, to + (inside - first));
    }

private:
    /// `inside`: all of them lie within the frame. Otherwise those that do not are NaN pixels down.
    template <bool inside>
    void locate(std::size_t azimuth, std::size_t first, std::size_t last, Sample* to) const {
        const Locator here = *this;  // what is written cannot change it
        const float* directions = here.mesh_.directions + azimuth;
        for (std::size_t s = first; s < last; ++s, ++to) {
            const float* direction = directions + here.mesh_.direction[s];
            const float radius = here.mesh_.radius[s];
            const Floats column = here.center_column_ + radius * load<Floats>(direction);
            const Floats row = here.center_row_ + radius * load<Floats>(direction + here.mesh_.stride);
            const Ints c = to_int(inside ? column : clamped(column, here.last_column_));
            const Ints r = to_int(inside ? row : clamped(row, here.last_row_));
            const Floats right = column - to_float(c);
            Floats down = row - to_float(r);
            if constexpr (!inside) {  // clamping moved the pixel away from samples outside the frame, and only from them
                const Ints in_frame = (right >= 0) & (right <= 1) & (down >= 0) & (down <= 1);
                down = in_frame ? down : nan();
            }
            store(to->pixel, r * here.columns_ + c);
            store(to->right, right);
            store(to->down, down);
        }
    }

    Mesh mesh_;
    float center_row_, center_column_;
    std::int32_t columns_;
    float last_column_, last_row_;
};

// ---- What -----------------------------------------------------------------------------------------------------------

/// Pixels of 8 and 16 bits are copied before they are sampled: every one with that below it, so that one load fetches the
/// four of a sample. Of larger ones two loads fetch a pair each.
template <class T>
constexpr bool copied = sizeof(T) < 4;

/// `to`: rows of the frame but the last, pixels in turns with those below them.
template <class T>
void pair_rows(const Frame<T>& frame, T* __restrict to) {
    const std::ptrdiff_t n = (frame.rows - 1) * frame.columns;
    const T *top = frame.data, *bottom = frame.data + frame.columns;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
        to[2 * i] = top[i];
        to[2 * i + 1] = bottom[i];
    }
}

/// `to`: by pixel whether it is masked, or that to its right, below it, or to the right of that; but for the last row and column.
template <class T>
void spread_mask(const Frame<T>& frame, std::uint8_t* __restrict to) {
    const std::ptrdiff_t n = (frame.rows - 1) * frame.columns - 1;
    const std::uint8_t *top = frame.mask, *bottom = frame.mask + frame.columns;
    for (std::ptrdiff_t i = 0; i < n; ++i) to[i] = top[i] | top[i + 1] | bottom[i] | bottom[i + 1];
}

/// Brings memory into the second cache, in order: wedges read a few bytes of every row, which the hardware does not foresee.
template <class T>
void bring(const T* data, std::size_t n) {
    constexpr std::size_t line = 64 / sizeof(T);
    for (std::size_t i = 0; i < n; i += line) __builtin_prefetch(data + i, 0, 2);
}

// Lanes are fetched by plain loads, written as lists: gather instructions, which the compiler makes of loops, take twice the
// time on Zen 4.

using Lanes = std::make_index_sequence<wedge>;
using HalfOfLanes = std::make_index_sequence<wedge / 2>;

/// Numbers of at most 32 bits from data[stride * pixel] on.
template <class Bits, std::size_t stride, class T, std::size_t... lane>
inline Words fetch(const T* data, const std::uint32_t* pixel, std::index_sequence<lane...>) {
    return Words{std::uint32_t{load<Bits>(data + stride * pixel[lane])}...};
}

/// Number `i` of the pixels, read two at a time: loads are what this has most of.
inline std::size_t pixel_at(const std::uint32_t* pixel, std::size_t i) {
    auto both = load<std::uint64_t>(pixel + i / 2 * 2);
    asm("" : "+r"(both));  // or the compiler reads them one by one
    return i % 2 ? both >> 32 : static_cast<std::uint32_t>(both);
}

/// 64 bits each from data[stride * pixel] on, of lanes 0, 1, 4, 5, … if `first`, else of 2, 3, 6, 7, …
template <bool first, std::size_t stride, class T, std::size_t... i>
inline HalfLongs fetch_half(const T* data, const std::uint32_t* pixel, std::index_sequence<i...>) {
    return HalfLongs{load<std::uint64_t>(data + stride * pixel_at(pixel, i / 2 * 4 + i % 2 + (first ? 0 : 2)))...};
}

/// Where the lower half of a lane's 64 bits lies in two such halves of the lanes, one after the other. Their order is such that
/// nothing crosses from one 128 bits to another.
constexpr std::size_t place(std::size_t lane) { return lane / 4 * 4 + lane % 2 * 2 + (lane % 4 < 2 ? 0 : wedge); }

/// The lower (part 0) or the upper (part 1) half of all lanes' 64 bits.
template <std::size_t part, std::size_t... lane>
inline Words halves(HalfLongs first, HalfLongs second, std::index_sequence<lane...>) {
#if defined(__clang__)
    return (Words)__builtin_shufflevector((Floats)first, (Floats)second, (place(lane) + part)...);
#else
    return (Words)__builtin_shuffle((Floats)first, (Floats)second, Words{(place(lane) + part)...});
#endif
}

struct Columns {
    Words left, right;
};

/// 64 bits each from data[stride * pixel] on, by halves.
template <std::size_t stride, class T>
inline Columns fetch_columns(const T* data, const std::uint32_t* pixel) {
    const HalfLongs first = fetch_half<true, stride>(data, pixel, HalfOfLanes());
    const HalfLongs second = fetch_half<false, stride>(data, pixel, HalfOfLanes());
    return {halves<0>(first, second, Lanes()), halves<1>(first, second, Lanes())};
}

/// The number of bits first … first + 8 sizeof(T) - 1 of every lane. Shifting back repeats the sign, if T has one.
template <class T, int first>
inline Ints number(Words words) {
    constexpr int bits = 8 * sizeof(T);
    const Words left = words << (32 - bits - first);
    if constexpr (T(-1) < T(0)) return (Ints)left >> (32 - bits);
    else return (Ints)(left >> (32 - bits));
}

/// Of lanes that are pixels of 32 bits.
template <class T>
inline Floats pixels(Words words) {
    typedef T Values __attribute__((vector_size(wedge * sizeof(T))));
    return __builtin_convertvector((Values)words, Floats);
}

/// The four pixels of a sample as they are fetched.
template <class T, std::size_t size = sizeof(T)>
struct Corners {  // of 32 bits
    Columns top, bottom;
    Corners(const Frame<T>& frame, const T*, const std::uint32_t* pixel)
        : top(fetch_columns<1>(frame.data, pixel)), bottom(fetch_columns<1>(frame.data + frame.columns, pixel)) {}

    /// Between the upper ones, and between the lower ones.
    [[nodiscard]] Floats upper(Floats right) const { return between(top, right); }
    [[nodiscard]] Floats lower(Floats right) const { return between(bottom, right); }

private:
    static Floats between(const Columns& row, Floats right) {
        const Floats a = pixels<T>(row.left), b = pixels<T>(row.right);
        return a + right * (b - a);
    }
};

/// The same of pixels so small that their difference is exact in integers, too: fewer conversions.
template <class T, int shift>
inline Floats between(Words left, Words right, Floats by) {
    const Ints a = number<T, shift>(left);
    return to_float(a) + by * to_float(number<T, shift>(right) - a);
}

template <class T>
struct Corners<T, 2> {
    Columns columns;
    Corners(const Frame<T>&, const T* pairs, const std::uint32_t* pixel) : columns(fetch_columns<2>(pairs, pixel)) {}
    [[nodiscard]] Floats upper(Floats right) const { return between<T, 0>(columns.left, columns.right, right); }
    [[nodiscard]] Floats lower(Floats right) const { return between<T, 16>(columns.left, columns.right, right); }
};

template <class T>
struct Corners<T, 1> {
    Words all;
    Corners(const Frame<T>&, const T* pairs, const std::uint32_t* pixel) : all(fetch<std::uint32_t, 2>(pairs, pixel, Lanes())) {}
    [[nodiscard]] Floats upper(Floats right) const { return between<T, 0>(all, all >> 16, right); }
    [[nodiscard]] Floats lower(Floats right) const { return between<T, 8>(all, all >> 16, right); }
};

template <class T, bool masked>
inline Floats interpolate(const Corners<T>& corners, const Sample& sample, const std::uint8_t* mask) {
    const Floats right = load<Floats>(sample.right), down = load<Floats>(sample.down);
    const Floats upper = corners.upper(right), lower = corners.lower(right);
    const Floats value = upper + down * (lower - upper);
    if constexpr (masked) return fetch<std::uint8_t, 1>(mask, sample.pixel, Lanes()) != 0 ? nan() : value;
    else return value;
}

template <class T>
inline Floats finite(Floats mean) {
    if constexpr (is_float<T>) return mean - mean == 0 ? mean : nan();  // infinity is no value either
    else return mean;
}

/// The bins of a wedge; returns lanes that are not zero where one came out as NaN. Places first, values second, some samples at
/// a time, and their pixels one sample ahead: so many loads are under way at once, and the pixels, which lie in a narrow
/// sector of the frame, stay in the first cache. A function of its own, or its caller would take registers away.
template <class T, bool masked>
[[gnu::noinline]] Ints average(const Mesh& mesh, const Frame<T>& frame, const FrameCopy& copy, const Locator& locator,
                               std::size_t azimuth, float* out) {
    constexpr std::size_t at_once = 32;
    Sample samples[at_once + 1];
    const T* pairs = static_cast<T*>(copy.pairs);
    const std::size_t n = mesh.first[mesh.n_rings];
    Ints any_nan = {};
    Floats sum = {};
    std::size_t ring = 0;
    out += azimuth;
    for (std::size_t begin = 0, end = 0; begin < n; begin = end) {
        end = n - begin < at_once ? n : begin + at_once;
        locator.locate(azimuth, begin, end, samples);
        store(samples[end - begin].pixel, Words{});  // fetched, but not used
        const Sample* sample = samples;
        Corners<T> next(frame, pairs, sample->pixel);
        for (std::size_t done = begin; done < end;) {
            const std::size_t last = mesh.first[ring + 1], stop = last < end ? last : end;
            for (std::size_t left = stop - done; left > 0; --left) {
                const Corners<T> corners = next;
                next = Corners<T>(frame, pairs, sample[1].pixel);
                sum += interpolate<T, masked>(corners, *sample++, copy.mask);
            }
            done = stop;
            if (done < last) break;
            const Floats mean = finite<T>(sum * mesh.share[ring]);
            any_nan |= mean != mean;
            store(out, mean);
            out += mesh.stride;
            sum = Floats{};
            ++ring;
        }
    }
    return any_nan;
}

template <class T, bool masked>
bool unwrap(const Mesh& mesh, const Frame<T>& frame, float center_row, float center_column, const FrameCopy& copy, float* out) {
    const Locator locator(mesh, frame, center_row, center_column);
    Ints any_nan = {};
    for (std::size_t azimuth = 0; azimuth < mesh.n_azimuths; azimuth += wedge)
        any_nan |= average<T, masked>(mesh, frame, copy, locator, azimuth, out);
    std::int32_t any = 0;
    for (std::size_t lane = 0; lane < wedge; ++lane) any |= any_nan[lane];
    return any != 0;
}

template <class T>
bool unwrap(const Mesh& mesh, const Frame<T>& frame, float center_row, float center_column, const FrameCopy& copy, float* out) {
    if constexpr (copied<T>) pair_rows(frame, static_cast<T*>(copy.pairs));
    else bring(frame.data, static_cast<std::size_t>(frame.rows * frame.columns));
    if (!frame.mask) return unwrap<T, false>(mesh, frame, center_row, center_column, copy, out);
    spread_mask(frame, copy.mask);
    return unwrap<T, true>(mesh, frame, center_row, center_column, copy, out);
}

template <class T>
constexpr FrameKernels<T> kernels_of{range<T>, count_from<T>, to_floats<T>, unwrap<T>};

}  // namespace

extern const FrameKernelTable frame_kernels{kernels_of<std::uint8_t>, kernels_of<std::uint16_t>, kernels_of<std::uint32_t>,
                                            kernels_of<std::int8_t>,  kernels_of<std::int16_t>,  kernels_of<std::int32_t>,
                                            kernels_of<float>};

}  // namespace nbedex::kernels::NBEDEX_KERNEL_ISA
