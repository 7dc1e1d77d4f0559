#include "nbedex/bloch.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

#include "propagation.hpp"
#include "tridiagonal.hpp"

namespace nbedex {
namespace {

/// Largest |h|, |k|, |l| of a list.
std::array<std::ptrdiff_t, 3> extent(std::span<const std::int32_t> hkl) {
    std::array<std::ptrdiff_t, 3> out{};
    for (std::size_t i = 0; i < hkl.size(); ++i) out[i % 3] = std::max(out[i % 3], std::abs(std::ptrdiff_t{hkl[i]}));
    return out;
}

struct Beam {
    std::ptrdiff_t index;     // in the table of couplings
    std::int32_t reflection;  // -1: the direct beam
    double kx, ky, s;
    bool weak;
};

}  // namespace

BlochCrystal::BlochCrystal(const Coupling& coupling, const BeamCandidates& candidates)
    : g_(candidates.g.begin(), candidates.g.end()) {
    const auto known = extent(coupling.hkl), needed = extent(candidates.hkl);
    for (std::size_t axis = 0; axis < 3; ++axis)
        if (2 * needed[axis] > known[axis])
            throw std::invalid_argument("couplings must reach twice the indices of the beams: " + std::to_string(2 * needed[axis]) +
                                        ", got " + std::to_string(known[axis]));
    const std::ptrdiff_t rows = 2 * known[1] + 1, columns = 2 * known[2] + 1;
    const auto index = [&](const std::int32_t* h) { return (h[0] * rows + h[1]) * columns + h[2]; };
    const auto size = static_cast<std::size_t>((2 * known[0] + 1) * rows * columns);
    origin_ = static_cast<std::ptrdiff_t>(size / 2);
    re_.assign(size, 0.0);
    im_.assign(size, 0.0);
    double largest = 0, largest_im = 0, odd = 0;
    for (std::size_t i = 0; i < coupling.q.size(); ++i) {
        const auto at = static_cast<std::size_t>(origin_ + index(&coupling.hkl[3 * i]));
        re_[at] = coupling.q[i].real();
        im_[at] = coupling.q[i].imag();
        largest = std::max(largest, std::abs(coupling.q[i]));
        largest_im = std::max(largest_im, std::abs(im_[at]));
    }
    for (std::size_t i = 0; i < size; ++i)
        odd = std::max({odd, std::abs(re_[i] - re_[size - 1 - i]), std::abs(im_[i] + im_[size - 1 - i])});
    if (!(odd <= 1e-9 * largest)) throw std::invalid_argument("couplings of g and -g must be complex conjugates");
    if (largest_im <= 1e-9 * largest) im_ = {};
    for (std::size_t i = 0; i < candidates.hkl.size(); i += 3) index_.push_back(index(&candidates.hkl[i]));
}

/// One orientation after another, with memory that is kept between them.
template <bool complex_valued>
class BlochSolver {
public:
    explicit BlochSolver(const BlochCrystal& crystal) : crystal_(crystal) {}

