// Bloch waves many times over near one orientation of a crystal with a centre of symmetry: what BlochSolver (bloch.cpp) computes,
// in single precision.
//
// Tridiagonal form as there; then exp(-2 pi i T t) e_0 = sum over k of c_k(t) T_k(T~) e_0 for all depths t at once: the polynomials
// are real and the same for all of them. Their coefficients depend only on the width of T's spectrum, which is rounded up, so
// that they are computed once for many orientations.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>
#include <span>
#include <vector>

#include "kernels/kernels.hpp"
#include "propagation.hpp"

namespace nbedex {

/// Equally spaced, the first one at `first`, in angstrom.
struct Depths {
    double first = 0, step = 0;
    std::size_t count = 0;

    [[nodiscard]] std::size_t padded() const noexcept { return padded_to_lanes(count); }
    [[nodiscard]] double at(std::size_t t) const noexcept { return first + step * static_cast<double>(t); }
    [[nodiscard]] static std::size_t padded_to_lanes(std::size_t n) noexcept {
        return (n + kernels::wave_lanes - 1) / kernels::wave_lanes * kernels::wave_lanes;
    }
    bool operator==(const Depths&) const = default;
};

/// Coefficients of exp(-2 pi i half_width t x) in Chebyshev polynomials of x, for all depths t.
class SeriesTable {
public:
    SeriesTable(double half_width, const Depths& depths) : half_width_(half_width), depths_(depths) {
        const std::size_t columns = depths.padded();
        std::vector<double> bessel;
        for (std::size_t t = columns; t-- > 0;) {  // the deepest first: it has the most terms
            if (t >= depths.count) continue;
            bessel_functions(2 * std::numbers::pi * half_width * depths.at(t), bessel);
            while (bessel.size() > 1 && std::abs(bessel.back()) < 1e-6) bessel.pop_back();
            if (coefficient_.empty()) {
                terms_ = (bessel.size() + kernels::wave_terms - 1) / kernels::wave_terms * kernels::wave_terms;
                coefficient_.assign(terms_ * columns, 0.0F);
                first_.assign(terms_ / kernels::wave_terms, static_cast<std::uint32_t>(columns - kernels::wave_lanes));
            }
            for (std::size_t k = 0; k < bessel.size(); ++k) {  // (2 - [k = 0]) (-i)^k J_k
                const double sign = k % 4 == 0 || k % 4 == 3 ? 1.0 : -1.0;
                coefficient_[k * columns + t] = static_cast<float>(sign * (k == 0 ? 1.0 : 2.0) * bessel[k]);
                auto& first = first_[k / kernels::wave_terms];
                first = std::min(first, static_cast<std::uint32_t>(t / kernels::wave_lanes * kernels::wave_lanes));
            }
        }
    }

    [[nodiscard]] bool is_for(double half_width, const Depths& depths) const { return half_width == half_width_ && depths == depths_; }
    [[nodiscard]] kernels::ChebyshevSeries series() const { return {coefficient_.data(), first_.data(), terms_, depths_.padded()}; }

private:
    double half_width_;
    Depths depths_;
    std::size_t terms_ = 0;
    std::vector<float> coefficient_;
    std::vector<std::uint32_t> first_;
};

/// Where couplings of beams are found: that of beams i and j at coupling[index[i] - index[j]], 1/angstrom.
struct NearbyBeams {
    const double* coupling;
    std::span<const std::ptrdiff_t> index;  ///< by beam, the first is the direct one
};

class FastWaves {
public:
    /// Intensities (beams, padded depths) of the strong beams, then of the weak ones, in the order given; `strong` starts with the
    /// direct beam, 0. Excitation errors are by beam.
    std::span<const float> solve(const NearbyBeams& beams, std::span<const std::uint32_t> strong, std::span<const std::uint32_t> weak,
                                 std::span<const double> excitation_error, const Depths& depths) {
        const kernels::WaveKernels& kernel = *kernels::active().waves;
        const std::size_t n = strong.size(), n_weak = weak.size(), stride = Depths::padded_to_lanes(n), columns = 2 * depths.padded();
        fill(beams, strong, weak, excitation_error, stride);
        kernel.add_detours(to_weak_.data(), inverse_s_.data(), n_weak, matrix_.data(), n, stride);
        for (std::vector<float>* part : {&diagonal_, &off_diagonal_, &beta_, &sign_}) part->assign(stride, 0.0F);
        reflector_.assign(n * stride, 0.0F);
        scratch_.resize(std::max({3 * stride, (kernels::wave_terms + 2) * (stride + 2 * kernels::wave_lanes), columns}));
        const kernels::TridiagonalForm form{diagonal_.data(), off_diagonal_.data(), beta_.data(), sign_.data(), reflector_.data()};
        kernel.tridiagonalize(matrix_.data(), n, stride, form, scratch_.data());
        const SeriesTable& table = scaled(n, stride, depths);
        wave_.resize(n * columns);
        kernel.propagate(on_.data(), off_.data(), n, stride, table.series(), wave_.data(), scratch_.data());
        kernel.back_transform(form, n, stride, wave_.data(), columns, scratch_.data());
        intensity_.resize((n + n_weak) * columns / 2);
        for (std::size_t i = 0; i < n; ++i) {
            const float* __restrict const row = &wave_[i * columns];
            float* __restrict const out = &intensity_[i * columns / 2];
            for (std::size_t t = 0; t < columns / 2; ++t) out[t] = row[t] * row[t] + row[columns / 2 + t] * row[columns / 2 + t];
        }
        free_waves(weak, excitation_error, depths, stride);
        kernel.weak_intensities(to_weak_.data(), inverse_s_.data(), n_weak, n, stride, wave_.data(), columns / 2, free_.data(),
                                &intensity_[n * columns / 2]);
        return intensity_;
    }

private:
    void fill(const NearbyBeams& beams, std::span<const std::uint32_t> strong, std::span<const std::uint32_t> weak,
              std::span<const double> excitation_error, std::size_t stride) {
        const std::size_t n = strong.size();
        matrix_.assign(n * stride, 0.0F);
        to_strong_.resize(n);
        for (std::size_t i = 0; i < n; ++i) to_strong_[i] = beams.index[strong[i]];
        for (std::size_t i = 0; i < n; ++i) {
            const double* const from = beams.coupling + to_strong_[i];
            for (std::size_t j = 0; j < i; ++j)
                matrix_[i * stride + j] = matrix_[j * stride + i] = static_cast<float>(*(from - to_strong_[j]));
            matrix_[i * stride + i] = static_cast<float>(excitation_error[strong[i]]);
        }
        to_weak_.assign(weak.size() * stride, 0.0F);
        inverse_s_.resize(weak.size());
        for (std::size_t w = 0; w < weak.size(); ++w) {
            const double* const from = beams.coupling + beams.index[weak[w]];
            for (std::size_t j = 0; j < n; ++j) to_weak_[w * stride + j] = static_cast<float>(*(from - to_strong_[j]));
            inverse_s_[w] = static_cast<float>(1 / excitation_error[weak[w]]);
        }
    }

