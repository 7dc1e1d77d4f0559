// The kernels of this machine for one pixel type.
#pragma once

#include <type_traits>

#include "kernels/kernels.hpp"

namespace nbedex::kernels {

template <class T>
[[nodiscard]] const FrameKernels<T>& of() {
    const FrameKernelTable& table = *active().frames;
    if constexpr (std::is_same_v<T, std::uint8_t>) return table.u8;
    else if constexpr (std::is_same_v<T, std::uint16_t>) return table.u16;
    else if constexpr (std::is_same_v<T, std::uint32_t>) return table.u32;
    else if constexpr (std::is_same_v<T, std::int8_t>) return table.i8;
    else if constexpr (std::is_same_v<T, std::int16_t>) return table.i16;
    else if constexpr (std::is_same_v<T, std::int32_t>) return table.i32;
    else return table.f32;
}

}  // namespace nbedex::kernels
