"""Every command, as a user runs it; where only the answer matters, called in this process."""

from __future__ import annotations

import json
import subprocess
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbedex import __version__, _core, load_library, read_result
from nbedex.settings import settings_from_toml
from nbedex.workflow import RunSettings
from oracles.command_line import COMMAND, environment, here, nbedex, without
from oracles.small_scan import DETECTOR, FLAGS, small_scan, write_h5

COMMANDS = ("demo", "phases", "library", "info", "calibrate", "look", "index", "export", "plot", "show-config")
STATUS_NAMES = [
    "OK", "BLANK", "SATURATED", "NON_FINITE", "LOW_SIGNAL", "NO_MATCH", "UNREADABLE", "NOT_DONE", "NO_SPOTS",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan, the result of indexing it and a library, made once by the commands that the tests are about."""
    path = tmp_path_factory.mktemp("commands")
    write_h5(path / "scan.h5", small_scan())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBEDEX_CACHE", str(path / "cache"))
        done = nbedex("index", "scan.h5", *FLAGS, "--scan-step", 2, "-o", "map.h5", "--json", folder=path)
    assert done.returncode == 0, done.stderr
    (path / "index.json").write_text(done.stdout)
    (path / "index.err").write_text(done.stderr)
    return path


@pytest.fixture(autouse=True)
def one_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBEDEX_CACHE", str(folder / "cache"))


def run(folder: Path, *arguments: object, code: int = 0) -> str:
    returned, out, err = here(folder, *arguments)
    assert returned == code, err
    return out


def answer(folder: Path, *arguments: object) -> Any:
    return json.loads(run(folder, *arguments, "--json"))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(command: str, tmp_path: Path) -> None:
    started = time.monotonic()
    done = nbedex(command, "--help", folder=tmp_path)
    text = done.stdout
    assert done.returncode == 0 and done.stderr == ""
    assert time.monotonic() - started < 5  # 0.1 s on a machine with nothing else to do
    assert "examples:\n" in text and f"nbedex {command}" in text.split("examples:")[1]
    assert "--json" in text and not list(tmp_path.iterdir())


def test_main_help_names_every_command(tmp_path: Path) -> None:
    text = run(tmp_path, "--help")
    for command in COMMANDS:
        assert f"\n    {command}" in text
    assert "Exit codes: 0 done" in text
    assert run(tmp_path, "--version") == f"nbedex {__version__}\n"


def test_every_line_of_help_fits_a_page(tmp_path: Path) -> None:
    """Options and their help; the examples may be longer."""
    for command in COMMANDS:
        for line in run(tmp_path, command, "--help").split("examples:")[0].splitlines():
            assert len(line) <= 140, line


def test_phases(folder: Path) -> None:
    text = run(folder, "phases")
    for name in ("beta2-alumina", "beta-alumina", "nzsp", "nzsp-r3c", "na2au", "au2na", "au", "na", "pt", "cu"):
        assert f"\n {name} " in text or f"\n{name} " in text, name
    assert "(003)" in text
    facts = {phase["name"]: phase for phase in answer(folder, "phases")}
    assert len(facts) == 12
    assert facts["beta2-alumina"]["conduction_plane"] == [0, 0, 3] and facts["beta2-alumina"]["conducts_sodium"]
    assert facts["nzsp"]["conduction_plane"] is None and facts["nzsp"]["space_group"] == 15


def test_phases_of_a_cif(folder: Path) -> None:
    cif = Path(__file__).parents[2] / "templates" / "structures"
    path = next(p for p in cif.rglob("*.cif") if "Au_" in p.name or p.stem.lower() == "au")
    (folder / "mine.cif").write_text(path.read_text())
    (facts,) = answer(folder, "phases", "mine.cif")
    assert facts["cell"][:3] == pytest.approx([4.078] * 3, abs=0.01) and facts["space_group"] == 225
    assert facts["atoms"] == 4


def test_info_of_a_scan(folder: Path) -> None:
    facts = answer(folder, "info", "scan.h5")
    assert facts["kind"] == "scan" and facts["shape"] == [4, 5, *DETECTOR] and facts["dataset"] == "/data"
    assert f"[4, 5, {DETECTOR[0]}, {DETECTOR[1]}]" in run(folder, "info", "scan.h5")


def test_info_of_a_result(folder: Path) -> None:
    facts = answer(folder, "info", "map.h5")
    assert facts["kind"] == "result" and facts["pixels"] == 20
    assert facts["provenance"]["software"]["nbedex"] == __version__
    assert facts["provenance"]["run"]["library"]["step_deg"] == 3.0
    assert "indexed" in run(folder, "info", "map.h5")


def test_library_build_and_use(folder: Path) -> None:
    arguments = ("--phase", "na2au", "--phase", "beta2-alumina", "--step", 3, "--k-max", 1.2)
    facts = answer(folder, "library", "build", *arguments, "--voltage", 300, "-o", "lib.h5", "-q")
    library = load_library(folder / "lib.h5")
    assert facts["sha256"] == library.sha256 and [p.name for p in library.phases] == ["na2au", "beta2-alumina"]
    assert answer(folder, "info", "lib.h5")["kind"] == "library"
    run(folder, "index", "scan.h5", "--library", "lib.h5", "--pixel-size", 0.026, "--voltage", 300, "-o", "by_lib.h5")
    assert_same_maps(folder / "by_lib.h5", folder / "map.h5")
    effective = tomllib.loads((folder / "by_lib.h5.toml").read_text())
    assert effective["library"] == {"file": "lib.h5", "phases": []}


def assert_same_maps(first: Path, second: Path) -> None:
    a, b = read_result(first), read_result(second)
    for name in ("phase_id", "orientation", "index", "reliability", "status", "center", "rival_score", "template_id"):
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes(), name


def test_index_answers(folder: Path) -> None:
    facts = json.loads((folder / "index.json").read_text())
    result = read_result(folder / "map.h5")
    assert facts["result"] == "map.h5" and facts["pixels"] == 20 and list(facts["status"]) == STATUS_NAMES
    assert facts["indexed"] == int(result.indexed.sum()) >= 18
    assert result.calibration.step == (2.0, 2.0)
    progress = (folder / "index.err").read_text().splitlines()
    assert any(line.startswith("nbedex: indexing: 20/20") for line in progress)
    left = {path.name for path in folder.iterdir()}
    assert not any(name.startswith(".") or name.endswith(".part") for name in left)


def test_effective_options_repeat_the_run(folder: Path) -> None:
    """The TOML file beside the result gives the same maps bit for bit, and asks for nothing to be overwritten."""
    settings = settings_from_toml(RunSettings, folder / "map.h5.toml")
    assert settings.library.phases == ("na2au", "beta2-alumina") and settings.library.k_max == 1.2
    assert settings.calibration.step_nm == 2.0 and not settings.output.overwrite
    run(folder, "index", "--config", "map.h5.toml", code=5)
    run(folder, "index", "--config", "map.h5.toml", "-o", "again.h5", "-q")
    assert_same_maps(folder / "again.h5", folder / "map.h5")
    first, second = (tomllib.loads((folder / f"{n}.h5.toml").read_text()) for n in ("map", "again"))
    assert without(first, "output") == without(second, "output")
    run(folder, "index", "--config", "map.h5.toml", "-o", "again.h5", "-q", "--overwrite")
    assert not tomllib.loads((folder / "again.h5.toml").read_text())["output"]["overwrite"]


def test_flags_go_over_the_file(folder: Path) -> None:
    (folder / "run.toml").write_text(
        '[scan]\npath = "scan.h5"\n[library]\nphases = ["cu"]\nstep_deg = 9\n'
        "[calibration]\npixel_size = 0.026\nvoltage = 300\n[preprocess]\nk_max = 1.0\n[match]\nn_best = 3\n"
    )
    run(folder, "index", "--config", "run.toml", "--phase", "na2au", "--n-best", 4, "-q", "-o", "mixed.h5")
    effective = tomllib.loads((folder / "mixed.h5.toml").read_text())
    assert effective["library"]["phases"] == ["na2au"] and effective["library"]["step_deg"] == 9.0
    assert effective["match"]["n_best"] == 4 and effective["preprocess"]["k_max"] == 1.0
    assert read_result(folder / "mixed.h5").rival_score.shape[-1] == 4


@pytest.mark.parametrize(
    ("to", "name"), [("orix", "o.h5"), ("ang", "a.ang"), ("ang-tsl", "t.ang"), ("ctf", "c.ctf"), ("csv", "c.csv")]
)
def test_export(folder: Path, tmp_path: Path, to: str, name: str) -> None:
    target = tmp_path / name
    facts = answer(folder, "export", "map.h5", "--to", to, target)
    assert Path(facts["written"]) == target and target.stat().st_size > 500
    before = target.read_bytes()
    run(folder, "export", "map.h5", "--to", to, target, code=5)
    assert target.read_bytes() == before
    run(folder, "export", "map.h5", "--to", to, target, "--overwrite")


def test_plot(folder: Path, tmp_path: Path) -> None:
    facts = answer(folder, "plot", "map.h5", "--to", tmp_path / "ipf.png", "--kind", "ipf-z", "--dpi", 60)
    assert facts["written"] == [str(tmp_path / "ipf.png")]
    assert (tmp_path / "ipf.png").read_bytes().startswith(b"\x89PNG")
    run(folder, "plot", "map.h5", "--to", tmp_path / "ipf.png", "--kind", "ipf-z", code=5)


def test_show_config(folder: Path) -> None:
    facts = answer(folder, "show-config")
    assert facts["nbedex"] == __version__ and facts["core"] == _core.build_info()
    assert facts["cache"] == str(folder / "cache") and (Path(facts["templates"]) / "structures").is_dir()
    assert __version__ in run(folder, "show-config")


def test_default_options_round_trip(folder: Path) -> None:
    (folder / "defaults.toml").write_text(run(folder, "show-config", "--defaults"))
    assert settings_from_toml(RunSettings, folder / "defaults.toml") == RunSettings()
    run(folder, "index", "scan.h5", *FLAGS, "--config", "defaults.toml", "-q", "-o", "defaults.h5")
    assert_same_maps(folder / "defaults.h5", folder / "map.h5")


def test_quiet_says_nothing(folder: Path) -> None:
    done = nbedex("index", "scan.h5", *FLAGS, "-o", "quiet.h5", "--quiet", folder=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_scan_shape_in_both_spellings(folder: Path) -> None:
    np.save(folder / "stack.npy", small_scan().reshape(20, *DETECTOR))
    for shape in ("4,5", "4x5"):
        assert answer(folder, "info", "stack.npy", "--scan-shape", shape)["shape"] == [4, 5, *DETECTOR]
    run(folder, "index", "stack.npy", *FLAGS, "--scan-shape", "4,5", "-q", "-o", "stack.h5")
    assert_same_maps(folder / "stack.h5", folder / "map.h5")


def test_most_patterns_not_indexed_is_exit_code_four(folder: Path) -> None:
    rng = np.random.default_rng(1)
    frames = small_scan()
    frames[:, :3] = rng.poisson(20, frames[:, :3].shape)
    write_h5(folder / "noisy.h5", frames)
    done = nbedex("index", "noisy.h5", *FLAGS, "-o", "noisy_map.h5", "--json", folder=folder)
    facts = json.loads(done.stdout)
    assert done.returncode == 4 and facts["status"]["NO_SPOTS"] >= 12
    assert f"nbedex: WARNING: only {facts['indexed']} of 20 patterns were indexed (NO_SPOTS " in done.stderr
    assert read_result(folder / "noisy_map.h5").shape == (4, 5)


def test_output_to_a_closed_pipe(folder: Path) -> None:
    """`nbedex phases | head -1` ends without a traceback."""
    line = " ".join(f"'{part}'" for part in COMMAND) + " phases --json | head -1"
    done = subprocess.run(["sh", "-c", line], env=environment(), capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[" and "Traceback" not in done.stderr and "Exception" not in done.stderr
