"""Bad input: one clear line, the right exit code, no traceback, nothing left behind, nothing overwritten."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from nbedex.cli import main
from nbedex.errors import NbedexError
from nbedex.library import SimulationSettings, build_library, save_library
from nbedex.phases import load_phase
from oracles.command_line import here, nbedex, tree
from oracles.small_scan import DETECTOR, FLAGS, small_scan

CUBE = (
    "data_x\n_cell_length_a 4\n_cell_length_b 4\n_cell_length_c 4\n"
    "_cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma 90\n"
)
ATOMS = "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\nAu 0 0 0\n"
CALIBRATED = ("--pixel-size", "0.026", "--voltage", "300")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    frames = small_scan((3, 3))
    np.save(folder / "scan.npy", frames)
    np.save(folder / "stack.npy", frames.reshape(9, *DETECTOR))
    np.save(folder / "image.npy", frames[0, 0])
    np.save(folder / "five.npy", frames[None])
    np.save(folder / "complex.npy", frames.astype(np.complex64))
    np.save(folder / "blank.npy", np.zeros_like(frames))
    np.save(folder / "mask.npy", np.zeros((4, 5), dtype=bool))
    np.save(folder / "numbers.npy", np.zeros(DETECTOR))
    (folder / "scan.npz.npy").write_bytes((folder / "scan.npy").read_bytes()[:-500])
    (folder / "text.hspy").write_text("not HDF5\n")
    (folder / "empty.blo").write_bytes(b"")
    (folder / "text.cif").write_text("not a CIF\n")
    (folder / "nosym.cif").write_text(CUBE + ATOMS)
    (folder / "element.cif").write_text(CUBE + "_space_group_name_H-M_alt 'P 1'\n" + ATOMS.replace("Au", "Xx"))
    (folder / "text.toml").write_text("not TOML\n")
    (folder / "key.toml").write_text("[match]\nn_bset = 3\n")
    (folder / "range.toml").write_text("[match]\nn_best = 1\n")
    (folder / "edges.toml").write_text("[preprocess]\nk_min = 0.9\nk_max = 0.3\n")
    (folder / "exists.h5").write_bytes(b"precious")
    (folder / "twin.h5.toml").write_bytes(b"mine")
    settings = SimulationSettings(voltage=200.0, k_max=1.2, step_deg=15.0)
    save_library(build_library([load_phase("cu")], settings, threads=1), folder / "lib200.h5")
    return folder


@pytest.fixture(autouse=True)
def no_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBEDEX_CACHE", str(tmp_path_factory.getbasetemp() / "bad-input-cache"))


def refused(inputs: Path, arguments: tuple[object, ...], code: int, *fragments: str, process: bool = False) -> None:
    """Run in the folder of inputs: exactly one line, and the folder is as it was before.

    In this process, which is quicker, or in one of its own.
    """
    before = tree(inputs)
    if process:
        done = nbedex(*arguments, folder=inputs)
        returned, out, err = done.returncode, done.stdout, done.stderr
    else:
        returned, out, err = here(inputs, *arguments)
    lines = [line for line in err.splitlines() if "WARNING" not in line]
    assert returned == code, err
    assert len(lines) == 1 and lines[0].startswith("nbedex: "), err
    assert out == "" and "Traceback" not in err and "internal error" not in err
    for fragment in fragments:
        assert fragment in lines[0]
    assert tree(inputs) == before


INDEX = [
    # scan
    (("missing.hspy", *FLAGS), 2, "no such file: missing.hspy"),
    (("text.hspy", *FLAGS), 3, "text.hspy: expected an HDF5 file, as its name says"),
    (("empty.blo", *FLAGS), 3, "empty file"),
    (("image.npy", *FLAGS), 3, "a single image of 96 x 98 pixels; a scan has 4 dimensions"),
    (("five.npy", *FLAGS), 3, "an array of 5 dimensions"),
    (("complex.npy", *FLAGS), 3, "intensities of type complex64"),
    (("scan.npz.npy", *FLAGS), 3, "scan.npz.npy"),
    (("blank.npy", *FLAGS), 3, "none of the 9 patterns looked at can be used"),
    (("stack.npy", *FLAGS, "--scan-shape", "2,4"), 2, "--scan-shape 2 x 4 has 8 patterns, stack.npy has 9"),
    (("stack.npy", *FLAGS, "--scan-shape", "9"), 2, "expected ROWS,COLUMNS such as 64,128, got '9'"),
    (("scan.npy", *FLAGS, "--dataset", "/x"), 2, "--dataset is for HDF5 files"),
    (("lib200.h5", *FLAGS, "--dataset", "/x"), 2, "no dataset /x"),
    # calibration
    (("scan.npy", "--phase", "cu"), 2, "--pixel-size, 1/angstrom per pixel", "--voltage, kV"),
    (("scan.npy", "--phase", "cu", "--pixel-size", "0.02"), 2, "the file does not say the accelerating voltage"),
    (("scan.npy", *FLAGS, "--pixel-size", "2.6"), 2, "pixel_size must lie between", "divided by 10"),
    (("scan.npy", *FLAGS, "--pixel-size", "-1"), 2, "calibration.pixel_size", "got -1"),
    (("scan.npy", *FLAGS, "--pixel-size", "nan"), 2, "pixel_size"),
    (("scan.npy", *FLAGS, "--pixel-size", "x"), 2, "argument --pixel-size: invalid float value: 'x'"),
    (("scan.npy", *FLAGS, "--voltage", "300000"), 2, "voltage must lie between 10 and 3000 kV, got 300000"),
    (("scan.npy", *FLAGS, "--rotation", "inf"), 2, "rotation_deg must be finite"),
    (("scan.npy", *FLAGS, "--center", "500,3"), 2, "the centre (500, 3) lies outside the detector of 96 x 98 pixels"),
    # phases and library
    (("scan.npy", *CALIBRATED), 2, "no phase given: name at least one with --phase"),
    (("scan.npy", *CALIBRATED, "--phase", "beta2-alumna"), 2, "unknown phase", "did you mean 'beta2-alumina'?"),
    (("scan.npy", *CALIBRATED, "--phase", "missing.cif"), 2, "no such file", "missing.cif"),
    (("scan.npy", *CALIBRATED, "--phase", "text.cif"), 3, "text.cif: not a valid CIF"),
    (("scan.npy", *CALIBRATED, "--phase", "nosym.cif"), 3, "no symmetry is given"),
    (("scan.npy", *CALIBRATED, "--phase", "element.cif"), 3, "element.cif", "Xx"),
    (("scan.npy", *CALIBRATED, "--phase", "cu", "--phase", "cu"), 2, "phases must have different names"),
    (("scan.npy", *CALIBRATED, "--library", "missing.h5"), 2, "no template library at missing.h5"),
    (("scan.npy", *CALIBRATED, "--library", "text.cif"), 3, "text.cif"),
    (("scan.npy", *CALIBRATED, "--library", "exists.h5"), 3, "exists.h5"),
    (("scan.npy", *CALIBRATED, "--library", "lib200.h5"), 2, "simulated for 200 kV", "taken at 300 kV"),
    (("scan.npy", *CALIBRATED, "--library", "lib200.h5", "--phase", "cu"), 2, "leave out phases, or the file"),
    (("scan.npy", *FLAGS, "--shape-factor", "round"), 2, "'round'", "expected one of binary, linear, lorentzian"),
    (("scan.npy", *CALIBRATED, "--phase", "cu", "--k-max", "0.11"), 2, "k_max = 0.11"),
    # options
    (("scan.npy", *FLAGS, "--mask", "mask.npy"), 2, "the mask has shape (4, 5), the detector (96, 98)"),
    (("scan.npy", *FLAGS, "--mask", "numbers.npy"), 3, "must be a 2D array of booleans, got 2D float64"),
    (("scan.npy", *FLAGS, "--mask", "text.cif"), 3, "the mask text.cif is not a .npy file of booleans"),
    (("scan.npy", *FLAGS, "--mask", "none.npy"), 3, "can't read the mask none.npy: No such file"),
    (("scan.npy", *FLAGS, "--k-min", "1.3"), 2, "k_min = 1.3, k_max = 1.2", "--k-min and --k-max"),
    (("scan.npy", *FLAGS, "--config", "edges.toml"), 2, "k_max must exceed k_min"),
    (("scan.npy", *FLAGS, "--config", "missing.toml"), 2, "missing.toml"),
    (("scan.npy", *FLAGS, "--config", "text.toml"), 2, "text.toml is not valid TOML"),
    (("scan.npy", *FLAGS, "--config", "key.toml"), 2, "key.toml", "`n_bset` at `match`; known keys there: "),
    (("scan.npy", *FLAGS, "--config", "range.toml"), 2, "range.toml", ">= 2 at `match.n_best`, got 1"),
    (("scan.npy", *FLAGS, "--n-best", "1"), 2, ">= 2 at `match.n_best`, got 1"),
    (("scan.npy", *FLAGS, "--threads", "-1"), 2, "argument --threads: expected 0 (all available) to 4096"),
    (("scan.npy", *FLAGS, "--no-such-flag"), 2, "unrecognized arguments: --no-such-flag"),
    ((*FLAGS,), 2, "no scan given"),
]


@pytest.mark.parametrize("case", INDEX, ids=lambda case: " ".join(a for a in case[0] if a not in FLAGS)[:60])
def test_index(inputs: Path, case: tuple[tuple[str, ...], int, str]) -> None:
    arguments, code, *fragments = case
    refused(inputs, ("index", *arguments, "-o", "out.h5", "-q"), code, *fragments)


OUTPUT = [
    ("exists.h5", "exists.h5 exists already; choose another name or ask for it to be overwritten (--overwrite)"),
    ("twin.h5", "twin.h5.toml exists already"),
    ("nowhere/out.h5", "the folder", "nowhere does not exist; create it first"),
    ("/proc/out.h5", "/proc/out.h5"),
    (".", "it is a folder"),
    ("text.cif/out.h5", "text.cif"),
]


@pytest.mark.parametrize("case", OUTPUT, ids=lambda case: case[0])
def test_output(inputs: Path, case: tuple[str, ...]) -> None:
    refused(inputs, ("index", "scan.npy", *FLAGS, "-q", "-o", case[0]), 5, *case[1:], process=True)


OTHERS = [
    (("info", "missing"), 2, "missing"),
    (("info", "text.hspy"), 3, "text.hspy"),
    (("phases", "gold"), 2, "unknown phase 'gold'"),
    (("library", "build", "--phase", "cu", "-o", "l.h5"), 2, "required: --voltage"),
    (("library", "build", "--voltage", "300", "-o", "l.h5"), 2, "no phase given"),
    (("library", "build", "--voltage", "nan", "--phase", "cu", "-o", "l.h5"), 2, "voltage"),
    (("library", "build", "--voltage", "300", "--phase", "cu", "-o", "exists.h5"), 5, "exists already"),
    (("library", "build", "--voltage", "300", "--phase", "cu", "--threads", "-1", "-o", "l.h5"), 2, "--threads"),
    (("export", "missing.h5", "--to", "ang", "x.ang"), 2, "missing.h5"),
    (("export", "lib200.h5", "--to", "ang", "x.ang"), 3, "lib200.h5"),
    (("plot", "exists.h5", "--to", "x.png"), 3, "exists.h5"),
    (("demo", "--size", "3"), 2, "--size must lie between 32 and 1024, got 3"),
    (("demo", "text.cif"), 5, "text.cif"),
    (("no-such-command",), 2, "invalid choice: 'no-such-command'"),
    ((), 2, "required: COMMAND"),
]


@pytest.mark.parametrize("case", OTHERS, ids=lambda case: " ".join(case[0])[:60])
def test_other_commands(inputs: Path, case: tuple[tuple[str, ...], int, str]) -> None:
    arguments, code, *fragments = case
    refused(inputs, arguments, code, *fragments)


@pytest.mark.parametrize("pixel_size", [0.26, 0.0026])
def test_pixel_size_ten_times_off_is_not_silent(inputs: Path, tmp_path: Path, pixel_size: float) -> None:
    """1/nm taken for 1/angstrom: an error, or exit code 4 and a warning that names the option."""
    shutil.copy(inputs / "scan.npy", tmp_path)
    arguments = ("scan.npy", *FLAGS, "--pixel-size", pixel_size, "-o", "out.h5", "--json", "-q")
    quiet = nbedex("index", *arguments, folder=tmp_path)
    assert quiet.returncode == 4 and quiet.stderr == ""
    assert json.loads(quiet.stdout)["fraction_indexed"] < 0.5
    loud = nbedex("index", *arguments[:-1], "--overwrite", folder=tmp_path)
    assert loud.returncode == 4
    assert "WARNING: only" in loud.stderr and "check --pixel-size (1/angstrom, not 1/nm)" in loud.stderr


def test_every_error_has_a_documented_exit_code() -> None:
    documented = main.__doc__ or ""
    for kind in (NbedexError, *NbedexError.__subclasses__()):
        assert f"{kind.exit_code} " in documented
