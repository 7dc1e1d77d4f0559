"""Rotation of the detector against the scan from the edge of a crystal.

The edge of a lath runs along a lattice direction, and so do spots of its pattern.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nbedex.calibrating.rotation import half_turns
from nbedex.errors import DataFormatError

Array = NDArray[np.float64]

MOO3 = (3.697, 3.963)  # c and a of MoO3 (Pbnm), angstrom
_LEAST_EDGE = 0.25  # of the image's shorter side
_SIDE = 4.0  # pixels: how far from an edge brightness is compared
_LENGTH, _COSINE = 0.08, 0.1  # how far lengths and right angle of the net may be off
_OFF = 0.12  # of the shorter step: how far spots may lie off the net


@dataclass(frozen=True, eq=False)
class EdgeRotation:
    """What a crystal's edge and its pattern say.

    Attributes
    ----------
    rotation_deg, uncertainty_deg
        As of `BeamRotation`; for a detector that is not mirrored, and for one that is (`flipped_rotation_deg`), because
        one edge does not show which.
    flipped_rotation_deg
        The rotation if it is mirrored.
    edge_deg, row_deg
        Direction of the edge in the image and of the row of spots along it in the pattern, from columns to rows.
    edges
        How many parallel edges were found.
    vectors : (2, 2) float64
        The lattice of spots, (column, row) pixels: along the edge, and the other.
    angle_deg
        Between them.
    edge_middle, beam : (2,) float64
        Middle of the longest edge, and where the net of spots has its origin: column and row, pixels.
    """

    rotation_deg: float
    flipped_rotation_deg: float
    uncertainty_deg: float
    edge_deg: float
    row_deg: float
    edges: int
    vectors: Array
    angle_deg: float
    edge_middle: Array
    beam: Array


class Edge(NamedTuple):
    """Direction of the longest straight edge and its uncertainty (radians, columns to rows), how many run along it, and
    its middle (column, row).
    """

    angle: float
    uncertainty: float
    parallel: int
    middle: Array


class Net(NamedTuple):
    """The rectangular net of spots: vectors (2, 2) of (column, row) in pixels, that of the first spacing first, the
    uncertainty of the first one's direction (radians), and the brightest spot (column, row) as it lies in the pattern.
    """

    vectors: Array
    uncertainty: float
    beam: Array


def rotation_from_edge(
    image: Array,
    pattern: Array,
    *,
    pixel_size: float,
    spacings: tuple[float, float] = MOO3,
    undistort: Array | None = None,
) -> EdgeRotation:
    """Rotation from a lath-shaped crystal, such as MoO3, and a diffraction pattern of it.

    Parameters
    ----------
    image
        Image of the crystal in the frame of the scan, bright on dark or dark on bright.
    pattern
        Its pattern.
    pixel_size
        Of the pattern, 1/angstrom, within some per cent.
    spacings
        Of lattice planes, angstrom: of those whose spots lie along the long edge, and of those across it; by default
        MoO3's c and a (its laths grow along c).
    undistort : (2, 2), optional
        Takes (column, row) in the pattern to where it would be without the camera's ellipse.

    Raises
    ------
    DataFormatError
        No straight edge, or no net of spots with these spacings, was found.
    """
    edge, of_edge, edges, middle = longest_edge(np.asarray(image, dtype=np.float64))
    vectors, of_row, beam = spot_lattice(np.asarray(pattern, dtype=np.float64), spacings, pixel_size, undistort)
    row = float(np.arctan2(vectors[0, 1], vectors[0, 0]))
    between = np.rad2deg(np.arccos(abs(vectors[0] @ vectors[1]) / np.prod(np.linalg.norm(vectors, axis=1))))
    distortion = np.deg2rad(90 - between) / 2  # of the axes' right angle: half of it may be the row's
    return EdgeRotation(
        rotation_deg=float(np.rad2deg(half_turns(edge - row))),
        flipped_rotation_deg=float(np.rad2deg(half_turns(edge + row))),
        uncertainty_deg=float(np.rad2deg(np.sqrt(of_edge**2 + of_row**2 + distortion**2))),
        edge_deg=float(np.rad2deg(half_turns(edge))),
        row_deg=float(np.rad2deg(half_turns(row))),
        edges=edges,
        vectors=vectors,
        angle_deg=float(between),
        edge_middle=middle,
        beam=beam,
    )


def longest_edge(image: Array) -> Edge:
    """The longest straight edge between dark and bright, and those parallel to it."""
    smooth = ndimage.gaussian_filter(image, 1.5)
    inside = smooth > _threshold(smooth)
    rim = inside & ~ndimage.binary_erosion(inside, border_value=1)
    rim[[0, 1, -2, -1], :] = rim[:, [0, 1, -2, -1]] = False
    points = np.argwhere(rim)[:, ::-1].astype(float)  # column, row
    least = _LEAST_EDGE * min(image.shape)
    found: list[tuple[float, float, int]] = []
    middles: list[Array] = []
    angles = np.deg2rad(np.arange(0.0, 180.0, 0.5))
    for _ in range(8):
        if len(points) < least or len(found) == 4:
            break
        across = points @ np.stack([-np.sin(angles), np.cos(angles)])
        bins = np.round(across / 2).astype(int)
        low = bins.min()
        counts = np.array([np.bincount(b - low, minlength=int(bins.max() - low) + 1) for b in bins.T])
        which, at = np.unravel_index(counts.argmax(), counts.shape)
        near = np.abs(across[:, which] - 2 * (at + low)) < 3
        angle, _ = _line(points[near])
        inliers = np.abs(_across(points, points[near].mean(axis=0), angle)) < 1.5
        if inliers.sum() < least:
            break
        angle, error = _line(points[inliers])
        if _parts_dark_from_bright(smooth, points[inliers], angle):
            found.append((angle, error, int(inliers.sum())))
            middles.append(points[inliers].mean(axis=0))
        points = points[np.abs(_across(points, points[inliers].mean(axis=0), angle)) > 3]
    if not found:
        raise DataFormatError("no straight edge was found in the image; crop it to one crystal on an empty background")
    first = found[0][0]
    alike = [(half_turns(a - first), e, n) for a, e, n in found if abs(half_turns(a - first)) < np.deg2rad(3)]
    weight = np.array([n for *_, n in alike], dtype=float) ** 3  # as directions of lines are known
    turns = np.array([t for t, *_ in alike])
    mean = float(weight @ turns / weight.sum())
    spread = float(np.sqrt(weight @ (turns - mean) ** 2 / weight.sum())) if len(alike) > 1 else np.deg2rad(0.5)
    return Edge(first + mean, float(np.hypot(spread, alike[0][1])), len(alike), middles[0])


def _parts_dark_from_bright(image: Array, points: Array, angle: float) -> bool:
    """Whether the same side of a line is the brighter one nearly everywhere."""
    normal = _SIDE * np.array([-np.sin(angle), np.cos(angle)])
    sides = [ndimage.map_coordinates(image, (points + s * normal)[:, ::-1].T, order=1, mode="nearest") for s in (1, -1)]
    share = float((sides[0] > sides[1]).mean())
    return max(share, 1 - share) > 0.9


def _threshold(image: Array) -> float:
    """Otsu's: between the two classes of grey that differ most."""
    counts, edges = np.histogram(image, 256)
    middle = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    low = np.cumsum(counts * middle) / np.maximum(below, 1)
    high = ((counts * middle).sum() - np.cumsum(counts * middle)) / np.maximum(above, 1)
    return float(middle[np.argmax(below * above * (high - low) ** 2)])


