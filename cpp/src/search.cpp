#include "nbedex/search.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "bound_tables.hpp"
#include "distinct_threshold.hpp"
#include "each_pattern.hpp"
#include "scorer.hpp"

namespace nbedex {
namespace {

/// What all phases need of a pattern.
struct Tables {
    explicit Tables(const TemplateSet& any)
        : pattern(any), rounded(n_rings(any), n_azimuths(any)), sectors(n_rings(any), n_azimuths(any)), blocks(n_rings(any), n_azimuths(any)) {}

    [[nodiscard]] bool load(std::span<const float> polar) {
        if (!pattern.load(polar)) return false;
        rounded.load(pattern);
        sectors.load(rounded);
        blocks.load(rounded);
        return true;
    }

    static std::size_t n_rings(const TemplateSet& t) { return static_cast<std::size_t>(t.n_rings); }
    static std::size_t n_azimuths(const TemplateSet& t) { return static_cast<std::size_t>(t.n_azimuths); }

    NormalisedPattern pattern;
    RoundedPattern rounded;
    SectorMaxima sectors;
    BlockMaxima blocks;
};

/// Branch and bound over the templates of one phase.
class PhaseSearch {
public:
    PhaseSearch(const TemplateSet& templates, const MatchOptions& options, const Tables& tables)
        : templates_(templates),
          options_(options),
          tables_(tables),
          scorer_(templates, tables.pattern),
          threshold_(templates, options) {}

    /// Forgets the last pattern, but for its winners: neighbours in a scan are often alike, and the scores of last time's
    /// winners, near their last in-plane angles, are a good first threshold. The answer does not depend on it.
    void begin() {
        hits_.clear();
        threshold_.clear();
        limit_ = best_ = -infinity;
        for (const Hit& last : recent_) score_around(last);
    }

    /// Best score seen so far.
    [[nodiscard]] float best() const noexcept { return best_; }

    /// From now on, nothing below this score is wanted.
    void set_limit(float limit) { limit_ = limit; }

    /// Sector bounds of all images.
    void bound_by_sectors() {
        open_.clear();
        const float wanted = needed();
        for (std::ptrdiff_t t = 0; t < templates_.size(); ++t) bound_by_sectors(t, wanted);
        statistics_.images += 2 * templates_.size();
    }

    /// Scores the most promising images, which raises the threshold for the others.
    void score_promising() {
        const auto promising = open_.begin() + std::min<std::ptrdiff_t>(std::ssize(open_), 8 * options_.n_best);
        std::partial_sort(open_.begin(), promising, open_.end(), best_first);
        for (auto open = open_.begin(); open != promising && open->bound >= needed(); ++open) {
            const Candidates found = bound_by_blocks(open->image);
            if (found.bound >= needed()) score_blocks(found);
        }
        open_.erase(open_.begin(), promising);
    }

    /// Block bounds of the images that are left, then exact scores, the most promising first.
    void finish() {
        candidates_.clear();
        for (const Open& open : open_) {
            if (open.bound < needed()) continue;
            ++statistics_.past_sectors;
            const Candidates found = bound_by_blocks(open.image);
            if (found.bound >= needed()) candidates_.push_back(found);
        }
        statistics_.past_blocks += std::ssize(candidates_);
        std::ranges::sort(candidates_, best_first);
        for (const Candidates& found : candidates_)
            if (found.bound >= needed()) score_blocks(found);
    }

    /// The n best distinct of what was seen, and the winner's two special rivals.
    void choose(const PhaseMatches& out) {
        recent_.clear();
        std::erase_if(hits_, [&](const Hit& h) { return h.score < needed(); });
        statistics_.hits += std::ssize(hits_);
        std::sort(hits_.begin(), hits_.end());
        std::vector<Neighbourhood> chosen;
        for (const Hit& h : hits_) {
            if (chosen.size() == out.candidates.size()) break;
            const Image image(h.image);
            if (std::ranges::any_of(chosen, [&](const Neighbourhood& near) { return near.contains(image, h.azimuth); })) continue;
            out.candidates[chosen.size()] = scorer_.describe(h.image, h.azimuth);
            chosen.emplace_back(templates_, image, h.azimuth, options_.distinct_angle);
            recent_.push_back(h);
        }
        if (chosen.empty()) return;
        out.mirror_score = scorer_.mirror_score(out.candidates.front(), chosen.front());
        out.half_turn_score = scorer_.half_turn_score(out.candidates.front(), chosen.front());
    }

