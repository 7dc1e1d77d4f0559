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

RerankOptions rerank_options(const py::array& detector_from_sample, double k_min, double k_max, double spot_width, double wavelength,
                             const BeamChoice& coarse, const BeamChoice& fine, double reach, double step, int starts, int points, int halvings,
                             bool each_alone, double thickness, double thickness_step, int thicknesses, double faintest) {
    const auto m = view<double>(detector_from_sample, "detector_from_sample", {2, 2});
    if (m[0] * m[3] - m[1] * m[2] == 0) throw py::value_error("detector_from_sample must be invertible");
    if (!(wavelength > 0 && spot_width > 0 && k_min >= 0 && k_max > k_min))
        throw py::value_error("wavelength and spot_width must be positive, and 0 <= k_min < k_max");
    if (!(step > 0 && reach >= 0 && reach / step <= 50)) throw py::value_error("reach must be 0 to 20 steps");
    if (starts < 1 || points < 1 || halvings < 1 || halvings > 10) throw py::value_error("starts, points and halvings (at most 10) must be at least 1");
    if (!(thickness >= 0 && thickness_step > 0 && thicknesses >= 1 && thickness + thickness_step * thicknesses <= 1e5))
        throw py::value_error("thicknesses must rise from 0 to at most 1e5 angstrom");
    return {{{m[0], m[1], m[2], m[3]}, k_min, k_max, spot_width}, wavelength, coarse, fine, reach, step, starts, points, halvings, each_alone,
            thickness, thickness_step, thicknesses, faintest};
}

py::dict rerank(const py::array& frames, const py::array& centers, const std::optional<py::array>& mask,
                const std::vector<const BlochCrystal*>& crystals, const py::array& orientations, const py::array& phases, const py::array& kinematical,
                const RerankOptions& options, int threads) {
    require_layout(frames, "frames", {any, any, any});
    const py::ssize_t n = frames.shape(0);
    const std::span<const double> center = view<double>(centers, "centers", {n, 2});
    const std::span<const std::int32_t> phase = view<std::int32_t>(phases, "phases", {n, any});
    const py::ssize_t k = phases.shape(1);
    const std::span<const double> given = view<double>(orientations, "orientations", {n, k, 4}), matched = view<double>(kinematical, "kinematical", {n, k});
    for (const std::int32_t p : phase)
        if (p >= static_cast<std::int32_t>(crystals.size()))
            throw py::value_error("phases must be below the number of crystals, " + std::to_string(crystals.size()));
    NewArray<double> found({n, k, 4}), score({n, k}), evidence({n, k}), thickness({n, k}), orientation_error({n, k}), thickness_error({n, k}), spots({n, k}), rocking({n, k}), explained({n, k});
    NewArray<std::int32_t> simulated({n});
    std::vector<std::unique_ptr<Reranker>> rerankers(static_cast<std::size_t>(threads_for(n, threads)));
    const py::ssize_t rows = frames.shape(1), columns = frames.shape(2);
    const std::uint8_t* masked = mask ? view<std::uint8_t>(*mask, "mask", {rows, columns}).data() : nullptr;
    dispatch_frames(frames, [&]<class T>(const T* data) {
        run([&](const Poll& poll) {
            parallel_for(n, threads, poll, [&](std::ptrdiff_t item, int thread) {
                std::unique_ptr<Reranker>& reranker = rerankers[static_cast<std::size_t>(thread)];
                if (!reranker) reranker = std::make_unique<Reranker>(crystals, options);
                const auto p = static_cast<std::size_t>(item), count = static_cast<std::size_t>(k);
                std::vector<RerankCandidate> candidates;
                std::vector<RerankedCandidate> out(count);
                for (std::size_t i = p * count; i < (p + 1) * count; ++i)
                    candidates.push_back({{given[4 * i], given[4 * i + 1], given[4 * i + 2], given[4 * i + 3]}, phase[i], matched[i]});
                simulated.span[p] = static_cast<std::int32_t>(reranker->rerank(Frame<T>{data + item * rows * columns, rows, columns, masked},
                                                                               center[2 * p], center[2 * p + 1], candidates, out));
                for (std::size_t i = 0; i < count; ++i) {
                    const std::size_t at = p * count + i;
                    const Quaternion& q = out[i].orientation;
                    std::ranges::copy(std::array{q.w, q.x, q.y, q.z}, found.span.begin() + static_cast<std::ptrdiff_t>(4 * at));
                    score.span[at] = out[i].score;
                    evidence.span[at] = out[i].evidence;
                    thickness.span[at] = out[i].thickness;
                    orientation_error.span[at] = out[i].orientation_error;
                    thickness_error.span[at] = out[i].thickness_error;
                    spots.span[at] = out[i].spots;
                    rocking.span[at] = out[i].rocking;
                    explained.span[at] = out[i].explained;
                }
            });
        });
    });
    return py::dict(py::arg("orientation") = found.array, py::arg("score") = score.array, py::arg("evidence") = evidence.array,
                    py::arg("thickness") = thickness.array,
                    py::arg("orientation_error") = orientation_error.array,
                    py::arg("thickness_error") = thickness_error.array, py::arg("spots") = spots.array, py::arg("rocking") = rocking.array, py::arg("explained") = explained.array, py::arg("simulated") = simulated.array);
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
             py::arg("thicknesses"), py::arg("faintest"));

    m.def("rerank", &rerank, py::arg("frames"), py::arg("centers"), py::arg("mask"), py::arg("crystals"), py::arg("orientations"),
          py::arg("phases"), py::arg("kinematical"), py::arg("options"), py::arg("threads"));
}

}  // namespace nbedex::bindings
