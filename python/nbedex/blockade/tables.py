"""What is said of boundaries as columns with names and units, for CSV, HDF5 and GeoJSON alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbedex.blockade.classes import BoundaryClass
from nbedex.blockade.expected import Comparison
from nbedex.blockade.model import Blockade, Flag, Level, Statements, class_label
from nbedex.blockade.sums import sums
from nbedex.blockade.sweep import Sweep
from nbedex.maps.text import join_rows, number_column, text_column

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Column:
    """Numbers with the decimals to show, or (with `texts`) rows of a list of texts.

    `texts` hold no comma and no quote.
    """

    values: NDArray[np.generic]
    decimals: int = 0
    texts: tuple[str, ...] | None = None

    def plain(self) -> list[object]:
        """Numbers and texts of Python; None where there is no value."""
        if self.texts is not None:
            return [self.texts[int(row)] for row in self.values]
        if self.values.dtype.kind != "f":
            return [int(value) for value in self.values]
        rounded = np.round(np.asarray(self.values, dtype=np.float64), self.decimals)
        return [float(value) if np.isfinite(value) else None for value in rounded]


Columns = Mapping[str, Column]
_LABELS = tuple(class_label(code) for code in range(len(BoundaryClass)))
_VERDICTS = (*_LABELS, class_label(-2), class_label(-1))  # reached by the negative codes
_LEVELS = tuple(Level(v).label for v in (0, 1, 2, -9, -2, -1))
_N_FLAGS = sum(int(flag) for flag in Flag) + 1


def length_unit(blockade: Blockade) -> str:
    """nm, or px where the map does not say how large its pixels are."""
    return "nm" if blockade.network.grain_map.source.step_known else "px"


def segment_columns(blockade: Blockade, sweep: Sweep | None = None) -> dict[str, Column]:
    """One row per boundary segment; with `sweep` also when it would block in other fields."""
    s, b, unit = blockade.segments, blockade.network.boundaries, length_unit(blockade)
    columns = {
        "segment": Column(np.arange(len(s))),
        "grain_a": Column(b.grain_a),
        "grain_b": Column(b.grain_b),
        f"length_{unit}": Column(b.length, 3),
        **_statement_columns(s),
        "class_share": Column(s.code_share, 4),
        "accumulation_lowest": Column(s.lowest, 5),
        "accumulation_highest": Column(s.highest, 5),
        f"blocking_length_{unit}": Column(s.blocking_length, 3),
        "psi_deg": Column(b.psi_deg, 4),
        "delta_theta_deg": Column(b.delta_theta_deg, 4),
        "plane_to_boundary_a_deg": Column(b.plane_to_boundary_a_deg, 4),
        "plane_to_boundary_b_deg": Column(b.plane_to_boundary_b_deg, 4),
    }
    if sweep is not None:
        columns |= {
            "worst_field_deg": Column(sweep.worst_deg, 3),
            "worst_accumulation": Column(sweep.worst, 5),
            "blocks_from_deg": Column(sweep.blocks_from_deg, 3),
            "blocks_to_deg": Column(sweep.blocks_to_deg, 3),
        }
    return columns | _probability_columns(s)


def stretch_columns(blockade: Blockade) -> dict[str, Column]:
    """One row per stretch of boundary."""
    s, unit = blockade.stretches, length_unit(blockade)
    return {
        "segment": Column(s.segment),
        "first_point": Column(s.first),
        "last_point": Column(s.last),
        f"x_{unit}": Column(s.middle[:, 0], 3),
        f"y_{unit}": Column(s.middle[:, 1], 3),
        f"length_{unit}": Column(s.length, 3),
        "normal_deg": Column(_azimuth(s.normal), 3),
        "field_deg": Column(_azimuth(s.field), 3),
        **_statement_columns(blockade.along),
        **_probability_columns(blockade.along),
    }


def sweep_columns(sweep: Sweep) -> dict[str, Column]:
    """One row per direction of the field."""
    columns = {
        "field_deg": Column(sweep.direction_deg, 3),
        "blocking_share": Column(sweep.blocking_share, 6),
    }
    return columns | {_key(code): Column(sweep.class_share[:, code], 6) for code in range(len(BoundaryClass))}


def class_columns(blockade: Blockade, comparison: Comparison) -> dict[str, Column]:
    """One row per class, and one for boundaries out of the scheme: how much there is and how much chance gives."""
    along, length = blockade.along, blockade.stretches.length
    n, unit = len(BoundaryClass), length_unit(blockade)
    here = sums(along.code, length, n)
    blocking = sums(along.code, length * (along.accumulation >= blockade.settings.blocks_at), n)
    likely = length @ along.probability
    return {
        "class": Column(np.arange(n), texts=_LABELS),
        f"length_{unit}": Column(here, 3),
        f"probable_length_{unit}": Column(likely, 3),
        "share": Column(comparison.class_share, 6),
        "share_at_random": Column(comparison.class_expected, 6),
        f"blocking_length_{unit}": Column(blocking, 3),
    }


def _statement_columns(s: Statements) -> dict[str, Column]:
    nominal = np.take_along_axis(s.probability, s.code[:, None].astype(np.int64), axis=1)[:, 0]
    return {
        "class": Column(s.code, texts=_LABELS),
        "class_probability": Column(nominal, 4),
        "verdict": Column(s.verdict, texts=_VERDICTS),
        "class_from_traces": Column(s.code_traces, texts=_LABELS),
        "accumulation": Column(s.accumulation, 5),
        "accumulation_mean": Column(s.accumulation_mean, 5),
        "accumulation_sigma": Column(s.accumulation_sigma, 5),
        "transmission": Column(s.transmission, 5),
        "level": Column(np.where(s.level == Level.UNDEFINED, 3, s.level), texts=_LEVELS),
        "blocks_probability": Column(s.blocks_probability, 4),
        "flags": Column(s.flags, texts=_flag_texts()),
    }


def _probability_columns(s: Statements) -> dict[str, Column]:
    return {f"p_{_key(code)}": Column(s.probability[:, code], 4) for code in range(len(BoundaryClass))}


def _key(code: int) -> str:
    return BoundaryClass(code).name


def _flag_texts() -> tuple[str, ...]:
    """Names of the flags in every combination."""
    names = {flag: (flag.name or "").lower().replace("_", " ") for flag in Flag}
    return tuple("; ".join(name for flag, name in names.items() if value & flag) for value in range(_N_FLAGS))


def _azimuth(vectors: Floats) -> Floats:
    """Degrees from X towards Y, in [0, 360)."""
    angle = np.mod(np.rad2deg(np.arctan2(vectors[:, 1], vectors[:, 0])), 360.0)
    return np.asarray(np.where(np.round(angle, 3) >= 360.0, 0.0, angle))


def csv_of(columns: Columns) -> Iterator[bytes]:
    """Columns as CSV; empty where there is no value."""
    yield (",".join(columns) + "\r\n").encode()
    cells = [
        number_column(column.values, column.decimals)
        if column.texts is None
        else text_column(column.texts, column.values.astype(np.int64))
        for column in columns.values()
    ]
    yield from join_rows(cells, separator=",", newline="\r\n", align=False)
