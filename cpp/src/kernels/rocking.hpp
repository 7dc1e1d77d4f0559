// The inner loops of refinement: which reflections lie near the Ewald sphere, where they fall, what the pattern shows there, and the
// sums of the score. One version per instruction set (rocking.cpp); all give the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nbedex::kernels {

inline constexpr std::size_t rocking_lanes = 16, turn_lanes = 8;
inline constexpr float rocking_cutoff = 2.3F;

/// Pairs of reflections g and -g in the crystal's frame, column by column, 1/angstrom; n is a multiple of rocking_lanes.
struct Reciprocal {
    const float *x, *y, *z;           ///< of g
    const float* root;                ///< u = (root s)^2; the weight falls by exp(-u) and ends at rocking_cutoff
    const float *weight, *opposite;   ///< of g and -g on the Ewald sphere; 0: there is none
    std::size_t n;
};

/// Columns that such pairs are written to, each with room for rocking_lanes more than there are.
struct ReciprocalColumns {
    float *x, *y, *z, *root, *weight, *opposite;
};

/// What decides where reflections fall. `rotation` takes crystal to sample components, row by row.
struct Placing {
    float rotation[9];
    float sphere;      ///< radius of the Ewald sphere, 1/angstrom
    float k_min, rings_per_k;
    float n_rings;
    float slope;       ///< reflections count as near up to limit + slope * |(x, y)| from the sphere
};

/// Places in the sample frame; x, y and excitation are multiplied by `root`, so that lengths are those of u. Room as above.
struct PlaceColumns {
    float *x, *y;
    float* excitation;  ///< s without tilt
    float* weight;
    float* row;         ///< in the polar pattern: ring - 0.5, between rings
};

struct PlaceCounts {
    std::size_t near, excited;
};

/// Polar bins as they lie in memory, and between which of them a reflection falls.
struct PolarRows {
    const float* values;
    std::uint32_t n_rings, n_azimuths;
};
struct BinColumns {
    std::uint32_t *upper, *lower;  ///< where the two rows begin
    float* down;                   ///< of the way from one to the other
    float* azimuth;                ///< in bins, 0 <= azimuth < n_azimuths (or equal to it by rounding), to 1e-5 bins of 360
};

/// Reflections near the Ewald sphere, n of them, a multiple of rocking_lanes (filled up with zero weight).
struct RockingSpots {
    const float *x, *y;        ///< as in PlaceColumns
    const float* excitation;
    const float* weight;
    const float* value;        ///< of the pattern there
    std::size_t n;
};

/// Sums over reflections, w = weight exp(-u) at s = excitation - tilt_x y + tilt_y x.
struct RockingSums {
    float correlation, weight, square;  ///< of w value, w, w^2
};

struct RockingKernels {
    /// Copies the pairs with |normal g| < within; what follows them, up to a multiple of rocking_lanes, is zero. Returns how many.
    std::size_t (*select)(const Reciprocal& g, const float* within, const float* normal, const ReciprocalColumns& to);

    /// Of reflections that fall into the annulus: all that are near, and once more those that are excited without tilt (with the weight
    /// they have there), both followed by zeros as above.
    PlaceCounts (*place)(const Reciprocal& g, const Placing& how, const PlaceColumns& near, const PlaceColumns& excited);

    void (*find_bins)(const PolarRows& rows, const PlaceColumns& places, std::size_t n, const BinColumns& bins);

    /// value[i] of the pattern at reflections, between the four bins about azimuth[i] + turn (bins, |turn| < n_azimuths).
    void (*look_up)(const PolarRows& rows, const BinColumns& bins, float turn, std::size_t n, float* value);

    /// sums[j] = sum_i weight[i] (value at azimuth[i] + first + j), j < turn_lanes; |first| < n_azimuths.
    void (*turned_sums)(const PolarRows& rows, const BinColumns& bins, const float* weight, int first, std::size_t n, float* sums);

    /// sums[j] with the crystal tilted by (tilt_x[j], tilt_y) radians.
    void (*tilted_sums)(const RockingSpots& spots, const float* tilt_x, float tilt_y, std::size_t n_tilts, RockingSums* sums);
};

}  // namespace nbedex::kernels
