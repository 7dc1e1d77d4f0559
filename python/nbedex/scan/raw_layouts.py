"""Where the frames lie in files whose headers say so: .blo, .mib, EMPAD, .mrc, .dm3/.dm4, .tvips.

Own readings of a few header fields, so that truncation is noticed before any data is touched and
RosettaSciIO's lazy arrays have something to be compared with. Formats as documented by their makers and
RosettaSciIO.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.scan.sources import truncated


@dataclass(frozen=True, kw_only=True)
class RawLayout:
    """Frames at regular distances in a file.

    Parameters
    ----------
    path
        The file with the frames (for EMPAD not the one that was opened).
    offset, stride
        Position of the first frame and distance of two, bytes.
    frame_shape, dtype
        Of a frame.
    flip_rows
        Whether RosettaSciIO, and we, turn the frame upside down.
    frames
        Number of frames, where it is not the number that RosettaSciIO reports.
    saturation
        Largest count of the detector, where it is below the largest number of the type.
    options
        Arguments for RosettaSciIO's reader.
    notes
        Remarks for the user.
    late
        Fills in what only RosettaSciIO's header dictionary says; None where nothing is missing.
    """

    path: Path
    offset: int = 0
    stride: int = 0
    frame_shape: tuple[int, int] = (0, 0)
    dtype: np.dtype[Any] = np.dtype(np.uint8)  # noqa: RUF009
    flip_rows: bool = False
    frames: int | None = None
    saturation: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    late: Callable[[RawLayout, dict[str, Any]], RawLayout | None] | None = None

    def complete(self, signal: dict[str, Any]) -> RawLayout | None:
        """Layout with what the signal's header adds; None where frames don't lie at regular distances."""
        return self if self.late is None else self.late(self, signal)


def raw_layout(name: str, path: Path, scan_shape: tuple[int, int] | None) -> RawLayout | None:
    """Layout of a file of format `name`; None for formats without one.

    Raises
    ------
    DataFormatError
        The header is damaged or the file is shorter than it says.
    ArgumentError
        The scan's shape is needed.
    """
    readers: dict[str, Callable[[Path, tuple[int, int] | None], RawLayout]] = {
        "blo": _blo,
        "mib": _mib,
        "empad": _empad,
        "mrc": _mrc,
        "dm": lambda p, _: RawLayout(path=p, late=_dm_late),
        "tvips": lambda p, _: RawLayout(path=p, late=_tvips_late),
    }
    return readers[name](path, scan_shape) if name in readers else None


def _head(path: Path, size: int) -> bytes:
    with open(path, "rb") as file:
        head = file.read(size)
    if len(head) < size:
        raise truncated(path, size, len(head))
    return head


def _blo(path: Path, scan_shape: tuple[int, int] | None) -> RawLayout:
    """NanoMEGAS block file: every frame of uint8 follows 6 bytes (AA 55 and its number)."""
    head = _head(path, 240)
    magic, _vbf, data_offset, _flags, side, _turn, columns, rows = struct.unpack_from("<HIIIHHHH", head, 6)
    if head[:6] != b"IMGBLO" or magic != 0x0102:
        raise DataFormatError(f"{path}: not a .blo file, it starts with {head[:8]!r}, not IMGBLO")
    if not (rows and columns and side):
        raise DataFormatError(f"{path}: empty, {rows} x {columns} patterns of {side} x {side} pixels")
    stride, size = side * side + 6, path.stat().st_size
    needed = data_offset + rows * columns * stride
    if size < needed:  # before RosettaSciIO makes a table of patterns that are not there
        raise truncated(path, needed, size)
    return RawLayout(
        path=path,
        offset=data_offset + 6,
        stride=stride,
        frame_shape=(side, side),
        frames=rows * columns,
    )


def _mib(path: Path, scan_shape: tuple[int, int] | None) -> RawLayout:
    """Quantum Detectors Merlin: every frame follows a text header of 384 or 768 bytes, big-endian."""
    fields = _head(path, 384).decode("ascii", errors="replace").split(",")
    try:
        header, width, height, kind = int(fields[2]), int(fields[4]), int(fields[5]), fields[6]
        if not fields[0].startswith("MQ") or min(header, width, height) < 1:
            raise ValueError(fields[0])
    except (ValueError, IndexError) as error:
        raise DataFormatError(f"{path}: not a Merlin .mib file, its header has no MQ1 fields") from error
    types = {"U08": ">u1", "U16": ">u2", "U32": ">u4"}
    if kind not in types:
        raise DataFormatError(f"{path}: pixel type {kind} (raw chip data) can't be read; save it as U08, U16 or U32")
    dtype = np.dtype(types[kind])
    stride = header + width * height * dtype.itemsize
    size = path.stat().st_size
    frames, rest = divmod(size, stride)
    said, columns, depth = _merlin_hdr(path)
    expected = said or (frames + 1 if rest else frames)
    notes = ["detector rows are turned upside down against the .mib file, as RosettaSciIO and HyperSpy do"]
    if rest or frames < expected:
        if scan_shape is None or not 0 < scan_shape[0] * scan_shape[1] <= frames:
            raise DataFormatError(
                f"{path}: truncated, {expected} patterns need {expected * stride} bytes, the file has {size}"
                f" ({frames} whole patterns); of an interrupted scan give --scan-shape of the whole rows"
            )
        notes.append(f"the scan was interrupted: {frames} of {expected} patterns are in the file")
        frames = scan_shape[0] * scan_shape[1]
    options: dict[str, Any] = {"navigation_shape": (frames,), "dimensions": 3}
    if scan_shape is None:
        if said is None:
            raise ArgumentError(
                f"{path}: no .hdr file beside it says the shape of the scan; give --scan-shape ROWS,COLUMNS"
                f" ({frames} patterns)"
            )
        if columns > 1 and frames % columns == 0:
            options = {"navigation_shape": (columns, frames // columns)}
        else:
            options = {}  # RosettaSciIO looks for the pauses between rows in the time stamps
            notes.append("the scan's shape was guessed from time stamps; if it is wrong give --scan-shape")
    return RawLayout(
        path=path,
        offset=header,
        stride=stride,
        frame_shape=(height, width),
        dtype=dtype,
        flip_rows=True,
        frames=frames,
        saturation=2**depth - 1 if depth in (6, 12, 24) else None,
        options=options,
        notes=tuple(notes),
    )


def _merlin_hdr(path: Path) -> tuple[int | None, int, int]:
    """Number of frames, frames per row and bits of the counters in the .hdr file beside a .mib file.

    (None, 0, 0) without one.
    """
    hdr = path.with_suffix(".hdr")
    if not hdr.is_file():
        return None, 0, 0
    found = {}
    for line in hdr.read_text(encoding="latin-1")[:1_000_000].splitlines():
        key, _, value = line.partition("\t")
        if value.strip().isdigit():
            found[key.rstrip(": ")] = int(value)
    names = ("Frames in Acquisition (Number)", "Frames per Trigger (Number)", "Counter Depth (number)")
    frames, columns, depth = (found.get(name, 0) for name in names)
    return frames or None, columns, depth


def _empad(path: Path, scan_shape: tuple[int, int] | None) -> RawLayout:
    """EMPAD: a raw file of 130 x 128 float32 per frame, the last two rows no image."""
    from nbedex.scan.empad import raw_file

    return RawLayout(path=raw_file(path), stride=130 * 128 * 4, frame_shape=(128, 128), dtype=np.dtype("<f4"))


def _mrc(path: Path, scan_shape: tuple[int, int] | None) -> RawLayout:
    """MRC: 1024 bytes of header, an extended header, frames without gaps."""
    head = _head(path, 1024)
    width, height, frames, mode = struct.unpack_from("<4i", head, 0)
    (extended,) = struct.unpack_from("<i", head, 92)
    types = {0: "u1", 1: "<i2", 2: "<f4", 4: "<c8", 6: "<u2", 12: "<f2"}
    if mode not in types or min(width, height, frames) < 1 or extended < 0:
        raise DataFormatError(
            f"{path}: not a readable .mrc file (mode {mode}, {frames} images of {height} x {width} pixels)"
        )
    dtype = np.dtype(types[mode])
    frame = width * height * dtype.itemsize
    needed, size = 1024 + extended + frames * frame, path.stat().st_size
    if size < needed:
        raise truncated(path, needed, size)
    return RawLayout(
        path=path,
        offset=1024 + extended,
        stride=frame,
        frame_shape=(height, width),
        dtype=dtype,
        options={"dimensions": 3},
        late=_mrc_late,
    )


def _mrc_late(layout: RawLayout, signal: dict[str, Any]) -> RawLayout | None:
    """A scan of listed positions (Direct Electron) is not in the order of the file: no layout."""
    (frames,) = struct.unpack_from("<i", _head(layout.path, 12), 8)
    inside = int(np.prod(signal["data"].shape[:-2], dtype=np.int64))
    return layout if frames == inside else None


def _dm_late(layout: RawLayout, signal: dict[str, Any]) -> RawLayout | None:
    """DigitalMicrograph: the tags give the position of the array."""
    try:
        tag = signal["original_metadata"]["ImageList"]["TagGroup0"]["ImageData"]["Data"]
        offset = int(tag["offset"])
    except (KeyError, TypeError):
        return None
    data = signal["data"]
    dtype = np.dtype(data.dtype)
    height, width = int(data.shape[-2]), int(data.shape[-1])
    stride = height * width * dtype.itemsize
    return replace(layout, offset=offset, stride=stride, frame_shape=(height, width), dtype=dtype)


def _tvips_late(layout: RawLayout, signal: dict[str, Any]) -> RawLayout | None:
    """TVIPS: a main header, then every frame behind its own header; several files have no single layout."""
    if layout.path.with_name(layout.path.name.replace("_000.", "_001.")).is_file():
        return None
    header = signal["original_metadata"]["tvips_header"]
    dtype = np.dtype(f"<u{int(header['bitsperpixel']) // 8}")
    height, width = int(header["dimy"]), int(header["dimx"])
    before = 12 if int(header["version"]) == 1 else int(header["frameheaderbytes"])
    return replace(
        layout,
        offset=int(header["size"]) + before,
        stride=before + height * width * dtype.itemsize,
        frame_shape=(height, width),
        dtype=dtype,
    )
