#include "nbedex/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>

#ifdef NBEDEX_HAS_OPENMP
#include <omp.h>
#else
#include <thread>
#include <vector>
#endif
#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace nbedex {
namespace {

// libgomp's worker threads do not survive fork(), and a parallel region in the child would wait for them forever.
std::atomic<bool> forked{false};

void watch_for_fork() {
#if defined(__unix__) || defined(__APPLE__)
    static std::once_flag once;
    std::call_once(once, [] { pthread_atfork(nullptr, nullptr, [] { forked.store(true); }); });
#endif
}

/// Calls the user's poll from the calling thread only, and not more often than every 50 ms.
class RateLimitedPoll {
public:
    explicit RateLimitedPoll(const Poll& poll) : poll_(poll) {}

    [[nodiscard]] bool keep_going() {
        if (!poll_) return true;
        const auto now = std::chrono::steady_clock::now();
        if (now - last_ < std::chrono::milliseconds(50)) return true;
        last_ = now;
        return poll_();
    }

private:
    const Poll& poll_;
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

/// What the threads of one loop share.
struct Shared {
    std::atomic<std::ptrdiff_t> next{0};
    std::atomic<bool> stop{false};
    std::mutex mutex;
    std::exception_ptr error;

    void fail(std::exception_ptr e) {
        const std::lock_guard lock(mutex);
        if (!error) error = std::move(e);
        stop.store(true);
    }
};

void work(Shared& shared, std::ptrdiff_t n, int thread, RateLimitedPoll* poll,
          const std::function<void(std::ptrdiff_t, int)>& body) {
    try {
        while (!shared.stop.load(std::memory_order_relaxed)) {
            const std::ptrdiff_t item = shared.next.fetch_add(1, std::memory_order_relaxed);
            if (item >= n) return;
            body(item, thread);
            if (poll && !poll->keep_going()) throw Interrupted();
        }
    } catch (...) {
        shared.fail(std::current_exception());
    }
}

#ifndef NBEDEX_HAS_OPENMP
/// Threads beside the calling one, which end with the loop; none is left running when an exception passes.
class Helpers {
public:
    /// As many as the system gives: with fewer the loop takes longer, and gives the same.
    Helpers(int count, const std::function<void(int)>& job) {
        try {
            threads_.reserve(static_cast<std::size_t>(count));
            for (int i = 1; i <= count; ++i) threads_.emplace_back(job, i);
        } catch (const std::exception&) {
        }
    }
    Helpers(const Helpers&) = delete;
    Helpers& operator=(const Helpers&) = delete;
    ~Helpers() {
        for (std::thread& thread : threads_) thread.join();
    }

private:
    std::vector<std::thread> threads_;
};
#endif

}  // namespace

int available_threads() noexcept {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
#ifdef NBEDEX_HAS_OPENMP
    return std::max(1, omp_get_num_procs());
#else
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
#endif
}

bool has_openmp() noexcept {
#ifdef NBEDEX_HAS_OPENMP
    return true;
#else
    return false;
#endif
}

int threads_for(std::ptrdiff_t n, int threads) noexcept {
    if (has_openmp() && forked.load()) return 1;
    const int wanted = threads > 0 ? threads : available_threads();
    return static_cast<int>(std::clamp<std::ptrdiff_t>(wanted, 1, std::max<std::ptrdiff_t>(n, 1)));
}

void parallel_for(std::ptrdiff_t n, int threads, const Poll& poll,
                  const std::function<void(std::ptrdiff_t, int)>& body) {
    watch_for_fork();
    Shared shared;
    RateLimitedPoll limited(poll);
    const int team = threads_for(n, threads);
    if (team == 1) {
        work(shared, n, 0, &limited, body);
    } else {
#ifdef NBEDEX_HAS_OPENMP
#pragma omp parallel num_threads(team)
        {
            const int thread = omp_get_thread_num();
            work(shared, n, thread, thread == 0 ? &limited : nullptr, body);
        }
#else
        const Helpers helpers(team - 1, [&](int thread) { work(shared, n, thread, nullptr, body); });
        work(shared, n, 0, &limited, body);
#endif
    }
    if (shared.error) std::rethrow_exception(shared.error);
}

}  // namespace nbedex
