// The inner loops of refinement: which reflections lie near the Ewald sphere, where they fall, what the pattern shows there, and the
// sums of the score. One version per instruction set (rocking.cpp); all give the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nbedex::kernels {

inline constexpr std::size_t rocking_lanes = 16;
inline constexpr float rocking_cutoff = 2.3F;

/// Reflections in the crystal's frame, component by component, 1/angstrom.
struct Reciprocal {
    const float *x, *y, *z;
    std::size_t n;
};

/// What decides where reflections fall. `rotation` takes crystal to sample components, row by row.
struct Placing {
    float rotation[9];
    float sphere;      ///< radius of the Ewald sphere, 1/angstrom
    float k_min, rings_per_k;
    float n_rings;
    float slope;       ///< reflections count as near up to limit + slope * |(x, y)| from the sphere
};

inline constexpr std::int32_t is_near = 1, is_excited = 2;

/// Places in the sample frame (1/angstrom), excitation error, row in the polar pattern (ring - 0.5, between rings).
struct Places {
    float *x, *y, *excitation, *row;
    std::int32_t* state;  ///< 0, is_near, or is_near | is_excited (up to the limit)
};

/// Polar bins as they lie in memory: each row twice, one copy after the other.
struct PolarRows {
    const float* values;
    std::uint32_t n_azimuths;
};

/// Reflections near the Ewald sphere, n of them, a multiple of rocking_lanes (filled up with zero weight).
struct RockingSpots {
    const float *x, *y;        ///< position, 1/angstrom
    const float* excitation;   ///< s without tilt, 1/angstrom
    const float* sharpness;    ///< u = sharpness * s^2; the weight falls by exp(-u) and ends at rocking_cutoff
    const float* weight;       ///< on the Ewald sphere
    const float* value;        ///< of the pattern there
    std::size_t n;
};

/// Sums over reflections, w = weight exp(-u) at s = excitation - tilt_x y + tilt_y x.
struct RockingSums {
    float correlation, weight, square;  ///< of w value, w, w^2
};

struct RockingKernels {
    /// flags[i] = |zx x + zy y + zz z| < far + length (slope + bend length).
    void (*near_plane)(const Reciprocal& g, const float* length, const float* normal, float far, float slope, float bend,
                       std::int32_t* flags);

    void (*place)(const Reciprocal& g, const float* limit, const Placing& how, const Places& out);

    /// azimuth[i] of (x, y) in bins, 0 <= azimuth < n_azimuths (or equal to it by rounding), to 1e-5 bins of 360.
    void (*azimuths)(const float* x, const float* y, std::size_t n, float bins_per_turn, float* azimuth);

    /// value[i] between the four bins about azimuth[i] + turn, in the rows that begin at upper[i] and lower[i] of `rows`, `down` of the
    /// way from one to the other. |turn| < n_azimuths.
    void (*look_up)(const PolarRows& rows, const std::uint32_t* upper, const std::uint32_t* lower, const float* down, const float* azimuth,
                    float turn, std::size_t n, float* value);

    RockingSums (*sums)(const RockingSpots& spots, float tilt_x, float tilt_y);
};

}  // namespace nbedex::kernels
