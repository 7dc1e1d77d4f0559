"""Calibration in the HDF5 layouts that are common in 4D-STEM.

HyperSpy (.hspy): Experiments/<name>/data beside groups axis-0 ... axis-3 and metadata.
EMD 0.2 of NCEM (.emd): a group with emd_group_type = 1 holding data and dim1 ... dim4.
EMD 1.0 of py4DSTEM: a DataCube group beside metadatabundle/calibration with Q_pixel_size and its kin.
NeXus (.nxs): a group whose attribute axes names the datasets of its axes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nbedex.scan.metadata import Axis, ScanMetadata, read_metadata

_VOLTAGE_NAMES = ("beam_energy", "voltage", "accelerating_voltage", "accelerating voltage", "high_tension")


def layout_of(file: Any, node: Any) -> tuple[str, ScanMetadata]:
    """Name of the layout a dataset belongs to, and the calibration it carries.

    Parameters
    ----------
    file
        The open h5py.File.
    node
        The scan's h5py.Dataset.

    Returns
    -------
    str
        "hspy", "py4dstem", "emd", "nexus" or "hdf5".
    ScanMetadata
        Empty for unknown layouts.
    """
    group = node.parent
    names = set(group)
    if "axis-0" in names:
        energy, said = _hyperspy_energy(group)
        return "hspy", _from_axes(list(_hyperspy_axes(group, node)), energy, said)
    calibration = _py4dstem_calibration(node)
    if calibration:
        return "py4dstem", _from_py4dstem(calibration, node)
    energy, said = _microscope_energy(file)
    if "dim1" in names or "dim0" in names:
        return "emd", _from_axes(list(_emd_axes(group, node)), energy, said)
    if "axes" in group.attrs or "signal" in group.attrs:
        return "nexus", _from_axes(list(_nexus_axes(group, node)), energy, said)
    return "hdf5", read_metadata((), (), beam_energy=energy, beam_energy_source=said)


def _from_axes(axes: list[Axis], energy: float | None, said: str) -> ScanMetadata:
    """Metadata from axes in array order: the last two are the detector's."""
    return read_metadata(axes[:-2], axes[-2:], beam_energy=energy, beam_energy_source=said)


def _text(value: Any) -> str:
    """Text of an attribute, whatever string type the writer used; empty for anything else."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return value if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    """Number in an attribute or a scalar dataset; None where there is none."""
    try:
        array = np.asarray(value)
        return float(array.reshape(-1)[0]) if array.size == 1 and array.dtype.kind in "iuf" else None
    except (TypeError, ValueError):
        return None


def _hyperspy_axes(group: Any, node: Any) -> Iterator[Axis]:
    for number, size in enumerate(node.shape):
        attributes = group[f"axis-{number}"].attrs if f"axis-{number}" in group else {}
        name = _text(attributes.get("name", "")) or f"axis-{number}"
        units = _text(attributes.get("units", ""))
        units = "" if units in ("_None_", "<undefined>", "t.Undefined") else units
        yield Axis(name=name, size=size, scale=_number(attributes.get("scale")), units=units)


def _hyperspy_energy(group: Any) -> tuple[float | None, str]:
    path = "metadata/Acquisition_instrument/TEM"
    energy = _number(group[path].attrs.get("beam_energy")) if path in group else None
    return energy, f"{path}.beam_energy"


def _emd_axes(group: Any, node: Any) -> Iterator[Axis]:
    first = 0 if "dim0" in group else 1
    for number, size in enumerate(node.shape):
        name = f"dim{number + first}"
        yield _axis_from_values(group, name, size)


def _nexus_axes(group: Any, node: Any) -> Iterator[Axis]:
    named = group.attrs.get("axes", node.attrs.get("axes", ""))
    listed = [_text(n) for n in np.atleast_1d(named)]
    if len(listed) == 1:
        listed = [n for n in listed[0].replace(",", ":").split(":") if n]
    for number, size in enumerate(node.shape):
        name = listed[number] if number < len(listed) else ""
        yield _axis_from_values(group, name, size)


def _axis_from_values(group: Any, name: str, size: int) -> Axis:
    """Axis from a one-dimensional dataset of its positions; uncalibrated where they are not evenly spaced."""
    import h5py

    label, units, scale = name or "unnamed", "", None
    link = group.get(name, getlink=True) if name else None
    if isinstance(link, h5py.HardLink) and isinstance(group[name], h5py.Dataset):
        values = group[name]
        label = _text(values.attrs.get("name", values.attrs.get("long_name", ""))) or name
        units = _text(values.attrs.get("units", ""))
        if values.shape is not None and len(values.shape) == 1 and values.dtype.kind in "iuf" and size > 1:
            scale = _spacing(np.asarray(values[:], dtype=np.float64), size)
        elif size == 1:
            scale = 1.0
    return Axis(name=label, size=size, scale=scale, units=units)


def _spacing(positions: np.ndarray[Any, np.dtype[np.float64]], size: int) -> float | None:
    """Even spacing of positions; py4DSTEM stores only the first two of them."""
    if positions.size not in (2, size) or positions.size < 2:
        return None
    steps = np.diff(positions)
    even = np.all(np.isfinite(steps)) and np.ptp(steps) <= 1e-3 * abs(float(steps.mean()))
    return float(steps.mean()) if even else None


def _microscope_energy(file: Any) -> tuple[float | None, str]:
    """Beam energy in the group microscope of an EMD file."""
    import h5py

    if isinstance(file.get("microscope", getlink=True), h5py.HardLink):
        attributes = file["microscope"].attrs
        for name in attributes:
            if name.lower() in _VOLTAGE_NAMES:
                return _number(attributes[name]), f"microscope.{name}"
    return None, ""


def _py4dstem_calibration(node: Any) -> dict[str, Any]:
    """Entries of the py4DSTEM calibration that belongs to a data cube; empty where there is none."""
    import h5py

    group = node.parent
    for _ in range(4):
        for place in ("metadatabundle/calibration", "calibration"):
            if place in group and isinstance(group[place], h5py.Group):
                found = dict(group[place].attrs)
                for name in group[place]:
                    item = group[place].get(name, getlink=True)
                    if isinstance(item, h5py.HardLink) and isinstance(group[place][name], h5py.Dataset):
                        if group[place][name].size == 1:
                            found[name] = group[place][name][()]
                if "Q_pixel_size" in found:
                    return found
        group = group.parent
    return {}


def _from_py4dstem(calibration: dict[str, Any], node: Any) -> ScanMetadata:
    """Metadata from py4DSTEM's calibration: R is the scan, Q the detector, x its rows."""
    shape = node.shape if len(node.shape) == 4 else (1, *node.shape)
    axes = []
    for number, size in enumerate(shape):
        letter = "R" if number < 2 else "Q"
        axes.append(
            Axis(
                name=f"{letter}_pixel_size of the py4DSTEM calibration",
                size=size,
                scale=_number(calibration.get(f"{letter}_pixel_size")),
                units=_plain_pixels(_text(calibration.get(f"{letter}_pixel_units", ""))),
            )
        )
    return read_metadata(axes[:2], axes[2:])


def _plain_pixels(units: str) -> str:
    return "" if units == "pixels" else units
