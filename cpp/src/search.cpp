#include "nbedex/search.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "bound_tables.hpp"
#include "distinct_threshold.hpp"
#include "each_pattern.hpp"
#include "scorer.hpp"

namespace nbedex {
namespace {

/// What all phases need of a pattern.
class Tables {
public:
    explicit Tables(const TemplateSet& any)
        : pattern(any),
          rounded(n_rings(any), n_azimuths(any)),
          sectors(n_rings(any), n_azimuths(any)),
          blocks(n_rings(any), n_azimuths(any), 1),
          single_(n_rings(any), n_azimuths(any), blocks.length()) {}

    [[nodiscard]] bool load(std::span<const float> polar) {
        single_loaded_ = false;
        if (!pattern.load(polar)) return false;
        rounded.load(pattern);
        sectors.load(rounded);
        blocks.load(rounded);
        return true;
    }

    /// Blocks of a single rotation, which few patterns need.
    const BlockMaxima& single_rotations() {
        if (!single_loaded_) single_.load(rounded);
        single_loaded_ = true;
        return single_;
    }

    static std::size_t n_rings(const TemplateSet& t) { return static_cast<std::size_t>(t.n_rings); }
    static std::size_t n_azimuths(const TemplateSet& t) { return static_cast<std::size_t>(t.n_azimuths); }

    NormalisedPattern pattern;
    RoundedPattern rounded;
    SectorMaxima sectors;
    BlockMaxima blocks;

private:
    BlockMaxima single_;
    bool single_loaded_ = false;
};

/// Branch and bound over the templates of one phase.
class PhaseSearch {
public:
    PhaseSearch(const TemplateSet& templates, const MatchOptions& options, Tables& tables)
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

    /// Ring bounds of all templates, and scores of the most promising; only if they were of use on the last pattern.
    void look_at_rings() {
        if (!rings_pay_) return;
        compute_ring_bounds(1);
        open_.clear();
        for (std::ptrdiff_t t = 0; t < templates_.size(); ++t)
            if (scorer_.spots(t).n > 0)
                for (const std::ptrdiff_t image : {2 * t, 2 * t + 1}) open_.push_back({ring_bound(t), static_cast<std::int32_t>(image)});
        score_tier(static_cast<std::size_t>(16 * options_.n_best));
    }

    /// Sector bounds of the images that rings did not settle: of every eighth group of templates, which is enough to find what scores
    /// well, or of the others, most of which are then below what is needed.
    void look_at_sectors(bool sample) {
        constexpr std::ptrdiff_t stride = 8;
        if (sample) {
            open_.clear();
            statistics_.images += 2 * templates_.size();
        }
        const float wanted = needed();
        for (std::ptrdiff_t first = 0, group = 0; first < templates_.size(); first += sector_group, ++group)
            if ((group % stride == 0) == sample)
                bound_by_sectors(first, std::min(sector_group, templates_.size() - first), wanted);
    }

    /// Block bounds, then exact scores, of the images with the largest sector bounds, which raises the threshold for the others.
    void score_promising() { score_tier(static_cast<std::size_t>(8 * options_.n_best)); }

    /// The same for all that are left, in tiers of falling bounds, each four times as large as the one before.
    void finish() {
        for (auto size = static_cast<std::size_t>(32 * options_.n_best); !open_.empty(); size *= 4) score_tier(size);
        see_whether_rings_pay();
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
        std::int32_t image;
    };

    static bool best_first(const Open& a, const Open& b) {
        return a.bound != b.bound ? a.bound > b.bound : a.image < b.image;
    }

    /// Moves the `size` images with the largest bounds from open_ to tier_, and drops those that don't matter any more.
    void take_tier(std::size_t size) {
        std::erase_if(open_, [&](const Open& open) { return open.bound < needed(); });
        const auto first = open_.end() - static_cast<std::ptrdiff_t>(std::min(size, open_.size()));
        if (first != open_.begin()) std::nth_element(open_.begin(), first, open_.end(), [](const Open& a, const Open& b) { return best_first(b, a); });
        tier_.assign(first, open_.end());
        open_.erase(first, open_.end());
    }

    static constexpr std::size_t ahead = 4;  // images whose spots are on their way into the cache

