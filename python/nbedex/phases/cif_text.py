"""From the bytes of a CIF to one gemmi block and its values; nothing in here evaluates text.

gemmi's parser is C++ without any expression evaluation. Numbers and symbols are read here with fixed
patterns of bounded length, so that a hostile file costs neither time nor trust.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import gemmi
from gemmi import cif

from nbedex.errors import ArgumentError, DataFormatError

MAX_FILE_SIZE = 20_000_000  # bytes; a structure is a few kB, with embedded reflection data a few MB
_NUMBER = re.compile(r"([+-]?(?:\d{1,40}\.?\d{0,40}|\.\d{1,40})(?:[eE][+-]?\d{1,4})?)(?:\(\d{1,12}\))?", re.ASCII)
_TYPE_SYMBOL = re.compile(r"([A-Za-z]{1,2})(?:\d{0,3}[+-]{0,2}\d{0,3})", re.ASCII)
_LABEL = re.compile(r"[A-Za-z]{1,3}")
_FORMULA_PART = re.compile(r"([A-Z][a-z]?)(\d{1,6}(?:\.\d{0,8})?|\.\d{1,8})?", re.ASCII)
_LAST_ELEMENT = 98  # californium: the last one with tabulated electron scattering factors
_ISOTOPES = {"D": "H", "T": "H"}


def shown(path: Path) -> str:
    """Name of a file for messages and phases: one line, printable, not without bound."""
    return "".join(c if c.isprintable() else "_" for c in path.name)[:120]


def read_text(path: Path) -> str:
    """Contents of a CIF as text, ASCII apart from what stands in comments and strings.

    Raises
    ------
    ArgumentError
        If there is no such file.
    DataFormatError
        If it can't be read, is empty, too large or binary.
    """
    if not path.exists():
        raise ArgumentError(f"no such file: {str(path)[:300]!r}")
    if not path.is_file():
        raise ArgumentError(f"expected a CIF, but {str(path)[:300]!r} isn't a file")
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_FILE_SIZE + 1)
    except OSError as error:
        raise DataFormatError(f"{shown(path)}: can't be read ({error.strerror})") from None
    if len(raw) > MAX_FILE_SIZE:
        raise DataFormatError(
            f"{shown(path)}: larger than {MAX_FILE_SIZE // 10**6} MB, not a CIF of a crystal structure"
        )
    return decode(raw, shown(path))


def decode(raw: bytes, where: str) -> str:
    """Text of a CIF's bytes: UTF-8 with or without byte order mark, UTF-16 with one, else Latin-1."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            text = raw.decode("utf-16")
        except UnicodeDecodeError:
            raise DataFormatError(f"{where}: expected a CIF (text), got binary data") from None
    else:
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
    if not text.strip():
        raise DataFormatError(f"{where}: the file is empty, expected a CIF")
    if any(ord(c) < 32 and c not in "\t\n\r\x0b\x0c\x1a" for c in text):
        raise DataFormatError(f"{where}: expected a CIF (text), got binary data")
    return text.replace("\x1a", " ")


def structure_block(text: str, where: str) -> cif.Block:
    """The one data block that holds a cell and atoms.

    Raises
    ------
    DataFormatError
        If the text isn't a CIF, or if none or several blocks describe a structure.
    """
    try:
        document = cif.read_string(text)
    except (RuntimeError, ValueError) as error:
        detail = " ".join(str(error).removeprefix("string:").split())[:120]
        raise DataFormatError(f"{where}: not a valid CIF (line {detail})") from None
    found = [block for block in document if value(block, ("_cell_length_a", "_cell.length_a")) and has_atoms(block)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise DataFormatError(
            f"{where}: none of its {len(document)} data block(s) holds a unit cell and atoms with fractional"
            " coordinates"
        )
    names = ", ".join(repr(block.name[:40]) for block in found[:8])
    raise DataFormatError(
        f"{where}: {len(found)} data blocks describe a structure ({names}); expected one, split the file"
    )


def has_atoms(block: cif.Block) -> bool:
    """Whether a block lists atoms with fractional coordinates."""
    return bool(column(block, ("_atom_site_fract_x", "_atom_site.fract_x")))


def value(block: cif.Block, tags: Sequence[str]) -> str:
    """First value given under one of `tags`, unquoted; empty where absent, '?' or '.'."""
    for tag in tags:
        found = block.find_values(tag)
        if len(found) > 0 and not cif.is_null(found[0]):
            return _one_line(found[0])
    return ""


def column(block: cif.Block, tags: Sequence[str]) -> list[str]:
    """Values of the first of `tags` that is there, unquoted; '' for '?' and '.'; empty list where absent."""
    for tag in tags:
        found = block.find_values(tag)
        if len(found) > 0:
            return ["" if cif.is_null(v) else _one_line(v) for v in found]
    return []


def _one_line(raw: str) -> str:
    """A value without its quotes, on one line: values go into messages, tables and logs."""
    return " ".join(cif.as_string(raw).split())


def number(text: str, what: str, where: str) -> float:
    """A CIF number, uncertainty in brackets dropped: '0.1234(5)' is 0.1234.

    Raises
    ------
    DataFormatError
        If `text` isn't a finite number; nan and inf aren't.
    """
    match = _NUMBER.fullmatch(text)
    result = float(match[1]) if match is not None else math.nan
    if not math.isfinite(result):
        raise DataFormatError(f"{where}: {what} must be a number, got {text[:40]!r}")
    return result


def integer(text: str, what: str, where: str) -> int:
    """A CIF integer."""
    result = number(text, what, where)
    if result != int(result):
        raise DataFormatError(f"{where}: {what} must be an integer, got {text[:40]!r}")
    return int(result)


def element_of(type_symbol: str, label: str, where: str) -> str:
    """Element of an atom site from its type symbol (Na, Na+, Al3+, O2-), or else from its label (Na1, O2A).

    Deuterium and tritium count as hydrogen: electrons see no difference.

    Raises
    ------
    DataFormatError
        If it names no element up to californium.
    """
    if type_symbol:
        match = _TYPE_SYMBOL.fullmatch(type_symbol)
        guesses = [match[1]] if match is not None else []
    else:
        match = _LABEL.match(label)
        # 'OW1' is an oxygen: where the leading letters aren't an element, the first one may be.
        guesses = [match[0], match[0][0]] if match is not None else []
    for guess in guesses:
        name = guess[:1].upper() + guess[1:].lower()
        name = _ISOTOPES.get(name, name)
        known = gemmi.Element(name)
        if 1 <= known.atomic_number <= _LAST_ELEMENT and known.name == name:
            return name
    shown = type_symbol or label
    raise DataFormatError(f"{where}: atom {label[:40]!r} is of unknown element {shown[:40]!r}")


def formula_counts(formula: str) -> dict[str, float] | None:
    """Atoms per formula unit from a CIF formula such as 'Al11 Na1.29 O17'; None where it isn't one."""
    counts: dict[str, float] = {}
    for part in formula[:2000].split():
        match = _FORMULA_PART.fullmatch(part)
        if match is None:
            return None
        name = _ISOTOPES.get(match[1], match[1])
        counts[name] = counts.get(name, 0.0) + (float(match[2]) if match[2] else 1.0)
    return counts if counts and all(v > 0 for v in counts.values()) else None
