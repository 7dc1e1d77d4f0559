"""Proper rotations of the 11 Laue classes, for maps that name a point group and give no operators.

orix's own operators are not used: for 2/m it puts the axis along c, whatever the cell says.
"""

from __future__ import annotations

import numpy as np

from nbedex.errors import ArgumentError
from nbedex.maps import canonical, multiply
from nbedex.maps.orientation import Floats

_HALF = np.sqrt(0.5)
_THIRD = (0.5, 0.0, 0.0, np.sqrt(0.75))  # 120 degrees about c
_SIXTH = (np.sqrt(0.75), 0.0, 0.0, 0.5)
_QUARTER = (_HALF, 0.0, 0.0, _HALF)
_A, _B, _C = (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0)  # half turns
_DIAGONAL = (0.5, 0.5, 0.5, 0.5)  # 120 degrees about [111]
_GENERATORS: dict[str, tuple[tuple[float, ...], ...]] = {
    "-1": (),
    "2/m": (_B,),
    "mmm": (_A, _C),
    "4/m": (_QUARTER,),
    "4/mmm": (_QUARTER, _A),
    "-3": (_THIRD,),
    "-3m": (_THIRD, _A),
    "6/m": (_SIXTH,),
    "6/mmm": (_SIXTH, _A),
    "m-3": (_A, _C, _DIAGONAL),
    "m-3m": (_QUARTER, _DIAGONAL),
}
LAUE_CLASSES = tuple(_GENERATORS)
# trigonal space groups whose 2-fold axes lie between the a axes
_BETWEEN_AXES = (149, 151, 153, 157, 159, 162, 163)


def laue_rotations(laue_class: str, *, unique_axis: str = "b", space_group: int = 0) -> Floats:
    """Proper rotations (m, 4) of a Laue class in the crystal frame (e1 || a, e3 || c*), identity first.

    Parameters
    ----------
    laue_class
        One of `LAUE_CLASSES`.
    unique_axis
        Where the 2-fold axis of 2/m lies: "b", as tables have it, "a" or "c".
    space_group
        Number of the space group, which decides for -3m whether the 2-fold axes lie along a or between the a axes.

    Notes
    -----
    Trigonal classes are meant on hexagonal axes.
    """
    if laue_class not in _GENERATORS:
        raise ArgumentError(f"expected a Laue class out of {', '.join(LAUE_CLASSES)}, got {laue_class!r}")
    generators = _GENERATORS[laue_class]
    if laue_class == "2/m":
        generators = ({"a": _A, "b": _B, "c": _C}[unique_axis],)
    if laue_class == "-3m" and space_group in _BETWEEN_AXES:
        generators = (_THIRD, _B)
    return _closed(np.array(generators, dtype=np.float64).reshape(-1, 4))


def _closed(generators: Floats) -> Floats:
    """The group that some rotations generate."""
    group = [np.array([1.0, 0.0, 0.0, 0.0])]
    for element in group:  # grows while it is walked
        for generator in generators:
            product = multiply(generator, element)
            if not any(abs(float(product @ known)) > 1 - 1e-9 for known in group):
                group.append(product)
    return canonical(np.array(group))
