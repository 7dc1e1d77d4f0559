// Sums over the reflections of a crystal that is rocked through the Ewald sphere. Compiled once per instruction set, like
// kernels.cpp. Sixteen partial sums on every instruction set, added up in one order.
#include "kernels/kernels.hpp"
#include "kernels/pixels.hpp"

namespace nbedex::kernels::NBEDEX_KERNEL_ISA {
namespace {

constexpr std::size_t lanes = register_bytes / sizeof(float), vectors = rocking_lanes / lanes;
typedef float Floats __attribute__((vector_size(register_bytes)));

/// exp(-u) for 0 <= u <= 2.3, to 2e-5 of its value: the fourth power of five terms of the series at u / 4, by Horner's rule.
inline Floats falling_exponential(Floats u) {
    const Floats x = u * 0.25F;
    Floats p = 1.0F - x * 0.2F;
    p = 1.0F - x * 0.25F * p;
    p = 1.0F - x * (1.0F / 3.0F) * p;
    p = 1.0F - x * 0.5F * p;
    p = 1.0F - x * p;
    const Floats square = p * p;
    return square * square;
}

inline float total(const Floats (&sums)[vectors]) {
    float part[rocking_lanes];
    __builtin_memcpy(part, sums, sizeof part);
    for (std::size_t half = rocking_lanes / 2; half > 0; half /= 2)
        for (std::size_t i = 0; i < half; ++i) part[i] += part[i + half];
    return part[0];
}

RockingSums rocking_sums(const RockingSpots& spots, float tilt_x, float tilt_y) {
    Floats correlation[vectors] = {}, weight[vectors] = {}, square[vectors] = {};
    for (std::size_t i = 0; i < spots.n; i += rocking_lanes)
        for (std::size_t v = 0; v < vectors; ++v) {
            const std::size_t at = i + v * lanes;
            const Floats s = load<Floats>(spots.excitation + at) - tilt_x * load<Floats>(spots.y + at) +
                             tilt_y * load<Floats>(spots.x + at);
            const Floats u = s * s * load<Floats>(spots.sharpness + at);
            const Floats w = load<Floats>(spots.weight + at) * falling_exponential(u);
            const Floats kept = u < rocking_cutoff ? w : Floats{};
            correlation[v] += kept * load<Floats>(spots.value + at);
            weight[v] += kept;
            square[v] += kept * kept;
        }
    return {total(correlation), total(weight), total(square)};
}

}  // namespace

extern const RockingKernels rocking_kernels{rocking_sums};

}  // namespace nbedex::kernels::NBEDEX_KERNEL_ISA
