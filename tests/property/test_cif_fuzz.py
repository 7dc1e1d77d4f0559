"""Damaged copies of real files: a structure or a clear error, never another exception, never a hang."""

from __future__ import annotations

import time

import numpy as np
import pytest

from nbedex.errors import NbedexError
from nbedex.phases import load_phase, templates_dir
from nbedex.phases.cif import parse_cif
from nbedex.phases.cif_text import decode

PIECES = [
    b"",
    b"?",
    b"-",
    b"'",
    b"\n",
    b"loop_\n",
    b"data_y\n",
    b"1e308",
    b"nan",
    b"\xff",
    b"_cell_length_a 3\n",
    b";",
    b"0",
    b"9" * 50,
]


def damaged(raw: bytes, rng: np.random.Generator) -> bytes:
    """One or two cuts, insertions or swaps."""
    for _ in range(rng.integers(1, 3)):
        start = int(rng.integers(len(raw)))
        stop = start + int(rng.integers(0, 30))
        raw = raw[:start] + PIECES[rng.integers(len(PIECES))] + raw[stop:]
    return raw


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["nzsp", "zro2-t", "beta2-alumina"])
def test_damaged_files(name: str) -> None:
    raw = (templates_dir() / "structures" / f"{name}.cif").read_bytes()
    # Without the comments, which nothing reads.
    raw = raw[raw.index(b"\ndata_") + 1 :]
    rng = np.random.default_rng(17)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(250):
        started = time.process_time()
        try:
            structure = parse_cif(decode(damaged(raw, rng), "x"), "x")
        except NbedexError as error:
            outcomes["refused"] += 1
            assert "\n" not in str(error)
        else:
            outcomes["read"] += 1
            assert np.isfinite(structure.atoms.positions).all()
            assert len(structure.atoms.elements) > 0
        assert time.process_time() - started < 1.0
    assert min(outcomes.values()) > 5


def test_the_undamaged_ones_are_read() -> None:
    assert len(load_phase("nzsp").elements) == 96
