"""What a scan file says about its calibration, and how far it can be believed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from nbedex.scan.units import angle_factor, is_unit, length_factor, reciprocal_factor

# Scattering vector at the nearer edge of the detector, 1/angstrom. Outside of it a unit is probably wrong
# by a factor of ten; 1 to 2.5 is usual for nanobeam diffraction.
_PLAUSIBLE_EDGE = (0.25, 8.0)
_PLAUSIBLE_KV = (10.0, 3000.0)


@dataclass(frozen=True, kw_only=True)
class ScanMetadata:
    """What a file says about its scan; None where it says nothing usable.

    Parameters
    ----------
    pixel_size
        Reciprocal length of one detector pixel, 1/angstrom.
    voltage
        Accelerating voltage, kV.
    step
        Scan step along (rows, columns), nm.
    notes
        Remarks for the user, one sentence each: what was ignored, converted or looks wrong.
    sources
        Where each value comes from, by the name of its field.
    pixel_angle
        Scattering angle of one detector pixel in radians, where the file gives an angle instead of a
        reciprocal length. With it and a voltage of the user, k = 2 sin(theta / 2) / lambda.
    """

    pixel_size: float | None = None
    voltage: float | None = None
    step: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    sources: dict[str, str] = field(default_factory=dict)
    pixel_angle: float | None = None

    def with_notes(self, *notes: str) -> ScanMetadata:
        """Return a copy with `notes` added behind the others, without repetitions."""
        return replace(self, notes=tuple(dict.fromkeys((*self.notes, *notes))))


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis of an array as its file describes it.

    Parameters
    ----------
    name
        What the file calls the axis, for messages.
    size
        Number of elements.
    scale
        Distance of two elements, in `units`; None where the file gives none.
    units
        Unit as written in the file, or an empty string.
    """

    name: str
    size: int
    scale: float | None
    units: str


def detector_first(axes: Sequence[Axis]) -> bool:
    """Whether units prove that the detector axes come first: 1/length, 1/length, length, length."""
    if len(axes) != 4:
        return False
    reciprocal = [bool(reciprocal_factor(axis.units) or angle_factor(axis.units)) for axis in axes]
    lengths = [length_factor(axis.units) is not None for axis in axes]
    return all(reciprocal[:2]) and all(lengths[2:])


def read_metadata(
    scan_axes: Sequence[Axis],
    detector_axes: Sequence[Axis],
    *,
    beam_energy: float | None = None,
    beam_energy_source: str = "beam energy in the metadata",
) -> ScanMetadata:
    """Calibration from the axes of a file.

    Parameters
    ----------
    scan_axes
        The one or two scan axes, rows first.
    detector_axes
        The two detector axes, rows first.
    beam_energy
        Beam energy as the file gives it, keV (V is recognised).
    beam_energy_source
        Where it was found, for the report.

    Returns
    -------
    ScanMetadata
        Values in nbedex's units; what can't be used is None and has a note.
    """
    notes: list[str] = []
    sources: dict[str, str] = {}
    voltage = _voltage(beam_energy, beam_energy_source, notes, sources)
    pixel_size, pixel_angle = _pixel_size(detector_axes, voltage, notes, sources)
    step = _step(scan_axes, notes, sources)
    return ScanMetadata(
        pixel_size=pixel_size,
        voltage=voltage,
        step=step,
        notes=tuple(notes),
        sources=sources,
        pixel_angle=pixel_angle,
    )


def _voltage(energy: float | None, source: str, notes: list[str], sources: dict[str, str]) -> float | None:
    """Accelerating voltage in kV from a beam energy in keV (or, plausibly, in V)."""
    if energy is None:
        return None
    low, high = _PLAUSIBLE_KV
    if math.isfinite(energy) and low <= energy <= high:
        sources["voltage"] = f"{source}, {energy:g} keV"
        return energy
    if math.isfinite(energy) and 1e3 * low <= energy <= 1e3 * high:
        sources["voltage"] = f"{source}, {energy:g} taken as V"
        notes.append(f"beam energy {energy:g} is too high for keV and was taken as V: {energy / 1e3:g} kV")
        return energy / 1e3
    notes.append(f"beam energy ignored: {energy:g} is not a beam energy in keV; give --voltage")
    return None


