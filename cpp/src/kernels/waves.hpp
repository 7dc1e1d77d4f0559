// Kernels of fast Bloch waves of crystals with a centre of symmetry: single precision, all couplings real.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nbedex::kernels {

/// Rows of matrices and lists of depths are padded with zeros to a multiple of this many floats.
inline constexpr std::size_t wave_lanes = 16;
/// Chebyshev polynomials come in groups of this many.
inline constexpr std::size_t wave_terms = 8;

/// A = Q T Q^T with Q e_0 = e_0. Arrays of n values, reflectors (n, stride).
struct TridiagonalForm {
    float* diagonal;
    float* off_diagonal;  ///< n - 1, not negative
    float* beta;
    float* sign;       ///< of row i of Q after all reflectors
    float* reflector;  ///< row k: v of H_k = 1 - beta v v^T, zero up to k
};

/// exp(-i z x) = sum over k of coefficient_k T_k(x) for several z: (terms, depths); even terms belong to the real part, odd ones to
/// the imaginary part. `first`: of each group, the first depth where it matters (a multiple of wave_lanes).
struct ChebyshevSeries {
    const float* coefficient;
    const std::uint32_t* first;
    std::size_t terms;   ///< a multiple of wave_terms
    std::size_t depths;  ///< padded
};

/// What is measured at the places of beams, raised to 1/4 and 1/2 and zero where it is lost in the noise.
struct MeasuredSpots {
    const float* fourth_root;
    const float* root;
    const float* faintest;  ///< counts below this are lost in the noise
    float total;            ///< counts in all of them
    float fourth_norm;      ///< norms of the roots, spots that no beam explains among them
    float root_norm;
};

/// Spots near the Ewald sphere (n, padded with zeros): excitation error without tilt and how it changes with one, square root of the
/// coupling, and fourth root of what is measured.
struct TiltedSpots {
    const float* error;
    const float* per_tilt_x;
    const float* per_tilt_y;
    const float* strength;
    const float* measured;
    std::size_t n;
    float measured_norm;
};

struct WaveKernels {
    /// a (n, stride) -= sum over w of u_w u_w^T inverse_s_w; u (n_weak, stride)
    void (*add_detours)(const float* u, const float* inverse_s, std::size_t n_weak, float* a, std::size_t n, std::size_t stride);

    /// Uses up a, of which both triangles must be filled; scratch: 3 stride.
    void (*tridiagonalize)(float* a, std::size_t n, std::size_t stride, const TridiagonalForm& out, float* scratch);

    /// y (n, 2 depths) = exp(-i z T~) e_0, real then imaginary parts in each row, for T~ with on = 2 x its diagonal (padded to stride),
    /// off[i] = 2 x its element (i - 1, i) (stride + 1). scratch: (wave_terms + 2) (stride + 2 wave_lanes).
    void (*propagate)(const float* on, const float* off, std::size_t n, std::size_t stride, const ChebyshevSeries& series, float* y,
                      float* scratch);

    /// y = Q y for the columns of y (n, columns); scratch: columns.
    void (*back_transform)(const TridiagonalForm& form, std::size_t n, std::size_t stride, float* y, std::size_t columns, float* scratch);

    /// intensity (n_weak, depths) = |wave - u_w y|^2 inverse_s_w^2, where wave (n_weak, 2 depths) holds the free waves, and is used up.
    void (*weak_intensities)(const float* u, const float* inverse_s, std::size_t n_weak, std::size_t n, std::size_t stride,
                             const float* y, std::size_t depths, float* wave, float* intensity);

    /// score[t] = mean of both cosines, for rows row[i] of intensity (beams, depths), what is measured there being in slot[i].
    /// scratch: 5 depths.
    void (*compare)(const float* intensity, const std::uint32_t* row, const std::uint32_t* slot, std::size_t n, std::size_t depths, const MeasuredSpots& measured,
                    float* score, float* scratch);

    /// score[i] = cosine between the fourth roots of what is measured and of q^2 / (s^2 + width^2) at tilts (m, 2), radians.
    void (*rocking_scores)(const TiltedSpots& spots, const float* tilts, std::size_t m, float width, float* score);
};

}  // namespace nbedex::kernels
