#include "nbedex/rerank.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "nearby_crystal.hpp"
#include "pixel_types.hpp"

namespace nbedex {
namespace {

constexpr double search_weight = 0.002;  ///< of the kinematical likelihood while searching, against the score
constexpr double probe = 0.05 * std::numbers::pi / 180;  ///< radians: how far off the best tilt the score is looked at
constexpr int around = 3;  ///< so many times the tilts followed are looked at once more, with those around them
constexpr std::size_t most_starts = 64, least_starts = 2;  ///< tilts first simulated: of all candidates, and of each at least
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
const std::array<Tilt, 6> hexagon{{{1, 0}, {0.5, std::numbers::sqrt3 / 2}, {-0.5, std::numbers::sqrt3 / 2},
                                   {-1, 0}, {-0.5, -std::numbers::sqrt3 / 2}, {0.5, -std::numbers::sqrt3 / 2}}};

Tilt operator+(const Tilt& a, const Tilt& b) { return {a[0] + b[0], a[1] + b[1]}; }
Tilt operator*(double f, const Tilt& a) { return {f * a[0], f * a[1]}; }

/// Points of a hexagonal net of spacing 1 within `radius`, nearest first.
std::vector<Tilt> hexagonal_net(double radius) {
    std::vector<Tilt> points;
    const int rows = static_cast<int>(std::ceil(radius / (std::numbers::sqrt3 / 2)));
    for (int j = -rows; j <= rows; ++j)
        for (int i = -2 * rows; i <= 2 * rows; ++i) {
            const Tilt p{i + 0.5 * j, j * std::numbers::sqrt3 / 2};
            if (std::hypot(p[0], p[1]) <= radius + 1e-9) points.push_back(p);
        }
    std::ranges::stable_sort(points, {}, [](const Tilt& p) { return std::hypot(p[0], p[1]); });
    return points;
}

struct Point {
    std::size_t candidate = 0;
    Tilt tilt{};
    double score = -1;
    std::size_t depth = 0;
};

}  // namespace

struct Reranker::State {
    State(std::span<const BlochCrystal* const> of, const RerankOptions& with)
        : crystals(of.begin(), of.end()), options(with), net(hexagonal_net(with.reach / with.step)),
          fine{with.thickness, with.thickness_step, static_cast<std::size_t>(with.thicknesses)},
          coarse{with.thickness, 2 * with.thickness_step, static_cast<std::size_t>((with.thicknesses + 1) / 2)} {
        for (Tilt& tilt : net) tilt = with.step * tilt;
    }

    std::vector<const BlochCrystal*> crystals;
    RerankOptions options;
    std::vector<Tilt> net;  // radians: where the rocking score is looked at
    std::vector<float> radians, rocking;
    std::vector<std::size_t> order;
    std::vector<double> rocked;
    Depths fine, coarse;
    SpotImage image;
    FastWaves waves;
    std::vector<NearbyCrystal> nearby;
    std::vector<double> kinematical;
    std::size_t simulated = 0;

    Point look(std::size_t candidate, const Tilt& tilt, bool finely) {
        ++simulated;
        const Best best = nearby[candidate].evaluate(tilt, finely ? options.fine : options.coarse, finely ? fine : coarse, options.wavelength, waves);
        return {candidate, tilt, best.score, best.depth};
    }
    [[nodiscard]] double rank(const Point& p) const { return p.score + search_weight * kinematical[p.candidate]; }

    /// The best of a point and the six around it, and the points of several candidates that are worth following.
    Point step(const Point& from, double size, bool finely) {
        Point best = finely ? look(from.candidate, from.tilt, true) : from;
        for (const Tilt& direction : hexagon)
            if (const Point p = look(from.candidate, from.tilt + size * direction, finely); p.score > best.score) best = p;
        return best;
    }

