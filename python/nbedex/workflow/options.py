"""The options of a run: the schema of its TOML file, and of the keywords of the Python API."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from nbedex.indexing import (
    CenterSettings,
    IndexingSettings,
    MatchSettings,
    OverlapSettings,
    PreprocessSettings,
    RefineSettings,
    RerankSettings,
)
from nbedex.library import SimulationSettings
from nbedex.settings import Settings, settings_from_dict


class ScanOptions(Settings, frozen=True, kw_only=True):
    """Which data to index.

    Attributes
    ----------
    path
        The 4D-STEM file.
    dataset
        Path of the dataset in an HDF5 file that holds several.
    shape
        Scan rows and columns of a file that lists patterns without saying how they were scanned.
    mask
        .npy file, boolean (det_y, det_x): true where a detector pixel must not be used (beam stop, gaps).
    roi
        Region of interest: first row, last row, first column, last column of the scan that become the map, from 0, the
        last ones not included; all by default.
    every
        Only each n-th row and column of these.
    region_mask
        .npy file, boolean (scan rows, scan columns): true where a pattern is to be indexed.
    bin
        Detector pixels added up along either axis. Options in pixels (pixel size, centre, radii, mask) are those of
        the detector as stored.
    average
        Average each pattern with those up to so many scan positions away: 1 is three by three. For patterns of few
        counts in grains that are many positions wide; 0 leaves them as they are.
    average_width
        Sigma of the Gaussian weight of neighbours, scan positions.
    """

    path: str | None = None
    dataset: str | None = None
    shape: tuple[int, int] | None = None
    mask: str | None = None
    roi: tuple[int, int, int, int] | None = None
    every: Annotated[int, Meta(ge=1)] = 1
    region_mask: str | None = None
    bin: Annotated[int, Meta(ge=1, le=64)] = 1
    average: Annotated[int, Meta(ge=0, le=3)] = 0
    average_width: Annotated[float, Meta(gt=0, le=10)] = 0.8


class CalibrationOptions(Settings, frozen=True, kw_only=True):
    """Geometry; what is None is taken from the file. See `nbedex.calibration.Calibration`.

    Attributes
    ----------
    fine_tune
        Correct pixel size and ellipse where the scan's own patterns say clearly that they are off
        (`nbedex.calibrating.fine_tuned`).
    """

    pixel_size: Annotated[float, Meta(gt=0)] | None = None
    voltage: Annotated[float, Meta(gt=0)] | None = None
    step_nm: Annotated[float, Meta(gt=0)] | None = None
    rotation_deg: float = 0.0
    flipped: bool = False
    ellipse_ratio: Annotated[float, Meta(ge=1, lt=2)] = 1.0
    ellipse_angle_deg: float = 0.0
    fine_tune: bool = True


class LibraryOptions(Settings, frozen=True, kw_only=True):
    """Phases and how their templates are simulated, or a library file. See `SimulationSettings`."""

    file: str | None = None
    phases: tuple[str, ...] = ()
    k_max: Annotated[float, Meta(gt=0.1, le=10)] | None = None
    step_deg: Annotated[float, Meta(ge=0.05, le=20)] | None = None
    max_excitation_error: Annotated[float, Meta(gt=0, le=0.5)] | None = None
    shape: str | None = None
    thickness_nm: Annotated[float, Meta(gt=0)] | None = None
    precession_deg: Annotated[float, Meta(ge=0, le=5)] | None = None
    minimum_intensity: Annotated[float, Meta(ge=0, lt=1)] | None = None
    scattering: str | None = None
    double_diffraction: Annotated[float, Meta(ge=0, le=1)] | None = None

    def simulation(self, voltage: float) -> SimulationSettings:
        """Simulation settings; those not given have their defaults."""
        given = {k: v for k, v in self.to_dict().items() if k not in ("file", "phases")}
        return settings_from_dict(SimulationSettings, given | {"voltage": voltage}, where="library options")


class OutputOptions(Settings, frozen=True, kw_only=True):
    """Where the result goes, and what may happen to what is already there."""

    path: str | None = None
    overwrite: bool = False
    resume: bool = False


class WorkOptions(Settings, frozen=True, kw_only=True):
    """How the work is done: nothing that changes the result.

    Attributes
    ----------
    memory_gb
        Memory (10^9 bytes) that a run should stay below: sets the size of blocks.
    preview
        Index an even, sparse part of the map first and draw it.
    live_s
        While there is a live picture, draw it anew after so many seconds.
    follow_timeout_s
        With `follow`: give up after so many seconds without a new pattern.
    """

    memory_gb: Annotated[float, Meta(ge=0.1, le=10000)] = 2.0
    preview: bool = False
    live_s: Annotated[float, Meta(ge=0.5, le=3600)] = 10.0
    follow_timeout_s: Annotated[float, Meta(gt=0)] = 60.0


class RunSettings(Settings, frozen=True, kw_only=True):
    """All options of `nbedex index`, in the tables of its TOML file."""

    scan: ScanOptions = ScanOptions()
    calibration: CalibrationOptions = CalibrationOptions()
    library: LibraryOptions = LibraryOptions()
    center: CenterSettings = CenterSettings()
    preprocess: PreprocessSettings = PreprocessSettings()
    match: MatchSettings = MatchSettings()
    refine: RefineSettings = RefineSettings()
    overlap: OverlapSettings = OverlapSettings()
    rerank: RerankSettings = RerankSettings()
    output: OutputOptions = OutputOptions()
    work: WorkOptions = WorkOptions()
    threads: Annotated[int, Meta(ge=0, le=4096)] = 0

    def indexing(self) -> IndexingSettings:
        return IndexingSettings(
            center=self.center,
            preprocess=self.preprocess,
            match=self.match,
            refine=self.refine,
            overlap=self.overlap,
            rerank=self.rerank,
        )
