"""From spots to frames as a camera gives them. NumPy alone, so that every program that is compared sees the same."""

from __future__ import annotations

from dataclasses import dataclass
from math import erf

import numpy as np
from numpy.typing import NDArray

from validation.conditions import Detector, random_numbers
from validation.exchange import Images, Patterns

Array = NDArray[np.float64]
_erf = np.vectorize(erf, otypes=[np.float64])


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames and what is true about them.

    Attributes
    ----------
    images : (n, size, size) uint16
    center : (n, 2) float64
        Direct beam as row and column.
    second_share : (n,) float64
        Share of the second crystal in the elastic intensity; 0 where there is none.
    second : (n,) int64
        Which of the patterns it is.
    """

    images: NDArray[np.uint16]
    center: Array
    second_share: Array
    second: NDArray[np.int64]


def frames(patterns: Patterns | Images, detector: Detector, *, wavelength: float, seed: tuple[str, ...]) -> Frames:
    """Frames of all patterns. `wavelength`: angstrom. `seed`: words, to which the pattern's number is added.

    The random numbers of a pattern depend on its number and the detector, not on how many patterns there are; but where
    crystals overlap the second one is the pattern before it, of pattern 0 the last one.
    """
    if isinstance(patterns, Images):
        return _frames_of_images(patterns, detector, seed)
    n = len(patterns)
    radius = 1e-3 * detector.disk_mrad / wavelength / detector.pixel
    images = np.empty((n, detector.size, detector.size), dtype=np.uint16)
    center, share = np.empty((n, 2)), np.zeros(n)
    second = second_crystals(n)
    for i in range(n):
        rng = random_numbers("frame", *seed, detector.key(), i)
        direction = rng.uniform(0, 2 * np.pi)
        middle = (detector.size - 1) / 2
        center[i] = middle + detector.shift_px * np.array([np.sin(direction), np.cos(direction)])
        to_pixels = detector_matrix(detector, rng.uniform(0, np.pi))
        share[i] = rng.uniform(*detector.overlap)
        parts = [(i, 1 - share[i]), (int(second[i]), share[i])]
        image = mean_image(patterns, parts, center[i], to_pixels, detector, radius)
        images[i] = counted(rng, image, detector)
    return Frames(images, center, share, second)


def second_crystals(n: int) -> NDArray[np.int64]:
    """(n,) which of n patterns lies over each one where crystals overlap."""
    return (np.arange(n) - 1) % n


def _frames_of_images(patterns: Images, detector: Detector, seed: tuple[str, ...]) -> Frames:
    """The same of patterns that have as many pixels as the detector and are in its geometry."""
    if detector.overlap[1] or detector.disk_mrad or detector.flipped or detector.halo:
        raise SystemExit("patterns by multislice take a camera with blur, background and shift, nothing else")
    if (detector.scale, detector.ellipse, detector.rotation_deg) != (1.0, 1.0, 0.0):
        raise SystemExit("patterns by multislice are in the camera's true geometry; no scale, ellipse or rotation")
    n, size = len(patterns), detector.size
    images, center = np.empty((n, size, size), dtype=np.uint16), np.empty((n, 2))
    middle = (size - 1) / 2
    rows, columns = np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None]
    r = np.arange(size) - size // 2
    in_beam = np.hypot(r[:, None], r[None]) <= 4.0
    for i in range(n):
        rng = random_numbers("frame", *seed, detector.key(), i)
        direction = rng.uniform(0, 2 * np.pi)
        center[i] = middle + detector.shift_px * np.array([np.sin(direction), np.cos(direction)])
        image = patterns.image[i].astype(float)
        elastic = 1 - detector.diffuse
        if detector.beam is None:
            image *= elastic / image.sum()
        else:
            rest = (elastic - detector.beam) / image[~in_beam].sum()
            image = np.where(in_beam, image * detector.beam / image[in_beam].sum(), image * rest)
        away = center[i] - size // 2
        blur = np.exp(-2 * (np.pi * detector.blur_px) ** 2 * (rows**2 + columns**2))
        moved = np.fft.fft2(image) * blur * np.exp(-2j * np.pi * (rows * away[0] + columns * away[1]))
        image = np.maximum(np.fft.ifft2(moved).real, 0.0)
        image += smooth(center[i], detector_matrix(detector, 0.0), detector)
        images[i] = counted(rng, image, detector)
    return Frames(images, center, np.zeros(n), (np.arange(n) - 1) % n)


def mean_image(
    patterns: Patterns, parts: list[tuple[int, float]], center: Array, to_pixels: Array, detector: Detector,
    radius: float,
) -> Array:  # fmt: skip
    """Share of the electrons (size, size) expected in each pixel, of a sum of patterns (number, weight).

    `radius` of the spots in pixels.
    """
    k = np.concatenate([patterns.k[i] for i, weight in parts if weight > 0])
    intensity = np.concatenate([weight * _shares(patterns, i, detector) for i, weight in parts if weight > 0])
    return _elastic(k, intensity, center, to_pixels, detector, radius) + smooth(center, to_pixels, detector)


def counted(rng: np.random.Generator, image: Array, detector: Detector) -> NDArray[np.uint16]:
    """Electrons as the camera counts them."""
    return np.minimum(rng.poisson(detector.counts * image), np.iinfo(np.uint16).max).astype(np.uint16)


def _shares(patterns: Patterns, i: int, detector: Detector) -> Array:
    """Of all electrons, in every spot and the direct beam."""
    intensity, direct = patterns.intensity[i], ~patterns.hkl[i].any(axis=1)
    elastic = 1 - detector.diffuse - detector.halo
    if detector.beam is None:
        return np.asarray(elastic * intensity / intensity.sum())
    spots = (elastic - detector.beam) * intensity / intensity[~direct].sum()
    return np.asarray(np.where(direct, detector.beam / max(direct.sum(), 1), spots))


def spot_counts(patterns: Patterns, i: int, detector: Detector) -> tuple[Array, Array]:
    """Electrons expected in each spot of a pattern, and those of the diffuse background under it (4 pi sigma^2)."""
    grid = detector.pixel * (np.arange(detector.size) - (detector.size - 1) / 2)
    total = np.exp(-np.hypot(grid[:, None], grid[None]) / detector.diffuse_k).sum()
    per_pixel = detector.diffuse * np.exp(-np.hypot(*patterns.k[i].T) / detector.diffuse_k) / total
    area = 4 * np.pi * detector.blur_px**2
    return detector.counts * _shares(patterns, i, detector), detector.counts * area * per_pixel


def detector_matrix(detector: Detector, long_axis: float) -> Array:
    """Matrix (2, 2) from k along (X, Y) to (column, row), pixels. `long_axis` of the ellipse: radians from columns."""
    turn = np.deg2rad(detector.rotation_deg)
    to_camera = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    if detector.flipped:
        to_camera = np.diag([1.0, -1.0]) @ to_camera
    along = np.array([np.cos(long_axis), np.sin(long_axis)])
    stretch = np.sqrt(detector.ellipse)
    ellipse = np.eye(2) / stretch + (stretch - 1 / stretch) * np.outer(along, along)
    return np.asarray(detector.scale / detector.pixel * ellipse @ to_camera)


def _elastic(k: Array, intensity: Array, center: Array, to_pixels: Array, detector: Detector, radius: float) -> Array:
    """Blurred disks, each with the sum of its intensity; what falls off the camera is lost."""
    image = np.zeros((detector.size, detector.size))
    at = center + (k @ to_pixels.T)[:, ::-1]
    reach = int(np.ceil(radius + 4 * detector.blur_px)) + 1
    local = np.arange(-reach, reach + 1)
    for (row, column), share in zip(at, intensity, strict=True):
        if share < 1e-7:
            continue
        r0, c0 = round(float(row)), round(float(column))
        if not (-reach < r0 < detector.size + reach and -reach < c0 < detector.size + reach):
            continue
        distance = np.hypot((local + r0 - row)[:, None], (local + c0 - column)[None, :])
        if radius < 0.5:
            spot = np.exp(-(distance**2) / (2 * detector.blur_px**2))
        else:
            spot = 1 - _erf((distance - radius) / (np.sqrt(2) * detector.blur_px))
        spot *= share / spot.sum()
        rows, columns = local + r0, local + c0
        inside_r = (rows >= 0) & (rows < detector.size)
        inside_c = (columns >= 0) & (columns < detector.size)
        image[np.ix_(rows[inside_r], columns[inside_c])] += spot[np.ix_(inside_r, inside_c)]
    return image


def smooth(center: Array, to_pixels: Array, detector: Detector) -> Array:
    """Diffuse scattering and the ring of an amorphous layer."""
    pixels = np.arange(detector.size)
    rows, columns = np.meshgrid(pixels - center[0], pixels - center[1], indexing="ij")
    inverse = np.linalg.inv(to_pixels)
    k = np.hypot(inverse[0, 0] * columns + inverse[0, 1] * rows, inverse[1, 0] * columns + inverse[1, 1] * rows)
    diffuse = np.exp(-k / detector.diffuse_k)
    total = detector.diffuse * diffuse / diffuse.sum()
    if detector.halo:
        ring = np.exp(-((k - detector.halo_k) ** 2) / (2 * detector.halo_width**2))
        total += detector.halo * ring / ring.sum()
    return np.asarray(total)
