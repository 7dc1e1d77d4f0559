"""Inverse pole figure colours that symmetry-equivalent orientations share, in every setting.

orix's TSL colour key knows the 11 Laue groups in one setting each: 2-fold of 2/m along z, main axis along
z, secondary axes along x. Crystal directions are turned into that setting first, by the rotation that
carries the phase's own operators onto orix's; for C2/c with its axis along b it takes b to z.

The TSL key of -1, 2/m, 4/m, -3, -3m, 6/m and m-3 jumps where two edges of the sector are equivalent: in
-3m the directions at +30 and -30 degrees on the equator are one direction, drawn blue and green. An
orientation that is on such an edge within its noise shows both colours. MTEX and orix have the same key.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import DataFormatError
from nbedex.maps.orientation import rotate

Floats = NDArray[np.float64]

_ROWS = 65536

SAMPLE_AXES: dict[str, tuple[float, float, float]] = {
    "x": (1.0, 0.0, 0.0),
    "y": (0.0, 1.0, 0.0),
    "z": (0.0, 0.0, 1.0),
}
# orix's names of its Laue groups
_ORIX = {
    "-1": "Ci",
    "2/m": "C2h",
    "mmm": "D2h",
    "4/m": "C4h",
    "4/mmm": "D4h",
    "-3": "S6",
    "-3m": "D3d",
    "6/m": "C6h",
    "6/mmm": "D6h",
    "m-3": "Th",
    "m-3m": "Oh",
}


class Crystal(Protocol):
    """What colours need of a phase; a `Phase` has it."""

    @property
    def laue_class(self) -> str:
        """One of the 11."""

    @property
    def symmetry_rotations(self) -> Floats:
        """(m, 3, 3) proper rotations of the Laue class in the crystal frame."""

    @property
    def reciprocal_basis(self) -> Floats:
        """(3, 3), columns a*, b*, c* in 1/angstrom in the crystal frame."""


def ipf_colours(orientation: Floats, phase: Crystal, axis: str) -> Floats:
    """RGB (..., 3) in [0, 1] of orientations (..., 4) for the sample axis "x", "y" or "z"."""
    directions = rotate(np.asarray(orientation, dtype=np.float64), np.array(SAMPLE_AXES[axis]))
    return direction_colours(directions, phase)


def direction_colours(directions: Floats, phase: Crystal) -> Floats:
    """RGB (..., 3) of directions (..., 3) in the crystal frame; equivalent ones get the same."""
    return _key_colours(directions @ orix_frame(phase).T, phase.laue_class)


def orix_frame(phase: Crystal) -> Floats:
    """Rotation (3, 3) from the crystal frame into the one in which orix has the phase's Laue group."""
    return _frame_onto_orix(np.ascontiguousarray(phase.symmetry_rotations).tobytes(), phase.laue_class)


@dataclass(frozen=True, kw_only=True)
class ColourKey:
    """The colour key of a phase: a picture of its fundamental sector in stereographic projection.

    `image` is (n, n, 4) RGBA over `extent` (left, right, bottom, top), `outline` the sector's edge (k, 2),
    `corners` pairs of a position (2,) and the Miller indices of the direction there.
    """

    image: Floats
    extent: tuple[float, float, float, float]
    outline: Floats
    corners: tuple[tuple[tuple[float, float], tuple[int, int, int]], ...]


def colour_key(phase: Crystal, *, pixels: int = 256) -> ColourKey:
    """Draw the key of `phase`: the same colours as in the map, corners labelled with lattice directions."""
    sector = _orix_symmetry(phase.laue_class).fundamental_sector
    image, edge = _key_image(phase.laue_class, pixels)
    (left, bottom), (right, top) = edge.min(axis=0), edge.max(axis=0)
    corners = []
    for corner in _corners(sector):
        indices = lattice_direction(phase, orix_frame(phase).T @ corner)
        if indices is not None:
            flat = _project(corner)
            corners.append(((float(flat[0]), float(flat[1])), indices))
    return ColourKey(
        image=image,
        extent=(float(left), float(right), float(bottom), float(top)),
        outline=np.vstack([edge, edge[:1]]),
        corners=tuple(corners),
    )


@lru_cache(maxsize=16)
def _key_image(laue_class: str, pixels: int) -> tuple[Floats, Floats]:
    """RGBA (pixels, pixels, 4) of the fundamental sector, transparent outside, and its edge (k, 2)."""
    sector = _orix_symmetry(laue_class).fundamental_sector
    edge = _project(np.asarray(sector.edges.data, dtype=np.float64))
    (left, bottom), (right, top) = edge.min(axis=0), edge.max(axis=0)
    x, y = np.meshgrid(np.linspace(left, right, pixels), np.linspace(top, bottom, pixels))
    rho = x**2 + y**2
    directions = np.stack([2 * x, 2 * y, 1 - rho], axis=-1) / (1 + rho)[..., None]
    image = np.zeros((pixels, pixels, 4))
    image[..., :3] = _key_colours(directions, laue_class)
    image[..., 3] = (rho <= 1 + 1e-9) & _inside(sector, directions)
    image.setflags(write=False)
    edge.setflags(write=False)
    return image, edge


def lattice_direction(
    phase: Crystal, direction: Floats, *, largest: int = 3, tolerance_deg: float = 0.2
) -> tuple[int, int, int] | None:
    """Smallest [u v w] along a direction (3,) of the crystal frame, None if there is none that small."""
    steps = np.arange(-largest, largest + 1)
    uvw = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    uvw = uvw[np.any(uvw != 0, axis=1)]
    direct = np.linalg.inv(phase.reciprocal_basis).T
    vectors = uvw @ direct.T
    cosine = vectors @ direction / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(direction))
    fitting = np.flatnonzero(cosine > np.cos(np.deg2rad(tolerance_deg)))
    if fitting.size == 0:
        return None
    best = fitting[np.argmin(np.abs(uvw[fitting]).sum(axis=1))]
    u, v, w = (int(i) for i in uvw[best])
    return u, v, w


