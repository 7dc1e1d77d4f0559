"""Units as files write them, turned into the few that nbedex uses.

Reciprocal lengths become 1/angstrom (1/d, without 2 pi), lengths become nm, angles become radians.
A unit that is not understood is never guessed: the functions return None and the caller says so.
"""

from __future__ import annotations

import re

# One length in angstrom. Keys are what `_plain` leaves of a unit.
_ANGSTROM = {
    "pm": 1e-2,
    "a": 1.0,
    "å": 1.0,
    "ang": 1.0,
    "angstrom": 1.0,
    "angstroms": 1.0,
    "nm": 10.0,
    "nanometer": 10.0,
    "nanometers": 10.0,
    "um": 1e4,
    "µm": 1e4,
    "micron": 1e4,
    "microns": 1e4,
    "mm": 1e7,
    "m": 1e10,
}
_RADIAN = {"rad": 1.0, "mrad": 1e-3, "urad": 1e-6, "µrad": 1e-6}

# Spellings of "one over": 1/nm, nm^-1, nm-1, nm**-1, and what LaTeX leaves of $A^{-1}$.
_RECIPROCAL = re.compile(r"^(?:1/(?P<under>[^\d/^*-]+)|(?P<power>[^\d/^*-]+)(?:\^|\*\*)?-1)$")


def _plain(unit: str) -> str:
    """Unit in lower case without blanks, LaTeX, brackets and the prefix k_ or q_ of an axis name.

    The angstrom sign (U+212B) becomes the letter, Greek mu (U+03BC) the micro sign, a superscript -1 ^-1.
    """
    text = unit.replace("\u212b", "\u00c5").replace("\u03bc", "\u00b5").replace("\u207b\u00b9", "^-1")
    text = text.replace("\\AA", "A").replace("\\mathrm", "").replace("\u2212", "-")
    text = re.sub(r"[\s${}()\[\]]", "", text).lower()
    text = re.sub(r"^[kq]_", "", text)
    return text.replace("_", "")


def is_unit(unit: str) -> bool:
    """Whether a file gives any unit at all; pixels are none."""
    return _plain(unit) not in ("", "px", "pixel", "pixels")


def reciprocal_factor(unit: str) -> float | None:
    """Factor from a reciprocal length in `unit` to 1/angstrom, or None where `unit` is no such unit."""
    match = _RECIPROCAL.match(_plain(unit))
    if match is None:
        return None
    length = _ANGSTROM.get(match["under"] or match["power"])
    return None if length is None else 1.0 / length


def length_factor(unit: str) -> float | None:
    """Factor from a length in `unit` to nm, or None where `unit` is no length."""
    length = _ANGSTROM.get(_plain(unit))
    return None if length is None else length / 10.0


def angle_factor(unit: str) -> float | None:
    """Factor from an angle in `unit` to radians, or None where `unit` is no angle."""
    return _RADIAN.get(_plain(unit))
