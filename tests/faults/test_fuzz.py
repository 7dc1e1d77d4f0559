"""The fuzzer (bench/fuzz): a short run without findings, and it does find what there is to find."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "bench" / "fuzz"
if not FUZZ.is_dir():
    pytest.skip("the benchmarks are not part of this copy", allow_module_level=True)
if not hasattr(os, "fork") or not Path("/proc/self/statm").exists():
    pytest.skip("the fuzzer forks, and needs /proc", allow_module_level=True)
sys.path.insert(0, str(FUZZ))

import runner  # noqa: E402
from targets import SilentDamage, Target  # noqa: E402

from nbedex.errors import DataFormatError  # noqa: E402


def test_some_hundred_damaged_files_of_every_kind() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(FUZZ), "--inputs", "600", "--seed", "11"],
        env=environment, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    last = done.stdout.splitlines()[-1].split()
    assert last[0] == "all" and int(last[1]) >= 595 and last[5] == "0"
    assert int(last[2]) > 50 and int(last[3]) > 50, "nothing was read, or nothing refused"


def read_badly(folder: Path, _: int) -> None:
    """What a reader does by the first byte of its file."""
    content = (folder / "a").read_bytes()
    match content[:1]:
        case b"0":
            raise DataFormatError("orderly")
        case b"1":
            raise KeyError("not caught")
        case b"2":
            os.kill(os.getpid(), signal.SIGSEGV)
        case b"3":
            while True:
                pass
        case b"4":
            open("/etc/hostname").close()
        case b"5":
            import pickle

            pickle.loads(b"cposix\nsystem\n.")
        case b"6":
            bytearray(8 << 30)
        case b"7":
            eval("1+1")
        case b"8":
            raise SilentDamage("other numbers")
        case b"9":
            raise DataFormatError("")


def test_every_broken_promise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "SECONDS", 0.3)
    target = Target("bad", [{"a": b"x"}], read_badly, lambda rng, data: rng.choice("0123456789x").encode() + data, 1)
    found = runner.fuzz(target, 60, seed=4)
    kinds = {kind.split(" at ")[0] for kind in found.kinds}
    assert kinds == {
        "KeyError", "crash SIGSEGV", "hang", "Breach", "MemoryError", "SilentDamage", "error without a message",
    }  # fmt: skip
    details = " ".join(example["detail"] for example in found.examples.values())
    assert "opened /etc/hostname" in details or "pickle.find_class" in details or "evaluated text" in details
    assert found.answers > 0 and found.refusals > 0
    assert found.answers + found.refusals + sum(found.kinds.values()) >= 60
    again = runner.fuzz(target, 60, seed=4)
    assert again.kinds == found.kinds, "inputs of the same number and seed are not the same"
