"""How much blocking a random microstructure would have, with the same boundaries and field.

For crystals turned at random, what a stretch of boundary does depends only on the angle between its normal and the
field. So the expected shares follow from one table over that angle. How far a map of so few grains would scatter about
them is found by turning its grains at random some hundred times; each grain keeps its boundaries, as in the map.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from nbedex.blockade.classes import N_CODES, BoundaryClass, classify
from nbedex.blockade.flux import unit
from nbedex.blockade.model import Blockade
from nbedex.blockade.settings import BlockadeSettings, Tolerances
from nbedex.blockade.sums import sums
from nbedex.blockade.tensors import Medium

Floats = NDArray[np.float64]
_ANGLES = 91  # one per degree
_PAIRS = 8192
_SEED = 20231  # fixed, so that the same map gives the same numbers


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """The map against random microstructures with the same boundaries; only boundaries between layered conductors.

    Attributes
    ----------
    length
        nm of such boundaries in a field.
    class_share, class_expected
        (13,) share of their length in each class, here and at random.
    blocking, blocking_expected, blocking_scatter
        Share of their length with an accumulation that blocks: here, the mean of random microstructures, and their
        standard deviation.
    published, published_expected
        The same for the classes published as blocking, II b1 and III a2.
    as_much_blocking
        Share of random microstructures that block at least as much as this map.
    """

    length: float
    class_share: Floats
    class_expected: Floats
    blocking: float
    blocking_expected: float
    blocking_scatter: float
    published: float
    published_expected: float
    as_much_blocking: float


def compare_with_random(blockade: Blockade, *, n_random: int = 200) -> Comparison:
    """Class shares and blocking against what chance would give.

    Parameters
    ----------
    blockade
        The analysis. Its conductivities are taken to be alike in all layered phases.
    n_random
        Random microstructures tried for the scatter.
    """
    settings, chosen = blockade.settings, blockade.in_scheme
    stretches = blockade.stretches
    length = stretches.length[chosen]
    total = float(length.sum())
    if total == 0:
        none = np.full(N_CODES, np.nan)
        return Comparison(
            length=0.0, class_share=none, class_expected=none, blocking=np.nan, blocking_expected=np.nan,
            blocking_scatter=np.nan, published=np.nan, published_expected=np.nan, as_much_blocking=np.nan,
        )  # fmt: skip
    normal, field = stretches.normal[chosen], unit(stretches.field[chosen])
    angle = np.rad2deg(np.arccos(np.minimum(1.0, np.abs((normal * field).sum(axis=1)))))
    classes, blocks = random_table(settings.tolerances, settings.conductivity_ratio, settings.blocks_at)
    weights = _spread_over_table(angle, length / total)
    class_share = sums(blockade.along.code[chosen], length, N_CODES) / total
    class_expected = weights @ classes
    blocking = float(length[blockade.along.accumulation[chosen] >= settings.blocks_at].sum() / total)
    tried = _random_blocking(blockade, chosen, normal, field, n_random)
    published = [int(BoundaryClass.II_B1), int(BoundaryClass.III_A2)]
    return Comparison(
        length=total,
        class_share=class_share,
        class_expected=class_expected,
        blocking=blocking,
        blocking_expected=float(weights @ blocks),
        blocking_scatter=float(tried.std()),
        published=float(class_share[published].sum()),
        published_expected=float(class_expected[published].sum()),
        as_much_blocking=float((tried >= blocking - 1e-12).mean()),
    )


@cache
def random_table(tolerances: Tolerances, conductivity_ratio: float, blocks_at: float) -> tuple[Floats, Floats]:
    """Probabilities for planes turned at random, at angles 0, 1 ... 90 degrees between field and boundary normal.

    Returns
    -------
    classes, blocks
        (91, 13) of each class; (91,) of an accumulation that blocks.
    """
    a, b = _random_pairs(_PAIRS)
    m = np.array([1.0, 0.0, 0.0])
    insulation = 1.0 - 1.0 / conductivity_ratio
    classes, blocks = np.zeros((_ANGLES, N_CODES)), np.zeros(_ANGLES)
    for row, angle in enumerate(np.deg2rad(np.linspace(0, 90, _ANGLES))):
        e = np.array([np.cos(angle), np.sin(angle), 0.0])
        classes[row] = np.bincount(classify(a, b, m, e, tolerances).code, minlength=N_CODES) / len(a)
        blocks[row] = (insulation * ((b @ e) * b[:, 0] - (a @ e) * a[:, 0]) >= blocks_at).mean()
    classes.setflags(write=False)
    blocks.setflags(write=False)
    return classes, blocks


def _random_pairs(n: int) -> tuple[Floats, Floats]:
    """Pairs of directions evenly over the sphere: an additive recurrence in four dimensions (Roberts)."""
    root = 1.0
    for _ in range(60):
        root = (1.0 + root) ** (1.0 / 5.0)
    u = (0.5 + np.arange(1, n + 1)[:, None] * root ** -np.arange(1.0, 5.0)) % 1.0
    return _on_sphere(u[:, 0], u[:, 1]), _on_sphere(u[:, 2], u[:, 3])


def _on_sphere(u: Floats, v: Floats) -> Floats:
    """Directions from pairs of numbers in [0, 1), with equal areas."""
    z = 2 * u - 1
    flat = np.sqrt(1 - z**2)
    return np.stack([flat * np.cos(2 * np.pi * v), flat * np.sin(2 * np.pi * v), z], axis=-1)


def _spread_over_table(angle: Floats, weight: Floats) -> Floats:
    """(91,) weights of the table's rows, each angle shared between the two next to it."""
    low = np.minimum(angle.astype(np.int64), _ANGLES - 2)
    up = angle - low
    return sums(low, weight * (1 - up), _ANGLES) + sums(low + 1, weight * up, _ANGLES)


def _random_blocking(
    blockade: Blockade, chosen: NDArray[np.bool_], normal: Floats, field: Floats, n_random: int
) -> Floats:
    """(n_random,) share of the length that blocks when every grain is turned at random."""
    boundaries, segment = blockade.network.boundaries, blockade.stretches.segment[chosen]
    a, b = boundaries.grain_a[segment], boundaries.grain_b[segment]
    settings: BlockadeSettings = blockade.settings
    insulation = 1.0 - 1.0 / settings.conductivity_ratio
    length = blockade.stretches.length[chosen]
    layered = np.flatnonzero(blockade.media.medium == Medium.PLANES)
    row = np.full(len(blockade.media.medium), -1)
    row[layered] = np.arange(len(layered))
    a, b = row[a], row[b]
    rng = np.random.default_rng(_SEED)
    share = np.empty(n_random)
    ex, ey, ez = np.ascontiguousarray(field.T)
    mx, my, mz = np.ascontiguousarray(normal.T)
    for number in range(n_random):
        x, y, z = np.ascontiguousarray(_on_sphere(rng.random(len(layered)), rng.random(len(layered))).T)
        leaving, coming = (
            (x[side] * ex + y[side] * ey + z[side] * ez) * (x[side] * mx + y[side] * my + z[side] * mz)
            for side in (b, a)
        )
        share[number] = length @ (insulation * (leaving - coming) >= settings.blocks_at)
    return np.asarray(share / length.sum())
