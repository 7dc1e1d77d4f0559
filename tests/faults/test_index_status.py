"""One bad pattern never stops a run, is never hidden, and never changes what is found at another pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbedex import _core
from nbedex.errors import ArgumentError, DataFormatError
from nbedex.indexing import CenterSettings, IndexingSettings, MatchSettings, PreprocessSettings, index_scan
from nbedex.indexing.centers import find_centers
from nbedex.indexing.masks import detector_mask, odd_pixels
from nbedex.indexing.noise import noise_level, template_skewness
from nbedex.indexing.sample import usable_frames
from nbedex.library import TemplateLibrary
from nbedex.maps import IndexingResult, Status, disorientation_angle
from nbedex.scan import memory_scan, open_scan
from oracles.polar_oracle import skewness as pattern_skewness
from oracles.small_scan import CALIBRATION, CENTER, DETECTOR, break_chunk, small_library, small_scan, write_h5

FIXED = IndexingSettings(center=CenterSettings(method="fixed", position=CENTER))
MAPS = (
    "phase_id", "orientation", "index", "reliability", "phase_reliability", "mirror_margin", "half_turn_margin",
    "center", "status", "rival_phase_id", "rival_orientation", "rival_score", "phase_score", "template_id", "mirrored",
)  # fmt: skip


@pytest.fixture(scope="module")
def library() -> TemplateLibrary:
    return small_library()


@pytest.fixture(scope="module")
def frames() -> NDArray[np.uint16]:
    array = small_scan()
    array.flags.writeable = False
    return array


def index(array: Any, library: TemplateLibrary, settings: IndexingSettings = FIXED) -> IndexingResult:
    scan = memory_scan(array) if isinstance(array, np.ndarray) else array
    return index_scan(scan, library, CALIBRATION, settings=settings, threads=1)


def assert_same_elsewhere(damaged: IndexingResult, clean: IndexingResult, but: dict[tuple[int, int], Status]) -> None:
    """Every map has the same bits except at the damaged pixels, which have their status and nothing else."""
    others = np.ones(clean.shape, dtype=bool)
    for position, status in but.items():
        others[position] = False
        assert Status(damaged.status[position]) == status, f"{position}: {Status(damaged.status[position]).name}"
        assert damaged.phase_id[position] == -1
        assert np.isnan(damaged.orientation[position]).all()
    assert (clean.status == Status.OK).all()
    for name in MAPS:
        a, b = getattr(damaged, name)[others], getattr(clean, name)[others]
        assert a.tobytes() == b.tobytes(), name


def noise(kind: str, seed: int) -> NDArray[np.float64]:
    """Frames without any crystal."""
    rng = np.random.default_rng(seed)
    rows, columns = np.ogrid[: DETECTOR[0], : DETECTOR[1]]
    r = 0.026 * np.hypot(rows - CENTER[0], columns - CENTER[1])
    beam, diffuse = np.exp(-((r / 0.04) ** 2) / 2), np.exp(-r / 0.25)
    halo = np.exp(-(((r - 0.42) / 0.06) ** 2) / 2) + 0.5 * np.exp(-(((r - 0.75) / 0.1) ** 2) / 2)
    shape = {
        "sparse": 0.02 + 0 * r,
        "low": 1.0 + 0 * r,
        "high": 5000.0 + 0 * r,
        "beam and diffuse": 2e4 * (0.5 * beam / beam.sum() + 0.5 * diffuse / diffuse.sum()),
        "halo": 2e4 * (0.3 * beam / beam.sum() + 0.3 * diffuse / diffuse.sum() + 0.4 * halo / halo.sum()),
        "bright halo": 1e6 * (0.3 * beam / beam.sum() + 0.3 * diffuse / diffuse.sum() + 0.4 * halo / halo.sum()),
    }[kind]
    return rng.poisson(shape).clip(0, 60000).astype(np.float64)


KINDS = ("sparse", "low", "high", "beam and diffuse", "halo", "bright halo")


def test_integer_scan(library: TemplateLibrary, frames: NDArray[np.uint16]) -> None:
    damaged = frames.copy()
    damaged[0, 1] = noise("high", 1)
    damaged[1, 2] = 0
    damaged[2, 3] = 65535
    damaged[3, 0] = 77
    expected = {
        (0, 1): Status.NO_SPOTS, (1, 2): Status.BLANK, (2, 3): Status.SATURATED, (3, 0): Status.BLANK,
    }  # fmt: skip
    assert_same_elsewhere(index(damaged, library), index(frames, library), expected)


def test_float_scan(library: TemplateLibrary, frames: NDArray[np.uint16]) -> None:
    clean = frames.astype(np.float32)
    damaged = clean.copy()
    damaged[0, 0] = np.nan
    damaged[1, 1] = np.inf
    damaged[1, 4, :8] = np.nan  # an eighth of the frame
    damaged[2, 2] = 0
    damaged[3, 3] = noise("low", 2)
    damaged[3, 4] = -1e30
    expected = {
        (0, 0): Status.NON_FINITE, (1, 1): Status.NON_FINITE, (1, 4): Status.NON_FINITE, (2, 2): Status.BLANK,
        (3, 3): Status.NO_SPOTS, (3, 4): Status.BLANK,
    }  # fmt: skip
    assert_same_elsewhere(index(damaged, library), index(clean, library), expected)


@pytest.mark.parametrize("position", [(2, 1), (0, 0), (3, 4)])
def test_unreadable_chunk(
    tmp_path: Path, library: TemplateLibrary, frames: NDArray[np.uint16], position: tuple[int, int]
) -> None:
    """Also the first and the last pattern, which the reader looks at when it opens the file."""
    clean = write_h5(tmp_path / "clean.h5", frames)
    broken = write_h5(tmp_path / "broken.h5", frames)
    break_chunk(broken, position)
    with open_scan(clean) as scan:
        expected = index(scan, library)
    with open_scan(broken) as scan:
        found = index(scan, library)
    assert_same_elsewhere(found, expected, {position: Status.UNREADABLE})


def test_unreadable_chunk_of_many_patterns(
    tmp_path: Path, library: TemplateLibrary, frames: NDArray[np.uint16]
) -> None:
    broken = write_h5(tmp_path / "broken.h5", frames, chunks=(1, 5, *DETECTOR))
    break_chunk(broken, (1, 0))
    with open_scan(broken) as scan:
        found = index(scan, library)
    assert_same_elsewhere(found, index(frames, library), {(1, x): Status.UNREADABLE for x in range(5)})


def test_all_settings_default(library: TemplateLibrary) -> None:
    """With the fitted centre: a fifth of the patterns is bad, and the rest is where it was.

    Not to the bit, since the bad patterns no longer tell where their beam was.
    """
    frames = small_scan((6, 5), drift=2.0)
    damaged = frames.copy()
    damaged[0, 0], damaged[1, 3], damaged[2, 2], damaged[3, 1] = 0, 65535, noise("high", 3), noise("low", 4)
    damaged[4, 3], damaged[5, 2] = noise("bright halo", 5), noise("sparse", 6)
    bad = ~(damaged == frames).all(axis=(2, 3))
    clean, found = (index(array, library, IndexingSettings()) for array in (frames, damaged))
    assert bad.sum() == 6 and (found.status[bad] != Status.OK).all()
    assert (found.status[~bad] == Status.OK).all()
    assert np.abs(found.center - clean.center)[~bad].max() < 0.25
    assert (found.phase_id == clean.phase_id)[~bad].all()
    sure = ~bad & (clean.reliability > 1)  # the others are a tie of two orientations, which a tenth of a pixel decides
    assert sure.sum() >= 19
    for number, phase in enumerate(library.phases):
        of = sure & (clean.phase_id == number)
        apart = disorientation_angle(found.orientation[of], clean.orientation[of], phase.symmetry_quaternions)
        assert np.rad2deg(apart).max() < 0.5
    np.testing.assert_allclose(found.index[~bad], clean.index[~bad], atol=0.01)


def test_bad_frames_do_not_move_centre_or_mask(frames: NDArray[np.uint16]) -> None:
    """Blank, saturated and non-finite frames are as if they were not there; hot pixels are found all the same."""
    clean = frames.astype(np.float32)
    clean[:, :, 50, 7] = 3000.0  # hot
    clean[:, :, 45, 31] = 0.0  # dead, in the halo of the beam
    damaged = clean.copy()
    damaged[0, 0], damaged[1, 1], damaged[2, 2] = 0, np.nan, 3e38
    damaged[2, 2, 0, 0] = np.inf
    masks = [
        detector_mask(memory_scan(array), user_mask=None, find_hot_pixels=True)
        for array in (clean, np.concatenate([damaged, clean]))
    ]
    for mask in masks:
        assert mask is not None
        assert sorted(map(tuple, np.argwhere(mask).tolist())) == [(45, 31), (50, 7)]
    keep = np.ones(frames.shape[:2], dtype=bool)
    keep[0, 0] = keep[1, 1] = False
    row = damaged[keep][None]  # one row without the bad ones
    few = CenterSettings(order=0)
    with_bad = find_centers(memory_scan(damaged), few, None)
    without = find_centers(memory_scan(np.ascontiguousarray(row)), few, None)
    assert with_bad.coefficients.tobytes() == without.coefficients.tobytes()


def test_cosmic_ray_is_not_a_hot_pixel() -> None:
    rng = np.random.default_rng(0)
    frames = rng.poisson(3.0, (20, 32, 32)).astype(np.uint16)
    ignore = np.zeros((32, 32), dtype=bool)
    frames[7, 20, 11] = 60000
    assert not odd_pixels(frames, ignore=ignore).any()
    frames[:, 4, 5] = 90
    assert np.argwhere(odd_pixels(frames, ignore=ignore)).tolist() == [[4, 5]]
    assert np.argwhere(odd_pixels(frames[:1], ignore=ignore)).tolist() == [[4, 5]]


def test_per_pattern_centres_do_not_depend_on_the_block(
    library: TemplateLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the search around them either, nor the choice between beam and symmetry."""
    frames = small_scan((4, 5), drift=6.0)
    frames[0, :3] = 0  # most of a block without any beam
    settings = IndexingSettings(center=CenterSettings(method="per-pattern", order=1))
    results = []
    for size in (128, 4, 1):
        monkeypatch.setattr("nbedex.indexing.task._BLOCK_PATTERNS", size)
        results.append(index(frames, library, settings))
    for other in results[1:]:
        for name in MAPS:
            assert getattr(other, name).tobytes() == getattr(results[0], name).tobytes(), name
    assert np.ptp(results[0].center[:, :, 0]) > 4


