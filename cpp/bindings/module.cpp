// nbedex._core: array kernels. Layout is checked here (arrays.hpp), meaning in Python.
#include <pybind11/complex.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "calls.hpp"
#include "frame_file.hpp"
#include "kept_memory.hpp"
#include "nbedex/beam_center.hpp"
#include "nbedex/bloch.hpp"
#include "nbedex/match.hpp"
#include "nbedex/preprocess.hpp"
#include "nbedex/search.hpp"
#include "nbedex/simulate.hpp"

namespace py = pybind11;
using namespace nbedex;
using namespace nbedex::bindings;

namespace {

py::dict simulate(const py::array& g, const py::array& intensity, const py::array& hkl, const py::array& orientations,
                  const SimulationOptions& options, int threads) {
    const Reflections reflections{view<double>(g, "g", {any, 3}), view<double>(intensity, "intensity", {g.shape(0)}),
                                  view<std::int32_t>(hkl, "hkl", {g.shape(0), 3})};
    const std::vector<Quaternion> rotations = quaternions(orientations, "orientations");
    SpotPatterns spots;
    run([&](const Poll& poll) { spots = simulate_patterns(reflections, rotations, options, threads, poll); });
    return py::dict(py::arg("offset") = copy_out(spots.offset), py::arg("kx") = copy_out(spots.kx),
                    py::arg("ky") = copy_out(spots.ky), py::arg("intensity") = copy_out(spots.intensity),
                    py::arg("reflection") = copy_out(spots.reflection));
}

BlochCrystal bloch_crystal(const py::array& coupling_hkl, const py::array& coupling, const py::array& hkl, const py::array& g) {
    return BlochCrystal({view<std::int32_t>(coupling_hkl, "coupling_hkl", {any, 3}),
                         view<std::complex<double>>(coupling, "coupling", {coupling_hkl.shape(0)})},
                        {view<std::int32_t>(hkl, "hkl", {any, 3}), view<double>(g, "g", {hkl.shape(0), 3})});
}

py::dict bloch_patterns(const BlochCrystal& crystal, const py::array& orientations, const BlochOptions& options, int threads) {
    const std::vector<Quaternion> rotations = quaternions(orientations, "orientations");
    DynamicalPatterns out;
    run([&](const Poll& poll) { out = crystal.patterns(rotations, options, threads, poll); });
    py::array_t<float> intensity = copy_out(out.intensity);
    const auto beams = static_cast<py::ssize_t>(out.reflection.size()), depths = static_cast<py::ssize_t>(options.thickness.size());
    return py::dict(py::arg("offset") = copy_out(out.offset), py::arg("reflection") = copy_out(out.reflection),
                    py::arg("kx") = copy_out(out.kx), py::arg("ky") = copy_out(out.ky),
                    py::arg("intensity") = intensity.reshape({beams, depths}));
}

BlochOptions bloch_options(double wavelength, double max_excitation_error, double strong_excitation_error,
                           std::vector<double> thickness) {
    if (!(wavelength > 0)) throw py::value_error("wavelength must be positive (angstrom)");
    if (!(max_excitation_error >= 0)) throw py::value_error("max_excitation_error must not be negative (1/angstrom)");
    if (!(strong_excitation_error > 0)) throw py::value_error("strong_excitation_error must be positive (1/angstrom)");
    double before = 0;
    for (const double t : thickness) {
        if (!(t >= before && t <= 1e5)) throw py::value_error("thickness must rise from 0 to at most 1e5 angstrom");
        before = t;
    }
    return {wavelength, max_excitation_error, strong_excitation_error, std::move(thickness)};
}

py::ssize_t frame_count(const py::array& frames) {
    require_layout(frames, "frames", {any, any, any});
    return frames.shape(0);
}

/// Calls body(frame, number, thread) for every frame, in parallel.
template <class F>
void for_each_frame(const py::array& frames, const std::optional<py::array>& mask, int threads, F&& body) {
    const py::ssize_t n = frames.shape(0), rows = frames.shape(1), columns = frames.shape(2);
    const std::uint8_t* masked = mask ? view<std::uint8_t>(*mask, "mask", {rows, columns}).data() : nullptr;
    dispatch_frames(frames, [&]<class T>(const T* data) {
        run([&](const Poll& poll) {
            parallel_for(n, threads, poll, [&](std::ptrdiff_t i, int thread) {
                body(Frame<T>{data + i * rows * columns, rows, columns, masked}, static_cast<std::size_t>(i),
                     static_cast<std::size_t>(thread));
            });
        });
    });
}

#ifdef NBEDEX_HAS_PREAD
/// The same for frames in a file, each read by the thread that works on it.
template <class F>
void for_each_frame(const FrameFile& file, const std::optional<py::array>& mask, int threads, F&& body) {
    const py::ssize_t rows = file.rows(), columns = file.columns();
    const std::uint8_t* masked = mask ? view<std::uint8_t>(*mask, "mask", {rows, columns}).data() : nullptr;
    dispatch_pixels(file.dtype(), [&]<class T>() {
        std::vector<std::vector<T>> buffer(static_cast<std::size_t>(threads_for(file.size(), threads)));
        run([&](const Poll& poll) {
            parallel_for(file.size(), threads, poll, [&](std::ptrdiff_t i, int thread) {
                std::vector<T>& pixels = buffer[static_cast<std::size_t>(thread)];
                pixels.resize(static_cast<std::size_t>(rows * columns));
                file.read(static_cast<std::size_t>(i), pixels.data());
                body(Frame<T>{pixels.data(), rows, columns, masked}, static_cast<std::size_t>(i), static_cast<std::size_t>(thread));
            });
        });
    });
}
#endif

/// Calls body(frame, number, thread) for every frame of an array or of a file, in parallel.
template <class F>
void for_each_given(const py::object& frames, const std::optional<py::array>& mask, int threads, F&& body) {
#ifdef NBEDEX_HAS_PREAD
    if (py::isinstance<FrameFile>(frames)) return for_each_frame(frames.cast<const FrameFile&>(), mask, threads, body);
#endif
    const auto array = frames.cast<py::array>();
    frame_count(array);
    for_each_frame(array, mask, threads, body);
}

std::vector<PrepareScratch> scratch_for(py::ssize_t n, int threads) {
    return std::vector<PrepareScratch>(static_cast<std::size_t>(threads_for(n, threads)));
}

/// filled: (m, 2) pixels and where each has its value from, row-major numbers.
SpotFilter spot_filter(const py::array& quadrant, const py::array& filled, py::ssize_t rows, py::ssize_t columns) {
    const std::span<const float> values = view<float>(quadrant, "quadrant", {any, quadrant.shape(0)});
    const std::span<const std::int64_t> numbers = view<std::int64_t>(filled, "filled", {any, 2});
    std::vector<SpotFilter::Filled> pairs;
    for (std::size_t i = 0; i < numbers.size(); i += 2) pairs.push_back({numbers[i], numbers[i + 1]});
    return SpotFilter(values, static_cast<std::size_t>(quadrant.shape(0)) - 1, pairs, rows, columns);
}

/// Patterns, the sparser ones that are searched (None unless wanted), status, and power sums of both, (2, n, 3).
class PreparedArrays {
public:
    PreparedArrays(py::ssize_t n, const PolarGrid& grid, bool with_peaks)
        : polar_({n, grid.n_rings, grid.n_azimuths}), peaks_({with_peaks ? n : 0, grid.n_rings, grid.n_azimuths}), status_({n}),
          sums_({2, n, 3}), size_(grid.size()), peak_size_(with_peaks ? size_ : 0) {}

