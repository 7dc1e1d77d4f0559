#include "nbedex/search.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <vector>

#include "block_maxima.hpp"
#include "distinct_threshold.hpp"
#include "each_pattern.hpp"
#include "scorer.hpp"

namespace nbedex {
namespace {

constexpr std::size_t most_blocks = 24;  // beyond this many of 60 blocks, scoring all rotations at once is faster

/// Searches one pattern at a time; owns the scratch of one thread.
class PrunedMatcher {
public:
    PrunedMatcher(const TemplateSet& templates, const MatchOptions& options)
        : templates_(templates),
          options_(options),
          scorer_(templates),
          maxima_(n_rings(), n_azimuths()),
          threshold_(templates, options),
          seen_(static_cast<std::size_t>(scorer_.n_images()), 0) {
        std::size_t most = 0;
        for (std::ptrdiff_t t = 0; t < templates.size(); ++t) most = std::max(most, rounded_spots(t).n);
        sums_.resize(most / kernels::group + 2);
        for (std::size_t a = 0; a < n_azimuths(); ++a) {
            azimuth_[0].push_back(static_cast<std::uint32_t>(a));
            azimuth_[1].push_back(static_cast<std::uint32_t>((n_azimuths() - a) % n_azimuths()));
        }
    }

    void match(std::span<const float> pattern, std::span<Candidate> candidates, float& mirror_score,
               float& half_turn_score) {
        std::ranges::fill(candidates, Candidate{});
        mirror_score = half_turn_score = std::numeric_limits<float>::quiet_NaN();
        if (!scorer_.load(pattern)) return;
        maxima_.load(scorer_.pattern());
        find_hits();
        choose(candidates, mirror_score, half_turn_score);
    }

    [[nodiscard]] const SearchStatistics& statistics() const noexcept { return statistics_; }

private:
    struct Open {
        float bound;
        std::ptrdiff_t image;
    };

    [[nodiscard]] std::size_t n_rings() const { return static_cast<std::size_t>(templates_.n_rings); }
    [[nodiscard]] std::size_t n_azimuths() const { return static_cast<std::size_t>(templates_.n_azimuths); }

    /// All rotations that score at least the final threshold, and some more.
    void find_hits() {
        hits_.clear();
        threshold_.clear();
        ++generation_;
        for (const std::ptrdiff_t image : recent_) score_whole(image);

        open_.clear();
        for (std::ptrdiff_t t = 0; t < templates_.size(); ++t) {
            const kernels::RoundedSpots spots = rounded_spots(t);
            if (spots.n == 0) continue;
            scorer_.kernels().ring_sums(maxima_.ring_maximum(), spots, sums_.data());
            const std::int32_t cut = cut_of(t);
            for (const bool mirrored : {false, true}) {
                const std::int32_t bound = block_bound(spots, mirrored, cut);
                if (bound >= cut && !seen(2 * t + mirrored)) open_.push_back({score_bound(t, bound), 2 * t + mirrored});
            }
        }
        statistics_.images += scorer_.n_images();
        statistics_.past_bound += static_cast<std::int64_t>(open_.size());
        // The most promising first: they raise the threshold for the others.
        const auto promising = open_.begin() + std::min<std::ptrdiff_t>(std::ssize(open_), 16 * options_.n_best);
        std::partial_sort(open_.begin(), promising, open_.end(), [](const Open& a, const Open& b) {
            return a.bound != b.bound ? a.bound > b.bound : a.image < b.image;
        });
        for (const Open& open : open_)
            if (open.bound >= threshold_.value()) refine(open.image);
    }

    /// Block bounds of an image against today's threshold, then exact scores of the blocks that are left.
    void refine(std::ptrdiff_t number) {
        const Image image(number);
        const kernels::RoundedSpots spots = rounded_spots(image.template_id);
        scorer_.kernels().ring_sums(maxima_.ring_maximum(), spots, sums_.data());
        const std::int32_t cut = cut_of(image.template_id);
        if (block_bound(spots, image.mirrored, cut) < cut) return;
        blocks_.clear();
        for (std::size_t b = 0; b < maxima_.n_blocks(); ++b)
            if (lanes_[b] >= cut) blocks_.push_back(b * maxima_.length());
        statistics_.exact_blocks += std::ssize(blocks_);
        if (blocks_.size() > most_blocks)
            score_whole(number);
        else
            score_blocks(number, scorer_.spots(image.template_id));
    }

