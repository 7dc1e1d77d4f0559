"""The electric field that drives Na+: one direction, or a map of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.scan.npy import read_npy, whole_header

Floats = NDArray[np.float64]


class Field(Protocol):
    """A field that can be looked up on boundaries."""

    def at(self, points: Floats, normals: Floats) -> Floats:
        """(k, 3) field at points (k, 2), (x, y) in nm, of boundaries with unit normals (k, 3)."""
        ...

    @property
    def description(self) -> dict[str, Any]:
        """For provenance and titles."""
        ...


@dataclass(frozen=True)
class UniformField:
    """The same field everywhere, in the plane of the map.

    Attributes
    ----------
    direction_deg
        Where Na+ is driven, from X (right) towards Y (down).
    """

    direction_deg: float

    def __post_init__(self) -> None:
        if not np.isfinite(self.direction_deg):
            raise ArgumentError(f"the direction of the field must be a finite angle, got {self.direction_deg!r}")

    @property
    def vector(self) -> Floats:
        """(3,) unit vector."""
        angle = np.deg2rad(self.direction_deg)
        return np.array([np.cos(angle), np.sin(angle), 0.0])

    def at(self, points: Floats, normals: Floats) -> Floats:
        return np.broadcast_to(self.vector, (len(points), 3))

    @property
    def description(self) -> dict[str, Any]:
        return {"kind": "uniform", "direction_deg": float(self.direction_deg)}


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldMap:
    """A field given in every pixel, such as the local field of a transport calculation.

    The field jumps at a boundary: the one that counts there is the mean of the two sides, each looked up one pixel
    away from the boundary. (With its own field on each side nothing would ever pile up: a steady current is computed
    so.)

    Attributes
    ----------
    values
        (ny, nx, 2 or 3) components along X, Y (and Z), any unit; NaN where there is none.
    step
        (along Y, along X) size of a pixel in nm.
    name
        For provenance.
    """

    values: Floats
    step: tuple[float, float]
    name: str = "field map"

    def __post_init__(self) -> None:
        shape = self.values.shape
        if self.values.ndim != 3 or shape[2] not in (2, 3) or 0 in shape:
            raise ArgumentError(f"expected a field map of shape (rows, columns, 2 or 3), got {shape}")
        if not np.isfinite(self.values).any():
            raise ArgumentError("the field map holds no number")

    def at(self, points: Floats, normals: Floats) -> Floats:
        offset = normals[:, :2] * np.array([self.step[1], self.step[0]])
        sides = np.stack([self._between(points - offset), self._between(points + offset)])
        known = ~np.isnan(sides.sum(axis=2))
        total = np.where(known[..., None], sides, 0.0).sum(axis=0)
        count = known.sum(axis=0)[:, None]
        return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))

    def _between(self, points: Floats) -> Floats:
        """Bilinear between the four pixels around each point, those with a number."""
        ny, nx, parts = self.values.shape
        x = np.clip(points[:, 0] / self.step[1], 0, nx - 1)
        y = np.clip(points[:, 1] / self.step[0], 0, ny - 1)
        column, row = np.minimum(x.astype(np.int64), max(nx - 2, 0)), np.minimum(y.astype(np.int64), max(ny - 2, 0))
        total, weight = np.zeros((len(points), 3)), np.zeros(len(points))
        for down in (0, 1):
            for right in (0, 1):
                here = self.values[np.minimum(row + down, ny - 1), np.minimum(column + right, nx - 1)]
                share = np.abs(1 - down - (y - row)) * np.abs(1 - right - (x - column))
                share = np.where(np.isfinite(here).all(axis=1), share, 0.0)
                total[:, :parts] += np.where(share[:, None] > 0, here, 0.0) * share[:, None]
                weight += share
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(weight[:, None] > 1e-9, total / weight[:, None], np.nan))

    @property
    def description(self) -> dict[str, Any]:
        return {"kind": "map", "name": self.name}


TRANSPORT_FIELD = "maps/field"  # where `nbedex transport` leaves the local field


def read_field_map(
    path: str | os.PathLike[str], *, shape: tuple[int, int], step: tuple[float, float], dataset: str | None = None
) -> FieldMap:
    """Read a field map from a NumPy file or a dataset of an HDF5 file.

    Parameters
    ----------
    path
        A .npy file, or an HDF5 file.
    shape
        (ny, nx) that it must have, that of the map.
    step
        (along Y, along X) in nm.
    dataset
        Path of the dataset within an HDF5 file; None: where `nbedex transport` leaves the local field.

    Raises
    ------
    ArgumentError
        If there is no such file, or its shape does not fit.
    DataFormatError
        If it can't be read, or holds no real numbers.
    """
    if not os.path.isfile(path):
        raise ArgumentError(f"expected a field map, found no file at {os.fspath(path)}")
    with open(path, "rb") as stream:
        is_hdf5 = stream.read(8) == b"\x89HDF\r\n\x1a\n"
    if dataset is not None and not is_hdf5:
        raise DataFormatError(f"{os.fspath(path)} is no HDF5 file, so it has no dataset {dataset!r}")
    values = _read_hdf5(path, dataset or TRANSPORT_FIELD, shape) if is_hdf5 else _read_npy(path, shape)
    return FieldMap(values=values.astype(np.float64), step=step, name=Path(path).name)


def _read_npy(path: str | os.PathLike[str], shape: tuple[int, int]) -> NDArray[Any]:
    _check(whole_header(Path(path)), path, shape)  # before a byte of it is read
    return read_npy(Path(path))


def _read_hdf5(path: str | os.PathLike[str], dataset: str, shape: tuple[int, int]) -> NDArray[Any]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            found = file.get(dataset)
            if not isinstance(found, h5py.Dataset):
                raise ArgumentError(f"{os.fspath(path)} has no dataset {dataset!r} with a field; say where it is")
            _check(found, path, shape)  # before a byte of it is read
            return np.asarray(found[()])
    except ArgumentError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise DataFormatError(f"{os.fspath(path)} can't be read as an HDF5 file: {error}") from None


def _check(values: Any, path: str | os.PathLike[str], shape: tuple[int, int]) -> None:
    if values.dtype.kind not in "fiu":
        raise DataFormatError(f"{os.fspath(path)}: expected real numbers, got {values.dtype}")
    if len(values.shape) != 3 or values.shape[:2] != shape or values.shape[2] not in (2, 3):
        raise ArgumentError(
            f"{os.fspath(path)}: expected a field of shape ({shape[0]}, {shape[1]}, 2 or 3), as the map is,"
            f" got {values.shape}"
        )
