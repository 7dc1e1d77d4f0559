"""Which pixels belong together (docs/decisions/segmentation.md)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nbedex import _core
from nbedex.grains.arrays import MapArrays, flags
from nbedex.grains.model import OrientationMap, Role
from nbedex.grains.settings import GrainSettings

Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Regions of a map.

    Attributes
    ----------
    region
        (ny, nx) int32, numbered from 0 by first pixel in reading order.
    absorbed
        (ny, nx) bool, pixels taken into a region that they were no part of.
    oriented
        (ny, nx) bool, pixels whose orientation counts for their region's.
    phase_of
        (n,) int16, -1 for regions without a phase.
    hole
        (n,) bool, regions where there is no specimen.
    """

    region: Labels
    absorbed: Mask
    oriented: Mask
    phase_of: NDArray[np.int16]
    hole: NDArray[np.bool_]


def segment(source: OrientationMap, settings: GrainSettings, *, threads: int = 0) -> Segmentation:
    """Cut a map into regions."""
    hole = np.zeros(source.shape, dtype=bool) if source.hole is None else source.hole
    arrays = MapArrays.of(source, _usable_phases(source, hole, settings))
    threshold = float(np.deg2rad(settings.threshold_deg))
    label = arrays.call(_core.segment_pixels, threshold=threshold, threads=threads)
    label = _merged(arrays, label, label >= 0, threshold)
    oriented = _settled(label, settings.min_size)
    hole = large(hole, settings.min_size)
    by_phase = _by_phase_alone(source, arrays.phase_id, oriented, ~(oriented | hole), settings)
    taken = oriented | hole
    for mask in by_phase:
        taken = taken | mask
    blank = large(wide(~taken, settings.max_gap) & ~taken, settings.min_size)
    if not (taken | blank).any():
        blank = np.ones(source.shape, dtype=bool)  # nothing to be absorbed into
    absorbed = ~(taken | blank)
    label = _with_parts(np.where(oriented, label, -1).astype(np.int32), (*by_phase, hole, blank))
    label = _core.number_regions(_core.fill_regions(label))
    label = _merged(arrays, label, oriented, threshold)
    phase_of = np.full(int(label.max()) + 1, -1, dtype=np.int16)
    of_phase = taken & ~hole
    phase_of[label[of_phase]] = arrays.phase_id[of_phase]
    is_hole = np.zeros(len(phase_of), dtype=bool)
    is_hole[label[hole]] = True
    return Segmentation(label, absorbed, oriented, phase_of, is_hole)


def _by_phase_alone(
    source: OrientationMap, phase_id: NDArray[np.int16], oriented: Mask, left: Mask, settings: GrainSettings
) -> list[Mask]:
    """Inclusions and electrodes whose pixels agree on the phase and on nothing else, for each such phase.

    For the current it doesn't matter how they lie; grains of a conductor without an orientation are not known. Thin
    parts along a grain of the same phase, most of which lie within a gap's width of it, are that grain's bad edge,
    though, and left to it.
    """
    found = []
    for number, phase in enumerate(source.phases):
        if phase.role == Role.GRAIN:
            continue
        mask = large(left & (phase_id == number), settings.min_size)
        if mask.any():
            parts = ndimage.label(mask)[0]
            grain = oriented & (phase_id == number)
            near = mask & ndimage.binary_dilation(grain, np.ones((3, 3)), iterations=max(settings.max_gap, 1))
            touching = np.unique(parts[mask & ndimage.binary_dilation(grain)])
            mostly_near = 2 * np.bincount(parts[near], minlength=parts.max() + 1) > np.bincount(parts.ravel())
            part_of_grain = np.isin(parts, touching[mostly_near[touching]])
            mask = (mask & ~part_of_grain) | wide(mask & part_of_grain, settings.max_gap)
        found.append(large(mask, settings.min_size))
    return found


def _usable_phases(source: OrientationMap, hole: Mask, settings: GrainSettings) -> NDArray[np.int16]:
    """Phases with -1 also for holes and for pixels of too little confidence."""
    unusable = hole | (source.phase_id < 0)
    if settings.min_confidence is not None and source.confidence is not None:
        unusable = unusable | ~(source.confidence >= settings.min_confidence)
    return np.where(unusable, -1, source.phase_id).astype(np.int16)


def _merged(arrays: MapArrays, label: Labels, own: Mask, threshold: float) -> Labels:
    """Regions joined until the means of all neighbours of one phase differ by more than the threshold."""
    phase_of = np.full(int(label.max(initial=-1)) + 1, -1, dtype=np.int16)
    phase_of[label[own]] = arrays.phase_id[own]
    return arrays.call(_core.merge_regions, own=flags(own), phase_of=phase_of, threshold=threshold, label=label)


def _settled(label: Labels, min_size: int) -> Mask:
    """Pixels of regions that are large enough to stay."""
    sizes = np.bincount(label.ravel() + 1)
    sizes[0] = 0  # not indexed
    return np.asarray((sizes >= min_size)[label + 1])


def _with_parts(label: Labels, masks: tuple[Mask, ...]) -> Labels:
    """Labels with the connected parts of each mask as further regions."""
    following = int(label.max(initial=-1)) + 1
    for mask in masks:
        if mask.any():
            parts, n = ndimage.label(mask)
            label = np.where(mask, parts - 1 + following, label).astype(np.int32)
            following += n
    return label


def large(mask: Mask, min_size: int) -> Mask:
    """The mask without connected parts of fewer than `min_size` pixels."""
    if not mask.any():
        return mask
    parts, n = ndimage.label(mask)
    sizes = np.bincount(parts.ravel(), minlength=n + 1)
    sizes[0] = 0
    return np.asarray((sizes >= min_size)[parts])


def wide(mask: Mask, gap: int) -> Mask:
    """The mask without places that are nowhere wider than `gap` pixels: opened by a square of gap + 1 pixels.

    Beyond the map's edge the mask goes on as at the edge.
    """
    if gap == 0 or not mask.any():
        return mask
    padded = np.pad(mask, gap + 1, mode="edge")
    across, along = np.ones((1, gap + 1), dtype=bool), np.ones((gap + 1, 1), dtype=bool)
    for change in (ndimage.binary_erosion, ndimage.binary_dilation):
        for line in (across, along):
            padded = change(padded, structure=line)
    return np.asarray(padded[gap + 1 : -gap - 1, gap + 1 : -gap - 1])
