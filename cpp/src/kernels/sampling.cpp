// From frame to polar bins. Compiled once per instruction set, like kernels.cpp: no standard-library code may be
// instantiated here. Every azimuth is a lane of its own, so the width of vectors does not change a bit of the result.
#include "kernels/frames.hpp"
#include "kernels/kernels.hpp"
#include "kernels/pixels.hpp"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a pair of pixels is read as one little-endian number");

namespace nbedex::kernels::NBEDEX_KERNEL_ISA {
namespace {

// Azimuths side by side. Sixteen, with AVX-512, are slower than eight: the work is in loads, one lane at a time.
#if defined(__AVX2__)
constexpr std::size_t wedge = 8;
#else
constexpr std::size_t wedge = 4;
#endif
static_assert(wedge <= widest_wedge);

typedef float Floats __attribute__((vector_size(wedge * 4)));
typedef std::int32_t Ints __attribute__((vector_size(wedge * 4)));
typedef std::uint32_t Words __attribute__((vector_size(wedge * 4)));
typedef std::uint64_t Longs __attribute__((vector_size(wedge * 8)));

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

/// Writes down, lane by lane, the top left one of a sample's four pixels, and how far to its right and below it the sample
/// lies; NaN outside the frame.
class Locator {
public:
    template <class T>
    explicit Locator(const Frame<T>& frame)
        : columns_(static_cast<std::int32_t>(frame.columns)), last_column_(static_cast<float>(frame.columns - 2)),
          last_row_(static_cast<float>(frame.rows - 2)) {}

