"""Every reader of nbedex, with small whole files to damage and what must hold for an answer."""

from __future__ import annotations

import hashlib
import io
import json
import random
import sys
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from made_up import made_up_hdf5, made_up_zarr_text
from mutations import Mutation, any_of, damaged_bytes, damaged_json, damaged_text

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from nbedex.library import SimulationSettings, build_library, load_library, save_library
from nbedex.maps import read_result, write_result
from nbedex.phases import load_phase, templates_dir
from oracles.maps_sample import sample_result
from oracles.scan_files import patterns, signal, write_dm4, write_empad, write_mib, write_mrc

Files = dict[str, bytes]
SHAPE = (2, 3, 16, 17)


class SilentDamage(Exception):
    """A checksum should have noticed: the answer is not what was written."""


@dataclass(frozen=True)
class Target:
    """A reader and what it is fed.

    Attributes
    ----------
    name
        Of the reader.
    examples
        Whole files, by name: each example a folder.
    read
        Reads example number n in a folder; raises what is wrong.
    mutate
        Damages a file's content.
    share
        Of all inputs, in parts: cheap readers get more.
    damaged
        Names of the files that are damaged, where not all are.
    """

    name: str
    examples: Sequence[Files]
    read: Callable[[Path, int], None]
    mutate: Mutation
    share: float
    damaged: Sequence[str] = field(default=())


def targets() -> list[Target]:
    """All of them; the examples are made here."""
    return [
        *_texts(), *_arrays(), *_checkpoint(), _run_description(), _result(), _library(), *_hdf5(), _zspy(), *_raw(),
        *_foreign(),
    ]  # fmt: skip


def files_of(write: Callable[[Path], object]) -> Files:
    """What a function writes into an empty folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _texts() -> list[Target]:
    from nbedex.phases.cif import read_cif
    from nbedex.settings import settings_from_dict, settings_from_toml, settings_to_toml
    from nbedex.workflow import RunSettings

    run = settings_to_toml(
        settings_from_dict(
            RunSettings,
            {
                "scan": {"path": "a.hspy", "shape": [3, 5]},
                "calibration": {"pixel_size": 0.01, "rotation_deg": 12.5},
                "library": {"phases": ["nzsp", "na2au"], "k_max": 1.4},
                "output": {"path": "b.h5"},
            },
        )
    )
    measured = "# made by nbedex calibrate\n[calibration]\npixel_size = 0.0094\nellipse_ratio = 1.02\nflipped = true\n"
    structures = [path.read_bytes() for path in sorted((templates_dir() / "structures").glob("*.cif"))]
    structures = [text for text in structures if len(text) < 3000]
    return [
        Target(
            "configuration (TOML)",
            [{"a.toml": text.encode()} for text in (run, measured)],
            lambda folder, _: _ignore(settings_from_toml(RunSettings, folder / "a.toml")),
            damaged_text,
            120,
        ),
        Target(
            "CIF",
            [{"a.cif": text} for text in structures],
            lambda folder, _: _ignore(read_cif(folder / "a.cif")),
            damaged_text,
            35,
        ),
    ]


def _ignore(value: object) -> None:
    """An answer nobody needs."""


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _arrays() -> list[Target]:
    from nbedex.workflow import load_mask

    data = patterns(SHAPE)
    scans = [data, data.astype(">f4"), data.reshape(-1, 16, 17), np.asfortranarray(data), data.astype(bool)]
    header = any_of((2, damaged_bytes), (1, _damaged_npy_header))

    def read_mask(folder: Path, _: int) -> None:
        load_mask(str(folder / "m.npy"))

    return [
        Target("mask (.npy)", [{"m.npy": _npy(data[0, 0] > 99)}], read_mask, header, 230),
        Target("scan .npy", [{"a.npy": _npy(scan)} for scan in scans], _opener("a.npy"), header, 100),
        Target("pattern .npy", [{"a.npy": _npy(data[0, 0])}], _opener("a.npy", single=True), header, 30),
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
        name = rng.choice(sorted(file))
        node = file[name]
        if node.dtype.kind == "S":
            value = damaged_json(rng, json.loads(bytes(node[()])))
            encoded = json.dumps(value).encode() or b" "
            new: Any = np.array(encoded, dtype=h5py.string_dtype("utf-8", len(encoded)))
            digest = hashlib.sha256(encoded).hexdigest()
        else:
            new = _damaged_array(rng, node[()])
            digest = hashlib.sha256(np.ascontiguousarray(new).tobytes()).hexdigest()
        del file[name]
        file.create_dataset(name, data=new).attrs["sha256"] = np.bytes_(digest)
    return stream.getvalue() + _REWRITTEN


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
    import h5py

    stream = io.BytesIO(data)
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
    return stream.getvalue()


def _hdf5() -> list[Target]:
    import h5py
    from rsciio.hspy import file_writer

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

    return [
        Target("scan HDF5, damaged", examples, read, damaged_bytes, 25),
        Target("scan HDF5, made up", [{"a.h5": b""}], read, made_up_hdf5, 10),
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
        found.append(Target(f"scan .{name.split('.')[1]}", [files_of(write)], _opener(name), mutate, share, damaged))
    return found


def _foreign() -> list[Target]:
    from nbedex.maps import export
    from nbedex.maps.foreign import read_crystal_map

    result = sample_result((3, 4), names=("na2au", "nzsp"), n_rivals=2)
    result = replace(result)
    found = []
    for kind, share in (("ang", 5), ("ctf", 5)):
        files = files_of(lambda folder, kind=kind: export(result, folder / f"a.{kind}", to=kind))  # type: ignore[misc]
        found.append(
            Target(
                f"map .{kind}",
                [files],
                lambda folder, _, kind=kind: _ignore(read_crystal_map(folder / f"a.{kind}")),  # type: ignore[misc]
                damaged_text,
                share,
            )
        )
    return found
