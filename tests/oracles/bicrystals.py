"""Bicrystals with a known boundary, conduction planes and field, and the published scheme written out in words.

Angles are in degrees from X (right) towards Y (down), the frame of the map. The boundary runs down the map with grain A
on its left, so its normal from A to B is +X, "across" is along X, "along" is along Y.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RATIO = 1e-3  # sigma_op / sigma_ip
BLOCKED = 1 - RATIO  # what planes keep from crossing them


def direction(angle: float) -> Floats:
    """Unit vector in the map."""
    return np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle)), 0.0])


def plane(trace: float, inclination: float = 90.0) -> Floats:
    """Normal of a plane with the given trace and inclination to the surface: its trace is Z x n."""
    alpha = np.deg2rad(inclination)
    x, y, _ = direction(trace)
    return np.array([y * np.sin(alpha), -x * np.sin(alpha), np.cos(alpha)])


def around_z(angle: float) -> Floats:
    """Rotation matrix from X towards Y."""
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


M = direction(0.0)
ACROSS, ALONG = direction(0.0), direction(90.0)
FLAT = np.array([0.0, 0.0, 1.0])  # a plane in the surface


@dataclass(frozen=True, kw_only=True, eq=False)
class Bicrystal:
    """A pair with the class it was made for and the accumulation worked out by hand.

    By hand means from the fluxes along the planes: j = sigma_ip (E's part in the plane) + sigma_op (its part across).
    """

    label: str
    a: Floats
    b: Floats
    field: Floats
    accumulation: float
    transmission: float
    why: str


def chevron(half: float) -> tuple[Floats, Floats]:
    """Traces that run together downwards: A's planes lean towards the boundary going down, and so do B's."""
    return plane(90.0 - half), plane(90.0 + half)


_IN, _OUT = chevron(45.0), chevron(-45.0)
# Planes at 45 degrees: a field of 1 along the boundary has 1/sqrt(2) along the planes, and that flux has 1/sqrt(2)
# across the boundary: 1/2 from each side. What leaks across planes takes a share RATIO of it away again.
BICRYSTALS = (
    Bicrystal(label="I a1", a=plane(90), b=plane(90), field=ACROSS, accumulation=0.0, transmission=RATIO,
              why="nothing but leakage reaches the boundary, alike from both sides"),
    Bicrystal(label="I a2", a=plane(90), b=plane(90), field=ALONG, accumulation=0.0, transmission=0.0,
              why="all flows along the boundary"),
    Bicrystal(label="I b1", a=plane(0), b=plane(0), field=ACROSS, accumulation=0.0, transmission=1.0,
              why="all that comes from A goes on in B"),
    Bicrystal(label="I b2", a=plane(0), b=plane(0), field=ALONG, accumulation=0.0, transmission=0.0,
              why="the field is across the planes of both"),
    Bicrystal(label="II a1", a=plane(0), b=FLAT, field=ACROSS, accumulation=0.0, transmission=1.0,
              why="planes on edge and planes in the surface both contain the field"),
    Bicrystal(label="II a2", a=plane(0), b=FLAT, field=ALONG, accumulation=0.0, transmission=0.0,
              why="nothing is driven across the boundary"),
    Bicrystal(label="II b1", a=plane(0), b=plane(90), field=ACROSS, accumulation=BLOCKED, transmission=RATIO,
              why="A brings 1, B's planes wall it off: only leakage goes on"),
    Bicrystal(label="II b1", a=plane(90), b=plane(0), field=ACROSS, accumulation=-BLOCKED, transmission=RATIO,
              why="B takes 1 away, A's planes let only leakage follow"),
    Bicrystal(label="II b2", a=plane(0), b=plane(90), field=ALONG, accumulation=0.0, transmission=0.0,
              why="B's flux runs along the boundary, A has none"),
    Bicrystal(label="III a2", a=_IN[0], b=_IN[1], field=ALONG, accumulation=BLOCKED, transmission=0.0,
              why="1/2 from each side"),
    Bicrystal(label="III b2", a=_OUT[0], b=_OUT[1], field=ALONG, accumulation=-BLOCKED, transmission=0.0,
              why="1/2 away on each side"),
    # a field across, +X; turned by 90 degrees it would be +Y, along which _IN drives together
    Bicrystal(label="III a1", a=_IN[0], b=_IN[1], field=ACROSS, accumulation=0.0, transmission=0.5 * (1 + RATIO),
              why="1/2 and its leakage pass on both sides"),
    Bicrystal(label="III b1", a=_OUT[0], b=_OUT[1], field=ACROSS, accumulation=0.0, transmission=0.5 * (1 + RATIO),
              why="1/2 and its leakage pass on both sides"),
)  # fmt: skip


def label_by_words(a: Floats, b: Floats, m: Floats, e: Floats, tolerance: float = 20.0) -> str:
    """The scheme in words, with angles in degrees, one boundary at a time; m and e in the map's plane."""

    def between(u: Floats, v: Floats) -> float:
        return float(np.rad2deg(np.arccos(min(1.0, abs(float(u @ v))))))

    psi = between(a, b)
    to_boundary = [between(a, m), between(b, m)]  # 0: planes along the boundary, 90: across it
    along = [angle <= tolerance for angle in to_boundary]
    across = [angle >= 90 - tolerance for angle in to_boundary]
    number = "1" if between(e, m) <= 45 else "2"
    if psi <= tolerance:
        return "I " + ("a" if all(along) else "b") + number
    if psi >= 90 - tolerance and all(across):
        return "II a" + number
    if psi >= 90 - tolerance and ((along[0] and across[1]) or (along[1] and across[0])):
        return "II b" + number
    turned = around_z(90.0) @ (m if e @ m > 0 else -m)
    drive = e - (e @ m) * m if number == "2" else turned
    flux = [drive - (n @ drive) * n for n in (a, b)]  # planes that let nothing across
    return "III " + ("a" if (flux[0] - flux[1]) @ m > 0 else "b") + number