    /// Appends the pattern of one orientation.
    void solve(const Quaternion& orientation, const BlochOptions& options, DynamicalPatterns& out) {
        choose_beams(orientation, options);
        fill_matrix();
        tridiagonal_.reduce(matrix_);
        propagation_.run(tridiagonal_.diagonal(), tridiagonal_.off_diagonal(), options.thickness, wave_);
        tridiagonal_.back_transform(wave_);
        for (std::size_t i = 0; i < beams_.size(); ++i) {
            out.reflection.push_back(beams_[i].reflection);
            out.kx.push_back(static_cast<float>(beams_[i].kx));
            out.ky.push_back(static_cast<float>(beams_[i].ky));
            if (beams_[i].weak)
                append_weak(beams_[i], options, out.intensity);
            else
                append_strong(row_[i], options.thickness.size(), out.intensity);
        }
        out.offset.push_back(static_cast<std::int64_t>(out.reflection.size()));
    }

private:
    void choose_beams(const Quaternion& orientation, const BlochOptions& options) {
        const std::array<double, 9> m = nbedex::matrix(conjugate(orientation));  // crystal to sample
        const double radius = 1 / options.wavelength;
        beams_.assign(1, {0, -1, 0.0, 0.0, 0.0, false});
        for (std::size_t i = 0; i < crystal_.index_.size(); ++i) {
            const double* g = &crystal_.g_[3 * i];
            const double x = m[0] * g[0] + m[1] * g[1] + m[2] * g[2];
            const double y = m[3] * g[0] + m[4] * g[1] + m[5] * g[2];
            const double z = m[6] * g[0] + m[7] * g[1] + m[8] * g[2];
            const double s = z - (radius - std::sqrt(radius * radius - (x * x + y * y)));
            if (!(std::abs(s) <= options.max_excitation_error)) continue;
            beams_.push_back({crystal_.index_[i], static_cast<std::int32_t>(i), x, y, s,
                              std::abs(s) > options.strong_excitation_error});
        }
        row_.assign(beams_.size(), 0);
        strong_.clear();
        for (std::size_t i = 0; i < beams_.size(); ++i) {
            if (beams_[i].weak) continue;
            row_[i] = strong_.size();
            strong_.push_back(&beams_[i]);
        }
    }

    [[nodiscard]] double coupling_re(const Beam& g, const Beam& h) const {
        return crystal_.re_[static_cast<std::size_t>(crystal_.origin_ + g.index - h.index)];
    }
    [[nodiscard]] double coupling_im(const Beam& g, const Beam& h) const {
        return complex_valued ? crystal_.im_[static_cast<std::size_t>(crystal_.origin_ + g.index - h.index)] : 0.0;
    }

    /// A_gh of the strong beams, less the detours over weak ones (Bethe 1928): A_gw A_wh / s_w.
    void fill_matrix() {
        const std::size_t n = strong_.size();
        matrix_.resize(n, n, complex_valued);
        for (std::size_t i = 0; i < n; ++i) {
            for (std::size_t j = 0; j < n; ++j) {
                if (i == j) continue;
                matrix_.re[i * n + j] = coupling_re(*strong_[i], *strong_[j]);
                if constexpr (complex_valued) matrix_.im[i * n + j] = coupling_im(*strong_[i], *strong_[j]);
            }
            matrix_.re[i * n + i] = strong_[i]->s;
        }
        for (const Beam& weak : beams_)
            if (weak.weak) add_detour(weak);
    }

    void add_detour(const Beam& weak) {
        const std::size_t n = strong_.size();
        to_weak_.resize(1, n, complex_valued);
        for (std::size_t i = 0; i < n; ++i) {
            to_weak_.re[i] = coupling_re(*strong_[i], weak);
            if constexpr (complex_valued) to_weak_.im[i] = coupling_im(*strong_[i], weak);
        }
        const double* __restrict const u = to_weak_.re.data();
        for (std::size_t i = 0; i < n; ++i) {
            const double c = u[i] / weak.s;
            double* __restrict const re = &matrix_.re[i * n];
            if constexpr (complex_valued) {
                const double* __restrict const v = to_weak_.im.data();
                const double d = v[i] / weak.s;
                double* __restrict const im = &matrix_.im[i * n];
                for (std::size_t j = 0; j < n; ++j) {
                    re[j] -= c * u[j] + d * v[j];
                    im[j] -= d * u[j] - c * v[j];
                }
            } else {
                for (std::size_t j = 0; j < n; ++j) re[j] -= c * u[j];
            }
        }
    }

    void append_strong(std::size_t row, std::size_t thicknesses, std::vector<float>& intensity) const {
        for (std::size_t c = row * thicknesses; c < (row + 1) * thicknesses; ++c)
            intensity.push_back(static_cast<float>(wave_.re[c] * wave_.re[c] + wave_.im[c] * wave_.im[c]));
    }

