#include "nbedex/search.hpp"

#include <algorithm>
#include <deque>

#include "each_pattern.hpp"
#include "phase_search.hpp"

namespace nbedex {
namespace {

/// Searches one pattern at a time; owns the scratch of one thread.
class PrunedMatcher {
public:
    PrunedMatcher(Phases phases, const MatchOptions& options) : options_(options), tables_(*phases.front()) {
        for (const TemplateSet* templates : phases) phases_.emplace_back(*templates, options, tables_);
    }
    PrunedMatcher(const PrunedMatcher&) = delete;  // the phases refer to the tables
    PrunedMatcher& operator=(const PrunedMatcher&) = delete;

    void match(std::span<const float> pattern, const PowerSums& sums, const Levels& levels, std::span<const PhaseMatches> out) {
        if (!tables_.load(pattern, sums)) return;
        levels_ = levels;
        for (std::size_t i = 0; i < phases_.size(); ++i) phases_[i].begin(levels[i]);
        share_limit();
        for (PhaseSearch& phase : phases_) {
            phase.look_at_rings();
            share_limit();
        }
        for (const auto stage : {PhaseSearch::Stage::sample, PhaseSearch::Stage::promising, PhaseSearch::Stage::rest}) {
            for (PhaseSearch& phase : phases_) phase.look_at_sectors(stage);
            for (PhaseSearch* phase : most_promising_first()) {
                phase->score_promising(stage);
                share_limit();
            }
        }
        for (PhaseSearch& phase : phases_) {
            phase.finish();
            share_limit();
        }
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
        for (std::size_t i = 0; i < phases_.size(); ++i) best = std::max(best, phases_[i].best() / levels_[i]);
        for (std::size_t i = 0; i < phases_.size(); ++i) phases_[i].set_limit(least_score(options_, best, levels_[i]));
    }

    const std::vector<PhaseSearch*>& most_promising_first() {
        by_promise_.clear();
        for (PhaseSearch& phase : phases_) by_promise_.push_back(&phase);
        std::ranges::stable_sort(by_promise_, std::greater<>(), &PhaseSearch::promise);
        return by_promise_;
    }

    MatchOptions options_;
    Levels levels_;
    PatternTables tables_;
    std::deque<PhaseSearch> phases_;
    std::vector<PhaseSearch*> by_promise_;
};

}  // namespace

SearchStatistics& SearchStatistics::operator+=(const SearchStatistics& other) noexcept {
    images += other.images;
    past_groups += other.past_groups;
    past_sectors += other.past_sectors;
    windows += other.windows;
    scored += other.scored;
    hits += other.hits;
    return *this;
}

bool can_prune(const TemplateSet& templates) noexcept {
    const auto n = static_cast<std::size_t>(templates.n_azimuths);
    return SectorLayout::of_templates(static_cast<std::size_t>(templates.n_rings), n).usable();
}

void groups_reaching(const TemplateSet& templates, std::span<const float> pattern, std::span<const float> scores, std::span<bool> reach) {
    std::ranges::fill(reach, false);
    PatternTables tables(templates);
    if (templates.groups.size() == 0 || !tables.load(pattern, power_sums(pattern))) return;
    const Scorer scorer(templates, tables.pattern);
    const UpperBounds upper(templates, tables, scorer);
    GroupBounds bounds(templates, tables, upper);
    for (const bool sample : {true, false}) bounds.compute(sample);
    bounds.for_members([&](std::ptrdiff_t group, std::int32_t t) { reach[static_cast<std::size_t>(t)] = bounds.reaches(group, scores[static_cast<std::size_t>(t)]); });
}

SearchStatistics match_pruned(Phases phases, const Patterns& patterns, const MatchOptions& options, const Poll& poll,
                              std::span<const MatchOutput> out) {
    if (!can_prune(*phases.front())) {
        match_exhaustive(phases, patterns, options, poll, out);
        return {};
    }
    SearchStatistics total;
    for (const auto& matcher : match_each_pattern<PrunedMatcher>(phases, patterns, options, poll, out))
        total += matcher->statistics();
    return total;
}

}  // namespace nbedex
