"""Calibration as files write it: units, beam energies, scan steps, and what is not believed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nbedex.scan.metadata import Axis, ScanMetadata, read_metadata
from nbedex.scan.units import angle_factor, length_factor, reciprocal_factor


def detector(units: str, scale: float | None = 0.5, size: int = 256) -> list[Axis]:
    return [Axis(name=name, size=size, scale=scale, units=units) for name in ("ky", "kx")]


def scan(units: tuple[str, str], scales: tuple[float | None, float | None] = (2.0, 3.0)) -> list[Axis]:
    return [Axis(name=name, size=10, scale=s, units=u) for name, s, u in zip("yx", scales, units, strict=True)]


@pytest.mark.parametrize(
    "unit",
    [
        "1/nm",
        "1 / nm",
        "nm^-1",
        "nm-1",
        "nm**-1",
        "$nm^{-1}$",
        "k_nm^-1",
        "[1_/_n_m]",
        "nm⁻¹",
        "1/NM",
        "(1/nm)",
    ],
)
def test_spellings_of_one_over_nm(unit: str) -> None:
    assert reciprocal_factor(unit) == pytest.approx(0.1, rel=1e-15)
    assert length_factor(unit) is None


@pytest.mark.parametrize(
    "unit",
    [
        "1/Å", "1/\u212b", "1/A", "A^-1", "$A^{-1}$", "k_A^-1", "A-1", "1/Angstrom", "1/angstrom", "Å⁻¹",
        "$\\AA^{-1}$", "1 / Å", "[1/A]",
    ],
)  # fmt: skip
def test_spellings_of_one_over_angstrom(unit: str) -> None:
    assert reciprocal_factor(unit) == 1.0


@pytest.mark.parametrize("unit", ["px", "", "cm", "nm", "A", "1/s", "1/eV", "mrad", "<undefined>", "1/", "-1", "nm^-2"])
def test_no_reciprocal_length(unit: str) -> None:
    assert reciprocal_factor(unit) is None


@pytest.mark.parametrize(
    ("unit", "nm"),
    [("nm", 1.0), ("um", 1e3), ("µm", 1e3), ("μm", 1e3), ("Å", 0.1), ("A", 0.1), ("pm", 1e-3), ("m", 1e9)],
)
def test_lengths(unit: str, nm: float) -> None:
    assert length_factor(unit) == pytest.approx(nm)


def test_angles() -> None:
    assert angle_factor("mrad") == 1e-3
    assert angle_factor("deg") is None
    assert angle_factor("nm") is None


def test_pixel_size_in_reciprocal_nm_and_its_source() -> None:
    metadata = read_metadata((), detector("1/nm", 0.094))
    assert metadata.pixel_size == pytest.approx(0.0094)
    assert metadata.notes == ()
    assert metadata.sources == {"pixel_size": "axis 'ky', 0.094 1/nm"}


def test_centimetres_are_no_calibration() -> None:
    metadata = read_metadata((), detector("cm", 0.016))
    assert metadata.pixel_size is None
    assert metadata.notes == ("pixel size ignored: unit 'cm' is not a reciprocal length; give --pixel-size",)


@pytest.mark.parametrize("scale", [0.0, -0.1, math.nan, math.inf])
def test_impossible_scales_are_ignored_with_a_note(scale: float) -> None:
    metadata = read_metadata(scan(("nm", "nm"), (scale, 1.0)), detector("1/nm", scale))
    assert metadata.pixel_size is None and metadata.step is None
    assert metadata.notes == (
        f"pixel size ignored: scale {scale} of axis 'ky'; give --pixel-size",
        f"scan step ignored: scale {scale} of axis 'y'; give --scan-step",
    )


@pytest.mark.parametrize("units", ["", "px", "[]", "pixels"])
def test_uncalibrated_axes_need_no_note(units: str) -> None:
    metadata = read_metadata(scan((units, units), (1.0, 1.0)), detector(units, 1.0))
    assert metadata == ScanMetadata()


def test_axes_that_differ_are_not_averaged() -> None:
    axes = [
        Axis(name="ky", size=64, scale=0.5, units="1/nm"),
        Axis(name="kx", size=64, scale=0.6, units="1/nm"),
    ]
    metadata = read_metadata((), axes)
    assert metadata.pixel_size is None
    assert metadata.notes == ("pixel size ignored: axes differ (0.05 and 0.06); give --pixel-size",)


def test_mixed_units_of_the_two_axes_are_reduced_first() -> None:
    axes = [
        Axis(name="ky", size=256, scale=0.1, units="1/nm"),
        Axis(name="kx", size=256, scale=0.01, units="1/Å"),
    ]
    assert read_metadata((), axes).pixel_size == pytest.approx(0.01)


def test_milliradians_need_the_voltage() -> None:
    metadata = read_metadata((), detector("mrad", 0.25))
    assert metadata.pixel_size is None
    assert metadata.pixel_angle == pytest.approx(0.25e-3)
    assert "needs the beam energy; give --pixel-size" in metadata.notes[0]


def test_milliradians_with_the_voltage() -> None:
    metadata = read_metadata((), detector("mrad", 0.25), beam_energy=300.0)
    # lambda(300 kV) = 0.0196875 angstrom (International Tables C, table 4.3.2.1: 0.01969)
    assert metadata.pixel_size == pytest.approx(0.25e-3 / 0.0196875, rel=1e-5)
    assert "k = 2 sin(theta/2)/lambda at 300 kV" in metadata.sources["pixel_size"]


def test_ten_times_too_large_is_noted_but_kept() -> None:
    metadata = read_metadata((), detector("1/Å", 0.1261))
    assert metadata.pixel_size == 0.1261
    assert "looks wrong: the detector's edge would lie at 16.1 1/angstrom" in metadata.notes[0]
    small = read_metadata((), detector("1/nm", 0.01261))
    assert "looks wrong: the detector's edge would lie at 0.161 1/angstrom" in small.notes[0]
    assert read_metadata((), detector("1/Å", 0.01261)).notes == ()


@pytest.mark.parametrize(("energy", "voltage"), [(300.0, 300.0), (80, 80.0), (200000.0, 200.0), (60000, 60.0)])
def test_beam_energy_in_kev_or_v(energy: float, voltage: float) -> None:
    metadata = read_metadata((), (), beam_energy=energy)
    assert metadata.voltage == voltage
    assert bool(metadata.notes) == (energy > 3000)


@pytest.mark.parametrize("energy", [0.0, -300.0, math.nan, math.inf, 3.0, 5e9])
def test_impossible_beam_energies(energy: float) -> None:
    metadata = read_metadata((), (), beam_energy=energy)
    assert metadata.voltage is None
    assert metadata.notes[0].endswith("is not a beam energy in keV; give --voltage")


def test_step_of_rows_and_columns_in_nm() -> None:
    metadata = read_metadata(scan(("nm", "µm"), (2.0, 0.003)), ())
    assert metadata.step == pytest.approx((2.0, 3.0))
    assert metadata.sources["step"] == "axis 'y', 2 nm, axis 'x', 0.003 µm"


def test_step_of_a_line() -> None:
    assert read_metadata([Axis(name="x", size=9, scale=5.0, units="Å")], ()).step == pytest.approx((0.5, 0.5))


def test_step_in_seconds_is_none() -> None:
    metadata = read_metadata(scan(("s", "s")), ())
    assert metadata.step is None
    assert metadata.notes == ("scan step ignored: unit 's' is not a length; give --scan-step",)


def test_notes_are_not_repeated() -> None:
    metadata = ScanMetadata(notes=("a",)).with_notes("b", "a")
    assert metadata.notes == ("a", "b")
    assert np.ndim(metadata.notes) == 1
