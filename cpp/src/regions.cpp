#include "nbedex/regions.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace nbedex {
namespace {

using Vector = std::array<double, 3>;

/// The equivalent of q nearest to `reference`, with the sign of the same half.
Quaternion nearest_equivalent(const Disorientation& zone, const Quaternion& q, const Quaternion& reference) {
    const auto [product, scalar] = zone.best(q * conjugate(reference));
    const Quaternion image = zone.product(product) * q;
    return scalar < 0 ? Quaternion{-image.w, -image.x, -image.y, -image.z} : image;
}

/// The eigenvector with the largest eigenvalue of sum q q^T, as the limit of powers of the matrix on a first guess. The
/// power 2^12 leaves nothing of the others unless the orientations are spread over everything.
class MeanOfQuaternions {
public:
    void add(const Quaternion& q) {
        const std::array<double, 4> v{q.w, q.x, q.y, q.z};
        for (std::size_t i = 0; i < 4; ++i)
            for (std::size_t j = i; j < 4; ++j) sum_[i][j] += v[i] * v[j];
    }

    [[nodiscard]] Quaternion mean(const Quaternion& guess) const {
        Matrix power = sum_;
        for (std::size_t i = 0; i < 4; ++i)
            for (std::size_t j = 0; j < i; ++j) power[i][j] = power[j][i];
        for (int squaring = 0; squaring < 12; ++squaring) power = squared(normalised(power));
        std::array<double, 4> v{guess.w, guess.x, guess.y, guess.z}, out{};
        for (std::size_t i = 0; i < 4; ++i)
            for (std::size_t j = 0; j < 4; ++j) out[i] += power[i][j] * v[j];
        const double norm = std::sqrt(out[0] * out[0] + out[1] * out[1] + out[2] * out[2] + out[3] * out[3]);
        if (!(norm > 0)) return guess;
        return {out[0] / norm, out[1] / norm, out[2] / norm, out[3] / norm};
    }

private:
    using Matrix = std::array<std::array<double, 4>, 4>;
    static Matrix normalised(Matrix m) {
        const double trace = m[0][0] + m[1][1] + m[2][2] + m[3][3];
        for (auto& row : m)
            for (double& value : row) value /= trace;
        return m;
    }
    static Matrix squared(const Matrix& m) {
        Matrix out{};
        for (std::size_t i = 0; i < 4; ++i)
            for (std::size_t j = 0; j < 4; ++j)
                for (std::size_t k = 0; k < 4; ++k) out[i][j] += m[i][k] * m[k][j];
        return out;
    }
    Matrix sum_{};
};

/// Rotation vector (angle times axis, radians) of a unit quaternion with w >= 0.
Vector rotation_vector(const Quaternion& q) {
    const double sine = std::sqrt(q.x * q.x + q.y * q.y + q.z * q.z);
    const double scale = sine > 0 ? 2 * std::atan2(sine, q.w) / sine : 2.0;
    return {scale * q.x, scale * q.y, scale * q.z};
}

/// The pixels of every region one after the other.
struct Members {
    std::vector<std::size_t> start;
    std::vector<std::uint32_t> pixel;
};

Members members_of(std::span<const std::uint8_t> own, std::span<const std::int32_t> label, std::size_t n) {
    Members members{std::vector<std::size_t>(n + 1, 0), {}};
    for (std::size_t p = 0; p < own.size(); ++p)
        if (own[p]) ++members.start[static_cast<std::size_t>(label[p]) + 1];
    for (std::size_t i = 0; i < n; ++i) members.start[i + 1] += members.start[i];
    members.pixel.resize(members.start[n]);
    std::vector<std::size_t> next(members.start.begin(), members.start.end() - 1);
    for (std::size_t p = 0; p < own.size(); ++p)
        if (own[p]) members.pixel[next[static_cast<std::size_t>(label[p])]++] = static_cast<std::uint32_t>(p);
    return members;
}

/// Sum and number of deviations in square blocks of a map's pixels.
class Blocks {
public:
    Blocks(std::ptrdiff_t rows, std::ptrdiff_t columns)
        : rows_(rows), columns_(columns), cell_(static_cast<std::size_t>(rows * columns)) {}

