"""Matching in processes of its own: every instruction set the same bits, Ctrl-C at once, alive after fork."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time

import pytest

from nbedex import _core
from oracles.trials import worked

ENGINES = [name for name in ("match_exhaustive", "match_pruned") if hasattr(_core, name)]

PREPARE = """
import hashlib, sys
import numpy as np
from nbedex import _core

def library(n, n_azimuths=360, n_rings=24, spots=30):
    rng = np.random.default_rng(1)
    q = rng.normal(size=(n, 4))
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    m = n * spots
    radius, angle = rng.uniform(0.1, 1.0, m), rng.uniform(0, 2 * np.pi, m)
    return _core.pack_templates(
        np.arange(0, m + 1, spots), (radius * np.cos(angle)).astype("f4"), (radius * np.sin(angle)).astype("f4"),
        rng.uniform(0.1, 9, m).astype("f4"),
        _core.PolarGrid(n_rings=n_rings, n_azimuths=n_azimuths, k_min=0.1, k_max=1.0), 0.3, q,
        np.array([[1.0, 0, 0, 0], [0, 0, 1.0, 0]]))

def patterns(n, n_azimuths=360, n_rings=24):
    rng = np.random.default_rng(2)
    return (rng.random((n, n_rings, n_azimuths)) ** 8).astype("f4")

def match(templates, images, engine, threads):
    options = _core.MatchOptions(n_best=5, distinct_angle=0.1, threads=threads)
    return getattr(_core, engine)([templates], images, options)[0][0]

def digest(found):
    h = hashlib.sha256()
    for name in sorted(k for k, v in found.items() if isinstance(v, np.ndarray)):
        h.update(name.encode() + found[name].tobytes())
    return h.hexdigest()
"""


def python(code: str, *, isa: str | None = None, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "NBEDEX_ISA"}
    environment["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    if isa is not None:
        environment["NBEDEX_ISA"] = isa
    return subprocess.run(
        [sys.executable, "-c", PREPARE + code], env=environment, capture_output=True, text=True, timeout=timeout
    )


DIGEST = """
hashes = [_core.build_info()["isa"]]
for n_azimuths in (360, 100, 37):
    t, p = library(120, n_azimuths), patterns(6, n_azimuths)
    hashes += [digest(match(t, p, engine, 2)) for engine in sys.argv[1:] or {engines!r}]
print(*hashes)
"""


def digests(isa: str | None) -> list[str]:
    done = python(DIGEST.replace("{engines!r}", repr(ENGINES)), isa=isa)
    if done.returncode and "this processor does not have it" in done.stderr:
        pytest.skip(f"this processor has no {isa}")
    if done.returncode and platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("one instruction set only")
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def by_default() -> list[str]:
    return digests(None)


@pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512", "avx512vnni"])
def test_every_instruction_set_gives_the_same_bits(isa: str, by_default: list[str]) -> None:
    forced = digests(isa)
    assert forced[0] == isa, "another instruction set ran: the comparison would prove nothing"
    assert forced[1:] == by_default[1:]


def test_engines_agree(by_default: list[str]) -> None:
    hashes = by_default[1:]
    for start in range(0, len(hashes), len(ENGINES)):
        assert len(set(hashes[start : start + len(ENGINES)])) == 1


def test_empty_variable_is_none(by_default: list[str]) -> None:
    assert digests("")[0] == by_default[0]


@pytest.mark.parametrize("call", ["_core.build_info()", "match(library(3), patterns(1), engine, 1)"])
@pytest.mark.parametrize("isa", ["sse9", "AVX2", "baseline "])
def test_unknown_instruction_set(call: str, isa: str) -> None:
    done = python(f"engine = {ENGINES[-1]!r}\n{call}", isa=isa)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith(f"RuntimeError: NBEDEX_ISA={isa}: expected ")
    assert "baseline" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("engine", ENGINES)
def test_ctrl_c_is_answered_at_once(engine: str, threads: int) -> None:
    """The job takes half a minute; SIGINT ends it within a second, as a KeyboardInterrupt."""
    code = (
        PREPARE
        + f"""
t, p = library(3000), np.concatenate([patterns(250)] * 8)
print("started", flush=True)
try:
    match(t, p, {engine!r}, {threads})
except KeyboardInterrupt:
    print("interrupted", flush=True)
    found = match(t, p[:1], {engine!r}, {threads})  # and the core works on
    print(found["template_id"].shape, flush=True)
    sys.exit(7)
print("finished", flush=True)
"""
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    child = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "started\n"
        time.sleep(0.4)
        assert child.poll() is None
        before = worked(child.pid)
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "interrupted\n"
        assert worked(child.pid) - before < threads  # a second each of its own, whatever else runs
        assert child.stdout.readline() == "(1, 5)\n"
        assert child.wait(20) == 7
    finally:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


FORK = """
import os
t, p = library(60), patterns(8)
before = digest(match(t, p, ENGINE, 4))  # the parent's threads exist from here on
r, w = os.pipe()
if (pid := os.fork()) == 0:
    os.write(w, digest(match(t, p, ENGINE, 4)).encode())
    os._exit(0)
os.close(w)
child = os.read(r, 100).decode()
assert os.waitpid(pid, 0)[1] == 0
print(child == before == digest(match(t, p, ENGINE, 4)))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_forked_child_can_match_too(engine: str) -> None:
    """libgomp's threads do not survive fork: a parallel loop in the child would wait for them forever."""
    done = python(FORK.replace("ENGINE", repr(engine)), timeout=30)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "True"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_before_anything_ran() -> None:
    """Nothing was in parallel before: the child may use threads, or not, but answers."""
    code = FORK.replace("ENGINE", repr(ENGINES[-1])).replace(
        "before = digest(match(t, p, " + repr(ENGINES[-1]) + ", 4))",
        "before = digest(match(t, p, " + repr(ENGINES[-1]) + ", 1))",
    )
    done = python(code, timeout=30)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "True"
