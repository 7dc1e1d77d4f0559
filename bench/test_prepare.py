"""From raw frames to polar patterns: beam centre, unwrapping, background, exponent, on one thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex import _core
from nbedex.calibration import Calibration
from nbedex.indexing.engine import Engine
from nbedex.indexing.spot_filter import NARROW, spot_filter
from oracles.diffsims_patterns import Microscope
from oracles.polar_oracle import skewness, unwrap_by_mesh

N = 64


def cross(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The gaps of a detector of four chips."""
    mask = np.zeros(shape, dtype=np.uint8)
    mask[shape[0] // 2 - 2 : shape[0] // 2 + 2] = 1
    mask[:, shape[1] // 2 - 2 : shape[1] // 2 + 2] = 1
    return mask


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "float32"])
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
def test_unwrap(
    benchmark: Any, patterns: Callable[..., Any], engine: Callable[[str], Engine], dtype: str, masked: bool
) -> None:
    images, centers = patterns("na2au", N)
    images = np.minimum(images, 255).astype(dtype)
    mask = cross(images.shape[1:]) if masked else None
    run = engine("na2au")
    benchmark.group = "unwrap"
    benchmark.extra_info.update(patterns=N)
    polar = benchmark(_core.unwrap, images, centers, run.sampler, mask, 1)
    microscope = Microscope()
    expected = unwrap_by_mesh(
        images[7] if mask is None else np.where(mask, np.nan, images[7]),
        centers[7],
        Calibration(pixel_size=microscope.pixel, voltage=microscope.voltage).detector_from_sample(),
        n_rings=run.grid.n_rings, n_azimuths=run.grid.n_azimuths, k_min=run.grid.k_min, k_max=run.grid.k_max,
    )  # fmt: skip
    np.testing.assert_allclose(polar[7], expected, atol=0.02)


@pytest.mark.parametrize("radius", [0.0, NARROW], ids=["as it is", "spots brought out"])
def test_unwrap_and_prepare(
    benchmark: Any, patterns: Callable[..., Any], engine: Callable[[str], Engine], radius: float
) -> None:
    images, centers = patterns("na2au", N)
    run = engine("na2au")
    benchmark.group = "prepare"
    benchmark.extra_info.update(patterns=N)
    of_spots = spot_filter(radius, images.shape[1:])
    polar, _, status, found = benchmark(
        _core.prepare_patterns, images, centers, run.sampler, run.preprocessing, None, 1, False, of_spots
    )
    assert not status.any()
    np.testing.assert_allclose(found[:, 0], [skewness(pattern) for pattern in polar], rtol=1e-9)


def test_find_beams(benchmark: Any, patterns: Callable[..., Any]) -> None:
    images, centers = patterns("na2au", N)
    search = _core.BeamSearch(row=127.5, column=127.5, search_radius=32.0, beam_radius=3.0)
    benchmark.group = "prepare"
    benchmark.extra_info.update(patterns=N)
    found = benchmark(_core.find_beams, images, search, None, 1)
    assert np.linalg.norm(found[:, :2] - centers, axis=1).max() < 0.5
