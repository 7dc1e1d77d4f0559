// Dynamical re-ranking in nbedex._core.
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "arrays.hpp"
#include "calls.hpp"
#include "nbedex/rerank.hpp"

namespace nbedex::bindings {
namespace {

void check_search(double reach, double step, int starts) {
    if (!(step > 0 && reach >= 0 && reach / step <= 50)) throw py::value_error("reach must be 0 to 50 steps");
    if (starts < 1) throw py::value_error("starts must be at least 1");
}

RerankOptions rerank_options(const py::array& detector_from_sample, double k_min, double k_max, double spot_width, double wavelength,
                             const BeamChoice& coarse, const BeamChoice& fine, double reach, double step, int starts, int points, int halvings,
                             bool each_alone, double thickness, double thickness_step, int thicknesses, double faintest) {
    const auto m = view<double>(detector_from_sample, "detector_from_sample", {2, 2});
    if (m[0] * m[3] - m[1] * m[2] == 0) throw py::value_error("detector_from_sample must be invertible");
    if (!(wavelength > 0 && spot_width > 0 && k_min >= 0 && k_max > k_min))
        throw py::value_error("wavelength and spot_width must be positive, and 0 <= k_min < k_max");
    check_search(reach, step, starts);
    if (points < 1 || halvings < 1 || halvings > 10) throw py::value_error("points and halvings (at most 10) must be at least 1");
    if (!(thickness >= 0 && thickness_step > 0 && thicknesses >= 1 && thickness + thickness_step * thicknesses <= 1e5))
        throw py::value_error("thicknesses must rise from 0 to at most 1e5 angstrom");
    return {{{m[0], m[1], m[2], m[3]}, k_min, k_max, spot_width}, wavelength, coarse, fine, reach, step, starts, points, halvings, each_alone,
            thickness, thickness_step, thicknesses, faintest};
}

/// What was found, by pattern and candidate.
class Found {
public:
    Found(py::ssize_t patterns, py::ssize_t candidates)
        : candidates_(static_cast<std::size_t>(candidates)), orientation_({patterns, candidates, 4}) {
        for (std::size_t i = 0; i < values_.size(); ++i) arrays_.emplace_back(std::vector<py::ssize_t>{patterns, candidates});
    }

    void put(std::size_t pattern, std::size_t candidate, const RerankedCandidate& found) {
        const std::size_t at = pattern * candidates_ + candidate;
        const Quaternion& q = found.orientation;
        std::ranges::copy(std::array{q.w, q.x, q.y, q.z}, orientation_.span.begin() + static_cast<std::ptrdiff_t>(4 * at));
        for (std::size_t i = 0; i < values_.size(); ++i) arrays_[i].span[at] = found.*values_[i].second;
    }

    [[nodiscard]] py::dict to_dict() const {
        py::dict out(py::arg("orientation") = orientation_.array);
        for (std::size_t i = 0; i < values_.size(); ++i) out[values_[i].first] = arrays_[i].array;
        return out;
    }

private:
    using R = RerankedCandidate;
    static constexpr std::array<std::pair<const char*, double R::*>, 8> values_{{
        {"score", &R::score}, {"evidence", &R::evidence}, {"thickness", &R::thickness}, {"orientation_error", &R::orientation_error},
        {"thickness_error", &R::thickness_error}, {"spots", &R::spots}, {"rocking", &R::rocking}, {"explained", &R::explained}}};

    std::size_t candidates_;
    NewArray<double> orientation_;
    std::vector<NewArray<double>> arrays_;
};

/// Candidates as numpy has them.
struct Given {
    std::span<const double> orientation;
    std::span<const std::int32_t> phase;
    std::span<const double> kinematical;

