"""What the .xml file of an EMPAD scan says, and what of it can be believed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from xml.etree import ElementTree

from nbedex.errors import DataFormatError
from nbedex.scan.metadata import Axis

_MAX_XML = 16 << 20


def _root(path: Path) -> ElementTree.Element:
    if path.stat().st_size > _MAX_XML:
        raise DataFormatError(f"{path}: {path.stat().st_size} bytes are too many for an EMPAD .xml file")
    try:
        # expat, below ElementTree, refuses entity bombs by itself and never opens other files.
        return ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise DataFormatError(f"{path}: not a readable XML file ({error})") from error


def raw_file(path: Path) -> Path:
    """File with the frames, which must lie beside the .xml file.

    Raises
    ------
    DataFormatError
        No EMPAD file, a raw file elsewhere (RosettaSciIO would open any path), or a missing one.
    """
    node = _root(path).find("raw_file")
    name = "" if node is None else node.get("filename", "")
    if not name:
        raise DataFormatError(f"{path}: not an EMPAD file, it names no raw_file")
    if name != PurePosixPath(name).name or name != PureWindowsPath(name).name or name == "..":
        raise DataFormatError(f"{path}: raw_file {name!r} is no plain file name; only files beside it are read")
    raw = path.with_name(name)
    if not raw.is_file():
        raise DataFormatError(f"{path}: its raw file {name!r} is missing; copy it beside the .xml file")
    return raw


def empad_calibration(
    path: Path, signal: dict[str, Any], axes: list[Axis]
) -> tuple[dict[str, Any], list[Axis], list[str]]:
    """Correct what RosettaSciIO 0.15 makes of an EMPAD file's calibration.

    It takes calibrated_pixelsize for a reciprocal length. In RosettaSciIO's own example file that number is
    the scan's field of view / 25000, a length in metres, so it is left out. The high voltage, in V, is not
    read by it and is taken from the .xml here.

    Parameters
    ----------
    path
        The .xml file.
    signal, axes
        As RosettaSciIO returns them, axes with the scan first.

    Returns
    -------
    signal, axes
        Corrected.
    notes
        Remarks for the user.
    """
    notes = []
    if axes[-1].units:
        notes.append(
            "pixel size ignored: what EMPAD files call calibrated_pixelsize is no reciprocal length; give --pixel-size"
        )
        axes = [*axes[:-2], *(replace(axis, scale=None, units="") for axis in axes[-2:])]
    root = _root(path)
    scanned = root.findtext("scan_parameters[@mode='acquire']/scan_size")
    if scanned and axes[:-2] and axes[0].units and scanned != "1":
        notes.append(
            f"the scan step is that of the full field of view, but the file says scan_size {scanned}:"
            " check it or give --scan-step"
        )
    measured = root.find("iom_measurements")
    for tag in ("high_voltage", "source.get_voltage"):
        text = None if measured is None else measured.findtext(tag)
        try:
            voltage = float(text) / 1e3 if text else None
        except ValueError:
            voltage = None
        if voltage is not None:
            signal = {**signal, "metadata": {"Acquisition_instrument": {"TEM": {"beam_energy": voltage}}}}
            break
    return signal, axes, notes
