"""4D-STEM scans in HDF5 files of any layout: .hspy, .h5, .nxs, .emd, .de5, py4DSTEM.

Only objects that lie in the file itself are looked at. Links to other files, external storage and virtual
datasets of other files are refused: a data file does not decide what else is opened.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.scan.checks import MIN_DETECTOR, check_dimensions
from nbedex.scan.chunks import hdf5_chunks
from nbedex.scan.scan import Scan
from nbedex.scan.sources import LARGEST_BLOCK, Fetch, FrameSource, GridSource, RawSource, truncated

log = logging.getLogger(__name__)

SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Cache of unpacked chunks inside the HDF5 library, for what is not read past it.
_CHUNK_CACHE = 64 << 20
_MAX_LINKS = 16
_MAX_OBJECTS = 200_000


@dataclass(frozen=True)
class Candidate:
    """A dataset that may be a scan."""

    path: str
    shape: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.path} ({' x '.join(map(str, self.shape))}, {self.dtype})"


def is_hdf5(path: Path) -> bool:
    """Whether a file starts with the HDF5 signature (which may lie behind a user block)."""
    with open(path, "rb") as file:
        offset, end = 0, path.stat().st_size
        while offset < end:
            file.seek(offset)
            if file.read(8) == SIGNATURE:
                return True
            offset = max(512, offset * 2)
    return False


def open_hdf5(path: Path, *, dataset: str | None, scan_shape: tuple[int, int] | None) -> Scan:
    """Open a scan in an HDF5 file; see `nbedex.scan.open_scan`."""
    import h5py

    from nbedex.scan.hdf5_layouts import layout_of

    _register_filters()
    file = _open_file(path)
    try:
        if dataset is None:
            dataset = choose_dataset(list(candidates(file, dimensions=2)), path)
        node = resolve(file, dataset, path)
        if not isinstance(node, h5py.Dataset):
            inner = [c for c in candidates(file) if c.path.startswith(node.name.rstrip("/") + "/")]
            raise ArgumentError(f"{path}: {dataset} is a group, not a dataset; {_list_of(inner)}")
        _refuse_outside_storage(node, path)
        _refuse_missing_filters(node, path)
        check_dimensions(node.shape or (), path, dataset)
        layout, name = layout_of(file, node), str(node.name)
        source, notes = _source(file, node, path, layout.order)
    except Exception:
        file.close()
        raise
    return Scan(
        source,
        path=path,
        format=layout.name,
        dataset=name,
        metadata=layout.metadata.with_notes(*notes),
        scan_shape=scan_shape,
    )


def is_velox(path: Path) -> bool:
    """Whether an HDF5 file is of Velox, which stores the scan as the last axis: RosettaSciIO's business."""
    from nbedex.scan.hdf5_layouts import inside

    with _open_file(path) as file:
        return inside(file["/"], "Data/Image") is not None and inside(file["/"], "Version") is not None


def _register_filters() -> None:
    """Make the compression filters of the hdf5plugin package known, where it is installed."""
    try:
        import hdf5plugin  # type: ignore[import-not-found,unused-ignore]  # noqa: F401
    except ImportError:
        log.debug("hdf5plugin is not installed: blosc, bitshuffle and zstd chunks can't be read")


def _open_file(path: Path) -> Any:
    """Open an HDF5 file for reading; errors say what is wrong with it."""
    import h5py

    try:
        return h5py.File(path, "r", rdcc_nbytes=_CHUNK_CACHE, rdcc_nslots=100_003)
    except OSError as error:
        text = str(error)
        sizes = re.search(r"truncated file: eof = (\d+).*?stored_eof = (\d+)", text)
        if sizes:
            raise truncated(path, int(sizes[2]), int(sizes[1])) from error
        if "lock" in text:
            raise DataFormatError(f"{path}: another program writes to it; close that first ({text})") from error
        raise DataFormatError(f"{path}: not a readable HDF5 file ({text})") from error


