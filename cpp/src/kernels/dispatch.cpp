#include <cstdlib>
#include <stdexcept>
#include <string>

#include "kernels/correlate.hpp"

namespace nbedex::kernels {
namespace {

struct Version {
    const char* name;
    Correlate function;
    bool supported;
};

Version choose() {
#ifdef NBEDEX_X86
    __builtin_cpu_init();
    const bool has_avx2 = __builtin_cpu_supports("avx2");
    const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    const Version versions[] = {{"avx512", avx512::correlate, has_avx512},
                                {"avx2", avx2::correlate, has_avx2},
                                {"baseline", baseline::correlate, true}};
#else
    const Version versions[] = {{"baseline", baseline::correlate, true}};
#endif
    if (const char* forced = std::getenv("NBEDEX_ISA"); forced && *forced) {
        for (const Version& version : versions) {
            if (std::string(forced) != version.name) continue;
            if (version.supported) return version;
            throw std::runtime_error(std::string("NBEDEX_ISA=") + forced + ": this processor does not have it");
        }
        throw std::runtime_error(std::string("NBEDEX_ISA=") + forced + ": expected avx512, avx2 or baseline");
    }
    for (const Version& version : versions)
        if (version.supported) return version;
    throw std::logic_error("no kernel");
}

const Version& active() {
    static const Version version = choose();
    return version;
}

}  // namespace

Correlate correlate() { return active().function; }
const char* active_isa() { return active().name; }

}  // namespace nbedex::kernels
