"""The result's data model, its summary, and its file read back."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nbedex.errors import ArgumentError
from nbedex.maps import IndexingResult, Status, read_result, summary, to_json, write_result
from nbedex.maps.orientation import multiply
from nbedex.maps.result import ARRAYS

_spec = importlib.util.spec_from_file_location("maps_sample", Path(__file__).parents[1] / "oracles" / "maps_sample.py")
assert _spec and _spec.loader
maps_sample = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(maps_sample)
sample_result = maps_sample.sample_result


def assert_equal(one: IndexingResult, other: IndexingResult) -> None:
    for name in ARRAYS:
        a, b = getattr(one, name), getattr(other, name)
        assert a.dtype == b.dtype, name
        assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), name
    assert [p.to_dict() for p in one.phases] == [p.to_dict() for p in other.phases]
    assert one.calibration == other.calibration


@pytest.mark.parametrize("shape", [(7, 5), (1, 9), (9, 1), (1, 1)])
@pytest.mark.parametrize("step", [(2.0, 1.5), None])
def test_round_trip(tmp_path: Path, shape: tuple[int, int], step: tuple[float, float] | None) -> None:
    result = sample_result(shape, step=step)
    written = write_result(tmp_path / "map.h5", result)
    assert written == tmp_path / "map.h5"
    back = read_result(written)
    assert_equal(result, back)
    assert back.provenance == result.provenance
    assert back.provenance["input"] == "Prüfung.hspy"


def test_no_rivals(tmp_path: Path) -> None:
    result = sample_result((4, 3), n_rivals=0)
    assert read_result(write_result(tmp_path / "map.h5", result)).n_rivals == 0


def test_same_result_same_bytes(tmp_path: Path) -> None:
    """Also where a NaN has other bits, memory another order, and the file came from a file."""
    result = sample_result((6, 8))
    first = write_result(tmp_path / "a.h5", result).read_bytes()
    other = sample_result((6, 8))
    bits = other.reliability.view(np.uint32)
    bits[np.isnan(other.reliability)] = 0xFFC00123
    other.orientation = np.asfortranarray(other.orientation)
    assert write_result(tmp_path / "b.h5", other).read_bytes() == first
    assert write_result(tmp_path / "c.h5", read_result(tmp_path / "a.h5")).read_bytes() == first


def test_file_is_plain_hdf5(tmp_path: Path) -> None:
    """What docs/result-file.md promises to other programs."""
    result = sample_result((4, 6))
    with h5py.File(write_result(tmp_path / "map.h5", result)) as file:
        assert file.attrs["format"] == b"nbedex-result"
        assert file.attrs["version"] == 2
        assert set(file) == {*ARRAYS, "phases", "calibration", "provenance"}
        assert file["orientation"].shape == (4, 6, 4) and file["orientation"].dtype == "<f8"
        assert file["mirrored"].dtype == np.uint8
        assert all(file[name].chunks is None for name in ARRAYS)
        assert json.loads(file["calibration"][()])["step"] == [2.0, 1.5]
        assert [p["name"] for p in json.loads(file["phases"][()])] == list(maps_sample.NAMES)
        assert json.loads(file["provenance"][()].decode())["input"] == "Prüfung.hspy"


def test_documentation_names_every_dataset() -> None:
    text = (Path(__file__).parents[2] / "docs" / "result-file.md").read_text(encoding="utf-8")
    for name, (dtype, _) in ARRAYS.items():
        stored = "uint8" if dtype == "bool" else dtype
        assert f"| `{name}` | {stored} |" in text, name
    for status in Status:
        assert f"| {status.value} | {status.name} | {status.sentence} |" in text, status


def test_empty_can_be_filled() -> None:
    result = sample_result((3, 4))
    empty = IndexingResult.empty((3, 4), result.phases, result.calibration, n_rivals=2)
    assert (empty.status == Status.NOT_DONE).all() and not empty.indexed.any()
    assert empty.rival_orientation.shape == (3, 4, 2, 4) and empty.phase_score.shape == (3, 4, 3)
    empty.phase_id[1, 2], empty.status[1, 2], empty.index[1, 2] = 1, Status.OK, 0.5
    empty.orientation[1, 2] = (1.0, 0.0, 0.0, 0.0)
    empty.validate()
    assert repr(empty) == "IndexingResult(3 x 4 pixels, 1 indexed, phases: beta2-alumina, nzsp, na2au)"


def wrong(name: str, value: Any) -> Any:
    return lambda r: setattr(r, name, value(r))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (wrong("phases", lambda r: ()), "phases must hold at least one phase, got none"),
        (wrong("phase_id", lambda r: r.phase_id[0]), r"phase_id must have the shape (ny, nx) of a map, got (5,)"),
        (wrong("phase_id", lambda r: r.phase_id.astype(int)), "phase_id must be int16, got int64"),
        (wrong("index", lambda r: r.index[:, :-1]), "index must have the shape (4, 5), got (4, 4)"),
        (wrong("center", lambda r: r.center[..., 0]), "center must have the shape (4, 5, 2), got (4, 5)"),
        (wrong("mirrored", lambda r: list(r.mirrored)), "mirrored must be a NumPy array, got list"),
        (
            wrong("phase_id", lambda r: r.phase_id + np.int16(3)),
            "phase_id must lie between -1 and 2 (3 phases), got 2 to 5",
        ),
        (wrong("status", lambda r: r.status + np.uint8(8)), "status must lie between 0 and 8, got 15"),
        (wrong("status", lambda r: r.status * np.uint8(0)), "status must be OK exactly where phase_id is not -1"),
        (wrong("orientation", lambda r: -r.orientation), "orientation must hold unit quaternions with w >= 0"),
        (wrong("orientation", lambda r: 2 * r.orientation), "orientation must hold unit quaternions"),
        (wrong("orientation", lambda r: np.nan_to_num(r.orientation)), "orientation must be NaN where not indexed"),
        (wrong("index", lambda r: r.index * np.float32(2)), "index must lie in [-1, 1], got up to"),
        (wrong("index", lambda r: r.index * np.float32(np.nan)), "index must be a number wherever"),
        (wrong("reliability", lambda r: r.reliability + np.float32(np.inf)), "reliability must hold numbers, or NaN"),
        (wrong("provenance", lambda r: "text"), "provenance must be a dict, got str"),
        (wrong("calibration", lambda r: None), "calibration must be a Calibration, got NoneType"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, damage: Any, message: str) -> None:
    result = sample_result((4, 5), seed=12)
    assert result.indexed.any() and not result.indexed.all()
    result.status[~result.indexed] = Status.NOT_DONE
    damage(result)
    with pytest.raises(ArgumentError) as caught:
        write_result(tmp_path / "map.h5", result)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_construction_validates() -> None:
    result = sample_result((4, 5))
    with pytest.raises(ArgumentError, match="template_id must be int32, got int64"):
        replace(result, template_id=result.template_id.astype(np.int64))


def test_accepted() -> None:
    result = sample_result()
    assert (result.accepted() == result.indexed).all()
    keep = result.accepted(min_index=0.5, min_reliability=20)
    expected = result.indexed & (result.index >= 0.5)
    expected &= np.isnan(result.reliability) | (result.reliability >= 20)
    assert (keep == expected).all() and 0 < keep.sum() < result.indexed.sum()
    with pytest.raises(ArgumentError, match=r"min_index must lie between -1 and 1 .* got 600"):
        result.accepted(min_index=600)
    with pytest.raises(ArgumentError, match="min_reliability must lie between -100 and 100 percent, got nan"):
        result.accepted(min_reliability=float("nan"))


def test_summary_counts() -> None:
    result = sample_result((30, 20))
    numbers = summary(result)
    assert sum(numbers["status"].values()) == 600 == numbers["pixels"]
    assert numbers["indexed"] == numbers["status"]["OK"] == sum(p["pixels"] for p in numbers["phases"])
    assert numbers["fraction_indexed"] == numbers["indexed"] / (600 - numbers["status"]["NOT_DONE"])
    nzsp = result.index[result.phase_id == 1]
    assert numbers["phases"][1]["name"] == "nzsp"
    assert numbers["phases"][1]["median_index"] == pytest.approx(np.median(nzsp))
    assert json.loads(json.dumps(numbers)) == numbers


def test_coherence_tells_grains_from_noise() -> None:
    assert summary(sample_result())["neighbour_coherence"] < 0.01
    assert summary(sample_result(grains=True))["neighbour_coherence"] > 0.95
    empty = sample_result((3, 3))
    none = IndexingResult.empty((3, 3), empty.phases, empty.calibration)
    assert summary(none)["neighbour_coherence"] is None and summary(none)["fraction_indexed"] == 0.0


def test_coherence_knows_symmetry_and_direction() -> None:
    """Equivalents are one orientation; columns and rows both count; 6 degrees apart is not coherent."""
    result = sample_result((2, 4), seed=1)
    phase = result.phases[1]
    q = result.orientation[result.indexed][0]
    result.phase_id[:], result.status[:], result.index[:] = 1, 0, 0.5
    result.orientation[:] = q
    turned = multiply(np.array([np.cos(np.pi / 60), 0, 0, np.sin(np.pi / 60)]), q)  # 6 degrees
    result.orientation[1] = turned
    result.orientation[0, 1] = multiply(phase.symmetry_quaternions[1], q)
    result.orientation *= np.where(result.orientation[..., :1] < 0, -1, 1)
    numbers = summary(result)
    assert numbers["neighbour_pairs"] == 10
    assert numbers["neighbour_coherence"] == pytest.approx(6 / 10)  # all along rows, none across
    assert summary(result, coherence_angle_deg=6.1)["neighbour_coherence"] == 1.0


def test_html_is_escaped() -> None:
    result = sample_result((4, 5))
    result.status[0, 0] = Status.NOT_DONE
    result.phases = (replace(result.phases[0], name="<script>alert(1)</script>"), *result.phases[1:])
    text = result._repr_html_()
    assert "<script>" not in text and "&lt;script&gt;" in text
    assert "20" in text and Status.NOT_DONE.sentence in text


def test_json_of_what_provenance_holds() -> None:
    value = {
        "path": Path("a") / "b",
        "n": np.int64(3),
        "x": np.float32(0.5),
        "nan": float("nan"),
        "array": np.arange(3),
        "status": Status.NO_MATCH,
        "set": {"b", "a"},
        1: True,
    }
    assert json.loads(to_json(value)) == {
        "path": str(Path("a") / "b"),
        "n": 3,
        "x": 0.5,
        "nan": None,
        "array": [0, 1, 2],
        "status": 5,
        "set": ["a", "b"],
        "1": True,
    }
    with pytest.raises(ArgumentError, match="can't write a object as JSON"):
        to_json({"a": object()})