def _usable_scale(axis: Axis) -> bool:
    return axis.scale is not None and math.isfinite(axis.scale) and axis.scale > 0


def _pixel_size(
    axes: Sequence[Axis], voltage: float | None, notes: list[str], sources: dict[str, str]
) -> tuple[float | None, float | None]:
    """Pixel size in 1/angstrom and pixel angle in radians of the two detector axes; None where unusable."""
    if all(axis.scale is None for axis in axes):
        return None, None
    remedy = "give --pixel-size"
    sizes: list[float] = []
    angular = False
    for axis in axes:
        if axis.scale == 1.0 and not is_unit(axis.units):
            return None, None  # an axis that nobody calibrated, not worth a note
        if not _usable_scale(axis):
            notes.append(f"pixel size ignored: scale {axis.scale} of axis {axis.name!r}; {remedy}")
            return None, None
        assert axis.scale is not None
        factor = reciprocal_factor(axis.units)
        angle = angle_factor(axis.units)
        if factor is None and angle is None:
            notes.append(f"pixel size ignored: unit {axis.units!r} is not a reciprocal length; {remedy}")
            return None, None
        angular = factor is None
        sizes.append(axis.scale * (factor or angle or 0.0))
    if max(sizes) > 1.01 * min(sizes):
        notes.append(f"pixel size ignored: axes differ ({sizes[0]:.6g} and {sizes[1]:.6g}); {remedy}")
        return None, None
    value = sum(sizes) / len(sizes)
    said = f"axis {axes[0].name!r}, {axes[0].scale:g} {axes[0].units}"
    if angular:
        size = _size_from_angle(value, said, voltage, notes, sources)
        if size is not None:
            _check_edge(size, axes, notes)
        return size, value
    sources["pixel_size"] = said
    _check_edge(value, axes, notes)
    return value, None


def _size_from_angle(
    angle: float, said: str, voltage: float | None, notes: list[str], sources: dict[str, str]
) -> float | None:
    """Reciprocal length of a pixel seen under `angle`, k = 2 sin(angle/2) / lambda; None without voltage."""
    if voltage is None:
        notes.append(f"pixel size not taken from {said}: an angle needs the beam energy; give --pixel-size")
        return None
    from nbedex.calibration import electron_wavelength

    sources["pixel_size"] = f"{said}, with k = 2 sin(theta/2)/lambda at {voltage:g} kV"
    return 2.0 * math.sin(angle / 2.0) / electron_wavelength(voltage)


def _check_edge(pixel_size: float, axes: Sequence[Axis], notes: list[str]) -> None:
    """Note a pixel size that puts the detector's edge where no nanobeam pattern has it."""
    edge = pixel_size * min(axis.size for axis in axes) / 2.0
    low, high = _PLAUSIBLE_EDGE
    if not low <= edge <= high:
        notes.append(
            f"pixel size {pixel_size:.4g} 1/angstrom looks wrong: the detector's edge would lie at"
            f" {edge:.3g} 1/angstrom, usual is {low:g} to {high:g} (1/nm taken for 1/angstrom?);"
            " check it or give --pixel-size"
        )


def _step(axes: Sequence[Axis], notes: list[str], sources: dict[str, str]) -> tuple[float, float] | None:
    """Scan step (rows, columns) in nm; a line scan has the same step in both directions."""
    steps: list[float] = []
    for axis in axes:
        if axis.scale is None or (axis.scale == 1.0 and not is_unit(axis.units)):
            return None
        if not _usable_scale(axis):
            notes.append(f"scan step ignored: scale {axis.scale} of axis {axis.name!r}; give --scan-step")
            return None
        factor = length_factor(axis.units)
        if factor is None:
            notes.append(f"scan step ignored: unit {axis.units!r} is not a length; give --scan-step")
            return None
        steps.append(axis.scale * factor)
    if not steps:
        return None
    sources["step"] = ", ".join(f"axis {axis.name!r}, {axis.scale:g} {axis.units}" for axis in axes)
    return steps[0], steps[-1]
