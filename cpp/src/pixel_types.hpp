// The pixel types of detector frames that the core is compiled for.
#pragma once

#include <cstdint>

/// Expands F(T) for each of them.
#define NBEDEX_FOR_EACH_PIXEL_TYPE(F) \
    F(std::uint8_t)                   \
    F(std::uint16_t)                  \
    F(std::uint32_t)                  \
    F(std::int8_t)                    \
    F(std::int16_t)                   \
    F(std::int32_t)                   \
    F(float)
