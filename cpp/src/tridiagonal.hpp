// Householder reduction of a Hermitian matrix to a real symmetric tridiagonal one that leaves the first unit vector alone:
// A = Q T Q^H with Q e_0 = e_0 (Golub & Van Loan, Matrix Computations, section 8.3.1). Complex numbers are kept as two planes, and
// every inner loop adds along rows, so that loops vectorise without changing the order of any sum.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace nbedex {

/// A square matrix, or a set of columns, in planes of real and imaginary parts, row after row.
struct Planes {
    std::size_t rows = 0, columns = 0;
    std::vector<double> re, im;

    void resize(std::size_t n_rows, std::size_t n_columns, bool with_imaginary) {
        rows = n_rows;
        columns = n_columns;
        re.assign(rows * columns, 0.0);
        im.assign(with_imaginary ? rows * columns : 0, 0.0);
    }
};

template <bool complex_valued>
class Tridiagonal {
public:
    /// Of a Hermitian matrix, which is used up. Both triangles must be filled.
    void reduce(Planes& a);

    [[nodiscard]] const std::vector<double>& diagonal() const noexcept { return diagonal_; }
    /// One less than the diagonal; not negative.
    [[nodiscard]] const std::vector<double>& off_diagonal() const noexcept { return off_diagonal_; }

    /// y = Q y for every column of y.
    void back_transform(Planes& y) const;

private:
    struct Vector {
        std::vector<double> re, im;
        void assign(std::size_t n) {
            re.assign(n, 0.0);
            im.assign(complex_valued ? n : 0, 0.0);
        }
    };

    void make_reflector(const Planes& a, std::size_t k);
    void update_row(Planes& a, std::size_t j, std::size_t first) const;
    void update_and_multiply(Planes& a, std::size_t j, std::size_t first);
    void make_pending(std::size_t k);

    std::size_t n_ = 0;
    std::vector<double> diagonal_, off_diagonal_, beta_;
    Vector phase_;      ///< of row i of Q after all reflectors
    Planes reflector_;  ///< row k: v of H_k = 1 - beta v v^H, zero up to k
    Vector v_, q_;      ///< what is still to be taken from A: v q^H + q v^H
    Vector product_;
};

/// H_k maps what stands below the diagonal in column k on a multiple of the first unit vector.
template <bool complex_valued>
void Tridiagonal<complex_valued>::make_reflector(const Planes& a, std::size_t k) {
    const std::size_t first = k + 1, row = k * n_;
    double* const v_re = &reflector_.re[row];
    double* const v_im = complex_valued ? &reflector_.im[row] : nullptr;
    double tail = 0;
    for (std::size_t i = first; i < n_; ++i) {
        v_re[i] = a.re[row + i];  // column k is the conjugate of row k
        if constexpr (complex_valued) v_im[i] = -a.im[row + i];
        if (i == first) continue;
        tail += v_re[i] * v_re[i];
        if constexpr (complex_valued) tail += v_im[i] * v_im[i];
    }
    const double head_re = v_re[first], head_im = complex_valued ? v_im[first] : 0.0;
    const double head = std::hypot(head_re, head_im);
    const double unit_re = head > 0 ? head_re / head : 1.0, unit_im = head > 0 ? head_im / head : 0.0;
    double norm = head, sign = 1;
    if (tail > 0) {
        norm = std::sqrt(head * head + tail);
        sign = -1;
        beta_[k] = 1 / (norm * (norm + head));
        v_re[first] += unit_re * norm;
        if constexpr (complex_valued) v_im[first] += unit_im * norm;
    } else {  // nothing to map: H_k = 1
        beta_[k] = 0;
        v_re[first] = 0;
        if constexpr (complex_valued) v_im[first] = 0;
    }
    off_diagonal_[k] = norm;
    // The off-diagonal element is sign * unit * norm; its phase goes into Q, which makes T real.
    const double re = phase_.re[k], im = complex_valued ? phase_.im[k] : 0.0;
    phase_.re[first] = sign * (re * unit_re - im * unit_im);
    if constexpr (complex_valued) phase_.im[first] = sign * (re * unit_im + im * unit_re);
}

template <bool complex_valued>
void Tridiagonal<complex_valued>::update_row(Planes& a, std::size_t j, std::size_t first) const {
    for (std::size_t i = first; i < n_; ++i) {
        if constexpr (complex_valued) {
            a.re[j * n_ + i] -= (v_.re[j] * q_.re[i] + v_.im[j] * q_.im[i]) + (q_.re[j] * v_.re[i] + q_.im[j] * v_.im[i]);
            a.im[j * n_ + i] -= (v_.im[j] * q_.re[i] - v_.re[j] * q_.im[i]) + (q_.im[j] * v_.re[i] - q_.re[j] * v_.im[i]);
        } else {
            a.re[j * n_ + i] -= v_.re[j] * q_.re[i] + q_.re[j] * v_.re[i];
        }
    }
}

