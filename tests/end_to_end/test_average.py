"""`nbedex index --average` as a user runs it: the same map in any blocks, after an interruption, with any threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nbedex.indexing import IndexingSettings, Memory, Plan, index_scan
from nbedex.maps import IndexingResult, read_result
from nbedex.scan import averaged_scan, memory_scan
from oracles.command_line import here
from oracles.small_scan import CALIBRATION, FLAGS, small_library, small_scan


def same(first: IndexingResult, second: IndexingResult) -> None:
    for name in ("phase_id", "orientation", "index", "probability", "rival_score"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_the_map_does_not_depend_on_blocks_or_threads() -> None:
    frames = np.repeat(small_scan((3, 4), counts=2e3), 3, axis=0)
    library = small_library()

    def found(block_bytes: int, threads: int, **more: Any) -> IndexingResult:
        class Small(Memory):
            @property
            def block(self) -> int:
                return block_bytes

        scan = averaged_scan(memory_scan(frames), 1)
        plan = Plan(memory=Small(), **more)
        return index_scan(scan, library, CALIBRATION, settings=IndexingSettings(), plan=plan, threads=threads)

    whole = found(1 << 30, 2)
    same(whole, found(40_000, 1))  # one pattern at a time
    same(whole, found(400_000, 1, preview=True))


def test_average_as_an_option(tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", np.repeat(small_scan((2, 3), counts=3e3), 4, axis=0))
    flags = ("index", "scan.npy", *FLAGS, "--quiet")
    for name, more in (("plain", ()), ("averaged", ("--average", "1"))):
        code, _, err = here(tmp_path, *flags, *more, "-o", f"{name}.h5")
        assert code == 0, err
    plain, averaged = (read_result(tmp_path / f"{name}.h5") for name in ("plain", "averaged"))
    assert averaged.provenance["run"]["scan"]["average"] == 1
    assert averaged.provenance["input"]["fingerprint"] != plain.provenance["input"]["fingerprint"]
    assert not np.array_equal(averaged.index, plain.index)
    code, _, err = here(tmp_path, *flags, "--average", "2", "-o", "averaged.h5", "--resume")
    assert code == 5 and "input" in err  # made from other patterns
    code, _, err = here(tmp_path, *flags, "--average", "4", "-o", "no.h5")
    assert code == 2 and "average" in err and "Traceback" not in err
    code, _, err = here(tmp_path, *flags, "--average", "1", "--follow", "-o", "no.h5")
    assert code == 2 and "leave out --average" in err
