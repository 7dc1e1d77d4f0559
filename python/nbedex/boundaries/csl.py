"""Coincidence site lattices of any lattice: which rotations bring one lattice site in Σ onto sites of the other.

With B the primitive basis, M = B^-1 R B; Σ is the least N for which N M and N M^-1 are integer matrices (Grimmer 1976,
Acta Cryst. A32, 783).

The list of all R up to a limit is complete by this argument: the coincidence lattice has a reduced basis with
|v1| <= |v2| <= |v3|, |v1 . v2| <= |v1|^2 / 2 and |v1| |v2| |v3| <= sqrt(2) Σ V, V the volume of the primitive cell, so
|v1| |v2|^2 <= sqrt(2) Σ V. R takes lattice vectors w1, w2 of the same lengths and scalar product to v1, v2 and is fixed
by them. There are finitely many such pairs of pairs, and with an integer metric "the same" is exact.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from nbedex.boundaries.disorientation import reduced
from nbedex.boundaries.lattice import RationalLattice, rational_lattices
from nbedex.grains import MapPhase
from nbedex.maps.orientation import rotation_angle, to_matrix
from nbedex.phases.rotations import quaternions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_log = logging.getLogger(__name__)

CUBIC = ("m-3", "m-3m")
_UNIAXIAL = ("4/m", "4/mmm", "-3", "-3m", "6/m", "6/mmm")
CUBIC_LIMIT, OTHER_LIMIT = 49, 29
_MOST_VECTORS = 1e4  # lattice vectors looked at; two or three thousand is usual
_LARGEST_INDEX = 500  # of an axis
_CANDIDATES = 30  # strained cells looked at for pseudo-symmetry


@dataclass(frozen=True, kw_only=True, eq=False)
class CslTable:
    """All coincidence rotations of a phase that are no symmetry of it, up to a limit, sorted by Σ and angle.

    Attributes
    ----------
    sigma
        (n,) coincidence index. 1 is a rotation of the lattice that is none of the crystal (merohedry).
    quaternion
        (n, 4) disorientations, reduced.
    axis
        (n, 3) int, rotation axis as lattice direction [uvw] of the conventional cell; in m-3m, where all orders and
        signs are equivalent, with u >= v >= w as tables have it.
    exact
        (n,) bool: holds for the phase's own cell; otherwise only for the strained one.
    strain
        Of the strained cell.
    description
        Its axial ratios.
    limit
        Up to which Σ the table is complete.
    """

    sigma: Ints
    quaternion: Floats
    axis: Ints
    exact: NDArray[np.bool_]
    strain: float
    description: str
    limit: int

    def __len__(self) -> int:
        return len(self.sigma)

    @property
    def angle_deg(self) -> Floats:
        """Disorientation angles (n,)."""
        return np.asarray(np.rad2deg(rotation_angle(self.quaternion)))


def csl_table(phase: MapPhase, *, limit: int | None = None, strain_tolerance: float = 0.01) -> CslTable:
    """Coincidence rotations of a phase.

    Parameters
    ----------
    phase
        Its symmetry, cell and centring. Without a cell the lattice is known only in cubic classes; in those with one
        main axis the table then has the rotations that hold for any axial ratio, and it is empty in others.
    limit
        Largest Σ; None for 49 in cubic classes and 29 in others. Lowered, with a message in the log, for cells so much
        longer in one direction than in others that a complete list would take too long.
    strain_tolerance
        Largest strain of the cell.
    """
    cell = None if phase.direct_basis is None else tuple(np.asarray(phase.direct_basis, np.float64).reshape(-1))
    if limit is None:
        limit = CUBIC_LIMIT if phase.laue_class in CUBIC else OTHER_LIMIT
    symmetry = np.ascontiguousarray(phase.symmetry, dtype=np.float64)
    return _table(cell, phase.centring, phase.laue_class, symmetry.tobytes(), limit, strain_tolerance)


@lru_cache(maxsize=64)
def _table(
    cell: tuple[float, ...] | None, centring: str, laue: str, symmetry: bytes, limit: int, tolerance: float
) -> CslTable:
    operators = np.frombuffer(symmetry, dtype=np.float64).reshape(-1, 4)
    if cell is not None:
        own = np.array(cell).reshape(3, 3)
    elif laue in CUBIC:
        own = np.eye(3)
    elif laue in _UNIAXIAL:
        # no axial ratio: one that is surely irrational tells apart what holds for all
        second = [0.0, 1.0, 0.0] if laue.startswith("4") else [-0.5, np.sqrt(0.75), 0.0]
        own = np.array([[1.0, 0.0, 0.0], second, [0.0, 0.0, np.sqrt(np.e / 2)]])
    else:
        return _empty(limit)
    lattice = _strained(own, centring, laue, operators, tolerance if cell is not None else 0.5)
    if lattice is None or limit < 1:
        return _empty(limit)
    affordable = _affordable(lattice, limit)
    if affordable < limit:
        _log.warning("coincidences are listed up to Σ%d, not Σ%d: the cell is too long for more", affordable, limit)
        limit = affordable
    sigma, quaternion = coincidence_rotations(lattice, operators, limit)
    no_symmetry = rotation_angle(quaternion) > 1e-6
    sigma, quaternion = sigma[no_symmetry], quaternion[no_symmetry]
    axis = _axes(lattice, quaternion)
    table = CslTable(
        sigma=sigma,
        quaternion=quaternion,
        axis=np.sort(axis)[:, ::-1] if laue == "m-3m" else axis,
        exact=_holds(own, lattice, sigma, quaternion),
        strain=lattice.strain,
        description=lattice.description,
        limit=limit,
    )
    return table if cell is not None or laue in CUBIC else _only(table, table.exact)


def _strained(cell: Floats, centring: str, laue: str, symmetry: Floats, tolerance: float) -> RationalLattice | None:
    """The strained lattice that coincidences are listed for, None if there is none.

    It is the one with the smallest integers; in classes without a main axis, where several lengths are free, the one
    with the most symmetry of the simplest few, so that pseudo-symmetry within the tolerance shows.
    """
    candidates = rational_lattices(cell, centring, tolerance=tolerance)
    if laue in CUBIC or laue in _UNIAXIAL:
        return next(candidates, None)
    few = list(islice(candidates, _CANDIDATES))
    if not few:
        return None
    symmetric = [len(coincidence_rotations(lattice, symmetry, 1)[0]) for lattice in few]
    return few[int(np.argmax(symmetric))]


def coincidence_rotations(lattice: RationalLattice, symmetry: Floats, limit: int) -> tuple[Ints, Floats]:
    """Σ (n,) and disorientation quaternions (n, 4) of all coincidence rotations with Σ <= limit, equivalents once.

    Parameters
    ----------
    lattice
        Primitive lattice with integer metric.
    symmetry
        (m, 4) proper rotations of the crystal, identity first.
    limit
        Largest Σ.
    """
    metric, basis = lattice.metric, lattice.basis
    matrices = [np.rint(np.linalg.inv(basis) @ s @ basis).astype(np.int64) for s in to_matrix(symmetry)]
    bound = np.sqrt(2.0) * limit * np.sqrt(lattice.determinant) * (1 + 1e-9)
    vectors = _short_vectors(metric, bound)
    square = _products(vectors, metric, vectors)
    first = square.astype(np.float64) ** 1.5 <= bound
    sigma: list[Ints] = [np.zeros(0, dtype=np.int64)]
    rotations: list[Floats] = [np.zeros((0, 4))]
    for v1 in _orbits(vectors[first], [sign * s for s in matrices for sign in (1, -1)]):
        length = int(v1 @ metric @ v1)
        seconds = vectors[(square >= length) & (np.sqrt(length) * square <= bound)]
        shadow = _products(seconds, metric, v1)
        # reduced pairs, and of v2 and -v2 (with -w2) one only
        kept = (2 * np.abs(shadow) <= length) & _positive(seconds) & np.any(np.cross(seconds, v1) != 0, axis=1)
        for w1 in _orbits(vectors[square == length], matrices):
            v2, w2 = _same_products(seconds[kept], vectors, v1, w1, metric)
            index = coincidence_index(metric, (v1, v2), (w1, w2))
            good = np.flatnonzero(index <= limit)
            turned = _rotation(basis, (v1, v2[good]), (w1, w2[good]))
            some = _distinct(index[good], reduced(turned, symmetry))
            sigma.append(some[0])
            rotations.append(some[1])
    return _distinct(np.concatenate(sigma), np.concatenate(rotations))


def coincidence_index(metric: Ints, images: tuple[Ints, Ints], originals: tuple[Ints, Ints]) -> Ints:
    """Σ (n,) of the rotations that take two lattice vectors to two others: Grimmer's least N, in integers.

    `images` are v1 (3,) and v2 (n, 3), `originals` w1 and w2, with the same lengths and scalar product; M W = V where
    the third columns of V and W are the vector products, in lattice coordinates adj(G) (v1 x v2) up to a common factor.
    """
    adjugate = np.rint(np.linalg.det(metric) * np.linalg.inv(metric)).astype(np.int64)
    v, w = (_with_product(first, second, adjugate) for first, second in (images, originals))
    determinant = np.sum(w[:, :, 0] * np.cross(w[:, :, 1], w[:, :, 2]), axis=1)
    parts = []
    for over, under in ((v, w), (w, v)):
        numerators = over @ _adjugate(under)
        shared = np.gcd(np.gcd.reduce(numerators.reshape(-1, 9), axis=1), determinant)
        parts.append(np.abs(determinant) // shared)
    return np.asarray(np.lcm(parts[0], parts[1]))


def _with_product(first: Ints, second: Ints, adjugate: Ints) -> Ints:
    """(n, 3, 3), columns two vectors and their vector product, up to a factor, in lattice coordinates."""
    product = np.cross(first, second) @ adjugate.T
    return np.stack([np.broadcast_to(first, second.shape), second, product], axis=-1)


def _adjugate(m: Ints) -> Ints:
    """Adjugates (n, 3, 3): the rows are vector products of the columns."""
    a, b, c = m[:, :, 0], m[:, :, 1], m[:, :, 2]
    return np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=1)


def _rotation(basis: Floats, images: tuple[Ints, Ints], originals: tuple[Ints, Ints]) -> Floats:
    """Quaternions (n, 4) of the rotations that take lattice vectors w1, w2 to v1, v2."""
    frames = []
    for first, second in (images, originals):
        x = first @ basis.T
        z = np.cross(x, second @ basis.T)
        x = np.broadcast_to(x / np.linalg.norm(x), z.shape)
        z = z / np.linalg.norm(z, axis=1, keepdims=True)
        frames.append(np.stack([x, np.cross(z, x), z], axis=-1))
    return quaternions(frames[0] @ np.swapaxes(frames[1], 1, 2))


def _products(a: Ints, metric: Ints, b: Ints) -> Ints:
    """Scalar products (n,) of lattice vectors a (n, 3) with b (n, 3) or (3,)."""
    return np.asarray(np.sum((a @ metric) * b, axis=1))


def _short_vectors(metric: Ints, bound: float) -> Ints:
    """All lattice vectors v2 with |v1| |v2|^2 <= bound for a vector v1 that is no longer, in a fixed order."""
    near = _ball(metric, float(np.diag(metric).min()))
    return _ball(metric, bound / np.sqrt(float(_products(near, metric, near).min())))


def _affordable(lattice: RationalLattice, limit: int) -> int:
    """The largest limit for which the search looks at no more than so many lattice vectors."""
    shortest = float(np.sqrt(np.diag(lattice.metric).min()))
    volume = np.sqrt(lattice.determinant)

    def vectors(sigma: int) -> float:
        return float(4.2 * (np.sqrt(2.0) * sigma * volume / shortest) ** 1.5 / volume)

    return max((sigma for sigma in range(1, limit + 1) if vectors(sigma) <= _MOST_VECTORS), default=1)


def _ball(metric: Ints, largest: float) -> Ints:
    """Lattice vectors (n, 3) but 0 whose square is at most `largest`."""
    reach = np.floor(np.sqrt(largest * np.diag(np.linalg.inv(metric))) + 1e-9).astype(np.int64)
    grid = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    square = _products(grid, metric, grid)
    return np.asarray(grid[(square > 0) & (square <= largest * (1 + 1e-12))])


def _positive(vectors: Ints) -> NDArray[np.bool_]:
    """One of each v and -v: the first component that isn't 0 is positive."""
    leading = np.take_along_axis(vectors, np.argmax(vectors != 0, axis=1)[:, None], axis=1)[:, 0]
    return np.asarray(leading > 0)


