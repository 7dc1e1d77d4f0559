"""Solutions in files: HDF5 with everything, VTK image data for ParaView, CSV for boundaries."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from nbedex.files import replacing, write_atomically
from nbedex.transport.boundaries import BoundaryCurrents
from nbedex.transport.lines import stream_function
from nbedex.transport.solve import Solution

FORMAT = "nbedex-current"
VERSION = 1


def summary_of(solution: Solution) -> dict[str, Any]:
    """Numbers of a solution: resistance, electrodes, checks, what floats, what was assumed."""
    problem, checked = solution.problem, solution.checked
    structure = problem.structure
    return {
        "model": solution.settings.model,
        "cells": list(structure.shape),
        "cell_nm": [structure.step[0], structure.step[1]],
        "resistance_ohm": solution.resistance,
        "resistance_uncertainty_ohm": solution.resistance_uncertainty,
        "map_change": solution.map_change,
        "electrodes": [
            {"name": electrode.label, "potential_V": float(potential), "current_A": float(current)}
            for electrode, potential, current in zip(
                problem.electrodes, solution.electrode_potential, solution.electrode_current, strict=True
            )
        ],
        "conductance_S": solution.conductance.tolist(),
        "residual": checked.residual,
        "cell_imbalance": checked.cell_imbalance,
        "charge_balance": solution.charge_balance,
        "refinements": checked.refinements,
        "unknowns": checked.unknowns,
        "solver": checked.solver,
        "factor_bytes": checked.factor_bytes,
        "seconds": solution.seconds,
        "floating_regions": solution.connected.floating_regions,
        "floating_cells": solution.connected.floating_cells,
        "notes": list(structure.notes),
    }


def boundary_columns(of: BoundaryCurrents) -> dict[str, NDArray[Any]]:
    """Columns of the table of boundaries, by name with unit."""
    return {
        "low": of.low,
        "high": of.high,
        "segment": of.segment,
        "length_nm": of.length,
        "normal_x": of.normal[:, 0],
        "normal_y": of.normal[:, 1],
        "flux_across_A_per_m2": of.flux_across,
        "flux_along_A_per_m2": of.flux_along,
        "flux_path_A_nm_per_m2": of.flux_path,
        "potential_jump_V": of.potential_jump,
        "side_difference_A_per_m2": of.side_difference,
        "magnitude_difference_A_per_m2": of.magnitude_difference,
        "crowding": of.crowding,
        "field_x_V_per_m": of.field[:, 0],
        "field_y_V_per_m": of.field[:, 1],
        "field_z_V_per_m": of.field[:, 2],
        "accumulation": of.accumulation,
        "transmission": of.transmission,
        "class": np.array(of.labels, dtype=object),
    }


def write_boundary_csv(path: str | os.PathLike[str], of: BoundaryCurrents, *, overwrite: bool = False) -> Path:
    """One line per boundary, full precision, the header with units."""
    columns = boundary_columns(of)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
    return write_atomically(path, [text.getvalue().encode()], overwrite=overwrite)


def write_current(
    path: str | os.PathLike[str],
    solution: Solution,
    boundaries: BoundaryCurrents | None = None,
    *,
    provenance: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write an HDF5 file: maps under /maps, boundaries under /boundaries, numbers as JSON in the attributes.

    Raises
    ------
    OutputError
        If the file exists and `overwrite` is not given, or it can't be written.
    """
    import h5py

    structure = solution.problem.structure
    with replacing(path, overwrite=overwrite, suffix=".h5") as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"], file.attrs["version"] = FORMAT, VERSION
        file.attrs["summary"] = json.dumps(summary_of(solution))
        file.attrs["settings"] = json.dumps(solution.settings.to_dict())
        file.attrs["provenance"] = json.dumps(provenance or {}, default=str)
        maps = file.create_group("maps")
        maps.attrs["step_nm"] = structure.step
        maps.attrs["origin_nm"] = structure.origin
        for name, (values, unit) in _maps(solution).items():
            dataset = maps.create_dataset(name, data=values, compression="gzip", compression_opts=1, shuffle=True)
            dataset.attrs["unit"] = unit
        psi = stream_function(solution)
        if psi is not None:
            dataset = maps.create_dataset("stream_function", data=psi, compression="gzip", compression_opts=1)
            dataset.attrs["unit"] = "A/m"
        if boundaries is not None:
            table = file.create_group("boundaries")
            for name, column in boundary_columns(boundaries).items():
                table.create_dataset(name, data=column.astype("S") if column.dtype == object else column)
    return Path(os.path.realpath(path))


def _maps(solution: Solution) -> dict[str, tuple[NDArray[Any], str]]:
    problem = solution.problem
    return {
        "region": (problem.structure.labels, ""),
        "electrode": (problem.of_cell, ""),
        "potential": (solution.potential, "V"),
        "current_density": (solution.current_density, "A/m^2"),
        "field": (solution.field, "V/m"),
        "through_vertical_faces": (solution.across, "A/m"),
        "through_horizontal_faces": (solution.along, "A/m"),
    }


def write_vtk(path: str | os.PathLike[str], solution: Solution, *, overwrite: bool = False) -> Path:
    """Write VTK image data (.vti) with the maps as cell data, vectors with three components, lengths in nm.

    X and Y are those of the sample frame; Y runs down in the map, which viewers with Y up show mirrored.
    """
    return write_atomically(path, _vti(solution), overwrite=overwrite)


def _vti(solution: Solution) -> Iterator[bytes]:
    structure = solution.problem.structure
    (ny, nx), (dy, dx) = structure.shape, structure.step
    origin = (structure.origin[0] - dx / 2, structure.origin[1] - dy / 2)
    thickness = solution.settings.thickness
    extent = f'"0 {nx} 0 {ny} 0 1"'
    head = (
        '<?xml version="1.0"?>\n<VTKFile type="ImageData" version="1.0" byte_order="LittleEndian"'
        f' header_type="UInt64">\n<ImageData WholeExtent={extent} Origin="{origin[0]!r} {origin[1]!r} 0.0"'
        f' Spacing="{dx!r} {dy!r} {float(thickness)!r}">\n<Piece Extent={extent}>\n'
        '<CellData Scalars="potential" Vectors="current_density">\n'
    )
    yield head.encode()
    density = np.concatenate([solution.current_density, np.zeros((ny, nx, 1))], axis=-1)
    arrays = {
        "potential": solution.potential,
        "current_density": density,
        "current_magnitude": solution.magnitude,
        "field": solution.field,
        "region": structure.labels,
        "electrode": solution.problem.of_cell,
    }
    for name, values in arrays.items():
        kind = {"f": "Float64", "i": f"Int{8 * values.itemsize}"}[values.dtype.kind]
        raw = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
        parts = values.shape[2] if values.ndim == 3 else 1
        yield f'<DataArray type="{kind}" Name={quoteattr(name)} NumberOfComponents="{parts}" format="binary">'.encode()
        yield base64.b64encode(struct.pack("<Q", len(raw)) + raw)
        yield b"</DataArray>\n"
    yield b"</CellData>\n</Piece>\n</ImageData>\n</VTKFile>\n"
