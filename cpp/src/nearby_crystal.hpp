// One candidate of re-ranking: what was read at its spots, and what Bloch waves at tilts near it make of that.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "fast_waves.hpp"
#include "local_fit.hpp"
#include "nbedex/rerank.hpp"

namespace nbedex {

using Tilt = std::array<double, 2>;  ///< rotation vector in the plane of X and Y, radians

// Weights of evidence, by logistic regression on the tuning patterns of bench/accuracy; and by how much misfits there are larger
// than independent ones would be, because the model is not perfect.
inline constexpr double likelihood_weight = 0.45, score_weight = 62, kinematical_weight = 0.15;
inline constexpr double tilt_excess = 10, thickness_excess = 3;
inline constexpr double least_misfit = 1e-4;
inline constexpr float rocking_width = 0.0015F;   ///< 1/angstrom

/// Turn of vectors by a rotation vector (x, y, 0).
[[nodiscard]] inline Quaternion turned_by(const Tilt& tilt) {
    const double half = 0.5 * std::hypot(tilt[0], tilt[1]), share = half > 0 ? 0.5 * std::sin(half) / half : 0.5;
    return {std::cos(half), share * tilt[0], share * tilt[1], 0.0};
}

/// What a tilt scores at the best thickness.
struct Best {
    double score = -1;
    std::size_t depth = 0;
};

/// One candidate and what was read at its spots.
class NearbyCrystal {
public:
    NearbyCrystal(const BlochCrystal& crystal, const Quaternion& orientation, const RerankOptions& options)
        : crystal_(crystal), orientation_(orientation) {
        const std::array<double, 9> m = matrix(conjugate(orientation));
        const double radius = 1 / options.wavelength;
        struct Found {
            double distance;
            std::size_t index;
            std::array<double, 3> g;
        };
        std::vector<Found> found;
        for (std::size_t i = 0; i < crystal.index_.size(); ++i) {
            const double* g = &crystal.g_[3 * i];
            const std::array<double, 3> at{m[0] * g[0] + m[1] * g[1] + m[2] * g[2], m[3] * g[0] + m[4] * g[1] + m[5] * g[2],
                                           m[6] * g[0] + m[7] * g[1] + m[8] * g[2]};
            const double k2 = at[0] * at[0] + at[1] * at[1];
            const double s = std::abs(at[2] - 0.5 * k2 / radius);
            const double most = std::max(options.fine.max_excitation_error, options.coarse.max_excitation_error);
            if (s <= 1.02 * most + 1.1 * options.reach * std::sqrt(k2)) found.push_back({s, i, at});
        }
        std::ranges::stable_sort(found, {}, &Found::distance);
        g_.push_back({0, 0, 0});
        reflection_.push_back(-1);
        index_.push_back(0);
        for (const Found& f : found) {
            g_.push_back(f.g);
            reflection_.push_back(static_cast<std::ptrdiff_t>(f.index));
            index_.push_back(crystal.index_[f.index]);
        }
        slot_.assign(g_.size(), none);
    }

    void measure(const SpotImage& image, const std::array<double, 2>& center, const RerankOptions& options) {
        const std::array<double, 4>& m = options.spots.detector_from_sample;
        const double determinant = m[0] * m[3] - m[1] * m[2];
        GeometryPrior prior;
        prior.spot = options.spots.spot_width * std::sqrt(std::abs(determinant));
        std::vector<std::array<double, 2>> offsets, expected;
        for (std::size_t i = 0; i < g_.size(); ++i) {
            offsets.push_back({m[0] * g_[i][0] + m[1] * g_[i][1], m[2] * g_[i][0] + m[3] * g_[i][1]});
            const double k2 = g_[i][0] * g_[i][0] + g_[i][1] * g_[i][1];
            if (i > 0 && std::abs(g_[i][2] - 0.5 * k2 * options.wavelength) <= options.fine.max_excitation_error) expected.push_back(offsets[i]);
        }
        const LocalGeometry fit = fit_geometry(expected, image.peaks(), center, prior);
        turn_ = determinant > 0 ? fit.turn() : -fit.turn();
        std::vector<std::array<double, 2>> places;
        double total = 0, fourth = 0, root = 0;
        for (std::size_t i = 1; i < g_.size(); ++i) {
            const double k = std::hypot(g_[i][0], g_[i][1]);
            if (k < options.spots.k_min || k >= options.spots.k_max) continue;
            const std::array<double, 2> at = fit.apply(offsets[i]);
            const double row = center[1] + at[1], column = center[0] + at[0];
            if (!image.sees(row, column)) continue;
            const auto least = static_cast<float>(options.faintest * static_cast<double>(image.noise(row, column)));
            const float counts = image.counts(row, column), kept = counts > least ? counts : 0.0F;
            slot_[i] = static_cast<std::uint32_t>(faintest_.size());
            faintest_.push_back(least);
            root_.push_back(std::sqrt(kept));
            fourth_root_.push_back(std::sqrt(root_.back()));
            places.push_back({column, row});
            spots_seen_ += kept > 0;
            total += std::max(counts, 0.0F);
            fourth += root_.back();
            root += kept;
        }
        double missed = 0, all = 0;
        for (const Peak& peak : image.peaks()) {
            const bool known = std::ranges::any_of(places, [&](const auto& p) {
                return std::hypot(p[0] - peak.column, p[1] - peak.row) <= 2.1 * prior.spot;
            });
            all += peak.counts;
            if (known) continue;
            missed += peak.counts;
            fourth += std::sqrt(peak.counts);
            root += peak.counts;
        }
        fill_rocking(options.wavelength);
        explained_ = all > 0 ? 1 - missed / all : 0.0;
        measured_ = {fourth_root_.data(), root_.data(), faintest_.data(), static_cast<float>(total),
                     static_cast<float>(std::sqrt(fourth)), static_cast<float>(std::sqrt(root))};
    }