def test_scan_of_nothing(library: TemplateLibrary, frames: NDArray[np.uint16]) -> None:
    with pytest.raises(DataFormatError, match="none of the 20 patterns looked at can be used"):
        index(np.zeros_like(frames), library, IndexingSettings())
    without_look = IndexingSettings(
        center=CenterSettings(method="fixed", position=CENTER), preprocess=PreprocessSettings(hot_pixels=False)
    )
    assert (index(np.zeros_like(frames), library, without_look).status == Status.BLANK).all()


def test_masked_saturation_and_nan_do_not_count(library: TemplateLibrary, frames: NDArray[np.uint16]) -> None:
    """A gap of NaN in every frame is no reason to leave frames out when the mask covers it."""
    gap = frames.astype(np.float32)
    gap[:, :, 10:14, :] = np.nan
    mask = np.isnan(gap[0, 0])
    result = index_scan(memory_scan(gap), library, CALIBRATION, mask=mask, threads=1)
    assert (result.status == Status.OK).all()
    with pytest.raises(DataFormatError, match="none of the 20"):
        index_scan(memory_scan(gap), library, CALIBRATION, threads=1)
    with pytest.raises(ArgumentError, match="every pixel"):
        index_scan(memory_scan(gap), library, CALIBRATION, mask=np.ones_like(mask), threads=1)


