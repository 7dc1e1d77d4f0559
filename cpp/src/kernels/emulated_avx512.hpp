// AVX-512 for kernels that are compiled for AVX2: its intrinsics as SIMDe emulates them, and the macros of a compiler that has it. Only for tests on
// machines without AVX-512 (bench/emulate_avx512.sh), whose build includes this before every kernel source.
#pragma once

#define SIMDE_ENABLE_NATIVE_ALIASES
#define SIMDE_DISABLE_OPENMP  // `omp simd` is wrong for SIMDe's loops that compress lanes in place
#include <simde/x86/avx512.h>

// SIMDe 0.7 lacks the first, and gives the second's name the wrong arguments.
#undef _mm512_extractf32x8_ps
#undef _mm512_madd_epi16
#define _mm512_extractf32x8_ps(x, half) _mm256_castpd_ps(_mm512_extractf64x4_pd((__m512d)(x), half))
#define _mm512_madd_epi16(a, b) simde_mm512_madd_epi16(a, b)

// After SIMDe, which would take them at their word.
#define __AVX512F__ 1
#define __AVX512BW__ 1
#define __AVX512DQ__ 1
#define __AVX512VL__ 1
#ifdef NBEDEX_EMULATE_VNNI
#define __AVX512VNNI__ 1
#endif
