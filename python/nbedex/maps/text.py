"""Numbers to text for whole columns at once, many times faster than formatting row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError

Characters = NDArray[np.uint8]
PAD = 0  # a byte that never occurs in the text: it is blanked or dropped when rows are joined

_ROWS = 100_000


class Column(Protocol):
    """A column of a table, not yet text: a band of the map at a time, and as wide as the widest band."""

    def width(self) -> int:
        """Characters that it needs."""

    def characters(self, width: int = 0) -> Characters:
        """(n, width or more), as `number_column` and `text_column` have them."""


@dataclass(frozen=True)
class Numbers:
    """Values (n,) with that many decimals; see `number_column`."""

    values: NDArray[np.generic]
    decimals: int = 0

    def width(self) -> int:
        scaled, _ = _scaled(self.values, self.decimals)
        return _width(scaled, self.decimals)

    def characters(self, width: int = 0) -> Characters:
        found = number_column(self.values, self.decimals)
        missing = width - found.shape[1]
        return np.pad(found, ((0, 0), (missing, 0)), constant_values=PAD) if missing > 0 else found


@dataclass(frozen=True)
class Texts:
    """texts[which]; see `text_column`."""

    texts: Sequence[str]
    which: NDArray[np.integer]

    def width(self) -> int:
        return max((len(text.encode()) for text in self.texts), default=0)

    def characters(self, width: int = 0) -> Characters:
        found = text_column(self.texts, self.which)
        missing = width - found.shape[1]
        return np.pad(found, ((0, 0), (0, missing)), constant_values=PAD) if missing > 0 else found


def number_column(values: NDArray[np.generic], decimals: int = 0) -> Characters:
    """Characters (n, width) of numbers (n,) with that many decimals, right-aligned, padded with PAD.

    A value that is not finite gives an empty field. Rounding is to the nearest, ties to even in
    units of the last decimal.
    """
    scaled, known = _scaled(values, decimals)
    whole = scaled.astype(np.int64)
    negative = whole < 0
    rest = np.abs(whole)
    width = _width(scaled, decimals)
    n_digits = width - 1 - (decimals > 0)
    out = np.full((len(whole), width), PAD, dtype=np.uint8)
    position = width - 1
    first = np.full(len(whole), width - 1)  # column of the leading digit
    for digit in range(n_digits):
        if decimals and digit == decimals:
            out[:, position] = ord(".")
            position -= 1
        shown = (rest > 0) | (digit <= decimals)
        out[:, position] = np.where(shown, rest % 10 + ord("0"), PAD)
        first[shown] = position
        rest //= 10
        position -= 1
    rows = np.flatnonzero(negative)
    out[rows, first[rows] - 1] = ord("-")
    out[~known] = PAD
    return out


def _scaled(values: NDArray[np.generic], decimals: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Whole numbers of units of the last decimal, 0 where `values` are not finite; and where they are."""
    exact = np.asarray(values)
    known = np.isfinite(exact)
    scaled = np.rint(np.where(known, exact, 0).astype(np.float64) * 10.0**decimals)
    if bool(np.any(np.abs(scaled) > 2.0**53)):
        raise ArgumentError(f"expected numbers below 2^53 / 10^{decimals} for a table, got {np.abs(exact).max()}")
    return scaled, known


def _width(scaled: NDArray[np.float64], decimals: int) -> int:
    """Characters for the longest of some numbers: its digits, and room for a sign and the point."""
    longest = int(np.abs(scaled).max(initial=0))
    return 1 + max(len(str(longest)), decimals + 1) + (decimals > 0)


def text_column(texts: Sequence[str], which: NDArray[np.integer]) -> Characters:
    """Characters (n, width) of texts[which], left-aligned, padded with PAD."""
    encoded = [text.encode() for text in texts]
    width = max(map(len, encoded), default=0)
    table = np.full((len(encoded), max(width, 1)), PAD, dtype=np.uint8)
    for row, text in zip(table, encoded, strict=True):
        row[: len(text)] = np.frombuffer(text, dtype=np.uint8)
    return np.asarray(table[which])


def join_rows(columns: Sequence[Characters], *, separator: str, newline: str, align: bool) -> Iterator[bytes]:
    """Lines of text from columns of characters, in pieces of some MB.

    With `align` the padding becomes blanks, so columns stand under one another; without it is dropped.
    """
    between = np.frombuffer(separator.encode(), dtype=np.uint8)
    end = np.frombuffer(newline.encode(), dtype=np.uint8)
    n_rows = len(columns[0])
    for start in range(0, n_rows, _ROWS):
        stop = min(start + _ROWS, n_rows)
        pieces: list[Characters] = []
        for column in columns:
            pieces += [column[start:stop], np.broadcast_to(between, (stop - start, len(between)))]
        pieces[-1] = np.broadcast_to(end, (stop - start, len(end)))
        block = np.concatenate(pieces, axis=1)
        if align:
            block[block == PAD] = ord(" ")
            yield block.tobytes()
        else:
            yield block[block != PAD].tobytes()
