// Peaks of a pattern: lit bins that have enough lit neighbours (single electrons seldom have), and where enough of such lie close
// together. Rows of bins are bits, 64 bins at once.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <span>
#include <vector>

#include "kernels/kernels.hpp"
#include "nbedex/polar.hpp"

namespace nbedex {

/// Counts up to three, of 64 bins at once.
struct CountsToThree {
    std::uint64_t ones = 0, twos = 0;

    void add(std::uint64_t bits) {
        bits &= ~(ones & twos);
        twos ^= ones & bits;
        ones ^= bits;
    }
    [[nodiscard]] std::uint64_t three() const { return ones & twos; }
};

/// Scratch of one thread.
class Peaks {
public:
    Peaks(const PolarGrid& grid, double radius)
        : n_rings_(static_cast<std::size_t>(grid.n_rings)),
          n_(static_cast<std::size_t>(grid.n_azimuths)),
          words_((n_ + 63) / 64),
          reach_(static_cast<int>(radius / grid.ring_width())),
          lit_((n_rings_ + 2) * words_),
          solid_(n_rings_ * words_),
          met_(n_rings_ * words_),
          share_(n_rings_) {
        // Half of the chord of the circle about a bin at every ring near it, in whole bins.
        const double width = grid.ring_width(), step = 2 * std::numbers::pi / grid.n_azimuths;
        for (int ring = 0; ring < grid.n_rings; ++ring)
            for (int d = -reach_; d <= reach_; ++d) {
                const double middle = grid.k_min + (ring + d + 0.5) * width, off = d * width;
                const bool there = ring + d >= 0 && ring + d < grid.n_rings && std::abs(off) <= radius;
                chord_.push_back(there ? std::min(static_cast<int>(std::sqrt(radius * radius - off * off) / middle / step), grid.n_azimuths / 2 - 1) : -1);
            }
    }

    void load(std::span<const float> peaks) {
        const kernels::ValueKernels& kernel = *kernels::active().values;
        for (std::size_t ring = 0; ring < n_rings_; ++ring) kernel.positive_bits(peaks.data() + ring * n_, n_, lit(ring));
        for (std::size_t ring = 0; ring < n_rings_; ++ring) find_solid(ring);
        std::ranges::fill(share_, -1.0);
    }

    /// Whether a spot in this bin meets a peak: three solid bins within the radius.
    [[nodiscard]] bool met(std::size_t ring, std::size_t azimuth) {
        find_met(ring);
        return met_[ring * words_ + azimuth / 64] >> azimuth % 64 & 1;
    }

    /// Share of a ring's bins in which a spot would.
    [[nodiscard]] double share(std::size_t ring) {
        find_met(ring);
        return share_[ring];
    }

private:
    [[nodiscard]] std::uint64_t* lit(std::size_t ring) { return lit_.data() + (ring + 1) * words_; }  // between two rows without light

    /// The bins before and after those of a word.
    [[nodiscard]] std::uint64_t before(const std::uint64_t* row, std::size_t word) const {
        const std::size_t last = n_ - 1;
        return row[word] << 1 | (word > 0 ? row[word - 1] >> 63 : row[last / 64] >> last % 64 & 1);
    }
    [[nodiscard]] std::uint64_t after(const std::uint64_t* row, std::size_t word) const {
        const std::size_t last = n_ - 1;
        std::uint64_t bits = row[word] >> 1;
        if (word + 1 < words_) bits |= row[word + 1] << 63;
        else bits |= (row[0] & 1) << last % 64;
        return bits;
    }

    /// Lit bins with three lit ones around them.
    void find_solid(std::size_t ring) {
        const std::uint64_t *above = lit(ring) - words_, *here = lit(ring), *below = lit(ring) + words_;
        for (std::size_t word = 0; word < words_; ++word) {
            CountsToThree near;
            if (here[word] != 0) {
                for (const std::uint64_t* row : {above, here, below}) {
                    near.add(before(row, word));
                    near.add(after(row, word));
                }
                near.add(above[word]);
                near.add(below[word]);
            }
            solid_[ring * words_ + word] = here[word] & near.three();
        }
    }

    /// Bins of a ring with three solid ones within the radius.
    void find_met(std::size_t ring) {
        if (share_[ring] >= 0) return;
        const auto n_rings = static_cast<std::ptrdiff_t>(n_rings_);
        near_.assign(words_, CountsToThree{});
        for (std::ptrdiff_t d = -reach_; d <= reach_; ++d) {
            const std::ptrdiff_t from = static_cast<std::ptrdiff_t>(ring) + d;
            if (from < 0 || from >= n_rings) continue;
            const int half = chord_[static_cast<std::size_t>(from * (2 * reach_ + 1) - d + reach_)];  // of a circle about a bin of `from`
            if (half < 0) continue;
            for (std::size_t word = 0; word < words_; ++word)
                for (std::uint64_t left = solid_[static_cast<std::size_t>(from) * words_ + word]; left != 0; left &= left - 1)
                    count_around(64 * word + static_cast<std::size_t>(std::countr_zero(left)), static_cast<std::size_t>(half));
        }
        int found = 0;
        for (std::size_t word = 0; word < words_; ++word) {
            const std::uint64_t bits = near_[word].three();
            met_[ring * words_ + word] = bits;
            found += std::popcount(bits);
        }
        share_[ring] = static_cast<double>(found) / static_cast<double>(n_);
    }

    /// One more for the bins within `half` of an azimuth.
    void count_around(std::size_t azimuth, std::size_t half) {
        if (azimuth < half) count_run(azimuth + n_ - half, n_);
        if (azimuth + half >= n_) count_run(0, azimuth + half + 1 - n_);
        count_run(azimuth < half ? 0 : azimuth - half, std::min(azimuth + half + 1, n_));
    }
    void count_run(std::size_t begin, std::size_t end) {
        for (std::size_t word = begin / 64; 64 * word < end; ++word) {
            const std::size_t from = std::max(begin, 64 * word) - 64 * word, bits = std::min(end, 64 * word + 64) - 64 * word - from;
            near_[word].add(~std::uint64_t{0} >> (64 - bits) << from);
        }
    }

    std::size_t n_rings_, n_, words_;
    int reach_;
    std::vector<int> chord_;
    std::vector<std::uint64_t> lit_, solid_, met_;
    std::vector<double> share_;  // below 0: not counted yet
    std::vector<CountsToThree> near_;
};

}  // namespace nbedex