def _orix_symmetry(laue_class: str) -> Any:
    from orix.quaternion import symmetry

    if laue_class not in _ORIX:
        raise DataFormatError(f"expected one of the 11 Laue classes, got {laue_class!r}")
    return getattr(symmetry, _ORIX[laue_class])


def _key_colours(directions: Floats, laue_class: str) -> Floats:
    """RGB (..., 3) of directions (..., 3) in orix's setting, in blocks: orix makes (n, operators) arrays."""
    from orix.plot import DirectionColorKeyTSL
    from orix.vector import Vector3d

    key = DirectionColorKeyTSL(_orix_symmetry(laue_class))
    flat = np.asarray(directions, dtype=np.float64).reshape(-1, 3)
    colours = np.empty(flat.shape)
    for start in range(0, len(flat), _ROWS):
        rows = slice(start, start + _ROWS)
        colours[rows] = key.direction2color(Vector3d(flat[rows]))
    return colours.reshape(directions.shape)


@lru_cache(maxsize=64)
def _frame_onto_orix(rotations: bytes, laue_class: str) -> Floats:
    """The smallest rotation F with {F S F^-1} = orix's operators, S the proper rotations (m, 3, 3)."""
    ours = np.frombuffer(rotations, dtype=np.float64).reshape(-1, 3, 3)
    group = _orix_symmetry(laue_class)
    theirs = np.asarray(group[~group.improper.astype(bool)].to_matrix())
    best, best_trace = None, -np.inf
    for frame in _candidates(_axes(ours), _axes(theirs)):
        if np.trace(frame) > best_trace + 1e-9 and _same_set(frame @ ours @ frame.T, theirs):
            best, best_trace = frame, float(np.trace(frame))
    if best is None:
        raise DataFormatError(f"the symmetry operators of the phase are not those of the Laue class {laue_class}")
    return best


def _axes(rotations: Floats) -> list[tuple[int, Floats]]:
    """Order and unit direction of every rotation axis, both directions of it, highest order first."""
    found: list[tuple[int, Floats]] = []
    for matrix in rotations:
        cosine = np.clip((np.trace(matrix) - 1) / 2, -1, 1)
        if cosine > 1 - 1e-9:
            continue
        order = int(np.rint(2 * np.pi / np.arccos(cosine)))
        values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
        axis = vectors[:, np.argmax(values)]
        for signed in (axis, -axis):
            if not any(n == order and np.allclose(signed, a, atol=1e-6) for n, a in found):
                found.append((order, signed))
    return sorted(found, key=lambda entry: -entry[0])


def _candidates(ours: list[tuple[int, Floats]], theirs: list[tuple[int, Floats]]) -> list[Floats]:
    """Rotations that carry our highest axis, and a second one if there is any, onto one of theirs."""
    if not ours or not theirs:
        return [np.eye(3)]
    order, first = ours[0]
    second = next(((n, a) for n, a in reversed(ours) if abs(a @ first) < 0.999), None)
    frames = []
    for target in (a for n, a in theirs if n == order):
        if second is None:
            frames.append(_between(first, target))
            continue
        for other in (a for n, a in theirs if n == second[0]):
            if abs(first @ second[1] - target @ other) < 1e-6:
                frames.append(_triad(target, other) @ _triad(first, second[1]).T)
    return frames


def _triad(first: Floats, second: Floats) -> Floats:
    """Orthonormal right-handed columns: `first`, across it towards `second`, and their product."""
    across = second - (second @ first) * first
    across = across / np.linalg.norm(across)
    return np.stack([first, across, np.cross(first, across)], axis=1)


def _between(start: Floats, end: Floats) -> Floats:
    """The least rotation from one unit vector to another."""
    cosine = float(start @ end)
    if cosine < -1 + 1e-9:
        helper = np.eye(3)[np.argmin(np.abs(start))]
        across = np.cross(start, helper) / np.linalg.norm(np.cross(start, helper))
        return np.asarray(2 * np.outer(across, across) - np.eye(3))
    x, y, z = np.cross(start, end)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + skew + skew @ skew / (1 + cosine))


def _same_set(first: Floats, second: Floats) -> bool:
    if len(first) != len(second):
        return False
    difference = np.abs(first[:, None] - second[None]).max(axis=(2, 3))
    return bool(np.all(difference.min(axis=1) < 1e-5))


def _project(directions: Floats) -> Floats:
    """Stereographic projection (..., 2) of unit vectors on the upper half of the sphere."""
    unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    return np.asarray(unit[..., :2] / (1 + np.abs(unit[..., 2:])))


def _inside(sector: Any, directions: Floats) -> NDArray[np.bool_]:
    normals = np.asarray(sector.data, dtype=np.float64).reshape(-1, 3)
    return np.asarray(np.all(directions @ normals.T >= -1e-9, axis=-1))


def _corners(sector: Any) -> list[Floats]:
    """Corners of the sector, and the pole and the middle of the edge where it has fewer than three."""
    corners = [np.asarray(v, dtype=np.float64) for v in np.asarray(sector.vertices.data).reshape(-1, 3)]
    if len(corners) < 3:
        extra = (np.eye(3)[2], np.eye(3)[0], np.eye(3)[1], -np.eye(3)[0])
        for vector in extra:
            near = any(vector @ c > 0.999 for c in corners)
            if not near and bool(_inside(sector, vector[None])[0]):
                corners.append(vector)
    return corners
