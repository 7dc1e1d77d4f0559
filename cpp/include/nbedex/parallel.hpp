// One parallel loop for the whole core: dynamic over items, exceptions carried out, cancellable.
// Results never depend on the number of threads, because every item writes only its own output.
#pragma once

#include <cstddef>
#include <functional>
#include <stdexcept>

namespace nbedex {

/// Thrown on the calling thread when `poll` asked to stop; items already begun were finished.
struct Interrupted : std::runtime_error {
    Interrupted() : std::runtime_error("interrupted") {}
};

/// Called on the calling thread at most every 50 ms while a loop runs; false stops the loop.
using Poll = std::function<bool()>;

/// Threads the machine grants this process (its CPU affinity), at least 1.
[[nodiscard]] int available_threads() noexcept;

/// Whether loops run on OpenMP's threads; otherwise each loop starts its own.
[[nodiscard]] bool has_openmp() noexcept;

/// Runs body(item, thread) for item = 0 … n-1 on up to `threads` threads (0: all available).
/// The first exception thrown by a body is rethrown here after all threads have stopped.
/// In a child of fork() a loop of OpenMP's runs on one thread: the parent's pool does not exist there.
void parallel_for(std::ptrdiff_t n, int threads, const Poll& poll,
                  const std::function<void(std::ptrdiff_t item, int thread)>& body);

/// The number of threads parallel_for will really use for n items, to size scratch memory.
[[nodiscard]] int threads_for(std::ptrdiff_t n, int threads) noexcept;

}  // namespace nbedex