    /// Exact scores of the rotations of the blocks that start at blocks_.
    void score_blocks(std::ptrdiff_t number, const kernels::Spots& spots) {
        constexpr std::size_t n_runs = kernels::exact_runs, n_lanes = kernels::exact_lanes;
        const Image image(number);
        const float shift = scorer_.zero_mean(image.template_id);
        float scores[n_runs * n_lanes];
        for (std::size_t first = 0; first < blocks_.size(); first += n_runs) {
            const std::size_t n = std::min(n_runs, blocks_.size() - first);
            for (std::size_t done = 0; done < maxima_.length(); done += n_lanes) {
                // A run that would read past the second copy of a ring starts earlier; unused runs repeat the first.
                std::size_t from[n_runs];
                for (std::size_t run = 0; run < n_runs; ++run)
                    from[run] = std::min(blocks_[first + (run < n ? run : 0)] + done, n_azimuths() - n_lanes);
                scorer_.kernels().correlate_some(scorer_.pattern().rows(), n_azimuths(), spots,
                                                 azimuth_[image.mirrored].data(), from, scores);
                for (std::size_t run = 0; run < n; ++run) {
                    const std::size_t begin = blocks_[first + run] + done;
                    const std::size_t end = blocks_[first + run] + std::min(maxima_.length(), done + n_lanes);
                    for (std::size_t at = begin; at < end; ++at)
                        hit({scores[run * n_lanes + at - from[run]] - shift, static_cast<std::int32_t>(at), number});
                }
            }
        }
    }

    /// Exact scores of all rotations of an image.
    void score_whole(std::ptrdiff_t number) {
        if (seen(number)) return;
        seen_[static_cast<std::size_t>(number)] = generation_;
        const Image image(number);
        if (scorer_.spots(image.template_id).n == 0) return;
        const std::span<const float> scores = scorer_.correlate(image);
        for (std::size_t phi = 0; phi < scores.size(); ++phi) hit({scores[phi], static_cast<std::int32_t>(phi), number});
    }

    void hit(const Hit& hit) {
        if (hit.score < threshold_.value()) return;
        hits_.push_back(hit);
        threshold_.offer(hit);
    }

    /// The n best distinct of what was seen, and the winner's two special rivals.
    void choose(std::span<Candidate> candidates, float& mirror_score, float& half_turn_score) {
        std::erase_if(hits_, [&](const Hit& h) { return h.score < threshold_.value(); });
        statistics_.hits += static_cast<std::int64_t>(hits_.size());
        std::sort(hits_.begin(), hits_.end());
        std::vector<Neighbourhood> chosen;
        std::size_t n = 0;
        for (const Hit& h : hits_) {
            if (n == candidates.size()) break;
            const Image image(h.image);
            if (std::ranges::any_of(chosen, [&](const Neighbourhood& near) { return near.contains(image, h.azimuth); })) continue;
            candidates[n] = scorer_.describe(h.image, h.azimuth);
            chosen.emplace_back(templates_, image, h.azimuth, options_.distinct_angle);
            remember(h.image);
            ++n;
        }
        if (n > 0) {
            mirror_score = scorer_.mirror_score(candidates[0], chosen.front());
            half_turn_score = scorer_.half_turn_score(candidates[0], chosen.front());
        }
    }

    /// Winners of the last patterns are scored first on the next one: neighbours in a scan are often alike. This only
    /// raises the threshold earlier; the answer does not depend on it.
    void remember(std::ptrdiff_t image) {
        if (std::ranges::find(recent_, image) != recent_.end()) return;
        recent_.push_front(image);
        if (recent_.size() > 8 * static_cast<std::size_t>(options_.n_best)) recent_.pop_back();
    }

    [[nodiscard]] bool seen(std::ptrdiff_t image) const { return seen_[static_cast<std::size_t>(image)] == generation_; }