    /// The best of each candidate's come first in turn, so that none wins for being better followed; `room` in all.
    std::vector<Point> select(std::vector<Point> points, std::size_t room) const {
        std::ranges::stable_sort(points, std::greater<>{}, [&](const Point& p) { return rank(p); });
        std::vector<Point> chosen;
        std::vector<std::size_t> taken(nearby.size(), 0);
        std::size_t leaders = 0;
        std::vector<bool> used(points.size(), false);
        for (std::size_t i = 0; i < points.size(); ++i) {  // the best of the two leading candidates, or of all
            if (taken[points[i].candidate] > 0 || (!options.each_alone && leaders >= 2)) continue;
            ++taken[points[i].candidate];
            ++leaders;
            used[i] = true;
            chosen.push_back(points[i]);
        }
        for (std::size_t i = 0; i < points.size(); ++i) {
            if (used[i] || (options.each_alone ? taken[points[i].candidate] : chosen.size()) >= room) continue;
            ++taken[points[i].candidate];
            chosen.push_back(points[i]);
        }
        return chosen;
    }

    /// A tilt, and its rocking score.
    struct Start {
        std::size_t candidate;
        Tilt tilt;
        float rocking;
    };

    /// Tilts of the best maxima of a candidate's rocking score, best first, none within a step of another.
    std::vector<Start> promising(std::size_t c) {
        std::vector<Tilt> tilts = net;
        sort_by_rocking(c, tilts);
        tilts.resize(std::min(tilts.size(), static_cast<std::size_t>(around * options.starts)));
        for (std::size_t i = 0, n = tilts.size(); i < n; ++i)  // maxima are about as wide as the net
            for (const Tilt& direction : hexagon) tilts.push_back(tilts[i] + 0.5 * options.step * direction);
        sort_by_rocking(c, tilts);
        rocked[c] = rocking[order[0]];
        std::vector<Start> chosen;
        for (std::size_t i = 0; i < tilts.size() && chosen.size() < static_cast<std::size_t>(options.starts); ++i) {
            const Tilt& tilt = tilts[i];
            const bool new_one = std::ranges::none_of(
                chosen, [&](const Start& s) { return std::hypot(s.tilt[0] - tilt[0], s.tilt[1] - tilt[1]) < options.step * 0.99; });
            if (new_one) chosen.push_back({c, tilt, rocking[order[i]]});
        }
        return chosen;
    }

