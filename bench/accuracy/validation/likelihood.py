"""How likely a frame is, given a crystal: what somebody could tell who knew the camera exactly.

Bloch waves by nbedex, the kit's own camera without its faults of scale and ellipse, the true centre, background and
share of the direct beam; every pixel counts, its electrons distributed as Poisson has it. No indexer can know as much:
this is where the information of a pattern ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from nbedex.library.dynamical import DynamicalCrystal, DynamicalSettings
from nbedex.maps import multiply
from nbedex.phases import Phase
from validation.conditions import Crystal, Detector
from validation.detector import detector_matrix, smooth

Array = NDArray[np.float64]

REACH_DEG, NET_DEG = 0.3, 0.15  # how far tilts are looked for, and how far apart
FINE_DEG, FINEST_DEG = 0.0125, 0.006  # steps at the end, with few strong beams and with many
QUICK, EXACT = 0.008, 0.02  # 1/angstrom: excitation errors up to which beams are strong, the others perturbations
FOLLOWED = 2  # of the net's tilts
DEPTHS_NM = np.arange(20.0, 200.1, 3.0)
AROUND_NM = np.arange(-3.0, 3.1, 0.5)
_HEXAGON = np.deg2rad(np.arange(0, 360, 60))
_NEIGHBOURS = np.concatenate(
    [np.stack([np.cos(_HEXAGON), np.sin(_HEXAGON), 0 * _HEXAGON], axis=1), [[0.0, 0.0, 0.5], [0.0, 0.0, -0.5]]]
)
_FAINT = 1e-7  # share of the electrons below which a spot is no spot


@dataclass(frozen=True, eq=False)
class Likeliest:
    """The orientation near a given one under which a frame is likeliest, and the thickness in nm.

    `log_likelihood` is relative to a frame without any spots.
    """

    orientation: Array
    thickness_nm: float
    log_likelihood: float


class Camera:
    """Likelihood of frames that `detector` takes with the direct beam at `center` (row, column)."""

    def __init__(self, detector: Detector, center: Array) -> None:
        if detector.scale != 1 or detector.ellipse != 1 or detector.disk_mrad or detector.overlap[1]:
            raise SystemExit("the likelihood of a frame needs round, undistorted spots of a single crystal")
        if detector.beam is None:
            raise SystemExit("the likelihood of a frame needs a direct beam of known share")
        self.detector, self.center = detector, center
        self.to_pixels = detector_matrix(detector, 0.0)
        self.expected = detector.counts * (smooth(center, self.to_pixels, detector) + detector.beam * self._at(center))

    def log_likelihood(self, frame: NDArray[np.uint16], k: Array, intensity: Array) -> Array:
        """Of spots at k (m, 2), 1/angstrom, whose relative intensities are (m, t): for each of the t patterns."""
        elastic = 1 - self.detector.diffuse - self.detector.halo - float(self.detector.beam or 0)
        share = elastic * intensity / intensity.sum(axis=0)
        shown = share.max(axis=1) > _FAINT
        at = self.center + (k[shown] @ self.to_pixels.T)[:, ::-1]
        pixel, weight = self._footprints(at)
        used, place = np.unique(pixel, return_inverse=True)
        light = np.zeros((len(used), share.shape[1]))
        for spot, column in enumerate(place.reshape(pixel.shape)):
            light[column] += weight[spot, :, None] * share[shown][spot]
        inside = used >= 0
        light = self.detector.counts * light[inside]
        counted, background = frame.ravel()[used[inside]].astype(float), self.expected.ravel()[used[inside]]
        return np.asarray(counted @ np.log1p(light / background[:, None]) - light.sum(axis=0))

    def _footprints(self, at: Array) -> tuple[NDArray[np.int64], Array]:
        """Pixels (m, p) of spots at (row, column), -1 off the camera, and the share of the spot's light in each."""
        size, blur = self.detector.size, self.detector.blur_px
        local = np.arange(-int(np.ceil(4 * blur)) - 1, int(np.ceil(4 * blur)) + 2)
        whole = np.round(at).astype(int)
        rows, columns = whole[:, :1] + local, whole[:, 1:] + local
        one = [np.exp(-((x - c[:, None]) ** 2) / (2 * blur**2)) for x, c in ((rows, at[:, 0]), (columns, at[:, 1]))]
        weight = one[0][:, :, None] * one[1][:, None, :]
        weight /= weight.sum(axis=(1, 2), keepdims=True)
        seen = ((rows >= 0) & (rows < size))[:, :, None] & ((columns >= 0) & (columns < size))[:, None, :]
        pixel = np.where(seen, rows[:, :, None] * size + columns[:, None, :], -1)
        return pixel.reshape(len(at), -1), weight.reshape(len(at), -1)

    def _at(self, place: Array) -> Array:
        """A spot of unit intensity, (size, size)."""
        pixel, weight = self._footprints(place[None])
        image = np.zeros(self.detector.size**2)
        np.add.at(image, pixel[pixel >= 0], weight[pixel >= 0])
        return image.reshape(self.detector.size, self.detector.size)