    [[nodiscard]] kernels::RoundedSpots rounded_spots(std::ptrdiff_t template_id) const {
        const auto t = static_cast<std::size_t>(template_id);
        const RoundedSpots& all = templates_.rounded;
        const auto first = static_cast<std::size_t>(all.offset[t]);
        return {all.ring.data() + first, all.azimuth.data() + first, all.weight.data() + first,
                static_cast<std::size_t>(all.offset[t + 1]) - first};
    }

    /// Largest block bound of an image in whole numbers, -1 if it is below the cut; the blocks' own are then in lanes_.
    std::int32_t block_bound(const kernels::RoundedSpots& spots, bool mirrored, std::int32_t cut) {
        return scorer_.kernels().block_bound(maxima_.table(mirrored), spots, sums_.data(), cut, lanes_);
    }

    /// What one in whole numbers is worth in a score of this template.
    [[nodiscard]] double unit(std::ptrdiff_t template_id) const {
        return double{templates_.rounded.unit[static_cast<std::size_t>(template_id)]} * double{maxima_.unit()};
    }

    /// Upper bound of a score from a block bound in whole numbers.
    [[nodiscard]] float score_bound(std::ptrdiff_t template_id, std::int32_t bound) const {
        return static_cast<float>(bound * unit(template_id) - double{scorer_.zero_mean(template_id)} + rounding(template_id));
    }

    /// The least block bound in whole numbers with which a template can reach the threshold.
    [[nodiscard]] std::int32_t cut_of(std::ptrdiff_t template_id) const {
        if (threshold_.value() == -infinity) return 0;
        const double needed = double{threshold_.value()} + double{scorer_.zero_mean(template_id)} - rounding(template_id);
        return static_cast<std::int32_t>(std::clamp(std::floor(needed / unit(template_id)), 0.0, 2e9));
    }

    /// More than the exact score of a template can exceed the sum of its terms by rounding.
    [[nodiscard]] double rounding(std::ptrdiff_t template_id) const {
        const auto t = static_cast<std::size_t>(template_id);
        const double terms = double{templates_.weight_sum[t]} * double{scorer_.pattern().largest()};
        const auto n = static_cast<double>(templates_.offset[t + 1] - templates_.offset[t]);
        return 2 * (n + 8) * 0x1p-24 * (terms + 1 + std::abs(double{scorer_.zero_mean(template_id)}));
    }

    const TemplateSet& templates_;
    MatchOptions options_;
    Scorer scorer_;
    BlockMaxima maxima_;
    DistinctThreshold threshold_;
    std::vector<std::int32_t> sums_;           // of ring maxima, by group of spots
    std::int32_t lanes_[kernels::block_lanes];  // block bounds of the image last looked at
    std::vector<std::uint32_t> azimuth_[2];  // as it is, mirrored
    std::vector<Open> open_;
    std::vector<std::size_t> blocks_;  // first rotations of the blocks to be scored exactly
    std::vector<Hit> hits_;
    std::deque<std::ptrdiff_t> recent_;
    std::vector<std::uint32_t> seen_;  // generation in which an image was scored whole
    std::uint32_t generation_ = 0;
    SearchStatistics statistics_;
};

}  // namespace

bool can_prune(int n_azimuths) noexcept {
    const auto n = static_cast<std::size_t>(n_azimuths);
    return n >= 2 * kernels::block_lanes && blocks_of(n) >= 30;
}

SearchStatistics match_pruned(const TemplateSet& templates, std::span<const float> patterns, std::ptrdiff_t n_patterns,
                              const MatchOptions& options, const Poll& poll, const MatchOutput& out) {
    if (!can_prune(templates.n_azimuths)) {
        match_exhaustive(templates, patterns, n_patterns, options, poll, out);
        return {};
    }
    const std::vector<PrunedMatcher> matchers =
        match_each_pattern<PrunedMatcher>(templates, patterns, n_patterns, options, poll, out);
    SearchStatistics total;
    for (const PrunedMatcher& matcher : matchers) {
        const SearchStatistics& s = matcher.statistics();
        total.images += s.images;
        total.past_bound += s.past_bound;
        total.exact_blocks += s.exact_blocks;
        total.hits += s.hits;
    }
    return total;
}

}  // namespace nbedex
