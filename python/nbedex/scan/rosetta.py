"""Scans in the formats of detectors and microscopes, by RosettaSciIO.

RosettaSciIO reads the headers. The frames are then read by `RawSource` where the place of every frame in
the file follows from the header (.blo, .mib, EMPAD, .mrc, .dm3/.dm4, .tvips of one file): this is
independent of RosettaSciIO's lazy arrays, and both must agree on the first and the last frame. In all other
formats the lazy array is read, and checked against an eager read where the file is small enough for one.
"""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError, DataFormatError, NbedexError
from nbedex.scan.checks import SingleImageError, check_dimensions
from nbedex.scan.empad import empad_calibration
from nbedex.scan.metadata import Axis, ScanMetadata, detector_first, read_metadata
from nbedex.scan.raw_layouts import RawLayout, raw_layout
from nbedex.scan.scan import Scan
from nbedex.scan.sources import FrameSource, GridSource, RawSource
from nbedex.scan.units import length_factor

log = logging.getLogger(__name__)

# Files up to this size are read whole once to check a lazy reader that can't be checked otherwise, bytes.
EAGER_BUDGET = 1 << 30

_REFUSED = {
    ".prz": "RosettaSciIO 0.15 returns wrong numbers for compressed .prz files; convert it to .hspy",
    ".app5": "TopSpin files can only be read whole; export the scan to .hspy",
    ".zip": "unpack it first",
}
# Axes where RosettaSciIO 0.15 writes a scale of 1 that the file does not have.
_INVENTED = {"tvips": "scan", "mrc": "both"}
# Formats whose header has no room for a pixel size: TVIPS keeps it as a whole number.
_NO_PIXEL_SIZE = ("tvips",)


def open_rosetta(path: Path, *, scan_shape: tuple[int, int] | None) -> Scan:
    """Open a file through RosettaSciIO; see `nbedex.scan.open_scan`."""
    suffix = path.suffix.lower()
    if suffix in _REFUSED:
        raise DataFormatError(f"{path}: {_REFUSED[suffix]}")
    module, name = _plugin(path)
    if name == "image":  # .png, .bmp, .jpg: its lazy reader fails on what it can read whole
        raise SingleImageError(f"{path}: a single image; a scan has 4 dimensions, or 3 with --scan-shape")
    layout = raw_layout(name, path, scan_shape)
    signal = _choose(_read(module, path, lazy=True, options=layout.options if layout else {}), path)
    data = signal["data"]
    check_dimensions(tuple(data.shape), path)
    axes, order = _ordered_axes(signal)
    notes = list(layout.notes) if layout else []
    if order != tuple(range(data.ndim)):
        data = data.transpose(order)
        notes.append("the file has the detector axes first, as their units show; reading it is slow")
        layout = None
    if layout is not None:
        layout = layout.complete(signal)
    source: FrameSource
    if layout is not None:
        source = _raw_source(layout, data, path)
    else:
        source = _lazy_source(data)
        notes += _check_lazy(module, path, data, order)
    if name == "empad":
        signal, axes, more = empad_calibration(path, signal, axes)
        notes += more
    metadata = _metadata(signal, axes, name, scan_shape).with_notes(*notes)
    return Scan(
        source,
        path=path,
        format=name,
        metadata=metadata,
        scan_shape=scan_shape,
        saturation=layout.saturation if layout else None,
    )


def read_single(path: Path) -> tuple[NDArray[Any], ScanMetadata]:
    """The first signal of a file read whole, with what the file says of its calibration: for single images."""
    module, name = _plugin(path)
    try:
        signals = [s for s in _read(module, path, lazy=False, options={}) if s["data"].ndim == 2]
    except MemoryError as error:
        raise DataFormatError(f"{path}: too large for a single image, or damaged ({error})") from error
    if len(signals) != 1:
        raise DataFormatError(f"{path}: holds {len(signals)} images; export the right one to .hspy or .npy")
    axes, order = _ordered_axes(signals[0])
    return np.asarray(signals[0]["data"]).transpose(order), _metadata(signals[0], axes, name, None)


