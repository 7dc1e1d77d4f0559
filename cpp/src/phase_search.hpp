// Branch and bound over the templates of one phase; the steps are those of nbedex/search.hpp.
#pragma once

#include <algorithm>
#include <vector>

#include "distinct_threshold.hpp"
#include "nbedex/search.hpp"
#include "upper_bounds.hpp"

namespace nbedex {

/// Branch and bound over the templates of one phase.
class PhaseSearch {
public:
    PhaseSearch(const TemplateSet& templates, const MatchOptions& options, PatternTables& tables)
        : templates_(templates),
          options_(options),
          tables_(tables),
          scorer_(templates, tables.pattern),
          bounds_(templates, tables, scorer_),
          threshold_(templates, options) {}
    PhaseSearch(const PhaseSearch&) = delete;  // the bounds refer to the scorer
    PhaseSearch& operator=(const PhaseSearch&) = delete;

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

    /// Ring bounds of all templates, and scores of the most promising of every eighth group of them; only if ring bounds were of use on
    /// the last pattern.
    void look_at_rings() {
        if (!rings_pay_) return;
        bounds_.compute_rings(1);
        open_.clear();
        for_sampled_templates([&](std::ptrdiff_t t) {
            if (scorer_.spots(t).n > 0)
                for (const std::ptrdiff_t image : {2 * t, 2 * t + 1}) open_.push_back({bounds_.ring(t), static_cast<std::int32_t>(image)});
        });
        score_tier(static_cast<std::size_t>(16 * options_.n_best));
    }

