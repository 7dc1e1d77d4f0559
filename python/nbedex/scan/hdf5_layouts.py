"""Calibration in the HDF5 layouts that are common in 4D-STEM.

HyperSpy (.hspy): Experiments/<name>/data beside groups axis-0 ... axis-3 and metadata.
EMD 0.2 of NCEM (.emd): a group with emd_group_type = 1 holding data and dim1 ... dim4.
EMD 1.0 of py4DSTEM: a DataCube group beside metadatabundle/calibration with Q_pixel_size and its kin.
NeXus (.nxs): a group whose attribute axes names the datasets of its axes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbedex.scan.metadata import Axis, ScanMetadata, detector_first, read_metadata

_MICROSCOPE = "metadata/Acquisition_instrument/TEM"
# What HyperSpy has written for a unit that nobody gave.
_UNDEFINED = ("_None_", "<undefined>", "t.Undefined")
# Names of a beam energy in the microscope group of EMD files, lower case.
_VOLTAGE_NAMES = ("beam_energy", "voltage", "accelerating_voltage", "accelerating voltage", "high_tension")


@dataclass(frozen=True)
class Layout:
    """How a dataset is to be read.

    Parameters
    ----------
    name
        "hspy", "py4dstem", "emd", "nexus" or "hdf5".
    metadata
        The calibration it carries; empty for unknown layouts.
    order
        Order of the dataset's axes that makes the array (scan_y, scan_x, det_y, det_x); the plain one is
        (0, 1, 2, 3).
    """

    name: str
    metadata: ScanMetadata
    order: tuple[int, ...]


def layout_of(file: Any, node: Any) -> Layout:
    """Layout that a dataset belongs to.

    Parameters
    ----------
    file
        The open h5py.File.
    node
        The scan's h5py.Dataset.

    """
    group = node.parent
    plain = tuple(range(len(node.shape)))
    if inside(group, "axis-0") is not None:
        return Layout("hspy", hyperspy_metadata(group, node.shape), plain)
    calibration = _py4dstem_calibration(node)
    if calibration:
        return Layout("py4dstem", _from_py4dstem(calibration, node), plain)
    energy, said = _microscope_energy(file)
    if inside(group, "dim1") is not None or inside(group, "dim0") is not None:
        axes = list(_emd_axes(group, node))
        order = _emd_order(axes, node)
        metadata = _from_axes([axes[number] for number in order], energy, said)
        if order != plain:
            metadata = metadata.with_notes("EMD file with the scan as its last axes, read in reversed order")
        return Layout("emd", metadata, order)
    if "axes" in group.attrs or "signal" in group.attrs:
        return Layout("nexus", _from_axes(list(_nexus_axes(group, node)), energy, said), plain)
    return Layout("hdf5", read_metadata((), (), beam_energy=energy, beam_energy_source=said), plain)


def _from_axes(axes: list[Axis], energy: float | None, said: str) -> ScanMetadata:
    """Metadata from axes in array order: the last two are the detector's."""
    return read_metadata(axes[:-2], axes[-2:], beam_energy=energy, beam_energy_source=said)


def inside(group: Any, path: str) -> Any:
    """Object at a path of hard links below a group; None where there is none (links are not followed)."""
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return None  # NeXus writes "." for an axis without values
        getlink = {"getlink": True} if hasattr(group, "id") and hasattr(group.id, "links") else {}
        if getlink and type(group.get(part, **getlink)).__name__ != "HardLink":
            return None
        if not hasattr(group, "keys") or part not in group:
            return None
        group = group[part]
    return group


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