    /// The best first.
    void sort_by_rocking(std::size_t c, std::vector<Tilt>& tilts) {
        radians.clear();
        for (const Tilt& tilt : tilts)
            for (const double part : tilt) radians.push_back(static_cast<float>(part));
        rocking.resize(tilts.size());
        nearby[c].rocking(radians, rocking);
        order.resize(tilts.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::ranges::stable_sort(order, std::greater<>{}, [&](std::size_t i) { return rocking[i]; });
        std::vector<Tilt> sorted;
        for (const std::size_t i : order) sorted.push_back(tilts[i]);
        tilts = std::move(sorted);
    }

    void describe(const Point& at, RerankedCandidate& result);
    double orientation_error(const Point& at);

    /// The most promising tilts of all candidates: the best of each, then those whose rocking scores are highest.
    std::vector<Start> starts() {
        std::vector<Start> chosen, others;
        for (std::size_t c = 0; c < nearby.size(); ++c) {
            const std::vector<Start> of_one = promising(c);
            const auto sure = of_one.begin() + static_cast<std::ptrdiff_t>(options.each_alone ? of_one.size() : std::min(least_starts, of_one.size()));
            chosen.insert(chosen.end(), of_one.begin(), sure);
            others.insert(others.end(), sure, of_one.end());
        }
        std::ranges::stable_sort(others, std::greater<>{}, &Start::rocking);
        const std::size_t room = most_starts - std::min(chosen.size(), most_starts);
        chosen.insert(chosen.end(), others.begin(), others.begin() + static_cast<std::ptrdiff_t>(std::min(room, others.size())));
        return chosen;
    }

    std::vector<Point> search() {
        std::vector<Point> points, best(nearby.size());
        for (const Start& start : starts()) points.push_back(look(start.candidate, start.tilt, false));
        keep_best(points, best);
        for (int halving = 1; halving <= options.halvings; ++halving) {
            const auto room = static_cast<std::size_t>(std::max(1, options.points >> (halving - 1)));
            points = select(points, room);
            for (Point& point : points) point = step(point, options.step / (1 << halving), halving > 1);
            keep_best(points, best);
        }
        return best;
    }

    /// Of the candidates still followed; the others keep what they had, which was not looked at as finely.
    static void keep_best(const std::vector<Point>& points, std::vector<Point>& best) {
        std::vector<bool> seen(best.size(), false);
        for (const Point& point : points) {
            if (seen[point.candidate] && point.score <= best[point.candidate].score) continue;
            best[point.candidate] = point;
            seen[point.candidate] = true;
        }
    }
};

void Reranker::State::describe(const Point& at, RerankedCandidate& result) {
    NearbyCrystal& crystal = nearby[at.candidate];
    const Best best = crystal.evaluate(at.tilt, options.fine, fine, options.wavelength, waves);
    ++simulated;
    const auto [thickness, thickness_error] = crystal.thickness(best, fine);
    result.orientation = crystal.orientation(at.tilt);
    result.score = best.score;
    result.thickness = thickness;
    result.thickness_error = thickness_error;
    result.evidence = crystal.evidence(best.score, kinematical[at.candidate]);
}

/// Of a paraboloid through the score at the best tilt and at six around it.
double Reranker::State::orientation_error(const Point& at) {
    double loss = 0;
    const double score = look(at.candidate, at.tilt, true).score;
    for (const Tilt& direction : hexagon) loss += std::max(0.0, score - look(at.candidate, at.tilt + probe * direction, true).score) / 6;
    return probe * std::sqrt(tilt_excess * nearby[at.candidate].chance(score) / std::max(loss, 1e-6));
}

Reranker::Reranker(std::span<const BlochCrystal* const> crystals, const RerankOptions& options)
    : state_(std::make_unique<State>(crystals, options)) {}
Reranker::~Reranker() = default;
Reranker::Reranker(Reranker&&) noexcept = default;

template <class T>
std::size_t Reranker::rerank(const Frame<T>& frame, double center_row, double center_column, std::span<const RerankCandidate> candidates,
                             std::span<RerankedCandidate> out) {
    State& state = *state_;
    const RerankOptions& options = state.options;
    state.image.read(frame, center_row, center_column, options.spots);
    state.nearby.clear();
    state.kinematical.clear();
    state.simulated = 0;
    std::vector<std::size_t> number;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        out[i] = {candidates[i].orientation, nan, nan, nan, nan, nan, nan, nan, nan};
        if (candidates[i].phase < 0) continue;
        number.push_back(i);
        state.nearby.emplace_back(*state.crystals[static_cast<std::size_t>(candidates[i].phase)], candidates[i].orientation, options);
        state.nearby.back().measure(state.image, {center_column, center_row}, options);
        state.kinematical.push_back(candidates[i].kinematical);
    }
    state.rocked.assign(state.nearby.size(), 0.0);
    const std::vector<Point> found = state.search();
    for (std::size_t c = 0; c < found.size(); ++c) {
        RerankedCandidate& result = out[number[c]];
        result.explained = state.nearby[c].explained();
        result.rocking = state.rocked[c];
        if (found[c].score < 0) continue;
        result.spots = static_cast<double>(state.nearby[c].spots_seen());
        state.describe(found[c], result);
    }
    const auto best = std::ranges::max_element(number, {}, [&](std::size_t i) { return out[i].evidence; });
    if (best != number.end()) out[*best].orientation_error = state.orientation_error(found[static_cast<std::size_t>(best - number.begin())]);
    return state.simulated;
}

#define NBEDEX_INSTANTIATE(T)                                                                                                    \
    template std::size_t Reranker::rerank(const Frame<T>&, double, double, std::span<const RerankCandidate>, std::span<RerankedCandidate>);
NBEDEX_FOR_EACH_PIXEL_TYPE(NBEDEX_INSTANTIATE)
#undef NBEDEX_INSTANTIATE

}  // namespace nbedex