    void add(std::ptrdiff_t row, std::ptrdiff_t column, const Vector& d, double count) {
        Cell& cell = cell_[static_cast<std::size_t>(row * columns_ + column)];
        for (std::size_t i = 0; i < 3; ++i) cell.sum[i] += d[i];
        cell.count += count;
    }

    [[nodiscard]] Blocks twice_as_wide() const {
        Blocks out((rows_ + 1) / 2, (columns_ + 1) / 2);
        for (std::ptrdiff_t row = 0; row < rows_; ++row)
            for (std::ptrdiff_t column = 0; column < columns_; ++column) {
                const Cell& cell = cell_[static_cast<std::size_t>(row * columns_ + column)];
                out.add(row / 2, column / 2, cell.sum, cell.count);
            }
        return out;
    }

    /// How many blocks of the mean size there are.
    [[nodiscard]] double effective_number() const {
        double total = 0, squares = 0;
        for (const Cell& cell : cell_) total += cell.count, squares += cell.count * cell.count;
        return total * total / squares;
    }

    /// Variance per axis of the mean of all, were the blocks independent.
    [[nodiscard]] double variance_of_mean() const {
        double total = 0, squares = 0;
        for (const Cell& cell : cell_) {
            total += cell.count;
            for (const double component : cell.sum) squares += component * component;
        }
        const double k = effective_number();
        return squares / (3 * total * total) * k / (k - 1);
    }

private:
    struct Cell {
        Vector sum{};
        double count = 0;
    };
    std::ptrdiff_t rows_, columns_;
    std::vector<Cell> cell_;
};

constexpr double fewest_blocks = 8, enough_blocks = 16;

/// Neighbouring pixels share much of their error, so the variance of the mean is not that of a pixel over their number.
/// Blocks are averaged over until they are independent: the largest of the estimates with blocks of 1, 2, 4 … pixels
/// (H. Flyvbjerg, H. G. Petersen, J. Chem. Phys. 91 (1989) 461), as long as there are enough of them. Blocks a few times as
/// wide as the correlation reaches still miss a share that halves with every doubling: two sizes give the limit.
double variance_of_mean(const OrientationGrid& grid, std::span<const std::uint32_t> pixels, const std::vector<Vector>& deviation) {
    if (static_cast<double>(pixels.size()) < fewest_blocks) return -1;
    std::ptrdiff_t top = grid.rows, left = grid.columns, bottom = 0, right = 0;
    for (const std::uint32_t p : pixels) {
        const auto row = static_cast<std::ptrdiff_t>(p) / grid.columns, column = static_cast<std::ptrdiff_t>(p) % grid.columns;
        top = std::min(top, row), bottom = std::max(bottom, row), left = std::min(left, column), right = std::max(right, column);
    }
    double squares = 0;
    Blocks blocks((bottom - top) / 2 + 1, (right - left) / 2 + 1);
    for (std::size_t i = 0; i < pixels.size(); ++i) {
        const auto p = static_cast<std::ptrdiff_t>(pixels[i]);
        blocks.add((p / grid.columns - top) / 2, (p % grid.columns - left) / 2, deviation[i], 1);
        for (const double component : deviation[i]) squares += component * component;
    }
    const auto n = static_cast<double>(pixels.size());
    double before = squares / (3 * n * (n - 1)), largest = before;
    for (double number = 0; (number = blocks.effective_number()) >= fewest_blocks; blocks = blocks.twice_as_wide()) {
        const double variance = blocks.variance_of_mean();
        largest = std::max(largest, number >= enough_blocks ? std::max(variance, 2 * variance - before) : variance);
        before = variance;
    }
    return largest;
}

MeanOrientation mean_of(const OrientationGrid& grid, const Disorientation& zone, std::span<const std::uint32_t> pixels) {
    MeanOrientation out;
    Quaternion mean = grid.orientation[pixels.front()];
    std::vector<Quaternion> image(pixels.size());
    for (int pass = 0; pass < 10; ++pass) {
        bool changed = pass == 0;
        MeanOfQuaternions sum;
        for (std::size_t i = 0; i < pixels.size(); ++i) {
            const Quaternion q = nearest_equivalent(zone, grid.orientation[pixels[i]], mean);
            changed = changed || std::abs(q.w * image[i].w + q.x * image[i].x + q.y * image[i].y + q.z * image[i].z) < 0.999999;
            image[i] = q;
            sum.add(q);
        }
        if (!changed) break;
        mean = sum.mean(mean);
    }
    std::vector<Vector> deviation(pixels.size());
    double squares = 0;
    for (std::size_t i = 0; i < pixels.size(); ++i) {
        Quaternion d = conjugate(mean) * image[i];
        if (d.w < 0) d = {-d.w, -d.x, -d.y, -d.z};
        deviation[i] = rotation_vector(d);
        const double square = deviation[i][0] * deviation[i][0] + deviation[i][1] * deviation[i][1] + deviation[i][2] * deviation[i][2];
        squares += square;
        out.spread += std::sqrt(square);
    }
    const auto n = static_cast<double>(pixels.size());
    out.mean = mean;
    out.spread /= n;
    out.variance = squares / (3 * std::max(n - 1, 1.0));
    out.variance_of_mean = variance_of_mean(grid, pixels, deviation);
    return out;
}

}  // namespace

