"""From a map file to what blocks: the commands, their files, and what stops them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from nbedex.blockade import UniformField, analyse_blockade, class_label
from nbedex.boundaries import trace_boundaries
from nbedex.grains import Group, PooledRivals, put_groups, read_grain_map, rivals_group, write_grain_map
from nbedex.maps import write_result
from oracles.bicrystals import BLOCKED, chevron, plane
from oracles.command_line import here, tree
from oracles.planes_phantom import grain_map, halves, indexing_result, network, orientation_of, voronoi


def polycrystal() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    normals = rng.normal(size=(30, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    phase = np.zeros(30, dtype=int)
    phase[[4, 11]] = (3, 2)
    return voronoi((90, 110), 30, 5), normals, phase


@pytest.fixture
def map_file(tmp_path: Path) -> Path:
    labels, normals, phase = polycrystal()
    return write_result(tmp_path / "map.h5", indexing_result(labels, normals, phase=phase))


@pytest.fixture
def grain_file(tmp_path: Path) -> Path:
    labels, normals, phase = polycrystal()
    return write_grain_map(tmp_path / "grains.h5", grain_map(labels, normals, phase=phase))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_one_call_finds_what_was_put_in(map_file: Path, tmp_path: Path) -> None:
    code, out, err = here(tmp_path, "analyse", map_file, "--field", 40, "-o", "analysis", "--json")
    assert (code, err.count("Traceback")) == (0, 0)
    facts = json.loads(out)
    folder = tmp_path / "analysis"
    assert {Path(path) for path in facts["written"]} == set(folder.iterdir())
    labels, normals, phase = polycrystal()
    truth = analyse_blockade(network(labels, normals, phase=phase), UniformField(40.0))
    rows = table(folder / "segments.csv")
    assert len(rows) == len(truth.segments) == facts["segments"]
    s, same = truth.segments, 0
    for number, row in enumerate(rows):
        assert float(row["length_nm"]) == pytest.approx(truth.network.boundaries.length[number], abs=0.01)
        if row["accumulation"]:
            assert float(row["accumulation"]) == pytest.approx(s.accumulation[number], abs=0.01)
        same += row["class"] == class_label(s.code[number])
        if float(row["class_probability"]) > 0.9 and row["class"] != "not in the scheme":
            assert row["class"] == row["verdict"] or row["verdict"] == "mixed"
    assert same >= len(rows) - 2  # noise of 0.3 degrees per pixel can turn one that lies on a limit
    stored = read_grain_map(folder / "grains.h5")
    np.testing.assert_array_equal(stored.grain_id, labels)
    with h5py.File(folder / "grains.h5") as file:
        np.testing.assert_allclose(file["blockade/segment_accumulation"][()], s.accumulation, atol=0.01)
        assert json.loads(file["blockade/field"][()])["direction_deg"] == 40.0
        assert set(file) == {"map", "grains", "boundaries", "rivals", "blockade"}
        classes = json.loads(file["blockade/classes"][()])
        assert classes["10"] == "III a2" and classes["-1"] == "undecided"
    shares = {name: row["share"] for name, row in facts["classes"].items()}
    assert sum(shares.values()) == pytest.approx(1.0)


def test_blockade_of_a_grain_file(grain_file: Path, tmp_path: Path) -> None:
    code, out, err = here(tmp_path, "blockade", "grains.h5", "--field", 10, "-o", "out", "--no-figures")
    assert code == 0, err
    assert "wrote" in out and "III a2" in out and "Most piles up at" in out
    expected = analyse_blockade(trace_boundaries(read_grain_map(grain_file)), UniformField(10.0)).segments
    rows = table(tmp_path / "out" / "segments.csv")
    assert [row["class"] for row in rows] == [class_label(code) for code in expected.code]
    # a second time: the group and the files are in the way, and nothing changes
    before = tree(tmp_path)
    for extra, message in (
        ((), "grains.h5 holds a blockade analysis already; replace it with --overwrite, or leave it with --no-store"),
        (("--no-store",), "segments.csv exists already"),
    ):
        code, out, err = here(tmp_path, "blockade", "grains.h5", "--field", 10, "-o", "out", "--no-figures", *extra)
        assert (code, out, len(err.splitlines())) == (5, "", 1)
        assert message in err
        assert tree(tmp_path) == before
    code, _, _ = here(
        tmp_path, "blockade", "grains.h5", "--field", 190, "-o", "out", "--no-figures", "--overwrite", "-q"
    )
    assert code == 0
    back = table(tmp_path / "out" / "segments.csv")
    for row, reverse in zip(rows, back, strict=True):
        if row["accumulation"]:
            assert float(row["accumulation"]) == pytest.approx(-float(reverse["accumulation"]), abs=2e-5)
    # grains and map are still what they were
    np.testing.assert_array_equal(read_grain_map(grain_file).grain_id, polycrystal()[0])


def test_the_same_input_gives_the_same_bytes(grain_file: Path, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        code, _, err = here(
            tmp_path, "blockade", "grains.h5", "--field", 10, "-o", folder, "--overwrite", "--no-store", "-q"
        )
        assert code == 0, err
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_limits_come_from_flags(tmp_path: Path) -> None:
    write_grain_map(tmp_path / "pair.h5", grain_map(halves(), np.array(chevron(12.0))))
    for flags, label, level in (
        ((), "III a2", "partly blocks"),
        (("--parallel", 25), "I a2", "partly blocks"),
        (("--blocks-at", 0.4), "III a2", "blocks"),
        (("--along", 10, "--parallel", 30), "I b2", "partly blocks"),
    ):
        code, _, err = here(
            tmp_path, "blockade", "pair.h5", "--field", 90, "-o", "out", "--no-figures", "--overwrite", "-q", *flags
        )
        assert code == 0, err
        (row,) = table(tmp_path / "out" / "segments.csv")
        assert (row["class"], row["level"]) == (label, level)
        assert float(row["accumulation"]) == pytest.approx(BLOCKED * np.sin(np.deg2rad(24.0)), abs=1e-4)


def test_field_maps(tmp_path: Path) -> None:
    write_grain_map(tmp_path / "pair.h5", grain_map(halves(), np.array([plane(0.0), plane(90.0)])))
    field = np.zeros((24, 30, 2))
    field[..., 0] = -3.0
    np.save(tmp_path / "field.npy", field)
    with h5py.File(tmp_path / "field.h5", "w") as file:
        file["a/b"] = field.astype(np.float32)
    with h5py.File(tmp_path / "current.h5", "w") as file:
        file["maps/field"] = np.concatenate([field, 0 * field[..., :1]], axis=2)
    common = ("-o", "out", "--no-figures", "--overwrite", "-q")
    from_dataset = ("--field-map", "field.h5", "--field-dataset", "a/b")
    for flags in (("--field-map", "field.npy"), from_dataset, ("--field-map", "current.h5")):
        code, _, err = here(tmp_path, "blockade", "pair.h5", *flags, *common)
        assert code == 0, err
        (row,) = table(tmp_path / "out" / "segments.csv")
        assert (row["class"], row["level"]) == ("II b1", "depleted")
    np.save(tmp_path / "wrong.npy", field[:5])
    np.save(tmp_path / "complex.npy", field + 0j)
    np.savez(tmp_path / "several.npz", a=field)
    (tmp_path / "text.npy").write_text("no array")
    for flags, code, message in (
        (("--field-map", "wrong.npy"), 2, "expected a field of shape (24, 30, 2 or 3), as the map is, got (5, 30, 2)"),
        (("--field-map", "complex.npy"), 3, "expected real numbers, got complex128"),
        (("--field-map", "several.npz"), 3, "several.npz: not a NumPy .npy file"),
        (("--field-map", "text.npy"), 3, "text.npy: not a NumPy .npy file"),
        (("--field-map", "missing.npy"), 2, "found no file at missing.npy"),
        (("--field-map", "field.h5"), 2, "field.h5 has no dataset 'maps/field' with a field; say where it is"),
        (("--field-map", "field.h5", "--field-dataset", "a"), 2, "has no dataset 'a'"),
        (("--field-map", "field.npy", "--field-dataset", "a"), 3, "is no HDF5 file, so it has no dataset 'a'"),
        (("--field", 3, "--field-dataset", "a"), 2, "--field-dataset goes with --field-map, not with --field"),
        (("--field", "nan"), 2, "the direction of the field must be a finite angle, got nan"),
        ((), 2, "one of the arguments --field --field-map is required"),
        (("--field", 3, "--field-map", "field.npy"), 2, "not allowed with argument"),
        (("--field", 3, "--along", 50), 2, "Expected `float` < 45.0 at `tolerances.along_deg`, got 50.0"),
        (("--field", 3, "--blocks-at", 0.1), 2, "partly_at must not exceed blocks_at, got 0.2 > 0.1"),
    ):
        found, out, err = here(tmp_path, "blockade", "pair.h5", *flags, *common)
        assert (found, out, len(err.splitlines())) == (code, "", 1), err
        assert message in err


@pytest.mark.parametrize("command", ["blockade", "analyse"])
def test_inputs_that_are_none(command: str, tmp_path: Path) -> None:
    (tmp_path / "junk.h5").write_bytes(b"\x89HDF\r\n\x1a\nbut no more")
    for name, code in (("missing.h5", 2), ("junk.h5", 3)):
        found, out, err = here(tmp_path, command, name, "--field", 0, "-o", "out")
        assert (found, out, len(err.splitlines())) == (code, "", 1), err
        assert not (tmp_path / "out").exists()
    map_in_place_of_grains = grain_map(halves(), np.array([plane(0.0), plane(90.0)]))
    write_grain_map(tmp_path / "grains.h5", map_in_place_of_grains)
    if command == "blockade":
        (tmp_path / "out").write_text("a file")
        found, _, err = here(tmp_path, command, "grains.h5", "--field", 0, "-o", "out")
        assert found == 5 and "can't make the folder out" in err


def test_analyse_writes_nothing_if_something_is_in_the_way(map_file: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sweep.csv").write_text("mine")
    before = tree(tmp_path)
    code, _, err = here(tmp_path, "analyse", "map.h5", "--field", 0, "-o", "out")
    assert code == 5 and "sweep.csv exists already" in err
    assert tree(tmp_path) == before


def test_rivals_in_a_grain_file_count(tmp_path: Path) -> None:
    """One grain has a second orientation that fits as well: sigma says so; rivals of another map are refused."""
    one, two = plane(0.0), plane(90.0)
    grains = grain_map(halves(), np.array([one, two]))
    quaternion = np.array([orientation_of(one), orientation_of(two)])
    rivals = PooledRivals(
        phase_id=np.zeros(2, dtype=np.int16), orientation=quaternion, score=np.full(2, 0.2),
        rival_phase_id=np.zeros(2, dtype=np.int16), rival_orientation=quaternion[::-1].copy(),
        rival_score=np.full(2, 0.2), margin_percent=np.array([30.0, 0.0]), significance=np.array([50.0, 0.0]),
        ambiguous=np.array([False, True]), agrees=np.array([True, True]), rival_probability=np.full(2, np.nan),
    )  # fmt: skip
    write_grain_map(tmp_path / "pair.h5", grains, more={"rivals": rivals_group(rivals)})
    common = ("--field", 0, "-o", "out", "--no-figures", "--overwrite", "-q")
    code, _, err = here(tmp_path, "blockade", "pair.h5", *common)
    assert code == 0, err
    (row,) = table(tmp_path / "out" / "segments.csv")
    assert (row["class"], row["verdict"]) == ("II b1", "undecided") and "ambiguous grain" in row["flags"]
    # half of the time the wall is none: mean and sigma of 1 and 0
    assert float(row["accumulation_mean"]) == pytest.approx(0.5, abs=0.02)
    assert float(row["accumulation_sigma"]) == pytest.approx(0.5, abs=0.02)
    wrong = rivals_group(rivals)
    broken = Group(arrays={**wrong.arrays, "agrees": np.ones(5, dtype=bool)}, texts=wrong.texts)
    put_groups(tmp_path / "pair.h5", {"rivals": broken})
    code, out, err = here(tmp_path, "blockade", "pair.h5", *common)
    assert (code, out) == (3, "")
    assert err == "nbedex: pair.h5: the pooled rivals need agrees of shape (2,), one for each of the map's regions\n"