    /// Gershgorin's bounds, the half width rounded up to a sixteenth of an octave.
    const SeriesTable& scaled(std::size_t n, std::size_t stride, const Depths& depths) {
        double low = diagonal_[0], high = diagonal_[0];
        for (std::size_t i = 0; i < n; ++i) {
            const double reach = (i > 0 ? off_diagonal_[i - 1] : 0.0F) + (i + 1 < n ? off_diagonal_[i] : 0.0F);
            low = std::min(low, diagonal_[i] - reach);
            high = std::max(high, diagonal_[i] + reach);
        }
        center_ = 0.5 * (low + high);
        int exponent = 0;
        const double mantissa = std::frexp(std::max(0.5 * (high - low) * (1 + 1e-6), 1e-9), &exponent);
        const double half_width = std::ldexp(std::ceil(mantissa * 32) / 32, exponent);
        on_.assign(stride, 0.0F);
        off_.assign(stride + 1, 0.0F);
        for (std::size_t i = 0; i < n; ++i) on_[i] = static_cast<float>(2 * (diagonal_[i] - center_) / half_width);
        for (std::size_t i = 0; i + 1 < n; ++i) off_[i + 1] = static_cast<float>(2 * off_diagonal_[i] / half_width);
        for (const SeriesTable& table : tables_)
            if (table.is_for(half_width, depths)) return table;
        if (tables_.size() >= most_tables) tables_.erase(tables_.begin());
        return tables_.emplace_back(half_width, depths);
    }

    /// exp(-2 pi i (s - center) t) q_w0 at all depths: what makes a weak beam start at zero.
    void free_waves(std::span<const std::uint32_t> weak, std::span<const double> excitation_error, const Depths& depths,
                    std::size_t stride) {
        const std::size_t m = depths.padded();
        free_.resize(weak.size() * 2 * m);
        for (std::size_t w = 0; w < weak.size(); ++w) {
            const double rate = -2 * std::numbers::pi * (excitation_error[weak[w]] - center_), q = to_weak_[w * stride];
            float* __restrict const re = &free_[w * 2 * m];
            float* __restrict const im = re + m;
            re[0] = static_cast<float>(q * std::cos(rate * depths.first));
            im[0] = static_cast<float>(q * std::sin(rate * depths.first));
            double turn_re = std::cos(rate * depths.step), turn_im = std::sin(rate * depths.step);
            for (std::size_t done = 1; done < m; done *= 2) {  // twice as many each time; m is a multiple of a power of two or so
                const auto c = static_cast<float>(turn_re), s = static_cast<float>(turn_im);
                const std::size_t more = std::min(done, m - done);
                for (std::size_t t = 0; t < more; ++t) {
                    re[done + t] = re[t] * c - im[t] * s;
                    im[done + t] = re[t] * s + im[t] * c;
                }
                const double doubled = turn_re * turn_re - turn_im * turn_im;
                turn_im = 2 * turn_re * turn_im;
                turn_re = doubled;
            }
        }
    }

    static constexpr std::size_t most_tables = 64;

    double center_ = 0;
    std::vector<float> matrix_, to_weak_, inverse_s_, reflector_, diagonal_, off_diagonal_, beta_, sign_, on_, off_, wave_, free_, intensity_,
        scratch_;
    std::vector<std::ptrdiff_t> to_strong_;
    std::vector<SeriesTable> tables_;
};

}  // namespace nbedex
