// The reflections of a crystal that is rocked through the Ewald sphere. Compiled once per instruction set, like kernels.cpp: no
// standard-library code may be instantiated here. Sixteen partial sums on every instruction set, added up in one order.
#include "kernels/kernels.hpp"
#include "kernels/pixels.hpp"

namespace nbedex::kernels::NBEDEX_KERNEL_ISA {
namespace {

constexpr std::size_t lanes = register_bytes / sizeof(float), vectors = rocking_lanes / lanes;
typedef float Floats __attribute__((vector_size(register_bytes)));

/// exp(-u) for 0 <= u <= 2.3, to 2e-5 of its value: the fourth power of five terms of the series at u / 4, by Horner's rule.
inline Floats falling_exponential(Floats u) {
    const Floats x = u * 0.25F;
    Floats p = 1.0F - x * 0.2F;
    p = 1.0F - x * 0.25F * p;
    p = 1.0F - x * (1.0F / 3.0F) * p;
    p = 1.0F - x * 0.5F * p;
    p = 1.0F - x * p;
    const Floats square = p * p;
    return square * square;
}

inline float total(const Floats (&sums)[vectors]) {
    float part[rocking_lanes];
    __builtin_memcpy(part, sums, sizeof part);
    for (std::size_t half = rocking_lanes / 2; half > 0; half /= 2)
        for (std::size_t i = 0; i < half; ++i) part[i] += part[i + half];
    return part[0];
}

void near_plane(const Reciprocal& g, const float* __restrict length, const float* normal, float far, float slope, float bend,
                std::int32_t* __restrict flags) {
    const float *__restrict x = g.x, *__restrict y = g.y, *__restrict z = g.z;
    const float zx = normal[0], zy = normal[1], zz = normal[2];
    for (std::size_t i = 0; i < g.n; ++i) {
        const float off = zx * x[i] + zy * y[i] + zz * z[i];
        flags[i] = __builtin_fabsf(off) < far + length[i] * (slope + bend * length[i]) ? 1 : 0;
    }
}

/// With parameters that the compiler may take for distinct memory, which it needs to work on several reflections at once.
void place(const float* __restrict gx, const float* __restrict gy, const float* __restrict gz, std::size_t n, const float* __restrict limit,
           const Placing how, float* __restrict to_x, float* __restrict to_y, float* __restrict excitation, float* __restrict row,
           std::int32_t* __restrict state) {
    const float *m = how.rotation, m0 = m[0], m1 = m[1], m2 = m[2], m3 = m[3], m4 = m[4], m5 = m[5], m6 = m[6], m7 = m[7], m8 = m[8];
    const float sphere = how.sphere, k_min = how.k_min, rings_per_k = how.rings_per_k, n_rings = how.n_rings, slope = how.slope;
    for (std::size_t i = 0; i < n; ++i) {
        const float x = m0 * gx[i] + m1 * gy[i] + m2 * gz[i], y = m3 * gx[i] + m4 * gy[i] + m5 * gz[i], z = m6 * gx[i] + m7 * gy[i] + m8 * gz[i];
        const float flat = x * x + y * y, r = __builtin_sqrtf(flat), ring = (r - k_min) * rings_per_k;
        const float s = flat / (sphere + __builtin_sqrtf(sphere * sphere - flat)) - z, off = __builtin_fabsf(s);
        const float outside = ring >= 0 ? ring - n_rings : 0;  // at least zero
        const std::int32_t near = outside < 0 ? is_near : 0, excited = outside < 0 ? is_near | is_excited : 0;
        const std::int32_t unless_excited = off <= limit[i] + slope * r ? near : 0;
        to_x[i] = x;
        to_y[i] = y;
        excitation[i] = s;
        row[i] = ring - 0.5F;
        state[i] = off < limit[i] ? excited : unless_excited;
    }
}

void place_all(const Reciprocal& g, const float* limit, const Placing& how, const Places& out) {
    place(g.x, g.y, g.z, g.n, limit, how, out.x, out.y, out.excitation, out.row, out.state);
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

void azimuths(const float* __restrict x, const float* __restrict y, std::size_t n, float bins_per_turn, float* __restrict azimuth) {
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

void look_up(const PolarRows& rows, const std::uint32_t* __restrict upper, const std::uint32_t* __restrict lower, const float* __restrict down,
             const float* __restrict azimuth, float turn, std::size_t n, float* __restrict value) {
    const float* __restrict values = rows.values;
    const auto n_azimuths = static_cast<std::int32_t>(rows.n_azimuths);
    const float shift = turn + static_cast<float>(n_azimuths);  // so that nothing is negative
    for (std::size_t i = 0; i < n; ++i) {
        const float at = azimuth[i] + shift;
        const auto whole = static_cast<std::int32_t>(at);
        const float right = at - static_cast<float>(whole);
        std::int32_t column = whole >= n_azimuths ? whole - n_azimuths : whole;
        column = column >= n_azimuths ? column - n_azimuths : column;
        const std::uint32_t a = upper[i] + static_cast<std::uint32_t>(column), b = lower[i] + static_cast<std::uint32_t>(column);
        const float above = (1 - right) * values[a] + right * values[a + 1], below = (1 - right) * values[b] + right * values[b + 1];
        value[i] = (1 - down[i]) * above + down[i] * below;
    }
}

RockingSums rocking_sums(const RockingSpots& spots, float tilt_x, float tilt_y) {
    Floats correlation[vectors] = {}, weight[vectors] = {}, square[vectors] = {};
    for (std::size_t i = 0; i < spots.n; i += rocking_lanes)
        for (std::size_t v = 0; v < vectors; ++v) {
            const std::size_t at = i + v * lanes;
            const Floats s = load<Floats>(spots.excitation + at) - tilt_x * load<Floats>(spots.y + at) +
                             tilt_y * load<Floats>(spots.x + at);
            const Floats u = s * s * load<Floats>(spots.sharpness + at);
            const Floats w = load<Floats>(spots.weight + at) * falling_exponential(u);
            const Floats kept = u < rocking_cutoff ? w : Floats{};
            correlation[v] += kept * load<Floats>(spots.value + at);
            weight[v] += kept;
            square[v] += kept * kept;
        }
    return {total(correlation), total(weight), total(square)};
}

}  // namespace

extern const RockingKernels rocking_kernels{near_plane, place_all, azimuths, look_up, rocking_sums};

}  // namespace nbedex::kernels::NBEDEX_KERNEL_ISA
