"""The bytes of an HDF5 file that are not arrays: HDF5's own, made in memory however large the file.

The arrays lie uncompressed at places that HDF5 chooses here; whoever writes the file puts them there with plain I/O.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

FORMAT = "nbedex-result"
VERSION = 2
_NO_DIGEST = "0" * 64


@dataclass(frozen=True)
class Skeleton:
    """An HDF5 file without its arrays.

    Attributes
    ----------
    size
        Bytes of the whole file.
    pieces
        Place in the file and bytes of everything that is not an array.
    offsets
        Place of each array, by name.
    """

    size: int
    pieces: tuple[tuple[int, bytes], ...]
    offsets: dict[str, int]

    def put(self, stream: BinaryIO) -> None:
        """Take the room of the whole file on the disk, and write everything that is not an array."""
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(stream.fileno(), 0, self.size)
        stream.truncate(self.size)
        for offset, piece in self.pieces:
            write_at(stream, offset, piece)


def write_at(stream: BinaryIO, offset: int, data: bytes | memoryview) -> None:
    """Write all of `data`; the system may take less than asked for at once."""
    view, done = memoryview(data), 0
    stream.seek(offset)
    while done < len(view):
        done += stream.write(view[done:]) or 0


def lay_out(fill: Callable[[Any], Mapping[str, Any]]) -> Skeleton:
    """Lay out an HDF5 file.

    Parameters
    ----------
    fill
        Gets the file, open in h5py; makes everything in it and gives the datasets that `without_data` made, by name.
    """
    import h5py

    stream = _Sparse()
    with h5py.File(stream, "w") as file:
        places = {name: dataset.id.get_offset() for name, dataset in fill(file).items()}
    # an array of no elements has no place
    return Skeleton(stream.size, stream.pieces(), {name: int(place or 0) for name, place in places.items()})


def skeleton(
    arrays: Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]],
    texts: Mapping[str, tuple[bytes, str]],
    digests: Mapping[str, str] | None = None,
) -> Skeleton:
    """Lay out a result file.

    Parameters
    ----------
    arrays
        Shape and stored type (little-endian) of each array.
    texts
        Content of each text and its SHA-256.
    digests
        SHA-256 (hex) of each array, or None where they are not known yet: neither size nor places depend on them.
    """
    import h5py

    def fill(file: Any) -> dict[str, Any]:
        file.attrs["format"] = np.bytes_(FORMAT)
        file.attrs["version"] = np.int64(VERSION)
        datasets = {}
        for name, (shape, dtype) in arrays.items():
            datasets[name] = without_data(file, name, shape, dtype)
            datasets[name].attrs["sha256"] = np.bytes_((digests or {}).get(name, _NO_DIGEST))
        for name, (text, digest) in texts.items():
            node = file.create_dataset(
                name, data=np.array(text, dtype=h5py.string_dtype("utf-8", len(text))), track_times=False
            )
            node.attrs["sha256"] = np.bytes_(digest)
        return datasets

    return lay_out(fill)


def without_data(group: Any, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """A contiguous dataset that has its place in the file, and nothing written there."""
    import h5py

    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_layout(h5py.h5d.CONTIGUOUS)
    create.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    create.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    create.set_obj_track_times(False)
    space = h5py.h5s.create_simple(shape)
    return h5py.Dataset(
        h5py.h5d.create(group.id, name.encode(), h5py.h5t.py_create(dtype, logical=True), space, create)
    )


class _Sparse(io.RawIOBase):
    """A file in memory of which only what is written takes room; what is read elsewhere is zero."""

    _PAGE = 1 << 12

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}
        self._at = 0
        self.size = 0

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._at = offset + (0, self._at, self.size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def truncate(self, size: int | None = None, /) -> int:
        self.size = self._at if size is None else size
        return self.size

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            number, inside = divmod(self._at + done, self._PAGE)
            page = self._pages.setdefault(number, bytearray(self._PAGE))
            count = min(self._PAGE - inside, len(view) - done)
            page[inside : inside + count] = view[done : done + count]
            done += count
        self._at += done
        self.size = max(self.size, self._at)
        return done

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        done, end = 0, max(0, min(len(view), self.size - self._at))
        while done < end:
            number, inside = divmod(self._at + done, self._PAGE)
            count = min(self._PAGE - inside, end - done)
            page = self._pages.get(number)
            view[done : done + count] = bytes(count) if page is None else page[inside : inside + count]
            done += count
        self._at += done
        return done

    def pieces(self) -> tuple[tuple[int, bytes], ...]:
        """Pages written, with their places; the last one ends where the file does."""
        return tuple(
            (number * self._PAGE, bytes(page[: self.size - number * self._PAGE]))
            for number, page in sorted(self._pages.items())
        )
