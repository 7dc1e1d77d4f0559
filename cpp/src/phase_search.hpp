// Branch and bound over the templates of one phase; the steps are those of nbedex/search.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <vector>

#include "distinct_threshold.hpp"
#include "group_bounds.hpp"
#include "nbedex/search.hpp"
#include "upper_bounds.hpp"

namespace nbedex {

/// Branch and bound over the templates of one phase.
class PhaseSearch {
public:
    /// In which order templates are looked at.
    enum class Stage { sample, promising, rest };

    PhaseSearch(const TemplateSet& templates, const MatchOptions& options, PatternTables& tables)
        : templates_(templates),
          options_(options),
          tables_(tables),
          scorer_(templates, tables.pattern),
          bounds_(templates, tables, scorer_),
          groups_(templates, tables, bounds_),
          threshold_(templates, options),
          chosen_(templates.size()),
          done_(templates.size()) {}
    PhaseSearch(const PhaseSearch&) = delete;  // the bounds refer to the scorer
    PhaseSearch& operator=(const PhaseSearch&) = delete;

    /// Forgets the last pattern, but for its winners: neighbours in a scan are often alike, and the scores of last time's
    /// winners, near their last in-plane angles, are a good first threshold. The answer does not depend on it. A score is worth score / level.
    void begin(float level) {
        level_ = level;
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
                for (const std::ptrdiff_t image : {2 * t, 2 * t + 1})
                    open_.push_back({bounds_.ring(t), static_cast<std::int32_t>(image), all_sectors, -infinity});
        });
        score_tier(static_cast<std::size_t>(16 * options_.n_best));
    }

    /// Sector bounds of the images that groups or rings did not settle. First of a sample, which is enough to find what scores well: then most of the others are below
    /// what is needed.
    void look_at_sectors(Stage stage) {
        if (stage == Stage::sample) {
            open_.clear();
            statistics_.images += 2 * templates_.size();
        }
        choose_templates(stage);
        const float wanted = needed();
        chosen_.for_bits<UpperBounds::sector_group>([&](std::ptrdiff_t first, std::uint32_t templates) {
            if (rings_pay_) templates &= bounds_.rings_reaching(first, std::min(UpperBounds::sector_group, templates_.size() - first), wanted);
            statistics_.past_groups += 2 * std::popcount(templates);
            bounds_.sectors(first, templates, wanted, [&](std::int32_t image, float bound, std::uint32_t sectors) {
                open_.push_back({bound, image, sectors, wanted});
            });
        });
    }

    /// What the best of the open images can be worth, at most.
    [[nodiscard]] float promise() const {
        float most = -infinity;
        for (const Open& open : open_) most = std::max(most, open.bound);
        return most / level_;
    }

    /// Bounds of single rotations, and exact scores, of the images with the largest bounds, which raises the threshold for the others.
    void score_promising(Stage stage) {
        if (stage == Stage::promising && groups_.none()) return;
        // whether groups pay, and which reach what is needed, goes by what the sample found
        const int promising = stage == Stage::sample && !groups_.none() ? 2 * options_.n_best : options_.n_best;
        score_tier(static_cast<std::size_t>(promising) + 3);
    }

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
    /// An image that is not settled yet, with an upper bound of its scores, and the sectors in which it can reach what was wanted, a bit for each.
    struct Open {
        float bound;
        std::int32_t image;
        std::uint32_t sectors;
        float wanted;
    };
    static constexpr std::uint32_t all_sectors = ~std::uint32_t{0};

    static bool best_first(const Open& a, const Open& b) {
        return a.bound != b.bound ? a.bound > b.bound : a.image < b.image;
    }

    /// Moves the images with the `size` largest bounds, and few more, from open_ to tier_, and drops those that don't matter any more. Both stay
    /// in the order of templates. Bounds are counted in classes: to put them in order takes longer than it saves.
    void take_tier(std::size_t size) {
        constexpr std::size_t n_classes = 512;
        const float wanted = needed();
        float most = wanted;
        std::erase_if(open_, [&](const Open& open) {
            most = std::max(most, open.bound);
            return open.bound < wanted;
        });
        const float lowest = std::max(wanted, most - 1), per_class = static_cast<float>(n_classes - 1) / std::max(most - lowest, 1e-6F);
        const auto class_of = [&](const Open& open) { return static_cast<std::size_t>(std::max(open.bound - lowest, 0.0F) * per_class); };
        std::array<std::uint32_t, n_classes> count{};
        for (const Open& open : open_) ++count[class_of(open)];
        std::size_t least = n_classes;
        for (std::size_t taken = 0; least > 0 && taken < size;) taken += count[--least];
        tier_.clear();
        std::erase_if(open_, [&](const Open& open) {
            if (class_of(open) < least) return false;
            tier_.push_back(open);
            return true;
        });
    }

    static constexpr std::size_t ahead = 4;  // images whose spots are on their way into the cache

    /// Few images are looked at best first, as each may raise the threshold; many in the order of templates, which lie in memory like that.
    void score_tier(std::size_t size) {
        take_tier(size);
        if (tier_.size() <= static_cast<std::size_t>(24 * options_.n_best)) std::ranges::sort(tier_, best_first);
        for (std::size_t i = 0; i < tier_.size(); ++i) {
            if (i + ahead < tier_.size()) bounds_.fetch(tier_[i + ahead].image);
            if (tier_[i].bound < needed()) continue;
            ++statistics_.past_sectors;
            score_image(tier_[i]);
        }
    }

    /// The score that an orientation must reach to matter, as far as is known.
    [[nodiscard]] float needed() const { return std::max(threshold_.value(), limit_); }

    static constexpr int few_sectors = 2;
    static constexpr std::size_t sample_stride = 8;
    static constexpr std::size_t promising_groups = 4;  // for each of the n best

    /// Calls f with the templates of every eighth group of those whose ring bounds are computed together.
    template <class F>
    void for_sampled_templates(F&& f) const {
        constexpr auto group = std::ptrdiff_t{kernels::ring_lanes};
        for (std::ptrdiff_t first = 0; first < templates_.size(); first += std::ptrdiff_t{sample_stride} * group)
            for (std::ptrdiff_t t = first; t < std::min(templates_.size(), first + group); ++t) f(t);
    }

    /// With today's final threshold, would ring bounds have settled a fair share of the templates?
    void see_whether_rings_pay() {
        if (!groups_.none()) return;
        if (!rings_pay_) bounds_.compute_rings(sample_stride);
        std::ptrdiff_t seen = 0, settled = 0;
        for_sampled_templates([&](std::ptrdiff_t t) {
            ++seen;
            settled += bounds_.ring(t) < needed();
        });
        rings_pay_ = 4 * settled > seen;
    }

    void choose_every_eighth() {
        constexpr std::ptrdiff_t size = UpperBounds::sector_group;
        for (std::ptrdiff_t first = 0; first < templates_.size(); first += std::ptrdiff_t{sample_stride} * size)
            for (std::ptrdiff_t t = first; t < std::min(first + size, templates_.size()); ++t) chosen_.insert(t);
    }

    /// Sets chosen_ to the templates whose sectors are to be bounded now, each of them once. Without groups, every eighth of those that are bounded together is the
    /// sample. With groups, it is the most promising of every eighth of them. If their bounds then turn out to settle a fair share, they are computed for the others;
    /// again the most promising come first, and the rest is what can still reach what is needed. Else every eighth template comes before the rest, as without groups.
    void choose_templates(Stage stage) {
        chosen_.clear();
        const std::size_t most = promising_groups * static_cast<std::size_t>(options_.n_best);
        if (stage == Stage::sample) {
            done_.clear();
            if (groups_.none()) {
                choose_every_eighth();
            } else {
                groups_.clear();
                groups_.compute(true);
                groups_.take_promising(needed(), most, chosen_);
            }
        } else if (stage == Stage::promising) {
            groups_pay_ = !groups_.none() && 8 * groups_.n_reaching(needed()) < 7 * groups_.n_sampled();
            if (groups_pay_) {
                groups_.compute(false);
                groups_.take_promising(needed(), most, chosen_);
            } else if (!groups_.none()) {
                choose_every_eighth();
                chosen_.remove(done_);
            }
        } else if (groups_pay_) {
            groups_.take_reaching(needed(), chosen_);
        } else {
            chosen_.set_to_others_than(done_);
        }
        done_.insert(chosen_);
    }

    /// Exact scores of the rotations in the open sectors of an image whose own bounds are high enough.
    void score_image(const Open& open) {
        const Image image(open.image);
        const float wanted = needed();
        std::uint32_t sectors = open.sectors;
        // Once more, if more is needed by now, and therefore a fair share of the sectors is settled.
        if (std::popcount(sectors) > few_sectors && 2 * wanted > open.bound + open.wanted) sectors = bounds_.sectors_reaching(wanted, open.image);
        rotations_.clear();
        statistics_.windows += bounds_.rotations_reaching(wanted, open.image, sectors, rotations_);
        if (image.mirrored) {  // it met the mirrored pattern turned the other way
            const std::size_t n = tables_.pattern.n_azimuths();
            for (std::size_t& at : rotations_) at = (n - at) % n;
            std::ranges::reverse(rotations_);
        }
        score(open.image);
    }

    /// Exact scores of the rotations in rotations_; keeps what matters.
    void score(std::ptrdiff_t number) {
        if (rotations_.empty()) return;
        Hit best{-infinity, 0, number};
        scorer_.score_bins(Image(number), rotations_, [&](std::int32_t at, float score) {
            if (!(score >= needed())) return;
            hits_.push_back({score, at, number});
            best = std::min(best, hits_.back());
        });
        statistics_.scored += std::ssize(rotations_);
        if (best.score == -infinity) return;
        if (best.score > best_) {
            best_ = best.score;
            limit_ = std::max(limit_, least_score(options_, best_ / level_, level_));
        }
        threshold_.offer(best);
    }

    /// Exact scores near the in-plane angle at which an image won last time.
    void score_around(const Hit& last) {
        constexpr std::size_t n_bins = kernels::exact_runs * kernels::exact_lanes;
        const std::size_t n = tables_.pattern.n_azimuths();
        rotations_.clear();
        for (std::size_t i = 0; i < n_bins; ++i) rotations_.push_back((static_cast<std::size_t>(last.azimuth) + n + i - n_bins / 2) % n);
        score(last.image);
    }

    const TemplateSet& templates_;
    MatchOptions options_;
    PatternTables& tables_;
    Scorer scorer_;
    UpperBounds bounds_;
    GroupBounds groups_;
    DistinctThreshold threshold_;
    float level_ = 1, limit_ = -infinity, best_ = -infinity;
    std::vector<Open> open_, tier_;
    bool rings_pay_ = groups_.none();  // whether ring bounds settled enough on the last pattern; bounds of groups are better
    bool groups_pay_ = false;  // whether bounds of groups settle enough on this one
    TemplateBits chosen_, done_;  // templates whose sectors are to be bounded, and have been
    std::vector<std::size_t> rotations_;  // of the image being scored
    std::vector<Hit> hits_;    // all rotations seen that scored what was needed at their time
    std::vector<Hit> recent_;  // winners of the last pattern
    SearchStatistics statistics_;
};

}  // namespace nbedex
