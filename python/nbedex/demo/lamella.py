"""The virtual lamella that comes with nbedex, and the file format of such specimens."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from nbedex.demo.specimen import Part, Region, Specimen
from nbedex.errors import ArgumentError, DataFormatError
from nbedex.phases import load_phase, templates_dir


class _Corner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    at: tuple[float, float]
    lean: tuple[float, float] = (0.0, 0.0)


class _Region(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    role: Part
    corners: tuple[int, ...]
    phase: str | None = None
    orientation: tuple[float, float, float, float] | None = None
    bend_deg: float = 0.0
    bend_axis_deg: float = 0.0


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    size_nm: tuple[float, float]
    thickness_nm: tuple[float, float, float, float]
    field_deg: float
    corner: tuple[_Corner, ...]
    region: tuple[_Region, ...]


def load_lamella(path: str | Path | None = None) -> Specimen:
    """Read a specimen from a TOML file.

    Parameters
    ----------
    path
        None: the virtual lamella of the published experiment (docs/lamella.md).

    Returns
    -------
    specimen
        Checked: its regions cut the field of view, its phases are known.

    Raises
    ------
    ArgumentError
        If there is no such file.
    DataFormatError
        If it isn't TOML, or holds no specimen; the message says where.
    """
    file = templates_dir() / "lamella" / "lamella.toml" if path is None else Path(path)
    try:
        values = tomllib.loads(file.read_bytes().decode("utf-8"))
    except OSError as error:
        raise ArgumentError(f"can't read the specimen {file}: {error.strerror or error}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataFormatError(f"{file} is not valid TOML: {error}") from None
    try:
        return _specimen(values)
    except (msgspec.ValidationError, ArgumentError) as error:
        raise DataFormatError(f"{file} holds no specimen: {error}") from None


def _specimen(values: dict[str, Any]) -> Specimen:
    read = msgspec.convert(values, _File)
    phases = tuple(dict.fromkeys(region.phase for region in read.region if region.phase is not None))
    for name in phases:
        load_phase(name)
    return Specimen(
        size_nm=read.size_nm,
        thickness_nm=read.thickness_nm,
        corners=np.array([corner.at for corner in read.corner], dtype=np.float64).reshape(-1, 2),
        lean=np.array([corner.lean for corner in read.corner], dtype=np.float64).reshape(-1, 2),
        regions=tuple(Region(**msgspec.structs.asdict(region)) for region in read.region),
        phases=phases,
        field_deg=read.field_deg,
    )
