"""Detector frames of every kind that a matching engine must be measured and tested on, good and bad ones.

Spots come from diffsims, everything else from NumPy: nothing here uses nbedex's own simulation or matching, so nothing
here changes when they do. The same arguments give the same frames.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from nbedex.phases import load_phase
from oracles.diffsims_patterns import Microscope, diffsims_spots, random_orientations

Array = NDArray[np.float64]
Spots = tuple[Array, Array]  # k (n, 2) in 1/angstrom, columns and rows of the detector; intensities (n,)

PHASES = ("beta2-alumina", "nzsp", "na2au")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a kind of pattern is made of; shares are of the counts, what they leave is diffuse background.

    Attributes
    ----------
    counts
        Electrons in a frame.
    spots, beam, halo
        Shares of diffraction spots, direct beam, and two broad amorphous rings.
    crystals
        Overlapping crystals: the second is of the same phase in one pattern, of another phase in the next.
    gamma
        Exponent on what was counted, as a detector or a display range compresses it.
    distortion
        Intensities are multiplied by exp(normal deviates of this width).
    missing
        Share of spots that are not there.
    off_center
        The centre that the indexer is told is wrong by this many pixels.
    scale
        Distances on the detector are this many times what the indexer is told.
    """

    counts: float = 2e4
    spots: float = 0.5
    beam: float = 0.3
    halo: float = 0.0
    crystals: int = 1
    gamma: float = 1.0
    distortion: float = 0.0
    missing: float = 0.0
    off_center: float = 0.0
    scale: float = 1.0


KINDS = {
    "easy": Kind(counts=1e5, spots=0.6),
    "noisy": Kind(counts=2e3, spots=0.4),
    "gamma": Kind(gamma=0.4),
    "mismatched": Kind(distortion=1.0, missing=0.3, off_center=1.0, scale=1.01),
    "overlapped": Kind(crystals=2),
    "amorphous": Kind(spots=0.1, beam=0.2, halo=0.6),
    "noise": Kind(spots=0.0),
    "blank": Kind(counts=0.0, spots=0.0),
}
WITH_SIGNAL = ("easy", "noisy", "gamma", "mismatched", "overlapped", "amorphous")
_SINGLE_COUNTS = 50  # in every second blank frame
_HALO = ((0.28, 0.05), (0.5, 0.08))  # radius and width (sigma) of the amorphous rings, 1/angstrom


@dataclass(frozen=True, kw_only=True)
class Detector:
    """Square detector with the beam near its middle."""

    size: int = 256
    pixel: float = 0.0125
    spot_sigma: float = 1.2
    beam_sigma: float = 1.5

    @property
    def microscope(self) -> Microscope:
        return Microscope(size=self.size, pixel=self.pixel)


@cache
def spot_lists(phase: str, n: int, seed: int, detector: Detector) -> tuple[Spots, ...]:
    """Spots of n random orientations."""
    return tuple(diffsims_spots(load_phase(phase), random_orientations(n, seed), detector.microscope))


def make_frames(
    kind: str, phase: str, n: int, *, seed: int = 0, detector: Detector | None = None, orientations: int = 24
) -> tuple[NDArray[np.uint16], Array]:
    """Frames of one kind and phase.

    Parameters
    ----------
    kind, phase
        Of `KINDS` and `PHASES`.
    n
        How many.
    seed
        Of orientations and noise.
    detector
        By default 256 x 256 at 0.0125 1/angstrom per pixel.
    orientations
        Zone axes simulated; frames beyond that are the same ones turned in the plane and mirrored at random, with
        other noise.

    Returns
    -------
    frames : (n, size, size) uint16
    centers : (n, 2) float64
        Direct beam (row, column) as the indexer is told.
    """
    detector = detector or Detector()
    what = KINDS[kind]
    rng = np.random.default_rng([seed, list(KINDS).index(kind), PHASES.index(phase)])
    lists = spot_lists(phase, orientations, seed, detector)
    others = spot_lists(PHASES[(PHASES.index(phase) + 1) % len(PHASES)], orientations, seed, detector)
    frames = np.empty((n, detector.size, detector.size), dtype=np.uint16)
    centers = np.empty((n, 2))
    for number in range(n):
        crystals = [_placed(lists[number % len(lists)], what, rng)]
        if what.crystals > 1:
            more = lists if number % 2 else others
            k, intensity = _placed(more[(number + 7) % len(more)], what, rng)
            crystals.append((k, intensity * rng.uniform(0.5, 1.0)))
        true = (detector.size - 1) / 2 + rng.uniform(-1, 1, 2)
        expected = _expected(crystals, what, true, detector)
        if what.counts:
            counted = rng.poisson(expected).astype(np.float64)
        else:
            counted = np.zeros_like(expected)
            if number % 2:
                counted[tuple(rng.integers(detector.size, size=(2, _SINGLE_COUNTS)))] = 1
        if what.gamma != 1.0:
            counted = np.round(100 * counted**what.gamma)
        frames[number] = np.minimum(counted, 65535)
        angle = rng.uniform(0, 2 * np.pi)
        centers[number] = true + what.off_center * np.array([np.sin(angle), np.cos(angle)])
    return frames, centers


def _placed(spots: Spots, what: Kind, rng: np.random.Generator) -> Spots:
    """A crystal turned in the plane, perhaps mirrored, with the faults of its kind."""
    k, intensity = spots
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    k = k @ turn.T * np.array([1.0, rng.choice([-1.0, 1.0])]) * what.scale
    if what.distortion:
        intensity = intensity * np.exp(rng.normal(0, what.distortion, len(intensity)))
    if what.missing:
        there = rng.random(len(intensity)) >= what.missing
        k, intensity = k[there], intensity[there]
    return k, intensity / max(intensity.sum(), 1e-300)


def _expected(crystals: list[Spots], what: Kind, center: Array, detector: Detector) -> Array:
    """Expected counts of every pixel."""
    pixels = np.arange(detector.size)
    r = np.hypot(pixels[:, None] - center[0], pixels[None, :] - center[1])
    k = r * detector.pixel
    image = (1 - what.spots - what.beam - what.halo) * _share(np.exp(-k / 0.25))
    image += what.beam * _share(np.exp(-(r**2) / (2 * detector.beam_sigma**2)))
    if what.halo:
        image += what.halo * _share(sum(np.exp(-((k - at) ** 2) / (2 * width**2)) for at, width in _HALO))
    if what.spots:
        total = sum(intensity.sum() for _, intensity in crystals)
        for vectors, intensity in crystals:
            at = center + vectors[:, ::-1] / detector.pixel
            y, x = (np.exp(-((pixels - at[:, i, None]) ** 2) / (2 * detector.spot_sigma**2)) for i in (0, 1))
            weight = what.spots * intensity / (total * 2 * np.pi * detector.spot_sigma**2)
            image += (y * weight[:, None]).T @ x
    return what.counts * image


def _share(image: Array) -> Array:
    return np.asarray(image / image.sum())


def small_detector() -> Detector:
    """A quarter of the pixels for the same angles: quick enough for thousands of frames in a test."""
    full = Detector()
    return replace(full, size=full.size // 2, pixel=full.pixel * 2, spot_sigma=0.8, beam_sigma=1.0)
