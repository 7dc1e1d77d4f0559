"""The vector kernels of unwrapping against their definition, on detectors and calibrations of all kinds."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from nbedex import _core
from oracles.polar_oracle import unwrap_by_mesh

DTYPES = ("u1", "u2", "u4", "i1", "i2", "i4", "f4")


def case(seed: int) -> dict[str, Any]:
    """A frame, a centre, a calibration and a grid; many of them reach beyond the detector."""
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(2, 90, 2)
    dtype = np.dtype(DTYPES[seed % len(DTYPES)])
    if dtype.kind == "f":
        image = rng.normal(0, 1000, (rows, columns)).astype(dtype)
    else:
        image = rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, (rows, columns), dtype=dtype, endpoint=True)
    angle, stretch = rng.uniform(0, 2 * np.pi), np.diag(rng.uniform(0.9, 1.2, 2)) @ np.diag([1, rng.choice([-1, 1])])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    k_min = rng.choice([0.0, 0.05])
    return {
        "image": image,
        "mask": (rng.random((rows, columns)) < rng.choice([0.002, 0.2])).astype(np.uint8) if seed % 3 == 0 else None,
        "center": (rng.uniform(-2, rows + 1), rng.uniform(-2, columns + 1)),
        "matrix": turn @ stretch * rng.uniform(20, 80),
        "grid": {
            "n_rings": int(rng.integers(1, 20)), "n_azimuths": int(rng.integers(4, 100)), "k_min": k_min,
            "k_max": k_min + rng.uniform(0.1, 0.8),
        },
    }  # fmt: skip


def unwrap(case: dict[str, Any]) -> np.ndarray:
    sampler = _core.PolarSampler(_core.PolarGrid(**case["grid"]), np.ascontiguousarray(case["matrix"]))
    return _core.unwrap(case["image"][None], np.array([case["center"]]), sampler, case["mask"], 1)[0]


def check(case: dict[str, Any]) -> np.ndarray:
    usable = case["image"].astype(float)
    if case["mask"] is not None:
        usable[case["mask"] != 0] = np.nan
    expected = unwrap_by_mesh(usable, case["center"], case["matrix"], **case["grid"])
    mine = unwrap(case)
    np.testing.assert_array_equal(np.isnan(mine), np.isnan(expected))
    # places are rounded to 2^-24 of some 100 pixels; a corner under the mask may leave a weight of that size
    scale = np.nanmax(abs(usable), initial=1.0, where=np.isfinite(usable))
    np.testing.assert_allclose(mine, expected, atol=1e-4 * scale, rtol=0)
    return mine


@pytest.mark.parametrize("seed", range(105))
def test_equal_to_the_definition(seed: int) -> None:
    check(case(seed))


@pytest.mark.parametrize("seed", range(6, 70, 7))  # float frames
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_pixels_carry_no_weight(seed: int, bad: float) -> None:
    bad_case = case(seed)
    assert bad_case["image"].dtype == np.float32
    places = np.random.default_rng(seed).integers(0, bad_case["image"].size, 3)
    bad_case["image"].ravel()[places] = bad
    assert not np.isinf(check(bad_case)).any()


def test_largest_values_do_not_overflow() -> None:
    largest = case(6)
    largest["image"] = np.where(largest["image"] > 0, 1, -1) * np.float32(3.4e38)
    largest["image"] = largest["image"].astype(np.float32)
    with np.errstate(over="ignore"):
        polar = unwrap(largest)
    assert not np.isinf(polar).any()


def test_cases_reach_everything() -> None:
    """Some bins whole, some partly outside, some wholly: or the tests above would say little."""
    missing = [np.isnan(unwrap(case(seed))).mean() for seed in range(105)]
    assert min(missing) == 0 and max(missing) > 0.5 and sum(0 < share < 1 for share in missing) > 30


_DIGEST = """
import hashlib, json, sys
import numpy as np
sys.path.insert(0, {tests!r})
from nbedex import _core
from nbedex.indexing.spot_filter import spot_filter
from oracles.polar_oracle import found_contrast
from property.test_unwrap_mesh import case, unwrap
digest = hashlib.sha256()
for seed in range(42):
    digest.update(unwrap(case(seed)).tobytes())
    one = case(seed)
    grid = _core.PolarGrid(**one["grid"])
    sampler = _core.PolarSampler(grid, np.ascontiguousarray(one["matrix"]))
    options = _core.Preprocessing(
        remove_background=seed % 2 == 0, background_sigma=1.0, exponent=0.25, saturation=200.0, max_saturated=0.5,
        max_non_finite=0.01,
    )
    frames = np.stack([one["image"]] * 3)
    centers = np.array([one["center"]] * 3)
    for radius in (0.0, 1.5, 3.2):
        spots = spot_filter(radius, one["image"].shape, one["mask"])
        *made, sums = _core.prepare_patterns(frames, centers, sampler, options, one["mask"], 2, True, spots)
        for array in (*made, sums.swapaxes(0, 1)):
            assert (array == array[0]).all()
            digest.update(array.tobytes())
    def has_spots(contrast):
        asked = _core.Preprocessing(
            remove_background=True, background_sigma=0.0, exponent=1.0, saturation=0.0, max_saturated=0.5,
            max_non_finite=0.01, min_contrast=contrast,
        )
        return _core.prepare_patterns(frames[:1], centers[:1], sampler, asked, one["mask"], 1)[2][0] == 0
    digest.update(np.float64(found_contrast(has_spots)).tobytes())
print(json.dumps([_core.build_info()["isa"], digest.hexdigest()]))
"""


def test_every_instruction_set_gives_the_same_bits(request: pytest.FixtureRequest, monkeypatch: Any) -> None:
    script = _DIGEST.format(tests=str(request.config.rootpath / "tests"))
    digests = {}
    for isa in ("baseline", "avx2", "avx512", "avx512vnni"):
        monkeypatch.setenv("NBEDEX_ISA", isa)
        ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        if "does not have it" in ran.stderr or "expected" in ran.stderr:
            continue
        assert ran.returncode == 0, ran.stderr
        name, digest = json.loads(ran.stdout)
        assert name == isa
        digests[isa] = digest
    assert "baseline" in digests and len(set(digests.values())) == 1
