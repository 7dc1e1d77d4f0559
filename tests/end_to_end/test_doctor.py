"""nbedex doctor: right where all works, and it names what does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nbedex import _core, installation
from oracles.command_line import environment, here, nbedex


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NBEDEX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def status() -> dict[str, tuple[str, str]]:
    return {check.name: (check.status, check.detail) for check in installation.check_installation()}


def test_a_working_installation(tmp_path: Path) -> None:
    done = nbedex("doctor", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "nbedex works here"
    assert [line.split()[1] for line in lines[:5]] == ["extension", "threads", "dependencies", "phases", "cache"]
    assert all(line.startswith(("ok  ", "note")) for line in lines[:-1])
    assert f"instruction set {_core.build_info()['isa']}" in lines[0]


def test_answer_in_json(tmp_path: Path) -> None:
    done = nbedex("doctor", "--json", folder=tmp_path)
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["ok"] is True
    assert answer["software"]["core"]["isa"] == _core.build_info()["isa"]
    names = [check["name"] for check in answer["checks"]]
    assert names[0] == "extension" and "indexing" in names and "result file" in names


def test_an_extension_that_does_not_load(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['nbedex._core'] = None\nfrom nbedex.cli import main\n"
        "sys.exit(main(['doctor', *sys.argv[1:]]))"
    )
    for flags in ((), ("--json",)):
        done = subprocess.run(
            [sys.executable, "-c", code, *flags], cwd=tmp_path, env=environment(), capture_output=True, text=True,
            timeout=120,
        )  # fmt: skip
        assert done.returncode == 1 and "Traceback" not in done.stderr
        if flags:
            assert json.loads(done.stdout)["ok"] is False
        else:
            assert done.stdout.startswith("WRONG extension ")
            assert done.stdout.splitlines()[-1].startswith("nbedex does not work here: extension, threads")


def test_a_wrong_index_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The crystal turned by ten degrees about no special axis."""
    import numpy as np

    from nbedex import indexing
    from nbedex.maps import multiply

    real = indexing.index_scan
    half = np.deg2rad(5.0)
    turn = np.array([np.cos(half), *(np.sin(half) * np.array([0.36, 0.48, 0.8]))])

    def turned(*args: object, **options: object) -> object:
        result = real(*args, **options)
        result.orientation[...] = multiply(result.orientation, turn)
        return result

    monkeypatch.setattr(indexing, "index_scan", turned)
    code, out, _ = here(tmp_path, "doctor")
    assert code == 1
    assert "WRONG indexing      orientations of made-up patterns are off by up to 10." in out
    assert out.splitlines()[-1] == "nbedex does not work here: indexing"


def test_threads_that_change_the_result_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from nbedex import indexing

    real = indexing.index_scan

    def different(*args: object, **options: object) -> object:
        result = real(*args, **options)
        if options["threads"] == 0:
            result.orientation[0, 0, 0] += 1e-16
            result.orientation[0, 0, 1] += 1e-9
        return result

    monkeypatch.setattr(indexing, "index_scan", different)
    assert status()["indexing"] == ("wrong", "the result depends on the number of threads or the way of searching")


def test_a_cache_that_can_not_be_written(cache: Path) -> None:
    cache.write_text("in the way")
    found = status()["cache"]
    assert found[0] == "note" and found[1].startswith(f"{cache} can't be written (")


def test_dependencies_by_name_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = ["numpy>=1.26", "h5py>=99", "no-such-package-xyz>=1", "pytest>=8; extra == 'test'"]
    monkeypatch.setattr(installation, "requires", lambda _: needed)
    found = status()["dependencies"]
    assert found[0] == "wrong"
    assert "h5py " in found[1] and " is not >=99, no-such-package-xyz is missing: pip install" in found[1]
    assert "pytest" not in found[1] and "numpy" not in found[1]


def test_another_version_of_the_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    import nbedex as package

    monkeypatch.setattr(package, "__version__", "99.0")
    found = status()["extension"]
    assert found[0] == "wrong" and found[1].endswith("but the package is 99.0: install nbedex again")


def test_extras_say_what_they_are_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "find_spec", lambda name: None)
    found = status()["extras"]
    assert found[0] == "ok" and "not installed: libertem, for the LiberTEM UDF (nbedex[libertem])" in found[1]
