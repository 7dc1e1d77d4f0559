"""Readers of files that nbedex itself writes, damaged by accident and on purpose."""

from __future__ import annotations

import hashlib
import io
import json
import random
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from mutations import any_of, damaged_bytes, damaged_json, damaged_text
from target import SilentDamage, Target, files_of

from nbedex.library import SimulationSettings, build_library, load_library, save_library
from nbedex.maps import read_result, write_result
from nbedex.phases import load_phase
from oracles.maps_sample import sample_result


def own_targets() -> list[Target]:
    """All of them; the examples are made here."""
    return [*_checkpoint(), _run_description(), _result(), _library(), _grains()]


def _checkpoint() -> list[Target]:
    from nbedex.indexing import IndexingSettings
    from nbedex.indexing.checkpoint import Checkpoint, read_part
    from nbedex.indexing.records import empty_records
    from nbedex.maps import Status

    records = empty_records(3, IndexingSettings(), 2, Status.NO_MATCH)
    records["index"] = [0.5, 0.25, 0.125]
    numbers = np.array([4, 5, 6])

    def write(folder: Path) -> None:
        store = Checkpoint(folder, {"input": "abc"}, resume=True)
        store.save(numbers, records)
        store.close()

    def read(folder: Path, _: int) -> None:
        part = read_part(folder / block, records.dtype)
        if part is not None and (part.records.tobytes(), part.patterns.tolist()) != (records.tobytes(), [4, 5, 6]):
            raise SilentDamage("records that were not saved")

    files = files_of(write)
    (block,) = (name for name in files if name.startswith("patterns_"))

    def with_right_checksum(rng: random.Random, data: bytes) -> bytes:
        """Damaged behind the checksum, which is then made right."""
        inside = damaged_bytes(rng, data[12:])
        return data[:8] + zlib.crc32(inside, zlib.crc32(block.encode())).to_bytes(4, "little") + inside

    def read_forged(folder: Path, _: int) -> None:
        read_part(folder / block, records.dtype)

    return [
        Target("checkpoint block", [{block: files[block]}], read, damaged_bytes, 200),
        Target("checkpoint block, forged", [{block: files[block]}], read_forged, with_right_checksum, 60),
    ]


def _run_description() -> Target:
    from nbedex.indexing.checkpoint import Checkpoint

    identity = {"input": "abc", "options": {"a": [1, 2.5]}, "mask": ""}

    def read(folder: Path, _: int) -> None:
        Checkpoint(folder / "part", identity, resume=True).close()

    files = files_of(lambda folder: Checkpoint(folder / "part", identity, resume=True).close())
    return Target("checkpoint run.json", [files], read, damaged_text, 200, ["part/run.json"])


def _result() -> Target:
    result = sample_result((2, 3), names=("na2au",), n_rivals=2)
    whole = files_of(lambda folder: write_result(folder / "r.h5", result))

    def read(folder: Path, _: int) -> None:
        """Damaged bytes are noticed by the checksums, whatever they did."""
        again = read_result(folder / "r.h5")
        if not (folder / "r.h5").read_bytes().endswith(_REWRITTEN):
            for name in ("orientation", "index", "center", "status", "rival_orientation"):
                if getattr(again, name).tobytes() != getattr(result, name).tobytes():
                    raise SilentDamage(f"a map {name} that was not written")

    return Target("result file", [whole], read, any_of((4, damaged_bytes), (1, _rewritten_result)), 14)


_REWRITTEN = b"rewritten by the fuzzer"


def _rewritten_result(rng: random.Random, data: bytes) -> bytes:
    """A text or an array exchanged, with its checksum right, as someone with bad intentions would."""
    import h5py

    stream = io.BytesIO(data)
    with h5py.File(stream, "r+") as file:
        _exchange(rng, file)
    return stream.getvalue() + _REWRITTEN


