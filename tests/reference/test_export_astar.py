"""Our .ang and .ctf beside real ASTAR files: the same columns, units, numbering and scales.

ACOM.ang: mtex-toolbox/mtex, data/EBSD; the .ctf files: din14970/pyxem_template_matching_workflows.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbedex.calibration import Calibration
from nbedex.maps import IndexingResult, export
from nbedex.maps.orientation import from_euler, misorientation, rotation_angle
from nbedex.phases import load_phase

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
ANG = DATA / "astar_ang_mtex" / "ACOM.ang"
CTF = DATA / "steel_nbed_subset"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs the real ASTAR files in ../shared/data")

_spec = importlib.util.spec_from_file_location("maps_sample", ROOT / "tests" / "oracles" / "maps_sample.py")
assert _spec and _spec.loader
maps_sample = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(maps_sample)


def result_of(shape: Any, step: Any, euler: Any, index: Any, reliability: Any) -> IndexingResult:
    """What ASTAR found, as a result of ours; one cubic phase."""
    calibration = Calibration(pixel_size=0.01, voltage=200.0, step=step)
    result = IndexingResult.empty(shape, (load_phase("cu"),), calibration, n_rivals=1)
    result.status[:], result.phase_id[:] = 0, 0
    result.orientation[:] = from_euler(euler).reshape(*shape, 4)
    result.index[:] = np.reshape(index, shape)
    result.reliability[:] = np.reshape(reliability, shape)
    return result


def table(path: Path, skip: int = 0) -> np.ndarray:
    return np.loadtxt(path, skiprows=skip)


def test_ang_written_again(tmp_path: Path) -> None:
    """A real ASTAR .ang goes through a result of ours and comes out with the same numbers."""
    real = table(ANG)
    reliable = real[:, 6] >= 0
    result = result_of((15, 15), (2.0, 2.0), real[:, :3], real[:, 5] / 100, 100 * np.abs(real[:, 6]))
    ours = table(export(result, tmp_path / "again.ang", to="ang"))
    assert ours.shape == real.shape == (225, 9)
    turned = misorientation(from_euler(ours[:, :3]), from_euler(real[:, :3]))
    assert rotation_angle(turned).max() < 3e-5
    np.testing.assert_allclose(ours[:, 3:5], real[:, 3:5], atol=1e-9)
    np.testing.assert_allclose(ours[:, 5], real[:, 5], atol=1e-3)
    np.testing.assert_allclose(ours[reliable, 6], real[reliable, 6], atol=1e-5)
    assert (ours[:, 7] == real[:, 7]).all()
    scale = np.median(ours[reliable, 8] / np.maximum(ours[reliable, 6], 1e-9))
    assert scale == pytest.approx(100) and np.ptp(100 * ours[reliable, 6] - ours[reliable, 8]) < 0.11


def test_ang_marks_what_is_not_reliable_as_astar_does(tmp_path: Path) -> None:
    real = table(ANG)
    lost = real[:, 6] < 0
    assert lost.any() and (real[lost, 6] == -1).all() and (real[lost, 8] == 1).all()
    ours = table(export(maps_sample.sample_result((9, 9)), tmp_path / "map.ang", to="ang"))
    lost = ours[:, 7] < 0
    assert lost.any() and (ours[lost, 6] == -1).all() and (ours[lost, 8] == 1).all()
    assert ours[~lost, 6].min() >= 0 and 10 < np.median(ours[~lost, 5]) < 100


def test_ang_header_like_astar(tmp_path: Path) -> None:
    """The same keys in the same order, the phases counted from 1, ascending."""

    def keys(path: Path) -> list[str]:
        lines = [line.split() for line in path.read_text().splitlines() if line.startswith("#")]
        known = ("MaterialName", "Formula", "Symmetry", "LatticeConstants", "NumberFamilies", "GRID:")
        return [line[1] for line in lines if len(line) > 1 and line[1] in known]

    real = keys(ANG)
    one = export(maps_sample.sample_result((3, 3), names=("cu",)), tmp_path / "one.ang", to="ang")
    assert keys(one) == real
    assert "ACOM RES results" in one.read_text().splitlines()[0]
    assert "# Symmetry          43" in one.read_text() and "# Symmetry          43" in ANG.read_text()
    # MTEX's reader of ASTAR files counts: the material of a single phase stands in line 5
    assert one.read_text().splitlines()[4].startswith("# MaterialName")
    assert ANG.read_text().splitlines()[4].startswith("# MaterialName")
    three = export(maps_sample.sample_result((3, 3)), tmp_path / "three.ang", to="ang").read_text()
    assert [line for line in three.splitlines() if line.startswith("# Phase ")] == [
        "# Phase 1",
        "# Phase 2",
        "# Phase 3",
    ]


def header_keys(path: Path) -> tuple[list[str], int]:
    lines = path.read_bytes().decode("latin-1").split("\r\n")
    first = next(i for i, line in enumerate(lines) if line.startswith("Phase\tX\tY"))
    return [line.split("\t")[0].split("!")[0] for line in lines[:first] if ";" not in line], first + 1


@pytest.mark.parametrize("name", ["200625ResultsAusteniteNoLin.ctf", "TVIPS_without_mask.ctf"])
def test_ctf_written_again(tmp_path: Path, name: str) -> None:
    keys, skip = header_keys(CTF / name)
    real = table(CTF / name, skip)
    nx = round(real[:, 1].max() / real[1, 1]) + 1
    ny = len(real) // nx
    step = 1000 * real[1, 1]
    euler = np.deg2rad(real[:, 5:8])
    result = result_of((ny, nx), (step, step), euler, real[:, 9] / 100, 100 * real[:, 8])
    path = export(result, tmp_path / "again.ctf", to="ctf")
    our_keys, our_skip = header_keys(path)
    assert our_keys == keys
    ours = table(path, our_skip)
    np.testing.assert_array_equal(ours[:, [0, 3, 4, 9]], real[:, [0, 3, 4, 9]])  # phase, bands, error, BC
    np.testing.assert_allclose(ours[:, 1:3], real[:, 1:3], atol=6e-8)
    np.testing.assert_allclose(ours[:, 8], real[:, 8], atol=6e-5)
    turned = misorientation(from_euler(np.deg2rad(ours[:, 5:8])), from_euler(euler))
    assert np.rad2deg(rotation_angle(turned)).max() < 2e-4
    phase_line = next(line for line in path.read_text().splitlines() if ";" in line)
    assert phase_line.split("\t")[2:] == ["cu", "11", "225"]  # m-3m is Laue group 11 in ASTAR's file too
    assert b"\tPhase_1\t11\t225" in (CTF / name).read_bytes()
