// Where an orientation has its spots: the bins that are theirs, and how many of them meet peaks of the pattern.
#pragma once

#include <cstdint>
#include <span>

#include "nbedex/kinematic_model.hpp"
#include "nbedex/parallel.hpp"

namespace nbedex {

/// Orientations, one for each pattern; crystal -1: none.
struct Answers {
    std::span<const std::int16_t> crystal;
    std::span<const Quaternion> orientation;
};

/// Marks (1) the bins within `radius` (1/angstrom) of a reflection that counts in the score at each orientation, mask: (n_patterns, rings,
/// azimuths), not cleared before.
void mark_spots(const KinematicModel& model, const Answers& answers, double radius, int threads, const Poll& poll, std::span<std::uint8_t> mask);

/// How an orientation's spots meet the peaks of a pattern. Two spots that lie opposite each other count half each: by Friedel's law
/// they say the same.
struct SpotsMet {
    double predicted = 0.0;  ///< spots stronger than a hundredth of the strongest
    double met = 0.0;        ///< of them, with a peak within `radius`
    double chance = 1.0;     ///< that peaks turned about the beam at random meet as many of the strongest spots: an upper bound, for as
                             ///< many of the strongest as make it least, at least eight of them
};

/// Counts them for patterns (n_patterns, rings, azimuths) of which peaks alone are above zero. A peak is where three bins within `radius`
/// (1/angstrom) are lit, counting such as have three lit neighbours. Spots are taken strongest first, and no more of them once the chance is as low as `enough`. Where there is
/// no crystal, out[p] stays untouched.
void count_spots_met(const KinematicModel& model, std::span<const float> peaks, const Answers& answers, double radius, double enough, int threads,
                     const Poll& poll, std::span<SpotsMet> out);

}  // namespace nbedex