def candidates(file: Any, dimensions: int = 3) -> Iterator[Candidate]:
    """Numeric datasets of so many or more dimensions that lie in the file itself, in order of their paths."""
    import h5py

    seen: set[Any] = set()
    pending: list[Any] = [file["/"]]
    while pending:
        group = pending.pop()
        for name in sorted(group, reverse=True):
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            kind = group.get(name, getclass=True)
            if kind not in (h5py.Group, h5py.Dataset):
                continue
            node = group[name]
            address = h5py.h5o.get_info(node.id).addr
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > _MAX_OBJECTS:
                raise DataFormatError(f"{file.filename}: more than {_MAX_OBJECTS} objects; give --dataset")
            if kind is h5py.Group:
                pending.append(node)
            elif node.shape is not None and len(node.shape) >= dimensions and node.dtype.kind in "biufc":
                yield Candidate(str(node.name), tuple(node.shape), str(node.dtype))


def choose_dataset(found: list[Candidate], path: Path) -> str:
    """Path of the one dataset that can be the scan.

    A 4D dataset wins over stacks; anything with a detector smaller than `MIN_DETECTOR` is no candidate
    while there are others.

    Raises
    ------
    DataFormatError
        There is none.
    ArgumentError
        There are several: the message lists them.
    """
    if not any(len(c.shape) >= 3 for c in found):
        images = [str(c) for c in found if min(c.shape) >= MIN_DETECTOR]
        raise DataFormatError(
            f"{path}: no dataset of 3 or 4 dimensions in this file"
            + (f", only images: {', '.join(images[:5])}" if images else "")
            + "; a scan has 4 (scan rows, scan columns, detector rows, detector columns)"
        )
    found = [c for c in found if len(c.shape) >= 3]
    large = [c for c in found if min(c.shape[-2:]) >= MIN_DETECTOR] or found
    best = [c for c in large if len(c.shape) == 4] or [c for c in large if len(c.shape) == 3] or large
    if len(best) > 1:
        raise ArgumentError(f"{path}: several datasets may be the scan; {_list_of(best)}")
    return best[0].path


def _list_of(found: list[Candidate]) -> str:
    if not found:
        return "no dataset of 3 or 4 dimensions was found there"
    shown = ", ".join(map(str, found[:20])) + (f" and {len(found) - 20} more" if len(found) > 20 else "")
    return f"choose one with --dataset: {shown}"


def resolve(file: Any, path_inside: str, path: Path) -> Any:
    """Object at a path, without ever leaving the file.

    Soft links inside the file are followed part by part, at most 16 of them; external links are refused.
    """
    import h5py

    parts = [part for part in path_inside.split("/") if part not in ("", ".")]
    node, links = file["/"], 0
    while parts:
        part = parts.pop(0)
        link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
        if link is None or part == "..":
            raise ArgumentError(f"{path}: no dataset {path_inside}; {_list_of(list(candidates(file)))}")
        if isinstance(link, h5py.ExternalLink):
            raise DataFormatError(
                f"{path}: {path_inside} lies in another file ({link.filename}); links to other files are not"
                " followed, open that file itself"
            )
        if isinstance(link, h5py.SoftLink):
            links += 1
            if links > _MAX_LINKS:
                raise DataFormatError(f"{path}: {path_inside} leads through more than {_MAX_LINKS} links")
            target = [p for p in link.path.split("/") if p not in ("", ".")]
            parts = target + parts
            node = file["/"] if link.path.startswith("/") else node
            continue
        node = node[part]
    return node


def _refuse_outside_storage(node: Any, path: Path) -> None:
    """Refuse datasets whose numbers lie in other files."""
    outside = [name for name, *_ in node.external or ()]
    if node.is_virtual:
        outside = [source.file_name for source in node.virtual_sources() if source.file_name != "."]
    if outside:
        raise DataFormatError(
            f"{path}: the numbers of {node.name} lie in other files ({', '.join(outside[:3])}"
            f"{', ...' if len(outside) > 3 else ''}); these are not followed, copy the data into one file"
        )


# Filters that the package hdf5plugin brings, by their registered number.
_FILTER_NAMES = {32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32013: "zfp", 32015: "zstd", 32026: "blosc2"}


