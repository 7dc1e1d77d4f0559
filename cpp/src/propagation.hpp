// exp(-2 pi i T t) e_0 for a real symmetric tridiagonal T and ascending t, by Chebyshev polynomials of T
// (Tal-Ezer & Kosloff, J. Chem. Phys. 81 (1984) 3967), but for a phase common to all components.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <vector>

#include "tridiagonal.hpp"

namespace nbedex {

/// Bessel functions J_0 … J_k of z >= 0, as many as exceed 1e-11 (Miller's downward recurrence, Abramowitz & Stegun 9.12).
inline void bessel_functions(double z, std::vector<double>& j) {
    j.assign(1, 1.0);
    if (z == 0) return;
    const auto start = static_cast<std::size_t>(z + 20 + 8 * std::cbrt(z));
    j.assign(start + 1, 0.0);
    double above = 0, here = 1e-300, sum = 0;
    for (std::size_t k = start; k > 0; --k) {
        const double below = 2 * static_cast<double>(k) / z * here - above;
        j[k] = here;
        above = here;
        here = below;
        if (std::abs(here) > 1e150) {  // the whole recurrence is fixed but for a factor
            for (std::size_t i = k; i <= start; ++i) j[i] *= 1e-150;
            above *= 1e-150;
            here *= 1e-150;
        }
    }
    j[0] = here;
    for (std::size_t k = 2; k <= start; k += 2) sum += j[k];
    const double scale = 1 / (j[0] + 2 * sum);
    for (double& value : j) value *= scale;
    while (j.size() > 1 && std::abs(j.back()) < 1e-11) j.pop_back();
}

class Propagation {
public:
    /// Row i of `wave`: component i at all thicknesses.
    void run(const std::vector<double>& diagonal, const std::vector<double>& off_diagonal, const std::vector<double>& thickness,
             Planes& wave) {
        const std::size_t n = diagonal.size();
        scale(diagonal, off_diagonal);
        state_re_.assign(n, 0.0);
        state_im_.assign(n, 0.0);
        state_re_[0] = 1;
        wave.resize(n, thickness.size(), true);
        double before = 0, step = -1;
        for (std::size_t t = 0; t < thickness.size(); ++t) {
            const double distance = thickness[t] - before;
            if (distance != step) bessel_functions(2 * std::numbers::pi * half_width_ * distance, bessel_);
            step = distance;
            before = thickness[t];
            advance();
            for (std::size_t i = 0; i < n; ++i) {
                wave.re[i * thickness.size() + t] = state_re_[i];
                wave.im[i * thickness.size() + t] = state_im_[i];
            }
        }
    }

    /// What the phase left out turns by: the true wave is exp(-2 pi i center t) times the one given.
    [[nodiscard]] double center() const noexcept { return center_; }

private:
    /// Gershgorin's bounds, and T mapped into [-1, 1] and doubled, as the recurrence needs it.
    void scale(const std::vector<double>& diagonal, const std::vector<double>& off_diagonal) {
        const std::size_t n = diagonal.size();
        double low = diagonal[0], high = diagonal[0];
        for (std::size_t i = 0; i < n; ++i) {
            const double reach = (i > 0 ? off_diagonal[i - 1] : 0.0) + (i + 1 < n ? off_diagonal[i] : 0.0);
            low = std::min(low, diagonal[i] - reach);
            high = std::max(high, diagonal[i] + reach);
        }
        center_ = 0.5 * (low + high);
        half_width_ = std::max(0.5 * (high - low), 1e-12);
        on_.assign(n, 0.0);
        off_.assign(n + 1, 0.0);
        for (std::size_t i = 0; i < n; ++i) on_[i] = 2 * (diagonal[i] - center_) / half_width_;
        for (std::size_t i = 0; i + 1 < n; ++i) off_[i + 1] = 2 * off_diagonal[i] / half_width_;
    }

    /// earlier = T~ now - earlier, with zeros around `now`; T~ holds the factor 2, halved for the first step.
    void recur(const std::vector<double>& now, std::vector<double>& earlier, double factor) const {
        const double* __restrict const on = on_.data();
        const double* __restrict const off = off_.data();
        const double* __restrict const x = now.data() + 1;
        double* __restrict const y = earlier.data() + 1;
        const std::size_t n = on_.size();
        for (std::size_t i = 0; i < n; ++i) y[i] = factor * (on[i] * x[i] + (off[i] * *(x + i - 1) + off[i + 1] * x[i + 1])) - y[i];
    }

    /// state += c (-i)^k chebyshev
    void add(std::size_t k, double c, const std::vector<double>& re, const std::vector<double>& im) {
        const std::size_t n = on_.size();
        const bool swapped = k % 2 == 1;
        const double to_re = k % 4 == 0 || k % 4 == 1 ? c : -c;  // 1: -i (re + i im) = im - i re
        const double to_im = k % 4 == 0 || k % 4 == 3 ? c : -c;
        const double* __restrict const x = (swapped ? im.data() : re.data()) + 1;
        const double* __restrict const y = (swapped ? re.data() : im.data()) + 1;
        double* __restrict const out_re = state_re_.data();
        double* __restrict const out_im = state_im_.data();
        for (std::size_t i = 0; i < n; ++i) {
            out_re[i] += to_re * x[i];
            out_im[i] += to_im * y[i];
        }
    }

    /// One step: state = sum over k of (2 - [k = 0]) (-i)^k J_k T_k state.
    void advance() {
        const std::size_t n = on_.size();
        now_re_.assign(n + 2, 0.0);
        now_im_.assign(n + 2, 0.0);
        next_re_.assign(n + 2, 0.0);
        next_im_.assign(n + 2, 0.0);
        std::ranges::copy(state_re_, now_re_.begin() + 1);
        std::ranges::copy(state_im_, now_im_.begin() + 1);
        for (double& value : state_re_) value *= bessel_[0];
        for (double& value : state_im_) value *= bessel_[0];
        for (std::size_t k = 1; k < bessel_.size(); ++k) {
            const double factor = k == 1 ? 0.5 : 1.0;
            recur(now_re_, next_re_, factor);
            recur(now_im_, next_im_, factor);
            now_re_.swap(next_re_);
            now_im_.swap(next_im_);
            add(k, 2 * bessel_[k], now_re_, now_im_);
        }
    }

    double center_ = 0, half_width_ = 0;
    std::vector<double> on_, off_, bessel_;
    std::vector<double> state_re_, state_im_, now_re_, now_im_, next_re_, next_im_;
};

}  // namespace nbedex