    void operator()(Floats column, Floats row, std::uint32_t* scratch) const {
        const Ints c = to_int(clamped(column, last_column_)), r = to_int(clamped(row, last_row_));
        const Floats right = column - to_float(c), down = row - to_float(r);
        // Outside the frame, and only there, clamping moved the pixel away from the sample.
        const Ints inside = (right >= 0) & (right <= 1) & (down >= 0) & (down <= 1);
        store(scratch, r * columns_ + c);
        store(scratch + wedge, right);
        store(scratch + 2 * wedge, inside ? down : nan());
    }

private:
    std::int32_t columns_;
    float last_column_, last_row_;
};

/// The places of all samples of a wedge, ring by ring.
void locate(const Mesh& mesh, std::size_t azimuth, float center_row, float center_column, const Locator& locator,
            std::uint32_t* scratch) {
    for (std::size_t ring = 0; ring < mesh.n_rings; ++ring) {
        for (std::size_t i = 0; i < mesh.across; ++i) {
            const float k = mesh.radius[ring * mesh.across + i];
            const float* direction = mesh.direction[ring] + azimuth;
            for (std::uint32_t j = 0; j < mesh.along[ring]; ++j, direction += 2 * mesh.stride, scratch += scratch_words) {
                locator(center_column + k * load<Floats>(direction), center_row + k * load<Floats>(direction + mesh.stride),
                        scratch);
            }
        }
    }
}

// ---- What -----------------------------------------------------------------------------------------------------------

/// Two pixels side by side as one number: one load of 32 bits costs what one of 16 does.
template <std::size_t PixelSize>
struct Pair;
template <>
struct Pair<1> { typedef std::uint16_t Bits; typedef Words Lanes; };
template <>
struct Pair<2> { typedef std::uint32_t Bits; typedef Words Lanes; };
template <>
struct Pair<4> { typedef std::uint64_t Bits; typedef Longs Lanes; };

/// The pairs that begin at data[pixel[i]], by plain loads: gather instructions were slower in a prototype (Zen 4). Written as one
/// list, because the compiler would make gathers of a loop.
template <class T>
inline typename Pair<sizeof(T)>::Lanes fetch(const T* data, const std::uint32_t* pixel) {
    typedef typename Pair<sizeof(T)>::Lanes Lanes;
    const auto pair = [=](std::size_t i) { return load<typename Pair<sizeof(T)>::Bits>(data + pixel[i]); };
    if constexpr (wedge == 8)
        return Lanes{pair(0), pair(1), pair(2), pair(3), pair(4), pair(5), pair(6), pair(7)};
    else
        return Lanes{pair(0), pair(1), pair(2), pair(3)};
}

struct Pixels {
    Floats left, right;
};

/// Pixels of 8 and 16 bits out of pairs. Shifting back repeats the sign, if T has one.
template <class T>
inline Pixels split(Words pairs) {
    constexpr int bits = 8 * sizeof(T);
    const Words left = pairs << (32 - bits), right = pairs << (32 - 2 * bits);
    if constexpr (T(-1) < T(0))
        return {to_float((Ints)left >> (32 - bits)), to_float((Ints)right >> (32 - bits))};
    else
        return {to_float((Ints)(left >> (32 - bits))), to_float((Ints)(right >> (32 - bits)))};
}

/// Pixels of 32 bits.
template <class T>
inline Pixels split(Longs pairs) {
    typedef T Values __attribute__((vector_size(wedge * sizeof(T))));
    const Words left = __builtin_convertvector(pairs, Words), right = __builtin_convertvector(pairs >> 32, Words);
    return {__builtin_convertvector((Values)left, Floats), __builtin_convertvector((Values)right, Floats)};
}

/// One bilinear sample per lane.
template <class T, bool Masked>
inline Floats interpolate(const Frame<T>& frame, const std::uint32_t* scratch) {
    const Floats right = load<Floats>(scratch + wedge), down = load<Floats>(scratch + 2 * wedge);
    const Pixels top = split<T>(fetch(frame.data, scratch)), bottom = split<T>(fetch(frame.data + frame.columns, scratch));
    const Floats upper = top.left + right * (top.right - top.left);
    const Floats lower = bottom.left + right * (bottom.right - bottom.left);
    const Floats value = upper + down * (lower - upper);
    if constexpr (Masked) {
        const Words masked = fetch(frame.mask, scratch) | fetch(frame.mask + frame.columns, scratch);
        return masked != 0 ? nan() : value;
    }
    return value;
}

/// The bins of a wedge; returns lanes that are not zero where a bin came out as NaN.
template <class T, bool Masked>
Ints average(const Mesh& mesh, const Frame<T>& frame, std::size_t azimuth, const std::uint32_t* scratch, float* out) {
    const std::size_t left = mesh.n_azimuths - azimuth, used = left < wedge ? left : wedge;
    Ints any_nan = {};
    out += azimuth;
    for (std::size_t ring = 0; ring < mesh.n_rings; ++ring, out += mesh.n_azimuths) {
        const std::size_t samples = mesh.across * mesh.along[ring];
        Floats mean = {};
        for (std::size_t s = 0; s < samples; ++s, scratch += scratch_words) mean += interpolate<T, Masked>(frame, scratch);
        mean *= 1.0F / static_cast<float>(samples);
        if constexpr (is_float<T>) mean = mean - mean == 0 ? mean : nan();  // infinity is no value either
        any_nan |= mean != mean;
        if (used == wedge)
            __builtin_memcpy(out, &mean, sizeof mean);
        else
            __builtin_memcpy(out, &mean, used * sizeof(float));
    }
    return any_nan;
}

/// Brings memory into the second cache, in order: wedges read and write a few bytes of every row, which the hardware does
/// not foresee. Saves a fifth of the time for 16-bit frames that no one has looked at yet, a third for float ones.
template <class T>
void bring(const T* data, std::size_t n) {
    constexpr std::size_t line = 64 / sizeof(T);
    for (std::size_t i = 0; i < n; i += line) __builtin_prefetch(data + i, 0, 2);
}

// Places first, values second, wedge by wedge: so the loads of many samples are under way at once, and their pixels,
// which lie in a narrow sector of the frame, stay in the first cache.
template <class T>
bool unwrap(const Mesh& mesh, const Frame<T>& frame, float center_row, float center_column, std::uint32_t* scratch,
            float* out) {
    const Locator locator(frame);
    const auto bins = frame.mask ? average<T, true> : average<T, false>;
    Ints any_nan = {};
    bring(frame.data, static_cast<std::size_t>(frame.rows * frame.columns));
    bring(out, mesh.n_rings * mesh.n_azimuths);
    for (std::size_t azimuth = 0; azimuth < mesh.n_azimuths; azimuth += wedge) {
        locate(mesh, azimuth, center_row, center_column, locator, scratch);
        any_nan |= bins(mesh, frame, azimuth, scratch, out);
    }
    std::int32_t any = 0;
    for (std::size_t lane = 0; lane < wedge; ++lane) any |= any_nan[lane];
    return any != 0;
}

template <class T>
constexpr FrameKernels<T> kernels_of{range<T>, count_from<T>, unwrap<T>};

}  // namespace

extern const FrameKernelTable frame_kernels{kernels_of<std::uint8_t>, kernels_of<std::uint16_t>, kernels_of<std::uint32_t>,
                                            kernels_of<std::int8_t>,  kernels_of<std::int16_t>,  kernels_of<std::int32_t>,
                                            kernels_of<float>};

}  // namespace nbedex::kernels::NBEDEX_KERNEL_ISA
