// The reflections of a crystal that is rocked through the Ewald sphere. Compiled once per instruction set, like kernels.cpp: no
// standard-library code may be instantiated here. Sixteen partial sums on every instruction set, added up in one order.
#include "kernels/compress.hpp"
#include "kernels/kernels.hpp"
#include "kernels/pixels.hpp"

namespace nbedex::kernels::NBEDEX_KERNEL_ISA {
namespace {

constexpr std::size_t vectors = rocking_lanes / lanes;

/// exp(-u) for 0 <= u <= 2.3 to 1e-4 of its value: the polynomial of the least largest relative error.
inline Floats falling_exponential(Floats u) {
    Floats p = u * -0.0025166573468595743F + 0.028479259461164474F;
    p = p * u - 0.15082673728466034F;
    p = p * u + 0.4906194508075714F;
    p = p * u - 0.9977861642837524F;
    return p * u + 0.9999036192893982F;
}

inline Floats rocked(Floats weight, Floats u) { return u < rocking_cutoff ? weight * falling_exponential(u) : Floats{}; }

/// Sixteen sums added up: those eight apart, then four, two, one.
inline float total(const Floats (&sums)[vectors]) {
    typedef float Four __attribute__((vector_size(16)));
#if defined(__AVX2__)
#if defined(__AVX512BW__)
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256((__m512)sums[0]), _mm512_extractf32x8_ps((__m512)sums[0], 1));
#else
    const __m256 eight = (__m256)(sums[0] + sums[1]);
#endif
    const Four four = (Four)_mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
#else
    const Four four = (sums[0] + sums[2]) + (sums[1] + sums[3]);
#endif
    return (four[0] + four[2]) + (four[1] + four[3]);
}

// ---- Which, and where -----------------------------------------------------------------------------------------------

std::size_t select(const Reciprocal& g, const float* within, const float* normal, const ReciprocalColumns& to) {
    Appender<6> chosen({to.x, to.y, to.z, to.root, to.weight, to.opposite});
    for (std::size_t i = 0; i < g.n; i += lanes) {
        const Floats x = load<Floats>(g.x + i), y = load<Floats>(g.y + i), z = load<Floats>(g.z + i);
        const Floats off = magnitude(normal[0] * x + normal[1] * y + normal[2] * z);
        chosen.add(off < load<Floats>(within + i),
                   {x, y, z, load<Floats>(g.root + i), load<Floats>(g.weight + i), load<Floats>(g.opposite + i)});
    }
    return chosen.finish(rocking_lanes);
}

/// Places of both reflections of some pairs: x, y, root, row and what near means to both; s = bend -+ z.
struct PairPlaces {
    Floats x, y, bend, z, row, within;
    Flags inside;
};

inline PairPlaces places_of(const Reciprocal& g, std::size_t i, const Placing& how) {
    const float *m = how.rotation, limit = __builtin_sqrtf(rocking_cutoff);
    const Floats gx = load<Floats>(g.x + i), gy = load<Floats>(g.y + i), gz = load<Floats>(g.z + i), root = load<Floats>(g.root + i);
    const Floats x = m[0] * gx + m[1] * gy + m[2] * gz, y = m[3] * gx + m[4] * gy + m[5] * gz, z = m[6] * gx + m[7] * gy + m[8] * gz;
    const Floats flat = x * x + y * y, r = square_root(flat), ring = (r - how.k_min) * how.rings_per_k;
    const Floats bend = flat / (how.sphere + square_root(how.sphere * how.sphere - flat));
    return {x * root, y * root, bend * root, z * root, ring - 0.5F, limit + how.slope * r * root, (ring >= 0) & (ring < how.n_rings)};
}

PlaceCounts place(const Reciprocal& g, const Placing& how, const PlaceColumns& near, const PlaceColumns& excited) {
    Appender<5> all({near.x, near.y, near.excitation, near.weight, near.row});
    Appender<5> some({excited.x, excited.y, excited.excitation, excited.weight, excited.row});
    const auto add = [&](const PairPlaces& at, Floats x, Floats y, Floats s, Floats weight) {
        const Flags is_near = at.inside & (magnitude(s) <= at.within) & (weight > 0);
        all.add(is_near, {x, y, s, weight, at.row});
        const Floats strength = rocked(weight, s * s);
        some.add(is_near & (strength > 0), {x, y, s, strength, at.row});
    };
    for (std::size_t i = 0; i < g.n; i += rocking_lanes) {  // sixteen times g, then their opposites, whatever the width of vectors
        PairPlaces at[vectors];
        for (std::size_t v = 0; v < vectors; ++v) at[v] = places_of(g, i + v * lanes, how);
        for (std::size_t v = 0; v < vectors; ++v) add(at[v], at[v].x, at[v].y, at[v].bend - at[v].z, load<Floats>(g.weight + i + v * lanes));
        for (std::size_t v = 0; v < vectors; ++v) add(at[v], -at[v].x, -at[v].y, at[v].bend + at[v].z, load<Floats>(g.opposite + i + v * lanes));
    }
    return {all.finish(rocking_lanes), some.finish(rocking_lanes)};
}

/// The angle whose tangent is t, 0 <= t <= 1, to 2e-7: least squares of atan(t) / t over polynomials in t^2, at Chebyshev's points.
inline float arc_tangent(float t) {
    const float u = t * t;
    float p = -0.004668773151934147F;
    p = p * u + 0.02416618913412094F;
    p = p * u - 0.0593671016395092F;
    p = p * u + 0.09906096756458282F;
    p = p * u - 0.14016585052013397F;
    p = p * u + 0.19969235360622406F;
    p = p * u - 0.33331960439682007F;
    p = p * u + 0.9999998807907104F;
    return p * t;
}

/// With parameters that the compiler may take for distinct memory, which it needs to work on several reflections at once.
void find_azimuths(const float* __restrict x, const float* __restrict y, std::size_t n, float bins_per_turn, float* __restrict azimuth) {
    constexpr float pi = 3.14159265358979F;
    const float bins_per_radian = bins_per_turn / (2 * pi);
    for (std::size_t i = 0; i < n; ++i) {
        const float along = __builtin_fabsf(x[i]), across = __builtin_fabsf(y[i]);
        const bool steep = across > along;
        const float small = steep ? along : across, large = steep ? across : along;
        float angle = arc_tangent(small / (large > 0 ? large : 1));
        angle = steep ? pi / 2 - angle : angle;
        angle = x[i] < 0 ? pi - angle : angle;
        angle = y[i] < 0 ? 2 * pi - angle : angle;
        azimuth[i] = angle * bins_per_radian;
    }
}

void find_rows(const float* __restrict row, std::size_t n, std::int32_t last_ring, std::int32_t n_azimuths, std::uint32_t* __restrict upper,
               std::uint32_t* __restrict lower, float* __restrict down) {
    for (std::size_t i = 0; i < n; ++i) {
        const std::int32_t ring = static_cast<std::int32_t>(row[i] + 1) - 1;  // row is at least -0.5
        down[i] = row[i] - static_cast<float>(ring);
        upper[i] = static_cast<std::uint32_t>((ring > 0 ? ring : 0) * n_azimuths);
        lower[i] = static_cast<std::uint32_t>((ring < last_ring ? ring + 1 : last_ring) * n_azimuths);
    }
}

void find_bins(const PolarRows& rows, const PlaceColumns& places, std::size_t n, const BinColumns& bins) {
    find_azimuths(places.x, places.y, n, static_cast<float>(rows.n_azimuths), bins.azimuth);
    find_rows(places.row, n, static_cast<std::int32_t>(rows.n_rings) - 1, static_cast<std::int32_t>(rows.n_azimuths), bins.upper, bins.lower,
              bins.down);
}

// ---- What the pattern shows -----------------------------------------------------------------------------------------

inline std::int32_t wrapped(std::int32_t column, std::int32_t n) {
    column = column >= n ? column - n : column;
    return column >= n ? column - n : column;
}

void look_up_all(const float* __restrict values, std::int32_t n_azimuths, const std::uint32_t* __restrict upper,
                 const std::uint32_t* __restrict lower, const float* __restrict down, const float* __restrict azimuth, float turn, std::size_t n,
                 float* __restrict value) {
    const float shift = turn + static_cast<float>(n_azimuths);  // so that nothing is negative
    for (std::size_t i = 0; i < n; ++i) {
        const float at = azimuth[i] + shift;
        const auto whole = static_cast<std::int32_t>(at);
        const float right = at - static_cast<float>(whole);
        const std::int32_t column = wrapped(whole, n_azimuths), next = column + 1 == n_azimuths ? 0 : column + 1;
        const auto a = static_cast<std::uint32_t>(column), b = static_cast<std::uint32_t>(next);
        const float above = (1 - right) * values[upper[i] + a] + right * values[upper[i] + b];
        const float below = (1 - right) * values[lower[i] + a] + right * values[lower[i] + b];
        value[i] = (1 - down[i]) * above + down[i] * below;
    }
}

void look_up(const PolarRows& rows, const BinColumns& bins, float turn, std::size_t n, float* value) {
    look_up_all(rows.values, static_cast<std::int32_t>(rows.n_azimuths), bins.upper, bins.lower, bins.down, bins.azimuth, turn, n, value);
}

typedef float Turns __attribute__((vector_size(turn_lanes * sizeof(float))));

/// turn_lanes + 1 bins of a row from a column on, in a row: where they lie if they do not pass its end, else copied to `scratch`.
inline const float* run_of(const float* row, std::size_t column, std::size_t n_azimuths, float* scratch) {
    if (column + turn_lanes < n_azimuths) return row + column;
    for (std::size_t j = 0; j <= turn_lanes; ++j) scratch[j] = row[(column + j) % n_azimuths];
    return scratch;
}

void turned_sums(const PolarRows& rows, const BinColumns& bins, const float* weight, int first, std::size_t n, float* sums) {
    const auto n_azimuths = static_cast<std::int32_t>(rows.n_azimuths);
    float scratch[2][turn_lanes + 1];
    Turns sum = {};
    for (std::size_t i = 0; i < n; ++i) {
        const auto whole = static_cast<std::int32_t>(bins.azimuth[i]);
        const float right = bins.azimuth[i] - static_cast<float>(whole);
        const auto column = static_cast<std::size_t>(wrapped(whole + first + n_azimuths, n_azimuths));
        const float* upper = run_of(rows.values + bins.upper[i], column, rows.n_azimuths, scratch[0]);
        const float* lower = run_of(rows.values + bins.lower[i], column, rows.n_azimuths, scratch[1]);
        const Turns above = (1 - right) * load<Turns>(upper) + right * load<Turns>(upper + 1);
        const Turns below = (1 - right) * load<Turns>(lower) + right * load<Turns>(lower + 1);
        sum += weight[i] * ((1 - bins.down[i]) * above + bins.down[i] * below);
    }
    store(sums, sum);
}

// ---- The score ------------------------------------------------------------------------------------------------------

/// Several tilts side by side: what is loaded serves all, and no sum waits for another. As many as there are registers for.
template <std::size_t together>
void sums_of(const RockingSpots& spots, const float* tilt_x, float tilt_y, RockingSums* sums) {
    Floats correlation[together][vectors] = {}, weight[together][vectors] = {}, square[together][vectors] = {};
    for (std::size_t i = 0; i < spots.n; i += rocking_lanes)
        for (std::size_t v = 0; v < vectors; ++v) {
            const std::size_t at = i + v * lanes;
            const Floats y = load<Floats>(spots.y + at), s_of_row = load<Floats>(spots.excitation + at) + tilt_y * load<Floats>(spots.x + at);
            const Floats on_sphere = load<Floats>(spots.weight + at), value = load<Floats>(spots.value + at);
            for (std::size_t t = 0; t < together; ++t) {
                const Floats s = s_of_row - tilt_x[t] * y, w = rocked(on_sphere, s * s);
                correlation[t][v] += w * value;
                weight[t][v] += w;
                square[t][v] += w * w;
            }
        }
    for (std::size_t t = 0; t < together; ++t) sums[t] = {total(correlation[t]), total(weight[t]), total(square[t])};
}

void tilted_sums(const RockingSpots& spots, const float* tilt_x, float tilt_y, std::size_t n_tilts, RockingSums* sums) {
    constexpr std::size_t together = vectors == 1 ? 5 : 1;
    std::size_t t = 0;
    for (; t + together <= n_tilts; t += together) sums_of<together>(spots, tilt_x + t, tilt_y, sums + t);
    for (; t < n_tilts; ++t) sums_of<1>(spots, tilt_x + t, tilt_y, sums + t);
}

}  // namespace

extern const RockingKernels rocking_kernels{select, place, find_bins, look_up, turned_sums, tilted_sums};

}  // namespace nbedex::kernels::NBEDEX_KERNEL_ISA
