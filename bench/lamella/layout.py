"""Where the grains of the virtual lamella lie: corners and rings, drawn by hand on a grid of 64 x 64.

x to the right and y down, in 64ths of the field of view. Named points are where three or more regions meet; boundaries
between them get kinks, so that they look like boundaries, and lean, so that they incline. The letters of the drawing
(docs/lamella.md): directions in degrees from X towards Y in which the classes of the published examples come out.
"""

from __future__ import annotations

from functools import cache

import numpy as np

UNITS = 64.0
FIELD_NM = 3840.0
THICKNESS_NM = (85.0, 100.0, 95.0, 115.0)
FIELD_DEG = 45.0

# name: (x, y)
POINTS: dict[str, tuple[float, float]] = {
    # outline and electrodes
    "nw": (0, 0), "top1": (46, 0), "ne": (64, 0), "e1": (64, 10), "e2": (64, 36), "se": (64, 64), "sw": (0, 64),
    "w0": (0, 2.4), "p1": (46, 2.4),
    "au0": (0, 5), "au0b": (2.5, 5), "g2": (10, 5), "na0": (17, 5), "t1": (22, 5), "na1": (26, 5), "g1": (40, 5),
    "au1": (46, 5), "gap": (60.5, 5), "na0t": (17.6, 2.4), "na1t": (25.2, 2.4), "aut": (34, 2.4), "aub": (33.4, 5),
    "r0": (60.5, 10), "r1": (60.5, 36), "f1": (60.5, 61.5), "f0": (60.5, 64),
    "w1": (2.5, 30), "w2": (2.5, 46.5), "w3": (2.5, 61.5), "b1": (14, 61.5), "b2": (27.5, 61.5), "b3": (42, 61.5),
    "b4": (52, 61.5),
    # triple points
    "t2": (27.4, 13.2), "zt": (25.0, 22.3), "zr": (27.8, 23.9), "zb": (26.9, 26.4), "zl": (22.6, 24.9),
    "t4": (19.4, 33.6), "t5": (25.2, 36.2), "t6": (27.4, 41.3), "t7": (17.8, 42.2), "t8": (11.5, 48.5),
    "t9": (36.0, 43.5), "t10": (35.5, 52.0), "t11": (27.0, 54.5), "t12": (18.0, 54.0), "t13": (10.0, 29.0),
    "a": (33.0, 20.5), "b": (38.6, 30.2), "c": (46.0, 40.6), "p": (41.6, 15.2), "q": (50.0, 17.0), "q1": (60.5, 18.0),
    "s": (53.0, 34.5), "z2a": (54.5, 44.5), "z2b": (57.0, 47.0), "z2c": (54.0, 49.5), "z2d": (51.6, 47.0),
    "z3a": (6.0, 45.0), "z3b": (9.4, 46.4), "z3c": (8.6, 49.8), "z3d": (5.2, 48.6),
}  # fmt: skip

# name: (role, phase, ring of points; from X towards Y)
RINGS: dict[str, tuple[str, str | None, str]] = {
    "Pt-top": ("electrode", None, "nw top1 p1 aut na1t na0t w0"),
    "Au-1": ("electrode", "au", "w0 na0t na0 g2 au0b au0"),
    "Na2Au": ("electrode", "na2au", "na0t na1t na1 t1 na0"),
    "Au-2": ("electrode", "au", "na1t aut aub na1"),
    "Au-3": ("electrode", "au", "aut p1 au1 g1 aub"),
    "gap": ("insulator", None, "top1 ne e1 r0 gap au1 p1"),
    "Au-4": ("electrode", "au", "e1 e2 r1 q1 r0"),
    "Au-5": ("electrode", "au", "e2 se f0 f1 r1"),
    "frame": ("frame", None, "au0 au0b w1 w2 w3 b1 b2 b3 b4 f1 f0 sw"),
    "G1": ("grain", "beta2-alumina", "g1 au1 gap r0 q1 q p"),
    "G2": ("grain", "beta2-alumina", "au0b g2 t13 w1"),
    "G3": ("grain", "beta2-alumina", "s r1 f1 b4 z2c z2b z2a"),
    "G4": ("grain", "beta2-alumina", "q q1 r1 s"),
    "G5": ("grain", "beta2-alumina", "c s z2a z2d z2c b4 b3 t10 t9"),
    "G6": ("grain", "beta2-alumina", "p q s c b a"),
    "G7": ("grain", "beta2-alumina", "t12 t11 b2 b1"),
    "G8": ("grain", "beta2-alumina", "t11 t10 b3 b2"),
    "G9": ("grain", "beta2-alumina", "t7 t6 t9 t10 t11 t12 t8"),
    "G10": ("grain", "beta2-alumina", "b c t9 t6 t5"),
    "G11": ("grain", "beta2-alumina", "t1 na1 aub g1 p a t2"),
    "G12": ("grain", "beta2-alumina", "t8 t12 b1 w3 w2 z3d z3c z3b"),
    "G13": ("grain", "beta2-alumina", "t13 t4 t7 t8 z3b z3a z3d w2 w1"),
    "G14": ("grain", "beta2-alumina", "zb t5 t6 t7 t4 zl"),
    "G15": ("grain", "beta2-alumina", "t2 a b t5 zb zr zt"),
    "G16": ("grain", "beta2-alumina", "g2 na0 t1 t2 zt zl t4 t13"),
    "ZrO2-1": ("insulator", "zro2-m", "zt zr zb zl"),
    "ZrO2-2": ("insulator", "zro2-m", "z2a z2b z2c z2d"),
    "ZrO2-3": ("insulator", "zro2-m", "z3a z3b z3c z3d"),
}