    /// Images of a tier lie far apart in memory; what is asked for in time is there when it is needed.
    void fetch_spots(std::int32_t image) const {
        const kernels::RoundedSpots spots = rounded_spots(image / 2);
        const auto fetch = [](const auto* from, std::size_t n) {
            const auto* first = reinterpret_cast<const char*>(from);
            for (std::size_t at = 0; at < n * sizeof(*from); at += 64) __builtin_prefetch(first + at);
        };
        fetch(spots.ring, spots.n);
        fetch(spots.azimuth, spots.n);
        fetch(spots.weight, spots.n);
    }

    void score_tier(std::size_t size) {
        take_tier(size);
        statistics_.past_sectors += std::ssize(tier_);
        for (std::size_t i = 0; i < tier_.size(); ++i) {
            if (i + ahead < tier_.size()) fetch_spots(tier_[i + ahead].image);
            tier_[i].bound = block_bound(tier_[i].image);
        }
        std::erase_if(tier_, [&](const Open& open) { return open.bound < needed(); });
        statistics_.past_blocks += std::ssize(tier_);
        std::ranges::sort(tier_, best_first);
        for (const Open& open : tier_)
            if (open.bound >= needed()) score_blocks(open.image);
    }

    /// The score that an orientation must reach to matter, as far as is known.
    [[nodiscard]] float needed() const { return std::max(threshold_.value(), limit_); }

    /// Ring bounds in whole numbers, of every `stride`-th group of templates.
    void compute_ring_bounds(std::size_t stride) {
        const RingSums& rings = templates_.rings;
        ring_bounds_.resize(rings.n_groups * kernels::ring_lanes);
        const std::size_t group_size = rings.n_quads * kernels::ring_lanes * 4;
        for (std::size_t g = 0; g < rings.n_groups; g += stride) {
            const std::size_t n = stride == 1 ? rings.n_groups : 1;
            scorer_.kernels().ring_bounds(rings.sums.data() + g * group_size, n, rings.n_quads, tables_.rounded.ring_maxima(),
                                          ring_bounds_.data() + g * kernels::ring_lanes);
            g += n - 1;
        }
    }

    [[nodiscard]] float ring_bound(std::ptrdiff_t template_id) const {
        const auto t = static_cast<std::size_t>(template_id);
        const double unit = double{templates_.rings.unit[t]} * double{tables_.rounded.unit()};
        return static_cast<float>(ring_bounds_[t] * unit - double{scorer_.zero_mean(template_id)} + rounding(template_id));
    }

    /// With today's final threshold, would ring bounds have settled a fair share of some of the templates?
    void see_whether_rings_pay() {
        constexpr std::size_t stride = 8;
        if (!rings_pay_) compute_ring_bounds(stride);
        std::ptrdiff_t seen = 0, settled = 0;
        for (std::ptrdiff_t first = 0; first < templates_.size(); first += std::ptrdiff_t{stride * kernels::ring_lanes})
            for (std::ptrdiff_t t = first; t < std::min(templates_.size(), first + std::ptrdiff_t{kernels::ring_lanes}); ++t, ++seen)
                settled += ring_bound(t) < needed();
        rings_pay_ = 4 * settled > seen;
    }

    static constexpr std::ptrdiff_t sector_group = 8;  // templates: neighbours on the grid of zone axes

    /// Sector bounds of n templates from `first` on. Where rings pay, groups that they settle are left out.
    void bound_by_sectors(std::ptrdiff_t first, std::ptrdiff_t n, float wanted) {
        if (rings_pay_) {
            bool open = false;
            for (std::ptrdiff_t t = first; t < first + n; ++t) open = open || ring_bound(t) >= wanted;
            if (!open) return;
        }
        const RoundedSpots& all = templates_.rounded;
        std::int32_t largest[sector_group][2];
        scorer_.kernels().sector_bounds(tables_.sectors.table(), {all.offset.data(), all.place.data(), all.weight.data()},
                                        static_cast<std::size_t>(first), static_cast<std::size_t>(n), largest);
        for (std::ptrdiff_t t = first; t < first + n; ++t) {
            if (all.offset[static_cast<std::size_t>(t)] == all.offset[static_cast<std::size_t>(t) + 1]) continue;  // no spots: no candidate
            const std::int32_t cut = cut_of(t, wanted);
            for (const std::ptrdiff_t mirrored : {0, 1})
                if (const std::int32_t bound = largest[t - first][mirrored]; bound >= cut)
                    open_.push_back({score_bound(t, bound), static_cast<std::int32_t>(2 * t + mirrored)});
        }
    }

