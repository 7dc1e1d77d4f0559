"""Does the unit cell hold what the file's formula says? The check that catches a misread symmetry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import DataFormatError

# A misread origin, setting or list of operations multiplies or divides the number of atoms of some element by
# 2, 3 or 4. Formulas rounded, or dopants lumped into the main element, change it by far less. So: an element
# off by a fifth is an error if that also matters in the whole cell (5 % of its atoms), else a note.
_ERROR_OF_ELEMENT, _ERROR_OF_CELL = 0.20, 0.05
_NOTE_OF_ELEMENT, _NOTE_ATOMS = 0.02, 0.05


def check_composition(
    elements: Sequence[str],
    occupancies: NDArray[np.float64],
    formula: dict[str, float] | None,
    units: float | None,
    where: str,
) -> list[str]:
    """Compare the atoms of the unit cell with Z times the formula.

    Hydrogen is left out, since many structures don't locate it. Without Z, only the proportions count. The
    formula of the whole cell is accepted too: pymatgen, and so the Materials Project, writes 'Cu4' with Z = 4.

    Parameters
    ----------
    elements, occupancies
        Every atom of the unit cell.
    formula
        Atoms per formula unit, or None where none is given.
    units
        Formula units per cell, or None.
    where
        What to call the source in messages.

    Returns
    -------
    list of str
        Notes about small differences.

    Raises
    ------
    DataFormatError
        If they contradict.
    """
    if formula is None:
        return []
    expected = {name: count for name, count in formula.items() if name != "H"}
    found: dict[str, float] = {}
    for name, occupancy in zip(elements, occupancies.tolist(), strict=True):
        if name != "H":
            found[name] = found.get(name, 0.0) + occupancy
    if not expected or not found:
        return []
    if units is None:
        scale, origin = sum(found.values()) / sum(expected.values()), "the proportions in the formula"
    elif units != 1 and not _contradicts(found, expected):
        scale, origin = 1.0, "the formula of the whole cell"
    else:
        scale, origin = units, f"Z = {units:g} formula units"
    target = {name: scale * count for name, count in expected.items()}
    if _contradicts(found, target):
        raise DataFormatError(
            f"{where}: the unit cell holds {_listed(found)}, but {origin} mean {_listed(target)};"
            " the symmetry operations, the origin choice, the occupancies or the formula are wrong"
        )
    return [
        f"the unit cell holds {found.get(n, 0.0):.4g} {n}, the formula means {target.get(n, 0.0):.4g}"
        for n in sorted({*found, *target})
        if _difference(found, target, n) > max(_NOTE_OF_ELEMENT * target.get(n, 0.0), _NOTE_ATOMS)
    ]


def _contradicts(found: dict[str, float], target: dict[str, float]) -> bool:
    """Whether the count of some element is off by more than rounding or doping can explain."""
    smallest = _ERROR_OF_CELL * max(sum(found.values()), sum(target.values()))
    return any(
        _difference(found, target, name) > max(_ERROR_OF_ELEMENT * target.get(name, 0.0), smallest)
        for name in {*found, *target}
    )


def _difference(found: dict[str, float], target: dict[str, float], name: str) -> float:
    return abs(found.get(name, 0.0) - target.get(name, 0.0))


def _listed(counts: dict[str, float]) -> str:
    """'16 Au, 8 Na'."""
    return ", ".join(f"{count:.4g} {name}" for name, count in sorted(counts.items()) if count > 0)
