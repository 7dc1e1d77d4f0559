"""What is simulated, under which name, with which random numbers."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Split = Literal["tuning", "held-out"]
SPLITS: tuple[Split, ...] = ("tuning", "held-out")
# Raise when the same parameters give other spots, so that older ones in a cache are never read. Those of absorbing
# crystals have a number of their own: theirs changed when their amplitudes got abTEM's factor for inclined beams.
GENERATOR = 1
GENERATOR_ABSORBING = 2
REQUIREMENTS = Path(__file__).parents[1] / "requirements.txt"


@dataclass(frozen=True, kw_only=True)
class Crystal:
    """What decides the spots and their intensities.

    Attributes
    ----------
    voltage
        kV.
    thickness_nm
        Range, uniform.
    precession_deg, azimuths
        Intensities are the mean over this many azimuths of a beam tilted by `precession_deg` (and descanned).
    convergence_mrad, tilts
        Intensities are the mean over this many directions within this half-angle of the probe (1: its axis alone).
    bend_deg
        The crystal is bent by this angle inside the probe, about a random axis in the lamella; mean over 7 tilts.
    absorption
        Imaginary over real part of every Fourier coefficient of the potential, the mean one included.
    cell_error
        Lengths of the cell are off by up to this share, each on its own (the angles stay).
    occupancy_error
        Occupancies are multiplied by 1 + up to this share either way, element by element (at most 1).
    g_max, s_max
        Beams of the Bloch waves: largest |g| and excitation error, 1/angstrom.
    """

    voltage: float = 300.0
    thickness_nm: tuple[float, float] = (30.0, 120.0)
    precession_deg: float = 0.0
    azimuths: int = 36
    convergence_mrad: float = 0.0
    tilts: int = 1
    bend_deg: float = 0.0
    absorption: float = 0.0
    cell_error: float = 0.0
    occupancy_error: float = 0.0
    g_max: float = 1.45
    s_max: float = 0.03

    def key(self, phase: str, split: Split, cif: str) -> str:
        """Hash of everything that decides the spots; the number of patterns does not."""
        generator = GENERATOR_ABSORBING if self.absorption else GENERATOR
        content = {"generator": generator, "phase": phase, "split": split, "cif": sha256(cif), **asdict(self)}
        content["requirements"] = sha256(REQUIREMENTS.read_text(encoding="utf-8"))
        return sha256(json.dumps(content, sort_keys=True))[:20]


@dataclass(frozen=True, kw_only=True)
class Slab:
    """What decides a pattern by multislice with frozen phonons; see `validation.multislice`.

    Attributes
    ----------
    voltage
        kV.
    thickness_nm
        Range, uniform.
    configurations
        Displacements of the atoms over which intensities are averaged. The beam meets 10^4 to 10^5 atoms, so that few
        are enough.
    beam_sigma
        Standard deviation of the beam's intensity, angstrom.
    slice_thickness
        Angstrom.
    grid
        Points along each side of the wave.
    size, pixel
        Of the pattern: pixels along each side, 1/angstrom.
    """

    voltage: float = 300.0
    thickness_nm: tuple[float, float] = (15.0, 30.0)
    configurations: int = 4
    beam_sigma: float = 12.0
    slice_thickness: float = 2.0
    grid: int = 512
    size: int = 256
    pixel: float = 0.0105

    @property
    def width(self) -> float:
        """Of the wave, angstrom."""
        return 1 / self.pixel

    def key(self, phase: str, split: Split, cif: str) -> str:
        """Like that of `Crystal`."""
        content = {"multislice": GENERATOR, "phase": phase, "split": split, "cif": sha256(cif), **asdict(self)}
        content["requirements"] = sha256(REQUIREMENTS.read_text(encoding="utf-8"))
        return sha256(json.dumps(content, sort_keys=True))[:20]


@dataclass(frozen=True, kw_only=True)
class Detector:
    """What decides the frame, given the spots.

    Attributes
    ----------
    size, pixel
        Rows and columns; 1/angstrom per pixel, as the indexer is told.
    counts
        Electrons in a frame.
    beam
        Share of the electrons in the direct beam where it is set by hand (a camera with a small dynamic range, or a
        beam stop); None: what the crystal leaves of it, mostly 80-95 %, so that few electrons are in the spots.
    disk_mrad
        Radius of the spots; 0: Gaussians of `blur_px`.
    blur_px
        Sigma of the camera's point spread.
    diffuse, diffuse_k
        Share of the electrons scattered diffusely, and the 1/angstrom over which exp(-k / diffuse_k) falls.
    halo, halo_k, halo_width
        Share of the electrons in an amorphous ring, its radius and sigma in 1/angstrom.
    shift_px
        The direct beam lies this far off the middle of the detector, in a random direction.
    scale
        Distances are this many times what `pixel` says. The indexer is not told.
    ellipse
        Ratio of the axes a circle is recorded with, the longer one in a random direction. The indexer is not told.
    rotation_deg, flipped
        Of the detector against the scan: the columns' direction from X towards Y, then rows mirrored; as nbedex's
        `Calibration` has it. The indexer is told.
    overlap
        Share of a second crystal of the same phase, range, uniform; (0, 0): none.
    """

    size: int = 256
    pixel: float = 0.0105
    counts: float = 2e4
    beam: float | None = 0.3
    disk_mrad: float = 0.0
    blur_px: float = 1.2
    diffuse: float = 0.3
    diffuse_k: float = 0.25
    halo: float = 0.0
    halo_k: float = 0.27
    halo_width: float = 0.04
    shift_px: float = 1.0
    scale: float = 1.0
    ellipse: float = 1.0
    rotation_deg: float = 0.0
    flipped: bool = False
    overlap: tuple[float, float] = (0.0, 0.0)

    def key(self) -> str:
        return sha256(json.dumps(asdict(self), sort_keys=True))[:20]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A row of the tables. `held_out_only`: no tuning may see it, and the tuning split refuses it."""

    crystal: Crystal | Slab = field(default_factory=Crystal)
    detector: Detector = field(default_factory=Detector)
    held_out_only: bool = False


