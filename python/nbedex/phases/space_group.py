"""Which space group a CIF means: from its operations, its names and its number, which must agree."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

import gemmi
import numpy as np

from nbedex.errors import DataFormatError
from nbedex.phases.symmetry import Operations, operations_from_group, operations_from_triplets

log = logging.getLogger(__name__)

_HALL = re.compile(r"[-A-Za-z0-9\"'*= ()/+.^]{1,60}")
_ORIGIN_SUFFIX = {"S": ":1", "Z": ":2", "H": ":H", "R": ":R", "1": ":1", "2": ":2"}


@dataclass(frozen=True, kw_only=True)
class SymmetryText:
    """What a CIF says about symmetry, each as written, empty or None where it says nothing."""

    triplets: tuple[str, ...] = ()
    hall: str = ""
    hermann_mauguin: str = ""
    number: int | None = None


@dataclass(frozen=True, eq=False)
class Candidate:
    """One reading of a file's symmetry.

    Attributes
    ----------
    operations
        The operations to apply.
    number
        International Tables number; 0 where no table has these operations and the file gives none.
    name
        Hermann-Mauguin name with setting.
    note
        What a reader should know, or an empty string.
    """

    operations: Operations
    number: int
    name: str
    note: str = ""


def candidates(text: SymmetryText, *, alpha: float, gamma: float, where: str) -> list[Candidate]:
    """All readings that the text allows: one, or two where only the origin choice is left open.

    Listed operations win over a Hall symbol, that over a Hermann-Mauguin name, that over a number. What is
    given besides must not contradict.

    Parameters
    ----------
    text
        Symmetry statements of the file.
    alpha, gamma
        Cell angles in degrees; they tell hexagonal from rhombohedral axes where a name doesn't.
    where
        What to call the source in messages.

    Raises
    ------
    DataFormatError
        If nothing is said, something isn't understood, or statements contradict.
    """
    number = _checked_number(text.number, where)
    named = _by_name(text.hermann_mauguin, alpha, gamma)
    from_hall = _from_hall(text.hall, where)
    if named is not None and number is not None and named.number != number:
        raise DataFormatError(
            f"{where}: space group name {text.hermann_mauguin!r} is number {named.number},"
            f" but the number given is {number}"
        )
    if text.triplets:
        operations = operations_from_triplets(text.triplets, where)
        return [_listed(operations, from_hall, named, number, text, where)]
    if from_hall is not None:
        return [_listed(from_hall, from_hall, named, number, text, where)]
    if named is not None:
        return _from_table(named, stated=_states_setting(text.hermann_mauguin), note="", where=where)
    if text.hermann_mauguin:
        raise DataFormatError(
            f"{where}: space group name {text.hermann_mauguin[:40]!r} isn't known and no symmetry operations"
            " are listed; give a Hermann-Mauguin name with setting, or list the operations"
        )
    if number is not None:
        standard = gemmi.find_spacegroup_by_number(number)
        if number in _RHOMBOHEDRAL and abs(alpha - 90) > 0.2:
            standard = gemmi.find_spacegroup_by_name(standard.hm, alpha, gamma)
        note = f"only the space group number is given; the standard setting {standard.hm!r} is assumed"
        return _from_table(standard, stated=False, note=note, where=where)
    raise DataFormatError(
        f"{where}: no symmetry is given (no operations, no space group name or number); add"
        " _space_group_name_H-M_alt, 'P 1' if the file lists every atom of the cell"
    )


def _listed(
    operations: Operations,
    from_hall: Operations | None,
    named: gemmi.SpaceGroup | None,
    number: int | None,
    text: SymmetryText,
    where: str,
) -> Candidate:
    """The reading from operations, checked against whatever else the file says."""
    if from_hall is not None and from_hall.keys() != operations.keys():
        raise DataFormatError(f"{where}: the listed symmetry operations contradict the Hall symbol {text.hall!r}")
    tabulated = operations.tabulated()
    claimed = named.number if named is not None else number
    if claimed is not None:
        _check_type(operations, tabulated, claimed, where)
    note = ""
    if named is not None:
        same = operations_from_group(named.operations(), where).keys() == operations.keys()
        if not same and _states_setting(text.hermann_mauguin):
            actual = f" (they are those of {tabulated.xhm()!r})" if tabulated is not None else ""
            raise DataFormatError(
                f"{where}: the symmetry operations given contradict the setting in the space group name"
                f" {text.hermann_mauguin!r}{actual}"
            )
        if not same and named.ext not in ("1", "2"):
            note = f"the operations given (used) are in another setting than the name {text.hermann_mauguin!r}"
    elif text.hermann_mauguin:
        note = f"space group name {text.hermann_mauguin[:40]!r} isn't known; the operations given are used"
    if tabulated is not None:
        return Candidate(operations, tabulated.number, tabulated.xhm(), note)
    note = note or "the operations given are in a setting without a tabulated name"
    return Candidate(operations, claimed or 0, text.hermann_mauguin or "nonstandard setting", note)


def _check_type(operations: Operations, tabulated: gemmi.SpaceGroup | None, claimed: int, where: str) -> None:
    """Raise if the operations can't be those of the space group with number `claimed`."""
    if tabulated is not None:
        if tabulated.number != claimed:
            raise DataFormatError(
                f"{where}: the symmetry operations given are those of space group {tabulated.number}"
                f" ({tabulated.xhm()}), but the file claims number {claimed}"
            )
        return
    # Another cell or origin: no table tells the type, but the geometric class must be the same.
    reference = operations_from_group(gemmi.find_spacegroup_by_number(claimed).operations(), where)
    if _point_class(reference) != _point_class(operations):
        raise DataFormatError(
            f"{where}: the symmetry operations given (Laue class {operations.laue_class()}) contradict space"
            f" group {claimed}"
        )


