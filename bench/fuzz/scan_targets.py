"""Readers of scans, patterns and other arrays that users bring."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from made_up import made_up_hdf5, made_up_zarr_text
from mutations import any_of, damaged_bytes, damaged_text
from target import SHAPE, Target, files_of, npy

from oracles.scan_files import patterns, signal, write_dm4, write_empad, write_mib, write_mrc


def scan_targets() -> list[Target]:
    """All of them; the examples are made here."""
    return [*_arrays(), *_hdf5(), _zspy(), *_raw(), *_followed(), _images(), _field_map()]


def _arrays() -> list[Target]:
    from nbedex.workflow import load_mask

    data = patterns(SHAPE)
    scans = [data, data.astype(">f4"), data.reshape(-1, 16, 17), np.asfortranarray(data), data.astype(bool)]
    header = any_of((2, damaged_bytes), (1, _damaged_npy_header))

    def read_mask(folder: Path, _: int) -> None:
        load_mask(str(folder / "m.npy"))

    return [
        Target("mask (.npy)", [{"m.npy": npy(data[0, 0] > 99)}], read_mask, header, 230),
        Target("scan .npy", [{"a.npy": npy(scan)} for scan in scans], _opener("a.npy"), header, 100),
        Target("pattern .npy", [{"a.npy": npy(data[0, 0])}], _opener("a.npy", single=True), header, 30),
    ]  # fmt: skip


def _damaged_npy_header(rng: random.Random, data: bytes) -> bytes:
    """Damaged text of the header, with its length right."""
    end = data.index(b"\n") + 1
    text = damaged_text(rng, data[10:end])[:60000]
    return data[:8] + len(text).to_bytes(2, "little") + text + data[end:]


def _opener(
    name: str, *, single: bool = False, scan_shape: tuple[int, int] | None = None
) -> Callable[[Path, int], None]:
    from nbedex.scan import open_patterns, open_scan

    def read(folder: Path, _: int) -> None:
        with (open_patterns if single else open_scan)(folder / name, scan_shape=scan_shape) as scan:
            read_some(scan)

    return read


def read_some(scan: Any) -> None:
    """First and last patterns, a block, and what identifies the scan."""
    from nbedex.scan import describe

    scan.read_at([0, scan.size - 1])
    if scan.size < 100_000:
        scan.read_block(scan.blocks(4)[-1])
    scan.fingerprint()
    describe(scan)


def _hdf5() -> list[Target]:
    import h5py
    from rsciio.hspy import file_writer

    from nbedex.scan.guard import child
    from nbedex.scan.hdf5 import open_hdf5

    data = patterns(SHAPE)

    def plain(folder: Path, **options: Any) -> None:
        with h5py.File(folder / "a.h5", "w") as file:
            file.create_dataset("data", data=data, **options)

    def hspy(folder: Path) -> None:
        file_writer(str(folder / "a.hspy"), signal(data, beam_energy=200.0))
        (folder / "a.hspy").rename(folder / "a.h5")

    chunked: dict[str, Any] = {"chunks": (1, 2, 16, 17), "compression": "gzip", "shuffle": True}
    examples = [files_of(plain), files_of(lambda folder: plain(folder, **chunked)), files_of(hspy)]

    def read(folder: Path, _: int) -> None:
        try:
            scan = open_hdf5(folder / "a.h5", dataset=None, scan_shape=None)
        except Exception as error:  # as `open_scan` has it
            from nbedex.errors import DataFormatError, NbedexError

            if isinstance(error, NbedexError | MemoryError):
                raise
            raise DataFormatError(f"damaged ({error})") from error
        with scan:
            if scan.frame_shape[0] * scan.frame_shape[1] < 1 << 27:  # larger ones may well be too large for the memory
                read_some(scan)

    def guard(folder: Path) -> None:
        child(json.dumps({"path": str(folder / "a.h5"), "dataset": None, "scan_shape": None, "how": "hdf5"}))

    return [
        Target("scan HDF5, damaged", examples, read, damaged_bytes, 25, guard=guard),
        Target("scan HDF5, made up", [{"a.h5": b""}], read, made_up_hdf5, 10, guard=guard),
    ]


def _zspy() -> Target:
    from rsciio.zspy import file_writer

    files = files_of(lambda folder: file_writer(str(folder / "a.zspy"), signal(patterns(SHAPE))))
    texts = [name for name in files if name.rsplit("/", 1)[-1].startswith(".z")]
    mutate = any_of((3, damaged_text), (1, damaged_bytes), (1, made_up_zarr_text))
    return Target("scan .zspy", [files], _opener("a.zspy"), mutate, 5, texts)


def _raw() -> list[Target]:
    """Formats that RosettaSciIO and we read side by side."""
    from rsciio.blockfile import file_writer as write_blo
    from rsciio.tvips import file_writer as write_tvips

    data, square = patterns(SHAPE), patterns((2, 3, 16, 16), np.uint8)
    makers: dict[str, tuple[Callable[[Path], object], float, Sequence[str]]] = {
        "a.blo": (lambda f: write_blo(str(f / "a.blo"), signal(square, units=("nm", "nm", "cm", "cm"))), 6, ()),
        "a.mib": (lambda f: write_mib(f / "a.mib", data), 6, ()),
        "a.mrc": (lambda f: write_mrc(f / "a.mrc", data.reshape(-1, 16, 17)), 6, ()),
        "a.dm4": (lambda f: write_dm4(f / "a.dm4", data), 6, ()),
        "a_000.tvips": (lambda f: write_tvips(str(f / "a.tvips"), signal(data)), 6, ()),
        "a.xml": (lambda f: write_empad(f / "a.xml", patterns((1, 2, 128, 128), np.float32)), 6, ("a.xml",)),
    }
    found = []
    for name, (write, share, damaged) in makers.items():
        mutate = damaged_text if name == "a.xml" else damaged_bytes
        read, guard = _opener(name), None
        if name in ("a.dm4", "a_000.tvips"):
            read, guard = _rosetta(name)
        title = f"scan .{name.split('.')[1]}"
        found.append(Target(title, [files_of(write)], read, mutate, share, damaged, guard=guard))
    return found


def _rosetta(name: str) -> tuple[Callable[[Path, int], None], Callable[[Path], None]]:
    """What this process does with a file that a child opens first, and what the child does."""
    from nbedex.errors import DataFormatError, NbedexError
    from nbedex.scan.guard import child
    from nbedex.scan.rosetta import open_rosetta

    def read(folder: Path, _: int) -> None:
        try:
            scan = open_rosetta(folder / name, scan_shape=None)
        except Exception as error:  # as `open_scan` has it
            if isinstance(error, NbedexError | MemoryError):
                raise
            raise DataFormatError(f"damaged ({error})") from error
        with scan:
            read_some(scan)

    def guard(folder: Path) -> None:
        child(json.dumps({"path": str(folder / name), "dataset": None, "scan_shape": None, "how": "rosetta"}))

    return read, guard


def _followed() -> list[Target]:
    """Files that are still written."""
    import h5py

    from nbedex.scan.growing import GrowingScan, open_growing, open_growing_hdf5
    from nbedex.scan.guard import child

    data = patterns(SHAPE)

    def hdf5(folder: Path) -> None:
        with h5py.File(folder / "a.h5", "w", libver="latest") as file:
            node = file.create_dataset("data", SHAPE, "u2", maxshape=(5, *SHAPE[1:]), chunks=(1, 1, 16, 17))
            node[0] = data[0]

    makers: dict[str, Callable[[Path], object]] = {
        "a.npy": lambda f: (f / "a.npy").write_bytes(npy(data)[:2000]),
        "a.mib": lambda f: write_mib(f / "a.mib", data),
        "a.h5": hdf5,
    }

    def opened(path: Path) -> GrowingScan:
        if path.suffix == ".h5":
            return open_growing_hdf5(path, dataset=None, scan_shape=(5, 3))
        return open_growing(path, dataset=None, scan_shape=(5, 3) if path.suffix == ".mib" else None)

    def guard(folder: Path) -> None:
        child(json.dumps({"path": str(folder / "a.h5"), "dataset": None, "scan_shape": (5, 3), "how": "growing"}))

    found = []
    for name, write in makers.items():

        def read(folder: Path, _: int, name: str = name) -> None:
            growing = opened(folder / name)
            with growing.scan as scan:
                there = growing.arrived()
                if there and scan.frame_shape[0] * scan.frame_shape[1] < 1 << 27:
                    scan.read_at([0, min(there, scan.size) - 1])

        if name == "a.h5":  # HDF5 sleeps over wrong checksums
            more: dict[str, Any] = {"share": 0.1, "guard": guard, "wall": 2.0}
        else:
            more = {"share": 10}
        found.append(Target(f"followed .{name[2:]}", [files_of(write)], read, damaged_bytes, **more))
    return found


def _images() -> Target:
    from PIL import Image

    image = patterns(SHAPE)[0, 0]

    def picture(name: str) -> Callable[[Path], None]:
        return lambda folder: Image.fromarray(image.astype(np.uint8)).save(folder / name)

    examples = [files_of(picture(name)) for name in ("a.tif", "a.png", "a.bmp")]
    names = [next(iter(files)) for files in examples]

    def read(folder: Path, example: int) -> None:
        _opener(names[example], single=True)(folder, example)

    return Target("pattern, image", examples, read, damaged_bytes, 5)


def _field_map() -> Target:
    import h5py

    from nbedex.blockade.field import read_field_map

    field = np.ones((4, 5, 2))

    def hdf5(folder: Path) -> None:
        with h5py.File(folder / "f", "w") as file:
            file["maps/field"] = field

    def read(folder: Path, _: int) -> None:
        read_field_map(folder / "f", shape=(4, 5), step=(1.0, 1.0))

    examples = [{"f": npy(field)}, files_of(hdf5)]
    return Target("field map", examples, read, damaged_bytes, 20)
