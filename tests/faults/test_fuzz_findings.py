"""What the fuzzer found in checkpoints and maps of other programs; see docs/decisions/fuzzing.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbedex.errors import ArgumentError, DataFormatError
from nbedex.indexing.checkpoint import Checkpoint
from nbedex.maps import export, read_crystal_map
from oracles.maps_sample import sample_result

IDENTITY = {"input": "abc"}


@pytest.mark.parametrize("text", ["1", "[]", "null", '"x"', "true", "{}"])
def test_a_description_that_is_no_table(tmp_path: Path, text: str) -> None:
    Checkpoint(tmp_path / "part", IDENTITY, resume=False).close()
    (tmp_path / "part" / "run.json").write_text(text)
    with pytest.raises(ArgumentError, match=r"start over with --overwrite$"):
        Checkpoint(tmp_path / "part", IDENTITY, resume=True)


def test_an_infinite_step(tmp_path: Path) -> None:
    path = export(sample_result((3, 4), n_rivals=2), tmp_path / "a.ang", to="ang")
    lines = path.read_text().splitlines()
    row = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    columns = lines[row + 1].split()
    columns[3] = "1e400"
    lines[row + 1] = "  ".join(columns)
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataFormatError, match=r"a\.ang can't be read as an orientation map \(\.ang\): cannot convert"):
        read_crystal_map(path)
