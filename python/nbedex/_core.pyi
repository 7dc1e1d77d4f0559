"""Types of the compiled core; what the functions do is said in cpp/include/nbedex/."""

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[Any]
Mask = NDArray[np.uint8] | None

class Stop:
    """Calls made by a thread that watches it end with KeyboardInterrupt when it is set."""

    def set(self) -> None: ...
    def watch(self) -> None: ...

class FrameFile:
    """Whole frames, row-major in native byte order, at places (n,) of an open file. Each is read when it is needed; an
    OSError where that fails. Not on Windows.
    """

    def __init__(
        self, *, descriptor: int, places: NDArray[np.int64], rows: int, columns: int, dtype: np.dtype[Any]
    ) -> None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> NDArray[Any]: ...

class PolarGrid:
    def __init__(self, *, n_rings: int, n_azimuths: int, k_min: float, k_max: float) -> None: ...
    @property
    def n_rings(self) -> int: ...
    @property
    def n_azimuths(self) -> int: ...
    @property
    def k_min(self) -> float: ...
    @property
    def k_max(self) -> float: ...

class PolarSampler:
    def __init__(self, grid: PolarGrid, detector_from_sample: NDArray[np.float64], spacing: float = 1.0) -> None: ...

class SpotFilter:
    def __init__(
        self, *, quadrant: NDArray[np.float32], filled: NDArray[np.int64], rows: int, columns: int
    ) -> None: ...

class Preprocessing:
    def __init__(
        self,
        *,
        remove_background: bool,
        background_sigma: float,
        peak_sigma: float = 0.0,
        exponent: float,
        saturation: float,
        max_saturated: float,
        max_non_finite: float,
        min_contrast: float = 0.0,
    ) -> None: ...
    def with_min_contrast(self, min_contrast: float) -> Preprocessing: ...

class BeamSearch:
    def __init__(self, *, row: float, column: float, search_radius: float, beam_radius: float) -> None: ...

class SimulationOptions:
    def __init__(
        self,
        *,
        wavelength: float,
        max_excitation_error: float,
        shape_width: float,
        shape: str,
        precession_angle: float,
        minimum_intensity: float,
        double_diffraction: float,
    ) -> None: ...

class MatchOptions:
    def __init__(self, *, n_best: int, distinct_angle: float, rival_share: float = 0.0, threads: int) -> None: ...

class TemplateSet:
    @property
    def size(self) -> int: ...
    @property
    def n_spots(self) -> int: ...
    @property
    def group(self) -> NDArray[np.int32]: ...
    @property
    def offset(self) -> NDArray[np.int64]: ...
    @property
    def ring(self) -> NDArray[np.uint16]: ...
    @property
    def azimuth(self) -> NDArray[np.uint16]: ...
    @property
    def weight(self) -> NDArray[np.float32]: ...

class SimulatedSpots(TypedDict):
    offset: NDArray[np.int64]
    kx: NDArray[np.float32]
    ky: NDArray[np.float32]
    intensity: NDArray[np.float32]
    reflection: NDArray[np.int32]

class BlochOptions:
    def __init__(
        self,
        *,
        wavelength: float,
        max_excitation_error: float,
        strong_excitation_error: float,
        thickness: Sequence[float],
    ) -> None: ...

class DynamicalBeams(TypedDict):
    offset: NDArray[np.int64]
    reflection: NDArray[np.int32]
    kx: NDArray[np.float32]
    ky: NDArray[np.float32]
    intensity: NDArray[np.float32]

class BlochCrystal:
    def __init__(
        self,
        *,
        coupling_hkl: NDArray[np.int32],
        coupling: NDArray[np.complex128],
        hkl: NDArray[np.int32],
        g: NDArray[np.float64],
    ) -> None: ...
    @property
    def is_real(self) -> bool: ...
    @property
    def size(self) -> int: ...
    def patterns(self, orientations: NDArray[np.float64], options: BlochOptions, threads: int) -> DynamicalBeams: ...

