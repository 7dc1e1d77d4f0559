"""Disorientations of many pairs of grains or pixels, of one phase or of two, by the core."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nbedex import _core
from nbedex.errors import ArgumentError
from nbedex.grains.arrays import plain
from nbedex.grains.model import Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Disorientations:
    """Least rotations between pairs of crystals.

    Attributes
    ----------
    angle
        (n,) radians.
    rotation
        (n, 4) the equivalent of least angle, w >= 0, from the first crystal's frame to the second's, with its axis in
        reduced form; NaN where an orientation is. Its axis has the same components in both crystal frames.
    """

    angle: Floats
    rotation: Floats

    @property
    def axis(self) -> Floats:
        """(n, 3) unit axes; NaN where the angle is 0."""
        vector = self.rotation[:, 1:]
        length = np.linalg.norm(vector, axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(length > 1e-12, vector / length, np.nan))


def disorientations(
    first: Floats, second: Floats, symmetry: Floats, second_symmetry: Floats | None = None, *, threads: int = 0
) -> Disorientations:
    """Least rotation between the crystals of each pair, over all symmetric equivalents of both.

    Parameters
    ----------
    first, second
        Orientations (n, 4), unit quaternions from the sample to the crystal.
    symmetry
        Proper rotations (m, 4) of the first crystal's Laue class.
    second_symmetry
        Those of the second crystal. None: both are of one phase, and then either may be called the first.
    threads
        0: all available.

    Returns
    -------
    disorientations
        Of M = O2 O1^-1 and its equivalents S2 M S1 (and, for one phase, their inverses) one of least angle. Of the
        axes that symmetry leaves to choose from it has the one of largest z, then largest x, then largest y: for
        m-3m the triangle [001] [101] [111], for 6/mmm the wedge of azimuths 0 to 30 degrees.

    Raises
    ------
    ArgumentError
        If shapes don't fit.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.ndim != 2 or a.shape[1] != 4 or a.shape != b.shape:
        raise ArgumentError(f"expected pairs of orientations (n, 4), got shapes {a.shape} and {b.shape}")
    groups = [symmetry, symmetry if second_symmetry is None else second_symmetry]
    for group in groups:
        if np.ndim(group) != 2 or np.shape(group)[1] != 4 or len(group) == 0:
            raise ArgumentError(f"symmetry must be quaternions of shape (m, 4), got shape {np.shape(group)}")
    angle, rotation = _core.disorientations(
        plain(a, np.float64),
        plain(b, np.float64),
        plain(groups[0], np.float64),
        plain(groups[1], np.float64),
        exchange=second_symmetry is None,
        reduce=True,
        threads=threads,
    )
    assert rotation is not None
    unknown = ~(np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1))
    angle[unknown], rotation[unknown] = np.nan, np.nan
    return Disorientations(angle=angle, rotation=rotation + 0.0)
