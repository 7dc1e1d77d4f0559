"""What a camera sees of columns of crystals: spots by Bloch waves, direct beam, diffuse background, counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from nbedex.calibration import Calibration
from nbedex.demo.columns import Columns
from nbedex.demo.specimen import Specimen
from nbedex.errors import ArgumentError
from nbedex.library import DynamicalCrystal, DynamicalSettings
from nbedex.phases import load_phase
from nbedex.settings import Settings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_THICKNESS_NM = 0.5  # crystals are as thick as this allows: simulated thicknesses are its multiples
_HALO_K, _HALO_WIDTH = 0.4, 0.06  # ring of amorphous material, 1/angstrom


class Camera(Settings, frozen=True, kw_only=True):
    """The camera, and how many electrons go where.

    Attributes
    ----------
    size
        Detector rows and columns.
    k_edge
        Scattering vector at the middle of an edge, 1/angstrom.
    voltage
        kV.
    counts
        Electrons per pattern.
    spots, beam
        Share of them in spots and in the direct beam; the rest is diffuse, as exp(-k / diffuse_k), or in the ring of
        what is amorphous. Where there is nothing, all are in the direct beam.
    diffuse_k
        1/angstrom.
    spot_width
        Standard deviation of spots and direct beam, 1/angstrom.
    wander
        How far the direct beam moves over the detector from the scan's first corner to its last, 1/angstrom.
    """

    size: Annotated[int, Meta(ge=32, le=1024)] = 128
    k_edge: Annotated[float, Meta(ge=0.5, le=3)] = 1.31
    voltage: Annotated[float, Meta(ge=10, le=3000)] = 300.0
    counts: Annotated[float, Meta(gt=0)] = 2e4
    spots: Annotated[float, Meta(ge=0, le=1)] = 0.4
    beam: Annotated[float, Meta(ge=0, le=1)] = 0.3
    diffuse_k: Annotated[float, Meta(gt=0)] = 0.25
    spot_width: Annotated[float, Meta(gt=0, le=0.1)] = 0.0126
    wander: Annotated[float, Meta(ge=0, le=0.2)] = 0.04

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.spots + self.beam > 1:
            raise ArgumentError(f"spots and beam together have at most all electrons, got {self.spots + self.beam:g}")

    def calibration(self, step: tuple[float, float]) -> Calibration:
        """True geometry of a scan with this step, nm."""
        return Calibration(pixel_size=2 * self.k_edge / self.size, voltage=self.voltage, step=step)

    def center(self, number: Ints, shape: tuple[int, int]) -> Floats:
        """Direct beam (n, 2), row and column in pixels, at positions of a scan."""
        ny, nx = shape
        u, v = (number // nx) / ny - 0.5, (number % nx) / nx - 0.5
        reach = self.wander * self.size / (2 * self.k_edge)
        middle = (self.size - 1) / 2
        return np.asarray(middle + reach * np.stack([0.6 * u - 0.3 * v + 0.3 * u * v, 0.5 * v + 0.4 * u * u], axis=-1))


@dataclass(frozen=True, eq=False)
class Exposure:
    """A camera and the crystals it looks at, made ready once.

    Attributes
    ----------
    camera
        See there.
    shape
        Rows and columns of the scan.
    crystals
        By region of the specimen; None where it is no crystal.
    empty
        By region: nothing is there.
    seed
        Of the counts.
    """

    camera: Camera
    shape: tuple[int, int]
    crystals: tuple[DynamicalCrystal | None, ...]
    empty: tuple[bool, ...]
    seed: int

    def frames(self, columns: Columns) -> NDArray[np.uint16]:
        """Patterns (positions, size, size); each is the same whatever columns are beside it."""
        out = np.empty((len(columns.first), self.camera.size, self.camera.size), dtype=np.uint16)
        for i, (number, image) in enumerate(self.images(columns)):
            rng = np.random.default_rng([self.seed, number])
            out[i] = np.minimum(rng.poisson(self.camera.counts * image), np.iinfo(np.uint16).max)
        return out

    def images(self, columns: Columns) -> Iterator[tuple[int, Floats]]:
        """Number of each position, and the share of the electrons expected in every pixel (size, size)."""
        spots = self._spots(columns)
        first = columns.first
        last = np.append(first[1:], len(columns.position))
        number = columns.position[first]
        centers = self.camera.center(number, self.shape)
        crystal = np.array([c is not None for c in self.crystals])
        empty = np.array(self.empty)
        for i, (begin, end) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
            region, share = columns.region[begin:end], columns.share[begin:end]
            nothing = float(share[empty[region]].sum())
            amorphous = float(share[~crystal[region] & ~empty[region]].sum())
            image = self._smooth(centers[i], nothing, amorphous)
            parts = [(w, part) for w, part in zip(share, spots[begin:end], strict=True) if part is not None]
            if parts:
                at = np.concatenate([part[0] for _, part in parts])
                intensity = np.concatenate([w * part[1] for w, part in parts])
                image += self.camera.spots * self._render(at, intensity, centers[i])
            yield int(number[i]), image

    def _spots(self, columns: Columns) -> list[tuple[Floats, Floats] | None]:
        """Of every part, offsets (n, 2) of its spots as (row, column) in 1/angstrom and shares that add up to one."""
        out: list[tuple[Floats, Floats] | None] = [None] * len(columns.position)
        steps = np.maximum(np.rint(columns.depth_nm / _THICKNESS_NM), 1).astype(np.int64)
        # regions of one phase share a crystal
        kinds = {id(crystal): crystal for crystal in self.crystals if crystal is not None}
        kind = np.array([0 if crystal is None else id(crystal) for crystal in self.crystals])[columns.region]
        for key, crystal in kinds.items():
            for step in np.unique(steps[kind == key]):
                rows = np.flatnonzero((kind == key) & (steps == step))
                beams = crystal.patterns(columns.orientation[rows], [step * _THICKNESS_NM], threads=1)
                for t, row in enumerate(rows.tolist()):
                    part = slice(int(beams.offset[t]) + 1, int(beams.offset[t + 1]))  # without the direct beam
                    intensity = beams.intensity[part, 0].astype(np.float64)
                    total = intensity.sum()
                    at = np.stack([beams.ky[part], beams.kx[part]], axis=1).astype(np.float64)
                    out[row] = at, intensity / total if total > 0 else intensity
        return out

    def _render(self, at: Floats, intensity: Floats, center: Floats) -> Floats:
        """Spots as Gaussians on the detector, cut off at four standard deviations or more."""
        camera = self.camera
        seen = intensity > 1e-6 * intensity.sum()
        scale = camera.size / (2 * camera.k_edge)
        sigma = camera.spot_width * scale
        where, intensity = center + scale * at[seen], intensity[seen]
        reach = np.arange(-int(np.ceil(4 * sigma)), int(np.ceil(4 * sigma)) + 1)
        pixel = np.round(where)[:, :, None] + reach
        profile = np.exp(-((pixel - where[:, :, None]) ** 2) / (2 * sigma**2))
        profile /= profile.sum(axis=2, keepdims=True)
        profile[(pixel < 0) | (pixel >= camera.size)] = 0.0
        index = np.clip(pixel, 0, camera.size - 1).astype(np.intp)
        flat = index[:, 0, :, None] * camera.size + index[:, 1, None, :]
        value = intensity[:, None, None] * profile[:, 0, :, None] * profile[:, 1, None, :]
        image = np.bincount(flat.ravel(), value.ravel(), camera.size**2)
        return np.asarray(image.reshape(camera.size, camera.size), dtype=np.float64)

    def _smooth(self, center: Floats, nothing: float, amorphous: float) -> Floats:
        """Direct beam and what is scattered between the spots, as shares of the electrons."""
        camera = self.camera
        scale = 2 * camera.k_edge / camera.size
        y = scale * (np.arange(camera.size) - center[0])
        x = scale * (np.arange(camera.size) - center[1])
        k = np.sqrt((y * y)[:, None] + x * x)
        beam = np.outer(np.exp(-0.5 * (y / camera.spot_width) ** 2), np.exp(-0.5 * (x / camera.spot_width) ** 2))
        diffuse = np.exp(-k / camera.diffuse_k)
        filled = 1 - nothing
        image = (nothing + filled * camera.beam) / beam.sum() * beam
        image += filled * (1 - camera.spots - camera.beam) / diffuse.sum() * diffuse
        if amorphous > 0:
            ring = np.exp(-((k - _HALO_K) ** 2) / (2 * _HALO_WIDTH**2))
            image += amorphous * camera.spots / ring.sum() * ring
        return np.asarray(image)


def make_exposure(specimen: Specimen, camera: Camera, shape: tuple[int, int], *, seed: int) -> Exposure:
    """Make the specimen's crystals ready. Insulators without a phase are holes, all else without one is amorphous."""
    settings = DynamicalSettings(voltage=camera.voltage, k_max=camera.k_edge)
    made = {name: DynamicalCrystal(load_phase(name), settings) for name in specimen.phases}
    return Exposure(
        camera=camera,
        shape=shape,
        crystals=tuple(None if region.phase is None else made[region.phase] for region in specimen.regions),
        empty=tuple(region.phase is None and region.role == "insulator" for region in specimen.regions),
        seed=seed,
    )
