#include "nbedex/segmentation.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

namespace nbedex {
namespace {

/// Sets of pixels or regions with the sum of their orientations, each in the equivalent nearest to the others.
class Forest {
public:
    Forest(std::vector<Quaternion> sums, double threshold)
        : parent_(sums.size()), size_(sums.size(), 1), sum_(std::move(sums)), least_cosine_(std::cos(threshold / 2)) {
        for (std::size_t i = 0; i < parent_.size(); ++i) parent_[i] = static_cast<std::int32_t>(i);
    }

    [[nodiscard]] std::int32_t root(std::int32_t i) noexcept {
        while (parent(i) != i) {
            parent(i) = parent(parent(i));
            i = parent(i);
        }
        return i;
    }

    [[nodiscard]] const Quaternion& sum(std::int32_t root) const noexcept { return sum_[static_cast<std::size_t>(root)]; }

    /// Joins the sets of i and j if their means differ by no more than the threshold.
    bool join(std::int32_t i, std::int32_t j, const Disorientation& zone) noexcept {
        i = root(i), j = root(j);
        if (i == j) return false;
        if (size(i) < size(j) || (size(i) == size(j) && j < i)) std::swap(i, j);
        Quaternion& into = sum_[static_cast<std::size_t>(i)];
        const Quaternion& from = sum_[static_cast<std::size_t>(j)];
        const auto [product, scalar] = zone.best(from * conjugate(into));
        if (!(std::abs(scalar) >= least_cosine_ * std::sqrt(norm2(into) * norm2(from)))) return false;
        const Quaternion image = zone.product(product) * from;
        const double sign = scalar < 0 ? -1 : 1;
        into = {into.w + sign * image.w, into.x + sign * image.x, into.y + sign * image.y, into.z + sign * image.z};
        parent(j) = i;
        size(i) += size(j);
        return true;
    }

private:
    static double norm2(const Quaternion& q) noexcept { return q.w * q.w + q.x * q.x + q.y * q.y + q.z * q.z; }
    std::int32_t& parent(std::int32_t i) noexcept { return parent_[static_cast<std::size_t>(i)]; }
    std::int32_t& size(std::int32_t i) noexcept { return size_[static_cast<std::size_t>(i)]; }