def _refuse_missing_filters(node: Any, path: Path) -> None:
    """Refuse chunks that no installed filter can unpack, before a run begins."""
    import h5py

    plist = node.id.get_create_plist()
    codes = [plist.get_filter(number)[0] for number in range(plist.get_nfilters())]
    missing = [code for code in codes if not h5py.h5z.filter_avail(code)]
    if missing:
        names = ", ".join(_FILTER_NAMES.get(code, f"number {code}") for code in missing)
        raise DataFormatError(
            f"{path}: {node.name} is compressed with a filter that is not installed ({names}); pip install hdf5plugin"
        )


def _unwritten(node: Any) -> list[str]:
    """Note for a dataset that was never filled: HDF5 reads zeros there and says nothing."""
    if node.chunks is None:
        return [] if node.is_virtual or node.id.get_storage_size() else ["nothing was written: all zeros"]
    expected = int(np.prod([-(-n // c) for n, c in zip(node.shape, node.chunks, strict=True)], dtype=np.int64))
    missing = expected - int(node.id.get_num_chunks())
    if missing <= 0:
        return []
    return [f"{missing} of {expected} chunks were never written and read as zeros: interrupted acquisition?"]


def _source(file: Any, node: Any, path: Path, order: tuple[int, ...]) -> tuple[FrameSource, list[str]]:
    """Fastest source of a dataset's frames that delivers the same as a plain read; and notes."""
    shape = [int(node.shape[number]) for number in order]
    if order == tuple(range(len(order))) and node.dtype.kind in "iuf" and 0 not in shape:
        raw = _contiguous(node, path, tuple(shape[:-2]), (shape[-2], shape[-1]))
        if raw is not None:
            file.close()
            return raw, []
    grid = GridSource(
        hdf5_chunks(node, order) or _by_library(node, order),
        scan_shape=tuple(shape[:-2]),
        frame_shape=(shape[-2], shape[-1]),
        dtype=node.dtype,
        tile=tuple(node.chunks[number] for number in order[:-2]) if node.chunks else (),
        close=file.close,
    )
    notes = _unwritten(node)
    if grid.tile_bytes > LARGEST_BLOCK:
        notes.append(
            f"the chunks {node.chunks} are too large to keep the {grid.tile_bytes / 2**30:.1f} GiB of patterns that lie"
            " in the same ones; they are unpacked repeatedly, which is slow: store chunks of fewer scan positions"
        )
    return grid, notes


def _by_library(node: Any, order: tuple[int, ...]) -> Fetch:
    """Function that reads a rectangle of scan positions by the HDF5 library."""
    plain = order == tuple(range(len(order)))

    def fetch(where: tuple[slice, ...], workers: Executor | None) -> NDArray[Any]:
        parts = (*where, slice(None), slice(None))
        if plain:
            out = np.empty(tuple(part.stop - part.start for part in where) + tuple(node.shape[-2:]), node.dtype)
            node.read_direct(out, source_sel=parts)
            return out
        stored = [slice(None)] * len(order)
        for number, part in zip(order, parts, strict=True):
            stored[number] = part
        return np.ascontiguousarray(np.asarray(node[tuple(stored)]).transpose(order))

    return fetch


def _contiguous(node: Any, path: Path, scan_shape: tuple[int, ...], frame_shape: tuple[int, int]) -> RawSource | None:
    """Source that reads a contiguous, unfiltered dataset past the HDF5 library; None where it can't.

    It is used only when first and last frame equal what the library reads.
    """
    offset = node.id.get_offset() if node.chunks is None and not node.is_virtual else None
    if offset is None:
        return None
    source = RawSource(path, offset=offset, scan_shape=scan_shape, frame_shape=frame_shape, dtype=node.dtype)
    count = int(np.prod(scan_shape, dtype=np.int64))
    for index, where in ((0, (0,) * len(scan_shape)), (count - 1, tuple(n - 1 for n in scan_shape))):
        if source.read(index, index + 1).tobytes() != np.ascontiguousarray(node[where]).tobytes():
            log.warning("%s: direct and library reads of %s differ; using the library", path, node.name)
            source.close()
            return None
    return source