    [[nodiscard]] const SearchStatistics& statistics() const noexcept { return statistics_; }

private:
    /// An image that is not settled yet, with an upper bound of its scores.
    struct Open {
        float bound;
        std::ptrdiff_t image;
    };

    /// The same, with the blocks in which the scores may be high enough.
    struct Candidates : Open {
        std::uint64_t blocks;
    };

    static bool best_first(const Open& a, const Open& b) {
        return a.bound != b.bound ? a.bound > b.bound : a.image < b.image;
    }

    /// The score that an orientation must reach to matter, as far as is known.
    [[nodiscard]] float needed() const { return std::max(threshold_.value(), limit_); }

    void bound_by_sectors(std::ptrdiff_t template_id, float wanted) {
        const auto t = static_cast<std::size_t>(template_id);
        const RoundedSpots& all = templates_.rounded;
        const auto first = static_cast<std::size_t>(all.offset[t]);
        const kernels::SectorSpots spots{all.place.data() + first, all.weight.data() + first,
                                         static_cast<std::size_t>(all.offset[t + 1]) - first};
        if (spots.n == 0) return;
        std::int32_t largest[2];
        scorer_.kernels().sector_bounds(tables_.sectors.table(), spots, largest);
        for (const std::ptrdiff_t mirrored : {0, 1}) {
            const float bound = score_bound(template_id, largest[mirrored]);
            if (bound >= wanted) open_.push_back({bound, 2 * template_id + mirrored});
        }
    }

    [[nodiscard]] Candidates bound_by_blocks(std::ptrdiff_t number) const {
        const Image image(number);
        const auto t = static_cast<std::size_t>(image.template_id);
        const RoundedSpots& all = templates_.rounded;
        const auto first = static_cast<std::size_t>(all.offset[t]);
        const kernels::RoundedSpots spots{all.ring.data() + first, all.azimuth.data() + first, all.weight.data() + first,
                                          static_cast<std::size_t>(all.offset[t + 1]) - first};
        if (spots.n == 0) return {{-infinity, number}, 0};
        std::int32_t lanes[kernels::block_lanes];
        const std::int32_t largest = scorer_.kernels().block_bounds(tables_.blocks.table(image.mirrored), spots, lanes);
        const float bound = score_bound(image.template_id, largest);
        if (bound < needed()) return {{bound, number}, 0};
        const std::int32_t cut = cut_of(image.template_id);
        std::uint64_t blocks = 0;
        for (std::size_t b = 0; b < tables_.blocks.n_blocks(); ++b) blocks |= std::uint64_t{lanes[b] >= cut} << b;
        return {{bound, number}, blocks};
    }

    /// Exact scores of the rotations of some blocks of an image.
    void score_blocks(const Candidates& found) {
        constexpr std::size_t n_lanes = kernels::exact_lanes;
        const std::size_t length = tables_.blocks.length();
        statistics_.exact_blocks += std::popcount(found.blocks);
        for (std::size_t done = 0; done < length; done += n_lanes) {
            starts_.clear();
            for (std::uint64_t left = found.blocks; left != 0; left &= left - 1)
                starts_.push_back(static_cast<std::size_t>(std::countr_zero(left)) * length + done);
            score(found.image, std::min(n_lanes, length - done));
        }
    }

    /// Exact scores near the in-plane angle at which an image won last time.
    void score_around(const Hit& last) {
        const std::size_t n = tables_.pattern.n_azimuths();
        constexpr std::size_t reach = kernels::exact_runs * kernels::exact_lanes / 2;
        starts_.clear();
        for (std::size_t run = 0; run < kernels::exact_runs; ++run)
            starts_.push_back((static_cast<std::size_t>(last.azimuth) + n - reach + run * kernels::exact_lanes) % n);
        score(last.image, kernels::exact_lanes);
    }

    /// Exact scores of the n bins from each of starts_ on.
    void score(std::ptrdiff_t number, std::size_t n) {
        Hit best{-infinity, 0, number};
        scorer_.correlate_some(Image(number), starts_, n, [&](std::int32_t azimuth, float value) {
            if (value < needed()) return;
            hits_.push_back({value, azimuth, number});
            best = std::min(best, hits_.back());
        });
        if (best.score == -infinity) return;
        best_ = std::max(best_, best.score);
        threshold_.offer(best);
    }

    /// What one in whole numbers is worth in a score of this template.
    [[nodiscard]] double unit(std::ptrdiff_t template_id) const {
        return double{templates_.rounded.unit[static_cast<std::size_t>(template_id)]} * double{tables_.rounded.unit()};
    }