def _plugin(path: Path) -> tuple[Any, str]:
    """RosettaSciIO's module for a file, by its ending, and our short name of the format."""
    import rsciio

    ending = path.suffix.lower().lstrip(".")
    preferred = {"xml": "EMPAD", "mrc": "MRC", "hdf5": "HSPY", "h5": "USID", "img": "Hamamatsu"}
    found = [p for p in rsciio.IO_PLUGINS if ending in [e.lower() for e in p["file_extensions"]]]
    found.sort(key=lambda plugin: plugin["name"] != preferred.get(ending))
    if not ending or not found:
        raise ArgumentError(
            f"{path}: unknown format {path.suffix!r}; expected .hspy, .zspy, .blo, .mib, .dm3, .dm4, .emd,"
            " .mrc, .tvips, EMPAD .xml, HDF5 or .npy"
        )
    names = {"QuantumDetector": "mib", "DigitalMicrograph": "dm", "Blockfile": "blo"}
    plugin = found[0]
    return import_module(plugin["api"]), names.get(plugin["name"], plugin["name"].lower())


def _read(module: Any, path: Path, *, lazy: bool, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Call RosettaSciIO's reader; whatever it raises becomes one clear error, its warnings go to the log."""
    keywords = dict(options)
    known = inspect.signature(module.file_reader).parameters
    # Its default chunks cut the detector axes, which makes every frame several reads.
    if lazy and "chunks" in known:
        dimensions = options.get("dimensions", 4)
        keywords["chunks"] = ("auto",) * (dimensions - 2) + (-1, -1)
    keywords.pop("dimensions", None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            signals = _call(module.file_reader, path, lazy, keywords)
        except (MemoryError, NbedexError):
            raise
        except NotImplementedError as error:
            raise DataFormatError(
                f"{path}: RosettaSciIO can't read this format in parts ({error}); convert it to .hspy"
            ) from error
        except Exception as error:
            raise DataFormatError(f"{path}: damaged, or not what its name says ({error})") from error
    for warning in caught:
        log.info("%s: %s", path, warning.message)
    return signals


def _call(
    reader: Callable[..., list[dict[str, Any]]], path: Path, lazy: bool, keywords: dict[str, Any]
) -> list[dict[str, Any]]:
    """Call a reader; without our chunks where the number of dimensions turns out to be another one."""
    try:
        return reader(str(path), lazy=lazy, **keywords)
    except (TypeError, ValueError):
        if "chunks" not in keywords:
            raise
        return reader(str(path), lazy=lazy, **{k: v for k, v in keywords.items() if k != "chunks"})


def _choose(signals: list[dict[str, Any]], path: Path) -> dict[str, Any]:
    """The one signal that can be a scan: the only one of 4 dimensions, else the only one of 3."""
    for dimensions in (4, 3):
        best = [s for s in signals if getattr(s["data"], "ndim", 0) == dimensions]
        if len(best) == 1:
            return best[0]
        if best:
            shapes = ", ".join(" x ".join(map(str, s["data"].shape)) for s in best)
            raise DataFormatError(f"{path}: holds {len(best)} scans ({shapes}); export the right one to .hspy")
    if not signals:
        raise DataFormatError(f"{path}: holds no data")
    return signals[0]


def _ordered_axes(signal: dict[str, Any]) -> tuple[list[Axis], tuple[int, ...]]:
    """Axes with the scan first, and the order that brings the array there.

    DigitalMicrograph stores either order. Units decide: two reciprocal axes are the detector's when the
    two others are lengths. Otherwise RosettaSciIO's word is taken.
    """
    given = sorted(signal["axes"], key=lambda axis: int(axis.get("index_in_array", 0)))
    axes = [
        Axis(
            name=str(axis.get("name") or f"axis {number}"),
            size=int(axis["size"]),
            scale=float(axis["scale"]) if axis.get("scale") is not None else None,
            units=str(axis.get("units") or ""),
        )
        for number, axis in enumerate(given)
    ]
    if detector_first(axes):
        detector = [True, True, False, False]
    else:
        detector = [not axis.get("navigate", number < len(given) - 2) for number, axis in enumerate(given)]
        if sum(detector) != 2:
            detector = [number >= len(given) - 2 for number in range(len(given))]
    order = tuple(sorted(range(len(axes)), key=lambda number: (detector[number], number)))
    return [axes[number] for number in order], order


def _raw_source(layout: RawLayout, data: Any, path: Path) -> FrameSource:
    """Source that reads frames at their places in the file, checked against the lazy array."""
    frames = int(np.prod(data.shape[:-2], dtype=np.int64))
    scan_shape = tuple(int(n) for n in data.shape[:-2])
    if layout.frames is not None and layout.frames != frames:
        scan_shape = (layout.frames,)
    source = RawSource(
        layout.path,
        offset=layout.offset,
        stride=layout.stride,
        scan_shape=scan_shape,
        frame_shape=layout.frame_shape,
        dtype=layout.dtype,
        flip_rows=layout.flip_rows,
    )
    last = min(frames, int(np.prod(scan_shape))) - 1
    for index in (0, last):
        plain = source.read(index, index + 1)[0]
        lazy = _compute(data[np.unravel_index(index, data.shape[:-2])], path)
        if plain.shape != lazy.shape or not np.array_equal(plain, lazy, equal_nan=plain.dtype.kind == "f"):
            source.close()
            raise DataFormatError(
                f"{path}: pattern {index} as read from its place in the file is not what RosettaSciIO reads;"
                " neither is trusted, export the scan to .hspy"
            )
    return source


def _lazy_source(data: Any) -> FrameSource:
    """Source that reads a lazy dask array by slices, in this thread."""

    def fetch(where: tuple[slice, ...], workers: Executor | None) -> NDArray[Any]:
        return np.asarray(data[where].compute(scheduler="synchronous"))

    # No cache: its chunks are slices of a memory map or of an array on disk, cheap to read in part.
    return GridSource(
        fetch,
        scan_shape=tuple(int(n) for n in data.shape[:-2]),
        frame_shape=(int(data.shape[-2]), int(data.shape[-1])),
        dtype=data.dtype,
    )


def _compute(lazy: Any, path: Path) -> NDArray[Any]:
    try:
        return np.asarray(lazy.compute(scheduler="synchronous") if hasattr(lazy, "compute") else lazy)
    except Exception as error:
        raise DataFormatError(f"{path}: truncated or damaged ({error}); copy it again") from error


def _check_lazy(module: Any, path: Path, data: Any, order: tuple[int, ...]) -> list[str]:
    """Compare first and last frame of a lazy array with an eager read; a note where that is too large."""
    size = path.stat().st_size if path.is_file() else EAGER_BUDGET + 1
    if max(size, data.nbytes) > EAGER_BUDGET:
        return [
            "the lazy reader could not be checked against a plain read (the file is too large for one);"
            " look at the patterns before you trust them"
        ]
    eager = _choose(_read(module, path, lazy=False, options={}), path)["data"].transpose(order)
    for index in ((0,) * (data.ndim - 2), tuple(n - 1 for n in data.shape[:-2])):
        if not np.array_equal(_compute(data[index], path), eager[index]):
            raise DataFormatError(f"{path}: RosettaSciIO's lazy and eager reads differ; export it to .hspy")
    return []


def _metadata(signal: dict[str, Any], axes: list[Axis], name: str, scan_shape: tuple[int, int] | None) -> ScanMetadata:
    """Calibration of a signal; scales that RosettaSciIO made up are left out."""
    energy, said = _beam_energy(signal)
    scan_axes, detector_axes = axes[:-2], axes[-2:]
    invented = _INVENTED.get(name)
    if invented and all(axis.scale == 1.0 for axis in scan_axes):
        scan_axes = []
    if name in _NO_PIXEL_SIZE or (invented == "both" and all(axis.scale == 1.0 for axis in detector_axes)):
        detector_axes = [Axis(name=a.name, size=a.size, scale=None, units="") for a in detector_axes]
    if len(scan_axes) == 1 and (scan_shape is not None or length_factor(scan_axes[0].units) is None):
        scan_axes = []  # the axis of a stack, often a time, says nothing of the grid it is folded into
    return read_metadata(scan_axes, detector_axes, beam_energy=energy, beam_energy_source=said)


def _beam_energy(signal: dict[str, Any]) -> tuple[float | None, str]:
    """Beam energy from the metadata, or by the mapping from the file's own tags."""
    target = "Acquisition_instrument.TEM.beam_energy"
    value = _dig(signal.get("metadata", {}), target)
    if value is not None:
        return _as_float(value), target
    for tag, (place, convert) in signal.get("mapping", {}).items():
        value = _dig(signal.get("original_metadata", {}), tag) if place == target else None
        if value is not None:
            number = _as_float(convert(value) if convert else value)
            return number, tag
    return None, ""


def _dig(tree: Any, dotted: str) -> Any:
    for part in dotted.split("."):
        if not isinstance(tree, Mapping) or part not in tree:
            return None
        tree = tree[part]
    return tree


def _as_float(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
