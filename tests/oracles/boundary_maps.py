"""Grain maps with known truth for boundaries: Voronoi cells, and labels drawn by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from nbedex.grains import GrainMap, MapPhase, OrientationMap, grains_of


def grain_map(
    labels: np.ndarray,
    phases: Sequence[MapPhase],
    orientations: np.ndarray,
    *,
    phase_of: Sequence[int] | None = None,
    step: tuple[float, float] = (1.0, 1.0),
) -> GrainMap:
    """The map in which every label has one orientation and phase; regions keep the order of their first pixels."""
    labels = np.asarray(labels)
    kind = np.zeros(labels.max() + 1, dtype=np.int16) if phase_of is None else np.asarray(phase_of, dtype=np.int16)
    orientation = np.asarray(orientations, dtype=np.float64)[labels]
    orientation[kind[labels] < 0] = np.nan
    source = OrientationMap(
        phases=tuple(phases), phase_id=kind[labels], orientation=orientation, step=step, step_known=True
    )
    return grains_of(source, labels)


@dataclass(frozen=True)
class Voronoi:
    """Labels (n, n), and the cells' sites (x, y) in nm, pixels of (dy, dx)."""

    labels: np.ndarray
    sites: np.ndarray
    step: tuple[float, float]

    def normal(self, a: int, b: int) -> np.ndarray:
        """Unit normal of the boundary of two cells, from a to b."""
        difference = self.sites[b] - self.sites[a]
        return difference / np.linalg.norm(difference)


def voronoi(
    n: int,
    cells: int,
    seed: int,
    *,
    noise: float = 0.0,
    step: tuple[float, float] = (1.0, 1.0),
    turn_deg: float = 0.0,
) -> Voronoi:
    """Voronoi cells whose numbers follow their first pixels; pixels are looked up up to `noise` pixels off their place.

    So within `noise` of a boundary a pixel may belong to the wrong side. Specks that this cuts off go to the cell round
    them, as in any grain map. `turn_deg` turns the sites about the map's middle, from X towards Y.
    """
    rng = np.random.default_rng(seed)
    dy, dx = step
    sites = turned(rng.uniform(0, n, (cells, 2)) * [dx, dy], n, step, turn_deg)
    rows, columns = np.mgrid[:n, :n]
    places = np.stack([columns, rows], axis=-1).reshape(-1, 2) + rng.uniform(-noise, noise, (n * n, 2))
    labels = cKDTree(sites).query(places * [dx, dy])[1].reshape(n, n)
    labels = _without_specks(labels)
    present, first = np.unique(labels, return_index=True)
    order = present[np.argsort(first)]
    renumbered = np.full(cells, -1)
    renumbered[order] = np.arange(len(order))
    return Voronoi(renumbered[labels], sites[order], step)


def turned(places: np.ndarray, n: int, step: tuple[float, float], degrees: float) -> np.ndarray:
    """Places (k, 2) turned about the middle of a map of n pixels, from X towards Y."""
    middle = (n - 1) / 2 * np.array([step[1], step[0]])
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return middle + (places - middle) @ np.array([[cos, sin], [-sin, cos]])


def _without_specks(labels: np.ndarray) -> np.ndarray:
    """Only the largest connected part of each label; the rest goes to the nearest pixel of such a part."""
    while True:
        specks = np.zeros(labels.shape, dtype=bool)
        for number, box in enumerate(ndimage.find_objects(labels + 1)):
            if box is None:
                continue
            part, count = ndimage.label(labels[box] == number)
            if count > 1:
                largest = 1 + np.argmax(np.bincount(part.ravel())[1:])
                specks[box] |= (part > 0) & (part != largest)
        if not specks.any():
            return labels
        nearest = ndimage.distance_transform_edt(specks, return_distances=False, return_indices=True)
        labels = labels[tuple(nearest)]