    /// Cosine between fourth roots of counts and of thick crystals' mean rocking curves, q^2 / (s^2 + width^2), at tilts in radians.
    void rocking(std::span<const float> tilts, std::span<float> score) const {
        const kernels::TiltedSpots spots{rocking_.error.data(), rocking_.per_x.data(), rocking_.per_y.data(), rocking_.strength.data(),
                                          rocking_.measured.data(), rocking_.error.size(), measured_.fourth_norm};
        kernels::active().waves->rocking_scores(spots, tilts.data(), score.size(), rocking_width, score.data());
    }

    [[nodiscard]] Best evaluate(const Tilt& tilt, const BeamChoice& choice, const Depths& depths, double wavelength, FastWaves& waves) {
        const std::array<double, 9> m = matrix(turned_by(tilt));
        const double radius = 1 / wavelength;
        error_.assign(g_.size(), 0.0);
        strong_.assign(1, 0);
        weak_.clear();
        for (std::size_t i = 1; i < g_.size(); ++i) {
            const auto& g = g_[i];
            const double x = m[0] * g[0] + m[1] * g[1] + m[2] * g[2], y = m[3] * g[0] + m[4] * g[1] + m[5] * g[2];
            const double z = m[6] * g[0] + m[7] * g[1] + m[8] * g[2], k2 = x * x + y * y;
            const double s = z - (radius - std::sqrt(radius * radius - k2));
            if (!(std::abs(s) <= choice.max_excitation_error)) continue;
            error_[i] = s;
            (std::abs(s) > choice.strong_excitation_error ? weak_ : strong_).push_back(static_cast<std::uint32_t>(i));
        }
        row_.clear();
        compared_.clear();
        std::uint32_t row = 0;
        for (const auto* list : {&strong_, &weak_})
            for (const std::uint32_t beam : *list) {
                if (slot_[beam] != none) {
                    row_.push_back(row);
                    compared_.push_back(slot_[beam]);
                }
                ++row;
            }
        const std::size_t columns = depths.padded();
        std::span<const float> intensity;
        if (crystal_.is_real()) intensity = waves.solve({crystal_.re_.data() + crystal_.origin_, index_}, strong_, weak_, error_, depths);
        else intensity = solve_complex(tilt, choice, depths, wavelength);
        score_.resize(columns);
        scratch_.resize(5 * columns);
        kernels::active().waves->compare(intensity.data(), row_.data(), compared_.data(), row_.size(), columns, measured_, score_.data(),
                                         scratch_.data());
        Best best;
        best.depth = static_cast<std::size_t>(std::max_element(score_.begin(), score_.begin() + static_cast<std::ptrdiff_t>(depths.count)) - score_.begin());
        best.score = score_[best.depth];
        return best;
    }

    /// What a score may lose by chance, were misfits independent: the misfit left, shared among as many spots as are seen.
    [[nodiscard]] double chance(double score) const { return std::max(1 - score, least_misfit) / freedom(); }

    /// How much speaks for a candidate, `kinematical` being the logarithm of its likelihood by matching: differences are logarithms of odds.
    [[nodiscard]] double evidence(double score, double kinematical) const {
        return -likelihood_weight / 2 * freedom() * std::log(std::max(1 - score, least_misfit)) + score_weight * score +
               kinematical_weight * kinematical;
    }

