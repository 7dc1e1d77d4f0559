// Upper bounds of the scores of whole groups of templates: which templates need not be looked at one by one.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "pattern_tables.hpp"
#include "upper_bounds.hpp"

namespace nbedex {

/// A set of templates, a bit for each.
class TemplateBits {
public:
    explicit TemplateBits(std::ptrdiff_t n_templates) : n_(n_templates), words_(static_cast<std::size_t>((n_templates + size - 1) / size)) {}
    void clear() { std::ranges::fill(words_, 0); }
    void insert(std::ptrdiff_t t) { words_[static_cast<std::size_t>(t / size)] |= std::uint64_t{1} << (t % size); }
    void insert(const TemplateBits& others) {
        for (std::size_t i = 0; i < words_.size(); ++i) words_[i] |= others.words_[i];
    }
    void remove(const TemplateBits& others) {
        for (std::size_t i = 0; i < words_.size(); ++i) words_[i] &= ~others.words_[i];
    }
    /// All but some.
    void set_to_others_than(const TemplateBits& some) {
        for (std::size_t i = 0; i < words_.size(); ++i) words_[i] = ~some.words_[i];
        if (n_ % size != 0) words_.back() &= (std::uint64_t{1} << (n_ % size)) - 1;
    }

    /// Calls f(first, bits) with those templates that are in the set, n at a time, n a divisor of 64.
    template <std::ptrdiff_t n, class F>
    void for_bits(F&& f) const {
        static_assert(size % n == 0 && n < size);
        for (std::size_t i = 0; i < words_.size(); ++i)
            for (std::uint64_t left = words_[i]; left != 0;) {
                const std::ptrdiff_t skipped = std::countr_zero(left) / n * n;
                const std::uint64_t bits = left >> skipped & ((std::uint64_t{1} << n) - 1);
                f(static_cast<std::ptrdiff_t>(i) * size + skipped, static_cast<std::uint32_t>(bits));
                left &= ~(bits << skipped);
            }
    }

private:
    static constexpr std::ptrdiff_t size = 64;
    std::ptrdiff_t n_;
    std::vector<std::uint64_t> words_;
};

/// Bounds of the pattern that the tables hold.
class GroupBounds {
public:
    GroupBounds(const TemplateSet& templates, PatternTables& tables, const UpperBounds& bounds)
        : groups_(templates.groups), tables_(tables), bounds_(bounds), of_group_(static_cast<std::size_t>(groups_.size())) {}

    [[nodiscard]] bool none() const noexcept { return groups_.size() == 0; }

    /// Forgets the last pattern: no group can reach anything.
    void clear() { std::ranges::fill(of_group_, settled); }

    /// Computes bounds of every eighth group, or of the others.
    void compute(bool sample) {
        for_blocks([&](std::ptrdiff_t first, std::ptrdiff_t n) {
            const std::uint32_t wanted = (sample ? sampled : ~sampled) & ~std::uint32_t{0} >> (block - n);
            if (wanted != 0)
                kernels::active().union_bounds(tables_.groups().table(), {groups_.offset.data(), groups_.place.data(), groups_.weight.data()},
                                               static_cast<std::size_t>(first), wanted, of_group_.data() + first);
        });
    }

    /// Adds the templates of those of the groups that can reach a score that are most promising; from then on they count as settled.
    void take_promising(float wanted, std::size_t most, TemplateBits& templates) {
        promises_.clear();
        for_reaching(wanted, [&](std::ptrdiff_t group) { promises_.push_back(promise(group)); });
        float least = -infinity;
        if (promises_.size() > most) {
            const auto last = promises_.begin() + static_cast<std::ptrdiff_t>(most) - 1;
            std::nth_element(promises_.begin(), last, promises_.end(), std::greater<>());
            least = *last;
        }
        for_reaching(wanted, [&](std::ptrdiff_t group) {
            if (promise(group) < least) return;
            for (const std::int32_t t : members(group)) templates.insert(t);
            of_group_[static_cast<std::size_t>(group)] = settled;
        });
    }

