"""Virtual dark field: images of a scan in chosen reflections, or in those of a grain, streamed from the file."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.calibration import Calibration
from nbedex.errors import ArgumentError
from nbedex.grains.model import Floats, GrainMap
from nbedex.indexing.pipeline import read_ahead, whole
from nbedex.library import SimulationSettings, simulate
from nbedex.phases import Phase
from nbedex.progress import Progress, silent
from nbedex.scan import Scan

_BLOCK = 256  # patterns
_STEPS = 2  # positions of the direct beam are told apart to 1/2 pixel
_GROUP = 64  # images of which the weights are one matrix
_KEPT_BYTES = 256 << 20  # of weights, for the latest positions of the direct beam
_RING = (1.3, 2.0)  # radii of the ring round a disc, in its own


@dataclass(frozen=True, eq=False)
class Apertures:
    """Where an image takes its intensity from: discs round positions in the pattern.

    Attributes
    ----------
    name
        What the image is of.
    position
        (n, 2) kx, ky in the sample frame, 1/angstrom.
    radius
        1/angstrom.
    """

    name: str
    position: Floats
    radius: float

    def __post_init__(self) -> None:
        if self.position.ndim != 2 or self.position.shape[1] != 2 or len(self.position) == 0:
            raise ArgumentError(f"{self.name}: expected positions (n, 2) of reflections, got {self.position.shape}")
        if not (np.isfinite(self.radius) and self.radius > 0):
            raise ArgumentError(f"{self.name}: the radius must be positive (1/angstrom), got {self.radius!r}")


@dataclass(frozen=True, kw_only=True)
class ReflectionChoice:
    """Which reflections of a grain make its image.

    Attributes
    ----------
    k_min, k_max
        Between these scattering vectors, 1/angstrom.
    min_intensity
        At least so strong in the simulated pattern, as a share of the strongest.
    most
        No more than the so many strongest.
    hkl
        Only these, with all their equivalents by symmetry; none: all. Then neither `min_intensity` nor `own` counts.
    own
        Leave out those that lie on one of a neighbouring grain, unless fewer than three are left.
    """

    k_min: float = 0.1
    k_max: float = 1.2
    min_intensity: float = 0.01
    most: int = 24
    own: bool = True
    hkl: tuple[tuple[int, int, int], ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.k_min < self.k_max:
            raise ArgumentError(f"k_min must be below k_max, got {self.k_min} and {self.k_max} 1/angstrom")
        if not 0 <= self.min_intensity < 1:
            raise ArgumentError(f"min_intensity must lie in [0, 1), got {self.min_intensity}")
        if self.most < 1:
            raise ArgumentError(f"at least one reflection is needed, got most = {self.most}")
        if any(len(indices) != 3 or not any(indices) for indices in self.hkl):
            raise ArgumentError(f"hkl must be three Miller indices, not all 0, got {self.hkl}")


def grain_apertures(
    grain_map: GrainMap,
    grains: Sequence[int],
    phases: Mapping[str, Phase],
    simulation: SimulationSettings,
    *,
    radius: float,
    choice: ReflectionChoice | None = None,
) -> list[Apertures]:
    """Apertures at the reflections of grains, simulated at their mean orientations.

    Parameters
    ----------
    grain_map
        The grains.
    grains
        Numbers of those wanted; each must have a phase and an orientation.
    phases
        The crystal structure of every phase of these grains and their neighbours, by its name in the map. Neighbours
        of a phase that isn't there are not looked at.
    simulation
        How patterns are simulated.
    radius
        Of the apertures, 1/angstrom.
    choice
        Which reflections; None for the defaults.
    """
    chosen = choice or ReflectionChoice()
    n = len(grain_map.grains)
    near: dict[int, list[int]] = {}
    for g in grains:
        if not 0 <= g < n:
            raise ArgumentError(f"there is no grain {g}; the map has regions 0 to {n - 1}")
        pairs = grain_map.neighbours[(grain_map.neighbours == g).any(axis=1)]
        near[g] = [int(other) for other in pairs.ravel() if other != g] if chosen.own and not chosen.hkl else []
    spots = _spots(grain_map, sorted({g for one in near for g in (one, *near[one])}), phases, simulation, chosen)
    found = []
    for g in grains:
        if g not in spots:
            name = _phase_name(grain_map, g)
            raise ArgumentError(
                f"grain {g} shows no reflection to choose"
                + (f"; the structure of its phase {name!r} is not given" if name not in phases else "")
            )
        mine = _without_shared(spots[g], [spots[other] for other in near[g] if other in spots], 2 * radius)
        found.append(Apertures(f"grain {g}", mine[: chosen.most, :2], radius))
    return found


def virtual_dark_field(
    scan: Scan,
    apertures: Sequence[Apertures],
    calibration: Calibration,
    center: Floats,
    *,
    background: bool = True,
    mask: NDArray[np.bool_] | None = None,
    threads: int = 0,
    progress: Progress = silent,
) -> NDArray[np.float32]:
    """Images of a scan in apertures, read block by block: memory doesn't grow with the scan.

    Parameters
    ----------
    scan
        The patterns.
    apertures
        One image each.
    calibration
        From the sample frame to the detector.
    center
        Direct beam (row, column) in pixels: (2,), or (ny, nx, 2) for every pattern; NaN takes the median.
    background
        Whether the mean of a ring round each disc is taken off.
    mask
        (det_y, det_x), True for pixels of the detector that must not be used.
    threads
        For unpacking the file; 0: all available.
    progress
        Called as blocks are done.

    Returns
    -------
    images
        (n, ny, nx) float32: mean over the apertures' pixels, in counts. NaN where a pattern can't be read, or no pixel
        of the apertures lies on the detector.
    """
    ny, nx = scan.scan_shape
    if not apertures:
        raise ArgumentError("no apertures are given")
    if mask is not None and (mask.shape != scan.frame_shape or mask.dtype != np.bool_):
        raise ArgumentError(f"mask must be bool of shape {scan.frame_shape}, got {mask.dtype} of shape {mask.shape}")
    positions = np.rint(_centers(center, (ny, nx)) * _STEPS).astype(np.int64)
    weights = _Weights(apertures, calibration, scan.frame_shape, background=background, mask=mask)
    images = np.full((len(apertures), ny * nx), np.nan, dtype=np.float32)
    done = 0
    with closing(read_ahead(scan, whole(scan.iter_blocks(_BLOCK)), threads=threads)) as stream:
        for part in stream:
            numbers = part.patterns
            frames = part.frames.reshape(len(numbers), -1)
            for place in np.unique(positions[numbers], axis=0):
                here = (positions[numbers] == place).all(axis=1)
                if part.unreadable is not None:
                    here &= ~part.unreadable
                images[:, numbers[here]] = weights.applied((int(place[0]), int(place[1])), frames[here])
            done += len(numbers)
            progress("dark field", done, ny * nx)
    return images.reshape(len(apertures), ny, nx)


def _spots(
    grain_map: GrainMap,
    grains: Sequence[int],
    phases: Mapping[str, Phase],
    simulation: SimulationSettings,
    choice: ReflectionChoice,
) -> dict[int, Floats]:
    """kx, ky, intensity (n, 3) of grains' reflections, strongest first; only grains that have any to choose from."""
    found: dict[int, Floats] = {}
    for name, phase in phases.items():
        mine = [g for g in grains if _phase_name(grain_map, g) == name]
        mine = [g for g in mine if np.isfinite(grain_map.grains.orientation[g]).all()]
        if not mine:
            continue
        patterns = simulate(phase, grain_map.grains.orientation[mine], simulation)
        for place, g in enumerate(mine):
            one = patterns.pattern(place)
            spots = np.stack([one["kx"], one["ky"], one["intensity"]], axis=1).astype(np.float64)
            if choice.hkl:
                spots = spots[_of_form(phase, one["hkl"], choice.hkl)]
            k = np.hypot(spots[:, 0], spots[:, 1])
            spots = spots[(k >= choice.k_min) & (k <= choice.k_max)]
            if len(spots):
                least = 0.0 if choice.hkl else choice.min_intensity
                spots = spots[spots[:, 2] >= least * spots[:, 2].max()]
                found[g] = spots[np.argsort(-spots[:, 2], kind="stable")]
    return found