std::vector<RegionShape> region_shapes(std::ptrdiff_t rows, std::ptrdiff_t columns, std::span<const std::int32_t> label,
                                       std::int32_t n) {
    std::vector<RegionShape> shapes(static_cast<std::size_t>(n));
    const auto at = [&](std::ptrdiff_t row, std::ptrdiff_t column) {
        if (row < 0 || column < 0 || row >= rows || column >= columns) return std::int32_t{-1};
        return label[static_cast<std::size_t>(row * columns + column)];
    };
    for (std::ptrdiff_t row = 0; row < rows; ++row) {
        for (std::ptrdiff_t column = 0; column < columns; ++column) {
            const std::int32_t region = at(row, column);
            RegionShape& s = shapes[static_cast<std::size_t>(region)];
            if (s.count == 0) s.first_row = row, s.first_column = s.last_column = column;
            s.last_row = row;
            s.first_column = std::min<std::int64_t>(s.first_column, column);
            s.last_column = std::max<std::int64_t>(s.last_column, column);
            ++s.count;
            s.row += row, s.column += column;
            s.row_row += row * row, s.column_column += column * column, s.row_column += row * column;
            s.crossings[0] += (at(row, column - 1) != region) + (at(row, column + 1) != region);
            s.crossings[1] += (at(row - 1, column) != region) + (at(row + 1, column) != region);
            s.crossings[2] += (at(row - 1, column - 1) != region) + (at(row + 1, column + 1) != region);
            s.crossings[3] += (at(row - 1, column + 1) != region) + (at(row + 1, column - 1) != region);
        }
    }
    return shapes;
}

std::vector<std::pair<std::int32_t, std::int32_t>> region_contacts(std::ptrdiff_t rows, std::ptrdiff_t columns,
                                                                   std::span<const std::int32_t> label) {
    std::vector<std::pair<std::int32_t, std::int32_t>> pairs;
    const auto add = [&](std::int32_t a, std::int32_t b) {
        const std::pair<std::int32_t, std::int32_t> pair(std::min(a, b), std::max(a, b));
        if (a != b && (pairs.empty() || pairs.back() != pair)) pairs.push_back(pair);
    };
    for (std::ptrdiff_t row = 0; row < rows; ++row)
        for (std::ptrdiff_t column = 0; column < columns; ++column) {
            const auto p = static_cast<std::size_t>(row * columns + column);
            if (column + 1 < columns) add(label[p], label[p + 1]);
            if (row + 1 < rows) add(label[p], label[p + static_cast<std::size_t>(columns)]);
        }
    std::sort(pairs.begin(), pairs.end());
    pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
    return pairs;
}

