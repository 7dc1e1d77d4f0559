// The score that an orientation must reach to be among the k best distinct ones; the proof is in nbedex/search.hpp.
#pragma once

#include <algorithm>
#include <vector>

#include "neighbourhood.hpp"
#include "phase_matches.hpp"

namespace nbedex {

/// A rotation of an image that scored at least the threshold of its time.
struct Hit {
    float score;
    std::int32_t azimuth;
    std::ptrdiff_t image;

    /// Best first; equal scores by image, then rotation.
    [[nodiscard]] bool operator<(const Hit& other) const {
        if (score != other.score) return score > other.score;
        return image != other.image ? image < other.image : azimuth < other.azimuth;
    }
};

/// The threshold T: k-th best of the scores seen whose orientations are pairwise more than 2 delta apart.
class DistinctThreshold {
public:
    DistinctThreshold(const TemplateSet& templates, const MatchOptions& options)
        : templates_(templates),
          k_(static_cast<std::size_t>(options.n_best)),
          apart_(2 * options.distinct_angle * (1 + 1e-9) + 1e-9) {}

    void clear() {
        members_.clear();
        value_ = -infinity;
    }
    [[nodiscard]] float value() const noexcept { return value_; }

    void offer(const Hit& hit) {
        if (hit.score <= value_) return;
        const Image image(hit.image);
        for (const Member& member : members_)
            if (member.hit.score >= hit.score && member.near.contains(image, hit.azimuth)) return;
        const Neighbourhood near(templates_, image, hit.azimuth, apart_);
        std::erase_if(members_, [&](const Member& m) { return near.contains(Image(m.hit.image), m.hit.azimuth); });
        members_.push_back({hit, near});
        std::ranges::sort(members_, [](const Member& a, const Member& b) { return a.hit < b.hit; });
        if (members_.size() > 4 * k_) members_.pop_back();
        if (members_.size() >= k_) value_ = std::max(value_, members_[k_ - 1].hit.score);
    }

private:
    struct Member {
        Hit hit;
        Neighbourhood near;
    };
    const TemplateSet& templates_;
    std::size_t k_;
    double apart_;
    float value_ = -infinity;
    std::vector<Member> members_;
};

}  // namespace nbedex