    [[nodiscard]] std::span<float> polar(std::size_t p) const { return polar_.span.subspan(p * size_, size_); }
    [[nodiscard]] std::span<float> peaks(std::size_t p) const { return peaks_.span.subspan(p * peak_size_, peak_size_); }

    void set(std::size_t p, const Prepared& prepared) const {
        status_.span[p] = static_cast<std::uint8_t>(prepared.status);
        put(p, prepared.sums);
        put(status_.span.size() + p, prepared.peak_sums);
    }

    [[nodiscard]] py::tuple tuple() const {
        return py::make_tuple(polar_.array, peak_size_ > 0 ? py::object(peaks_.array) : py::none(), status_.array, sums_.array);
    }

private:
    void put(std::size_t place, const PowerSums& sums) const {
        const double values[] = {sums.first, sums.second, sums.third};
        std::ranges::copy(values, sums_.span.begin() + static_cast<std::ptrdiff_t>(3 * place));
    }

    KeptArray<float> polar_, peaks_;
    NewArray<std::uint8_t> status_;
    NewArray<double> sums_;
    std::size_t size_, peak_size_;
};

py::tuple prepare(const py::object& frames, const py::array& centers, const PolarSampler& sampler, const Preprocessing& options,
                  const std::optional<py::array>& mask, int threads, bool with_peaks, const SpotFilter* filter) {
    const auto n = static_cast<py::ssize_t>(py::len(frames));
    const std::span<const double> center = view<double>(centers, "centers", {n, 2});
    const PreparedArrays out(n, sampler.grid(), with_peaks);
    std::vector<PrepareScratch> scratch = scratch_for(n, threads);
    for_each_given(frames, mask, threads, [&](const auto& frame, std::size_t p, std::size_t thread) {
        out.set(p, prepare_pattern(sampler, filter, frame, center[2 * p], center[2 * p + 1], options, scratch[thread],
                                   out.polar(p), out.peaks(p)));
    });
    return out.tuple();
}

/// The same of what is already unwrapped.
py::tuple finish(const py::array& unwrapped, const PolarGrid& grid, const Preprocessing& options, int threads) {
    const std::span<const float> data = view<float>(unwrapped, "unwrapped", {any, grid.n_rings, grid.n_azimuths});
    const PreparedArrays out(unwrapped.shape(0), grid, true);
    run([&](const Poll& poll) {
        parallel_for(unwrapped.shape(0), threads, poll, [&](std::ptrdiff_t i, int) {
            const auto p = static_cast<std::size_t>(i);
            const Bins bins{data.data() + p * grid.size(), static_cast<std::size_t>(grid.n_azimuths)};
            out.set(p, finish_pattern(grid, options, bins, out.polar(p), out.peaks(p)));
        });
    });
    return out.tuple();
}

/// (n, 3): sums of first, second and third powers.
py::array_t<double> power_sums_of(const py::array& patterns, int threads) {
    const std::span<const float> data = view<float>(patterns, "patterns", {any, any, any});
    NewArray<double> out({patterns.shape(0), 3});
    const std::size_t size = static_cast<std::size_t>(patterns.shape(1) * patterns.shape(2));
    run([&](const Poll& poll) {
        parallel_for(patterns.shape(0), threads, poll, [&](std::ptrdiff_t i, int) {
            const auto p = static_cast<std::size_t>(i);
            const PowerSums sums = power_sums(data.subspan(p * size, size));
            const double values[] = {sums.first, sums.second, sums.third};
            std::ranges::copy(values, out.span.begin() + static_cast<std::ptrdiff_t>(3 * p));
        });
    });
    return out.array;
}

py::array_t<std::uint8_t> check(const py::array& frames, const Preprocessing& options, const std::optional<py::array>& mask,
                                int threads) {
    NewArray<std::uint8_t> status({frame_count(frames)});
    for_each_frame(frames, mask, threads, [&](const auto& frame, std::size_t p, std::size_t) {
        status.span[p] = static_cast<std::uint8_t>(check_frame(frame, options));
    });
    return status.array;
}

py::array_t<float> unwrap(const py::array& frames, const py::array& centers, const PolarSampler& sampler,
                          const std::optional<py::array>& mask, int threads, const SpotFilter* filter) {
    const py::ssize_t n = frame_count(frames);
    const std::span<const double> center = view<double>(centers, "centers", {n, 2});
    const auto n_rings = static_cast<std::size_t>(sampler.grid().n_rings);
    const auto n_azimuths = static_cast<std::size_t>(sampler.grid().n_azimuths);
    NewArray<float> polar({n, sampler.grid().n_rings, sampler.grid().n_azimuths});
    std::vector<PrepareScratch> scratch = scratch_for(n, threads);
    for_each_frame(frames, mask, threads, [&](const auto& frame, std::size_t p, std::size_t thread) {
        const Bins bins = unwrap_filtered(sampler, filter, frame, center[2 * p], center[2 * p + 1], scratch[thread]);
        for (std::size_t ring = 0; ring < n_rings; ++ring)
            std::copy_n(bins.data + ring * bins.stride, n_azimuths, polar.span.data() + (p * n_rings + ring) * n_azimuths);
    });
    return polar.array;
}

py::array_t<double> find_beams(const py::array& frames, const BeamSearch& search, const std::optional<py::array>& mask,
                               int threads) {
    NewArray<double> out({frame_count(frames), 3});
    for_each_frame(frames, mask, threads, [&](const auto& frame, std::size_t p, std::size_t) {
        const BeamCenter beam = find_beam(frame, search);
        out.span[3 * p] = beam.row;
        out.span[3 * p + 1] = beam.column;
        out.span[3 * p + 2] = beam.contrast;
    });
    return out.array;
}

TemplateSet pack(const py::array& offset, const py::array& kx, const py::array& ky, const py::array& intensity,
                 const PolarGrid& grid, float exponent, const py::array& orientations, const py::array& symmetry, int max_spots) {
    if (max_spots < 0) throw py::value_error("max_spots must not be negative, got " + std::to_string(max_spots));
    const std::vector<Quaternion> rotations = quaternions(orientations, "orientations");
    const auto n = static_cast<py::ssize_t>(rotations.size());
    const SpotList spots{view<std::int64_t>(offset, "offset", {n + 1}), view<float>(kx, "kx", {any}),
                         view<float>(ky, "ky", {kx.shape(0)}), view<float>(intensity, "intensity", {kx.shape(0)})};
    std::int64_t before = 0;
    for (const std::int64_t end : spots.offset) {
        if (end < before || end > kx.shape(0))
            throw py::value_error("offset must rise from 0 to the number of spots, " + std::to_string(kx.shape(0)));
        before = end;
    }
    return pack_templates(spots, grid, exponent, static_cast<std::size_t>(max_spots), rotations, quaternions(symmetry, "symmetry"));
}

py::dict as_dict(const SearchStatistics& s) {
    return py::dict(py::arg("images") = s.images, py::arg("past_groups") = s.past_groups, py::arg("past_sectors") = s.past_sectors,
                    py::arg("windows") = s.windows, py::arg("scored") = s.scored,
                    py::arg("hits") = s.hits);
}

/// What one phase's candidates are written into, and given to Python from.
class PhaseResult {
public:
    PhaseResult(py::ssize_t n_patterns, py::ssize_t n_best)
        : shape_({n_patterns, n_best}), found_(static_cast<std::size_t>(n_patterns * n_best)), mirror_({n_patterns}), half_turn_({n_patterns}) {}

