#include <cstdlib>
#include <stdexcept>
#include <string>

#include "kernels/kernels.hpp"

namespace nbedex::kernels {
namespace {

struct Version {
    const Kernels* kernels;
    bool supported;
};

const Kernels& choose() {
#ifdef NBEDEX_X86
    __builtin_cpu_init();
    const bool has_avx2 = __builtin_cpu_supports("avx2");
#ifdef NBEDEX_EMULATE_AVX512
    const bool has_avx512 = has_avx2, has_vnni = has_avx2;
#else
    const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    const bool has_vnni = has_avx512 && __builtin_cpu_supports("avx512vnni");
#endif
    const Version versions[] = {{&avx512vnni::kernels, has_vnni},
                                {&avx512::kernels, has_avx512},
                                {&avx2::kernels, has_avx2},
                                {&baseline::kernels, true}};
#else
    const Version versions[] = {{&baseline::kernels, true}};
#endif
    const char* forced = std::getenv("NBEDEX_ISA");
    if (forced && *forced) {
        for (const Version& version : versions) {
            if (std::string(forced) != version.kernels->name) continue;
            if (version.supported) return *version.kernels;
            throw std::runtime_error(std::string("NBEDEX_ISA=") + forced + ": this processor does not have it");
        }
        throw std::runtime_error(std::string("NBEDEX_ISA=") + forced + ": expected avx512vnni, avx512, avx2 or baseline");
    }
    for (const Version& version : versions)
        if (version.supported) return *version.kernels;
    throw std::logic_error("no kernels");
}

}  // namespace

const Kernels& active() {
    static const Kernels& chosen = choose();
    return chosen;
}

}  // namespace nbedex::kernels
