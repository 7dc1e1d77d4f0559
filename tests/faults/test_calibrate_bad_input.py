"""`nbedex calibrate` with input that can't be right: one line, the right exit code, nothing written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oracles.calibration_patterns import Camera, ring_pattern
from oracles.command_line import here, tree

CAMERA = Camera(pixel_size=0.0125, center=(95.4, 98.2), shape=(192, 196))
RINGS = ("calibrate", "rings.npy", "--phase", "au", "--pixel-size", "0.0125")
OUT = ("--to", "out.png", "--write", "out.toml", "-q")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrate-bad")
    image = ring_pattern(CAMERA)
    np.save(folder / "rings.npy", image)
    np.save(folder / "blank.npy", np.zeros_like(image))
    np.save(folder / "five.npy", np.zeros((2, 2, 2, 32, 32)))
    np.save(folder / "words.npy", np.array(["a", "b"]))
    nan = np.full(image.shape, np.nan, np.float32)
    np.save(folder / "nan.npy", nan)
    smooth = np.random.default_rng(1).poisson(100 * np.exp(-CAMERA.radius() / 0.3) + 1)
    np.save(folder / "smooth.npy", smooth.astype(np.uint16))
    (folder / "text.tif").write_text("not an image\n")
    (folder / "empty.tif").write_bytes(b"")
    (folder / "there.png").write_bytes(b"precious")
    (folder / "there.toml").write_bytes(b"precious")
    return folder


CASES = [
    (("calibrate", "--phase", "au", *OUT), 2, "no scan given"),
    (("calibrate", "missing.tif", "--phase", "au", *OUT), 2, "no such file: missing.tif"),
    (("calibrate", "text.tif", "--phase", "au", *OUT), 3, "text.tif"),
    (("calibrate", "empty.tif", "--phase", "au", *OUT), 3, "empty file"),
    (("calibrate", "blank.npy", "--phase", "au", *OUT), 3, "can be used"),
    (("calibrate", "nan.npy", "--phase", "au", *OUT), 3, "can be used"),
    (("calibrate", "five.npy", "--phase", "au", *OUT), 3, "an array of 5 dimensions"),
    (("calibrate", "words.npy", "--phase", "au", *OUT), 3, "words.npy"),
    (("calibrate", "smooth.npy", "--phase", "au", "--pixel-size", "0.0125", *OUT), 3, "smooth.npy"),
    (("calibrate", "rings.npy", *OUT), 2, "rings are those of one phase: name it with --phase, got 0 phases"),
    (("calibrate", "rings.npy", "--phase", "au", "--phase", "na", *OUT), 2, "got 2 phases"),
    (("calibrate", "rings.npy", "--phase", "gold", *OUT), 2, "unknown phase"),
    (("calibrate", "rings.npy", "--from", "spots", "--phase", "au", *OUT), 2, "--pixel-size, 1/angstrom per pixel"),
    (("calibrate", "rings.npy", "--from", "beams", "--phase", "au", *OUT), 2, "invalid choice: 'beams'"),
    ((*RINGS, "--pixel-size", "0.125", *OUT), 2, "check --pixel-size (1/angstrom, not 1/nm)"),
    ((*RINGS, "--pixel-size", "nan", *OUT), 2, "pixel_size"),
    ((*RINGS, "--samples", "0", *OUT), 2, "samples"),
    ((*RINGS, "--search", "2", *OUT), 2, "search"),
    ((*RINGS, "--inner", "90", *OUT), 2, "check --inner, --outer and --center"),
    ((*RINGS, "--center", "500,3", *OUT), 2, "lies outside the detector"),
    ((*RINGS, "--to", "there.png", "-q"), 5, "there.png exists already"),
    ((*RINGS, "--write", "there.toml", "-q"), 5, "there.toml exists already"),
    ((*RINGS, "--write", "nowhere/out.toml", "-q"), 5, "does not exist; create it first"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(case[0][1:-5])[:60])
def test_refused(inputs: Path, case: tuple[tuple[str, ...], int, str]) -> None:
    arguments, code, fragment = case
    before = tree(inputs)
    returned, out, err = here(inputs, *arguments)
    assert returned == code, err
    lines = [line for line in err.splitlines() if "WARNING" not in line]
    assert len(lines) == 1 and lines[0].startswith("nbedex: ") and fragment in lines[0], err
    assert out == "" and "internal error" not in err and "Traceback" not in err
    assert tree(inputs) == before
