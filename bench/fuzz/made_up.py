"""HDF5 and zarr files as nobody would write them: odd types, links in circles, attributes of every kind."""

from __future__ import annotations

import io
import json
import random
from typing import Any

import numpy as np

_TYPES = ("u1", ">u2", "i4", "f4", ">f8", "f2", "c8", "?", "S5", "u8", "i1")
_SIZES = (0, 1, 2, 3, 15, 16, 17, 33)
_VALUES: tuple[Any, ...] = (
    0, 1, -1, 2.5, float("nan"), float("inf"), "nm", "1/nm", "", "x" * 300, b"\xff\xfe", np.zeros(0), np.arange(3),
    np.float32(0.01), np.bytes_(b"mrad"), np.array([b"a", b"b"]), np.zeros((2, 2)), 1e308, "../../etc/passwd",
)  # fmt: skip
_NAMES = (
    "data", "axis-0", "axis-1", "axis-2", "axis-3", "scale", "units", "size", "navigate", "offset", "dim1", "dim2",
    "dim3", "dim4", "metadata", "Acquisition_instrument", "TEM", "beam_energy", "Experiments", "microscope", "voltage",
    "axes", "signal", "emd_group_type", "calibration", "metadatabundle", "Q_pixel_size", "R_pixel_size",
    "Q_pixel_units", "Data", "Image", "Version", "é",
)  # fmt: skip


def made_up_hdf5(rng: random.Random, _: bytes) -> bytes:
    """A valid HDF5 file of up to a dozen objects."""
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w", libver=rng.choice((None, "latest"))) as file:
        groups = [file["/"]]
        if rng.random() < 0.5:
            group = file.create_group(rng.choice(("Experiments/a", "entry/data", "data", "datacube")))
            group.create_dataset(
                "data", data=np.arange(2 * 3 * 16 * 17, dtype=rng.choice(_TYPES[:5])).reshape(2, 3, 16, 17)
            )
            groups.append(group)
        for _ in range(rng.randrange(1, 12)):
            try:
                _add(rng, rng.choice(groups), groups)
            except (ValueError, TypeError, OSError, RuntimeError, KeyError):
                continue  # HDF5 won't have it
        for _ in range(rng.randrange(8)):
            try:
                rng.choice(groups).attrs[rng.choice(_NAMES)] = rng.choice(_VALUES)
            except (ValueError, TypeError, OSError):
                continue
    return stream.getvalue()


def _add(rng: random.Random, group: Any, groups: list[Any]) -> None:
    import h5py

    name = rng.choice(_NAMES)
    match rng.randrange(10):
        case 0 | 1:
            groups.append(group.require_group(name))
        case 2:
            group[name] = h5py.SoftLink(rng.choice(("/", ".", f"/{name}", "data", "/Experiments/a/data", "../x")))
        case 3:
            group[name] = h5py.ExternalLink(rng.choice(("/etc/passwd", "a.h5", "")), "/data")
        case 4:
            group[name] = rng.choice(groups)  # a hard link, perhaps to a group around it
        case 5:
            group[name] = rng.choice(_VALUES)
        case 6:
            _odd_dataset(rng, group, name)
        case _:
            shape = tuple(rng.choice(_SIZES) for _ in range(rng.choice((1, 2, 3, 4, 4, 5))))
            options: dict[str, Any] = {}
            if rng.random() < 0.5 and 0 not in shape:
                options["chunks"] = tuple(rng.randrange(1, n + 1) for n in shape)
                options["compression"] = rng.choice((None, "gzip", "lzf"))
                options["shuffle"], options["fletcher32"] = rng.random() < 0.5, rng.random() < 0.3
            kind = rng.choice(_TYPES)
            if rng.random() < 0.3 or int(np.prod(shape)) > 300_000:
                group.create_dataset(name, shape=shape, dtype=kind, **options)  # never written
            else:
                group.create_dataset(name, data=np.ones(shape, kind), **options)


def _odd_dataset(rng: random.Random, group: Any, name: str) -> None:
    """Empty, compound, references, strings, enums, virtual, outside of the file, gigantic but never written."""
    import h5py

    match rng.randrange(8):
        case 0:
            group[name] = h5py.Empty("f4")
        case 1:
            group.create_dataset(name, shape=(2, 3, 16, 17), dtype=[("a", "u2"), ("b", "f4")])
        case 2:
            group.create_dataset(name, shape=(2, 3, 16, 17), dtype=h5py.ref_dtype)
        case 3:
            group.create_dataset(name, shape=(2, 3, 16, 17), dtype=h5py.string_dtype())
        case 4:
            group.create_dataset(name, shape=(2, 3, 16, 17), dtype=h5py.enum_dtype({"a": 1, "b": 2}, "u1"))
        case 5:
            layout = h5py.VirtualLayout(shape=(2, 3, 16, 17), dtype="u2")
            layout[0] = h5py.VirtualSource(rng.choice((".", "/etc/passwd", "b.h5")), "data", shape=(3, 16, 17))
            group.create_virtual_dataset(name, layout)
        case 6:
            group.create_dataset(name, shape=(2, 3, 16, 17), dtype="u1", external=[("/etc/passwd", 0, 1632)])
        case _:
            chunks = rng.choice(((1, 1, 16, 16), (1, 1, 256, 256), (1, 1, 1, 4096)))
            group.create_dataset(
                name, shape=rng.choice(((10**6, 10**6, 512, 512), (4, 4, 10**5, 10**5))), dtype="f4", chunks=chunks
            )


_ARRAY = {
    "zarr_format": 2, "shape": [2, 3, 16, 17], "chunks": [1, 1, 16, 17], "dtype": "<u2", "compressor": None,
    "fill_value": 0, "order": "C", "filters": None,
}  # fmt: skip
_HUGE = [20_000_000, 3, 1600, 1700]
_ZARR: tuple[Any, ...] = (
    _ARRAY | {"dtype": "|O", "filters": [{"id": "pickle"}]}, _ARRAY | {"compressor": {"id": "pickle"}},
    _ARRAY | {"chunks": [0, 1, 16, 17]}, _ARRAY | {"shape": _HUGE, "chunks": _HUGE, "order": "F"},
    _ARRAY | {"shape": [], "chunks": []}, _ARRAY | {"dtype": [["a", "<u2"], ["b", "<f4"]]}, {"zarr_format": 3}, [],
    None, {"zarr_format": 2},
)  # fmt: skip


def made_up_zarr_text(rng: random.Random, _: bytes) -> bytes:
    """Metadata of a zarr array that is valid JSON and no scan."""
    return json.dumps(rng.choice(_ZARR)).encode() if rng.random() < 0.95 else b"{" * 5000