    /// Thickness and its standard deviation from the scores of the last call of `evaluate`, as if they were logarithms of likelihoods.
    [[nodiscard]] std::array<double, 2> thickness(const Best& best, const Depths& depths) const {
        double offset = 0, sum = 0, first = 0, second = 0;
        if (best.depth > 0 && best.depth + 1 < depths.count) {  // vertex of a parabola through three
            const double low = score_[best.depth - 1], high = score_[best.depth + 1], bend = 2 * best.score - low - high;
            if (bend > 0) offset = std::clamp(0.5 * (high - low) / bend, -0.5, 0.5);
        }
        const double unit = 2 * thickness_excess * chance(best.score);
        for (std::size_t t = 0; t < depths.count; ++t) {
            const double weight = std::exp((score_[t] - best.score) / unit), apart = static_cast<double>(t) - (static_cast<double>(best.depth) + offset);
            sum += weight;
            first += weight * apart;
            second += weight * apart * apart;
        }
        const double least = 0.3;  // steps: what a parabola through three of them leaves open
        return {depths.at(best.depth) + offset * depths.step, depths.step * std::sqrt(second / sum + least * least)};
    }

    [[nodiscard]] Quaternion orientation(const Tilt& tilt) const {
        return orientation_ * conjugate(turned_by(tilt)) * Quaternion{std::cos(turn_ / 2), 0, 0, -std::sin(turn_ / 2)};
    }
    [[nodiscard]] double explained() const noexcept { return explained_; }
    [[nodiscard]] std::size_t spots_seen() const noexcept { return spots_seen_; }

private:
    static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

    [[nodiscard]] double freedom() const { return std::max(static_cast<double>(spots_seen_) - 4.0, 1.0); }


    void fill_rocking(double wavelength) {
        const std::size_t n = Depths::padded_to_lanes(faintest_.size());
        for (auto* list : {&rocking_.error, &rocking_.per_x, &rocking_.per_y, &rocking_.strength, &rocking_.measured}) list->assign(n, 0.0F);
        for (std::size_t i = 1; i < g_.size(); ++i) {
            if (slot_[i] == none) continue;
            const std::size_t at = slot_[i];
            const auto& g = g_[i];
            rocking_.error[at] = static_cast<float>(g[2] - 0.5 * wavelength * (g[0] * g[0] + g[1] * g[1]));
            rocking_.per_x[at] = static_cast<float>(g[1]);  // z of the tilt's rotation vector times g
            rocking_.per_y[at] = static_cast<float>(-g[0]);
            const auto table = static_cast<std::size_t>(crystal_.origin_ + index_[i]);
            rocking_.strength[at] = static_cast<float>(std::sqrt(std::hypot(crystal_.re_[table], crystal_.is_real() ? 0.0 : crystal_.im_[table])));
            rocking_.measured[at] = fourth_root_[at];
        }
    }

    /// Crystals without a centre of symmetry: in full, the way single patterns are simulated.
    std::span<const float> solve_complex(const Tilt& tilt, const BeamChoice& choice, const Depths& depths, double wavelength) {
        BlochOptions options{wavelength, choice.max_excitation_error, choice.strong_excitation_error, {}};
        for (std::size_t t = 0; t < depths.count; ++t) options.thickness.push_back(depths.at(t));
        const Quaternion at = orientation_ * conjugate(turned_by(tilt));
        const DynamicalPatterns pattern = crystal_.patterns({&at, 1}, options, 1, {});
        const std::size_t columns = depths.padded();
        complex_.assign((strong_.size() + weak_.size()) * columns, 0.0F);
        std::vector<std::uint32_t> row_of(crystal_.size(), none);
        std::uint32_t row = 0;
        for (const auto* list : {&strong_, &weak_})
            for (const std::uint32_t beam : *list) {
                if (reflection_[beam] >= 0) row_of[static_cast<std::size_t>(reflection_[beam])] = row;
                ++row;
            }
        for (std::size_t i = 0; i < pattern.reflection.size(); ++i) {
            if (pattern.reflection[i] < 0) continue;
            const std::uint32_t to = row_of[static_cast<std::size_t>(pattern.reflection[i])];
            if (to == none) continue;  // on the rim of the choice, and rounded out of it here
            std::copy_n(&pattern.intensity[i * depths.count], depths.count, &complex_[to * columns]);
        }
        return complex_;
    }

    const BlochCrystal& crystal_;
    Quaternion orientation_;
    std::vector<std::array<double, 3>> g_;      // sample frame, before tilting; the first is the direct beam
    std::vector<std::ptrdiff_t> reflection_;
    std::vector<std::ptrdiff_t> index_;  // in the crystal's table of couplings
    std::vector<std::uint32_t> slot_;
    std::vector<float> fourth_root_, root_, faintest_;
    kernels::MeasuredSpots measured_{};
    struct {
        std::vector<float> error, per_x, per_y, strength, measured;
    } rocking_;
    double turn_ = 0, explained_ = 0;
    std::size_t spots_seen_ = 0;
    std::vector<double> error_;
    std::vector<std::uint32_t> strong_, weak_, row_, compared_;
    std::vector<float> score_, scratch_, complex_;
};

}  // namespace nbedex