    /// Upper bound of a score from a bound in whole numbers.
    [[nodiscard]] float score_bound(std::ptrdiff_t template_id, std::int32_t bound) const {
        return static_cast<float>(bound * unit(template_id) - double{scorer_.zero_mean(template_id)} + rounding(template_id));
    }

    /// The least bound in whole numbers with which a template can reach the score that is needed.
    [[nodiscard]] std::int32_t cut_of(std::ptrdiff_t template_id) const {
        if (needed() == -infinity) return 0;
        const double sum = double{needed()} + double{scorer_.zero_mean(template_id)} - rounding(template_id);
        return static_cast<std::int32_t>(std::clamp(std::floor(sum / unit(template_id)), 0.0, 2e9));
    }

    /// More than the exact score of a template can exceed the sum of its terms by rounding.
    [[nodiscard]] double rounding(std::ptrdiff_t template_id) const {
        const auto t = static_cast<std::size_t>(template_id);
        const double terms = double{templates_.weight_sum[t]} * double{tables_.pattern.largest()};
        const auto n = static_cast<double>(templates_.offset[t + 1] - templates_.offset[t]);
        return 2 * (n + 8) * 0x1p-24 * (terms + 1 + std::abs(double{scorer_.zero_mean(template_id)}));
    }

    const TemplateSet& templates_;
    MatchOptions options_;
    const Tables& tables_;
    Scorer scorer_;
    DistinctThreshold threshold_;
    float limit_ = -infinity, best_ = -infinity;
    std::vector<Open> open_;
    std::vector<Candidates> candidates_;
    std::vector<std::size_t> starts_;  // first bins of the runs to be scored exactly
    std::vector<Hit> hits_;            // all rotations seen that scored what was needed at their time
    std::vector<Hit> recent_;          // winners of the last pattern
    SearchStatistics statistics_;
};

/// Searches one pattern at a time; owns the scratch of one thread.
class PrunedMatcher {
public:
    PrunedMatcher(Phases phases, const MatchOptions& options) : options_(options), tables_(*phases.front()) {
        for (const TemplateSet* templates : phases) phases_.emplace_back(*templates, options, tables_);
    }
    PrunedMatcher(const PrunedMatcher&) = delete;  // the phases refer to the tables
    PrunedMatcher& operator=(const PrunedMatcher&) = delete;

    void match(std::span<const float> pattern, std::span<const PhaseMatches> out) {
        if (!tables_.load(pattern)) return;
        for (PhaseSearch& phase : phases_) phase.begin();
        for (PhaseSearch& phase : phases_) {
            share_limit();
            phase.bound_by_sectors();
            phase.score_promising();
        }
        for (PhaseSearch& phase : phases_) {
            share_limit();
            phase.finish();
        }
        share_limit();
        for (std::size_t i = 0; i < phases_.size(); ++i) phases_[i].choose(out[i]);
    }

    [[nodiscard]] SearchStatistics statistics() const {
        SearchStatistics total;
        for (const PhaseSearch& phase : phases_) total += phase.statistics();
        return total;
    }

private:
    /// What is best in one phase tells the others what is not worth looking for.
    void share_limit() {
        float best = -infinity;
        for (const PhaseSearch& phase : phases_) best = std::max(best, phase.best());
        for (PhaseSearch& phase : phases_) phase.set_limit(least_score(options_, best));
    }

    MatchOptions options_;
    Tables tables_;
    std::vector<PhaseSearch> phases_;
};

}  // namespace

SearchStatistics& SearchStatistics::operator+=(const SearchStatistics& other) noexcept {
    images += other.images;
    past_sectors += other.past_sectors;
    past_blocks += other.past_blocks;
    exact_blocks += other.exact_blocks;
    hits += other.hits;
    return *this;
}

bool can_prune(const TemplateSet& templates) noexcept {
    const auto n = static_cast<std::size_t>(templates.n_azimuths);
    return n >= 2 * kernels::block_lanes && blocks_of(n) >= 30 &&
           SectorLayout(static_cast<std::size_t>(templates.n_rings), n).usable();
}

SearchStatistics match_pruned(Phases phases, std::span<const float> patterns, std::ptrdiff_t n_patterns,
                              const MatchOptions& options, const Poll& poll, std::span<const MatchOutput> out) {
    if (!can_prune(*phases.front())) {
        match_exhaustive(phases, patterns, n_patterns, options, poll, out);
        return {};
    }
    SearchStatistics total;
    for (const auto& matcher : match_each_pattern<PrunedMatcher>(phases, patterns, n_patterns, options, poll, out))
        total += matcher->statistics();
    return total;
}

}  // namespace nbedex
