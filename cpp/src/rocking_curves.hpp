// How strongly a crystal's reflections are excited at a distance from the Ewald sphere, as refinement has it.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/kernels.hpp"
#include "nbedex/refine.hpp"

namespace nbedex {

/// How the weight of each reflection of a crystal follows its excitation error under these options.
struct RockingCurves {
    const KinematicCrystal* crystal;
    std::vector<float> sharpness, weight, limit;  ///< by reflection; `limit` is the excitation error where the weight ends
    float widest = 0;                             ///< of the limits

    RockingCurves(const KinematicCrystal& of, const RefineOptions& options) : crystal(&of) {
        const double variance = options.excitation_width * options.excitation_width;
        for (std::size_t i = 0; i < of.size(); ++i) {
            const double swing = double{of.length()[i]} * options.precession_angle, wider = variance + swing * swing / 2;
            const double sharp = of.exponent() / (2 * wider);
            const double left = swing > 0 ? std::pow(variance / wider, of.exponent() / 2) : 1.0;
            sharpness.push_back(static_cast<float>(sharp));
            weight.push_back(static_cast<float>(of.weight()[i] * left));
            limit.push_back(static_cast<float>(std::sqrt(kernels::rocking_cutoff / sharp)));
            widest = std::max(widest, limit.back());
        }
    }
};

}  // namespace nbedex
