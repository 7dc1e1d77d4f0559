"""Grain files: what is written comes back; what is damaged or hostile is refused."""

from __future__ import annotations

import csv
from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import pytest

from nbedex.errors import ArgumentError, DataFormatError, OutputError
from nbedex.grains import Grains, find_grains, orientation_map
from nbedex.grains.file import read_grain_map, write_grain_map
from nbedex.grains.store import Group, put_groups, read_groups
from nbedex.grains.table import grain_columns, write_grain_table
from oracles import maps_sample
from oracles.grain_maps import BETA, NZSP, ZIRCONIA, noisy
from oracles.grain_maps import orientation_map as made
from oracles.laue_groups import random_quaternions


def sample() -> object:
    phase = np.repeat([[0, 0, 1, -1]], 9, axis=0).repeat(6, axis=1)
    base = random_quaternions(4, 3)[[0, 1, 2, 3]].repeat(6, axis=0)[None].repeat(9, axis=0)
    hole = np.zeros(phase.shape, dtype=bool)
    hole[3:8, 18:24] = True
    return find_grains(
        made(noisy(base, 0.5, 2), phase, phases=(BETA, ZIRCONIA, NZSP), step=(2.0, 3.0), step_known=True, hole=hole,
             confidence=np.full(phase.shape, 0.7, np.float32), origin={"file": "a.ang"})
    )  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_grain_map(tmp_path / "grains.h5", sample())