    std::vector<std::int32_t> parent_, size_;
    std::vector<Quaternion> sum_;
    double least_cosine_;
};

constexpr std::uint16_t n_bins = 64, no_edge = 0xFFFF;

/// For every pixel its disorientation to the right and to the lower neighbour, in 4096ths of the threshold.
std::vector<std::array<std::uint16_t, 2>> pixel_edges(const OrientationGrid& grid, double threshold, int threads,
                                                      const Poll& poll) {
    std::vector<std::array<std::uint16_t, 2>> edges(static_cast<std::size_t>(grid.size()), {no_edge, no_edge});
    parallel_for(grid.rows, threads, poll, [&](std::ptrdiff_t row, int) {
        for (std::ptrdiff_t column = 0; column < grid.columns; ++column) {
            const auto p = static_cast<std::size_t>(row * grid.columns + column);
            if (grid.phase[p] < 0) continue;
            const Disorientation& zone = grid.symmetry[static_cast<std::size_t>(grid.phase[p])];
            const bool there[] = {column + 1 < grid.columns, row + 1 < grid.rows};
            const std::size_t next[] = {p + 1, p + static_cast<std::size_t>(grid.columns)};
            for (std::size_t side = 0; side < 2; ++side) {
                if (!there[side] || grid.phase[next[side]] != grid.phase[p]) continue;
                const double angle = zone.angle(grid.orientation[next[side]] * conjugate(grid.orientation[p]));
                if (angle <= threshold) edges[p][side] = static_cast<std::uint16_t>(std::min(angle / threshold * n_bins, n_bins - 1.0));
            }
        }
    });
    return edges;
}

/// Edges in order of their bins, 2 * pixel + side; ties in reading order.
std::vector<std::uint32_t> sorted_edges(const std::vector<std::array<std::uint16_t, 2>>& edges) {
    std::vector<std::size_t> start(n_bins + 1, 0);
    for (const auto& sides : edges)
        for (const std::uint16_t bin : sides)
            if (bin != no_edge) ++start[bin + 1U];
    for (std::size_t bin = 0; bin < n_bins; ++bin) start[bin + 1] += start[bin];
    std::vector<std::uint32_t> order(start[n_bins]);
    for (std::size_t p = 0; p < edges.size(); ++p)
        for (std::uint32_t side = 0; side < 2; ++side)
            if (edges[p][side] != no_edge) order[start[edges[p][side]]++] = static_cast<std::uint32_t>(2 * p + side);
    return order;
}

void require_addressable(const OrientationGrid& grid) {
    if (grid.size() > 0x7FFFFFFF) throw std::length_error("a map may have at most 2^31 - 1 pixels");
}

/// Two regions that touch, a < b, and the angle between their means.
struct Contact {
    std::int32_t a, b;
    double angle = 0;
    [[nodiscard]] bool same_pair(const Contact& other) const noexcept { return a == other.a && b == other.b; }
};

void make_unique(std::vector<Contact>& contacts) {
    std::sort(contacts.begin(), contacts.end(), [](const Contact& u, const Contact& v) { return u.a != v.a ? u.a < v.a : u.b < v.b; });
    contacts.erase(std::unique(contacts.begin(), contacts.end(), [](const Contact& u, const Contact& v) { return u.same_pair(v); }),
                   contacts.end());
}

/// Every pair of touching regions of one phase.
std::vector<Contact> contacts_of(const OrientationGrid& grid, std::span<const std::int16_t> phase_of, Labels label) {
    std::vector<Contact> contacts;
    const auto add = [&](std::int32_t a, std::int32_t b) {
        if (a == b || a < 0 || b < 0) return;
        const std::int16_t phase = phase_of[static_cast<std::size_t>(a)];
        if (phase < 0 || phase != phase_of[static_cast<std::size_t>(b)]) return;
        const Contact contact{std::min(a, b), std::max(a, b)};
        if (contacts.empty() || !contacts.back().same_pair(contact)) contacts.push_back(contact);
    };
    for (std::ptrdiff_t row = 0; row < grid.rows; ++row)
        for (std::ptrdiff_t column = 0; column < grid.columns; ++column) {
            const auto p = static_cast<std::size_t>(row * grid.columns + column);
            if (column + 1 < grid.columns) add(label[p], label[p + 1]);
            if (row + 1 < grid.rows) add(label[p], label[p + static_cast<std::size_t>(grid.columns)]);
        }
    make_unique(contacts);
    return contacts;
}

/// Sum of each region's orientations, every pixel in the equivalent nearest to the sum so far.
std::vector<Quaternion> region_sums(const OrientationGrid& grid, std::span<const std::uint8_t> own,
                                    std::span<const std::int16_t> phase_of, Labels label) {
    std::vector<Quaternion> sums(phase_of.size(), {0, 0, 0, 0});
    for (std::size_t p = 0; p < own.size(); ++p) {
        if (!own[p] || label[p] < 0 || grid.phase[p] < 0 || grid.phase[p] != phase_of[static_cast<std::size_t>(label[p])]) continue;
        Quaternion& sum = sums[static_cast<std::size_t>(label[p])];
        const Disorientation& zone = grid.symmetry[static_cast<std::size_t>(grid.phase[p])];
        const auto [product, scalar] = zone.best(grid.orientation[p] * conjugate(sum));
        const Quaternion image = zone.product(product) * grid.orientation[p];
        const double sign = scalar < 0 ? -1 : 1;
        sum = {sum.w + sign * image.w, sum.x + sign * image.x, sum.y + sign * image.y, sum.z + sign * image.z};
    }
    return sums;
}

}  // namespace

std::int32_t join_pixels(const OrientationGrid& grid, double threshold, Labels label, int threads, const Poll& poll) {
    require_addressable(grid);
    std::vector<std::uint32_t> order;
    {
        const auto edges = pixel_edges(grid, threshold, threads, poll);
        order = sorted_edges(edges);
    }
    Forest forest({grid.orientation.begin(), grid.orientation.end()}, threshold);
    for (std::size_t e = 0; e < order.size(); ++e) {
        const auto p = static_cast<std::int32_t>(order[e] / 2);
        const auto next = order[e] % 2 == 0 ? p + 1 : p + static_cast<std::int32_t>(grid.columns);
        forest.join(p, next, grid.symmetry[static_cast<std::size_t>(grid.phase[static_cast<std::size_t>(p)])]);
        if (e % (1U << 18) == 0 && poll && !poll()) throw Interrupted();
    }
    for (std::size_t p = 0; p < label.size(); ++p)
        label[p] = grid.phase[p] < 0 ? -1 : forest.root(static_cast<std::int32_t>(p));
    return number_by_first_pixel(label);
}

std::int32_t join_regions(const OrientationGrid& grid, std::span<const std::uint8_t> own,
                          std::span<const std::int16_t> phase_of, double threshold, Labels label, const Poll& poll) {
    require_addressable(grid);
    std::vector<Contact> contacts = contacts_of(grid, phase_of, label);
    Forest forest(region_sums(grid, own, phase_of, label), threshold);
    const auto zone_of = [&](std::int32_t region) -> const Disorientation& {
        return grid.symmetry[static_cast<std::size_t>(phase_of[static_cast<std::size_t>(region)])];
    };
    for (bool joined = true; joined;) {
        joined = false;
        std::vector<Contact> close;
        for (Contact& contact : contacts) {
            const Quaternion m = forest.sum(contact.b) * conjugate(forest.sum(contact.a));
            contact.angle = zone_of(contact.a).angle(m);
            if (contact.angle <= threshold) close.push_back(contact);
        }
        std::sort(close.begin(), close.end(), [](const Contact& u, const Contact& v) {
            if (u.angle != v.angle) return u.angle < v.angle;
            return u.a != v.a ? u.a < v.a : u.b < v.b;
        });
        for (const Contact& contact : close) joined = forest.join(contact.a, contact.b, zone_of(contact.a)) || joined;
        for (Contact& contact : contacts) {
            const std::int32_t a = forest.root(contact.a), b = forest.root(contact.b);
            contact = {std::min(a, b), std::max(a, b)};
        }
        std::erase_if(contacts, [](const Contact& contact) { return contact.a == contact.b; });
        make_unique(contacts);
        if (poll && !poll()) throw Interrupted();
    }
    for (std::int32_t& region : label)
        if (region >= 0) region = forest.root(region);
    return number_by_first_pixel(label);
}

void fill_from_around(std::ptrdiff_t rows, std::ptrdiff_t columns, Labels label) {
    const auto at = [&](std::ptrdiff_t row, std::ptrdiff_t column) {
        if (row < 0 || column < 0 || row >= rows || column >= columns) return std::int32_t{-1};
        return label[static_cast<std::size_t>(row * columns + column)];
    };
    const auto winner = [&](std::ptrdiff_t row, std::ptrdiff_t column) {
        const std::array<std::int32_t, 8> around{at(row - 1, column),     at(row, column - 1),     at(row, column + 1),
                                                 at(row + 1, column),     at(row - 1, column - 1), at(row - 1, column + 1),
                                                 at(row + 1, column - 1), at(row + 1, column + 1)};
        std::int32_t best = -1;
        std::ptrdiff_t most = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            if (around[i] < 0) continue;
            const std::ptrdiff_t votes = std::count(around.begin(), around.end(), around[i]);
            if (votes > most || (votes == most && around[i] < best)) most = votes, best = around[i];
        }
        return best;
    };
    std::vector<std::ptrdiff_t> ring, next;
    for (std::ptrdiff_t p = 0; p < rows * columns; ++p)
        if (label[static_cast<std::size_t>(p)] < 0 && winner(p / columns, p % columns) >= 0) ring.push_back(p);
    std::vector<std::int32_t> chosen;
    while (!ring.empty()) {
        chosen.clear();
        for (const std::ptrdiff_t p : ring) chosen.push_back(winner(p / columns, p % columns));
        for (std::size_t i = 0; i < ring.size(); ++i) label[static_cast<std::size_t>(ring[i])] = chosen[i];
        next.clear();
        for (const std::ptrdiff_t p : ring) {
            const std::ptrdiff_t row = p / columns, column = p % columns;
            if (row > 0 && at(row - 1, column) < 0) next.push_back(p - columns);
            if (column > 0 && at(row, column - 1) < 0) next.push_back(p - 1);
            if (column + 1 < columns && at(row, column + 1) < 0) next.push_back(p + 1);
            if (row + 1 < rows && at(row + 1, column) < 0) next.push_back(p + columns);
        }
        std::sort(next.begin(), next.end());
        next.erase(std::unique(next.begin(), next.end()), next.end());
        ring.swap(next);
    }
}

std::int32_t number_by_first_pixel(Labels label) {
    std::int32_t most = -1;
    for (const std::int32_t name : label) most = std::max(most, name);
    std::vector<std::int32_t> number(static_cast<std::size_t>(most + 1), -1);
    std::int32_t n = 0;
    for (std::int32_t& name : label) {
        if (name < 0) {
            name = -1;
            continue;
        }
        std::int32_t& given = number[static_cast<std::size_t>(name)];
        if (given < 0) given = n++;
        name = given;
    }
    return n;
}

}  // namespace nbedex
