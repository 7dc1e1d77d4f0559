"""What was found of named grains and their boundaries, beside what is true and what is published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.blockade import Blockade, class_label
from nbedex.boundaries import plane_angle_deg, trace_angle_deg
from nbedex.demo.scan_truth import Truth
from nbedex.demo.specimen import Specimen
from nbedex.grains import GrainMap, Role
from nbedex.maps import disorientation_angle, rotate
from nbedex.phases import load_phase

Floats = NDArray[np.float64]
Pair = tuple[str, str]

_TOUCHES_PX = 2.5  # a boundary that ends this near to an electrode touches it


@dataclass(frozen=True)
class Angles:
    """Of two grains, degrees; NaN where one of them was not found.

    Attributes
    ----------
    omega
        Disorientation.
    psi
        Between the conduction planes in space.
    delta_theta
        Between their traces on the surface.
    """

    omega: float
    psi: float
    delta_theta: float


@dataclass(frozen=True, kw_only=True)
class BoundaryView:
    """The boundary of two named grains: what holds along most of it.

    Attributes
    ----------
    length_nm
        Of all its segments; 0 where the grains don't touch.
    by_traces, in_space
        Class from traces, as published, and from planes in space; "" where there is no boundary.
    shares
        Length shares of all classes by traces.
    accumulation
        Mean net accumulation along it.
    sigma
        Coincidence index: 0 for none, 1 for low-angle.
    csl
        Its label.
    """

    length_nm: float = 0.0
    by_traces: str = ""
    in_space: str = ""
    shares: Mapping[str, float] | None = None
    accumulation: float = float("nan")
    sigma: int = 0
    csl: str = ""


@dataclass(frozen=True, eq=False)
class Names:
    """Which grains of a map bear the specimen's names.

    Attributes
    ----------
    grains
        By name, grains that lie mostly in that region, the one that covers most of it first.
    """

    grains: Mapping[str, tuple[int, ...]]

    def main(self, name: str) -> int | None:
        """The grain that stands for a name."""
        found = self.grains.get(name, ())
        return found[0] if found else None

    def of(self, grain: int) -> str:
        """The name of a grain; its number where it has none."""
        return next((name for name, grains in self.grains.items() if grain in grains), f"#{grain}")


def name_grains(grain_map: GrainMap, truth: Truth) -> Names:
    """Give grains the name of the region that most of their pixels lie in. Only names come from the truth."""
    n, regions = len(grain_map.grains), len(truth.names)
    counts = np.zeros((n, regions), dtype=np.int64)
    np.add.at(counts, (grain_map.grain_id.ravel(), truth.region.ravel()), 1)
    role = grain_map.grains.role
    owner = np.where((role == Role.NOT_INDEXED) | (role == Role.HOLE), -1, counts.argmax(axis=1))
    named = {}
    for r, name in enumerate(truth.names):
        mine = np.flatnonzero(owner == r)
        named[name] = tuple(int(g) for g in mine[np.argsort(-counts[mine, r], kind="stable")])
    return Names(named)


def angles_found(grain_map: GrainMap, names: Names, pair: Pair) -> Angles:
    """From the mean orientations of two grains of a map."""
    a, b = (names.main(name) for name in pair)
    grains = grain_map.grains
    if a is None or b is None or grains.phase_id[a] != grains.phase_id[b] or grains.phase_id[a] < 0:
        return Angles(np.nan, np.nan, np.nan)
    phase = grain_map.source.phases[int(grains.phase_id[a])]
    return _angles(
        grains.orientation[[a]], grains.orientation[[b]], phase.symmetry, grains.conduction_normal[a],
        grains.conduction_normal[b],
    )  # fmt: skip


def angles_true(specimen: Specimen, pair: Pair) -> Angles:
    """From the orientations of two of the specimen's crystals."""
    a, b = (specimen.regions[specimen.index(name)] for name in pair)
    if a.phase is None or a.phase != b.phase:
        return Angles(np.nan, np.nan, np.nan)
    phase = load_phase(a.phase)
    first, second = np.array([a.orientation]), np.array([b.orientation])
    axis = phase.conduction_normal
    if axis is None:
        axis = np.full(3, np.nan)
    inverse = np.array([1.0, -1.0, -1.0, -1.0])
    return _angles(
        first, second, phase.symmetry_quaternions, rotate(first[0] * inverse, axis), rotate(second[0] * inverse, axis)
    )