    [[nodiscard]] MatchOutput output() { return {found_, mirror_.span, half_turn_.span}; }

    [[nodiscard]] py::dict as_dict() const {
        NewArray<std::int32_t> template_id(shape_), azimuth(shape_);
        NewArray<std::uint8_t> mirrored(shape_);
        NewArray<float> score(shape_), azimuth_offset(shape_);
        for (std::size_t i = 0; i < found_.size(); ++i) {
            template_id.span[i] = found_[i].template_id;
            azimuth.span[i] = found_[i].azimuth;
            mirrored.span[i] = found_[i].mirrored;
            score.span[i] = found_[i].score;
            azimuth_offset.span[i] = found_[i].azimuth_offset;
        }
        return py::dict(py::arg("template_id") = template_id.array, py::arg("azimuth") = azimuth.array,
                        py::arg("mirrored") = mirrored.array, py::arg("score") = score.array,
                        py::arg("azimuth_offset") = azimuth_offset.array, py::arg("mirror_score") = mirror_.array,
                        py::arg("half_turn_score") = half_turn_.array);
    }

private:
    std::vector<py::ssize_t> shape_;
    std::vector<Candidate> found_;
    NewArray<float> mirror_, half_turn_;
};

/// One dict per phase, and the statistics of the search.
py::tuple match(const std::vector<const TemplateSet*>& phases, const py::array& patterns, const MatchOptions& options,
                const std::optional<py::array>& levels, const std::optional<py::array>& sums, bool exhaustive) {
    if (phases.empty()) throw py::value_error("at least one phase is needed");
    const TemplateSet& any_phase = *phases.front();
    for (const TemplateSet* phase : phases)
        if (phase->n_rings != any_phase.n_rings || phase->n_azimuths != any_phase.n_azimuths)
            throw py::value_error("all phases must be packed for the same polar grid");
    const std::span<const float> data = view<float>(patterns, "patterns", {any, any_phase.n_rings, any_phase.n_azimuths});
    const py::ssize_t n = patterns.shape(0);
    Patterns given{data, n, {}, sums_view(sums, n)};
    if (levels) given.level = view<float>(*levels, "levels", {n, static_cast<py::ssize_t>(phases.size())});
    for (const float level : given.level)
        if (!(level > 0 && std::isfinite(level))) throw py::value_error("levels must be above zero, got " + std::to_string(level));
    std::vector<PhaseResult> results;
    std::vector<MatchOutput> outputs;
    for (std::size_t i = 0; i < phases.size(); ++i) results.emplace_back(n, options.n_best);
    for (PhaseResult& result : results) outputs.push_back(result.output());
    SearchStatistics statistics;
    run([&](const Poll& poll) {
        if (exhaustive)
            match_exhaustive(phases, given, options, poll, outputs);
        else
            statistics = match_pruned(phases, given, options, poll, outputs);
    });
    py::list found;
    for (const PhaseResult& result : results) found.append(result.as_dict());
    return py::make_tuple(found, as_dict(statistics));
}

/// The group of each template; -1: none.
py::array_t<std::int32_t> group_of(const TemplateSet& templates) {
    NewArray<std::int32_t> out({static_cast<py::ssize_t>(templates.size())});
    std::ranges::fill(out.span, -1);
    const TemplateGroups& groups = templates.groups;
    for (std::size_t g = 0; g + 1 < groups.first_member.size(); ++g)
        for (auto i = groups.first_member[g]; i < groups.first_member[g + 1]; ++i)
            out.span[static_cast<std::size_t>(groups.member[static_cast<std::size_t>(i)])] = static_cast<std::int32_t>(g);
    return out.array;
}

/// For each template, whether the bound of its group is at least a score.
py::array_t<bool> groups_reach(const TemplateSet& templates, const py::array& pattern, const py::array& scores) {
    NewArray<bool> out({static_cast<py::ssize_t>(templates.size())});
    groups_reaching(templates, view<float>(pattern, "pattern", {templates.n_rings, templates.n_azimuths}),
                    view<float>(scores, "scores", {static_cast<py::ssize_t>(templates.size())}), out.span);
    return out.array;
}

ShapeFactor shape_factor_named(const std::string& name) {
    const std::pair<const char*, ShapeFactor> models[] = {
        {"binary", ShapeFactor::binary}, {"linear", ShapeFactor::linear}, {"lorentzian", ShapeFactor::lorentzian},
        {"sinc", ShapeFactor::sinc},     {"sin2c", ShapeFactor::sin2c},   {"atanc", ShapeFactor::atanc}};
    for (const auto& [known, model] : models)
        if (name == known) return model;
    throw py::value_error("shape must be binary, linear, lorentzian, sinc, sin2c or atanc, got " + name);
}

}  // namespace

