// Bindings of disorientation.hpp, segmentation.hpp and regions.hpp.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "calls.hpp"
#include "nbedex/disorientation.hpp"
#include "nbedex/regions.hpp"
#include "nbedex/segmentation.hpp"

namespace nbedex::bindings {
namespace {

/// The arrays behind an OrientationGrid, checked.
class Map {
public:
    Map(const py::array& phase, const py::array& orientation, const std::vector<py::array>& symmetry) {
        const auto phases = view<std::int16_t>(phase, "phase_id", {any, any});
        for (const py::array& operators : symmetry) {
            const auto group = quaternions(operators, "symmetry");
            if (group.empty() || group.size() > 1024) throw py::value_error("symmetry must hold 1 to 1024 operators for every phase");
            symmetry_.emplace_back(group);
        }
        for (const std::int16_t id : phases)
            if (id >= static_cast<std::ptrdiff_t>(symmetry.size())) throw py::value_error("phase_id must be below the number of phases");
        grid_ = {phase.shape(0), phase.shape(1), phases,
                 quaternion_view(orientation, "orientation", {phase.shape(0), phase.shape(1), 4}), symmetry_};
    }
    Map(const Map&) = delete;
    Map& operator=(const Map&) = delete;
    [[nodiscard]] const OrientationGrid& grid() const { return grid_; }

private:
    std::vector<Disorientation> symmetry_;
    OrientationGrid grid_;
};

/// Labels of every pixel, each below n; also below 0 where `or_none`.
std::span<const std::int32_t> labels(const py::array& label, py::ssize_t rows, py::ssize_t columns, py::ssize_t n, bool or_none) {
    const auto values = view<std::int32_t>(label, "label", {rows, columns});
    for (const std::int32_t value : values)
        if (value >= n || (value < 0 && !or_none)) throw py::value_error("label must lie below the number of regions");
    return values;
}

void require_angle(double angle, const char* name) {
    if (!(angle > 0 && angle < 7)) throw py::value_error(std::string(name) + " must be a positive angle in radians");
}

/// Pixels that count must have a phase, for their symmetry is looked up by it.
void require_indexed(std::span<const std::uint8_t> own, std::span<const std::int16_t> phase) {
    for (std::size_t p = 0; p < own.size(); ++p)
        if (own[p] && phase[p] < 0) throw py::value_error("own must be False where phase_id is negative");
}

py::tuple pair_disorientations(const py::array& first, const py::array& second, const py::array& first_symmetry,
                               const py::array& second_symmetry, bool exchange, bool reduce, int threads) {
    const auto a = quaternion_view(first, "first", {any, 4});
    const auto b = quaternion_view(second, "second", {first.shape(0), 4});
    const auto groups = {quaternions(first_symmetry, "first_symmetry"), quaternions(second_symmetry, "second_symmetry")};
    for (const auto& group : groups)
        if (group.empty() || group.size() > 1024) throw py::value_error("symmetry must hold 1 to 1024 operators");
    const Disorientation zone(*groups.begin(), *(groups.begin() + 1), exchange);
    NewArray<double> angle({first.shape(0)});
    NewArray<double> reduced({reduce ? first.shape(0) : 0, 4});
    const std::span<Quaternion> rotation{reinterpret_cast<Quaternion*>(reduced.span.data()), reduced.span.size() / 4};
    run([&](const Poll& poll) { disorientations(zone, a, b, angle.span, rotation, threads, poll); });
    return py::make_tuple(angle.array, reduce ? py::object(reduced.array) : py::object(py::none()));
}

py::array_t<std::int32_t> segment_pixels(const py::array& phase, const py::array& orientation, const std::vector<py::array>& symmetry,
                                         double threshold, int threads) {
    require_angle(threshold, "threshold");
    const Map map(phase, orientation, symmetry);
    NewArray<std::int32_t> label({phase.shape(0), phase.shape(1)});
    run([&](const Poll& poll) { join_pixels(map.grid(), threshold, label.span, threads, poll); });
    return label.array;
}

py::array_t<std::int32_t> merge_regions(const py::array& phase, const py::array& orientation, const std::vector<py::array>& symmetry,
                                        const py::array& own, const py::array& phase_of, double threshold, const py::array& label) {
    require_angle(threshold, "threshold");
    const Map map(phase, orientation, symmetry);
    const auto mine = view<std::uint8_t>(own, "own", {phase.shape(0), phase.shape(1)});
    const auto phases = view<std::int16_t>(phase_of, "phase_of", {any});
    for (const std::int16_t id : phases)
        if (id >= static_cast<std::ptrdiff_t>(symmetry.size())) throw py::value_error("phase_of must be below the number of phases");
    const auto before = labels(label, phase.shape(0), phase.shape(1), phase_of.shape(0), true);
    NewArray<std::int32_t> out({phase.shape(0), phase.shape(1)});
    std::copy(before.begin(), before.end(), out.span.begin());
    run([&](const Poll& poll) { join_regions(map.grid(), mine, phases, threshold, out.span, poll); });
    return out.array;
}

py::array_t<std::int32_t> changed_labels(const py::array& label, void (*change)(std::ptrdiff_t, std::ptrdiff_t, Labels)) {
    const auto before = view<std::int32_t>(label, "label", {any, any});
    NewArray<std::int32_t> out({label.shape(0), label.shape(1)});
    std::copy(before.begin(), before.end(), out.span.begin());
    const std::ptrdiff_t rows = label.shape(0), columns = label.shape(1);
    run([&](const Poll&) { change(rows, columns, out.span); });
    return out.array;
}

py::dict shapes(const py::array& label, std::int32_t n) {
    if (n < 0) throw py::value_error("n must not be negative, got " + std::to_string(n));
    const auto values = labels(label, any, any, n, false);
    std::vector<RegionShape> found;
    std::vector<std::pair<std::int32_t, std::int32_t>> touching;
    const std::ptrdiff_t rows = label.shape(0), columns = label.shape(1);
    run([&](const Poll&) {
        found = region_shapes(rows, columns, values, n);
        touching = region_contacts(rows, columns, values);
    });
    NewArray<std::int64_t> sums({n, 6}), crossings({n, 4}), bounds({n, 4});
    for (std::size_t i = 0; i < found.size(); ++i) {
        const RegionShape& s = found[i];
        const std::int64_t moments[] = {s.count, s.row, s.column, s.row_row, s.column_column, s.row_column};
        const std::int64_t box[] = {s.first_row, s.first_column, s.last_row, s.last_column};
        std::copy(std::begin(moments), std::end(moments), sums.span.begin() + static_cast<std::ptrdiff_t>(6 * i));
        std::copy(s.crossings.begin(), s.crossings.end(), crossings.span.begin() + static_cast<std::ptrdiff_t>(4 * i));
        std::copy(std::begin(box), std::end(box), bounds.span.begin() + static_cast<std::ptrdiff_t>(4 * i));
    }
    NewArray<std::int32_t> pairs({static_cast<py::ssize_t>(touching.size()), 2});
    for (std::size_t i = 0; i < touching.size(); ++i) pairs.span[2 * i] = touching[i].first, pairs.span[2 * i + 1] = touching[i].second;
    return py::dict(py::arg("sums") = sums.array, py::arg("crossings") = crossings.array, py::arg("bounds") = bounds.array,
                    py::arg("contacts") = pairs.array);
}

py::dict means(const py::array& phase, const py::array& orientation, const std::vector<py::array>& symmetry, const py::array& own,
               const py::array& phase_of, const py::array& label, int threads) {
    const Map map(phase, orientation, symmetry);
    const auto mine = view<std::uint8_t>(own, "own", {phase.shape(0), phase.shape(1)});
    const auto phases = view<std::int16_t>(phase_of, "phase_of", {any});
    const auto values = labels(label, phase.shape(0), phase.shape(1), phase_of.shape(0), false);
    for (std::size_t p = 0; p < mine.size(); ++p)
        if (mine[p] && map.grid().phase[p] != phases[static_cast<std::size_t>(values[p])])
            throw py::value_error("own must be True only for pixels of their region's phase");
    require_indexed(mine, map.grid().phase);
    std::vector<MeanOrientation> found;
    run([&](const Poll& poll) { found = mean_orientations(map.grid(), mine, phases, values, threads, poll); });
    NewArray<double> mean({phase_of.shape(0), 4}), spread({phase_of.shape(0)}), variance({phase_of.shape(0)}), of_mean({phase_of.shape(0)});
    for (std::size_t i = 0; i < found.size(); ++i) {
        const Quaternion& q = found[i].mean;
        const double components[] = {q.w, q.x, q.y, q.z};
        std::copy(std::begin(components), std::end(components), mean.span.begin() + static_cast<std::ptrdiff_t>(4 * i));
        spread.span[i] = found[i].spread, variance.span[i] = found[i].variance, of_mean.span[i] = found[i].variance_of_mean;
    }
    return py::dict(py::arg("mean") = mean.array, py::arg("spread") = spread.array, py::arg("variance") = variance.array,
                    py::arg("variance_of_mean") = of_mean.array);
}

py::array_t<float> grain_deviations(const py::array& phase, const py::array& orientation, const std::vector<py::array>& symmetry,
                                    const py::array& own, const py::array& mean, const py::array& label, int threads) {
    const Map map(phase, orientation, symmetry);
    const auto mine = view<std::uint8_t>(own, "own", {phase.shape(0), phase.shape(1)});
    require_indexed(mine, map.grid().phase);
    const auto means = quaternion_view(mean, "mean", {any, 4});
    const auto values = labels(label, phase.shape(0), phase.shape(1), mean.shape(0), false);
    NewArray<float> angle({phase.shape(0), phase.shape(1)});
    run([&](const Poll& poll) { deviations(map.grid(), mine, means, values, angle.span, threads, poll); });
    return angle.array;
}

py::array_t<float> kernel_misorientation(const py::array& phase, const py::array& orientation, const std::vector<py::array>& symmetry,
                                         const py::array& own, const std::optional<py::array>& label, int radius, double largest,
                                         int threads) {
    if (radius < 1 || radius > 100) throw py::value_error("radius must lie between 1 and 100 pixels");
    require_angle(largest, "largest");
    const Map map(phase, orientation, symmetry);
    const auto mine = view<std::uint8_t>(own, "own", {phase.shape(0), phase.shape(1)});
    require_indexed(mine, map.grid().phase);
    std::span<const std::int32_t> values;
    if (label) values = view<std::int32_t>(*label, "label", {phase.shape(0), phase.shape(1)});
    NewArray<float> angle({phase.shape(0), phase.shape(1)});
    run([&](const Poll& poll) { kernel_averages(map.grid(), mine, values, radius, largest, angle.span, threads, poll); });
    return angle.array;
}

}  // namespace

void bind_grains(py::module_& m) {
    m.def("disorientations", &pair_disorientations, py::arg("first"), py::arg("second"), py::arg("first_symmetry"),
          py::arg("second_symmetry"), py::kw_only(), py::arg("exchange"), py::arg("reduce"), py::arg("threads"));
    m.def("segment_pixels", &segment_pixels, py::arg("phase_id"), py::arg("orientation"), py::arg("symmetry"), py::kw_only(),
          py::arg("threshold"), py::arg("threads"));
    m.def("merge_regions", &merge_regions, py::arg("phase_id"), py::arg("orientation"), py::arg("symmetry"), py::kw_only(),
          py::arg("own"), py::arg("phase_of"), py::arg("threshold"), py::arg("label"));
    m.def("fill_regions", [](const py::array& label) { return changed_labels(label, &fill_from_around); }, py::arg("label"));
    m.def("number_regions", [](const py::array& label) {
        return changed_labels(label, [](std::ptrdiff_t, std::ptrdiff_t, Labels values) { number_by_first_pixel(values); });
    }, py::arg("label"));
    m.def("region_shapes", &shapes, py::arg("label"), py::arg("n"));
    m.def("mean_orientations", &means, py::arg("phase_id"), py::arg("orientation"), py::arg("symmetry"), py::kw_only(),
          py::arg("own"), py::arg("phase_of"), py::arg("label"), py::arg("threads"));
    m.def("grain_deviations", &grain_deviations, py::arg("phase_id"), py::arg("orientation"), py::arg("symmetry"), py::kw_only(),
          py::arg("own"), py::arg("mean"), py::arg("label"), py::arg("threads"));
    m.def("kernel_misorientation", &kernel_misorientation, py::arg("phase_id"), py::arg("orientation"), py::arg("symmetry"),
          py::kw_only(), py::arg("own"), py::arg("label"), py::arg("radius"), py::arg("largest"), py::arg("threads"));
}

}  // namespace nbedex::bindings