def _angles(a: Floats, b: Floats, symmetry: Floats, normal_a: Floats, normal_b: Floats) -> Angles:
    # the trace is Z x n
    traces = [np.asarray(np.rad2deg(np.arctan2(n[0], -n[1]))) for n in (normal_a, normal_b)]
    return Angles(
        omega=float(np.rad2deg(disorientation_angle(a, b, symmetry)[0])),
        psi=float(plane_angle_deg(normal_a, normal_b)),
        delta_theta=float(trace_angle_deg(traces[0], traces[1])),
    )


def boundary_of(blockade: Blockade, names: Names, pair: Pair) -> BoundaryView:
    """What is said of the boundary between two named grains."""
    b, s, along = blockade.network.boundaries, blockade.stretches, blockade.along
    first, second = (names.grains.get(name, ()) for name in pair)
    forward = np.isin(b.grain_a, first) & np.isin(b.grain_b, second)
    backward = np.isin(b.grain_a, second) & np.isin(b.grain_b, first)
    mine = np.flatnonzero(forward | backward)
    rows = np.flatnonzero(np.isin(s.segment, mine))
    if not len(rows):
        return BoundaryView()
    length = s.length[rows]
    total = float(length.sum())
    by_traces = np.bincount(along.code_traces[rows], length, minlength=13) / total
    in_space = np.bincount(along.code[rows], length, minlength=13) / total
    longest = int(mine[np.argmax(b.length[mine])])
    return BoundaryView(
        length_nm=total,
        by_traces=class_label(int(by_traces.argmax())),
        in_space=class_label(int(in_space.argmax())),
        shares={class_label(int(code)): float(by_traces[code]) for code in np.flatnonzero(by_traces)},
        accumulation=float(np.average(along.accumulation[rows], weights=length)),
        sigma=int(b.sigma[longest]),
        csl=b.csl_label[longest],
    )


def same_class(found: str, published: str) -> bool:
    """Whether a class such as "III a2" is the published one, which may leave the end open: "III", "I a"."""
    if not found:
        return False
    kind, _, rest = found.partition(" ")
    wanted, _, more = published.partition(" ")
    return kind == wanted and rest.startswith(more)


@dataclass(frozen=True, kw_only=True)
class AtElectrode:
    """A boundary of two grains that ends at an electrode.

    Attributes
    ----------
    pair
        Names, or numbers of grains without one.
    accumulation
        Mean along its segments that end there.
    by_traces
        Class along most of these.
    """

    pair: Pair
    accumulation: float
    by_traces: str


def at_electrodes(blockade: Blockade, names: Names) -> list[AtElectrode]:
    """Boundaries between grains that end at an electrode, the most blocked first."""
    network = blockade.network
    b, grain_map = network.boundaries, network.grain_map
    role = grain_map.grains.role
    metal = (role == Role.ELECTRODE)[grain_map.grain_id]
    dy, dx = grain_map.source.step
    rows, columns = np.nonzero(metal)
    found: dict[Pair, list[int]] = {}
    for segment, (a, c) in enumerate(zip(b.grain_a.tolist(), b.grain_b.tolist(), strict=True)):
        if role[a] != Role.GRAIN or role[c] != Role.GRAIN or b.closed[segment] or not len(rows):
            continue
        ends = b.points[segment][[0, -1]]
        distance = np.hypot(rows[:, None] - ends[:, 1] / dy, columns[:, None] - ends[:, 0] / dx).min()
        if distance <= _TOUCHES_PX:
            first, second = sorted((names.of(a), names.of(c)), key=_natural)
            if first != second:
                found.setdefault((first, second), []).append(segment)
    listed = []
    for pair, segments in found.items():
        s = blockade.segments
        weight = b.length[segments]
        longest = segments[int(weight.argmax())]
        value = float(np.average(s.accumulation[segments], weights=weight))
        listed.append(AtElectrode(pair=pair, accumulation=value, by_traces=class_label(int(s.code_traces[longest]))))
    return sorted(listed, key=lambda row: -row.accumulation)


def _natural(name: str) -> tuple[str, int]:
    digits = name.lstrip("".join(c for c in name if not c.isdigit()))
    return name.removesuffix(digits), int(digits or 0)
