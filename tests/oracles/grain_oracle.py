"""Which pixels belong together (docs/decisions/segmentation.md)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nbedex.grains.model import OrientationMap, Role
from nbedex.grains.settings import GrainSettings
from nbedex.maps import disorientation_angle, multiply

Labels = NDArray[np.int32]


def segment(source: OrientationMap, settings: GrainSettings) -> tuple[Labels, NDArray[np.bool_], NDArray[np.int8]]:
    """Regions of a map.

    Returns
    -------
    region
        (ny, nx) int32, numbered by first pixel in reading order.
    absorbed
        (ny, nx) bool, pixels taken into a region that they were no part of.
    kind
        (n,) int8, a `Role`: GRAIN for every region with a phase, NOT_INDEXED or HOLE for the others.
    """
    phase_id = source.phase_id.copy()
    if settings.min_confidence is not None and source.confidence is not None:
        phase_id[~(source.confidence >= settings.min_confidence)] = -1
    hole = np.zeros(source.shape, dtype=bool) if source.hole is None else source.hole
    phase_id[hole] = -1
    threshold = float(np.deg2rad(settings.threshold_deg))
    patches = merge_pixels(phase_id, source.orientation, [p.symmetry for p in source.phases], threshold)
    sizes = np.bincount(patches[patches >= 0], minlength=1)
    settled = (patches >= 0) & (sizes[patches] >= settings.min_size)
    holes = _large(hole, settings.min_size)
    blank = _wide(~settled & ~holes, settings.max_gap) & ~settled & ~holes
    blank = _large(blank, settings.min_size)
    seeds = np.where(settled, patches, -1)
    offset = int(patches.max()) + 1
    for mask in (holes, blank):
        parts, n = ndimage.label(mask)
        seeds = np.where(mask, parts - 1 + offset, seeds)
        offset += n
    absorbed = seeds < 0
    if bool(absorbed.all()):  # nothing to grow from
        seeds[:] = 0
        absorbed[:] = False
        blank[:] = True
    region = grow(seeds.astype(np.int32))
    region = numbered(region)
    kind = np.full(int(region.max()) + 1, Role.GRAIN, dtype=np.int8)
    kind[region[holes]] = Role.HOLE
    kind[region[blank & ~absorbed]] = Role.NOT_INDEXED
    return region, absorbed, kind


def merge_pixels(
    phase_id: NDArray[np.int16], orientation: NDArray[np.float64], symmetry: list[NDArray[np.float64]], threshold: float
) -> Labels:
    """Pixels joined in order of increasing disorientation, as long as the means of what is joined agree."""
    ny, nx = phase_id.shape
    flat, phases = orientation.reshape(-1, 4), phase_id.ravel()
    index = np.arange(ny * nx).reshape(ny, nx)
    a = np.concatenate([index[:, :-1].ravel(), index[:-1].ravel()])
    b = np.concatenate([index[:, 1:].ravel(), index[1:].ravel()])
    same = (phases[a] == phases[b]) & (phases[a] >= 0)
    a, b = a[same], b[same]
    angle = np.empty(len(a))
    for number, operators in enumerate(symmetry):
        mine = phases[a] == number
        angle[mine] = disorientation_angle(flat[a[mine]], flat[b[mine]], operators)
    order = np.lexsort((b, a, np.rint(np.rad2deg(angle) * 1000)))
    order = order[angle[order] <= threshold]
    parent = np.arange(ny * nx)
    total = np.where(phases[:, None] >= 0, flat, 0.0)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    for i, j in zip(a[order].tolist(), b[order].tolist(), strict=True):
        i, j = sorted((root(i), root(j)))
        if i == j:
            continue
        images = multiply(symmetry[phases[i]], total[j])
        products = images @ total[i]
        best = int(np.argmax(np.abs(products)))
        cosine = abs(products[best]) / (np.linalg.norm(total[i]) * np.linalg.norm(total[j]))
        if cosine >= np.cos(threshold / 2):
            parent[j] = i
            total[i] += images[best] * np.sign(products[best])
    label = np.array([root(i) for i in range(ny * nx)])
    label[phases < 0] = -1
    return numbered(label.reshape(ny, nx).astype(np.int32))


def grow(seeds: Labels) -> Labels:
    """Pixels of -1 filled from their neighbours, one ring at a time: the region that surrounds a pixel most."""
    label = seeds.copy()
    ny, nx = label.shape
    while True:
        padded = np.pad(label, 1, constant_values=-1)
        around = np.stack(
            [
                padded[1 + dy : 1 + dy + ny, 1 + dx : 1 + dx + nx]
                for dy, dx in ((-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))
            ]
        )
        votes = (around[:4, None] == around[None, :]).sum(axis=1) * 8 - (around[:4] < 0) * 1000
        # the smallest label wins a tie
        best = votes.max(axis=0)
        winner = np.where(votes == best, around[:4], np.iinfo(np.int32).max).min(axis=0)
        fill = (label < 0) & (best > 0)
        if not bool(fill.any()):
            return label
        label[fill] = winner[fill]


def numbered(label: Labels) -> Labels:
    """The same regions numbered from 0 by their first pixel in reading order; negative ones stay -1."""
    flat = label.ravel()
    names, first, inverse = np.unique(flat, return_index=True, return_inverse=True)
    rank = np.empty(len(names), dtype=np.int32)
    order = np.argsort(np.where(names < 0, -1, first), kind="stable")
    rank[order] = np.arange(len(names)) - int((names < 0).sum())
    rank[names < 0] = -1
    return rank[inverse.reshape(-1)].reshape(label.shape).astype(np.int32)


def _large(mask: NDArray[np.bool_], min_size: int) -> NDArray[np.bool_]:
    parts, n = ndimage.label(mask)
    sizes = np.bincount(parts.ravel(), minlength=n + 1)
    sizes[0] = 0
    return np.asarray((sizes >= min_size)[parts])


def _wide(mask: NDArray[np.bool_], gap: int) -> NDArray[np.bool_]:
    """The mask without places that are nowhere wider than `gap` pixels (opening by a square)."""
    square = np.ones((gap + 1, gap + 1), dtype=bool)
    return np.asarray(ndimage.binary_opening(np.pad(mask, gap + 1, mode="edge"), structure=square))[
        gap + 1 : -gap - 1, gap + 1 : -gap - 1
    ]
