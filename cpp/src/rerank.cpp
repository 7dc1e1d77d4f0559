#include "nbedex/rerank.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "nearby_crystal.hpp"
#include "spot_readings.hpp"
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
};

/// Of one orientation at all patterns that show it.
struct Candidate {
    NearbyCrystal crystal;
    std::vector<SpotReadings> patterns;
    double kinematical;
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
    std::vector<float> radians, rocking, rocking_of_one;
    std::vector<std::size_t> order;
    std::vector<double> rocked;
    Depths fine, coarse;
    SpotImage image;
    FastWaves waves;
    std::vector<Candidate> nearby;
    std::size_t simulated = 0;

    Point look(std::size_t candidate, const Tilt& tilt, bool finely) {
        Candidate& of = nearby[candidate];
        const TiltedWaves at = simulate(of, tilt, finely);
        double score = 0;
        for (SpotReadings& pattern : of.patterns) score += pattern.compare(at).score;
        return {candidate, tilt, score / static_cast<double>(of.patterns.size())};
    }
    TiltedWaves simulate(Candidate& of, const Tilt& tilt, bool finely) {
        ++simulated;
        return of.crystal.simulate(tilt, finely ? options.fine : options.coarse, finely ? fine : coarse, options.wavelength, waves);
    }
    [[nodiscard]] double rank(const Point& p) const { return p.score + search_weight * nearby[p.candidate].kinematical; }

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
        rocked[c] = rocking[order[0]] / static_cast<float>(nearby[c].patterns.size());
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
        rocking.assign(tilts.size(), 0.0F);
        rocking_of_one.resize(tilts.size());
        for (const SpotReadings& pattern : nearby[c].patterns) {
            pattern.rocking(radians, rocking_of_one);
            for (std::size_t i = 0; i < tilts.size(); ++i) rocking[i] += rocking_of_one[i];
        }
        order.resize(tilts.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::ranges::stable_sort(order, std::greater<>{}, [&](std::size_t i) { return rocking[i]; });
        std::vector<Tilt> sorted;
        for (const std::size_t i : order) sorted.push_back(tilts[i]);
        tilts = std::move(sorted);
    }

    std::size_t rerank(std::span<const RerankCandidate> candidates, std::span<const SpotImage* const> images,
                       std::span<const std::array<double, 2>> centers, std::span<RerankedCandidate> out);
    void describe(const Point& at, std::span<RerankedCandidate> of_patterns);
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

void Reranker::State::describe(const Point& at, std::span<RerankedCandidate> of_patterns) {
    Candidate& of = nearby[at.candidate];
    const TiltedWaves there = simulate(of, at.tilt, true);
    for (std::size_t p = 0; p < of.patterns.size(); ++p) {
        SpotReadings& pattern = of.patterns[p];
        RerankedCandidate& result = of_patterns[p];
        const Best best = pattern.compare(there);
        const auto [thickness, thickness_error] = pattern.thickness(best, fine);
        result.orientation = of.crystal.orientation(at.tilt) * pattern.turn();
        result.score = best.score;
        result.thickness = thickness;
        result.thickness_error = thickness_error;
        result.evidence = pattern.evidence(best.score, of.kinematical);
        result.spots = static_cast<double>(pattern.spots_seen());
    }
}

/// Of a paraboloid through the score at the best tilt and at six around it.
double Reranker::State::orientation_error(const Point& at) {
    double loss = 0, chance = 0;
    const double score = look(at.candidate, at.tilt, true).score;
    for (const Tilt& direction : hexagon) loss += std::max(0.0, score - look(at.candidate, at.tilt + probe * direction, true).score) / 6;
    const std::vector<SpotReadings>& patterns = nearby[at.candidate].patterns;
    for (const SpotReadings& pattern : patterns) chance += pattern.chance(score);
    const auto n = static_cast<double>(patterns.size());
    return probe * std::sqrt(tilt_excess * (chance / n / n) / std::max(loss, 1e-6));
}

Reranker::Reranker(std::span<const BlochCrystal* const> crystals, const RerankOptions& options)
    : state_(std::make_unique<State>(crystals, options)) {}
Reranker::~Reranker() = default;
Reranker::Reranker(Reranker&&) noexcept = default;

/// Candidates (k) in patterns (n) that share their tilts; `out` (k, n).
std::size_t Reranker::State::rerank(std::span<const RerankCandidate> candidates, std::span<const SpotImage* const> images,
                                    std::span<const std::array<double, 2>> centers, std::span<RerankedCandidate> out) {
    const std::size_t n = images.size();
    nearby.clear();
    simulated = 0;
    std::vector<std::span<RerankedCandidate>> results;  // of those tried
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const RerankCandidate& given = candidates[i];
        const std::span<RerankedCandidate> of_it = out.subspan(i * n, n);
        std::ranges::fill(of_it, RerankedCandidate{given.orientation, nan, nan, nan, nan, nan, nan, nan, nan});
        if (given.phase < 0) continue;
        results.push_back(of_it);
        Candidate& made = nearby.emplace_back(NearbyCrystal(*crystals[static_cast<std::size_t>(given.phase)], given.orientation, options),
                                              std::vector<SpotReadings>{}, given.kinematical);
        for (std::size_t p = 0; p < n; ++p) made.patterns.emplace_back(made.crystal, *images[p], centers[p], options);
    }
    rocked.assign(nearby.size(), 0.0);
    const std::vector<Point> found = search();
    for (std::size_t c = 0; c < found.size(); ++c) {
        for (std::size_t p = 0; p < n; ++p) {
            results[c][p].explained = nearby[c].patterns[p].explained();
            results[c][p].rocking = rocked[c];
        }
        if (found[c].score >= 0) describe(found[c], results[c]);
    }
    const auto best = std::ranges::max_element(results, {}, [](std::span<const RerankedCandidate> of_it) { return of_it[0].evidence; });
    if (best != results.end()) {
        const double error = orientation_error(found[static_cast<std::size_t>(best - results.begin())]);
        for (RerankedCandidate& result : *best) result.orientation_error = error;
    }
    return simulated;
}

template <class T>
std::size_t Reranker::rerank(const Frame<T>& frame, double center_row, double center_column, std::span<const RerankCandidate> candidates,
                             std::span<RerankedCandidate> out) {
    state_->image.read(frame, center_row, center_column, state_->options.spots);
    const SpotImage* image = &state_->image;
    const std::array<double, 2> center{center_column, center_row};
    return state_->rerank(candidates, {&image, 1}, {&center, 1}, out);
}

std::size_t Reranker::rerank_together(std::span<const SpotImage* const> images, std::span<const std::array<double, 2>> centers,
                                      const RerankCandidate& candidate, std::span<RerankedCandidate> out) {
    return state_->rerank({&candidate, 1}, images, centers, out);
}

#define NBEDEX_INSTANTIATE(T)                                                                                                    \
    template std::size_t Reranker::rerank(const Frame<T>&, double, double, std::span<const RerankCandidate>, std::span<RerankedCandidate>);
NBEDEX_FOR_EACH_PIXEL_TYPE(NBEDEX_INSTANTIATE)
#undef NBEDEX_INSTANTIATE

}  // namespace nbedex