def _point_class(operations: Operations) -> list[tuple[int, int]]:
    """Sorted (determinant, trace) of every element of the point group; it tells all 32 classes apart."""
    point = operations.point_rotations()
    determinants = np.rint(np.linalg.det(point)).astype(int)
    traces = np.trace(point, axis1=1, axis2=2)
    return sorted(zip(determinants.tolist(), traces.tolist(), strict=True))


def _from_table(entry: gemmi.SpaceGroup, *, stated: bool, note: str, where: str) -> list[Candidate]:
    """The reading(s) from an entry of gemmi's table: both origin choices where the file states none."""
    entries = [entry]
    if entry.ext in ("1", "2") and not stated:
        entries = [s for s in gemmi.spacegroup_table() if s.number == entry.number and s.hm == entry.hm]
    return [Candidate(operations_from_group(s.operations(), where), s.number, s.xhm(), note) for s in entries]


def _by_name(name: str, alpha: float, gamma: float) -> gemmi.SpaceGroup | None:
    """Entry of gemmi's table for a Hermann-Mauguin name, in the spellings that files use."""
    cleaned = " ".join(name.replace("_", "").split())[:40]
    if not cleaned:
        return None
    # ICSD marks origin choices and axes by a trailing letter: S, Z, H, R.
    match = re.fullmatch(r"(.+?)[ :]+([SZHR12])", cleaned)
    if match is not None:
        found = gemmi.find_spacegroup_by_name(match[1] + _ORIGIN_SUFFIX[match[2]], alpha, gamma)
        if found is not None and found.ext == _ORIGIN_SUFFIX[match[2]][1]:
            return found
    return gemmi.find_spacegroup_by_name(cleaned, alpha, gamma)


def _states_setting(name: str) -> bool:
    """Whether a name says which origin or axes it means."""
    return re.search(r":\s*[12HhRr]|\s[SZHR]$", name.strip()) is not None


def _from_hall(symbol: str, where: str) -> Operations | None:
    """Operations of a Hall symbol, None where none is given."""
    if not symbol:
        return None
    try:
        if not _HALL.fullmatch(symbol):
            raise RuntimeError("unexpected characters")
        group = gemmi.symops_from_hall(symbol)
    except (RuntimeError, ValueError) as error:
        raise DataFormatError(f"{where}: Hall symbol {symbol[:40]!r} isn't valid ({error})") from None
    return operations_from_group(group, where)


def _checked_number(number: int | None, where: str) -> int | None:
    if number is not None and not 1 <= number <= 230:
        raise DataFormatError(f"{where}: a space group number lies between 1 and 230, got {number}")
    return number


_RHOMBOHEDRAL = frozenset({146, 148, 155, 160, 161, 166, 167})