KINK = 0.03  # one sigma of how far a kink lies off the straight line, of the edge's length (at most 10 units)
BULGE = 0.14  # how far an inclusion's edge bulges, of its length: particles are round
STEP = 3.0  # a kink about every so many units
LEAN = 0.22  # one sigma of tan(inclination) of a boundary along Y and along X
STEEPEST = 0.4
SEED = 5

Ring = tuple[int, ...]


def build() -> tuple[np.ndarray, np.ndarray, dict[str, Ring]]:
    """Corners (v, 2) as (y, x) in nm, their lean (v, 2), and the ring of every region, kinks included."""
    rng = np.random.default_rng(SEED)
    number = {name: i for i, name in enumerate(POINTS)}
    corners = [np.array([y, x], dtype=float) for x, y in POINTS.values()]
    lean = [np.zeros(2) if _fixed(name) else rng.normal(0.0, LEAN, 2).clip(-STEEPEST, STEEPEST) for name in POINTS]
    outlines = {region: [number[name] for name in ring.split()] for region, (_, _, ring) in RINGS.items()}
    owner = {edge: region for region, ring in outlines.items() for edge in _edges(ring)}
    kinks: dict[tuple[int, int], list[int]] = {}
    for (i, j), region in owner.items():
        other = owner.get((j, i))
        if (j, i) in kinks or other is None:
            continue
        along = corners[j] - corners[i]
        left = np.array([-along[1], along[0]])  # of the edge, seen along it: out of the region it belongs to
        for share, off in _offsets(region, other, float(np.hypot(*along)), rng):
            kinks.setdefault((i, j), []).append(len(corners))
            corners.append(corners[i] + share * along + off * left)
            lean.append((1 - share) * lean[i] + share * lean[j])
        kinks[j, i] = kinks.setdefault((i, j), [])[::-1]
    rings = {
        region: tuple(corner for edge in _edges(ring) for corner in (edge[0], *kinks.get(edge, ())))
        for region, ring in outlines.items()
    }
    return np.round(np.array(corners) * FIELD_NM / UNITS, 2), np.round(np.array(lean), 4) + 0.0, rings


def _edges(ring: list[int]) -> list[tuple[int, int]]:
    return list(zip(ring, ring[1:] + ring[:1], strict=True))


def _offsets(region: str, other: str, length: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Kinks of an edge: how far along it, and how far out of the region, both in units of the edge's length."""
    particle = ("ZrO2" in region) - ("ZrO2" in other)
    if particle:
        return [(0.5, particle * BULGE)]
    if not (RINGS[region][0] == RINGS[other][0] == "grain"):
        return []
    parts = max(1, round(length / STEP))
    size = KINK * min(length, 10.0) / length
    return [(k / parts, float(rng.normal(0.0, size) * np.sin(np.pi * k / parts))) for k in range(1, parts)]


def _fixed(name: str) -> bool:
    """Whether a point stays in place at every depth: on the outline, and where the ion beam cut at right angles."""
    x, y = POINTS[name]
    return x in (0, 2.5, 60.5, 64) or y in (0, 2.4, 5, 61.5, 64)


@cache
def chord_deg(first: str, second: str) -> float:
    """Direction, modulo 180 degrees from X towards Y, of the line between the ends of the boundary of two regions."""
    along = np.sum([np.subtract(POINTS[b], POINTS[a]) for a, b in _shared(first, second)], axis=0)
    return float(np.rad2deg(np.arctan2(along[1], along[0])) % 180)


def touching(name: str) -> list[str]:
    """Other grains that share an edge with a region."""
    return [other for other in RINGS if other != name and RINGS[other][0] == "grain" and _shared(name, other)]


def _shared(first: str, second: str) -> list[tuple[str, str]]:
    one, two = (_edges_of_names(RINGS[name][2].split()) for name in (first, second))
    return [(a, b) for a, b in one if (b, a) in set(two)]


def _edges_of_names(ring: list[str]) -> list[tuple[str, str]]:
    return list(zip(ring, ring[1:] + ring[:1], strict=True))