    /// Sector bounds of the images that rings did not settle: of every eighth group of templates, which is enough to find what scores
    /// well, or of the others, most of which are then below what is needed.
    void look_at_sectors(bool sample) {
        if (sample) {
            open_.clear();
            statistics_.images += 2 * templates_.size();
        }
        constexpr std::ptrdiff_t size = UpperBounds::sector_group;
        const float wanted = needed();
        for (std::ptrdiff_t first = 0, group = 0; first < templates_.size(); first += size, ++group) {
            if ((group % std::ptrdiff_t{sample_stride} == 0) != sample) continue;
            const std::ptrdiff_t last = std::min(first + size, templates_.size());
            const auto open = [&](std::int32_t image, float bound) { open_.push_back({bound, image}); };
            if (!rings_pay_) {
                bounds_.sectors(first, last - first, wanted, open);
                continue;
            }
            for (std::ptrdiff_t t = first; t < last; ++t)
                if (bounds_.ring(t) >= wanted) bounds_.sectors(t, 1, wanted, open);
        }
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

    void score_tier(std::size_t size) {
        take_tier(size);
        statistics_.past_sectors += std::ssize(tier_);
        for (std::size_t i = 0; i < tier_.size(); ++i) {
            if (i + ahead < tier_.size()) bounds_.fetch(tier_[i + ahead].image);
            tier_[i].bound = bounds_.block(tier_[i].image);
        }
        std::erase_if(tier_, [&](const Open& open) { return open.bound < needed(); });
        statistics_.past_blocks += std::ssize(tier_);
        std::ranges::sort(tier_, best_first);
        for (const Open& open : tier_)
            if (open.bound >= needed()) score_blocks(open.image);
    }

    /// The score that an orientation must reach to matter, as far as is known.
    [[nodiscard]] float needed() const { return std::max(threshold_.value(), limit_); }

    static constexpr std::size_t sample_stride = 8;

    /// Calls f with the templates of every eighth group of those whose ring bounds are computed together.
    template <class F>
    void for_sampled_templates(F&& f) const {
        constexpr auto group = std::ptrdiff_t{kernels::ring_lanes};
        for (std::ptrdiff_t first = 0; first < templates_.size(); first += std::ptrdiff_t{sample_stride} * group)
            for (std::ptrdiff_t t = first; t < std::min(templates_.size(), first + group); ++t) f(t);
    }

    /// With today's final threshold, would ring bounds have settled a fair share of the templates?
    void see_whether_rings_pay() {
        if (!rings_pay_) bounds_.compute_rings(sample_stride);
        std::ptrdiff_t seen = 0, settled = 0;
        for_sampled_templates([&](std::ptrdiff_t t) {
            ++seen;
            settled += bounds_.ring(t) < needed();
        });
        rings_pay_ = 4 * settled > seen;
    }

    /// Exact scores of the rotations in those blocks of an image whose bounds are high enough. Where many blocks are left, as in noise,
    /// the sum of whole numbers for each rotation, which is little above its score, leaves few of them.
    void score_blocks(std::ptrdiff_t number) {
        constexpr std::size_t many = 16;
        const std::vector<std::size_t>& blocks = bounds_.blocks_reaching(needed(), number, tables_.blocks, 0);
        if (blocks.size() <= many) return score_listed_blocks(number, blocks, tables_.blocks, 0);
        const BlockMaxima& single = tables_.single_rotations();
        for (std::size_t part = 0; part < single.parts(); ++part)
            score_listed_blocks(number, bounds_.blocks_reaching(needed(), number, single, part), single, part);
    }

    /// While exact scores are added up, what the spots left can add is known from the bounds, too.
    void score_listed_blocks(std::ptrdiff_t number, const std::vector<std::size_t>& blocks, const BlockMaxima& table, std::size_t part) {
        constexpr std::size_t n_runs = kernels::exact_runs, n_lanes = kernels::exact_lanes;
        rest_.resize(std::max(rest_.size(), bounds_.n_groups(number) * n_runs));
        statistics_.exact_blocks += std::ssize(blocks);
        for (std::size_t first = 0; first < blocks.size(); first += n_runs) {
            const std::size_t runs = std::min(n_runs, blocks.size() - first);
            std::size_t begin[n_runs];
            for (std::size_t run = 0; run < n_runs; ++run) {
                const std::size_t lane = blocks[first + (run < runs ? run : 0)];
                begin[run] = (part * table.per_part() + lane) * table.length();
                bounds_.rest_of_block(number, lane, rest_.data() + run);
            }
            for (std::size_t done = 0; done < table.length(); done += n_lanes)
                score_runs(number, begin, runs, done, std::min(n_lanes, table.length() - done), rest_.data());
        }
    }

    /// Exact scores near the in-plane angle at which an image won last time.
    void score_around(const Hit& last) {
        constexpr std::size_t n_runs = kernels::exact_runs, n_lanes = kernels::exact_lanes;
        const std::size_t n = tables_.pattern.n_azimuths();
        std::size_t begin[n_runs];
        for (std::size_t run = 0; run < n_runs; ++run)
            begin[run] = (static_cast<std::size_t>(last.azimuth) + n + run * n_lanes - n_runs * n_lanes / 2) % n;
        score_runs(last.image, begin, n_runs, 0, n_lanes, nullptr);
    }

    /// Exact scores of the n bins from begin[run] + done on; keeps what matters.
    void score_runs(std::ptrdiff_t number, const std::size_t (&begin)[kernels::exact_runs], std::size_t runs, std::size_t done,
                    std::size_t n, const float* rest) {
        constexpr std::size_t n_runs = kernels::exact_runs, n_lanes = kernels::exact_lanes;
        const Image image(number);
        const float shift = scorer_.zero_mean(image.template_id);
        const auto slack = static_cast<float>(bounds_.rounding(image.template_id));
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

    const TemplateSet& templates_;
    MatchOptions options_;
    PatternTables& tables_;
    Scorer scorer_;
    UpperBounds bounds_;
    DistinctThreshold threshold_;
    float limit_ = -infinity, best_ = -infinity;
    std::vector<Open> open_, tier_;
    bool rings_pay_ = true;  // whether ring bounds settled enough on the last pattern
    std::vector<float> rest_;  // what the groups left can add to the blocks being scored
    std::vector<Hit> hits_;    // all rotations seen that scored what was needed at their time
    std::vector<Hit> recent_;  // winners of the last pattern
    SearchStatistics statistics_;
};

}  // namespace nbedex