    /// A weak beam follows the strong ones, phi_w = -sum A_wh phi_h / s_w, plus what makes it start at zero: the free wave
    /// exp(-2 pi i s_w t) A_w0 / s_w, which must have the phase that the propagation leaves out.
    void append_weak(const Beam& weak, const BlochOptions& options, std::vector<float>& intensity) {
        const std::size_t m = options.thickness.size();
        sum_.resize(1, m, true);
        // Turned from thickness to thickness; steps are mostly equal, and a sine costs as much as twenty products.
        double re_0 = coupling_re(weak, *strong_[0]), im_0 = coupling_im(weak, *strong_[0]);
        double before = 0, step = 0, cosine = 1, sine = 0;
        for (std::size_t t = 0; t < m; ++t) {
            const double distance = options.thickness[t] - before;
            if (distance != step) {
                const double angle = -2 * std::numbers::pi * (weak.s - propagation_.center()) * distance;
                cosine = std::cos(angle);
                sine = std::sin(angle);
            }
            step = distance;
            before = options.thickness[t];
            const double turned = re_0 * cosine - im_0 * sine;
            im_0 = re_0 * sine + im_0 * cosine;
            re_0 = turned;
            sum_.re[t] = re_0;
            sum_.im[t] = im_0;
        }
        double* __restrict const out_re = sum_.re.data();
        double* __restrict const out_im = sum_.im.data();
        for (std::size_t i = 0; i < strong_.size(); ++i) {
            const double re = coupling_re(weak, *strong_[i]), im = coupling_im(weak, *strong_[i]);
            const double* __restrict const y_re = &wave_.re[i * m];
            const double* __restrict const y_im = &wave_.im[i * m];
            for (std::size_t t = 0; t < m; ++t) {
                out_re[t] -= re * y_re[t];
                out_im[t] -= re * y_im[t];
                if constexpr (complex_valued) {
                    out_re[t] += im * y_im[t];
                    out_im[t] -= im * y_re[t];
                }
            }
        }
        for (std::size_t t = 0; t < m; ++t)
            intensity.push_back(static_cast<float>((sum_.re[t] * sum_.re[t] + sum_.im[t] * sum_.im[t]) / (weak.s * weak.s)));
    }

    const BlochCrystal& crystal_;
    std::vector<Beam> beams_;
    std::vector<const Beam*> strong_;
    std::vector<std::size_t> row_;  // of each strong beam in the matrix
    Planes matrix_, wave_, to_weak_, sum_;
    Tridiagonal<complex_valued> tridiagonal_;
    Propagation propagation_;
};

namespace {

template <bool complex_valued>
void solve_all(const BlochCrystal& crystal, std::span<const Quaternion> orientations, const BlochOptions& options, int threads,
               const Poll& poll, std::vector<DynamicalPatterns>& parts) {
    std::vector<BlochSolver<complex_valued>> solvers;
    const int team = threads_for(static_cast<std::ptrdiff_t>(parts.size()), threads);
    for (int i = 0; i < team; ++i) solvers.emplace_back(crystal);
    parallel_for(static_cast<std::ptrdiff_t>(parts.size()), threads, poll, [&](std::ptrdiff_t item, int thread) {
        const auto i = static_cast<std::size_t>(item);
        solvers[static_cast<std::size_t>(thread)].solve(orientations[i], options, parts[i]);
    });
}

}  // namespace

DynamicalPatterns BlochCrystal::patterns(std::span<const Quaternion> orientations, const BlochOptions& options, int threads,
                                         const Poll& poll) const {
    std::vector<DynamicalPatterns> parts(orientations.size());
    if (is_real())
        solve_all<false>(*this, orientations, options, threads, poll, parts);
    else
        solve_all<true>(*this, orientations, options, threads, poll, parts);
    DynamicalPatterns out;
    out.offset.push_back(0);
    for (DynamicalPatterns& part : parts) {
        out.offset.push_back(out.offset.back() + part.offset.back());
        out.reflection.insert(out.reflection.end(), part.reflection.begin(), part.reflection.end());
        out.kx.insert(out.kx.end(), part.kx.begin(), part.kx.end());
        out.ky.insert(out.ky.end(), part.ky.begin(), part.ky.end());
        out.intensity.insert(out.intensity.end(), part.intensity.begin(), part.intensity.end());
        part = {};
    }
    return out;
}

}  // namespace nbedex