MAIN = ("beta2-alumina", "nzsp", "na2au")
# with those they are confused with
RIVALS = ("beta2-alumina", "beta-alumina", "nzsp", "nzsp-r3c", "na2au", "au2na", "au", "na")
CACHE = Path(__file__).parents[1] / "cache"
# Thin enough that only single scattering is left; wide in s, so that nothing is cut off the rocking curves.
CHECK = Crystal(thickness_nm=(1.0, 1.0), s_max=0.04)

_STANDARD = Condition()


def _crystal(**changes: object) -> Condition:
    return replace(_STANDARD, crystal=replace(_STANDARD.crystal, **changes))  # type: ignore[arg-type]


def _detector(**changes: object) -> Condition:
    return replace(_STANDARD, detector=replace(_STANDARD.detector, **changes))  # type: ignore[arg-type]


CONDITIONS: dict[str, Condition] = {
    "standard": _STANDARD,
    "precessed": _crystal(precession_deg=0.8),
    "2e3 counts": _detector(counts=2e3),
    "2e5 counts": _detector(counts=2e5),
    "thin": _crystal(thickness_nm=(10.0, 30.0)),
    "thick": _crystal(thickness_nm=(120.0, 200.0)),
    "disks 0.5 mrad": _detector(disk_mrad=0.5, blur_px=0.8),
    "disks 1 mrad": Condition(
        crystal=Crystal(convergence_mrad=1.0, tilts=7), detector=Detector(disk_mrad=1.0, blur_px=0.8)
    ),
    "beam as it is": _detector(beam=None),
    "background x2": _detector(diffuse=0.6),
    "amorphous": _detector(halo=0.25),
    "beam 3 px off": _detector(shift_px=3.0),
    "scale +1 %": _detector(scale=1.01),
    "ellipse 1 %": _detector(ellipse=1.01),
    "turned and flipped": _detector(rotation_deg=37.0, flipped=True),
    "overlap": _detector(overlap=(0.1, 0.4)),
    "bent": replace(_crystal(bend_deg=0.35), held_out_only=True),
    "absorption": replace(_crystal(absorption=0.1), held_out_only=True),
    "other crystal": replace(_crystal(cell_error=0.01, occupancy_error=0.15), held_out_only=True),
    "phonons": Condition(crystal=Slab(), held_out_only=True),
    "harsh": Condition(
        crystal=Crystal(
            thickness_nm=(20.0, 150.0), bend_deg=0.35, absorption=0.1, cell_error=0.007, occupancy_error=0.15
        ),
        detector=Detector(halo=0.2, shift_px=3.0, scale=1.005, ellipse=1.008, overlap=(0.0, 0.25)),
        held_out_only=True,
    ),
}


def condition(name: str, split: Split) -> Condition:
    """By name; refuses to show tuning what only the held-out tables may see."""
    found = CONDITIONS[name]
    if found.held_out_only and split != "held-out":
        raise SystemExit(f"condition {name!r} is kept from tuning; ask for it with --split held-out")
    return found


def random_numbers(*words: str | int) -> np.random.Generator:
    """A stream of its own for every list of words."""
    digest = sha256("\x1f".join(["nbedex validation kit", *map(str, words)]))
    return np.random.default_rng(int(digest, 16))


def orientation(phase: str, split: Split, number: int) -> NDArray[np.float64]:
    """Unit quaternion (4,), sample to crystal, uniform over all rotations; the same under every condition."""
    q = random_numbers("orientation", split, phase, number).normal(size=4)
    return np.asarray(q / np.linalg.norm(q))


def thickness(phase: str, split: Split, number: int, span: tuple[float, float]) -> float:
    """nm."""
    return float(random_numbers("thickness", split, phase, number).uniform(*span))


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