def _orbits(vectors: Ints, operators: list[Ints]) -> Ints:
    """One vector of each set that the operators take into one another: the last in lexical order."""
    images = np.stack([vectors @ s.T for s in operators], axis=1)
    span = 2 * int(np.abs(images).max(initial=0)) + 1
    code = (images[..., 0] * span + images[..., 1]) * span + images[..., 2]
    own = (vectors[:, 0] * span + vectors[:, 1]) * span + vectors[:, 2]
    return np.asarray(vectors[own == code.max(axis=1)])


def _same_products(seconds: Ints, vectors: Ints, v1: Ints, w1: Ints, metric: Ints) -> tuple[Ints, Ints]:
    """All pairs v2, w2 with |v2| = |w2| and v1 . v2 = w1 . w2."""
    span = 4 * int(_products(vectors, metric, vectors).max()) + 1
    key_v = _products(seconds, metric, seconds) * span + _products(seconds, metric, v1)
    key_w = _products(vectors, metric, vectors) * span + _products(vectors, metric, w1)
    order = np.argsort(key_w, kind="stable")
    begin = np.searchsorted(key_w, key_v, "left", sorter=order)
    count = np.searchsorted(key_w, key_v, "right", sorter=order) - begin
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(seconds, count, axis=0), vectors[order[np.repeat(begin, count) + within]]


