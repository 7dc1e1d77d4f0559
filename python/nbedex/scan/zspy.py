"""HyperSpy's zarr files (.zspy), a folder or a zip of chunks.

Read with zarr itself: RosettaSciIO 0.15 opens them for writing when lazy, and reads arrays in the metadata
whose codec may be pickle. Here only attributes and the scan's own chunks are touched, and no codec that
runs code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from nbedex.errors import DataFormatError
from nbedex.scan.checks import check_dimensions
from nbedex.scan.chunks import ChunkedArray, Piece
from nbedex.scan.hdf5 import Candidate, choose_dataset
from nbedex.scan.hdf5_layouts import hyperspy_metadata
from nbedex.scan.scan import Scan
from nbedex.scan.sources import GridSource

_UNSAFE_CODECS = ("pickle",)


def open_zspy(path: Path, *, scan_shape: tuple[int, int] | None) -> Scan:
    """Open a .zspy file; see `nbedex.scan.open_scan`."""
    try:
        import zarr
    except ImportError as error:
        raise DataFormatError(f"{path}: reading .zspy needs zarr: pip install 'zarr<3'") from error
    try:
        store = zarr.storage.ZipStore(str(path), mode="r") if path.is_file() else str(path)
        root = zarr.open(store, mode="r")
        experiments = root["Experiments"]
        names = sorted(name for name in experiments.group_keys() if "data" in experiments[name])
    except Exception as error:
        raise DataFormatError(f"{path}: not a readable .zspy file ({error})") from error
    found = [
        Candidate(f"Experiments/{name}/data", tuple(node.shape), str(node.dtype))
        for name in names
        for node in [experiments[name]["data"]]
    ]
    dataset = choose_dataset(found, path)
    node = root[dataset]
    _refuse_codecs(node, path)
    check_dimensions(node.shape, path, dataset)
    notes = []
    missing = node.nchunks - _stored_chunks(path / dataset) if path.is_dir() else 0
    if missing > 0:
        notes.append(f"{missing} of {node.nchunks} chunks are missing, read as zeros: the copy may be incomplete")

    def load(piece: Piece, target: NDArray[Any]) -> None:
        try:
            target[...] = node[piece.part]
        except Exception as error:
            raise OSError(f"chunk at {piece.offset}: {error}") from error

    fetch = ChunkedArray(
        node.shape, node.chunks, node.dtype, load, order=tuple(range(node.ndim)), parallel=node.compressor is not None
    )
    source = GridSource(
        fetch,
        scan_shape=node.shape[:-2],
        frame_shape=node.shape[-2:],
        dtype=node.dtype,
        tile=tuple(node.chunks[:-2]),
        close=getattr(root.store, "close", None),
    )
    metadata = hyperspy_metadata(experiments[dataset.split("/")[1]], node.shape).with_notes(*notes)
    return Scan(source, path=path, format="zspy", dataset=dataset, metadata=metadata, scan_shape=scan_shape)


def _stored_chunks(folder: Path) -> int:
    """Number of chunk files in the folder of an array (zarr 2 counts folders of nested chunks instead)."""
    return sum(1 for item in folder.rglob("*") if item.is_file() and not item.name.startswith("."))


def _refuse_codecs(node: Any, path: Path) -> None:
    """Refuse arrays whose chunks can only be unpacked by running what is in them."""
    codecs = [node.compressor, *(node.filters or ())]
    used = [codec.codec_id for codec in codecs if codec is not None]
    if node.dtype.hasobject or any(name in _UNSAFE_CODECS for name in used):
        raise DataFormatError(f"{path}: holds Python objects (codec {', '.join(used)}), never unpickled here")
