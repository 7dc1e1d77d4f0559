"""The file of `nbedex transport` as maps to look at."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.transport.export import FORMAT, VERSION

Floats = NDArray[np.float64]
_MOST_CELLS = 512 * 512
_LINES = 24  # of current: between two neighbours flows 1/24 of all


@dataclass(frozen=True, kw_only=True, eq=False)
class CurrentMaps:
    """What the file holds; cells may be smaller than the map's pixels, and reach beyond the map.

    Attributes
    ----------
    density, field
        (ny, nx, 2) A/m^2 and V/m along X and Y; the field is NaN where there is none.
    potential
        (ny, nx) V.
    extent
        Left, right, top, bottom in nm, in the frame of the grain map.
    lines
        Lines of current, (m, 2) each in nm, with equal currents between them; empty where there is no such function.
    crowding
        (n,) current density at each boundary segment over the mean; None without boundaries.
    summary, settings
        Of the calculation, as in the file.
    """

    density: Floats
    field: Floats
    potential: Floats
    extent: tuple[float, float, float, float]
    lines: tuple[Floats, ...]
    crowding: Floats | None
    summary: dict[str, Any]
    settings: dict[str, Any]

    @property
    def every(self) -> int:
        """Every how many rows and columns of cells are shown."""
        return max(1, int(np.ceil(np.sqrt(self.potential.size / _MOST_CELLS))))

    def shown(self, values: Floats) -> Floats:
        """The cells of a map (ny, nx) that are shown."""
        return np.ascontiguousarray(values[:: self.every, :: self.every])

    @property
    def shown_extent(self) -> tuple[float, float, float, float]:
        """`extent` of what is shown, which is up to `every` - 1 cells larger."""
        ny, nx = self.potential.shape
        left, right, top, bottom = self.extent
        rows, columns = (-(-n // self.every) * self.every / n for n in (ny, nx))
        return left, left + (right - left) * columns, top, top + (bottom - top) * rows

    @property
    def mean_direction_deg(self) -> float:
        """Direction of the mean field, from X towards Y, in whole degrees."""
        known = np.isfinite(self.field).all(axis=-1)
        x, y = self.field[known].mean(axis=0) if known.any() else (1.0, 0.0)
        return float(np.round(np.rad2deg(np.arctan2(y, x))) % 360)


def read_current(path: str | os.PathLike[str], *, segments: int) -> CurrentMaps:
    """Read a file of `nbedex transport -o`.

    Parameters
    ----------
    path
        The file.
    segments
        Boundary segments of the grain map; the file's table of boundaries is used if it is about as many.

    Raises
    ------
    ArgumentError
        If there is no such file.
    DataFormatError
        If it is another kind of file, or damaged.
    """
    import h5py

    name = os.fspath(path)
    if not os.path.isfile(path):
        raise ArgumentError(f"expected a file of `nbedex transport -o`, found none at {name}")
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT or file.attrs.get("version") != VERSION:
                raise DataFormatError(
                    f"{name} is no current of this nbedex: expected format {FORMAT!r} {VERSION}, got"
                    f" {file.attrs.get('format')!r} {file.attrs.get('version')!r}; write one with `nbedex transport -o`"
                )
            maps = file["maps"]
            density, field, potential = (np.asarray(maps[key][()]) for key in ("current_density", "field", "potential"))
            dy, dx = (float(v) for v in maps.attrs["step_nm"])
            x0, y0 = (float(v) for v in maps.attrs["origin_nm"])
            ny, nx = potential.shape
            if density.shape != (ny, nx, 2) or field.shape[:2] != (ny, nx):
                raise DataFormatError(f"{name}: the maps of current, field and potential are of different shapes")
            extent = x0 - dx / 2, x0 + (nx - 0.5) * dx, y0 - dy / 2, y0 + (ny - 0.5) * dy
            stream = np.asarray(maps["stream_function"][()]) if "stream_function" in maps else None
            return CurrentMaps(
                density=density,
                field=field[..., :2],
                potential=potential,
                extent=extent,
                lines=_lines_of_current(stream, extent),
                crowding=_crowding(file, segments),
                summary=json.loads(file.attrs["summary"]),
                settings=json.loads(file.attrs["settings"]),
            )
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise DataFormatError(f"{name} can't be read as a current of `nbedex transport`: {error}") from error


def _crowding(file: Any, segments: int) -> Floats | None:
    """Of each segment; NaN where the table has none."""
    if "boundaries" not in file:
        return None
    segment, values = (np.asarray(file["boundaries"][key][()]) for key in ("segment", "crowding"))
    mine = segment >= 0
    if not mine.any() or segment.max() >= segments:
        return None
    crowding = np.full(segments, np.nan)
    crowding[segment[mine]] = values[mine]
    return crowding


def _lines_of_current(stream: Floats | None, extent: tuple[float, float, float, float]) -> tuple[Floats, ...]:
    """Level lines of the stream function, which is given in the corners of cells."""
    from contourpy import contour_generator

    if stream is None or not np.ptp(stream) > 0:
        return ()
    left, right, top, bottom = extent
    x, y = np.linspace(left, right, stream.shape[1]), np.linspace(top, bottom, stream.shape[0])
    levels = stream.min() + np.ptp(stream) * (np.arange(_LINES) + 0.5) / _LINES
    made = contour_generator(x, y, stream)
    return tuple(np.asarray(line) for level in levels for line in made.lines(level))