class RerankOptions:
    def __init__(
        self,
        *,
        detector_from_sample: NDArray[np.float64],
        k_min: float,
        k_max: float,
        spot_width: float,
        wavelength: float,
        coarse: tuple[float, float],
        fine: tuple[float, float],
        reach: float,
        step: float,
        starts: int,
        points: int,
        halvings: int,
        each_alone: bool,
        thickness: float,
        thickness_step: float,
        thicknesses: int,
        faintest: float,
    ) -> None: ...

class RerankedCandidates(TypedDict):
    orientation: NDArray[np.float64]
    score: NDArray[np.float64]
    evidence: NDArray[np.float64]
    thickness: NDArray[np.float64]
    orientation_error: NDArray[np.float64]
    thickness_error: NDArray[np.float64]
    spots: NDArray[np.float64]
    rocking: NDArray[np.float64]
    explained: NDArray[np.float64]
    simulated: NDArray[np.int32]

def rerank(
    frames: Frames,
    centers: NDArray[np.float64],
    mask: Mask,
    crystals: Sequence[BlochCrystal],
    orientations: NDArray[np.float64],
    phases: NDArray[np.int32],
    kinematical: NDArray[np.float64],
    options: RerankOptions,
    threads: int,
) -> RerankedCandidates: ...
def simulate_patterns(
    g: NDArray[np.float64],
    intensity: NDArray[np.float64],
    hkl: NDArray[np.int32],
    orientations: NDArray[np.float64],
    options: SimulationOptions,
    threads: int,
) -> SimulatedSpots: ...
def find_beams(frames: Frames, search: BeamSearch, mask: Mask, threads: int) -> NDArray[np.float64]: ...
def unwrap(
    frames: Frames,
    centers: NDArray[np.float64],
    sampler: PolarSampler,
    mask: Mask,
    threads: int,
    spot_filter: SpotFilter | None = None,
) -> NDArray[np.float32]: ...
def check_frames(frames: Frames, options: Preprocessing, mask: Mask, threads: int) -> NDArray[np.uint8]: ...
def prepare_patterns(
    frames: Frames | FrameFile,
    centers: NDArray[np.float64],
    sampler: PolarSampler,
    options: Preprocessing,
    mask: Mask,
    threads: int,
    with_peaks: bool = False,
    spot_filter: SpotFilter | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None, NDArray[np.uint8], NDArray[np.float64]]: ...
def finish_patterns(
    unwrapped: NDArray[np.float32], grid: PolarGrid, options: Preprocessing, threads: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8], NDArray[np.float64]]: ...
def power_sums(patterns: NDArray[np.float32], threads: int) -> NDArray[np.float64]: ...
def pack_templates(
    offset: NDArray[np.int64],
    kx: NDArray[np.float32],
    ky: NDArray[np.float32],
    intensity: NDArray[np.float32],
    grid: PolarGrid,
    exponent: float,
    orientations: NDArray[np.float64],
    symmetry: NDArray[np.float64],
    max_spots: int = 0,
) -> TemplateSet: ...

class KinematicCrystal:
    def __init__(
        self,
        *,
        g: NDArray[np.float64],
        intensity: NDArray[np.float64],
        template_exponent: float,
        symmetry: NDArray[np.float64],
    ) -> None: ...
    @property
    def size(self) -> int: ...

class RefineOptions:
    def __init__(
        self,
        *,
        wavelength: float,
        excitation_width: float,
        precession_angle: float,
        reach: float,
        distinct_angle: float,
    ) -> None: ...

class RefinedCandidates(TypedDict):
    orientation: NDArray[np.float64]
    score: NDArray[np.float32]
    spread: NDArray[np.float32]
    half_turn: NDArray[np.float32]

