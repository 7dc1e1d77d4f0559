// Kinematical models of the phases: refinement, and where orientations have their spots.
#include "nbedex/refine.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "calls.hpp"
#include "nbedex/spots.hpp"

namespace nbedex::bindings {
namespace {

constexpr float nothing = std::numeric_limits<float>::quiet_NaN();

/// Numbers of crystals, -1: none.
std::span<const std::int16_t> crystal_numbers(const KinematicModel& model, const py::array& crystal, std::initializer_list<py::ssize_t> shape) {
    const std::span<const std::int16_t> of = view<std::int16_t>(crystal, "crystal", shape);
    for (const std::int16_t number : of)
        if (number < -1 || number >= static_cast<std::ptrdiff_t>(model.crystals().size()))
            throw py::value_error("crystal must count in crystals or be -1, got " + std::to_string(number));
    return of;
}

/// Orientations (n, k, 4), scores and spreads (n, k); NaN where there was no candidate.
py::dict refine_candidates(const KinematicModel& model, const py::array& patterns, const py::array& crystal, const py::array& orientation,
                           const py::array& levels, int threads, const std::optional<py::array>& sums) {
    const std::span<const float> data = view<float>(patterns, "patterns", {any, model.grid().n_rings, model.grid().n_azimuths});
    const py::ssize_t n = patterns.shape(0);
    const std::span<const std::int16_t> of = crystal_numbers(model, crystal, {n, any});
    const py::ssize_t k = crystal.shape(1);
    const RefineStart start{of, quaternion_view(orientation, "orientation", {n, k, 4}), n, k, sums_view(sums, n)};
    const std::span<const double> scale = view<double>(levels, "levels", {n, static_cast<py::ssize_t>(model.crystals().size())});
    std::vector<Refined> refined(of.size());
    NewArray<double> turned({n, k, 4});
    NewArray<float> score({n, k}), spread({n, k}), half_turn({n});
    std::ranges::fill(half_turn.span, nothing);
    run([&](const Poll& poll) { refine(model, data, start, scale, threads, poll, refined, half_turn.span); });
    for (std::size_t i = 0; i < refined.size(); ++i) {
        const Quaternion& q = refined[i].orientation;
        const bool there = refined[i].found();
        const double values[] = {q.w, q.x, q.y, q.z};
        for (std::size_t j = 0; j < 4; ++j) turned.span[4 * i + j] = there ? values[j] : double{nothing};
        score.span[i] = there ? refined[i].score : nothing;
        spread.span[i] = there ? refined[i].spread : nothing;
    }
    return py::dict(py::arg("orientation") = turned.array, py::arg("score") = score.array, py::arg("spread") = spread.array,
                    py::arg("half_turn") = half_turn.array);
}

/// Largest score (n,) of the candidates that are the first one turned by half about an axis near the beam; NaN where there is none.
py::array_t<float> turned_rivals(const KinematicModel& model, const py::array& crystal, const py::array& orientation, const py::array& score) {
    const std::span<const std::int16_t> of = crystal_numbers(model, crystal, {any, any});
    const py::ssize_t n = crystal.shape(0), k = crystal.shape(1);
    const std::span<const Quaternion> turned = quaternion_view(orientation, "orientation", {n, k, 4});
    const std::span<const float> scores = view<float>(score, "score", {n, k});
    NewArray<float> best({n});
    std::ranges::fill(best.span, nothing);
    const auto ranks = static_cast<std::size_t>(k);
    for (std::size_t p = 0; p < best.span.size(); ++p) {
        const std::size_t first = p * ranks;
        for (std::size_t i = first + 1; i < first + ranks; ++i)
            if (of[first] >= 0 && of[i] == of[first] && !(scores[i] <= best.span[p]) && scores[i] == scores[i] &&
                model.crystals()[static_cast<std::size_t>(of[i])].are_half_turned(turned[first], turned[i]))
                best.span[p] = scores[i];
    }
    return best.array;
}

/// Arguments of functions of one orientation per pattern, checked.
Answers one_each(const KinematicModel& model, const py::array& crystal, const py::array& orientation, double radius) {
    const std::span<const std::int16_t> of = crystal_numbers(model, crystal, {any});
    if (!(radius > 0 && radius < 1)) throw py::value_error("radius must be above 0 and below 1 (1/angstrom)");
    return {of, quaternion_view(orientation, "orientation", {crystal.shape(0), 4})};
}

py::array_t<std::uint8_t> spot_mask(const KinematicModel& model, const py::array& crystal, const py::array& orientation, double radius,
                                    int threads) {
    const Answers answers = one_each(model, crystal, orientation, radius);
    NewArray<std::uint8_t> mask({crystal.shape(0), model.grid().n_rings, model.grid().n_azimuths});
    std::ranges::fill(mask.span, std::uint8_t{0});
    run([&](const Poll& poll) { mark_spots(model, answers, radius, threads, poll, mask.span); });
    return mask.array;
}

/// (n, 3): predicted, met, share that chance would meet.
py::array_t<double> spots_met(const KinematicModel& model, const py::array& peaks, const py::array& crystal, const py::array& orientation,
                              double radius, int threads, double enough) {
    const Answers answers = one_each(model, crystal, orientation, radius);
    const std::span<const float> data = view<float>(peaks, "peaks", {crystal.shape(0), model.grid().n_rings, model.grid().n_azimuths});
    std::vector<SpotsMet> met(answers.crystal.size());
    run([&](const Poll& poll) { count_spots_met(model, data, answers, radius, enough, threads, poll, met); });
    NewArray<double> out({crystal.shape(0), 3});
    for (std::size_t i = 0; i < met.size(); ++i) {
        const double values[] = {met[i].predicted, met[i].met, met[i].chance};
        std::ranges::copy(values, out.span.begin() + static_cast<std::ptrdiff_t>(3 * i));
    }
    return out.array;
}

RefineOptions refine_options(double wavelength, double excitation_width, double precession_angle, double reach, double distinct_angle) {
    if (!(wavelength > 0)) throw py::value_error("wavelength must be positive (angstrom)");
    if (!(excitation_width > 0)) throw py::value_error("excitation_width must be positive (1/angstrom)");
    if (!(reach >= 0 && reach < 0.5)) throw py::value_error("reach must be 0 to 0.5 radians, got " + std::to_string(reach));
    return RefineOptions{wavelength, excitation_width, precession_angle, reach, distinct_angle};
}

KinematicModel kinematic_model(const std::vector<const KinematicCrystal*>& crystals, const PolarGrid& grid, const RefineOptions& options) {
    std::vector<KinematicCrystal> copies;
    for (const KinematicCrystal* crystal : crystals) copies.push_back(*crystal);
    return KinematicModel(std::move(copies), grid, options);
}

}  // namespace

void bind_refinement(py::module_& m) {
    py::class_<KinematicCrystal>(m, "KinematicCrystal")
        .def(py::init([](const py::array& g, const py::array& intensity, double template_exponent, const py::array& symmetry) {
                 return KinematicCrystal(view<double>(g, "g", {any, 3}), view<double>(intensity, "intensity", {g.shape(0)}), template_exponent,
                                         quaternions(symmetry, "symmetry"));
             }), py::kw_only(), py::arg("g"), py::arg("intensity"), py::arg("template_exponent"), py::arg("symmetry"))
        .def_property_readonly("size", &KinematicCrystal::size);

    py::class_<RefineOptions>(m, "RefineOptions")
        .def(py::init(&refine_options), py::kw_only(), py::arg("wavelength"), py::arg("excitation_width"), py::arg("precession_angle"),
             py::arg("reach"), py::arg("distinct_angle"));

    py::class_<KinematicModel>(m, "KinematicModel")
        .def(py::init(&kinematic_model), py::arg("crystals"), py::arg("grid"), py::arg("options"))
        .def("refine", &refine_candidates, py::arg("patterns"), py::arg("crystal"), py::arg("orientation"), py::arg("levels"), py::arg("threads"),
             py::arg("sums") = py::none())
        .def("turned_rivals", &turned_rivals, py::arg("crystal"), py::arg("orientation"), py::arg("score"))
        .def("spot_mask", &spot_mask, py::arg("crystal"), py::arg("orientation"), py::arg("radius"), py::arg("threads"))
        .def("spots_met", &spots_met, py::arg("peaks"), py::arg("crystal"), py::arg("orientation"), py::arg("radius"), py::arg("threads"),
             py::arg("enough") = 0.0);
}

}  // namespace nbedex::bindings
