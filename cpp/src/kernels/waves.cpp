// Fast Bloch waves. Compiled once per instruction set, like kernels.cpp: no standard-library code may be instantiated here.
// All loops add along rows, sums of products have wave_lanes partial sums: the same bits on every instruction set.
#include "kernels/waves.hpp"

#include "kernels/kernels.hpp"

namespace nbedex::kernels::NBEDEX_KERNEL_ISA {
namespace {

constexpr std::size_t lanes = wave_lanes;

constexpr std::size_t rounded_down(std::size_t i) { return i / lanes * lanes; }

/// Of padded arrays, from `first` on.
float dot(const float* x, const float* y, std::size_t first, std::size_t stride) {
    float part[lanes] = {};
    for (std::size_t i = first; i < stride; i += lanes)
        for (std::size_t j = 0; j < lanes; ++j) part[j] += x[i + j] * y[i + j];
    for (std::size_t half = lanes / 2; half > 0; half /= 2)
        for (std::size_t j = 0; j < half; ++j) part[j] += part[j + half];
    return part[0];
}

void add_detours(const float* u, const float* inverse_s, std::size_t n_weak, float* a, std::size_t n, std::size_t stride) {
    constexpr std::size_t together = 4;
    for (std::size_t w = 0; w < n_weak; w += together) {
        const float* __restrict const u0 = u + w * stride;
        const bool whole = w + together <= n_weak;
        const float* __restrict const u1 = w + 1 < n_weak ? u0 + stride : u0;
        const float* __restrict const u2 = w + 2 < n_weak ? u0 + 2 * stride : u0;
        const float* __restrict const u3 = whole ? u0 + 3 * stride : u0;
        const float s0 = inverse_s[w], s1 = w + 1 < n_weak ? inverse_s[w + 1] : 0, s2 = w + 2 < n_weak ? inverse_s[w + 2] : 0,
                    s3 = whole ? inverse_s[w + 3] : 0;
        for (std::size_t i = 0; i < n; ++i) {
            const float c0 = u0[i] * s0, c1 = u1[i] * s1, c2 = u2[i] * s2, c3 = u3[i] * s3;
            float* __restrict const row = a + i * stride;
            for (std::size_t j = 0; j < stride; ++j) row[j] -= (c0 * u0[j] + c1 * u1[j]) + (c2 * u2[j] + c3 * u3[j]);
        }
    }
}

/// Row j from column `first` on, less what is still to be taken from it.
void update_row(float* __restrict row, const float* __restrict v, const float* __restrict q, std::size_t j, std::size_t first,
                std::size_t stride) {
    const float vj = v[j], qj = q[j];
    for (std::size_t i = first; i < stride; ++i) row[i] -= vj * q[i] + qj * v[i];
}

void update_and_multiply(float* __restrict row, const float* __restrict v, const float* __restrict q, std::size_t j, float factor,
                         float* __restrict product, std::size_t first, std::size_t stride) {
    const float vj = v[j], qj = q[j];
    for (std::size_t i = first; i < stride; ++i) {
        const float value = row[i] - (vj * q[i] + qj * v[i]);
        row[i] = value;
        product[i] += value * factor;
    }
}

/// As Tridiagonal::reduce (tridiagonal.hpp), which says why.
void tridiagonalize(float* a, std::size_t n, std::size_t stride, const TridiagonalForm& out, float* scratch) {
    float* const v = scratch;
    float* const q = scratch + stride;
    float* const product = scratch + 2 * stride;
    for (std::size_t i = 0; i < 2 * stride; ++i) scratch[i] = 0;
    out.sign[0] = 1;
    for (std::size_t k = 0; k + 1 < n; ++k) {
        const std::size_t first = k + 1, start = rounded_down(first);
        float* const row = a + k * stride;
        float* const reflector = out.reflector + k * stride;
        update_row(row, v, q, k, rounded_down(k), stride);
        out.diagonal[k] = row[k];
        for (std::size_t i = 0; i < stride; ++i) reflector[i] = i > first && i < n ? row[i] : 0;
        const float head = row[first], size = head < 0 ? -head : head;
        const float tail = dot(reflector, reflector, start, stride);
        float norm = size, sign = 1;
        out.beta[k] = 0;
        if (tail > 0) {
            norm = __builtin_sqrtf(size * size + tail);
            sign = -1;
            out.beta[k] = 1 / (norm * (norm + size));
            reflector[first] = head + (head < 0 ? -norm : norm);
        }
        out.off_diagonal[k] = norm;
        out.sign[first] = out.sign[k] * sign * (head < 0 ? -1.0F : 1.0F);
        for (std::size_t i = start; i < stride; ++i) product[i] = 0;
        for (std::size_t j = first; j < n; ++j) update_and_multiply(a + j * stride, v, q, j, reflector[j], product, start, stride);
        for (std::size_t i = start; i < first; ++i) product[i] = 0;
        const float share = out.beta[k] / 2 * (out.beta[k] * dot(reflector, product, start, stride));
        for (std::size_t i = rounded_down(k); i < start; ++i) v[i] = q[i] = 0;
        for (std::size_t i = start; i < stride; ++i) {
            v[i] = reflector[i];
            q[i] = out.beta[k] * product[i] - share * reflector[i];
        }
    }
    const std::size_t last = n - 1;
    out.diagonal[last] = a[last * stride + last] - 2 * v[last] * q[last];
    out.beta[last] = 0;
}

/// next = factor (T~ doubled) now - next, with zeros around `now`.
void recur(const float* __restrict on, const float* __restrict off, const float* __restrict now, const float* __restrict before,
           float* __restrict next, float factor, std::size_t stride) {
    for (std::size_t i = 0; i < stride; ++i)
        next[i] = factor * (on[i] * now[i] + (off[i] * *(now + i - 1) + off[i + 1] * now[i + 1])) - before[i];
}

void propagate(const float* on, const float* off, std::size_t n, std::size_t stride, const ChebyshevSeries& series, float* y,
               float* scratch) {
    const std::size_t width = stride + 2 * lanes, depths = series.depths;
    for (std::size_t i = 0; i < (wave_terms + 2) * width; ++i) scratch[i] = 0;
    const auto polynomial = [&](std::size_t slot) { return scratch + slot * width + lanes; };  // the last two of a group come first
    for (std::size_t i = 0; i < n * 2 * depths; ++i) y[i] = 0;
    for (std::size_t k = 0; k < series.terms; k += wave_terms) {
        if (k > 0) {
            for (std::size_t i = 0; i < stride; ++i) {
                polynomial(0)[i] = polynomial(wave_terms)[i];
                polynomial(1)[i] = polynomial(wave_terms + 1)[i];
            }
        }
        for (std::size_t j = 0; j < wave_terms; ++j) {
            if (k + j == 0) polynomial(2)[0] = 1;
            else recur(on, off, polynomial(j + 1), polynomial(j), polynomial(j + 2), k + j == 1 ? 0.5F : 1.0F, stride);
        }
        const float* __restrict const c = series.coefficient + k * depths;
        const std::size_t first = series.first[k / wave_terms];
        for (std::size_t i = 0; i < n; ++i) {
            float p[wave_terms];
            for (std::size_t j = 0; j < wave_terms; ++j) p[j] = polynomial(j + 2)[i];
            float* __restrict const re = y + i * 2 * depths;
            float* __restrict const im = re + depths;
            for (std::size_t t = first; t < depths; ++t) {
                re[t] += (p[0] * c[t] + p[2] * c[2 * depths + t]) + (p[4] * c[4 * depths + t] + p[6] * c[6 * depths + t]);
                im[t] += (p[1] * c[depths + t] + p[3] * c[3 * depths + t]) + (p[5] * c[5 * depths + t] + p[7] * c[7 * depths + t]);
            }
        }
    }
}

void back_transform(const TridiagonalForm& form, std::size_t n, std::size_t stride, float* y, std::size_t columns, float* scratch) {
    for (std::size_t i = 0; i < n; ++i)
        if (form.sign[i] < 0)
            for (std::size_t c = 0; c < columns; ++c) y[i * columns + c] = -y[i * columns + c];
    float* __restrict const sum = scratch;
    for (std::size_t k = n - 1; k-- > 0;) {
        if (form.beta[k] == 0) continue;
        const float* const v = form.reflector + k * stride;
        for (std::size_t c = 0; c < columns; ++c) sum[c] = 0;
        for (std::size_t i = k + 1; i < n; ++i) {
            const float vi = form.beta[k] * v[i];
            const float* __restrict const row = y + i * columns;
            for (std::size_t c = 0; c < columns; ++c) sum[c] += vi * row[c];
        }
        for (std::size_t i = k + 1; i < n; ++i) {
            const float vi = v[i];
            float* __restrict const row = y + i * columns;
            for (std::size_t c = 0; c < columns; ++c) row[c] -= vi * sum[c];
        }
    }
}

void weak_intensities(const float* u, const float* inverse_s, std::size_t n_weak, std::size_t n, std::size_t stride, const float* y,
                      std::size_t depths, float* wave, float* intensity) {
    const std::size_t columns = 2 * depths;
    for (std::size_t w = 0; w < n_weak; ++w) {
        const float* const uw = u + w * stride;
        float* __restrict const sum = wave + w * columns;
        std::size_t i = 0;
        for (; i + 4 <= n; i += 4) {
            const float u0 = uw[i], u1 = uw[i + 1], u2 = uw[i + 2], u3 = uw[i + 3];
            const float* __restrict const y0 = y + i * columns;
            const float* __restrict const y1 = y0 + columns;
            const float* __restrict const y2 = y1 + columns;
            const float* __restrict const y3 = y2 + columns;
            for (std::size_t c = 0; c < columns; ++c) sum[c] -= (u0 * y0[c] + u1 * y1[c]) + (u2 * y2[c] + u3 * y3[c]);
        }
        for (; i < n; ++i) {
            const float u0 = uw[i];
            const float* __restrict const y0 = y + i * columns;
            for (std::size_t c = 0; c < columns; ++c) sum[c] -= u0 * y0[c];
        }
        const float factor = inverse_s[w] * inverse_s[w];
        float* __restrict const out = intensity + w * depths;
        for (std::size_t t = 0; t < depths; ++t) out[t] = factor * (sum[t] * sum[t] + sum[depths + t] * sum[depths + t]);
    }
}

void compare(const float* intensity, const std::uint32_t* row, const std::uint32_t* slot, std::size_t n, std::size_t depths,
             const MeasuredSpots& measured, float* score, float* scratch) {
    float* __restrict const scale = scratch;
    float* __restrict const fourth = scratch + depths;
    float* __restrict const root = scratch + 2 * depths;
    float* __restrict const roots = scratch + 3 * depths;
    float* __restrict const counts = scratch + 4 * depths;
    for (std::size_t t = 0; t < 5 * depths; ++t) scratch[t] = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const float* __restrict const beam = intensity + row[i] * depths;
        for (std::size_t t = 0; t < depths; ++t) scale[t] += beam[t];
    }
    for (std::size_t t = 0; t < depths; ++t) scale[t] = scale[t] > 1e-20F ? measured.total / scale[t] : 0;
    for (std::size_t i = 0; i < n; ++i) {
        const float* __restrict const beam = intensity + row[i] * depths;
        const float seen_fourth = measured.fourth_root[slot[i]], seen_root = measured.root[slot[i]], least = measured.faintest[slot[i]];
        for (std::size_t t = 0; t < depths; ++t) {
            const float expected = beam[t] * scale[t], kept = expected > least ? expected : 0;
            const float r = __builtin_sqrtf(kept);
            fourth[t] += seen_fourth * __builtin_sqrtf(r);
            root[t] += seen_root * r;
            roots[t] += r;
            counts[t] += kept;
        }
    }
    for (std::size_t t = 0; t < depths; ++t) {
        const float a = measured.fourth_norm * __builtin_sqrtf(roots[t]), b = measured.root_norm * __builtin_sqrtf(counts[t]);
        score[t] = 0.5F * ((a > 0 ? fourth[t] / a : 0) + (b > 0 ? root[t] / b : 0));
    }
}

void rocking_scores(const TiltedSpots& given, const float* tilts, std::size_t m, float width, float* score) {
    const TiltedSpots spots = given;
    const float least = width * width;
    for (std::size_t i = 0; i < m; ++i) {
        const float x = tilts[2 * i], y = tilts[2 * i + 1];
        float product[lanes] = {}, square[lanes] = {};
        for (std::size_t j = 0; j < spots.n; j += lanes) {
            for (std::size_t l = 0; l < lanes; ++l) {
                const float s = spots.error[j + l] + (x * spots.per_tilt_x[j + l] + y * spots.per_tilt_y[j + l]);
                const float distance = __builtin_sqrtf(s * s + least), strength = spots.strength[j + l];
                const float expected = strength / __builtin_sqrtf(distance);
                product[l] += expected * spots.measured[j + l];
                square[l] += expected * expected;
            }
        }
        for (std::size_t half = lanes / 2; half > 0; half /= 2)
            for (std::size_t l = 0; l < half; ++l) {
                product[l] += product[l + half];
                square[l] += square[l + half];
            }
        const float norm = spots.measured_norm * __builtin_sqrtf(square[0]);
        score[i] = norm > 0 ? product[0] / norm : 0;
    }
}

}  // namespace

extern const WaveKernels wave_kernels{add_detours, tridiagonalize, propagate, back_transform, weak_intensities, compare, rocking_scores};

}  // namespace nbedex::kernels::NBEDEX_KERNEL_ISA
