// Where the direct beam is in one frame.
#pragma once

#include "nbedex/polar.hpp"

namespace nbedex {

struct BeamSearch {
    double row, column;       ///< expected centre, pixels
    double search_radius;     ///< the beam lies at most this far from there
    double beam_radius;       ///< radius of the direct-beam disk, roughly, pixels
};

struct BeamCenter {
    double row, column;  ///< pixels; NaN where none was found
    double contrast;     ///< (disk - surroundings) / disk, 0: no beam there
};

/// Finds the brightest disk near the expected place (box-filtered maximum), then the centre of mass of what exceeds
/// half its height, so that a flat-topped, saturated beam is as good as a round one. Masked and non-finite pixels are
/// not used; where the mask covers the beam the answer is NaN and the centre must come from elsewhere.
template <class T>
[[nodiscard]] BeamCenter find_beam(const Frame<T>& frame, const BeamSearch& search);

}  // namespace nbedex