std::vector<MeanOrientation> mean_orientations(const OrientationGrid& grid, std::span<const std::uint8_t> own,
                                               std::span<const std::int16_t> phase_of, std::span<const std::int32_t> label,
                                               int threads, const Poll& poll) {
    std::vector<MeanOrientation> out(phase_of.size());
    const Members members = members_of(own, label, phase_of.size());
    parallel_for(static_cast<std::ptrdiff_t>(phase_of.size()), threads, poll, [&](std::ptrdiff_t item, int) {
        const auto region = static_cast<std::size_t>(item);
        const std::size_t begin = members.start[region], end = members.start[region + 1];
        if (phase_of[region] < 0 || begin == end) return;
        out[region] = mean_of(grid, grid.symmetry[static_cast<std::size_t>(phase_of[region])],
                              std::span(members.pixel).subspan(begin, end - begin));
    });
    return out;
}

void deviations(const OrientationGrid& grid, std::span<const std::uint8_t> own, std::span<const Quaternion> mean,
                std::span<const std::int32_t> label, std::span<float> angle, int threads, const Poll& poll) {
    parallel_for(grid.rows, threads, poll, [&](std::ptrdiff_t row, int) {
        for (auto p = static_cast<std::size_t>(row * grid.columns); p < static_cast<std::size_t>((row + 1) * grid.columns); ++p) {
            angle[p] = std::numeric_limits<float>::quiet_NaN();
            if (!own[p]) continue;
            const Quaternion m = grid.orientation[p] * conjugate(mean[static_cast<std::size_t>(label[p])]);
            angle[p] = static_cast<float>(grid.symmetry[static_cast<std::size_t>(grid.phase[p])].angle(m));
        }
    });
}

void kernel_averages(const OrientationGrid& grid, std::span<const std::uint8_t> own, std::span<const std::int32_t> label,
                     int radius, double largest, std::span<float> angle, int threads, const Poll& poll) {
    const auto belongs = [&](std::size_t p, std::size_t q) {
        return own[q] && grid.phase[q] == grid.phase[p] && (label.empty() || label[q] == label[p]);
    };
    parallel_for(grid.rows, threads, poll, [&](std::ptrdiff_t row, int) {
        for (std::ptrdiff_t column = 0; column < grid.columns; ++column) {
            const auto p = static_cast<std::size_t>(row * grid.columns + column);
            angle[p] = std::numeric_limits<float>::quiet_NaN();
            if (!own[p]) continue;
            double sum = 0;
            int number = 0;
            for (std::ptrdiff_t dy = -radius; dy <= radius; ++dy) {
                const std::ptrdiff_t reach = radius - std::abs(dy);
                for (std::ptrdiff_t dx = -reach; dx <= reach; ++dx) {
                    const std::ptrdiff_t y = row + dy, x = column + dx;
                    if ((dy == 0 && dx == 0) || y < 0 || x < 0 || y >= grid.rows || x >= grid.columns) continue;
                    const auto q = static_cast<std::size_t>(y * grid.columns + x);
                    if (!belongs(p, q)) continue;
                    const Disorientation& zone = grid.symmetry[static_cast<std::size_t>(grid.phase[p])];
                    const double difference = zone.angle(grid.orientation[q] * conjugate(grid.orientation[p]));
                    if (difference > largest) continue;
                    sum += difference;
                    ++number;
                }
            }
            if (number > 0) angle[p] = static_cast<float>(sum / number);
        }
    });
}

}  // namespace nbedex