    /// Adds the templates of the groups that can reach a score.
    void take_reaching(float wanted, TemplateBits& templates) const {
        for_reaching(wanted, [&](std::ptrdiff_t group) {
            for (const std::int32_t t : members(group)) templates.insert(t);
        });
    }

    /// Calls f(group, template) for all that are in a group.
    template <class F>
    void for_members(F&& f) const {
        for (std::ptrdiff_t group = 0; group < groups_.size(); ++group)
            for (const std::int32_t t : members(group)) f(group, t);
    }

    /// Whether a template of a group can reach a score.
    [[nodiscard]] bool reaches(std::ptrdiff_t group, float wanted) const {
        std::int32_t cut;
        bounds_.cuts(group, 1, wanted, groups_.per_unit, zero_mean(), 2, &cut);
        return of_group_[static_cast<std::size_t>(group)] >= cut;
    }

    /// How many groups can reach a score.
    [[nodiscard]] std::ptrdiff_t n_reaching(float wanted) const {
        std::ptrdiff_t n = 0;
        for_reaching(wanted, [&](std::ptrdiff_t) { ++n; });
        return n;
    }
    [[nodiscard]] std::ptrdiff_t n_sampled() const noexcept { return (groups_.size() + 7) / 8; }

private:
    static constexpr std::ptrdiff_t block = 32;  // groups whose bounds are computed together
    static constexpr std::uint32_t sampled = 0x01010101;  // every eighth group of a block
    static constexpr std::int32_t settled = -1;           // less than can be needed

    template <class F>
    void for_blocks(F&& f) const {
        for (std::ptrdiff_t first = 0; first < groups_.size(); first += block) f(first, std::min(block, groups_.size() - first));
    }

    /// Calls f with the groups that have a template that can reach a score.
    template <class F>
    void for_reaching(float wanted, F&& f) const {
        for_blocks([&](std::ptrdiff_t first, std::ptrdiff_t n) {
            std::int32_t cut[block];
            bounds_.cuts(first, n, wanted, groups_.per_unit, zero_mean(), 2, cut);
            std::uint32_t reaching = 0;
            for (std::ptrdiff_t g = 0; g < n; ++g) reaching |= std::uint32_t{of_group_[static_cast<std::size_t>(first + g)] >= cut[g]} << g;
            for (; reaching != 0; reaching &= reaching - 1) f(first + std::countr_zero(reaching));
        });
    }

    /// By group, what zero-mean normalisation takes off scores: the least of all its templates, as the sum of weights that is multiplied by the mean.
    [[nodiscard]] const std::vector<float>& zero_mean() const {
        return tables_.pattern.mean() >= 0 ? groups_.least_sum_per_unit : groups_.largest_sum_per_unit;
    }

    /// About the most that a template of a group can score, in some unit: only to tell which groups are promising.
    [[nodiscard]] float promise(std::ptrdiff_t group) const {
        const auto g = static_cast<std::size_t>(group);
        const float zero = tables_.pattern.mean() * static_cast<float>(tables_.rounded.per_unit() / 2);
        return (static_cast<float>(of_group_[g]) - zero * zero_mean()[g]) / groups_.per_unit[g];
    }

    [[nodiscard]] std::span<const std::int32_t> members(std::ptrdiff_t group) const {
        const auto g = static_cast<std::size_t>(group);
        const auto first = static_cast<std::size_t>(groups_.first_member[g]), last = static_cast<std::size_t>(groups_.first_member[g + 1]);
        return std::span(groups_.member).subspan(first, last - first);
    }

    const TemplateGroups& groups_;
    PatternTables& tables_;
    const UpperBounds& bounds_;
    std::vector<std::int32_t> of_group_;  // in whole numbers
    std::vector<float> promises_;
};

}  // namespace nbedex