    void check(std::size_t crystals) const {
        for (const std::int32_t p : phase)
            if (p >= static_cast<std::int32_t>(crystals))
                throw py::value_error("phases must be below the number of crystals, " + std::to_string(crystals));
    }
    [[nodiscard]] RerankCandidate operator[](std::size_t i) const {
        return {{orientation[4 * i], orientation[4 * i + 1], orientation[4 * i + 2], orientation[4 * i + 3]}, phase[i], kinematical[i]};
    }
};

py::dict rerank(const py::array& frames, const py::array& centers, const std::optional<py::array>& mask,
                const std::vector<const BlochCrystal*>& crystals, const py::array& orientations, const py::array& phases, const py::array& kinematical,
                const RerankOptions& options, int threads) {
    require_layout(frames, "frames", {any, any, any});
    const py::ssize_t n = frames.shape(0), rows = frames.shape(1), columns = frames.shape(2);
    const std::span<const double> center = view<double>(centers, "centers", {n, 2});
    require_layout(phases, "phases", {n, any});
    const py::ssize_t k = phases.shape(1);
    const Given given{view<double>(orientations, "orientations", {n, k, 4}), view<std::int32_t>(phases, "phases", {n, k}),
                      view<double>(kinematical, "kinematical", {n, k})};
    given.check(crystals.size());
    Found found(n, k);
    NewArray<std::int32_t> simulated({n});
    std::vector<std::unique_ptr<Reranker>> rerankers(static_cast<std::size_t>(threads_for(n, threads)));
    const std::uint8_t* masked = mask ? view<std::uint8_t>(*mask, "mask", {rows, columns}).data() : nullptr;
    dispatch_frames(frames, [&]<class T>(const T* data) {
        run([&](const Poll& poll) {
            parallel_for(n, threads, poll, [&](std::ptrdiff_t item, int thread) {
                std::unique_ptr<Reranker>& reranker = rerankers[static_cast<std::size_t>(thread)];
                if (!reranker) reranker = std::make_unique<Reranker>(crystals, options);
                const auto p = static_cast<std::size_t>(item), count = static_cast<std::size_t>(k);
                std::vector<RerankCandidate> candidates;
                std::vector<RerankedCandidate> out(count);
                for (std::size_t i = 0; i < count; ++i) candidates.push_back(given[p * count + i]);
                simulated.span[p] = static_cast<std::int32_t>(reranker->rerank(Frame<T>{data + item * rows * columns, rows, columns, masked},
                                                                               center[2 * p], center[2 * p + 1], candidates, out));
                for (std::size_t i = 0; i < count; ++i) found.put(p, i, out[i]);
            });
        });
    });
    py::dict out = found.to_dict();
    out["simulated"] = simulated.array;
    return out;
}

py::dict rerank_together(const py::array& frames, const py::array& centers, const std::optional<py::array>& mask,
                         const std::vector<const BlochCrystal*>& crystals, const py::array& orientations, const py::array& phases,
                         const py::array& kinematical, const RerankOptions& options, int threads) {
    require_layout(frames, "frames", {any, any, any});
    const py::ssize_t n = frames.shape(0), rows = frames.shape(1), columns = frames.shape(2);
    const std::span<const double> center = view<double>(centers, "centers", {n, 2});
    require_layout(phases, "phases", {any});
    const py::ssize_t k = phases.shape(0);
    const Given given{view<double>(orientations, "orientations", {k, 4}), view<std::int32_t>(phases, "phases", {k}),
                      view<double>(kinematical, "kinematical", {k})};
    given.check(crystals.size());
    if (n == 0) throw py::value_error("there must be a frame at least");
    Found found(n, k);
    std::vector<SpotImage> images(static_cast<std::size_t>(n));
    std::vector<const SpotImage*> shown;
    std::vector<std::array<double, 2>> middle;
    for (std::size_t p = 0; p < images.size(); ++p) {
        shown.push_back(&images[p]);
        middle.push_back({center[2 * p + 1], center[2 * p]});
    }
    std::vector<std::unique_ptr<Reranker>> rerankers(static_cast<std::size_t>(threads_for(k, threads)));
    const std::uint8_t* masked = mask ? view<std::uint8_t>(*mask, "mask", {rows, columns}).data() : nullptr;
    dispatch_frames(frames, [&]<class T>(const T* data) {
        run([&](const Poll& poll) {
            parallel_for(n, threads, poll, [&](std::ptrdiff_t item, int) {
                const auto p = static_cast<std::size_t>(item);
                images[p].read(Frame<T>{data + item * rows * columns, rows, columns, masked}, center[2 * p], center[2 * p + 1], options.spots);
            });
            parallel_for(k, threads, poll, [&](std::ptrdiff_t item, int thread) {
                std::unique_ptr<Reranker>& reranker = rerankers[static_cast<std::size_t>(thread)];
                if (!reranker) reranker = std::make_unique<Reranker>(crystals, options);
                std::vector<RerankedCandidate> out(images.size());
                reranker->rerank_together(shown, middle, given[static_cast<std::size_t>(item)], out);
                for (std::size_t p = 0; p < out.size(); ++p) found.put(p, static_cast<std::size_t>(item), out[p]);
            });
        });
    });
    return found.to_dict();
}

}  // namespace

void bind_rerank(py::module_& m) {
    py::class_<RerankOptions>(m, "RerankOptions")
        .def(py::init([](const py::array& detector_from_sample, double k_min, double k_max, double spot_width, double wavelength,
                         std::pair<double, double> coarse, std::pair<double, double> fine, double reach, double step, int starts, int points,
                         int halvings, bool each_alone, double thickness, double thickness_step, int thicknesses, double faintest) {
                 return rerank_options(detector_from_sample, k_min, k_max, spot_width, wavelength, {coarse.first, coarse.second},
                                       {fine.first, fine.second}, reach, step, starts, points, halvings, each_alone, thickness,
                                       thickness_step, thicknesses, faintest);
             }), py::kw_only(), py::arg("detector_from_sample"), py::arg("k_min"), py::arg("k_max"), py::arg("spot_width"),
             py::arg("wavelength"), py::arg("coarse"), py::arg("fine"), py::arg("reach"), py::arg("step"), py::arg("starts"),
             py::arg("points"), py::arg("halvings"), py::arg("each_alone"), py::arg("thickness"), py::arg("thickness_step"),
             py::arg("thicknesses"), py::arg("faintest"))
        .def("within", [](RerankOptions options, double reach, double step, int starts) {
            check_search(reach, step, starts);
            options.reach = reach;
            options.step = step;
            options.starts = starts;
            return options;
        }, py::arg("reach"), py::arg("step"), py::arg("starts"));

    m.def("rerank", &rerank, py::arg("frames"), py::arg("centers"), py::arg("mask"), py::arg("crystals"), py::arg("orientations"),
          py::arg("phases"), py::arg("kinematical"), py::arg("options"), py::arg("threads"));
    m.def("rerank_together", &rerank_together, py::arg("frames"), py::arg("centers"), py::arg("mask"), py::arg("crystals"), py::arg("orientations"),
          py::arg("phases"), py::arg("kinematical"), py::arg("options"), py::arg("threads"));
}

}  // namespace nbedex::bindings