class KinematicModel:
    def __init__(self, crystals: Sequence[KinematicCrystal], grid: PolarGrid, options: RefineOptions) -> None: ...
    def refine(
        self,
        patterns: NDArray[np.float32],
        crystal: NDArray[np.int16],
        orientation: NDArray[np.float64],
        levels: NDArray[np.float64],
        threads: int,
        sums: NDArray[np.float64] | None = None,
    ) -> RefinedCandidates: ...
    def turned_rivals(
        self, crystal: NDArray[np.int16], orientation: NDArray[np.float64], score: NDArray[np.float32]
    ) -> NDArray[np.float32]: ...
    def spot_mask(
        self, crystal: NDArray[np.int16], orientation: NDArray[np.float64], radius: float, threads: int
    ) -> NDArray[np.uint8]: ...
    def spots_met(
        self,
        peaks: NDArray[np.float32],
        crystal: NDArray[np.int16],
        orientation: NDArray[np.float64],
        radius: float,
        threads: int,
        enough: float = 0.0,
    ) -> NDArray[np.float64]: ...

def match_exhaustive(
    phases: Sequence[TemplateSet],
    patterns: NDArray[np.float32],
    options: MatchOptions,
    levels: NDArray[np.float32] | None = None,
    sums: NDArray[np.float64] | None = None,
) -> tuple[list[dict[str, NDArray[Any]]], dict[str, int]]: ...
def match_pruned(
    phases: Sequence[TemplateSet],
    patterns: NDArray[np.float32],
    options: MatchOptions,
    levels: NDArray[np.float32] | None = None,
    sums: NDArray[np.float64] | None = None,
) -> tuple[list[dict[str, NDArray[Any]]], dict[str, int]]: ...
def groups_reach(
    templates: TemplateSet, pattern: NDArray[np.float32], scores: NDArray[np.float32]
) -> NDArray[np.bool_]: ...
def disorientations(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    first_symmetry: NDArray[np.float64],
    second_symmetry: NDArray[np.float64],
    *,
    exchange: bool,
    reduce: bool,
    threads: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]: ...
def segment_pixels(
    phase_id: NDArray[np.int16],
    orientation: NDArray[np.float64],
    symmetry: Sequence[NDArray[np.float64]],
    *,
    threshold: float,
    threads: int,
) -> NDArray[np.int32]: ...
def merge_regions(
    phase_id: NDArray[np.int16],
    orientation: NDArray[np.float64],
    symmetry: Sequence[NDArray[np.float64]],
    *,
    own: NDArray[np.uint8],
    phase_of: NDArray[np.int16],
    threshold: float,
    label: NDArray[np.int32],
) -> NDArray[np.int32]: ...
def fill_regions(label: NDArray[np.int32]) -> NDArray[np.int32]: ...
def number_regions(label: NDArray[np.int32]) -> NDArray[np.int32]: ...

class RegionShapes(TypedDict):
    sums: NDArray[np.int64]
    crossings: NDArray[np.int64]
    bounds: NDArray[np.int64]
    contacts: NDArray[np.int32]

def region_shapes(label: NDArray[np.int32], n: int) -> RegionShapes: ...

class MeanOrientations(TypedDict):
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    variance: NDArray[np.float64]
    variance_of_mean: NDArray[np.float64]

def mean_orientations(
    phase_id: NDArray[np.int16],
    orientation: NDArray[np.float64],
    symmetry: Sequence[NDArray[np.float64]],
    *,
    own: NDArray[np.uint8],
    phase_of: NDArray[np.int16],
    label: NDArray[np.int32],
    threads: int,
) -> MeanOrientations: ...
def grain_deviations(
    phase_id: NDArray[np.int16],
    orientation: NDArray[np.float64],
    symmetry: Sequence[NDArray[np.float64]],
    *,
    own: NDArray[np.uint8],
    mean: NDArray[np.float64],
    label: NDArray[np.int32],
    threads: int,
) -> NDArray[np.float32]: ...
def kernel_misorientation(
    phase_id: NDArray[np.int16],
    orientation: NDArray[np.float64],
    symmetry: Sequence[NDArray[np.float64]],
    *,
    own: NDArray[np.uint8],
    label: NDArray[np.int32] | None,
    radius: int,
    largest: float,
    threads: int,
) -> NDArray[np.float32]: ...
def build_info() -> dict[str, Any]: ...
