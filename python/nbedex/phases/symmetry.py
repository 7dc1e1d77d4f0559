"""Symmetry operations of a space group, as listed in a file or generated from its name.

Operations act on fractional coordinates, x' = W x + w, with W integer and w in 1/24. They are kept as
listed, so every setting and origin choice is right; names and numbers only serve to check them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from nbedex.errors import DataFormatError

MAX_OPERATIONS = 192  # of a conventional cell: F m -3 m
_MAX_TRIPLET_LENGTH = 80
_TRIPLET = re.compile(r"[xyzXYZ0-9+\-/., ]+")

LAUE_CLASSES = ("-1", "2/m", "mmm", "4/m", "4/mmm", "-3", "-3m", "6/m", "6/mmm", "m-3", "m-3m")


@dataclass(frozen=True, eq=False)
class Operations:
    """A closed set of symmetry operations modulo lattice translations, identity first.

    Attributes
    ----------
    rotations
        W, int64 (n, 3, 3).
    translations
        w in units of 1/24, int64 (n, 3), each in [0, 24).
    products
        Multiplication table, int64 (n, n): `products[i, j]` is the index of operation i after operation j.
    """

    rotations: NDArray[np.int64]
    translations: NDArray[np.int64]
    products: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rotations)

    def triplets(self) -> tuple[str, ...]:
        """The operations as x,y,z triplets, in order."""
        return tuple(op.triplet() for op in self._gemmi_ops())

    def keys(self) -> frozenset[int]:
        """One integer per operation: equal sets mean equal groups in equal settings."""
        return frozenset(int(key) for key in _encode(self.rotations, self.translations))

    def tabulated(self) -> gemmi.SpaceGroup | None:
        """The entry of gemmi's table with exactly these operations, or None."""
        return gemmi.find_spacegroup_by_ops(gemmi.GroupOps(self._gemmi_ops()))

    def point_rotations(self) -> NDArray[np.int64]:
        """Distinct rotation parts W, int64 (p, 3, 3), identity first: the point group."""
        _, first = np.unique(self.rotations.reshape(len(self), 9), axis=0, return_index=True)
        return np.asarray(self.rotations[np.sort(first)])

    def laue_rotations(self) -> NDArray[np.int64]:
        """Proper rotations of the Laue group, int64 (m, 3, 3), identity first.

        The Laue group is the point group with inversion added, so its proper part is every W times its
        determinant.
        """
        point = self.point_rotations()
        proper = point * np.rint(np.linalg.det(point)).astype(np.int64)[:, None, None]
        _, first = np.unique(proper.reshape(len(proper), 9), axis=0, return_index=True)
        return np.asarray(proper[np.sort(first)])

    def laue_class(self) -> str:
        """Hermann-Mauguin symbol of the Laue class, one of `LAUE_CLASSES`."""
        # The trace of a proper rotation is 1 + 2 cos(angle): -1, 0, 1, 2 for 2-, 3-, 4- and 6-fold ones.
        traces = np.trace(self.laue_rotations(), axis1=1, axis2=2)
        fourfold, sixfold, threefold = (int(np.sum(traces == t)) for t in (1, 2, 0))
        by_order = {
            1: "-1",
            2: "2/m",
            3: "-3",
            4: "4/m" if fourfold else "mmm",
            6: "6/m" if sixfold else "-3m",
            8: "4/mmm",
            12: "m-3" if threefold == 8 else "6/mmm",
            24: "m-3m",
        }
        return by_order[len(traces)]

    def absent(self, hkl: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each reflection (n, 3) is systematically absent: h W = h while h w isn't an integer."""
        result = np.zeros(len(hkl), dtype=bool)
        for rotation, translation in zip(self.rotations, self.translations, strict=True):
            kept = np.all(hkl @ rotation == hkl, axis=1)
            result |= kept & ((hkl @ translation) % 24 != 0)
        return result

    def _gemmi_ops(self) -> list[gemmi.Op]:
        ops = []
        for rotation, translation in zip(self.rotations.tolist(), self.translations.tolist(), strict=True):
            op = gemmi.Op()
            op.rot = [[gemmi.Op.DEN * v for v in row] for row in rotation]
            op.tran = translation
            ops.append(op)
        return ops


def operations_from_triplets(triplets: Sequence[str], where: str) -> Operations:
    """Parse x,y,z triplets into a group; duplicates are dropped.

    Raises
    ------
    DataFormatError
        If a triplet isn't one (only x, y, z, digits, signs, fractions and commas are let through to the
        parser), isn't a crystallographic operation, or if the list isn't closed under multiplication.
    """
    # A list may repeat itself, but not without bound.
    if len(triplets) > 4 * MAX_OPERATIONS:
        raise DataFormatError(
            f"{where}: {len(triplets)} symmetry operations are listed, a space group has at most {MAX_OPERATIONS}"
        )
    return _closed_group([_parse_triplet(text, where) for text in triplets], where)


def operations_from_group(ops: gemmi.GroupOps, where: str) -> Operations:
    """Operations of a gemmi group (from its table or a Hall symbol)."""
    return _closed_group(list(ops), where)


def _parse_triplet(text: str, where: str) -> gemmi.Op:
    """One operation from its triplet."""
    shown = repr(text if len(text) <= 40 else text[:40] + "...")
    expected = "expected a triplet such as '-x,y+1/2,-z'"
    if len(text) > _MAX_TRIPLET_LENGTH or not _TRIPLET.fullmatch(text):
        raise DataFormatError(f"{where}: symmetry operation {shown} isn't valid, {expected}")
    try:
        op = gemmi.Op(text)
    except RuntimeError as error:
        raise DataFormatError(f"{where}: symmetry operation {shown} isn't valid ({error}), {expected}") from None
    if abs(op.det_rot()) != gemmi.Op.DEN**3:
        raise DataFormatError(
            f"{where}: symmetry operation {shown} isn't a rotation or rotoinversion (its determinant isn't +1 or -1)"
        )
    return op


def _closed_group(ops: list[gemmi.Op], where: str) -> Operations:
    """Distinct operations, identity first, with their multiplication table; an open set is an error."""
    rotations = np.array([op.rot for op in ops], dtype=np.int64).reshape(-1, 3, 3)
    translations = np.array([op.tran for op in ops], dtype=np.int64).reshape(-1, 3) % 24
    if np.any(rotations % gemmi.Op.DEN):
        raise DataFormatError(f"{where}: symmetry operations must have integer rotation parts")
    rotations //= gemmi.Op.DEN
    if np.any(np.abs(rotations) > 3):
        raise DataFormatError(f"{where}: symmetry operations must have rotation parts between -3 and 3")
    keys = _encode(rotations, translations)
    first = np.sort(np.unique(keys, return_index=True)[1])
    if len(first) > MAX_OPERATIONS:
        raise DataFormatError(
            f"{where}: {len(first)} symmetry operations are listed, a space group has at most {MAX_OPERATIONS}"
        )
    identity = _encode(np.eye(3, dtype=np.int64)[None], np.zeros((1, 3), dtype=np.int64))[0]
    if identity not in keys:
        raise DataFormatError(f"{where}: the identity 'x,y,z' is missing from the symmetry operations")
    first = np.concatenate([first[keys[first] == identity], first[keys[first] != identity]])
    rotations, translations, keys = rotations[first], translations[first], keys[first]
    # (W1, w1)(W2, w2) = (W1 W2, W1 w2 + w1)
    product_rotations = rotations[:, None] @ rotations[None]
    moved = (rotations[:, None] @ translations[None, :, :, None])[..., 0]
    product_translations = moved + translations[:, None]
    # Entries outside the encodable range can't belong to the set; clip them to a value no member has.
    outside = np.any(np.abs(product_rotations) > 3, axis=(2, 3))
    product_keys = _encode(np.clip(product_rotations, -4, 4), product_translations % 24)
    product_keys[outside] = -1
    order = np.argsort(keys)
    position = np.clip(np.searchsorted(keys[order], product_keys), 0, len(keys) - 1)
    products = order[position]
    if np.any(keys[products] != product_keys):
        raise DataFormatError(
            f"{where}: the {len(keys)} symmetry operations listed don't form a group (some product of two of"
            " them is missing); the list is incomplete or wrong"
        )
    return Operations(rotations, translations, products)


def _encode(rotations: NDArray[np.int64], translations: NDArray[np.int64]) -> NDArray[np.int64]:
    """One int64 per operation (..., 3, 3), (..., 3): nine base-9 digits and three base-24 ones."""
    flat = (rotations + 4).reshape(*rotations.shape[:-2], 9)
    rotation_key = flat @ (9 ** np.arange(9, dtype=np.int64))
    translation_key = translations @ np.array([1, 24, 576], dtype=np.int64)
    return np.asarray(rotation_key * 24**3 + translation_key, dtype=np.int64)