/// Brings row j up to date and adds its share, the conjugate of the row times the new v_j, to the product A v.
template <bool complex_valued>
void Tridiagonal<complex_valued>::update_and_multiply(Planes& a, std::size_t j, std::size_t first) {
    const std::size_t k = first - 1;
    double* __restrict const a_re = &a.re[j * n_];
    double* __restrict const p_re = product_.re.data();
    const double* __restrict const v_re = v_.re.data();
    const double* __restrict const q_re = q_.re.data();
    const double vj = v_re[j], qj = q_re[j], new_vj = reflector_.re[k * n_ + j];
    if constexpr (complex_valued) {
        double* __restrict const a_im = &a.im[j * n_];
        double* __restrict const p_im = product_.im.data();
        const double* __restrict const v_im = v_.im.data();
        const double* __restrict const q_im = q_.im.data();
        const double vj_im = v_im[j], qj_im = q_im[j], new_vj_im = reflector_.im[k * n_ + j];
        for (std::size_t i = first; i < n_; ++i) {
            const double re = a_re[i] - ((vj * q_re[i] + vj_im * q_im[i]) + (qj * v_re[i] + qj_im * v_im[i]));
            const double im = a_im[i] - ((vj_im * q_re[i] - vj * q_im[i]) + (qj_im * v_re[i] - qj * v_im[i]));
            a_re[i] = re;
            a_im[i] = im;
            p_re[i] += re * new_vj + im * new_vj_im;
            p_im[i] += re * new_vj_im - im * new_vj;
        }
    } else {
        for (std::size_t i = first; i < n_; ++i) {
            const double re = a_re[i] - (vj * q_re[i] + qj * v_re[i]);
            a_re[i] = re;
            p_re[i] += re * new_vj;
        }
    }
}

/// H A H = A - v q^H - q v^H with p = beta A v, q = p - (beta / 2) (v^H p) v.
template <bool complex_valued>
void Tridiagonal<complex_valued>::make_pending(std::size_t k) {
    double overlap = 0;
    for (std::size_t i = k + 1; i < n_; ++i) {
        v_.re[i] = reflector_.re[k * n_ + i];
        q_.re[i] = beta_[k] * product_.re[i];
        overlap += v_.re[i] * q_.re[i];
        if constexpr (complex_valued) {
            v_.im[i] = reflector_.im[k * n_ + i];
            q_.im[i] = beta_[k] * product_.im[i];
            overlap += v_.im[i] * q_.im[i];
        }
    }
    const double share = beta_[k] / 2 * overlap;
    for (std::size_t i = k + 1; i < n_; ++i) {
        q_.re[i] -= share * v_.re[i];
        if constexpr (complex_valued) q_.im[i] -= share * v_.im[i];
    }
}

template <bool complex_valued>
void Tridiagonal<complex_valued>::reduce(Planes& a) {
    n_ = a.rows;
    diagonal_.assign(n_, 0.0);
    off_diagonal_.assign(n_ - 1, 0.0);
    beta_.assign(n_, 0.0);
    phase_.assign(n_);
    phase_.re[0] = 1;
    v_.assign(n_);
    q_.assign(n_);
    reflector_.resize(n_, n_, complex_valued);
    for (std::size_t k = 0; k + 1 < n_; ++k) {
        update_row(a, k, k);
        diagonal_[k] = a.re[k * n_ + k];
        make_reflector(a, k);
        product_.assign(n_);
        for (std::size_t j = k + 1; j < n_; ++j) update_and_multiply(a, j, k + 1);
        make_pending(k);
    }
    update_row(a, n_ - 1, n_ - 1);
    diagonal_[n_ - 1] = a.re[n_ * n_ - 1];
}

template <bool complex_valued>
void Tridiagonal<complex_valued>::back_transform(Planes& y) const {
    const std::size_t m = y.columns;
    for (std::size_t i = 0; i < n_; ++i) {
        const double re = phase_.re[i], im = complex_valued ? phase_.im[i] : 0.0;
        for (std::size_t c = i * m; c < (i + 1) * m; ++c) {
            const double y_re = y.re[c];
            y.re[c] = re * y_re - im * y.im[c];
            y.im[c] = re * y.im[c] + im * y_re;
        }
    }
    std::vector<double> sum_re(m), sum_im(m);
    for (std::size_t k = n_ - 1; k-- > 0;) {
        if (beta_[k] == 0) continue;
        std::ranges::fill(sum_re, 0.0);
        std::ranges::fill(sum_im, 0.0);
        double* __restrict const s_re = sum_re.data();
        double* __restrict const s_im = sum_im.data();
        for (std::size_t i = k + 1; i < n_; ++i) {
            const double v_re = beta_[k] * reflector_.re[k * n_ + i];
            const double v_im = complex_valued ? beta_[k] * reflector_.im[k * n_ + i] : 0.0;
            const double* __restrict const y_re = &y.re[i * m];
            const double* __restrict const y_im = &y.im[i * m];
            for (std::size_t c = 0; c < m; ++c) {
                s_re[c] += v_re * y_re[c];
                s_im[c] += v_re * y_im[c];
                if constexpr (complex_valued) {
                    s_re[c] += v_im * y_im[c];
                    s_im[c] -= v_im * y_re[c];
                }
            }
        }
        for (std::size_t i = k + 1; i < n_; ++i) {
            const double v_re = reflector_.re[k * n_ + i], v_im = complex_valued ? reflector_.im[k * n_ + i] : 0.0;
            double* __restrict const y_re = &y.re[i * m];
            double* __restrict const y_im = &y.im[i * m];
            for (std::size_t c = 0; c < m; ++c) {
                y_re[c] -= v_re * s_re[c];
                y_im[c] -= v_re * s_im[c];
                if constexpr (complex_valued) {
                    y_re[c] += v_im * s_im[c];
                    y_im[c] -= v_im * s_re[c];
                }
            }
        }
    }
}

}  // namespace nbedex