PYBIND11_MODULE(_core, m) {
    m.doc() = "Array kernels of nbedex. Use the nbedex package, which checks meaning; here only layout is checked.";

    bind_frame_file(m);
    py::class_<Stop>(m, "Stop")
        .def(py::init<>())
        .def("set", &Stop::set)
        .def("watch", &Stop::watch);
    py::class_<PolarGrid>(m, "PolarGrid")
        .def(py::init([](int n_rings, int n_azimuths, double k_min, double k_max) {
                 return PolarGrid{n_rings, n_azimuths, k_min, k_max};
             }), py::kw_only(), py::arg("n_rings"), py::arg("n_azimuths"), py::arg("k_min"), py::arg("k_max"))
        .def_readonly("n_rings", &PolarGrid::n_rings)
        .def_readonly("n_azimuths", &PolarGrid::n_azimuths)
        .def_readonly("k_min", &PolarGrid::k_min)
        .def_readonly("k_max", &PolarGrid::k_max);

    py::class_<PolarSampler>(m, "PolarSampler")
        .def(py::init([](const PolarGrid& grid, const py::array& matrix, double spacing) {
                 const auto v = view<double>(matrix, "detector_from_sample", {2, 2});
                 return PolarSampler(grid, {v[0], v[1], v[2], v[3]}, spacing);
             }), py::arg("grid"), py::arg("detector_from_sample"), py::arg("spacing") = 1.0);

    py::class_<SpotFilter>(m, "SpotFilter")
        .def(py::init(&spot_filter), py::kw_only(), py::arg("quadrant"), py::arg("filled"), py::arg("rows"), py::arg("columns"));

    py::class_<Preprocessing>(m, "Preprocessing")
        .def(py::init([](bool remove_background, float background_sigma, float peak_sigma, float exponent, double saturation,
                         double max_saturated, double max_non_finite, double min_contrast) {
                 return Preprocessing{remove_background, background_sigma, peak_sigma, exponent, saturation, max_saturated, max_non_finite, min_contrast};
             }), py::kw_only(), py::arg("remove_background"), py::arg("background_sigma"), py::arg("peak_sigma") = 0.0F,
             py::arg("exponent"), py::arg("saturation"), py::arg("max_saturated"), py::arg("max_non_finite"), py::arg("min_contrast") = 0.0)
        .def("with_min_contrast", [](Preprocessing options, double min_contrast) {
            options.min_contrast = min_contrast;
            return options;
        }, py::arg("min_contrast"));

    py::class_<BeamSearch>(m, "BeamSearch")
        .def(py::init([](double row, double column, double search_radius, double beam_radius) {
                 return BeamSearch{row, column, search_radius, beam_radius};
             }), py::kw_only(), py::arg("row"), py::arg("column"), py::arg("search_radius"), py::arg("beam_radius"));

    py::class_<SimulationOptions>(m, "SimulationOptions")
        .def(py::init([](double wavelength, double max_excitation_error, double shape_width, const std::string& shape,
                         double precession_angle, double minimum_intensity, double double_diffraction) {
                 return SimulationOptions{wavelength, max_excitation_error, shape_width, shape_factor_named(shape),
                                          precession_angle, minimum_intensity, double_diffraction};
             }), py::kw_only(), py::arg("wavelength"), py::arg("max_excitation_error"), py::arg("shape_width"),
             py::arg("shape"), py::arg("precession_angle"), py::arg("minimum_intensity"), py::arg("double_diffraction"));

    py::class_<MatchOptions>(m, "MatchOptions")
        .def(py::init([](int n_best, double distinct_angle, float rival_share, int threads) {
                 if (n_best < 1) throw py::value_error("n_best must be at least 1, got " + std::to_string(n_best));
                 if (!(distinct_angle >= 1e-6))
                     throw py::value_error("distinct_angle must be at least 1e-6 radians, got " + std::to_string(distinct_angle));
                 if (!(rival_share >= 0 && rival_share < 1))
                     throw py::value_error("rival_share must be at least 0 and below 1, got " + std::to_string(rival_share));
                 return MatchOptions{n_best, distinct_angle, rival_share, threads};
             }), py::kw_only(), py::arg("n_best"), py::arg("distinct_angle"), py::arg("rival_share") = 0.0F, py::arg("threads"));

    py::class_<TemplateSet>(m, "TemplateSet")
        .def_property_readonly("size", &TemplateSet::size)
        .def_property_readonly("n_spots", [](const TemplateSet& t) { return t.weight.size(); })
        .def_property_readonly("group", &group_of)
        .def_property_readonly("offset", [](const TemplateSet& t) { return copy_out(t.offset); })
        .def_property_readonly("ring", [](const TemplateSet& t) { return copy_out(t.ring); })
        .def_property_readonly("azimuth", [](const TemplateSet& t) { return copy_out(t.azimuth); })
        .def_property_readonly("weight", [](const TemplateSet& t) { return copy_out(t.weight); });

    py::class_<BlochOptions>(m, "BlochOptions")
        .def(py::init(&bloch_options), py::kw_only(), py::arg("wavelength"), py::arg("max_excitation_error"),
             py::arg("strong_excitation_error"), py::arg("thickness"));

    py::class_<BlochCrystal>(m, "BlochCrystal")
        .def(py::init(&bloch_crystal), py::kw_only(), py::arg("coupling_hkl"), py::arg("coupling"), py::arg("hkl"), py::arg("g"))
        .def_property_readonly("is_real", &BlochCrystal::is_real)
        .def_property_readonly("size", &BlochCrystal::size)
        .def("patterns", &bloch_patterns, py::arg("orientations"), py::arg("options"), py::arg("threads"));

    m.def("simulate_patterns", &simulate, py::arg("g"), py::arg("intensity"), py::arg("hkl"), py::arg("orientations"),
          py::arg("options"), py::arg("threads"));
    m.def("find_beams", &find_beams, py::arg("frames"), py::arg("search"), py::arg("mask"), py::arg("threads"));
    m.def("unwrap", &unwrap, py::arg("frames"), py::arg("centers"), py::arg("sampler"), py::arg("mask"), py::arg("threads"),
          py::arg("spot_filter") = nullptr);
    m.def("check_frames", &check, py::arg("frames"), py::arg("options"), py::arg("mask"), py::arg("threads"));
    m.def("prepare_patterns", &prepare, py::arg("frames"), py::arg("centers"), py::arg("sampler"), py::arg("options"),
          py::arg("mask"), py::arg("threads"), py::arg("with_peaks") = false, py::arg("spot_filter") = nullptr);
    m.def("finish_patterns", &finish, py::arg("unwrapped"), py::arg("grid"), py::arg("options"), py::arg("threads"));
    m.def("power_sums", &power_sums_of, py::arg("patterns"), py::arg("threads"));
    m.def("pack_templates", &pack, py::arg("offset"), py::arg("kx"), py::arg("ky"), py::arg("intensity"), py::arg("grid"),
          py::arg("exponent"), py::arg("orientations"), py::arg("symmetry"), py::arg("max_spots") = 0);
    for (const bool exhaustive : {true, false})
        m.def(exhaustive ? "match_exhaustive" : "match_pruned",
              [exhaustive](const std::vector<const TemplateSet*>& phases, const py::array& patterns, const MatchOptions& options,
                           const std::optional<py::array>& levels, const std::optional<py::array>& sums) {
                  return match(phases, patterns, options, levels, sums, exhaustive);
              },
              py::arg("phases"), py::arg("patterns"), py::arg("options"), py::arg("levels") = py::none(), py::arg("sums") = py::none());
    m.def("groups_reach", &groups_reach, py::arg("templates"), py::arg("pattern"), py::arg("scores"));
    bind_grains(m);
    bind_refinement(m);
    bind_rerank(m);
    m.def("build_info", [] {
        return py::dict(py::arg("version") = NBEDEX_VERSION, py::arg("compiler") = NBEDEX_COMPILER,
                        py::arg("openmp") = has_openmp(), py::arg("isa") = active_isa(),
                        py::arg("threads") = available_threads());
    });
}