def test_round_trip(path: Path, tmp_path: Path) -> None:
    before, after = sample(), read_grain_map(path)
    for field in fields(Grains):
        first, second = (getattr(m.grains, field.name) for m in (before, after))
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second, err_msg=field.name)
    for name in ("grain_id", "neighbours", "absorbed"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    for name in ("phase_id", "orientation", "confidence", "hole"):
        np.testing.assert_array_equal(getattr(before.source, name), getattr(after.source, name))
    assert after.source.step == (2.0, 3.0)
    assert after.source.step_known
    assert after.source.origin == {"file": "a.ang"}
    assert after.settings == before.settings
    for a, b in zip(before.source.phases, after.source.phases, strict=True):
        assert (a.name, a.role, a.centring, a.conducts_sodium) == (b.name, b.role, b.centring, b.conducts_sodium)
        np.testing.assert_array_equal(a.symmetry, b.symmetry)
        np.testing.assert_array_equal(a.direct_basis, b.direct_basis)
    again = write_grain_map(tmp_path / "again.h5", after)
    assert again.read_bytes() == path.read_bytes()


def test_groups_of_later_steps(path: Path) -> None:
    more = Group(arrays={"length": np.arange(3.0), "high": np.array([True, False]), "none": np.zeros((0, 2), np.int32)},
                 texts={"settings": {"limit": 15.0}})  # fmt: skip
    put_groups(path, {"boundaries": more})
    found = read_groups(path, ("boundaries", "absent"))
    assert list(found) == ["boundaries"]
    for name, array in more.arrays.items():
        got = found["boundaries"].arrays[name]
        assert got.dtype == array.dtype
        np.testing.assert_array_equal(got, array)
    assert found["boundaries"].texts == {"settings": {"limit": 15.0}}
    assert len(read_grain_map(path).grains) == len(sample().grains)
    with pytest.raises(ArgumentError, match="the group 'map' is the grain map's own"):
        write_grain_map(path, sample(), more={"map": Group()}, overwrite=True)
    with pytest.raises(ArgumentError, match=r"lower-case letters, digits and _, got '\.\./x'"):
        put_groups(path, {"../x": Group()})
    with pytest.raises(ArgumentError, match=r"a must be one of bool, .* got complex128"):
        put_groups(path, {"b": Group(arrays={"a": np.zeros(3, complex)})})
    assert sorted(read_groups(path)) == ["boundaries", "grains", "map"]


def test_nothing_is_overwritten_unasked(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        write_grain_map(path, sample())
    assert path.read_bytes() == before


def test_one_flipped_bit_is_found(path: Path) -> None:
    with h5py.File(path) as file:
        places = {f"{g}/{n}": (file[g][n].id.get_offset(), file[g][n].nbytes) for g in file for n in file[g]}
    data = path.read_bytes()
    for name, (offset, size) in places.items():
        broken = bytearray(data)
        broken[offset + size // 2] ^= 0x10
        path.write_bytes(broken)
        with pytest.raises(DataFormatError, match="does not agree with its SHA-256"):
            read_grain_map(path)
        assert name


def test_not_a_grain_file(tmp_path: Path, path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"expected a grain file, found no file at .*none\.h5"):
        read_grain_map(tmp_path / "none.h5")
    other = tmp_path / "other.h5"
    other.write_bytes(b"no HDF5")
    with pytest.raises(DataFormatError, match="can't be read as a grain file"):
        read_grain_map(other)
    with h5py.File(other, "w") as file:
        file.attrs["format"] = np.bytes_("nbedex-result")
    with pytest.raises(DataFormatError, match=r"got 'nbedex-result'; make one with `nbedex grains`"):
        read_grain_map(other)
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = np.int64(9)
    with pytest.raises(DataFormatError, match="of version 9, this nbedex reads version 1"):
        read_grain_map(path)


def test_links_are_not_followed(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["map"]["phase_id"]
        file["map"]["phase_id"] = h5py.ExternalLink("/etc/passwd", "/x")
    with pytest.raises(DataFormatError, match=r"'phase_id' is a link \(ExternalLink\)"):
        read_grain_map(path)
    with h5py.File(path, "r+") as file:
        del file["map"]
        file["map"] = h5py.SoftLink("/grains")
    with pytest.raises(DataFormatError, match="'map' must be a group in this file"):
        read_grain_map(path)


@pytest.mark.parametrize(
    ("group", "name", "change", "message"),
    [
        ("grains", "grain_id", lambda a: a + 100, "grain_id must lie between 0 and"),
        ("grains", "grain_role", lambda a: a + 9, "role must lie between 0 and 4"),
        (
            "grains",
            "grain_area",
            lambda a: a[:-1],
            r"area must be float64 of shape \(5,\), got float64 of shape \(4,\)",
        ),
        ("map", "phase_id", lambda a: a * 0 + 7, "phase_id must lie between -1 and 2, got 7 to 7"),
        ("map", "orientation", lambda a: a[:-1], "orientation must be float64 of shape"),
    ],
)
def test_values_that_contradict(path: Path, group: str, name: str, change: object, message: str) -> None:
    """Right checksums, wrong content."""
    old = read_groups(path)[group]
    put_groups(path, {group: Group(arrays={**old.arrays, name: change(old.arrays[name])}, texts=old.texts)})
    with pytest.raises(DataFormatError, match=message):
        read_grain_map(path)


def test_a_result_of_ours_goes_through(tmp_path: Path) -> None:
    result = maps_sample.sample_result((12, 15))
    found = find_grains(orientation_map(result))
    back = read_grain_map(write_grain_map(tmp_path / "g.h5", found))
    assert back.source.origin["program"] == "nbedex"
    assert back.source.rival_orientation is None


def test_table(tmp_path: Path) -> None:
    grain_map = sample()
    target = write_grain_table(tmp_path / "grains.csv", grain_map)
    rows = list(csv.DictReader(target.read_text().splitlines()))
    assert len(rows) == len(grain_map.grains)
    assert rows[0]["phase"] == "beta2-alumina"
    assert float(rows[0]["area (nm^2)"]) == pytest.approx(9 * 6 * 6)
    assert rows[2]["trace theta (deg)"] == ""
    assert rows[2]["role"] == "insulator"
    assert rows[1]["neighbours"].split() == ["0", "2"]
    assert set(rows[0]) == set(grain_columns(grain_map))
    with pytest.raises(OutputError, match="exists already"):
        write_grain_table(target, grain_map)