    [[nodiscard]] kernels::RoundedSpots rounded_spots(std::ptrdiff_t template_id) const {
        const auto t = static_cast<std::size_t>(template_id);
        const RoundedSpots& all = templates_.rounded;
        const auto first = static_cast<std::size_t>(all.offset[t]);
        return {all.ring.data() + first, all.azimuth.data() + first, all.weight.data() + first,
                static_cast<std::size_t>(all.offset[t + 1]) - first};
    }

    /// Largest bound of the blocks of a part, in whole numbers.
    [[nodiscard]] std::int32_t largest_block(std::ptrdiff_t number, const BlockMaxima& table, std::size_t part) {
        const Image image(number);
        return scorer_.kernels().block_bounds(table.table(image.mirrored, part), rounded_spots(image.template_id), block_sums_, nullptr);
    }

    /// Upper bound of an image's scores from its blocks.
    [[nodiscard]] float block_bound(std::ptrdiff_t number) {
        return score_bound(number / 2, largest_block(number, tables_.blocks, 0));
    }

    /// Exact scores of the rotations in those blocks of an image whose bounds are high enough. Where many blocks are left, as in noise,
    /// the sum of whole numbers for each rotation, which is little above its score, leaves few of them.
    void score_blocks(std::ptrdiff_t number) {
        constexpr std::size_t many = 16;
        find_blocks(number, tables_.blocks, 0);
        if (blocks_.size() <= many) return score_found_blocks(number, tables_.blocks, 0);
        const BlockMaxima& single = tables_.single_rotations();
        for (std::size_t part = 0; part < single.parts(); ++part) {
            if (largest_block(number, single, part) < cut_of(number / 2, needed())) continue;
            find_blocks(number, single, part);
            score_found_blocks(number, single, part);
        }
    }

    /// The blocks of a part whose bounds reach what is needed, and what goes into their bounds group by group of spots.
    void find_blocks(std::ptrdiff_t number, const BlockMaxima& table, std::size_t part) {
        const Image image(number);
        const kernels::RoundedSpots spots = rounded_spots(image.template_id);
        partial_sums_.resize(std::max(partial_sums_.size(), groups_of(spots.n) * kernels::block_lanes));
        scorer_.kernels().block_bounds(table.table(image.mirrored, part), spots, block_sums_, partial_sums_.data());
        const std::int32_t cut = cut_of(image.template_id, needed());
        blocks_.clear();
        for (std::size_t lane = 0; lane < table.per_part(); ++lane)
            if (block_sums_[lane] >= cut) blocks_.push_back(lane);
    }

    static std::size_t groups_of(std::size_t n_spots) { return (n_spots + kernels::group - 1) / kernels::group; }

    /// While exact scores are added up, what the spots left can add is known from the bounds, too.
    void score_found_blocks(std::ptrdiff_t number, const BlockMaxima& table, std::size_t part) {
        constexpr std::size_t n_runs = kernels::exact_runs, n_lanes = kernels::exact_lanes;
        const Image image(number);
        const std::size_t n_groups = groups_of(rounded_spots(image.template_id).n);
        rest_.resize(std::max(rest_.size(), n_groups * n_runs));
        statistics_.exact_blocks += std::ssize(blocks_);
        const auto per_whole = static_cast<float>(unit(image.template_id));
        for (std::size_t first = 0; first < blocks_.size(); first += n_runs) {
            const std::size_t runs = std::min(n_runs, blocks_.size() - first);
            std::size_t begin[n_runs];
            for (std::size_t run = 0; run < n_runs; ++run) {
                const std::size_t lane = blocks_[first + (run < runs ? run : 0)];
                begin[run] = (part * table.per_part() + lane) * table.length();
                for (std::size_t g = 0; g + 1 < n_groups; ++g)
                    rest_[g * n_runs + run] =
                        static_cast<float>(block_sums_[lane] - partial_sums_[g * kernels::block_lanes + lane]) * per_whole;
            }
            for (std::size_t done = 0; done < table.length(); done += n_lanes)
                score_runs(image, number, begin, runs, done, std::min(n_lanes, table.length() - done), rest_.data());
        }
    }

