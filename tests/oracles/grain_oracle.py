"""Segmentation written to be read: the rules of docs/decisions/segmentation.md one by one, without the core."""

from __future__ import annotations

import numpy as np

from nbedex.maps import disorientation_angle, multiply

BINS = 64


def numbered(label: np.ndarray) -> np.ndarray:
    """The same regions numbered from 0 by their first pixel in reading order; negative ones are -1."""
    given: dict[int, int] = {}
    out = np.full(label.shape, -1, dtype=np.int32)
    for place in np.ndindex(label.shape):
        name = int(label[place])
        if name >= 0:
            out[place] = given.setdefault(name, len(given))
    return out


class Sets:
    """Sets of pixels or regions, each with its members and the sum of its orientations."""

    def __init__(self, sums: dict[int, np.ndarray], threshold: float) -> None:
        self.sums, self.threshold = dict(sums), threshold
        self.members = {name: [name] for name in sums}
        self.name = {name: name for name in sums}

    def angle(self, a: int, b: int, symmetry: np.ndarray) -> float:
        first, second = (self.sums[self.name[i]] for i in (a, b))
        unit = [q / np.linalg.norm(q) for q in (first, second)]
        return float(disorientation_angle(unit[0], unit[1], symmetry))

    def join(self, a: int, b: int, symmetry: np.ndarray) -> bool:
        a, b = sorted((self.name[a], self.name[b]))
        if a == b or self.angle(a, b, symmetry) > self.threshold:
            return False
        images = multiply(symmetry, self.sums[b])
        scalar = images @ self.sums[a]
        best = int(np.abs(scalar).argmax())
        self.sums[a] = self.sums[a] + np.sign(scalar[best]) * images[best]
        self.members[a] += self.members.pop(b)
        for member in self.members[a]:
            self.name[member] = a
        return True


def edges(shape: tuple[int, int]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Pairs of neighbouring pixels in reading order, to the right before down."""
    ny, nx = shape
    found = []
    for y, x in np.ndindex(shape):
        if x + 1 < nx:
            found.append(((y, x), (y, x + 1)))
        if y + 1 < ny:
            found.append(((y, x), (y + 1, x)))
    return found


def join_pixels(
    phase_id: np.ndarray, orientation: np.ndarray, symmetry: list[np.ndarray], threshold: float
) -> np.ndarray:
    """Pixels joined in order of increasing disorientation while the means of what is joined agree."""
    nx = phase_id.shape[1]
    close = []
    for number, (p, q) in enumerate(edges(phase_id.shape)):
        phase = int(phase_id[p])
        if phase < 0 or phase_id[q] != phase:
            continue
        angle = float(disorientation_angle(orientation[p], orientation[q], symmetry[phase]))
        if angle <= threshold:
            close.append((min(int(angle / threshold * BINS), BINS - 1), number, p, q, phase))
    sets = Sets({y * nx + x: orientation[y, x] for y, x in np.argwhere(phase_id >= 0)}, threshold)
    for _, _, p, q, phase in sorted(close):
        sets.join(p[0] * nx + p[1], q[0] * nx + q[1], symmetry[phase])
    label = np.full(phase_id.shape, -1)
    for y, x in np.argwhere(phase_id >= 0):
        label[y, x] = sets.name[y * nx + x]
    return numbered(label)


def join_regions(
    phase_id: np.ndarray, orientation: np.ndarray, symmetry: list[np.ndarray], threshold: float, label: np.ndarray
) -> np.ndarray:
    """Regions joined the same way, again and again, until all neighbours of one phase differ by more."""
    sums: dict[int, np.ndarray] = {}
    phase_of: dict[int, int] = {}
    for place in map(tuple, np.argwhere(label >= 0)):
        name, phase = int(label[place]), int(phase_id[place])
        phase_of[name] = phase
        images = multiply(symmetry[phase], orientation[place])
        before = sums.get(name, images[0] * 0)
        scalar = images @ before
        best = int(np.abs(scalar).argmax())
        sums[name] = before + (-1 if scalar[best] < 0 else 1) * images[best]
    sets = Sets(sums, threshold)
    pairs = {tuple(sorted((int(label[p]), int(label[q])))) for p, q in edges(label.shape)}
    pairs = {(a, b) for a, b in pairs if 0 <= a != b and phase_of[a] == phase_of[b]}
    while True:
        now = {tuple(sorted((sets.name[a], sets.name[b]))) for a, b in pairs}
        close = sorted((sets.angle(a, b, symmetry[phase_of[a]]), a, b) for a, b in now if a != b)
        done = [sets.join(a, b, symmetry[phase_of[a]]) for angle, a, b in close if angle <= threshold]
        if not any(done):
            break
    out = np.full(label.shape, -1)
    out[label >= 0] = [sets.name[int(name)] for name in label[label >= 0]]
    return numbered(out)


def fill(label: np.ndarray) -> np.ndarray:
    """Pixels of -1 given to the regions around them, ring by ring, as most of the eight neighbours have it."""
    label = label.copy()
    while True:
        padded = np.pad(label, 1, constant_values=-1)
        chosen = {}
        for y, x in np.argwhere(label < 0):
            around = padded[y : y + 3, x : x + 3]
            near = [int(around[i]) for i in ((0, 1), (1, 0), (1, 2), (2, 1)) if around[i] >= 0]
            if near:
                chosen[y, x] = min(near, key=lambda name: (-int((around == name).sum()), name))
        if not chosen:
            return label
        for place, name in chosen.items():
            label[place] = name
