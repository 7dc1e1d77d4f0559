// Memory of large arrays that come and go with every block of patterns.
#pragma once

#include <pybind11/numpy.h>

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace nbedex::bindings {

namespace py = pybind11;

/// What a thread keeps of the memory that arrays gave back. The system fills every new page with zeros before it is written to, which takes as long as a
/// third of making a frame into patterns; kept memory is there, and in the cache perhaps.
class KeptMemory {
public:
    struct Piece {
        std::unique_ptr<std::byte[]> data;
        std::size_t size = 0;
    };

    static KeptMemory& of_thread() {
        static thread_local KeptMemory kept;
        return kept;
    }

    /// At least `size` bytes, not initialised.
    [[nodiscard]] Piece take(std::size_t size) {
        for (auto piece = pieces_.begin(); piece != pieces_.end(); ++piece)
            if (piece->size >= size && piece->size / 2 <= size) {
                Piece taken = std::move(*piece);
                pieces_.erase(piece);
                return taken;
            }
        return {std::make_unique_for_overwrite<std::byte[]>(size), size};
    }

    void give(Piece piece) {
        if (pieces_.size() == most) pieces_.erase(pieces_.begin());
        pieces_.push_back(std::move(piece));
    }

private:
    static constexpr std::size_t most = 2;  // a block's patterns as they are refined and as they are searched
    std::vector<Piece> pieces_;
};

/// A new array of T in such memory, and the span over it.
template <class T>
struct KeptArray {
    py::array_t<T> array;
    std::span<T> span;

    explicit KeptArray(const std::vector<py::ssize_t>& shape) {
        std::size_t n = 1;
        for (const py::ssize_t side : shape) n *= static_cast<std::size_t>(side);
        auto piece = std::make_unique<KeptMemory::Piece>(KeptMemory::of_thread().take(n * sizeof(T)));
        span = {reinterpret_cast<T*>(piece->data.get()), n};
        const py::capsule owner(piece.get(), [](void* given) {
            const std::unique_ptr<KeptMemory::Piece> back(static_cast<KeptMemory::Piece*>(given));
            KeptMemory::of_thread().give(std::move(*back));
        });
        piece.release();
        array = py::array_t<T>(shape, span.data(), owner);
    }
};

}  // namespace nbedex::bindings