class Specimen:
    """A phase whose orientation and thickness are looked for, with the beams the kit's patterns have."""

    def __init__(self, phase: Phase, crystal: Crystal) -> None:
        settings = DynamicalSettings(
            voltage=crystal.voltage, k_max=crystal.g_max, max_excitation_error=crystal.s_max,
            strong_excitation_error=QUICK,
        )  # fmt: skip
        self.quick = DynamicalCrystal(phase, settings)
        self.exact = DynamicalCrystal(phase, replace(settings, strong_excitation_error=EXACT))

    def likeliest(self, frame: NDArray[np.uint16], camera: Camera, start: Array, thickness_nm: float) -> Likeliest:
        """Uphill from an orientation and thickness, and from the best tilts of a net about the orientation."""
        steps = np.arange(-int(REACH_DEG / NET_DEG), int(REACH_DEG / NET_DEG) + 1) * NET_DEG
        net = np.array([(x, y, 0.0) for x in steps for y in steps if np.hypot(x, y) <= REACH_DEG + 1e-9])
        first = looked(frame, camera, self.quick, turned(start, net), DEPTHS_NM)
        first.sort(key=lambda one: -one.log_likelihood)
        quick = [climbed(frame, camera, self.quick, one, DEPTHS_NM, NET_DEG / 2, FINE_DEG) for one in first[:FOLLOWED]]
        best = max(quick, key=lambda one: one.log_likelihood)
        found = []
        for orientation, thickness in ((start, thickness_nm), (best.orientation, best.thickness_nm)):
            depths = np.maximum(thickness + AROUND_NM, 1.0)
            here = looked(frame, camera, self.exact, orientation[None], depths)[0]
            found.append(climbed(frame, camera, self.exact, here, depths, FINE_DEG, FINEST_DEG))
        return max(found, key=lambda one: one.log_likelihood)


def looked(
    frame: NDArray[np.uint16], camera: Camera, crystal: DynamicalCrystal, orientations: Array, depths: Array
) -> list[Likeliest]:
    """The likeliest thickness for each orientation (n, 4)."""
    found = []
    beams = crystal.patterns(orientations, depths, threads=1)
    for number, orientation in enumerate(orientations):
        one = beams.pattern(number)
        spots = one["hkl"].any(axis=1)
        k = np.stack([one["kx"], one["ky"]], axis=1)[spots].astype(float)
        value = camera.log_likelihood(frame, k, one["intensity"][spots].astype(float))
        best = int(value.argmax())
        found.append(Likeliest(orientation, float(depths[best]), float(value[best])))
    return found


def climbed(
    frame: NDArray[np.uint16], camera: Camera, crystal: DynamicalCrystal, here: Likeliest, depths: Array,
    step_deg: float, finest_deg: float,
) -> Likeliest:  # fmt: skip
    """Uphill over tilts and turns until steps are finer than asked for."""
    while step_deg >= finest_deg:
        around = looked(frame, camera, crystal, turned(here.orientation, step_deg * _NEIGHBOURS), depths)
        better = max(around, key=lambda one: one.log_likelihood)
        if better.log_likelihood > here.log_likelihood:
            here = better
        else:
            step_deg /= 2
    return here


def turned(orientation: Array, turn_deg: Array) -> Array:
    """An orientation (4,) turned by rotation vectors (n, 3) in the sample frame, degrees."""
    half = np.deg2rad(turn_deg) / 2
    angle = np.linalg.norm(half, axis=1, keepdims=True)
    return np.asarray(multiply(orientation, np.concatenate([np.cos(angle), half * np.sinc(angle / np.pi)], axis=1)))