def _line(points: Array) -> tuple[float, float]:
    """Direction of the line through points, and its standard deviation."""
    off = points - points.mean(axis=0)
    values, vectors = np.linalg.eigh(off.T @ off)
    return float(np.arctan2(vectors[1, 1], vectors[0, 1])), float(
        np.sqrt(values[0] / max(values[1], 1e-9) / len(points))
    )


def _across(points: Array, middle: Array, angle: float) -> Array:
    return np.asarray((points - middle) @ np.array([-np.sin(angle), np.cos(angle)]))


def spot_lattice(
    pattern: Array, spacings: tuple[float, float], pixel_size: float, undistort: Array | None = None
) -> Net:
    """The rectangular net of spots of two spacings."""
    peaks = _peaks(pattern)
    if len(peaks) < 6:
        raise DataFormatError(f"{len(peaks)} spots were found in the pattern; at least 6 are needed")
    places = peaks[:, :2] @ (np.eye(2) if undistort is None else undistort).T
    weight = np.sqrt(peaks[:, 2])
    beam = int(peaks[:, 2].argmax())
    off = places - places[beam]
    wanted = 1 / (np.array(spacings) * pixel_size)
    steps = np.concatenate([off, off / 2])  # odd orders may be forbidden
    lengths = np.linalg.norm(steps, axis=1)
    along, across = (steps[np.abs(lengths / one - 1) < _LENGTH] for one in wanted)
    best: tuple[float, Array, NDArray[Any]] | None = None
    for u in along:
        for v in across:
            if abs(u @ v) > _COSINE * np.linalg.norm(u) * np.linalg.norm(v):
                continue
            basis = np.stack([u, v])
            indices = off @ np.linalg.inv(basis)
            rest = np.linalg.norm((indices - np.round(indices)) @ basis, axis=1) / wanted.min()
            fits = rest < _OFF
            # as many spots as possible, then those that fit best; of both axes that may be the first, the closer one
            unlike = float(np.abs(np.linalg.norm(basis, axis=1) / wanted - 1).sum())
            score = float((weight * fits * (1 - rest / _OFF)).sum() / weight.sum()) - unlike
            if fits.sum() >= 6 and (best is None or score > best[0]):
                best = score, basis, fits
    if best is None:
        raise DataFormatError(
            f"no rectangular net of spots {wanted[0]:.1f} and {wanted[1]:.1f} px apart was found in the pattern: is it"
            " the zone axis, and are pixel size and spacings right?"
        )
    _, basis, fits = best
    for _ in range(3):  # least squares, the middle free
        numbers = np.round(off[fits] @ np.linalg.inv(basis))
        design = np.column_stack([numbers, np.ones(len(numbers))])
        solution, *_ = np.linalg.lstsq(design, off[fits], rcond=None)
        basis = solution[:2]
    rest = off[fits] - design @ solution
    variance = (rest**2).sum() / max(2 * len(rest) - 6, 1)
    error = float(np.sqrt(variance * np.linalg.inv(design.T @ design)[0, 0]) / np.linalg.norm(basis[0]))
    return Net(np.asarray(basis), error, peaks[beam, :2])


def _peaks(pattern: Array) -> Array:
    """Spots (n, 3): column, row and brightness, the brightest 60."""
    image = np.nan_to_num(pattern)
    local = ndimage.gaussian_filter(image, 1.5) - ndimage.gaussian_filter(image, 5.0)
    noise = 1.4826 * float(np.median(np.abs(local - np.median(local))))
    top = (ndimage.maximum_filter(local, 7) == local) & (local > max(8 * noise, 1e-4 * local.max()))
    top[[0, 1, 2, -3, -2, -1], :] = top[:, [0, 1, 2, -3, -2, -1]] = False
    offsets = np.arange(-3, 4)
    found = []
    for row, column in np.argwhere(top):
        patch = np.maximum(local[row - 3 : row + 4, column - 3 : column + 4], 0.0)
        total = patch.sum()
        found.append((column + patch.sum(axis=0) @ offsets / total, row + patch.sum(axis=1) @ offsets / total, total))
    table = np.array(found).reshape(-1, 3)
    return np.asarray(table[np.argsort(-table[:, 2], kind="stable")[:60]])