def test_usable_frames_come_in_order_and_groups(frames: NDArray[np.uint16], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbedex.indexing.sample._GROUP_BYTES", 3 * 2 * DETECTOR[0] * DETECTOR[1])
    damaged = frames.copy()
    damaged[0, 4] = damaged[1, 0] = 0
    wanted = np.arange(0, 20, 2)
    groups = list(usable_frames(memory_scan(damaged), wanted, ignore=None, max_saturated=0.02))
    assert max(len(g) for g, _ in groups) <= 3
    assert np.concatenate([g for g, _ in groups]).tolist() == [0, 2, 6, 8, 10, 12, 14, 16, 18]
    flat = damaged.reshape(20, *DETECTOR)
    for group, part in groups:
        assert (part == flat[group]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_not_indexed(library: TemplateLibrary, kind: str) -> None:
    """Most of it is not even searched; where it is, no phase fits."""
    array = np.stack([noise(kind, seed) for seed in range(24)]).reshape(4, 6, *DETECTOR).astype(np.uint16)
    result = index(array, library)
    without_spots = result.status == Status.NO_SPOTS
    assert without_spots.sum() >= 8, np.bincount(result.status.ravel())
    assert (result.status[~without_spots] == Status.NO_MATCH).all() and np.isnan(result.index[without_spots]).all()
    all_searched = IndexingSettings(center=FIXED.center, preprocess=PreprocessSettings(min_contrast=0.0))
    result = index(array, library, all_searched)
    assert (result.status == Status.NO_MATCH).all(), np.bincount(result.status.ravel())


def test_crystals_at_low_dose_are_indexed(library: TemplateLibrary) -> None:
    """Thirty patterns of two thousand counts in the whole frame, 40 % of them in spots."""
    result = index(small_scan((5, 6), counts=2000), library)
    assert (result.status == Status.OK).all()


@pytest.mark.parametrize("skewness", [0.0, 0.01, 0.1, 0.5])
def test_noise_level_is_the_largest_score_of_random_patterns(skewness: float) -> None:
    """Against a simulation of its own assumption: templates and patterns of equal spots at random bins.

    Scores are then shifted Poisson numbers; dense ones are normal, where the level is sqrt(2 ln M / N).
    """
    rng = np.random.default_rng(8)
    n_bins, trials = 20000, 40000
    if skewness == 0.0:
        level = noise_level(np.zeros(1), template_skewness=0.1, n_templates=trials // 2, n_azimuths=1, n_bins=n_bins)
        assert level[0] == pytest.approx(np.sqrt(2 * np.log(trials) / n_bins), rel=1e-3)
        return
    spots, lit = 40, int(1 / skewness**2)
    hits = rng.hypergeometric(lit, n_bins - lit, spots, size=(50, trials)).max(axis=1)
    scores = (hits - spots * lit / n_bins) / np.sqrt(spots * (1 - spots / n_bins) * lit * (1 - lit / n_bins))
    actual = (1 - 2 * lit / n_bins) / np.sqrt(lit * (1 - lit / n_bins))
    level = noise_level(
        np.array([actual]), template_skewness=1 / np.sqrt(spots), n_templates=trials // 2, n_azimuths=1, n_bins=n_bins
    )
    assert 0.6 < scores.mean() / level[0] < 1.15
    assert scores.max() < 1.35 * level[0]


def test_skewness_of_patterns_and_templates(library: TemplateLibrary) -> None:
    pattern = np.zeros((10, 36), dtype=np.float32)
    pattern[3, :9] = 2.0  # nine of 360 bins
    share = 9 / 360
    by_hand = (1 - 2 * share) / np.sqrt(360 * share * (1 - share))
    # the core's are held against this one in tests/unit/test_core_preprocess.py
    assert pattern_skewness(pattern) == pytest.approx(by_hand, rel=1e-6)
    spots = library.spots[0]
    values = [np.sqrt(spots.pattern(t)["intensity"].astype(float)) for t in range(len(spots))]
    inside = [v[np.hypot(spots.pattern(t)["kx"], spots.pattern(t)["ky"]) < 0.9] for t, v in enumerate(values)]
    grid = _core.PolarGrid(n_rings=90, n_azimuths=36, k_min=0.0, k_max=0.9)
    for most in (0, 5):
        used = [np.sort(v)[-most:] for v in inside if len(v)]
        expected = np.median([(v**3).sum() / (v**2).sum() ** 1.5 for v in used])
        settings = MatchSettings(template_exponent=0.5, max_spots=most)
        assert template_skewness(spots, grid, settings) == pytest.approx(expected, rel=1e-6)
