"""Rival solutions resolved before grains are found: pixels that hold the solution their place speaks for take it.

Where single patterns can't decide, a grain shows as a mixture of two solutions. Patches whose pixels hold each other's
solution are brought together; scores averaged over a window say which solution is clearly ahead where. If that is one
and the same, or none is clear, all their pixels' scores are pooled; if it is one here and another there, these are
twins, and stay apart. A pixel that doesn't hold the winner keeps its own solution.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nbedex import _core
from nbedex.grains.find import find_grains
from nbedex.grains.model import GrainMap, OrientationMap
from nbedex.grains.rivals import (
    UNKNOWN,
    Held,
    PooledRivals,
    RivalSettings,
    Solution,
    angles_to,
    distinct_solutions,
    pool_regions,
    pool_rivals,
    spread_evenly,
)
from nbedex.grains.settings import GrainSettings
from nbedex.progress import Progress, silent

_SAMPLES = 25  # pixels of a patch that are asked about a neighbour's solution
_WINDOW = 9  # pixels along each side of the window that scores are averaged over


@dataclass(frozen=True, eq=False)
class Resolved:
    """Grains found with the pixels' rivals pooled.

    Attributes
    ----------
    grain_map
        Its source is the map with the resolved solutions.
    rivals
        What the pixels of each of its regions say, ambiguous ones marked.
    changed
        (ny, nx) bool, pixels that took another of their own solutions.
    """

    grain_map: GrainMap
    rivals: PooledRivals
    changed: NDArray[np.bool_]


def resolve_rivals(
    source: OrientationMap,
    settings: GrainSettings | None = None,
    rival_settings: RivalSettings | None = None,
    *,
    progress: Progress = silent,
) -> Resolved:
    """Find grains with the rival solutions of their pixels pooled.

    Parameters
    ----------
    source
        A map that holds rival solutions, from a result of ours.
    settings, rival_settings
        Options; None for the defaults.
    progress
        Called as work goes on.

    Raises
    ------
    ArgumentError
        If the map holds no rivals.
    """
    chosen, pooling = settings or GrainSettings(), rival_settings or RivalSettings()
    held = Held.of(source)
    raw = GrainSettings(**{**chosen.to_dict(), "min_size": 1, "max_gap": 0})
    patches = find_grains(source, raw)
    domain = _domains(patches, held, _families(patches, held, pooling), pooling)
    winners = pool_regions(source, domain, [UNKNOWN] * (int(domain.max()) + 1), pooling, progress)
    resolved, changed = _resolved(source, held, domain, winners, pooling)
    grain_map = find_grains(resolved, chosen)
    return Resolved(grain_map, pool_rivals(grain_map, pooling), changed)


def _families(patches: GrainMap, held: Held, pooling: RivalSettings) -> NDArray[np.int32]:
    """For every patch the number of its family: patches that touch and mostly hold each other's solution."""
    grains = patches.grains
    pairs = patches.neighbours[(grains.phase_id[patches.neighbours] >= 0).all(axis=1)].astype(np.intp)
    share = np.stack([_holding(patches, held, pairs[:, i], pairs[:, 1 - i], pooling) for i in (0, 1)], axis=-1)
    family = np.arange(len(grains), dtype=np.int32)

    def root(i: int) -> int:
        while family[i] != i:
            family[i] = family[family[i]]
            i = int(family[i])
        return i

    for a, b in pairs[np.asarray((share >= 0.5).all(axis=1))].tolist():
        low, high = sorted((root(a), root(b)))
        family[high] = low
    return np.array([root(i) for i in range(len(family))], dtype=np.int32)