def hyperspy_metadata(group: Any, shape: tuple[int, ...]) -> ScanMetadata:
    """Calibration of a signal in HyperSpy's layout; the same in HDF5 (.hspy) and zarr (.zspy).

    Parameters
    ----------
    group
        The signal's group: Experiments/<name>.
    shape
        Shape of its data.
    """
    axes = []
    for number, size in enumerate(shape):
        node = inside(group, f"axis-{number}")
        attributes = {} if node is None else node.attrs
        units = _text(attributes.get("units", ""))
        axes.append(
            Axis(
                name=_text(attributes.get("name", "")) or f"axis-{number}",
                size=size,
                scale=_number(attributes.get("scale")),
                units="" if units in _UNDEFINED else units,
            )
        )
    microscope = inside(group, _MICROSCOPE)
    energy = None if microscope is None else _number(microscope.attrs.get("beam_energy"))
    return _from_axes(axes, energy, f"{_MICROSCOPE}.beam_energy")


def _emd_axes(group: Any, node: Any) -> Iterator[Axis]:
    first = 1 if inside(group, "dim0") is None else 0
    for number, size in enumerate(node.shape):
        name = f"dim{number + first}"
        yield _axis_from_values(group, name, size)


def _emd_order(axes: list[Axis], node: Any) -> tuple[int, ...]:
    """Order of the axes of an EMD 0.2 dataset, where writers disagree.

    HyperSpy and RosettaSciIO store, and expect, the fastest axis first: (kx, ky, x, y). Others store
    (y, x, ky, kx), and number it from dim0 or call it datacube. Where units tell, they decide.
    """
    plain = tuple(range(len(axes)))
    if detector_first(axes):
        return plain[::-1]
    scan_first = detector_first([axes[n] for n in (2, 3, 0, 1)]) if len(axes) == 4 else False
    numbered_from_0 = inside(node.parent, "dim0") is not None
    if scan_first or numbered_from_0 or node.name.endswith("/datacube"):
        return plain
    return plain[::-1]


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
    label, units, scale = name or "unnamed", "", None
    values = inside(group, name) if name else None
    if values is not None and hasattr(values, "shape"):
        label = _text(values.attrs.get("name", values.attrs.get("long_name", ""))) or name
        units = _text(values.attrs.get("units", ""))
        if size == 1:
            scale = 1.0
        elif len(values.shape or ()) == 1 and values.dtype.kind in "iuf" and values.size in (2, size):
            scale = _spacing(np.asarray(values[:], dtype=np.float64))
    return Axis(name=label, size=size, scale=scale, units=units)


def _spacing(positions: np.ndarray[Any, np.dtype[np.float64]]) -> float | None:
    """Even spacing of positions (py4DSTEM stores only the first two of them)."""
    steps = np.diff(positions)
    even = np.all(np.isfinite(steps)) and np.ptp(steps) <= 1e-3 * abs(float(steps.mean()))
    return float(steps.mean()) if even else None


def _microscope_energy(file: Any) -> tuple[float | None, str]:
    """Beam energy in the group microscope of an EMD file."""
    microscope = inside(file["/"], "microscope")
    for name in () if microscope is None else microscope.attrs:
        if name.lower() in _VOLTAGE_NAMES:
            return _number(microscope.attrs[name]), f"microscope.{name}"
    return None, ""


def _py4dstem_calibration(node: Any) -> dict[str, Any]:
    """Entries of the py4DSTEM calibration that belongs to a data cube; empty where there is none.

    It lies in a group beside the cube or beside one of the groups around it; entries are attributes or
    scalar datasets, by version.
    """
    group = node.parent
    for _ in range(4):
        for place in ("metadatabundle/calibration", "calibration"):
            calibration = inside(group, place)
            if calibration is None or not hasattr(calibration, "keys"):
                continue
            found = dict(calibration.attrs)
            for name in calibration:
                item = inside(calibration, name)
                if getattr(item, "size", 0) == 1:
                    found[name] = item[()]
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
                units=_text(calibration.get(f"{letter}_pixel_units", "")),
            )
        )
    metadata = read_metadata(axes[:2], axes[2:])
    turned = [name for name in ("QR_rotation", "QR_rotation_degrees", "QR_flip") if calibration.get(name)]
    if turned:
        said = ", ".join(f"{name} = {calibration[name]}" for name in turned)
        metadata = metadata.with_notes(
            f"py4DSTEM's {said} is not applied: set rotation and handedness of the detector yourself"
        )
    return metadata
