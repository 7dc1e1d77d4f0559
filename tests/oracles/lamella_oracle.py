"""Slow, obviously right statements about a specimen: its crystals, traces and classes from matrices and plane geometry.

Nothing here uses nbedex's own quaternions, symmetry, coincidences or classes.
"""

from __future__ import annotations

import itertools

import numpy as np

from nbedex.demo.specimen import Specimen

A, C = 5.614, 33.85  # beta''-alumina, hexagonal axes, angstrom
CELL = np.array([[A, -A / 2, 0], [0, A * np.sqrt(3) / 2, 0], [0, 0, C]])  # columns a, b, c; e1 || a, e3 || c
RHOMBOHEDRAL = CELL @ (np.array([[2, 1, 1], [-1, 1, 1], [-1, -2, 1]]).T / 3)  # columns: the primitive obverse cell


def matrix(q: tuple[float, float, float, float]) -> np.ndarray:
    """v_crystal = matrix v_sample."""
    w, x, y, z = q
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross


def symmetry() -> list[np.ndarray]:
    """The six proper rotations of -3m, from x,y,z -> -y,x-y,z and y,x,-z in the hexagonal cell."""
    three, two = np.array([[0, -1, 0], [1, -1, 0], [0, 0, 1]]), np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1]])
    turns = [np.linalg.matrix_power(three, k) for k in range(3)]
    return [CELL @ m @ np.linalg.inv(CELL) for m in [*turns, *(t @ two for t in turns)]]


def angle_deg(rotation: np.ndarray) -> float:
    """Angle of a rotation matrix."""
    return float(np.rad2deg(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))


def misorientation(specimen: Specimen, first: str, second: str) -> np.ndarray:
    """Rotation from the crystal frame of the first grain to that of the second."""
    a, b = (matrix(specimen.regions[specimen.index(name)].orientation) for name in (first, second))
    return b @ a.T


def disorientation_deg(specimen: Specimen, first: str, second: str) -> float:
    """Least angle over all operators on both sides."""
    m = misorientation(specimen, first, second)
    return min(angle_deg(s @ m @ t) for s, t in itertools.product(symmetry(), repeat=2))


def deviation_deg(specimen: Specimen, first: str, second: str, rotation: np.ndarray) -> float:
    """Angle from the misorientation to the nearest equivalent of a rotation."""
    m = misorientation(specimen, first, second)
    return min(
        angle_deg(m @ (s @ r @ t).T) for s, t in itertools.product(symmetry(), repeat=2) for r in (rotation, rotation.T)
    )


def about_c(degrees: float) -> np.ndarray:
    """Rotation about c."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def sigma(rotation: np.ndarray, largest: int = 60) -> int:
    """Least N for which N M and N M^-1 are integer, M the rotation in the primitive cell (Grimmer 1976)."""
    m = np.linalg.inv(RHOMBOHEDRAL) @ rotation @ RHOMBOHEDRAL
    for n in range(1, largest + 1):
        if all(np.allclose(n * k, np.round(n * k), atol=1e-6) for k in (m, np.linalg.inv(m))):
            return n
    raise AssertionError("no coincidence")


def normal(specimen: Specimen, name: str) -> np.ndarray:
    """Of the conduction planes, sample frame."""
    return matrix(specimen.regions[specimen.index(name)].orientation).T @ np.array([0.0, 0.0, 1.0])


def inclination_deg(specimen: Specimen, name: str) -> float:
    """Between conduction planes and the lamella's surface."""
    return float(np.rad2deg(np.arccos(abs(normal(specimen, name)[2]))))


def trace_deg(specimen: Specimen, name: str) -> float:
    """Direction of the conduction planes' trace, from X towards Y."""
    t = np.cross([0.0, 0.0, 1.0], normal(specimen, name))
    return float(np.rad2deg(np.arctan2(t[1], t[0])) % 180)


def between_lines(first: float, second: float) -> float:
    """Angle between two directions without sense, 0 to 90 degrees."""
    d = abs(first - second) % 180
    return min(d, 180 - d)


def boundary_edges(specimen: Specimen, first: str, second: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Edges that two regions share, as start and end (x, y) in the order of the first region's ring."""
    rings = [specimen.regions[specimen.index(name)].corners for name in (first, second)]
    other = set(zip(rings[1], [*rings[1][1:], rings[1][0]], strict=True))
    own = zip(rings[0], [*rings[0][1:], rings[0][0]], strict=True)
    return [(specimen.corners[i][::-1], specimen.corners[j][::-1]) for i, j in own if (j, i) in other]


def classes_by_traces(specimen: Specimen, first: str, second: str) -> dict[str, float]:
    """Length of the boundary between two grains that has each published class, with the default tolerances."""
    lengths: dict[str, float] = {}
    for start, end in boundary_edges(specimen, first, second):
        along = end - start
        label = class_by_traces(
            trace_deg(specimen, first), trace_deg(specimen, second), np.rad2deg(np.arctan2(along[1], along[0])),
            specimen.field_deg,
        )  # fmt: skip
        lengths[label] = lengths.get(label, 0.0) + float(np.hypot(*along))
    return lengths


def class_by_traces(first: float, second: float, boundary: float, field: float) -> str:
    """Class of a boundary; the first grain lies to the right of someone who walks along `boundary` (X towards Y).

    In the order of a ring that runs from X towards Y, a region lies to the right on the screen.
    """
    apart = between_lines(first, second)
    to_boundary = sorted((between_lines(first, boundary), between_lines(second, boundary)))
    number = 2 if between_lines(field, boundary) < 45 else 1
    if apart <= 20:
        return f"I {'a' if to_boundary[1] <= 20 else 'b'}{number}"
    if apart >= 70 and to_boundary[0] >= 70:
        return f"II a{number}"
    if apart >= 70 and to_boundary[0] <= 20 and to_boundary[1] >= 70:
        return f"II b{number}"
    # where the field along the boundary drives ions on each side: along the trace, in the sense of that field
    if number == 2:
        sense = boundary if np.cos(np.deg2rad(field - boundary)) > 0 else boundary + 180
    else:  # the field across, turned by 90 degrees from X towards Y
        across = boundary + 90 if np.cos(np.deg2rad(field - boundary - 90)) > 0 else boundary - 90
        sense = across + 90
    towards = 0.0  # what both sides drive to the boundary
    for trace, side in ((first, 1), (second, -1)):
        strength = np.cos(np.deg2rad(trace - sense))  # along the trace, from the field along the boundary
        to_the_right = strength * np.sin(np.deg2rad(trace - boundary))  # 90 degrees from X towards Y: to the right
        towards -= side * to_the_right
    return f"III {'a' if towards > 0 else 'b'}{number}"