def _of_form(phase: Phase, hkl: NDArray[np.int32], wanted: tuple[tuple[int, int, int], ...]) -> NDArray[np.bool_]:
    """Which reflections (n,) are equivalent to one of those wanted."""
    g = hkl @ phase.reciprocal_basis.T
    form = np.concatenate([phase.laue_operators @ (phase.reciprocal_basis @ np.array(one)) for one in wanted])
    apart = np.linalg.norm(g[:, None] - form[None], axis=-1)
    return np.asarray((apart < 1e-6).any(axis=1))


def _phase_name(grain_map: GrainMap, g: int) -> str:
    phase = int(grain_map.grains.phase_id[g])
    return grain_map.source.phases[phase].name if phase >= 0 else "not indexed"


def _without_shared(mine: Floats, others: list[Floats], distance: float) -> Floats:
    """Without the spots that lie within a distance of another grain's, unless fewer than three are left."""
    free = np.ones(len(mine), dtype=bool)
    for other in others:
        apart = np.hypot(mine[:, None, 0] - other[None, :, 0], mine[:, None, 1] - other[None, :, 1])
        free &= ~(apart < distance).any(axis=1)
    return mine[free] if free.sum() >= 3 else mine


def _centers(center: Floats, shape: tuple[int, int]) -> Floats:
    """Direct beam (n, 2) of every pattern."""
    given = np.asarray(center, dtype=np.float64)
    if given.shape == (2,):
        given = np.broadcast_to(given, (*shape, 2))
    if given.shape != (*shape, 2):
        raise ArgumentError(f"center must have shape (2,) or {(*shape, 2)}, got {given.shape}")
    flat = given.reshape(-1, 2)
    known = np.asarray(np.isfinite(flat).all(axis=1))
    if not known.any():
        raise ArgumentError("the position of the direct beam is not known for any pattern")
    return np.where(known[:, None], flat, np.median(flat[known], axis=0))