def _holding(
    patches: GrainMap, held: Held, of: NDArray[np.intp], about: NDArray[np.intp], pooling: RivalSettings
) -> NDArray[np.float64]:
    """Share (k,) of some pixels of patches `of` that hold the solutions of patches `about`."""
    order = np.argsort(patches.grain_id.ravel(), kind="stable")
    count = patches.grains.n_pixels
    start = np.concatenate([[0], np.cumsum(count)[:-1]])
    spread = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    share = np.zeros(len(of))
    angle = float(np.deg2rad(pooling.distinct_deg))
    for number, phase in enumerate(patches.source.phases):
        rows = np.flatnonzero(patches.grains.phase_id[about] == number)
        for part in np.array_split(rows, max(1, -(-len(rows) // 20000))):  # tens of MB at a time
            pixels = order[start[of[part], None] + (spread * count[of[part], None]).astype(np.intp)].ravel()
            wanted = np.repeat(patches.grains.orientation[about[part]], _SAMPLES, axis=0)
            which = held[pixels].near(number, wanted, phase.symmetry, angle)
            share[part] = which.any(axis=1).reshape(len(part), _SAMPLES).mean(axis=1)
    return share


def _domains(patches: GrainMap, held: Held, family: NDArray[np.int32], pooling: RivalSettings) -> NDArray[np.int32]:
    """(ny, nx), regions that pool their scores: families, cut where different solutions are clearly ahead."""
    label = family[patches.grain_id]
    out = label.copy()
    following = len(family)
    sizes = np.bincount(label.ravel(), minlength=len(family))
    several = np.bincount(family, minlength=len(family)) > 1
    boxes = ndimage.find_objects(label + 1, max_label=len(family))
    for name in np.flatnonzero(several & (sizes >= 2 * _WINDOW**2)):
        box = boxes[name]
        inside = label[box] == name
        cut = _cut(patches, held, inside, box, pooling)
        if cut is not None:
            out[box][inside] = cut[inside] + following
            following += int(cut[inside].max()) + 1
    return np.asarray(_core.number_regions(np.ascontiguousarray(out)))


def _cut(
    patches: GrainMap, held: Held, inside: NDArray[np.bool_], box: tuple[slice, ...], pooling: RivalSettings
) -> NDArray[np.int32] | None:
    """Which solution is ahead at each pixel of a family (a mask in a box of the map); None if it is one or unclear."""
    numbers = np.arange(patches.grain_id.size).reshape(patches.grain_id.shape)[box]
    pixels = numbers[inside]
    angle = float(np.deg2rad(pooling.distinct_deg))
    solutions = distinct_solutions(patches.source, held[spread_evenly(pixels)], UNKNOWN, angle)
    if len(solutions) < 2:
        return None
    scores = np.zeros((len(solutions), *inside.shape))
    scores[:, inside] = np.stack([_scores(patches, held[pixels], one, angle, pooling) for one in solutions])
    weight = ndimage.uniform_filter(inside.astype(np.float64), _WINDOW, mode="constant")
    weight = np.maximum(weight, 1e-12)
    mean = np.stack([ndimage.uniform_filter(s, _WINDOW, mode="constant") for s in scores]) / weight
    order = np.argsort(-mean, axis=0, kind="stable")
    first, second = order[0], order[1]

    def ahead(values: NDArray[np.float64]) -> NDArray[np.float64]:
        picked = [np.take_along_axis(values, which[None], axis=0)[0] for which in (first, second)]
        return np.asarray(picked[0] - picked[1])

    lead = ahead(mean)
    scatter = float((ahead(scores) - lead)[inside].std())
    independent = np.maximum(weight * _WINDOW**2 / pooling.correlated_pixels, 1.0)
    clear = inside & (lead * np.sqrt(independent) >= pooling.min_significance * max(scatter, 1e-9))
    seeds = np.full(inside.shape, -1, dtype=np.int32)
    for number in range(len(solutions)):
        parts, n = ndimage.label(clear & (first == number))
        big = np.flatnonzero(np.bincount(parts.ravel(), minlength=n + 1)[1:] >= _WINDOW**2) + 1
        seeds[np.isin(parts, big)] = number
    if len(np.unique(seeds[seeds >= 0])) < 2:
        return None
    return np.asarray(_core.fill_regions(seeds))


def _scores(
    patches: GrainMap, held: Held, solution: Solution, angle: float, pooling: RivalSettings
) -> NDArray[np.float64]:
    phase, orientation, _ = solution
    which = held.near(phase, orientation, patches.source.phases[phase].symmetry, angle)
    return held.scores_of(which, pooling.rival_share)


def _resolved(
    source: OrientationMap, held: Held, region: NDArray[np.int32], winners: PooledRivals, pooling: RivalSettings
) -> tuple[OrientationMap, NDArray[np.bool_]]:
    """The map with every pixel's own version of its region's winner, where it holds that; and where that is new."""
    phase_id, orientation = source.phase_id.ravel().copy(), source.orientation.reshape(-1, 4).copy()
    changed = np.zeros(len(phase_id), dtype=bool)
    flat = region.ravel()
    angle = float(np.deg2rad(pooling.distinct_deg))
    for number, phase in enumerate(source.phases):
        pixels = np.flatnonzero((winners.phase_id[flat] == number) & (phase_id >= 0))
        same = phase_id[pixels] == number
        away = angles_to(orientation[pixels], winners.orientation[flat[pixels]], phase.symmetry) > angle
        pixels = pixels[~same | away]  # the others have the winner already
        mine = held[pixels]
        which = mine.near(number, winners.orientation[flat[pixels]], phase.symmetry, angle)
        place = np.where(which, mine.score, -np.inf).argmax(axis=1)
        takes = np.flatnonzero(which.any(axis=1))
        phase_id[pixels[takes]] = number
        orientation[pixels[takes]] = mine.orientation[takes, place[takes]]
        changed[pixels[takes]] = True
    shape = source.phase_id.shape
    resolved = replace(source, phase_id=phase_id.reshape(shape), orientation=orientation.reshape(*shape, 4))
    return resolved, changed.reshape(shape)
