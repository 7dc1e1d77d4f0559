// Dynamical re-ranking: which of a few candidates a pattern is, and at which tilt and thickness, by Bloch waves.
//
// The places of a candidate's spots hardly depend on its tilt (by less than 10^-3 1/angstrom within 2 degrees), so the counts in all
// spots that could be excited are read once, after small errors of centre, scale, ellipse and turn are fitted to the peaks. Then
// tilts are tried from coarse to fine, each at all thicknesses, and compared with what was read.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "nbedex/bloch.hpp"
#include "nbedex/spot_image.hpp"

namespace nbedex {

/// Which beams take part (BlochOptions).
struct BeamChoice {
    double max_excitation_error = 0, strong_excitation_error = 0;  ///< 1/angstrom
};

struct RerankOptions {
    SpotImageOptions spots;
    double wavelength = 0;             ///< angstrom
    BeamChoice coarse, fine;           ///< fine once the step is at most a quarter of the first
    double reach = 0, step = 0;        ///< radians: how far candidates are tilted, and how far apart tilts tried first are
    int starts = 0;                    ///< so many of a candidate's first tilts are followed
    int points = 0;                    ///< so many of all candidates' are followed, half as many with each halving
    int halvings = 0;                  ///< of the step
    bool each_alone = false;           ///< `points` counts for each candidate: none is given up for another
    double thickness = 0, thickness_step = 0;  ///< the smallest, and the spacing of those tried, angstrom
    int thicknesses = 0;
    double faintest = 0;               ///< spots below so many standard deviations of the noise are taken for lost
};

struct RerankCandidate {
    Quaternion orientation;   ///< sample to crystal
    std::int32_t phase = -1;  ///< negative: not tried
    double kinematical = 0;   ///< logarithm of its likelihood by matching
};

/// What was found for a candidate; NaN where it was not tried.
struct RerankedCandidate {
    Quaternion orientation;
    double score;              ///< mean of the cosines of fourth and square roots of counts, 0 … 1
    double evidence;           ///< differences between candidates are logarithms of odds
    double thickness;          ///< angstrom
    double orientation_error;  ///< standard deviation of a tilt about any axis across the beam, radians; only of the best candidate
    double thickness_error;    ///< angstrom
    double rocking;            ///< cosine of the kinematical comparison at its best tilt, 0 … 1
    double spots;              ///< how many of its spots are seen
    double explained;          ///< share of the counts in peaks that its spots explain
};

/// Scratch of one thread.
class Reranker {
public:
    Reranker(std::span<const BlochCrystal* const> crystals, const RerankOptions& options);
    ~Reranker();
    Reranker(Reranker&&) noexcept;

    /// Returns how often a pattern was simulated.
    template <class T>
    std::size_t rerank(const Frame<T>& frame, double center_row, double center_column, std::span<const RerankCandidate> candidates,
                       std::span<RerankedCandidate> out);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace nbedex
