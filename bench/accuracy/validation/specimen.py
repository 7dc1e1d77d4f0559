"""A polycrystal whose every column is known: grains through a lamella, bent, thicker on one side, boundaries inclined.

The grains are the Voronoi cells of points at different depths in the lamella, so that boundaries cut it at an angle and
a column near one passes through two grains or three. Nothing here is nbedex's, and nothing but NumPy is needed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from validation.conditions import Crystal, Split, random_numbers, sha256

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
GEOMETRY = 1  # raise when the same parameters give another polycrystal

# what is special about a grain
PLAIN, NEAR_ZONE, TWIN, HALF_TURN, PSEUDO = range(5)
KINDS = ("any", "near a zone axis", "Σ3 twin", "half turn about the beam", "120° about c*")
# Low-index zone axes by phase, crystal frame through `bases`: where half a turn about the beam is hardest to tell.
ZONES = {
    "beta2-alumina": [(1, 1, 0), (1, 0, 0), (2, 1, 0), (1, 1, 1)],
    "nzsp": [(1, 0, 1), (0, 1, 0), (1, 1, 0), (0, 0, 1)],
    "na2au": [(1, 1, 1), (1, 0, 0), (0, 0, 1), (1, 1, 0)],
}
_SMALLEST_PART = 0.08  # of a column; less is left out


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """What decides a polycrystal and its spots.

    Attributes
    ----------
    shape, step_nm
        Rows and columns of the scan, distance of its positions.
    grains
        Number of grains of each phase, in pairs with the names.
    thickness_nm
        At the left and right edge; linear between them, and 10 % thicker at the bottom than at the top.
    bend_deg
        Range of the angle by which the lattice turns across a grain, about an axis of its own in the lamella.
    depths
        The points of the cells lie up to so many steps above and below the middle of the lamella.
    near_zone
        So many grains of each phase in `ZONES` look 1 to 3 degrees off a zone axis along the beam.
    related
        Whether some neighbours are twins, half a turn about the beam or 120° about c* apart.
    number
        Tells specimens of the same parameters and different names apart.
    descan_px
        The direct beam wanders by this much across the scan.
    crystal
        Voltage and beams of the Bloch waves; its thickness is not used.
    """

    shape: tuple[int, int] = (64, 64)
    step_nm: float = 20.0
    grains: tuple[tuple[str, int], ...] = (
        ("beta2-alumina", 20), ("nzsp", 14), ("na2au", 8), ("au", 3), ("zro2-m", 3),
    )  # fmt: skip
    thickness_nm: tuple[float, float] = (40.0, 110.0)
    bend_deg: tuple[float, float] = (0.3, 0.5)
    depths: float = 6.0
    slices: int = 24
    near_zone: int = 3
    related: bool = True
    number: int = 0
    descan_px: float = 1.0
    crystal: Crystal = field(default_factory=Crystal)

    def key(self, split: Split, cifs: list[str]) -> str:
        content = {"geometry": GEOMETRY, "split": split, "cifs": [sha256(text) for text in cifs], **asdict(self)}
        content["crystal"] = self.crystal.key("", split, "")
        for name, value in {"related": True, "number": 0}.items():  # specimens are older than these
            if content[name] == value:
                del content[name]
        return sha256(json.dumps(content, sort_keys=True))[:20]


@dataclass(frozen=True, eq=False)
class Truth:
    """The polycrystal.

    Attributes
    ----------
    phases : (p,) str
    grain_phase : (g,) int
        Index into `phases`.
    grain_orientation : (g, 4) float64
        In the middle of the grain, sample to crystal.
    grain_kind : (g,) int
        Index into `KINDS`; `TWIN`, `HALF_TURN` and `PSEUDO` are so in respect of grain `grain_partner`, a neighbour.
    grain_partner : (g,) int
        -1 where there is none.
    row, column, grain : (n,) int
        Of every part of every column, in reading order, the largest part of a column first.
    share : (n,) float64
        Of the column's thickness.
    depth_nm : (n,) float64
        What the beam passes of the grain.
    orientation : (n, 4) float64
        Of the grain there.
    """

    phases: NDArray[np.str_]
    grain_phase: Integers
    grain_orientation: Array
    grain_kind: Integers
    grain_partner: Integers
    row: Integers
    column: Integers
    grain: Integers
    share: Array
    depth_nm: Array
    orientation: Array

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.row.max()) + 1, int(self.column.max()) + 1

    def main(self) -> tuple[Integers, Array, Array]:
        """By pixel: grain (ny, nx), its share (ny, nx) and its orientation (ny, nx, 4)."""
        place = self.row * self.shape[1] + self.column
        _, first = np.unique(place, return_index=True)
        ny, nx = self.shape
        return (
            self.grain[first].reshape(ny, nx),
            self.share[first].reshape(ny, nx),
            self.orientation[first].reshape(ny, nx, 4),
        )


def make(specimen: Specimen, split: Split, name: str, bases: dict[str, Array]) -> Truth:
    """The polycrystal. `bases`: rows a, b, c of each phase's cell in the crystal frame, angstrom."""
    rng = random_numbers("scan", split, name)
    owners = _owners(specimen, rng)  # (ny, nx, slices)
    ny, nx, _ = owners.shape
    middle = owners[:, :, specimen.slices // 2]
    phase, kind, partner, orientation = _crystals(specimen, middle, bases, rng)
    turn_axis = rng.uniform(0, 2 * np.pi, len(phase))
    bend = np.deg2rad(rng.uniform(*specimen.bend_deg, len(phase)))
    rows, columns = np.mgrid[:ny, :nx]
    thickness = np.interp(columns, [0, nx - 1], specimen.thickness_nm) * (1 + 0.1 * (rows / max(ny - 1, 1) - 0.5))
    parts: list[tuple[int, int, int, float]] = []
    for r in range(ny):
        for c in range(nx):
            grains, count = np.unique(owners[r, c], return_counts=True)
            share = count / count.sum()
            kept = np.flatnonzero(share >= _SMALLEST_PART)
            share = share / share[kept].sum()
            parts += [(r, c, int(grains[i]), float(share[i])) for i in kept[np.argsort(-share[kept], kind="stable")]]
    row, column, grain = (np.array(values, dtype=np.int64) for values in list(zip(*parts, strict=True))[:3])
    share = np.array([part[3] for part in parts])
    # distance from the grain's middle, across the axis about which it is bent
    x, y = np.cos(turn_axis)[grain], np.sin(turn_axis)[grain]
    across = -y * column + x * row
    low, high = (_extreme(across, grain, len(phase), f) for f in (np.minimum, np.maximum))
    reach = np.maximum(high - low, 1.0)[grain]
    angle = bend[grain] * ((across - low[grain]) / reach - 0.5)
    zero = np.zeros(len(grain))
    turn = np.stack([np.cos(angle / 2), np.sin(angle / 2) * x, np.sin(angle / 2) * y, zero], axis=1)
    return Truth(
        phases=np.array([name for name, _ in specimen.grains]),
        grain_phase=phase, grain_orientation=orientation, grain_kind=kind, grain_partner=partner,
        row=row, column=column, grain=grain, share=share, depth_nm=share * thickness[row, column],
        orientation=product(orientation[grain], turn * [1, -1, -1, -1]),
    )  # fmt: skip


def _owners(specimen: Specimen, rng: np.random.Generator) -> Integers:
    """Grain (ny, nx, slices) at every depth of every column."""
    ny, nx = specimen.shape
    n = sum(count for _, count in specimen.grains)
    points = rng.uniform(0, 1, (n, 2)) * [ny, nx] - 0.5
    places = np.stack(np.mgrid[:ny, :nx], axis=-1).reshape(-1, 2).astype(float)
    for _ in range(4):  # towards the middles of their cells: grains of similar size
        nearest = ((places[:, None] - points[None]) ** 2).sum(axis=-1).argmin(axis=1)
        for i in np.unique(nearest):
            points[i] = places[nearest == i].mean(axis=0)
    height = rng.uniform(-1, 1, n) * specimen.depths
    thickness = np.interp(places[:, 1], [0, nx - 1], specimen.thickness_nm) / specimen.step_nm
    z = thickness[:, None] * ((np.arange(specimen.slices) + 0.5) / specimen.slices - 0.5)  # (ny nx, slices)
    flat = ((places[:, None] - points[None]) ** 2).sum(axis=-1)
    owners = np.stack([(flat + (z[:, i : i + 1] - height) ** 2).argmin(axis=1) for i in range(specimen.slices)], axis=1)
    return np.asarray(owners.reshape(ny, nx, specimen.slices), dtype=np.int64)


def _crystals(
    specimen: Specimen, middle: Integers, bases: dict[str, Array], rng: np.random.Generator
) -> tuple[Integers, Integers, Integers, Array]:
    """Phase, kind, partner and orientation of every grain."""
    names = [name for name, _ in specimen.grains]
    n = sum(count for _, count in specimen.grains)
    left = dict(specimen.grains)
    phase, kind, partner = np.full(n, -1), np.zeros(n, dtype=np.int64), np.full(n, -1)
    orientation = rng.normal(size=(n, 4))
    orientation /= np.linalg.norm(orientation, axis=1, keepdims=True)
    # pairs of neighbours in true special relations, those with the longest boundaries first
    pairs, length = _neighbours(middle)
    relations = [
        (name, what, turn)
        for name, what, turn in (
            ("beta2-alumina", TWIN, "c"), ("beta2-alumina", HALF_TURN, "Z"), ("nzsp", PSEUDO, "c"),
        )
        if specimen.related and left.get(name, 0) >= 4
    ]  # fmt: skip
    for a, b in pairs[np.argsort(-length, kind="stable")]:
        if relations and phase[a] < 0 and phase[b] < 0:
            name, what, turn = relations.pop(0)
            phase[[a, b]], kind[[a, b]], partner[[a, b]] = names.index(name), what, [b, a]
            left[name] -= 2
            if turn == "Z":
                orientation[b] = product(orientation[a], np.array([0.0, 0.0, 0.0, 1.0]))
            else:
                half = np.pi / 6 if what == TWIN else np.pi / 3
                orientation[b] = product(np.array([np.cos(half), 0, 0, np.sin(half)]), orientation[a])
    rest = rng.permutation(np.flatnonzero(phase < 0))
    phase[rest] = np.repeat([names.index(name) for name in names], [left[name] for name in names])
    for name, zones in ZONES.items():
        if name in names:
            plain = np.flatnonzero((phase == names.index(name)) & (kind == PLAIN))[: specimen.near_zone]
            for i, zone in zip(plain, zones, strict=False):
                kind[i] = NEAR_ZONE
                orientation[i] = _near_zone(np.array(zone) @ bases[name], rng)
    return phase, kind, partner, orientation


def _near_zone(direction: Array, rng: np.random.Generator) -> Array:
    """An orientation that has `direction` of the crystal 1 to 3 degrees off the beam."""
    d = direction / np.linalg.norm(direction)
    # the shortest turn from Z to d, after a turn about the beam, then a small tilt
    axis = np.array([-d[1], d[0], 0.0])
    to_zone = np.array([1 + d[2], *axis]) if d[2] > -1 + 1e-9 else np.array([0.0, 1.0, 0.0, 0.0])
    about_beam = rng.uniform(0, np.pi)
    tilt, towards = np.deg2rad(rng.uniform(1, 3)) / 2, rng.uniform(0, 2 * np.pi)
    small = np.array([np.cos(tilt), np.sin(tilt) * np.cos(towards), np.sin(tilt) * np.sin(towards), 0.0])
    turned = product(to_zone / np.linalg.norm(to_zone), np.array([np.cos(about_beam), 0, 0, np.sin(about_beam)]))
    return product(turned, small)


def _neighbours(grain: Integers) -> tuple[Integers, Integers]:
    """Pairs (k, 2) of numbers that touch along rows or columns, and how many edges they share."""
    edges = np.concatenate(
        [
            np.stack([grain[:-1].ravel(), grain[1:].ravel()], axis=1),
            np.stack([grain[:, :-1].ravel(), grain[:, 1:].ravel()], axis=1),
        ]
    )
    edges = np.sort(edges[edges[:, 0] != edges[:, 1]], axis=1)
    pairs, length = np.unique(edges, axis=0, return_counts=True)
    return pairs, length


def _extreme(values: Array, group: Integers, n: int, which: np.ufunc) -> Array:
    out = np.full(n, np.inf if which is np.minimum else -np.inf)
    which.at(out, group, values)
    return out


def product(first: Array, second: Array) -> Array:
    """Quaternion (..., 4) of the rotation `second`, then `first`."""
    a, b = np.broadcast_arrays(first, second)
    w1, x1, y1, z1 = np.moveaxis(a, -1, 0)
    w2, x2, y2, z2 = np.moveaxis(b, -1, 0)
    return np.stack(
        [
            w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
            w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
            w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
            w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
        ],
        axis=-1,
    )