@dataclass(frozen=True, eq=False)
class _Sum:
    """Which pixels (flat) count how much for each of some images."""

    pixels: NDArray[np.intp]
    weight: NDArray[np.float32]  # (n images, n pixels)
    empty: NDArray[np.bool_]  # (n images,)

    def applied(self, frames: NDArray[np.generic]) -> NDArray[np.float32]:
        """Values (n images, n patterns) of frames (n patterns, pixels)."""
        values = np.asarray(self.weight @ frames[:, self.pixels].astype(np.float32).T)
        values[self.empty] = np.nan
        return values


class _Weights:
    """The weights of pixels for each position of the direct beam, the latest of them kept."""

    def __init__(
        self,
        apertures: Sequence[Apertures],
        calibration: Calibration,
        frame_shape: tuple[int, int],
        *,
        background: bool,
        mask: NDArray[np.bool_] | None,
    ) -> None:
        self._groups = [apertures[i : i + _GROUP] for i in range(0, len(apertures), _GROUP)]
        self._background = background
        self._to_detector = calibration.detector_from_sample()
        self._from_detector = np.linalg.inv(self._to_detector)
        self._shape = frame_shape
        self._usable = np.ones(frame_shape, dtype=bool) if mask is None else ~mask
        self._kept: OrderedDict[tuple[int, int, int], _Sum] = OrderedDict()
        self._bytes = 0

    def applied(self, place: tuple[int, int], frames: NDArray[np.generic]) -> NDArray[np.float32]:
        """Values (n images, n patterns) of frames with the direct beam at place / _STEPS (row, column)."""
        return np.concatenate([self._at(number, place).applied(frames) for number in range(len(self._groups))])

    def _at(self, number: int, place: tuple[int, int]) -> _Sum:
        key = (number, *place)
        if key not in self._kept:
            self._kept[key] = self._made(self._groups[number], np.array(place) / _STEPS)
            self._bytes += self._kept[key].weight.nbytes
            while self._bytes > _KEPT_BYTES and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].weight.nbytes
        self._kept.move_to_end(key)
        return self._kept[key]

    def _made(self, apertures: Sequence[Apertures], center: Floats) -> _Sum:
        rows, columns = np.indices(self._shape)
        offset = np.stack([columns - center[1], rows - center[0]], axis=-1)
        k = np.asarray(offset @ self._from_detector.T)
        full = np.stack([self._weight(k, center, aperture) for aperture in apertures])
        pixels = np.flatnonzero(full.any(axis=0))
        empty = np.array([not row.any() for row in full])
        return _Sum(pixels, np.ascontiguousarray(full[:, pixels]), empty)

    def _weight(self, k: Floats, center: Floats, aperture: Apertures) -> NDArray[np.float32]:
        """Weights (pixels,) of one image; the rings of its discs leave out its other discs."""
        inside, ring = np.zeros(self._shape, dtype=bool), np.zeros(self._shape, dtype=bool)
        reach = int(np.ceil(_RING[1] * aperture.radius * np.abs(self._to_detector).sum(axis=1).max())) + 1
        for position in aperture.position:
            column, row = np.rint(self._to_detector @ position + center[::-1]).astype(int)
            rows, columns = (slice(max(at - reach, 0), max(at + reach + 1, 0)) for at in (row, column))
            distance = np.hypot(k[rows, columns, 0] - position[0], k[rows, columns, 1] - position[1])
            inside[rows, columns] |= distance <= aperture.radius
            ring[rows, columns] |= (distance > _RING[0] * aperture.radius) & (distance <= _RING[1] * aperture.radius)
        inside &= self._usable
        ring &= self._usable & ~inside
        weight = inside / np.float32(max(int(inside.sum()), 1))
        if self._background and inside.any() and ring.any():
            weight -= ring / np.float32(ring.sum())
        return np.asarray(weight.ravel(), dtype=np.float32)