def _exchange(rng: random.Random, group: Any) -> None:
    """Damage one dataset of a group, and make its checksum right."""
    import h5py

    name = rng.choice(sorted(group))
    node = group[name]
    kind = node.attrs.get("kind")
    if node.dtype.kind == "S":
        value = damaged_json(rng, json.loads(bytes(node[()])))
        encoded = json.dumps(value).encode() or b" "
        new: Any = np.array(encoded, dtype=h5py.string_dtype("utf-8", len(encoded)))
        digest = hashlib.sha256(encoded).hexdigest()
    else:
        new = _damaged_array(rng, node[()])
        digest = hashlib.sha256(np.ascontiguousarray(new).tobytes()).hexdigest()
    del group[name]
    node = group.create_dataset(name, data=new)
    node.attrs["sha256"] = np.bytes_(digest)
    if kind is not None:
        node.attrs["kind"] = kind if rng.random() < 0.8 else np.bytes_(rng.choice(("f8", "bool", "float64", "O", "")))


def _damaged_array(rng: random.Random, array: np.ndarray) -> np.ndarray:
    match rng.randrange(5):
        case 0:
            out = array.astype(rng.choice(("u1", "i8", ">f8", "f2", "c16", "S3")), casting="unsafe")
        case 1:
            out = array.reshape(-1)
        case 2:
            out = array[..., :0] if array.ndim else array
        case 3:
            out = np.concatenate([array, array], axis=0) if array.ndim else array
        case _:
            raw = bytearray(array.tobytes())
            for _ in range(3):
                if raw:
                    raw[rng.randrange(len(raw))] = rng.choice((0, 1, 127, 128, 255))
            out = np.frombuffer(bytes(raw), array.dtype).reshape(array.shape)
    return out


def _library() -> Target:
    settings = SimulationSettings(voltage=200.0, k_max=0.6, step_deg=20.0)
    library = build_library([load_phase("au")], settings, threads=1)
    whole = files_of(lambda folder: save_library(library, folder / "l.h5"))

    def read(folder: Path, _: int) -> None:
        """What is accepted must not harm the core, which indexes with it."""
        from nbedex import _core

        read_back = load_library(folder / "l.h5")
        grid = _core.PolarGrid(n_rings=8, n_azimuths=36, k_min=0.1, k_max=0.6)
        for spots in read_back.spots:
            _core.pack_templates(
                spots.offset, spots.kx, spots.ky, spots.intensity, grid, 0.3, spots.orientation, np.eye(4)[:1]
            )

    return Target("library file", [whole], read, any_of((4, damaged_bytes), (1, _rewritten_library)), 8)


def _rewritten_library(rng: random.Random, data: bytes) -> bytes:
    """A setting, a text or an array exchanged, and the SHA-256 at the end made right."""
    import h5py

    from nbedex.library.library import seal

    stream = io.BytesIO(data[:-40])
    with h5py.File(stream, "r+") as file:
        group = file["phases/0"]
        name = rng.choice([*group, "settings"])
        if name == "settings":
            file.attrs["settings"] = json.dumps(damaged_json(rng, json.loads(file.attrs["settings"])))
        else:
            old = group[name][()]
            if name == "phase":
                new = np.frombuffer(json.dumps(damaged_json(rng, json.loads(bytes(old)))).encode() or b" ", np.uint8)
            else:
                new = _damaged_array(rng, old)
            del group[name]
            group[name] = new
    return stream.getvalue() + seal(stream.getvalue())


def _grains() -> Target:
    from nbedex.grains import find_grains, orientation_map
    from nbedex.grains.file import read_grain_map, write_grain_map

    result = sample_result((6, 8), names=("na2au", "nzsp"), n_rivals=2, grains=True)
    files = files_of(lambda folder: write_grain_map(folder / "g.h5", find_grains(orientation_map(result))))

    def read(folder: Path, _: int) -> None:
        read_grain_map(folder / "g.h5")

    return Target("grain file", [files], read, any_of((3, damaged_bytes), (2, _rewritten_grains)), 8)


def _rewritten_grains(rng: random.Random, data: bytes) -> bytes:
    """A text or an array exchanged, with its checksum right."""
    import h5py

    stream = io.BytesIO(data)
    with h5py.File(stream, "r+") as file:
        _exchange(rng, file[rng.choice(sorted(file))])
    return stream.getvalue()