def _distinct(sigma: Ints, rotations: Floats) -> tuple[Ints, Floats]:
    """Each Σ and rotation once, sorted by Σ, angle and components."""
    rounded = np.rint(np.column_stack([rotation_angle(rotations), rotations[:, 1:]]) * 1e6) + 0.0
    order = np.lexsort((*rounded.T[::-1], sigma))
    kept: list[int] = []
    for row in order:
        near = [k for k in kept[-8:] if sigma[k] == sigma[row] and np.abs(rotations[k] - rotations[row]).max() < 1e-6]
        if not near:
            kept.append(int(row))
    return sigma[kept], rotations[kept]


def _holds(cell: Floats, lattice: RationalLattice, sigma: Ints, quaternion: Floats) -> NDArray[np.bool_]:
    """Whether a rotation has its Σ in the unstrained cell too (rows a, b, c)."""
    basis = cell.T @ lattice.primitive / 6
    m = np.linalg.inv(basis) @ to_matrix(quaternion) @ basis
    both = np.concatenate([m, np.linalg.inv(m)], axis=-1) * sigma[:, None, None]
    return np.asarray(np.all(np.abs(both - np.rint(both)) < 1e-6 * sigma[:, None, None], axis=(1, 2)))


def _axes(lattice: RationalLattice, quaternion: Floats) -> Ints:
    """Rotation axes (n, 3) as the smallest integers [uvw] of the strained conventional cell."""
    conventional = lattice.basis @ np.linalg.inv(lattice.primitive / 6)
    direction = quaternion[:, 1:] @ np.linalg.inv(conventional).T
    direction = direction / np.abs(direction).max(axis=1, keepdims=True)
    axes = np.zeros(direction.shape, dtype=np.int64)
    left = np.ones(len(axes), dtype=bool)
    for factor in range(1, _LARGEST_INDEX + 1):
        whole = np.rint(factor * direction)
        fits = left & np.all(np.abs(factor * direction - whole) < 1e-5 * factor, axis=1)
        axes[fits] = whole[fits].astype(np.int64)
        left &= ~fits
    return axes


def _only(table: CslTable, rows: NDArray[np.bool_]) -> CslTable:
    return CslTable(
        sigma=table.sigma[rows],
        quaternion=table.quaternion[rows],
        axis=table.axis[rows],
        exact=table.exact[rows],
        strain=0.0,
        description="",
        limit=table.limit,
    )


def _empty(limit: int) -> CslTable:
    return CslTable(
        sigma=np.zeros(0, dtype=np.int64),
        quaternion=np.zeros((0, 4)),
        axis=np.zeros((0, 3), dtype=np.int64),
        exact=np.zeros(0, dtype=bool),
        strain=0.0,
        description="",
        limit=limit,
    )
