// Small errors of the geometry, from the peaks of one pattern: where spots are expected, and where they are.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "nbedex/spot_image.hpp"

namespace nbedex {

/// (column, row) = center + shift + (1 + strain) M k
struct LocalGeometry {
    std::array<double, 2> shift{};   ///< pixels, column and row
    std::array<double, 4> strain{};  ///< row-major

    [[nodiscard]] std::array<double, 2> apply(const std::array<double, 2>& offset) const {
        return {offset[0] + shift[0] + strain[0] * offset[0] + strain[1] * offset[1],
                offset[1] + shift[1] + strain[2] * offset[0] + strain[3] * offset[1]};
    }
    /// Turn from columns towards rows, radians.
    [[nodiscard]] double turn() const { return 0.5 * (strain[2] - strain[1]); }
};

/// What is believed before looking: standard deviations.
struct GeometryPrior {
    double spot = 1.2;  ///< pixels: of a spot, and so of its middle if it has one count; what the nets are measured by
    double shift = 0.4; ///< in units of `spot`
    double strain = 0.006;
    double turn = 0.015;  ///< radians
};

/// Least squares over peaks and the expected spots nearest to them, thrice with narrower nets. `expected`: offsets (column, row)
/// from the centre in pixels.
inline LocalGeometry fit_geometry(std::span<const std::array<double, 2>> expected, std::span<const Peak> peaks,
                                  const std::array<double, 2>& center, const GeometryPrior& prior) {
    constexpr std::size_t n = 6;
    constexpr double most_counts = 100;  // more do not make a middle any surer than the model is
    LocalGeometry fit;
    for (const double nets : {3.3, 2.5, 2.1}) {
        const double net = nets * prior.spot, shift = prior.shift * prior.spot;
        // a[i][j] x_j = b_i for x = shift, strain
        std::array<std::array<double, n + 1>, n> a{};
        a[0][0] = a[1][1] = 1 / (shift * shift);
        // symmetric part (three directions) and turn, each of unit length in the space of the four elements
        constexpr double root = 0.70710678118654752;
        const std::array<std::array<double, 5>, 4> directions{{{root, 0, 0, root, prior.strain},
                                                               {root, 0, 0, -root, prior.strain},
                                                               {0, root, root, 0, prior.strain},
                                                               {0, -root, root, 0, prior.turn}}};
        for (const auto& d : directions)
            for (std::size_t i = 0; i < 4; ++i)
                for (std::size_t j = 0; j < 4; ++j) a[2 + i][2 + j] += d[i] * d[j] / (d[4] * d[4]);
        std::size_t used = 0;
        for (const Peak& peak : peaks) {
            const std::array<double, 2> seen{peak.column - center[0], peak.row - center[1]};
            double best = net * net;
            const std::array<double, 2>* spot = nullptr;
            for (const auto& offset : expected) {
                const auto at = fit.apply(offset);
                const double distance = (at[0] - seen[0]) * (at[0] - seen[0]) + (at[1] - seen[1]) * (at[1] - seen[1]);
                if (distance < best) {
                    best = distance;
                    spot = &offset;
                }
            }
            if (!spot) continue;
            ++used;
            const double weight = std::min<double>(peak.counts, most_counts) / (prior.spot * prior.spot);
            for (std::size_t axis = 0; axis < 2; ++axis) {
                std::array<double, n> row{};
                row[axis] = 1;
                row[2 + 2 * axis] = (*spot)[0];
                row[3 + 2 * axis] = (*spot)[1];
                for (std::size_t i = 0; i < n; ++i) {
                    for (std::size_t j = 0; j < n; ++j) a[i][j] += weight * row[i] * row[j];
                    a[i][n] += weight * row[i] * (seen[axis] - (*spot)[axis]);
                }
            }
        }
        if (used < 3) break;
        for (std::size_t i = 0; i < n; ++i)  // Gauss; the prior makes the matrix positive definite
            for (std::size_t k = i + 1; k < n; ++k) {
                const double factor = a[k][i] / a[i][i];
                for (std::size_t j = i; j <= n; ++j) a[k][j] -= factor * a[i][j];
            }
        std::array<double, n> x{};
        for (std::size_t i = n; i-- > 0;) {
            x[i] = a[i][n];
            for (std::size_t j = i + 1; j < n; ++j) x[i] -= a[i][j] * x[j];
            x[i] /= a[i][i];
        }
        fit = {{x[0], x[1]}, {x[2], x[3], x[4], x[5]}};
    }
    return fit;
}

}  // namespace nbedex