    /// Exact scores near the in-plane angle at which an image won last time.
    void score_around(const Hit& last) {
        constexpr std::size_t n_runs = kernels::exact_runs, n_lanes = kernels::exact_lanes;
        const std::size_t n = tables_.pattern.n_azimuths();
        std::size_t begin[n_runs];
        for (std::size_t run = 0; run < n_runs; ++run)
            begin[run] = (static_cast<std::size_t>(last.azimuth) + n + run * n_lanes - n_runs * n_lanes / 2) % n;
        score_runs(Image(last.image), last.image, begin, n_runs, 0, n_lanes, nullptr);
    }

    /// Exact scores of the n bins from begin[run] + done on; keeps what matters.
    void score_runs(const Image& image, std::ptrdiff_t number, const std::size_t (&begin)[kernels::exact_runs], std::size_t runs,
                    std::size_t done, std::size_t n, const float* rest) {
        constexpr std::size_t n_runs = kernels::exact_runs, n_lanes = kernels::exact_lanes;
        const float shift = scorer_.zero_mean(image.template_id);
        const auto slack = static_cast<float>(rounding(image.template_id));
        std::size_t from[n_runs];
        for (std::size_t run = 0; run < n_runs; ++run) from[run] = std::min(begin[run] + done, scorer_.last_start());
        float sums[n_runs * n_lanes];
        if (!scorer_.correlate_some(image, from, {rest, needed() + shift - 2 * slack}, sums)) return;
        Hit best{-infinity, 0, number};
        for (std::size_t run = 0; run < runs; ++run) {
            const std::size_t end = std::min(begin[run] + done + n, tables_.pattern.n_azimuths());
            for (std::size_t at = begin[run] + done; at < end; ++at) {
                const float score = sums[run * n_lanes + at - from[run]] - shift;
                if (score < needed()) continue;
                hits_.push_back({score, static_cast<std::int32_t>(at), number});
                best = std::min(best, hits_.back());
            }
        }
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

    /// The least bound in whole numbers with which a template can reach a score.
    [[nodiscard]] std::int32_t cut_of(std::ptrdiff_t template_id, float wanted) const {
        const double sum = double{wanted} + double{scorer_.zero_mean(template_id)} - rounding(template_id);
        const double wholes = sum * templates_.rounded.per_unit[static_cast<std::size_t>(template_id)] * tables_.rounded.per_unit();
        return wholes > 0 ? static_cast<std::int32_t>(std::min(wholes, 2e9)) : 0;
    }

    /// More than the exact score of a template can exceed the sum of its terms by rounding.
    [[nodiscard]] double rounding(std::ptrdiff_t template_id) const {
        const auto t = static_cast<std::size_t>(template_id);
        const double terms = double{templates_.weight_sum[t]} * double{tables_.pattern.largest()};
        return templates_.rounded.rounding[t] * (terms + 1 + std::abs(double{scorer_.zero_mean(template_id)}));
    }

    const TemplateSet& templates_;
    MatchOptions options_;
    Tables& tables_;
    Scorer scorer_;
    DistinctThreshold threshold_;
    float limit_ = -infinity, best_ = -infinity;
    std::vector<Open> open_, tier_;
    bool rings_pay_ = true;  // whether ring bounds settled enough on the last pattern
    std::vector<std::int32_t> ring_bounds_;
    std::int32_t block_sums_[kernels::block_lanes];  // of the image last looked at
    std::vector<std::int32_t> partial_sums_;         // the same after each group of spots
    std::vector<float> rest_;                        // what the groups left can add to the blocks being scored
    std::vector<std::size_t> blocks_;                // those being scored exactly
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
            phase.look_at_rings();
        }
        for (const bool sample : {true, false}) {
            for (PhaseSearch& phase : phases_) {
                share_limit();
                phase.look_at_sectors(sample);
                phase.score_promising();
            }
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
